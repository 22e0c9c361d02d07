//! Sealing what waits, and doing so again on another session. Profile, Sessions.

use super::item::{ITEMS, Item, KEPT, MESSAGE_IDS, PAGE, item_key, message_key, order_of};
use crate::account::{Account, Step};
use crate::msgpack::{self, Blob};
use crate::session::SessionNeed;
use crate::{Error, ErrorCode};
use rand_core::CryptoRng;
use waypost_core::{ContactId, Records};

impl Account {
    /// Seals an item on the active session. False if it has to wait: the session is then under way.
    pub(in crate::account) fn seal_item<R: Records>(
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
                self.give_up(step, peer, order, item, reason)?;
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
                self.give_up(step, peer, order, item, "it is too long")?;
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
        let Some(&id) = self.by_peer.get(peer) else {
            let by = self.lane_asks_for_answer(peer);
            return by.map_or(Ok(()), |id| self.send_null(step, rng, id, peer));
        };
        let Some(link) = self.links.get_mut(&id).filter(|link| link.in_flight.is_empty()) else { return Ok(()) };
        if std::mem::replace(&mut link.asked_for_answer, true) {
            return Ok(());
        }
        self.send_null(step, rng, id, peer)
    }

    /// Marks what was sealed on other sessions, and not confirmed, to be sealed again.
    pub(in crate::account) fn unseal_items<R: Records>(
        &mut self,
        step: &mut Step<'_, R>,
        peer: &ContactId,
        which: impl Fn(&mut Item) -> bool,
    ) -> Result<(), Error> {
        for space in [ITEMS, KEPT] {
            let mut after: Option<Vec<u8>> = None;
            'space: loop {
                let page = step.batch.records(space, peer.as_bytes(), after.as_deref(), PAGE)?;
                let Some((last, _)) = page.last() else { break };
                after = Some(last.clone());
                for (key, value) in page {
                    let mut item: Item = msgpack::decode(&value)?;
                    // Items are sealed in their order: behind the first that never was there is none.
                    if item.text_id.is_none() {
                        break 'space;
                    }
                    if item.blob.is_some() && which(&mut item) {
                        self.unseal_item(step, peer, order_of(&key)?, &mut item)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// It waits again, to be sealed anew.
    fn unseal_item<R: Records>(
        &mut self,
        step: &mut Step<'_, R>,
        peer: &ContactId,
        order: u64,
        item: &mut Item,
    ) -> Result<(), Error> {
        self.hand_over_again(peer, order, item);
        Self::kept_no_more(step, peer, item)?;
        let from = item.space();
        item.unseal();
        Self::put_item(step, peer, order, from, item);
        Ok(())
    }

    /// Takes an item off the window; the connection, or the relay it goes by, comes back to it.
    pub(in crate::account) fn hand_over_again(&mut self, peer: &ContactId, order: u64, item: &Item) {
        self.landed(peer, item);
        if let Some(link) = self.by_peer.get(peer).and_then(|id| self.links.get_mut(id)) {
            link.sent_to = link.sent_to.min(order.saturating_sub(1));
        }
        self.lane_goes_back(peer, order);
    }

    /// Seals one item again on the active session, once: its old message id can no longer be read.
    pub(in crate::account) fn reseal<R: Records>(
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
        self.unseal_item(step, peer, order, &mut item)?;
        self.flush(step, rng, *peer)
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
