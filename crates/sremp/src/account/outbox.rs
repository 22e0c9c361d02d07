//! Letters on their way: stored before they are sealed, sealed once, the same bytes sent until the
//! recipient's signed confirmation. Profile, Sessions (Persist) and Direct delivery.

use super::link::InFlight;
use super::{Account, Event, Step};
use crate::content::Content;
use crate::message::{DeliveryConfirmation, DirectMessage, Message};
use crate::msgpack::{self, Blob, record};
use crate::pqxdh::SessionId;
use crate::relay::confirmation_content;
use crate::session::SessionNeed;
use crate::{Error, ErrorCode, LinkId, ed25519};
use rand_core::CryptoRng;
use waypost_core::{ContactId, InviteToken, Letter, LetterId, Protection, RecordFault, Records, Space, Wall};

/// Items by recipient and order.
const ITEMS: Space = Space("sremp/outbox");
/// Where the item of a message id is: recipient and message id -> order.
const MESSAGE_IDS: Space = Space("sremp/outbox-message");
/// The order given last.
const ORDER: Space = Space("sremp/outbox-order");

/// Items read at once: each may be a megabyte.
const PAGE: usize = 8;
/// Longest message to a peer that does not trust us. Profile, Limits: chunks of Unknown peers.
const STRANGER_MESSAGE: usize = 65_536;

record! {
    /// Something to send.
    pub(super) struct Item {
        /// The letter's id; none for what the person never sees.
        letter: Option<LetterId>,
        /// The content as it was queued: what a peer of our kind gets.
        content: Blob,
        /// TEXT.id: the message id of the first sealing.
        text_id: Option<u64>,
        /// Every message id it was ever sealed under; each may still be confirmed.
        message_ids: Vec<u64>,
        /// The sealed bytes.
        blob: Option<Blob>,
        /// The session that sealed them.
        session: Option<[u8; 16]>,
        /// When they were sealed.
        sealed: Option<Wall>,
        /// Sealed again because the peer started a new session; done once.
        resealed: bool,
    }
}

impl Item {
    pub(super) fn content(&self) -> &[u8] {
        &self.content
    }

    /// Whether it is sealed on another session than this.
    pub(super) fn is_on_another(&self, session: SessionId) -> bool {
        self.session.is_some_and(|sealed_on| sealed_on != session.0)
    }

    /// Whether a new session of the peer makes it be sealed again: once, and not what has just left.
    pub(super) fn reseal_for(&mut self, session: SessionId, sealed_before: Wall) -> bool {
        let again = !self.resealed && self.is_on_another(session) && self.sealed.is_some_and(|at| at < sealed_before);
        self.resealed |= again;
        again
    }

    /// Whether it is sealed under this id now.
    pub(super) fn is_sealed_as(&self, message_id: u64) -> bool {
        self.blob.is_some() && self.message_ids.last() == Some(&message_id)
    }

    fn unseal(&mut self) {
        (self.blob, self.session, self.sealed) = (None, None, None);
    }
}

/// Whether anything waits for this peer.
pub(super) fn has_items(records: &(impl Records + ?Sized), peer: &ContactId) -> Result<bool, RecordFault> {
    Ok(!records.records(ITEMS, peer.as_bytes(), None, 1)?.is_empty())
}

/// Everybody for whom something waits.
pub(super) fn recipients(records: &(impl Records + ?Sized)) -> Result<Vec<ContactId>, Error> {
    let mut found = Vec::new();
    let mut after: Option<Vec<u8>> = None;
    while let Some((key, _)) = records.records(ITEMS, b"", after.as_deref(), 1)?.pop() {
        let peer = *key.first_chunk::<32>().ok_or(Error::Internal("an outbox key without recipient"))?;
        let peer = ContactId::from_bytes(peer);
        after = Some(item_key(&peer, u64::MAX));
        found.push(peer);
    }
    Ok(found)
}

/// Makes everything that waits be sealed anew, on sessions still to be made.
pub(super) fn unseal_all<R: Records + ?Sized>(batch: &mut waypost_core::Batch<'_, R>) -> Result<(), Error> {
    let mut after: Option<Vec<u8>> = None;
    loop {
        let page = batch.records(ITEMS, b"", after.as_deref(), PAGE)?;
        let Some((last, _)) = page.last() else { return Ok(()) };
        after = Some(last.clone());
        for (key, value) in page {
            let mut item: Item = msgpack::decode(&value)?;
            item.unseal();
            batch.put(ITEMS, key, msgpack::encode(&item));
        }
    }
}

fn item_key(peer: &ContactId, order: u64) -> Vec<u8> {
    [&peer.as_bytes()[..], &order.to_be_bytes()].concat()
}

fn message_key(peer: &ContactId, message_id: u64) -> Vec<u8> {
    [&peer.as_bytes()[..], &message_id.to_be_bytes()].concat()
}

fn order_of(key: &[u8]) -> Result<u64, Error> {
    let bytes = key.last_chunk().ok_or(Error::Internal("an outbox key without order"))?;
    Ok(u64::from_be_bytes(*bytes))
}

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
        self.enqueue(step, peer, Some(id), content)?;
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
        self.enqueue(step, peer, None, content)?;
        self.settle(step, rng, peer)
    }

    pub(super) fn withdraw<R: Records>(&mut self, step: &mut Step<'_, R>, peer: ContactId) -> Result<(), Error> {
        let mut after: Option<Vec<u8>> = None;
        loop {
            let page = step.batch.records(ITEMS, peer.as_bytes(), after.as_deref(), PAGE)?;
            let Some((last, _)) = page.last() else { return Ok(()) };
            after = Some(last.clone());
            for (key, value) in page {
                let item: Item = msgpack::decode(&value)?;
                self.remove_item(step, &peer, order_of(&key)?, &item);
            }
        }
    }

    /// Hands what waits for a peer to its connection, as far as the window allows.
    pub(super) fn flush<R: Records>(
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

    /// Seals an item on the active session. False if it has to wait: the session is then under way.
    fn seal_item<R: Records>(
        &mut self,
        step: &mut Step<'_, R>,
        rng: &mut impl CryptoRng,
        peer: &ContactId,
        order: u64,
        item: &mut Item,
    ) -> Result<bool, Error> {
        let message_id = self.fresh_message_id(step, rng, peer)?;
        let text_id = item.text_id.unwrap_or(message_id);
        let content = match self.content_for(step, peer, item, text_id)? {
            Ok(content) => content,
            Err(reason) => {
                self.give_up(step, peer, order, item, reason);
                return Ok(true);
            }
        };
        let sealed = match self.vault.seal(&mut step.batch, *peer, message_id, &content, step.now.wall, rng) {
            Ok(sealed) => sealed,
            // The peer's first answer makes room for it.
            Err(Error::Unanswered) => {
                self.ask_for_answer(step, rng, peer)?;
                return Ok(false);
            }
            Err(Error::Crypto(ErrorCode::NoSession)) => {
                self.begin_setup(step, *peer);
                return Ok(false);
            }
            Err(Error::Refused(ErrorCode::TooLarge)) => {
                self.give_up(step, peer, order, item, "it is too long");
                return Ok(true);
            }
            Err(error) => return Err(error),
        };
        if sealed.need != SessionNeed::No {
            self.begin_setup(step, *peer);
        }
        item.text_id = Some(text_id);
        item.message_ids.push(message_id);
        item.blob = Some(Blob(sealed.blob));
        item.session = Some(sealed.session.0);
        item.sealed = Some(step.now.wall);
        step.batch.put(MESSAGE_IDS, message_key(peer, message_id), order.to_be_bytes());
        step.batch.put(ITEMS, item_key(peer, order), msgpack::encode(item));
        self.answers_due.remove(peer);
        Ok(true)
    }

    /// What waits is too long for a session that the peer has not answered. If nothing is on its way that
    /// the peer would answer, as when that was lost with a connection, something short is sent.
    fn ask_for_answer<R: Records>(
        &mut self,
        step: &mut Step<'_, R>,
        rng: &mut impl CryptoRng,
        peer: &ContactId,
    ) -> Result<(), Error> {
        let Some(&id) = self.by_peer.get(peer) else { return Ok(()) };
        let Some(link) = self.links.get_mut(&id).filter(|link| link.in_flight.is_empty()) else { return Ok(()) };
        if std::mem::replace(&mut link.asked_for_answer, true) {
            return Ok(());
        }
        self.send_null(step, rng, id, peer)
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
    /// Profile, Signature contents.
    pub(super) fn confirmed<R: Records>(
        &mut self,
        step: &mut Step<'_, R>,
        rng: &mut impl CryptoRng,
        confirmation: &DeliveryConfirmation,
    ) -> Result<(), Error> {
        let peer = confirmation.delivered_to;
        let for_us = confirmation.sender.is_none_or(|sender| sender == self.id());
        let Some((order, item)) = self.item_of(step, &peer, confirmation.message_id)? else { return Ok(()) };
        let content = confirmation_content(&self.id(), &peer, confirmation.message_id, confirmation.timestamp);
        if !for_us || ed25519::verify(&peer, &content, &confirmation.signature).is_err() {
            return Ok(());
        }
        self.remove_item(step, &peer, order, &item);
        if let Some(letter) = item.letter {
            step.event(Event::Delivered { peer, letter });
        }
        self.flush(step, rng, peer)
    }

    /// The signature by which this account confirms a message of `sender`.
    pub(super) fn sign_confirmation(&self, sender: &ContactId, message_id: u64, timestamp: Wall) -> ed25519::Signature {
        self.keys.signing.sign(&confirmation_content(sender, &self.id(), message_id, timestamp))
    }

    /// What is late on a connection is told to the router once, and sent again, ever more rarely.
    pub(super) fn confirmations_due<R: Records>(&mut self, step: &mut Step<'_, R>) -> Result<(), Error> {
        let now = step.now.mono;
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
                late.due = now.after(self.timing.repeat * 2u32.saturating_pow(late.sent.min(10) - 1));
                late.sent = late.sent.saturating_add(1);
            }
        }
        Ok(())
    }

    /// Marks what was sealed on other sessions, and not confirmed, to be sealed again.
    pub(super) fn unseal_items<R: Records>(
        &mut self,
        step: &mut Step<'_, R>,
        peer: &ContactId,
        which: impl Fn(&mut Item) -> bool,
    ) -> Result<(), Error> {
        let mut after: Option<Vec<u8>> = None;
        loop {
            let page = step.batch.records(ITEMS, peer.as_bytes(), after.as_deref(), PAGE)?;
            let Some((last, _)) = page.last() else { return Ok(()) };
            after = Some(last.clone());
            for (key, value) in page {
                let mut item: Item = msgpack::decode(&value)?;
                // Items are sealed in their order: behind the first that never was there is none.
                if item.text_id.is_none() {
                    return Ok(());
                }
                if item.blob.is_some() && which(&mut item) {
                    self.hand_over_again(peer, order_of(&key)?, &item);
                    item.unseal();
                    step.batch.put(ITEMS, key, msgpack::encode(&item));
                }
            }
        }
    }

    /// Takes an item off the window; the connection comes back to it.
    fn hand_over_again(&mut self, peer: &ContactId, order: u64, item: &Item) {
        self.landed(peer, item);
        if let Some(link) = self.by_peer.get(peer).and_then(|id| self.links.get_mut(id)) {
            link.sent_to = link.sent_to.min(order.saturating_sub(1));
        }
    }

    /// The peer ended a connection. Of letters it does not take because of their length it must not be
    /// asked again and again: they fail. Profile, Trust: chunks of Unknown peers.
    pub(super) fn link_refused<R: Records>(
        &mut self,
        step: &mut Step<'_, R>,
        id: LinkId,
        code: ErrorCode,
    ) -> Result<(), Error> {
        let Some(link) = self.links.get(&id).filter(|_| code == ErrorCode::Limit) else { return Ok(()) };
        let peer = link.peer;
        let long = link.in_flight.values().filter(|letter| letter.bytes > STRANGER_MESSAGE);
        for order in long.map(|letter| letter.order).collect::<Vec<_>>() {
            if let Some(value) = step.batch.record(ITEMS, &item_key(&peer, order))? {
                let item: Item = msgpack::decode(&value)?;
                self.give_up(step, &peer, order, &item, "it is too long for a contact that has not accepted you");
            }
        }
        Ok(())
    }

    /// Seals one item again on the active session, once: its old message id can no longer be read.
    pub(super) fn reseal<R: Records>(
        &mut self,
        step: &mut Step<'_, R>,
        rng: &mut impl CryptoRng,
        peer: &ContactId,
        order: u64,
        mut item: Item,
    ) -> Result<(), Error> {
        if std::mem::replace(&mut item.resealed, true) {
            return Ok(());
        }
        self.hand_over_again(peer, order, &item);
        item.unseal();
        step.batch.put(ITEMS, item_key(peer, order), msgpack::encode(&item));
        self.flush(step, rng, *peer)
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
        let Some(value) = step.batch.record(ITEMS, &item_key(peer, order))? else { return Ok(None) };
        Ok(Some((order, msgpack::decode(&value)?)))
    }

    /// Removes an item that the peer will never take, and says so.
    pub(super) fn give_up<R: Records>(
        &mut self,
        step: &mut Step<'_, R>,
        peer: &ContactId,
        order: u64,
        item: &Item,
        reason: &'static str,
    ) {
        self.remove_item(step, peer, order, item);
        if let Some(letter) = item.letter {
            step.event(Event::Undeliverable { peer: *peer, letter, reason });
        }
    }

    /// Takes an item's messages off the window of its connection, by whatever way the news of it came.
    fn landed(&mut self, peer: &ContactId, item: &Item) {
        let Some(link) = self.by_peer.get(peer).and_then(|id| self.links.get_mut(id)) else { return };
        for message_id in &item.message_ids {
            if let Some(done) = link.in_flight.remove(message_id) {
                link.in_flight_bytes = link.in_flight_bytes.saturating_sub(done.bytes);
            }
        }
    }

    fn remove_item<R: Records>(&mut self, step: &mut Step<'_, R>, peer: &ContactId, order: u64, item: &Item) {
        self.landed(peer, item);
        step.batch.remove(ITEMS, item_key(peer, order));
        for message_id in &item.message_ids {
            step.batch.remove(MESSAGE_IDS, message_key(peer, *message_id));
        }
    }

    fn enqueue<R: Records>(
        &mut self,
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
        };
        step.batch.put(ITEMS, item_key(&peer, order), msgpack::encode(&item));
        Ok(())
    }

    fn fresh_message_id<R: Records>(
        &self,
        step: &Step<'_, R>,
        rng: &mut impl CryptoRng,
        peer: &ContactId,
    ) -> Result<u64, Error> {
        loop {
            let id = rng.next_u64();
            if step.batch.record(MESSAGE_IDS, &message_key(peer, id))?.is_none() {
                return Ok(id);
            }
        }
    }
}
