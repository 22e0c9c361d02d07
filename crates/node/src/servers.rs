//! The servers a person uses: relays with a mailbox of theirs, and rendezvous servers.
//!
//! A relay is written `sremp-relay://host:port?k=KEY`, with `&n=NOISE_KEY` to pin its transport key and
//! `&t=TOKEN` where it admits only those who were given a token (keys and token as hex). A rendezvous
//! server is written `sremp-rdv://host:port`, with `?spki=HASH` where its certificate is not from a
//! public authority (profile, Rendezvous framing).

use crate::Error;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use waypost_core::{RelayAddress, Wall};
use waypost_sremp::rendezvous::ServerUri;
use waypost_sremp::x25519::PublicKey;
use waypost_store::Store;

/// The setting that holds them.
const SERVERS: &str = "servers";
/// Relays of one person. Profile SR-3.1.2b: an identity lists at most three.
pub(crate) const MAX_RELAYS: usize = 3;
/// Rendezvous servers of one person.
pub(crate) const MAX_RENDEZVOUS: usize = 8;
/// Bytes of a token.
const MAX_TOKEN: usize = 64;

/// A server as the person added it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Server {
    /// Which.
    #[serde(with = "uri_text")]
    pub uri: Uri,
    /// Who named it.
    pub origin: Origin,
    /// When it was added.
    pub added: Wall,
    /// A relay has registered us at least once: from then on contacts are told of it.
    #[serde(default)]
    pub accepted: bool,
}

/// Who named a server; also the order in which servers are used. Profile SR-11.3.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// The person.
    User,
    /// An invite that the person accepted.
    Invite,
    /// The list that comes with the program.
    Builtin,
    /// DNS.
    Dns,
}

/// What a server is and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Uri {
    /// Keeps letters while the person is away.
    Relay(Relay),
    /// Tells contacts where the person is.
    Rendezvous(ServerUri),
}

/// A relay.
#[derive(Clone, PartialEq, Eq)]
pub struct Relay {
    /// Where it is and who must answer.
    pub address: RelayAddress,
    /// The Noise key it must show, if that is pinned.
    pub pin: Option<PublicKey>,
    /// What it was said to admit us for.
    pub token: Option<Vec<u8>>,
}

impl fmt::Debug for Relay {
    /// Without the token.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Relay({})", self.address)
    }
}

impl Uri {
    /// Whether both name the same server, however it is pinned.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Relay(one), Self::Relay(other)) => one.address.identity == other.address.identity,
            (Self::Rendezvous(one), Self::Rendezvous(other)) => one.endpoint == other.endpoint,
            _ => false,
        }
    }

    /// How it may be shown: without the token.
    pub(crate) fn shown(&self) -> String {
        match self {
            Self::Relay(relay) => Self::Relay(Relay { token: None, ..relay.clone() }).to_string(),
            Self::Rendezvous(_) => self.to_string(),
        }
    }
}

impl fmt::Display for Uri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Relay(relay) => {
                write!(f, "sremp-relay://{}", relay.address)?;
                if let Some(pin) = &relay.pin {
                    write!(f, "&n={}", hex::encode(pin.0))?;
                }
                match &relay.token {
                    Some(token) => write!(f, "&t={}", hex::encode(token)),
                    None => Ok(()),
                }
            }
            Self::Rendezvous(server) => server.fmt(f),
        }
    }
}

impl FromStr for Uri {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        if let Some(rest) = text.strip_prefix("sremp-relay://") {
            return Ok(Self::Relay(relay(rest)?));
        }
        if text.starts_with("sremp-rdv://") {
            let bad = |_| Error::BadInput("a rendezvous server looks like sremp-rdv://host:port?spki=...".into());
            return text.parse().map(Self::Rendezvous).map_err(bad);
        }
        Err(Error::BadInput("a server looks like sremp-relay://host:port?k=... or sremp-rdv://host:port".into()))
    }
}

fn relay(text: &str) -> Result<Relay, Error> {
    let mut parts = text.split('&');
    let address = parts.next().unwrap_or_default().parse();
    let address = address.map_err(|error: waypost_core::BadAddress| Error::BadInput(error.to_string()))?;
    let mut relay = Relay { address, pin: None, token: None };
    for part in parts {
        let bad = || Error::BadInput(format!("\"{part}\" is no part of a relay's address"));
        match part.split_once('=') {
            Some(("n", key)) => {
                let mut pin = [0; 32];
                hex::decode_to_slice(key, &mut pin).map_err(|_| bad())?;
                relay.pin = Some(PublicKey(pin));
            }
            Some(("t", token)) => {
                let token = hex::decode(token).ok().filter(|token| (1..=MAX_TOKEN).contains(&token.len()));
                relay.token = Some(token.ok_or_else(bad)?);
            }
            _ => return Err(bad()),
        }
    }
    Ok(relay)
}

/// All servers, those of the person first.
pub(crate) fn load(store: &Store) -> Result<Vec<Server>, Error> {
    let Some(text) = store.setting(SERVERS)? else { return Ok(Vec::new()) };
    serde_json::from_str(&text).map_err(|_| Error::Internal("the list of servers is damaged".into()))
}

pub(crate) fn save(store: &Store, servers: &[Server]) -> Result<(), Error> {
    let text = serde_json::to_string(servers).map_err(|error| Error::Internal(error.to_string()))?;
    Ok(store.set_setting(SERVERS, &text)?)
}

/// The relays that have registered us: what contacts are told.
pub(crate) fn published_relays(store: &Store) -> Result<Vec<Relay>, Error> {
    let accepted = load(store)?.into_iter().filter(|server| server.accepted);
    let relays = accepted.filter_map(|server| match server.uri {
        Uri::Relay(relay) => Some(relay),
        Uri::Rendezvous(_) => None,
    });
    Ok(relays.take(MAX_RELAYS).collect())
}

mod uri_text {
    use super::Uri;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(uri: &Uri, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(uri)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Uri, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_back_what_it_writes() {
        let key = "0b".repeat(32);
        for text in [
            format!("sremp-relay://relay.example:7310?k={key}"),
            format!("sremp-relay://[2001:db8::1]:7310?k={key}&n={key}&t=00ff"),
            "sremp-rdv://rendezvous.example:7320".to_owned(),
        ] {
            assert_eq!(text.parse::<Uri>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn shows_no_token_and_refuses_what_it_does_not_know() {
        let key = "0b".repeat(32);
        let uri: Uri = format!("sremp-relay://relay.example:7310?k={key}&t=00ff").parse().unwrap();
        assert!(!uri.shown().contains("00ff") && !format!("{uri:?}").contains("00ff"));
        for text in [
            "https://relay.example".to_owned(),
            "sremp-relay://relay.example:7310".to_owned(),
            format!("sremp-relay://relay.example:7310?k={key}&x=1"),
            format!("sremp-relay://relay.example:7310?k={key}&t="),
        ] {
            assert!(text.parse::<Uri>().is_err(), "{text}");
        }
    }
}
