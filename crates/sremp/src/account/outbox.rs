//! Letters on their way: stored before they are sealed, sealed once, the same bytes sent until the
//! recipient's signed confirmation. Profile, Sessions (Persist) and Direct delivery.

mod item;
mod seal;

use super::link::InFlight;
use super::{Account, Event, Step};
use crate::content::Content;
use crate::message::{DeliveryConfirmation, DirectMessage, Message};
use crate::msgpack::{self, Blob};
use crate::relay::confirmation_content;
use crate::{Error, ErrorCode, LinkId, ed25519};
pub(super) use item::{ITEMS, Item, KEPT, PAGE, has_items, is_kept, item_key, order_of, recipients, unseal_all};
use item::{MESSAGE_IDS, ORDER, message_key};
use rand_core::CryptoRng;
use std::collections::BTreeSet;
use waypost_core::{ContactId, InviteToken, Letter, LetterId, Protection, Records, Space, Wall};

/// Longest message to a peer that does not trust us. Profile, Limits: chunks of Unknown peers.
const STRANGER_MESSAGE: usize = 65_536;

impl Account {
    pub(super) fn queue<R: Records>(
        &mut self,
        step: &mut Step<'_, R>,
        rng: &mut impl CryptoRng,
        peer: ContactId,
        letter: Letter,
        token: Option<InviteToken>,
    ) -> Result<(), Error> {
        let id = letter.id;
        let content = Content::Letter { letter, token }.encode()?;
        if content.len() > self.limits.content {
            return Err(Error::BadInput("a letter is too long"));
        }
        Self::enqueue(step, peer, Some(id), content)?;
        self.settle(step, rng, peer)
    }

    /// Puts the own identity in line for a peer: content of a session. Profile, Content.
    pub(super) fn announce<R: Records>(
        &mut self,
        step: &mut Step<'_, R>,
        rng: &mut impl CryptoRng,
        peer: ContactId,
    ) -> Result<(), Error> {
        let content = Content::Identity(self.keys.identity.signed().clone()).encode()?;
        Self::enqueue(step, peer, None, content)?;
        self.settle(step, rng, peer)
    }

    pub(super) fn withdraw<R: Records>(&mut self, step: &mut Step<'_, R>, peer: ContactId) -> Result<(), Error> {
        for space in [ITEMS, KEPT] {
            let mut after: Option<Vec<u8>> = None;
            loop {
                let page = step.batch.records(space, peer.as_bytes(), after.as_deref(), PAGE)?;
                let Some((last, _)) = page.last() else { break };
                after = Some(last.clone());
                for (key, value) in page {
                    let item: Item = msgpack::decode(&value)?;
                    self.remove_item(step, &peer, order_of(&key)?, &item)?;
                }
            }
        }
        Ok(())
    }

    /// Hands what waits for a peer to its connection, or to the relay it goes by.
    pub(super) fn flush<R: Records>(
        &mut self,
        step: &mut Step<'_, R>,
        rng: &mut impl CryptoRng,
        peer: ContactId,
    ) -> Result<(), Error> {
        self.flush_direct(step, rng, peer)?;
        self.flush_lane(step, rng, peer)
    }

    /// As far as the window allows.
    fn flush_direct<R: Records>(
        &mut self,
        step: &mut Step<'_, R>,
        rng: &mut impl CryptoRng,
        peer: ContactId,
    ) -> Result<(), Error> {
        let Some(&id) = self.by_peer.get(&peer) else { return Ok(()) };
        loop {
            let Some(link) = self.links.get(&id) else { return Ok(()) };
            if link.in_flight.len() >= self.limits.window || link.in_flight_bytes >= self.limits.window_bytes {
                return Ok(());
            }
            let after = item_key(&peer, link.sent_to);
            let Some((key, value)) = step.batch.records(ITEMS, peer.as_bytes(), Some(&after), 1)?.pop() else {
                return Ok(());
            };
            let order = order_of(&key)?;
            let mut item: Item = msgpack::decode(&value)?;
            if item.blob.is_none() && !self.seal_item(step, rng, &peer, order, &mut item)? {
                return Ok(());
            }
            self.transmit(step, id, &peer, order, item)?;
        }
    }

    fn transmit<R: Records>(
        &mut self,
        step: &mut Step<'_, R>,
        id: LinkId,
        peer: &ContactId,
        order: u64,
        item: Item,
    ) -> Result<(), Error> {
        let Some(link) = self.links.get_mut(&id) else { return Ok(()) };
        link.sent_to = order;
        let (Some(blob), Some(&message_id)) = (item.blob, item.message_ids.last()) else { return Ok(()) };
        if link.in_flight.contains_key(&message_id) {
            return Ok(());
        }
        let due = step.now.mono.after(self.timing.confirmation);
        link.in_flight_bytes += blob.len();
        link.in_flight.insert(message_id, InFlight { order, bytes: blob.len(), due, sent: 1 });
        step.send(id, Message::DirectMessage(DirectMessage { message_id, encrypted_blob: blob }));
        if let Some(letter) = item.letter {
            let protection: Protection = crate::vault::PROTECTION;
            step.event(Event::Sent { peer: *peer, letter, link: id, protection });
        }
        Ok(())
    }

    /// Takes a confirmation: only with a valid signature of the recipient over a message of ours.
    /// Whether it was news. Profile, Signature contents.
    pub(super) fn confirmed<R: Records>(
        &mut self,
        step: &mut Step<'_, R>,
        rng: &mut impl CryptoRng,
        confirmation: &DeliveryConfirmation,
    ) -> Result<bool, Error> {
        let peer = confirmation.delivered_to;
        let for_us = confirmation.sender.is_none_or(|sender| sender == self.id());
        let Some((order, item)) = self.item_of(step, &peer, confirmation.message_id)? else { return Ok(false) };
        let content = confirmation_content(&self.id(), &peer, confirmation.message_id, confirmation.timestamp);
        if !for_us || ed25519::verify(&peer, &content, &confirmation.signature).is_err() {
            return Ok(false);
        }
        self.remove_item(step, &peer, order, &item)?;
        if let Some(letter) = item.letter {
            step.event(Event::Delivered { peer, letter });
        }
        self.lane_has_room(&peer);
        self.flush(step, rng, peer)?;
        Ok(true)
    }

    /// The signature by which this account confirms a message of `sender`.
    pub(super) fn sign_confirmation(&self, sender: &ContactId, message_id: u64, timestamp: Wall) -> ed25519::Signature {
        self.keys.signing.sign(&confirmation_content(sender, &self.id(), message_id, timestamp))
    }

    /// What is late on a connection is told to the router once, and sent again, ever more rarely.
    pub(super) fn confirmations_due<R: Records>(
        &mut self,
        step: &mut Step<'_, R>,
        rng: &mut impl CryptoRng,
    ) -> Result<(), Error> {
        let now = step.now.mono;
        let mut newly_late = Vec::new();
        for (&id, link) in &mut self.links {
            for (&message_id, late) in link.in_flight.iter_mut().filter(|(_, letter)| letter.due <= now) {
                let value = step.batch.record(ITEMS, &item_key(&link.peer, late.order))?;
                let item = value.as_deref().map(msgpack::decode::<Item>).transpose()?;
                // Bytes and id belong together: another sealing is another message.
                if let Some(item) = item.filter(|item| item.is_sealed_as(message_id)) {
                    if let (1, Some(letter)) = (late.sent, item.letter) {
                        step.event(Event::Unconfirmed { peer: link.peer, letter });
                    }
                    if let (true, Some(blob)) = (late.sent > 1, item.blob) {
                        step.send(id, Message::DirectMessage(DirectMessage { message_id, encrypted_blob: blob }));
                    }
                }
                if late.sent == 1 {
                    newly_late.push((link.peer, late.order));
                }
                late.due = now.after(self.timing.repeat * 2u32.saturating_pow(late.sent.min(10) - 1));
                late.sent = late.sent.saturating_add(1);
            }
        }
        let mut peers = BTreeSet::new();
        for (peer, order) in newly_late {
            self.lane_goes_back(&peer, order);
            peers.insert(peer);
        }
        peers.into_iter().try_for_each(|peer| self.flush_lane(step, rng, peer))
    }

    /// The peer ended a connection. Of letters it does not take because of their length it must not be
    /// asked again and again: they fail. Profile, Trust: chunks of Unknown peers.
    pub(super) fn link_refused<R: Records>(
        &mut self,
        step: &mut Step<'_, R>,
        id: LinkId,
        code: ErrorCode,
    ) -> Result<(), Error> {
        self.relay_ended(step, id, code);
        let Some(link) = self.links.get(&id).filter(|_| code == ErrorCode::Limit) else { return Ok(()) };
        let peer = link.peer;
        let long = link.in_flight.values().filter(|letter| letter.bytes > STRANGER_MESSAGE);
        for order in long.map(|letter| letter.order).collect::<Vec<_>>() {
            if let Some(value) = step.batch.record(ITEMS, &item_key(&peer, order))? {
                let item: Item = msgpack::decode(&value)?;
                self.give_up(step, &peer, order, &item, "it is too long for a contact that has not accepted you")?;
            }
        }
        Ok(())
    }

    /// The item of a message that was sent to a peer, if it is not confirmed yet.
    pub(super) fn item_of<R: Records>(
        &self,
        step: &Step<'_, R>,
        peer: &ContactId,
        message_id: u64,
    ) -> Result<Option<(u64, Item)>, Error> {
        let Some(order) = step.batch.record(MESSAGE_IDS, &message_key(peer, message_id))? else { return Ok(None) };
        let order = order_of(&order)?;
        let key = item_key(peer, order);
        let value = match step.batch.record(ITEMS, &key)? {
            Some(value) => Some(value),
            None => step.batch.record(KEPT, &key)?,
        };
        value.map(|value| Ok((order, msgpack::decode(&value)?))).transpose()
    }

    /// Removes an item that the peer will never take, and says so.
    pub(super) fn give_up<R: Records>(
        &mut self,
        step: &mut Step<'_, R>,
        peer: &ContactId,
        order: u64,
        item: &Item,
        reason: &'static str,
    ) -> Result<(), Error> {
        self.remove_item(step, peer, order, item)?;
        if let Some(letter) = item.letter {
            step.event(Event::Undeliverable { peer: *peer, letter, reason });
        }
        Ok(())
    }

    /// Writes an item that changed; `from` is where it lay.
    pub(super) fn put_item<R: Records>(step: &mut Step<'_, R>, peer: &ContactId, order: u64, from: Space, item: &Item) {
        let key = item_key(peer, order);
        if item.space() != from {
            step.batch.remove(from, key.clone());
        }
        step.batch.put(item.space(), key, msgpack::encode(item));
    }

    /// Takes an item's messages off the window of its connection, by whatever way the news of it came.
    pub(super) fn landed(&mut self, peer: &ContactId, item: &Item) {
        let Some(link) = self.by_peer.get(peer).and_then(|id| self.links.get_mut(id)) else { return };
        for message_id in &item.message_ids {
            if let Some(done) = link.in_flight.remove(message_id) {
                link.in_flight_bytes = link.in_flight_bytes.saturating_sub(done.bytes);
            }
        }
    }

    fn remove_item<R: Records>(
        &mut self,
        step: &mut Step<'_, R>,
        peer: &ContactId,
        order: u64,
        item: &Item,
    ) -> Result<(), Error> {
        self.landed(peer, item);
        Self::kept_no_more(step, peer, item)?;
        step.batch.remove(item.space(), item_key(peer, order));
        for message_id in &item.message_ids {
            step.batch.remove(MESSAGE_IDS, message_key(peer, *message_id));
        }
        Ok(())
    }

    /// Puts an empty content in line, if nothing else waits for the peer: it gets an answer then.
    pub(super) fn enqueue_null<R: Records>(&self, step: &mut Step<'_, R>, peer: ContactId) -> Result<(), Error> {
        if has_items(&step.batch, &peer)? || is_kept(&step.batch, &peer)? {
            return Ok(());
        }
        Self::enqueue(step, peer, None, Content::Null.encode()?)
    }

    fn enqueue<R: Records>(
        step: &mut Step<'_, R>,
        peer: ContactId,
        letter: Option<LetterId>,
        content: Vec<u8>,
    ) -> Result<(), Error> {
        let last = step.batch.record(ORDER, b"")?.as_deref().map_or(Ok(0), order_of)?;
        let order = last + 1;
        step.batch.put(ORDER, *b"", order.to_be_bytes());
        let item = Item {
            letter,
            content: Blob(content),
            text_id: None,
            message_ids: Vec::new(),
            blob: None,
            session: None,
            sealed: None,
            resealed: false,
            kept: None,
            told: None,
        };
        step.batch.put(ITEMS, item_key(&peer, order), msgpack::encode(&item));
        Ok(())
    }
}
