//! Looking for ways to contacts: what is known about reaching them, and when that is worth a search.

use super::Sremp;
use super::ways::{Candidate, RelayAt, Target};
use crate::Error;
use crate::engine::{pin_of, sremp_error};
use crate::wire::Turn;
use waypost_core::{Address, ContactId, SrempAddress};
use waypost_net::sremp::DriverCommand;
use waypost_sremp::endpoint::Learned;
use waypost_sremp::trust::book;
use waypost_store::{ContactRow, ContactStatus};

impl Sremp {
    /// Looks for a way to a contact for which letters wait, when its time has come.
    pub(super) fn want(&mut self, turn: &mut Turn<'_>, peer: ContactId) -> Result<(), Error> {
        let Some(contact) = known_contact(turn, peer)? else { return Ok(()) };
        if !self.ways.may_search(turn.now.mono, turn.rng, &peer) {
            return Ok(());
        }
        self.look_up(turn, peer)?;
        let Some(target) = self.resolved_target(turn, &contact)? else { return Ok(()) };
        self.ways.search(turn.now.mono, turn.rng, peer, target);
        self.drain_ways(turn)
    }

    /// Looks for a relay beside a connection on which confirmations do not come. Profile, Direct delivery.
    pub(super) fn search_relay(&mut self, turn: &mut Turn<'_>, peer: ContactId) -> Result<(), Error> {
        let Some(contact) = known_contact(turn, peer)? else { return Ok(()) };
        if !self.ways.may_search(turn.now.mono, turn.rng, &peer) {
            return Ok(());
        }
        let target = Target { candidates: Vec::new(), ..self.target(turn, &contact)? };
        self.ways.search(turn.now.mono, turn.rng, peer, target);
        self.drain_ways(turn)
    }

    /// All that is known about reaching a contact, when all names in it are looked up; else the questions
    /// are on their way, and the contact's time comes with the answers.
    pub(super) fn resolved_target(&mut self, turn: &Turn<'_>, contact: &ContactRow) -> Result<Option<Target>, Error> {
        let target = self.target(turn, contact)?;
        if let Some(questions) = self.names.look_up(turn.now.mono, contact.id, &target.candidates) {
            for (ticket, host) in questions {
                self.command(DriverCommand::Resolve { ticket, host });
            }
            return Ok(None);
        }
        let candidates = self.names.expand(target.candidates, contact.last_seen.is_some());
        Ok(Some(Target { candidates, ..target }))
    }

    /// All that is known about reaching a contact.
    pub(super) fn target(&self, turn: &Turn<'_>, contact: &ContactRow) -> Result<Target, Error> {
        let candidates = contact.addresses.iter().filter_map(|address| match address {
            // A person's own card says so: as good as typed.
            Address::Sremp(address) => Some(Candidate { at: address.clone(), learned: Learned::FromUser }),
            _ => None,
        });
        let mut candidates: Vec<Candidate> = candidates.collect();
        let found = self.rendezvous.candidate(turn.now.mono, &contact.id);
        candidates.extend(found.filter(|found| !candidates.iter().any(|known| known.at == found.at)));
        let seen = book::row(turn.store, &contact.id).map_err(sremp_error)?;
        Ok(Target {
            candidates,
            pin: pin_of(turn, contact)?,
            relays: self.relays_of(turn, contact)?,
            prefers_async: seen.is_some_and(|row| row.identity.flags().prefers_async),
        })
    }

    /// Where a contact's mailboxes are: as its signed identity says, with those of its card before it was seen.
    pub(super) fn relays_of(&self, turn: &Turn<'_>, contact: &ContactRow) -> Result<Vec<RelayAt>, Error> {
        let of_card = contact.addresses.iter().filter_map(|address| match address {
            Address::SrempRelay(relay) => Some(relay),
            _ => None,
        });
        let of_card: Vec<_> = of_card.collect();
        let signed = self.account.relays_of(turn.store, &contact.id).map_err(sremp_error)?;
        if signed.is_empty() {
            let given = of_card.into_iter().map(|relay| RelayAt {
                identity: relay.identity,
                at: relay.at.clone(),
                pin: None,
                learned: Learned::FromUser,
            });
            return Ok(given.collect());
        }
        let relays = signed.into_iter().map(|relay| {
            let at = SrempAddress::from(&relay.endpoint);
            let within = Address::Sremp(at.clone());
            let given = of_card.iter().any(|known| known.identity == relay.relay_identity && known.at == at)
                || (relay.relay_identity == contact.id && contact.addresses.contains(&within));
            let learned = if given { Learned::FromUser } else { Learned::FromOthers };
            RelayAt { identity: relay.relay_identity, at, pin: relay.noise_key, learned }
        });
        Ok(relays.collect())
    }

    pub(super) fn search_if_needed(&mut self, turn: &mut Turn<'_>, peer: ContactId) -> Result<(), Error> {
        let needed =
            self.account.link_of(&peer).is_none() && self.account.waits_for(turn.store, &peer).map_err(sremp_error)?;
        if needed || self.probes.wait_for(&peer) { self.want(turn, peer) } else { Ok(()) }
    }

    /// Tries a contact directly while its letters wait at a relay.
    pub(super) fn retry_directly(&mut self, turn: &mut Turn<'_>, peer: ContactId) -> Result<(), Error> {
        let waits = self.account.is_stored(turn.store, &peer).map_err(sremp_error)?;
        if !waits && !self.ways.collected(&peer) {
            return Ok(());
        }
        let Some(contact) = known_contact(turn, peer)? else { return Ok(()) };
        let Some(target) = self.resolved_target(turn, &contact)? else { return Ok(()) };
        self.ways.search_directly(turn.now.mono, turn.rng, peer, target);
        self.drain_ways(turn)
    }
}

fn known_contact(turn: &Turn<'_>, peer: ContactId) -> Result<Option<ContactRow>, Error> {
    Ok(turn.store.contact(peer)?.filter(|contact| contact.status == ContactStatus::Contact))
}
