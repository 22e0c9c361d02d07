//! Questions whose answer is found out on the network: does a contact answer, does a server work.

use super::Sremp;
use crate::Error;
use crate::servers::Uri;
use crate::wire::{Path, Probe, Probed, Turn, WireEvent};
use std::collections::BTreeMap;
use std::time::Duration;
use waypost_core::{ContactId, Mono};
use waypost_net::sremp::DriverCommand;
use waypost_sremp::message::Ping;
use waypost_sremp::{LinkId, Message};

/// How long a server may take.
const SERVER: Duration = Duration::from_secs(10);

/// Questions under way, by their number.
#[derive(Default)]
pub(super) struct Probes(BTreeMap<u64, Question>);

struct Question {
    about: About,
    begun: Mono,
    until: Mono,
    /// A PING is on its way there.
    pinged: Option<Pinged>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum About {
    Contact(ContactId),
    Relay(ContactId),
    Rendezvous,
}

#[derive(Clone, Copy)]
struct Pinged {
    link: LinkId,
    nonce: u64,
    at: Mono,
    path: Path,
}

impl Probes {
    /// Whether somebody waits for word of a contact.
    pub(super) fn wait_for(&self, peer: &ContactId) -> bool {
        self.0.values().any(|question| question.about == About::Contact(*peer) && question.pinged.is_none())
    }

    pub(super) fn poll_timeout(&self) -> Option<Mono> {
        self.0.values().map(|question| question.until).min()
    }

    fn about(&self, about: About) -> Vec<u64> {
        let found = self.0.iter().filter(|(_, question)| question.about == about && question.pinged.is_none());
        found.map(|(number, _)| *number).collect()
    }
}

impl Sremp {
    pub(super) fn begin_probe(&mut self, turn: &mut Turn<'_>, number: u64, probe: &Probe) -> Result<(), Error> {
        let now = turn.now.mono;
        let (about, within) = match probe {
            Probe::Contact { peer, within } => (About::Contact(*peer), *within),
            Probe::Server(Uri::Relay(relay)) => (About::Relay(relay.address.identity), SERVER),
            Probe::Server(Uri::Rendezvous(_)) => (About::Rendezvous, SERVER),
        };
        self.probes.0.insert(number, Question { about, begun: now, until: now.after(within), pinged: None });
        match about {
            About::Contact(peer) => match self.account.link_of(&peer) {
                Some(link) => {
                    self.ping(turn, number, link, Path::Direct);
                    Ok(())
                }
                None => match self.ways.storing_link(&peer) {
                    Some(link) => {
                        self.ping(turn, number, link, Path::Relay);
                        Ok(())
                    }
                    None => self.want(turn, peer),
                },
            },
            About::Rendezvous => match probe {
                Probe::Server(Uri::Rendezvous(server)) => self.probe_rendezvous(turn, number, server),
                _ => Ok(()),
            },
            About::Relay(relay) => {
                match self.ways.relay_link(&relay) {
                    Some(link) => self.ping(turn, number, link, Path::Relay),
                    None => self.ways.hurry(now, &relay),
                }
                self.drain_ways(turn)
            }
        }
    }

    /// A connection to a contact is ready.
    pub(super) fn probe_linked(&mut self, turn: &mut Turn<'_>, peer: ContactId) -> Result<(), Error> {
        let Some(link) = self.account.link_of(&peer) else { return Ok(()) };
        for number in self.probes.about(About::Contact(peer)) {
            self.ping(turn, number, link, Path::Direct);
        }
        Ok(())
    }

    /// Letters for a contact go by a relay now.
    pub(super) fn probe_stored(&mut self, turn: &mut Turn<'_>, peer: ContactId, link: LinkId) {
        for number in self.probes.about(About::Contact(peer)) {
            self.ping(turn, number, link, Path::Relay);
        }
    }

    /// A relay has registered us.
    pub(super) fn probe_relay_ready(&mut self, turn: &mut Turn<'_>, relay: ContactId, link: LinkId) {
        for number in self.probes.about(About::Relay(relay)) {
            self.ping(turn, number, link, Path::Relay);
        }
    }

    /// A relay cannot be reached, or does not take us: nothing more is to be waited for.
    pub(super) fn probe_relay_failed(&mut self, now: Mono, relay: ContactId) {
        for number in self.probes.about(About::Relay(relay)) {
            self.end_probe(now, number, Path::None, String::new(), None);
        }
    }

    /// No way to a contact was found.
    pub(super) fn probe_failed(&mut self, now: Mono, peer: ContactId) {
        for number in self.probes.about(About::Contact(peer)) {
            self.end_probe(now, number, Path::None, String::new(), None);
        }
    }

    pub(super) fn probe_answered(&mut self, now: Mono, link: LinkId, nonce: u64) {
        let is_meant =
            |question: &Question| question.pinged.is_some_and(|ping| (ping.link, ping.nonce) == (link, nonce));
        let found = self.probes.0.iter().find(|(_, question)| is_meant(question));
        let Some((number, pinged)) = found.and_then(|(number, question)| Some((*number, question.pinged?))) else {
            return;
        };
        let via = self.remotes.get(&link).cloned().unwrap_or_default();
        if let Some(question) = self.probes.0.get_mut(&number) {
            question.begun = pinged.at;
        }
        self.end_probe(now, number, pinged.path, via, None);
    }

    pub(super) fn probe_closed(&mut self, now: Mono, link: LinkId) {
        let lost = self.probes.0.iter().filter(|(_, question)| question.pinged.is_some_and(|ping| ping.link == link));
        for number in lost.map(|(number, _)| *number).collect::<Vec<_>>() {
            let text = Some("The connection broke before the answer.".to_owned());
            self.end_probe(now, number, Path::None, String::new(), text);
        }
    }

    pub(super) fn probes_due(&mut self, now: Mono) {
        let due = self.probes.0.iter().filter(|(_, question)| question.until <= now);
        for number in due.map(|(number, _)| *number).collect::<Vec<_>>() {
            self.end_probe(now, number, Path::None, String::new(), None);
        }
    }

    fn ping(&mut self, turn: &mut Turn<'_>, number: u64, link: LinkId, path: Path) {
        let nonce = turn.rng.next_u64();
        if let Some(question) = self.probes.0.get_mut(&number) {
            question.pinged = Some(Pinged { link, nonce, at: turn.now.mono, path });
            self.command(DriverCommand::Send(link, Message::Ping(Ping { nonce })));
        }
    }

    pub(super) fn end_probe(&mut self, now: Mono, number: u64, path: Path, via: String, text: Option<String>) {
        let Some(question) = self.probes.0.remove(&number) else { return };
        let text = text.or_else(|| match (question.about, path) {
            (About::Relay(relay), Path::None) => self.servers.detail(&relay),
            _ => None,
        });
        let outcome = Probed { path, via, took: now.since(question.begun), text };
        self.events.push_back(WireEvent::Probed { number, outcome });
    }
}
