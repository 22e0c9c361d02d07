//! Ways by relays: connections that many peers share.

use super::relays::Lost;
use super::{RelayAt, WayOutput, Ways};
use rand_core::CryptoRng;
use std::collections::BTreeSet;
use waypost_core::{ContactId, Mono, SrempAddress};
use waypost_sremp::LinkId;
use waypost_sremp::connection::Dialled;
use waypost_sremp::select::SelectionInput;

impl Ways {
    /// The relays of the person's own mailboxes: connections to them are kept.
    pub(in crate::wires::sremp) fn set_own(&mut self, now: Mono, own: Vec<RelayAt>) {
        for link in self.relays.set_own(now, own) {
            self.out.push_back(WayOutput::Close(link));
        }
        self.open_relays(now);
    }

    /// Opens a connection to a relay that is to be asked something.
    pub(in crate::wires::sremp) fn ask_relay(&mut self, now: Mono, relay: RelayAt) {
        self.relays.ask(now, relay);
        self.open_relays(now);
    }

    /// Tries an own relay at once instead of after its pause.
    pub(in crate::wires::sremp) fn hurry(&mut self, now: Mono, relay: &ContactId) {
        self.relays.hurry(now, relay);
        self.open_relays(now);
    }

    /// Which relay a connection leads to, and whether an own mailbox is there.
    pub(in crate::wires::sremp) fn relay_of(&self, link: LinkId) -> Option<(ContactId, bool)> {
        self.relays.of(link)
    }

    /// Where a relay in use is.
    pub(in crate::wires::sremp) fn relay_address(&self, relay: &ContactId) -> Option<&SrempAddress> {
        self.relays.address(relay)
    }

    /// The connection to a relay, if it is ready.
    pub(in crate::wires::sremp) fn relay_link(&self, relay: &ContactId) -> Option<LinkId> {
        self.relays.ready_link(relay)
    }

    /// A relay has registered us: whoever waits for it may store.
    pub(in crate::wires::sremp) fn relay_ready(&mut self, now: Mono, rng: &mut dyn CryptoRng, link: LinkId) {
        let Some((relay, waiting)) = self.relays.ready(now, link) else { return };
        self.tell_peers(now, rng, relay, waiting, SelectionInput::RelayReady);
    }

    pub(super) fn relay_lost(&mut self, now: Mono, rng: &mut dyn CryptoRng, relay: Lost) {
        let Lost { identity, was_ready, waiting } = relay;
        if !was_ready {
            self.out.push_back(WayOutput::RelayUnreachable(identity));
        }
        for peer in &waiting {
            if let Some(known) = self.peers.get_mut(peer).filter(|known| known.stores_at(&identity)) {
                known.storing = None;
                known.wanted = true;
                known.not_before = known.not_before.max(now);
            }
        }
        self.tell_peers(now, rng, identity, waiting, SelectionInput::RelayFailed);
    }

    pub(super) fn tell_peers(
        &mut self,
        now: Mono,
        rng: &mut dyn CryptoRng,
        relay: ContactId,
        waiting: BTreeSet<ContactId>,
        input: fn(usize) -> SelectionInput,
    ) {
        for peer in waiting {
            self.report_relay(now, &peer, &relay, input);
            self.settle(now, rng, peer);
        }
    }

    pub(super) fn report_relay(
        &mut self,
        now: Mono,
        peer: &ContactId,
        relay: &ContactId,
        input: fn(usize) -> SelectionInput,
    ) {
        let Some(search) = self.peers.get_mut(peer).and_then(|known| known.search.as_mut()) else { return };
        let index = search.relays().position(|at| at.identity == *relay);
        if let Some(index) = index {
            search.report(now, input(index));
        }
    }

    pub(super) fn open_relays(&mut self, now: Mono) {
        while let Some(relay) = self.relays.next_to_dial(now) {
            let link = self.fresh_link();
            self.relays.dialling(&relay.identity, link);
            let dialled = Dialled { identity: Some(relay.identity), pin: relay.pin };
            self.out.push_back(WayOutput::Dial { link, to: relay.at, learned: relay.learned, dialled });
        }
        while let Some(link) = self.relays.next_to_close() {
            self.out.push_back(WayOutput::Close(link));
        }
    }
}
