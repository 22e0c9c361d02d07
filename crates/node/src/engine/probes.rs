//! Calls whose answer must be found out on the network first.

use super::calls::json;
use super::{Engine, Output};
use crate::Error;
use crate::method::{Call, PingParams, Pong, ServerParams, ServerTest};
use crate::servers::Uri;
use crate::wire::{Path, Probe, Probed};
use rand_core::CryptoRng;
use std::collections::BTreeMap;
use std::time::Duration;
use waypost_core::{ContactId, Now};

/// How long a contact may take to answer, if the caller does not say.
const PING: Duration = Duration::from_secs(10);
/// The longest a caller may ask for.
const LONGEST: Duration = Duration::from_secs(60);
/// Calls that may wait for an answer.
const MOST: usize = 64;

/// Calls under way.
#[derive(Default)]
pub(super) struct Probes {
    waiting: BTreeMap<u64, (u64, Asked)>,
    last: u64,
}

enum Asked {
    Contact(ContactId),
    Server(String),
}

impl Engine {
    /// Passes a question on to the wires; the reply follows when they know.
    pub(super) fn ask_wires(&mut self, now: Now, rng: &mut dyn CryptoRng, token: u64, call: Call) -> Result<(), Error> {
        if self.probes.waiting.len() >= MOST {
            return Err(Error::Limit("too many tests are under way; wait until some have ended".into()));
        }
        let (asked, probe) = match call {
            Call::ServersTest(ServerParams { server }) => {
                let uri = self.own_server(&server)?;
                (Asked::Server(uri.shown()), Probe::Server(uri))
            }
            Call::NodePing(PingParams { contact, timeout_ms }) => {
                let peer = self.resolve(&contact)?.id;
                let within = timeout_ms.map_or(PING, Duration::from_millis).min(LONGEST);
                (Asked::Contact(peer), Probe::Contact { peer, within })
            }
            _ => return Err(Error::Internal("no question for wires".into())),
        };
        self.probes.last += 1;
        let number = self.probes.last;
        self.probes.waiting.insert(number, (token, asked));
        if self.wires.is_empty() {
            let text = Some("no wire is enabled".to_owned());
            self.probed(number, &Probed { path: Path::None, via: String::new(), took: Duration::ZERO, text });
            return Ok(());
        }
        self.each_wire(now, rng, |wire, turn| wire.probe(turn, number, &probe))
    }

    pub(super) fn probed(&mut self, number: u64, outcome: &Probed) {
        let Some((token, asked)) = self.probes.waiting.remove(&number) else { return };
        let took_ms = (outcome.path != Path::None).then(|| u64::try_from(outcome.took.as_millis()).unwrap_or(u64::MAX));
        let result = match asked {
            Asked::Contact(contact) => json(pong(contact, outcome, took_ms)),
            Asked::Server(server) => json(test(server, outcome, took_ms)),
        };
        self.staged.push(Output::Reply { token, result });
    }

    fn own_server(&self, text: &str) -> Result<Uri, Error> {
        let all = self.servers_in_use()?;
        let found = super::servers::find(&all, text)?;
        let missing = || Error::NotFound { what: "server", name: text.to_owned() };
        all.into_iter().nth(found).map(|server| server.uri).ok_or_else(missing)
    }
}

fn pong(contact: ContactId, outcome: &Probed, took_ms: Option<u64>) -> Pong {
    // What each path exposes is said with it. Profile SR-9.3.
    let (path, text) = match outcome.path {
        Path::Direct => ("direct", "The contact answers directly; each of you sees the other's network address."),
        Path::Relay => (
            "relay",
            "The contact cannot be reached directly now; letters wait for it at its relay, which sees who writes to \
             whom and when, never what.",
        ),
        Path::None => ("none", "The contact cannot be reached now, neither directly nor by a relay."),
    };
    let via = (!outcome.via.is_empty()).then(|| outcome.via.clone());
    let text = outcome.text.as_ref().map_or_else(|| text.to_owned(), |more| format!("{text} {more}"));
    Pong { contact, path: path.to_owned(), via, took_ms, text }
}

fn test(server: String, outcome: &Probed, took_ms: Option<u64>) -> ServerTest {
    let works = outcome.path != Path::None;
    let text = match (works, &outcome.text) {
        (true, None) => "It works.".to_owned(),
        (false, None) => "It does not answer.".to_owned(),
        (_, Some(text)) => text.clone(),
    };
    let advice = (!works).then(|| {
        "Check the address and whether the server runs; if its operator gave you a new address, remove this one and add \
         that."
            .to_owned()
    });
    ServerTest { server, works, text, advice, took_ms }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// SR-9.3
    #[test]
    fn a_ping_says_what_its_path_exposes() {
        let text = |path| {
            let outcome = Probed { path, via: String::new(), took: Duration::ZERO, text: None };
            pong(ContactId::from_bytes([1; 32]), &outcome, None).text
        };
        assert!(text(Path::Direct).contains("network address"));
        assert!(text(Path::Relay).contains("sees who writes to whom and when, never what"));
        assert!(!text(Path::None).contains("sees"));
    }
}
