//! STORE_MESSAGE: what waits for a peer, left at a relay of that peer. SREMP 8.2, profile SR-8.2a and Selection.

use super::outbox::{ITEMS, Item, item_key, order_of};
use crate::account::{Account, Event, Step};
use crate::message::{StoreMessage, StoreResponse};
use crate::relay::Request;
use crate::{Error, ErrorCode, LinkId, msgpack, vault::PROTECTION};
use rand_core::CryptoRng;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use waypost_core::{ContactId, LetterId, Mono, Records};

/// STORE_MESSAGEs of one peer that wait for their answer.
const WINDOW: usize = 16;
/// Longest pause after refusals that do not say how long.
const LONGEST: Duration = Duration::from_secs(600);

/// The letters of one peer on their way to a relay.
pub(super) struct Lane {
    link: LinkId,
    /// The order of the last item that was looked at.
    sent_to: u64,
    /// Order by message id.
    in_flight: BTreeMap<u64, u64>,
    window: usize,
    /// Nothing leaves before.
    not_before: Option<Mono>,
    /// One after the other.
    refusals: u32,
    /// What the relay or the mailbox there is too small for.
    too_large: BTreeSet<u64>,
    /// Something short was left because what waits is too long for a session the peer has not answered.
    asked_for_answer: bool,
}

impl Lane {
    const fn new(link: LinkId) -> Self {
        Self {
            link,
            sent_to: 0,
            in_flight: BTreeMap::new(),
            window: WINDOW,
            not_before: None,
            refusals: 0,
            too_large: BTreeSet::new(),
            asked_for_answer: false,
        }
    }

    pub(super) const fn link(&self) -> LinkId {
        self.link
    }

    pub(super) const fn due(&self) -> Option<Mono> {
        self.not_before
    }

    const fn goes_back(&mut self, order: u64) {
        let before = order.saturating_sub(1);
        if before < self.sent_to {
            self.sent_to = before;
        }
    }
}

impl Account {
    pub(in crate::account) fn store_by<R: Records>(
        &mut self,
        step: &mut Step<'_, R>,
        rng: &mut impl CryptoRng,
        peer: ContactId,
        link: LinkId,
    ) -> Result<(), Error> {
        if !self.relays.has(link) {
            return Ok(());
        }
        if self.relays.lanes.get(&peer).is_none_or(|lane| lane.link != link) {
            self.relays.lanes.insert(peer, Lane::new(link));
        }
        self.settle(step, rng, peer)
    }

    pub(in crate::account) fn store_stop(&mut self, peer: &ContactId) {
        self.relays.lanes.remove(peer);
    }

    /// The relay this peer's letters go by comes back to an item.
    pub(in crate::account) fn lane_goes_back(&mut self, peer: &ContactId, order: u64) {
        if let Some(lane) = self.relays.lanes.get_mut(peer) {
            lane.goes_back(order);
        }
    }

    /// The peer took something out of its mailbox: a full one need not be waited for any longer.
    pub(in crate::account) fn lane_has_room(&mut self, peer: &ContactId) {
        if let Some(lane) = self.relays.lanes.get_mut(peer) {
            lane.not_before = None;
        }
    }

    /// Leaves what waits for a peer at the relay, as far as its answers allow.
    pub(in crate::account) fn flush_lane<R: Records>(
        &mut self,
        step: &mut Step<'_, R>,
        rng: &mut impl CryptoRng,
        peer: ContactId,
    ) -> Result<(), Error> {
        let now = step.now.mono;
        if self.setups.get(&peer).is_some_and(super::super::Setup::holds_lanes) {
            return Ok(());
        }
        loop {
            let Some(lane) = self.relays.lanes.get_mut(&peer) else { return Ok(()) };
            let Some(link) = self.relays.links.get_mut(&lane.link) else { return Ok(()) };
            let Some(policy) = link.session.policy() else { return Ok(()) };
            let most = usize::try_from(policy.max_message_size).unwrap_or(usize::MAX);
            let paused = lane.not_before.max(link.stores_at).is_some_and(|at| now < at);
            if paused || lane.in_flight.len() >= lane.window || !link.session.has_room() {
                return Ok(());
            }
            let after = item_key(&peer, lane.sent_to);
            let Some((key, value)) = step.batch.records(ITEMS, peer.as_bytes(), Some(&after), 1)?.pop() else {
                return Ok(());
            };
            let order = order_of(&key)?;
            lane.sent_to = order;
            if lane.too_large.contains(&order) || lane.in_flight.values().any(|flying| *flying == order) {
                continue;
            }
            let mut item: Item = msgpack::decode(&value)?;
            if !self.may_be_stored(&peer, &item) {
                continue;
            }
            if !item.is_sealed() && !self.seal_item(step, rng, &peer, order, &mut item)? {
                self.lane_goes_back(&peer, order);
                return Ok(());
            }
            let Some((message_id, blob)) = item.sealed_bytes() else { continue };
            if blob.len() > most {
                self.too_large(step, &peer, order, item.letter());
                continue;
            }
            let blob = blob.to_vec();
            let Some(lane) = self.relays.lanes.get_mut(&peer) else { return Ok(()) };
            lane.in_flight.insert(message_id, order);
            let id = lane.link;
            self.send_store(step, id, peer, message_id, blob);
        }
    }

    /// Where something short may be left that the peer would answer: once, and if nothing else is on its way.
    pub(in crate::account) fn lane_asks_for_answer(&mut self, peer: &ContactId) -> Option<LinkId> {
        let lane = self.relays.lanes.get_mut(peer).filter(|lane| lane.in_flight.is_empty())?;
        (!std::mem::replace(&mut lane.asked_for_answer, true)).then_some(lane.link)
    }

    /// A sealed message, left at a relay.
    pub(in crate::account) fn send_store<R: Records>(
        &mut self,
        step: &mut Step<'_, R>,
        id: LinkId,
        recipient: ContactId,
        message_id: u64,
        blob: Vec<u8>,
    ) {
        let Some(link) = self.relays.links.get_mut(&id) else { return };
        link.session.ask(step.now.mono, Request::Store { recipient, message_id });
        let relay = link.session.relay();
        let request = StoreMessage::signed(&relay, &self.keys.signing, recipient, message_id, blob);
        step.send(id, request.into());
    }

    /// While a direct connection stands, only what is late on it goes by the relay too. Profile, Direct delivery.
    fn may_be_stored(&self, peer: &ContactId, item: &Item) -> bool {
        let Some(direct) = self.by_peer.get(peer).and_then(|id| self.links.get(id)) else { return true };
        item.sealed_bytes().is_some_and(|(message_id, _)| direct.is_late(message_id))
    }

    pub(super) fn store_answered<R: Records>(
        &mut self,
        step: &mut Step<'_, R>,
        rng: &mut impl CryptoRng,
        id: LinkId,
        response: &StoreResponse,
    ) -> Result<(), Error> {
        let Some(link) = self.relays.links.get_mut(&id) else { return Ok(()) };
        let Some((peer, message_id)) = link.session.store_answered(response) else { return Ok(()) };
        if response.success {
            let order = self.landed_there(id, &peer, message_id);
            if !self.is_kept_now(step, id, &peer, message_id)?
                && let Some(order) = order
            {
                // It was sealed again meanwhile, and passed over.
                self.lane_goes_back(&peer, order);
            }
        } else {
            let code = response.error_code.and_then(ErrorCode::from_value).unwrap_or(ErrorCode::Internal);
            self.store_failed(step, rng, id, peer, message_id, (code, response.retry_after_s))?;
        }
        // There is room for those of others too.
        let lanes: Vec<_> = self.relays.lanes.iter().filter(|(_, lane)| lane.link == id).map(|(p, _)| *p).collect();
        lanes.into_iter().try_for_each(|peer| self.flush_lane(step, rng, peer))
    }

    /// An answer came. Gives the order of the item it is about.
    fn landed_there(&mut self, id: LinkId, peer: &ContactId, message_id: u64) -> Option<u64> {
        self.relays.lanes.get_mut(peer).filter(|lane| lane.link == id)?.in_flight.remove(&message_id)
    }

    /// A letter was not stored.
    pub(super) fn store_failed<R: Records>(
        &mut self,
        step: &mut Step<'_, R>,
        rng: &mut impl CryptoRng,
        id: LinkId,
        peer: ContactId,
        message_id: u64,
        refusal: (ErrorCode, Option<u32>),
    ) -> Result<(), Error> {
        match self.landed_there(id, &peer, message_id) {
            Some(order) => self.store_refused(step, rng, id, peer, order, refusal),
            None => Ok(()),
        }
    }

    /// A letter is on the relay's disk. Whether it is one as it waits now.
    fn is_kept_now<R: Records>(
        &mut self,
        step: &mut Step<'_, R>,
        id: LinkId,
        peer: &ContactId,
        message_id: u64,
    ) -> Result<bool, Error> {
        if let Some(lane) = self.relays.lanes.get_mut(peer).filter(|lane| lane.link == id) {
            (lane.refusals, lane.not_before) = (0, None);
            lane.window = (lane.window * 2).min(WINDOW);
        }
        let Some(relay) = self.relays.links.get(&id).map(|link| link.session.relay()) else { return Ok(false) };
        let Some((order, mut item)) = self.item_of(step, peer, message_id)? else { return Ok(false) };
        if !item.is_sealed_as(message_id) {
            return Ok(false);
        }
        let (from, is_new) = (item.space(), !item.kept_by().contains(&relay));
        let news = item.keep(relay);
        if is_new {
            self.note_kept(step, peer, &relay)?;
        }
        Self::put_item(step, peer, order, from, &item);
        // Nothing is repeated that is kept.
        self.landed(peer, &item);
        if let (true, Some(letter)) = (news, item.letter()) {
            step.event(Event::Stored { peer: *peer, letter, relay, protection: PROTECTION });
        }
        Ok(true)
    }

    fn store_refused<R: Records>(
        &mut self,
        step: &mut Step<'_, R>,
        rng: &mut impl CryptoRng,
        id: LinkId,
        peer: ContactId,
        order: u64,
        (code, retry_after_s): (ErrorCode, Option<u32>),
    ) -> Result<(), Error> {
        let value = step.batch.record(ITEMS, &item_key(&peer, order))?;
        let item = value.as_deref().map(msgpack::decode::<Item>).transpose()?;
        let letter = item.as_ref().and_then(Item::letter);
        match code {
            ErrorCode::TooLarge => {
                self.too_large(step, &peer, order, letter);
                Ok(())
            }
            // Its id is taken by other bytes, as after a restored backup.
            ErrorCode::Conflict => item.map_or(Ok(()), |item| self.reseal(step, rng, &peer, order, item)),
            ErrorCode::Quota | ErrorCode::Rate | ErrorCode::Internal => {
                self.pause_lane(step, id, peer, order, letter, (code, retry_after_s));
                Ok(())
            }
            _ => {
                self.end_lane(step, peer, letter, code);
                Ok(())
            }
        }
    }

    /// No room, or too fast: goes on by itself, with one letter first.
    fn pause_lane<R: Records>(
        &mut self,
        step: &mut Step<'_, R>,
        id: LinkId,
        peer: ContactId,
        order: u64,
        letter: Option<LetterId>,
        (code, retry_after_s): (ErrorCode, Option<u32>),
    ) {
        let now = step.now.mono;
        let Some(link) = self.relays.links.get_mut(&id) else { return };
        let Some(lane) = self.relays.lanes.get_mut(&peer) else { return };
        lane.goes_back(order);
        let paused = lane.not_before.max(link.stores_at).is_some_and(|at| now < at);
        if paused {
            return;
        }
        let mut pause = link.session.pause(retry_after_s);
        if retry_after_s.is_none() {
            pause = (pause * 2u32.saturating_pow(lane.refusals.min(8))).min(LONGEST);
        }
        let until = now.after(pause);
        let is_first = lane.refusals == 0;
        (lane.window, lane.refusals) = (1, lane.refusals.saturating_add(1));
        lane.not_before = Some(until);
        if code == ErrorCode::Rate {
            // Counted for all whom we leave something there.
            link.stores_at = Some(until);
        }
        if is_first {
            let relay = link.session.relay();
            step.event(Event::StoreRefused { peer, letter, relay, code, retry_after: Some(pause) });
        }
    }

    /// Longer than this relay takes: waits for a direct connection. Profile, Content.
    fn too_large<R: Records>(
        &mut self,
        step: &mut Step<'_, R>,
        peer: &ContactId,
        order: u64,
        letter: Option<LetterId>,
    ) {
        let Some(lane) = self.relays.lanes.get_mut(peer) else { return };
        let Some(link) = self.relays.links.get(&lane.link) else { return };
        if lane.too_large.insert(order) {
            let (relay, code) = (link.session.relay(), ErrorCode::TooLarge);
            step.event(Event::StoreRefused { peer: *peer, letter, relay, code, retry_after: None });
        }
    }

    /// Nothing can be sealed before: told as a pause of the relay.
    pub(in crate::account) fn lane_waits<R: Records>(
        &self,
        step: &mut Step<'_, R>,
        peer: ContactId,
        code: ErrorCode,
        pause: Duration,
    ) {
        let Some(lane) = self.relays.lanes.get(&peer) else { return };
        let Some(relay) = self.relays.links.get(&lane.link).map(|link| link.session.relay()) else { return };
        step.event(Event::StoreRefused { peer, letter: None, relay, code, retry_after: Some(pause) });
    }

    /// This relay is of no use for this peer.
    pub(in crate::account) fn end_lane<R: Records>(
        &mut self,
        step: &mut Step<'_, R>,
        peer: ContactId,
        letter: Option<LetterId>,
        code: ErrorCode,
    ) {
        let Some(lane) = self.relays.lanes.remove(&peer) else { return };
        let Some(relay) = self.relays.links.get(&lane.link).map(|link| link.session.relay()) else { return };
        step.event(Event::StoreRefused { peer, letter, relay, code, retry_after: None });
    }

    pub(super) fn lanes_due<R: Records>(
        &mut self,
        step: &mut Step<'_, R>,
        rng: &mut impl CryptoRng,
    ) -> Result<(), Error> {
        let now = step.now.mono;
        for lane in self.relays.lanes.values_mut() {
            lane.not_before = lane.not_before.filter(|at| *at > now);
        }
        let peers: Vec<_> = self.relays.lanes.keys().copied().collect();
        peers.into_iter().try_for_each(|peer| self.flush_lane(step, rng, peer))
    }
}
