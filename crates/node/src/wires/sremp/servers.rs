//! The person's relays on this wire: which there are, how they are, and what they report.

use super::Sremp;
use crate::Error;
use crate::servers::{Relay, Server, Uri};
use crate::wire::{ServerStatus, Turn, WireEvent};
use std::collections::BTreeMap;
use waypost_core::{ContactId, Wall};
use waypost_sremp::account::{Event as AccountEvent, Input as AccountInput, OwnRelay};
use waypost_sremp::endpoint::Learned;
use waypost_sremp::{CloseReason, ErrorCode, LinkId};

use super::ways::RelayAt;

/// How the own relays are.
#[derive(Default)]
pub(super) struct Servers {
    relays: BTreeMap<ContactId, (Relay, Known)>,
}

/// How one server is.
pub(super) struct Known {
    pub(super) state: State,
    pub(super) since: Wall,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum State {
    Connecting,
    Ready,
    /// The next attempt follows by itself.
    Waiting(String),
    Refused(String),
}

impl Known {
    pub(super) fn set(&mut self, state: State, now: Wall) {
        if self.state != state {
            (self.state, self.since) = (state, now);
        }
    }

    fn status(&self) -> ServerStatus {
        let (state, detail) = match &self.state {
            State::Connecting => ("connecting", None),
            State::Ready => ("ready", None),
            State::Waiting(why) => ("waiting", Some(why.clone())),
            State::Refused(why) => ("refused", Some(why.clone())),
        };
        ServerStatus { state: state.to_owned(), detail, since: Some(self.since) }
    }
}

impl Servers {
    fn known(&self, relay: &ContactId) -> Option<&Known> {
        self.relays.get(relay).map(|(_, known)| known)
    }

    /// More about how a relay is, for people.
    pub(super) fn detail(&self, relay: &ContactId) -> Option<String> {
        match &self.known(relay)?.state {
            State::Waiting(why) | State::Refused(why) => Some(why.clone()),
            State::Connecting | State::Ready => None,
        }
    }

    fn set(&mut self, relay: &ContactId, state: State, now: Wall) {
        if let Some((_, known)) = self.relays.get_mut(relay) {
            known.set(state, now);
        }
    }
}

impl Sremp {
    pub(super) fn status_of(&self, server: &Uri) -> Option<ServerStatus> {
        match server {
            Uri::Relay(relay) => self.servers.known(&relay.address.identity),
            Uri::Rendezvous(uri) => self.rendezvous.known(uri),
        }
        .map(Known::status)
    }

    pub(super) fn use_servers(&mut self, turn: &mut Turn<'_>, servers: &[Server]) -> Result<(), Error> {
        let own: Vec<Relay> = servers.iter().filter_map(|server| own_relay(&server.uri)).collect();
        let mut relays = BTreeMap::new();
        for relay in &own {
            let id = relay.address.identity;
            let known = self.servers.relays.remove(&id).filter(|(known, _)| known == relay);
            let fresh = || (relay.clone(), Known { state: State::Connecting, since: turn.now.wall });
            relays.insert(id, known.unwrap_or_else(fresh));
        }
        self.servers.relays = relays;
        let entries = own.iter().map(|relay| OwnRelay { relay: relay.address.identity, token: relay.token.clone() });
        let within = self.own_relay.is_some().then(|| OwnRelay { relay: self.account.id(), token: None });
        self.account(turn, AccountInput::OwnRelays(entries.chain(within).collect()))?;
        let at = own.into_iter().map(|relay| RelayAt {
            identity: relay.address.identity,
            at: relay.address.at,
            pin: relay.pin,
            learned: Learned::FromUser,
        });
        self.ways.set_own(turn.now.mono, at.collect());
        self.drain_ways(turn)?;
        let rendezvous = servers.iter().filter_map(|server| match &server.uri {
            Uri::Rendezvous(uri) => Some(uri.clone()),
            Uri::Relay(_) => None,
        });
        self.use_rendezvous(turn, &rendezvous.collect::<Vec<_>>())
    }

    /// What the account reports about relays.
    pub(super) fn relay_event(&mut self, turn: &mut Turn<'_>, event: AccountEvent) -> Result<(), Error> {
        match event {
            AccountEvent::RelayReady { link, relay, .. } => {
                if self.servers.relays.contains_key(&relay) {
                    self.servers.set(&relay, State::Ready, turn.now.wall);
                    self.events.push_back(WireEvent::RelayAccepted { relay });
                }
                self.ways.relay_ready(turn.now.mono, turn.rng, link);
                self.probe_relay_ready(turn, relay, link);
                self.drain_ways(turn)
            }
            AccountEvent::RelayRefused { relay, code, .. } => {
                self.servers.set(&relay, State::Refused(refusal(code).to_owned()), turn.now.wall);
                self.probe_relay_failed(turn.now.mono, relay);
                Ok(())
            }
            AccountEvent::Stored { peer, letter, relay, protection } => {
                let via = format!("relay {}", self.relay_name(&relay));
                self.events.push_back(WireEvent::Stored { peer, letter, via, protection });
                self.ways.stored(turn.now.mono, turn.rng, peer);
                Ok(())
            }
            AccountEvent::StoreRefused { peer, letter, relay, code, retry_after } => {
                if matches!(code, ErrorCode::NoMailbox | ErrorCode::Forbidden | ErrorCode::Auth) {
                    self.ways.store_refused(turn.now.mono, peer, relay);
                    self.search_if_needed(turn, peer)?;
                }
                if let Some(letter) = letter {
                    let wait = retry_after.map(|wait| format!(", again in {} s", wait.as_secs())).unwrap_or_default();
                    let reason = format!("relay {}: {}{wait}", self.relay_name(&relay), refusal(code));
                    self.events.push_back(WireEvent::Held { peer, letter, reason });
                }
                Ok(())
            }
            AccountEvent::NeedRelay { relay, peer } => {
                let known = turn.store.contact(peer)?;
                let relays = known.map(|contact| self.relays_of(turn, &contact)).transpose()?.unwrap_or_default();
                match relays.into_iter().find(|at| at.identity == relay) {
                    Some(at) => self.ways.ask_relay(turn.now.mono, at),
                    // The contact has left it: nobody can say where it is.
                    None => self.account(turn, AccountInput::RelayUnreachable { relay })?,
                }
                self.drain_ways(turn)
            }
            _ => Ok(()),
        }
    }

    pub(super) fn relay_unreachable(&mut self, turn: &Turn<'_>, relay: ContactId) {
        if self.servers.known(&relay).is_some_and(|known| !matches!(known.state, State::Refused(_))) {
            let why = "it cannot be reached; it is tried again by itself".to_owned();
            self.servers.set(&relay, State::Waiting(why), turn.now.wall);
        }
    }

    pub(super) fn relay_closed(&mut self, turn: &Turn<'_>, link: LinkId, reason: CloseReason) {
        let Some((relay, _)) = self.ways.relay_of(link) else { return };
        let state = match reason {
            CloseReason::Local(ErrorCode::NoiseKeyMismatch | ErrorCode::Auth) => State::Refused(
                "somebody else answers at its address; nothing was sent. Ask the operator for the new address"
                    .to_owned(),
            ),
            CloseReason::Peer(code) => State::Waiting(format!("it ended the connection: {}", refusal(code))),
            _ => State::Waiting(format!("no connection ({}); it is tried again by itself", reason.name())),
        };
        if self.servers.known(&relay).is_some_and(|known| !matches!(known.state, State::Refused(_))) {
            self.servers.set(&relay, state, turn.now.wall);
        }
    }

    /// The address by which a relay is reached, for people.
    pub(super) fn relay_name(&self, relay: &ContactId) -> String {
        let known = self.servers.relays.get(relay).map(|(known, _)| known.address.at.to_string());
        let address = known.or_else(|| self.ways.relay_address(relay).map(|at| at.to_string()));
        address.unwrap_or_else(|| relay.to_string().chars().take(8).collect())
    }
}

fn own_relay(uri: &Uri) -> Option<Relay> {
    match uri {
        Uri::Relay(relay) => Some(relay.clone()),
        Uri::Rendezvous(_) => None,
    }
}

/// Why a relay says no, for people.
pub(super) fn refusal(code: ErrorCode) -> &'static str {
    match code {
        ErrorCode::Forbidden => "it does not admit you; ask its operator for a token",
        ErrorCode::Quota => "the mailbox is full",
        ErrorCode::Rate => "too many letters at once",
        ErrorCode::NoMailbox => "the contact has no mailbox there",
        ErrorCode::TooLarge => "the letter is too long for it; it waits for a direct connection",
        ErrorCode::Unsupported => "it is no relay",
        ErrorCode::EndpointUnreachable => "it cannot reach this node at its address",
        _ => "it refused",
    }
}
