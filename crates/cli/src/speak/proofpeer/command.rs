//! What a peer can be told.

use super::report;
use crate::speak::lines::Event;
use crate::speak::values::{Hex, Id};
use serde::Deserialize;
use serde::de::{Deserializer, Error as _};
use serde_json::Value;
use waypost_net::Error;
use waypost_net::proofpeer::{Fingerprint, ProofPeer, To};

/// One line of stdin.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "cmd", rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum Command {
    /// Join a channel.
    Join {
        channel: String,
        #[serde(default)]
        passphrase: Option<String>,
    },
    /// Leave a channel.
    Leave { channel: String },
    /// Say something to everybody in a channel.
    Broadcast {
        channel: String,
        data: Value,
        #[serde(default)]
        reliable: bool,
    },
    /// Send something to one peer: `text` or `bytes`.
    Send {
        to: Recipient,
        #[serde(default)]
        text: Option<String>,
        #[serde(default)]
        bytes: Option<Hex>,
        #[serde(default)]
        reliable: bool,
    },
    /// A delivery was stored.
    Acknowledge { delivery: Id },
    /// Who was met.
    Peers {},
    /// What was counted.
    Counters {},
    /// The fingerprint was compared.
    Pin {
        peer: Key,
        #[serde(default = "yes")]
        on: bool,
    },
    /// Nothing more of a peer.
    Block {
        peer: Key,
        #[serde(default = "yes")]
        on: bool,
    },
    /// Say goodbye and end.
    Shutdown {},
}

/// A fingerprint in hex.
#[derive(Clone, Copy, Debug)]
pub(super) struct Key(Fingerprint);

/// A fingerprint in hex, or a uid as a number.
#[derive(Clone, Copy, Debug)]
pub(super) struct Recipient(To);

const fn yes() -> bool {
    true
}

fn fingerprint(text: &str) -> Option<Fingerprint> {
    let mut bytes = [0; 32];
    hex::decode_to_slice(text, &mut bytes).ok()?;
    Some(Fingerprint(bytes))
}

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        fingerprint(&text).map(Self).ok_or_else(|| D::Error::custom("a fingerprint is 64 hex digits"))
    }
}

impl<'de> Deserialize<'de> for Recipient {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        let by_uid = value.as_u64().and_then(|uid| u32::try_from(uid).ok()).map(To::Uid);
        let to = by_uid.or_else(|| value.as_str().and_then(fingerprint).map(To::Peer));
        to.map(Self).ok_or_else(|| D::Error::custom("a peer is a fingerprint of 64 hex digits, or a uid as a number"))
    }
}

impl Command {
    /// Its name.
    pub(super) const fn name(&self) -> &'static str {
        match self {
            Self::Join { .. } => "join",
            Self::Leave { .. } => "leave",
            Self::Broadcast { .. } => "broadcast",
            Self::Send { .. } => "send",
            Self::Acknowledge { .. } => "acknowledge",
            Self::Peers {} => "peers",
            Self::Counters {} => "counters",
            Self::Pin { .. } => "pin",
            Self::Block { .. } => "block",
            Self::Shutdown {} => "shutdown",
        }
    }
}

/// Does it, and gives the answers.
pub(super) async fn execute(peer: &ProofPeer, command: Command) -> Result<Vec<Event>, Error> {
    let name = command.name();
    let done = || vec![Event::new("done").with("request", name)];
    Ok(match command {
        Command::Join { channel, passphrase } => {
            peer.join(&channel, passphrase.as_deref()).await?;
            done()
        }
        Command::Leave { channel } => {
            peer.leave(&channel).await?;
            done()
        }
        Command::Broadcast { channel, data, reliable } => {
            peer.broadcast(&channel, &data.to_string(), reliable).await?;
            done()
        }
        Command::Send { to, text, bytes, reliable } => {
            let bytes = text.map(String::into_bytes).or(bytes.map(|bytes| bytes.0)).unwrap_or_default();
            let id = peer.send(to.0, &bytes, reliable).await?;
            vec![Event::new("done").with("request", name).with("id", id.to_string())]
        }
        Command::Acknowledge { delivery } => {
            peer.acknowledge(delivery.0);
            done()
        }
        Command::Peers {} => {
            let mut answers: Vec<Event> = peer.peers().await?.into_iter().map(report::peer).collect();
            answers.extend(done());
            answers
        }
        Command::Counters {} => vec![report::counters(&peer.counters().await?)],
        Command::Pin { peer: key, on } => known(name, peer.pin(key.0, on).await?)?,
        Command::Block { peer: key, on } => known(name, peer.block(key.0, on).await?)?,
        Command::Shutdown {} => Vec::new(),
    })
}

fn known(name: &'static str, is_known: bool) -> Result<Vec<Event>, Error> {
    if is_known { Ok(vec![Event::new("done").with("request", name)]) } else { Err(report::UNKNOWN.into()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_commands_and_refuses_what_is_none() {
        let uid = r#"{"cmd":"send","to":7,"text":"hello"}"#;
        let Command::Send { to: Recipient(To::Uid(7)), .. } = serde_json::from_str(uid).unwrap() else { panic!() };
        let key = format!(r#"{{"cmd":"pin","peer":"{}"}}"#, "ab".repeat(32));
        let Command::Pin { on: true, .. } = serde_json::from_str(&key).unwrap() else { panic!() };
        for wrong in [r#"{"cmd":"send","to":"ab"}"#, r#"{"cmd":"dance"}"#, r#"{"cmd":"peers","x":1}"#] {
            assert!(serde_json::from_str::<Command>(wrong).is_err(), "{wrong}");
        }
    }
}
