//! A bare client of a rendezvous server.

use super::DialArgs;
use super::command::Command;
use crate::speak::{fields, keys::Keys, lines};
use serde_json::{Value, json};
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};
use waypost_core::ContactId;
use waypost_net::Clock;
use waypost_net::rendezvous::{ClientCommand, ClientConfig, ClientEvent, RendezvousClient};
use waypost_sremp::endpoint::Learned;
use waypost_sremp::message::{LookupResponse, Message, PeerInfo};
use waypost_sremp::rendezvous::{Framing, check_peer_info};
use waypost_sremp::{Error, LinkId};

/// Events that wait for us.
const INBOX: usize = 64;
/// At the end of stdin, how long answers are waited for; after a close, the other side's end.
const PATIENCE: Duration = Duration::from_secs(15);
/// The only connection.
const LINK: LinkId = LinkId(2);

/// What is known of the conversation.
struct Talk<'a> {
    keys: &'a Keys,
    clock: Clock,
    framing: Framing,
    /// There is TLS with this server.
    server_id: Option<[u8; 32]>,
    /// For each answer to come: whom it is about.
    owed: VecDeque<Option<ContactId>>,
    last_seq: Option<u64>,
    /// The highest seq seen of each peer.
    seen: BTreeMap<ContactId, u64>,
    well: bool,
}

/// Speaks until the connection ends.
pub(super) async fn run(args: DialArgs) -> anyhow::Result<bool> {
    let keys = args.keys.load()?;
    lines::Event::new("ready")
        .with("identity_key", keys.identity.key().to_string())
        .with("username", keys.identity.username())
        .with("version", keys.identity.version().to_string())
        .print()?;
    let (sender, mut news) = mpsc::channel(INBOX);
    let client = RendezvousClient::start(ClientConfig::default(), sender);
    client.command(ClientCommand::Open { link: LINK, server: args.server, learned: Learned::FromUser });
    let mut commands = lines::commands::<Command>();
    let mut talk = Talk {
        keys: &keys,
        clock: Clock::start(),
        framing: Framing::client(),
        server_id: None,
        owed: VecDeque::new(),
        last_seq: None,
        seen: BTreeMap::new(),
        well: true,
    };
    let (mut end, mut closing) = (None, false);
    let fault = loop {
        let output = talk.framing.take_output();
        if talk.server_id.is_some() && !output.is_empty() {
            client.command(ClientCommand::Send(LINK, output));
        }
        if end.is_some() && talk.owed.is_empty() && !closing {
            closing = true;
            client.command(ClientCommand::Close(LINK));
        }
        let due = end.unwrap_or_else(|| Instant::now() + PATIENCE);
        tokio::select! {
            event = news.recv() => match event {
                Some(ClientEvent::Opened { server_id, .. }) => {
                    talk.server_id = Some(server_id);
                    talk.framing = Framing::client();
                    lines::Event::new("connected").with("server_id", hex::encode(server_id)).print()?;
                }
                Some(ClientEvent::Received { bytes, .. }) => {
                    if let Err(error) = talk.received(&bytes)? {
                        let event = lines::Event::new("error").with("by", "us").with("code", error.code().name());
                        event.with("why", error.to_string()).with("fatal", true).with("deviation", true).print()?;
                        break Some("malformed".to_owned());
                    }
                }
                Some(ClientEvent::Closed { fault, .. }) => break fault.map(|fault| fault.to_string()),
                _ => break None,
            },
            command = commands.recv(), if end.is_none() && talk.server_id.is_some() => match command {
                Some(Ok(Command::Close {})) => {
                    talk.owed.clear();
                    end = Some(Instant::now() + PATIENCE);
                }
                Some(Ok(Command::Raw { bytes })) => {
                    let length = u32::try_from(bytes.0.len())?.to_be_bytes();
                    talk.owed.push_back(None);
                    client.command(ClientCommand::Send(LINK, [&length[..], &bytes.0].concat()));
                }
                Some(command) => talk.command(command)?,
                None => end = Some(Instant::now() + PATIENCE),
            },
            () = sleep_until(due), if end.is_some() => break Some("the server is silent".to_owned()),
        }
    };
    client.stop().await;
    let well = talk.well && fault.is_none();
    lines::Event::new("closed").with("reason", fault.unwrap_or_else(|| "stopped".to_owned())).print()?;
    Ok(well)
}

impl Talk<'_> {
    fn command(&mut self, command: Result<Command, String>) -> anyhow::Result<()> {
        let Some(server_id) = self.server_id else { return Ok(()) };
        let target = match &command {
            Ok(Command::Lookup { target }) => Some(*target),
            _ => None,
        };
        let made =
            command.and_then(|command| command.message(self.keys, &server_id, self.clock.now(), &mut self.last_seq));
        match made {
            Ok(Some(message)) => {
                self.owed.push_back(target);
                self.framing.send(&message)?;
            }
            Ok(None) => {}
            Err(why) => {
                self.well = false;
                lines::Event::new("bad_command").with("why", why).print()?;
            }
        }
        Ok(())
    }

    /// Shows what came; the inner error is the server's fault.
    fn received(&mut self, mut bytes: &[u8]) -> anyhow::Result<Result<(), Error>> {
        loop {
            let message = match self.framing.read(&mut bytes) {
                Ok(Some(message)) => message,
                Ok(None) => return Ok(Ok(())),
                Err(error) => return Ok(Err(error)),
            };
            let target = self.owed.pop_front().flatten();
            self.well &= !matches!(&message, Message::Error(error) if error.fatal);
            let mut event = fields::event(&message);
            if let Message::LookupResponse(response) = &message {
                event = event.with("checks", self.checks(response, target));
            }
            event.print()?;
        }
    }

    /// What a client would believe of each entry: `ok`, or the name of what is wrong with it.
    fn checks(&mut self, response: &LookupResponse, target: Option<ContactId>) -> Vec<Value> {
        let (now, server) = (self.clock.now().wall, self.server_id.unwrap_or_default());
        let check = |info: &PeerInfo| {
            let key = target.map_or_else(|| info.identity.verify().map(|identity| identity.key()), Ok)?;
            let highest = self.seen.get(&key).copied().unwrap_or(0);
            check_peer_info(info, &key, &server, now, highest)
        };
        let mut checks = Vec::new();
        let found: Vec<_> = response.peers.iter().map(check).collect();
        for peer in found {
            checks.push(match peer {
                Ok(peer) => {
                    self.seen.insert(peer.identity.key(), peer.seq);
                    json!({ "identity_key": peer.identity.key().to_string(), "result": "ok",
                        "username": peer.identity.username(), "endpoint": peer.endpoint.to_string() })
                }
                Err(error) => json!({ "result": error.code().name() }),
            });
        }
        checks
    }
}
