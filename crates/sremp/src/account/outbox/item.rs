//! What waits for a peer, as it lies in the records.

use crate::Error;
use crate::msgpack::{self, Blob, record};
use crate::pqxdh::SessionId;
use std::collections::BTreeSet;
use waypost_core::{ContactId, LetterId, RecordFault, Records, Space, Wall};

/// Items that wait for a way, by recipient and order.
pub(in crate::account) const ITEMS: Space = Space("sremp/outbox");
/// Items that a relay keeps: they wait for nothing but their confirmation.
pub(in crate::account) const KEPT: Space = Space("sremp/outbox-kept");
/// Where the item of a message id is: recipient and message id -> order.
pub(super) const MESSAGE_IDS: Space = Space("sremp/outbox-message");
/// The order given last.
pub(super) const ORDER: Space = Space("sremp/outbox-order");

/// Items read at once: each may be a megabyte.
pub(in crate::account) const PAGE: usize = 8;

record! {
    /// Something to send.
    pub(in crate::account) struct Item {
        /// The letter's id; none for what the person never sees.
        pub(super) letter: Option<LetterId>,
        /// The content as it was queued: what a peer of our kind gets.
        pub(super) content: Blob,
        /// TEXT.id: the message id of the first sealing.
        pub(super) text_id: Option<u64>,
        /// Every message id it was ever sealed under; each may still be confirmed.
        pub(super) message_ids: Vec<u64>,
        /// The sealed bytes.
        pub(super) blob: Option<Blob>,
        /// The session that sealed them.
        pub(super) session: Option<[u8; 16]>,
        /// When they were sealed.
        pub(super) sealed: Option<Wall>,
        /// Sealed again because the peer started a new session; done once.
        pub(super) resealed: bool,
        /// The relays that keep it as it is sealed now.
        pub(super) kept: Option<Vec<ContactId>>,
        /// The relays of which the person was told.
        pub(super) told: Option<Vec<ContactId>>,
    }
}

impl Item {
    pub(in crate::account) fn content(&self) -> &[u8] {
        &self.content
    }

    /// Whether it is sealed on another session than this.
    pub(in crate::account) fn is_on_another(&self, session: SessionId) -> bool {
        self.session.is_some_and(|sealed_on| sealed_on != session.0)
    }

    /// Whether a new session of the peer makes it be sealed again: not what has just left, and a second
    /// time only if the first is long past, so that no two sides chase each other.
    pub(in crate::account) fn reseal_for(&mut self, session: SessionId, recent: Wall, long_past: Wall) -> bool {
        let before = if self.resealed { long_past } else { recent };
        let again = self.is_on_another(session) && self.sealed.is_some_and(|at| at < before);
        self.resealed |= again;
        again
    }

    /// Whether it is sealed under this id now.
    pub(in crate::account) fn is_sealed_as(&self, message_id: u64) -> bool {
        self.blob.is_some() && self.message_ids.last() == Some(&message_id)
    }

    /// Whether it was sealed, on a session that is still good for it.
    pub(in crate::account) const fn is_sealed(&self) -> bool {
        self.blob.is_some()
    }

    /// What travels, and under which id.
    pub(in crate::account) fn sealed_bytes(&self) -> Option<(u64, &[u8])> {
        self.message_ids.last().copied().zip(self.blob.as_deref())
    }

    /// The letter it is, if the person sees it.
    pub(in crate::account) const fn letter(&self) -> Option<LetterId> {
        self.letter
    }

    /// The relays that keep it.
    pub(in crate::account) fn kept_by(&self) -> &[ContactId] {
        self.kept.as_deref().unwrap_or_default()
    }

    /// Whether a relay keeps it: it is not carried anywhere else then.
    pub(in crate::account) fn is_kept(&self) -> bool {
        !self.kept_by().is_empty()
    }

    /// Where its record lies.
    pub(in crate::account) fn space(&self) -> Space {
        if self.is_kept() { KEPT } else { ITEMS }
    }

    /// A relay keeps it. Whether the person has to be told.
    pub(in crate::account) fn keep(&mut self, relay: ContactId) -> bool {
        let kept = self.kept.get_or_insert_default();
        if !kept.contains(&relay) {
            kept.push(relay);
        }
        let told = self.told.get_or_insert_default();
        let news = !told.contains(&relay);
        if news {
            told.push(relay);
        }
        news
    }

    /// A relay is not counted on any more.
    pub(in crate::account) fn leave(&mut self, relay: &ContactId) {
        if let Some(kept) = &mut self.kept {
            kept.retain(|keeper| keeper != relay);
        }
    }

    /// No relay keeps it any more, and nobody will open these bytes: it begins anew.
    pub(in crate::account) fn expire(&mut self) {
        self.unseal();
        self.resealed = false;
    }

    /// Its sealed bytes are of no use any more.
    pub(super) fn unseal(&mut self) {
        (self.blob, self.session, self.sealed, self.kept) = (None, None, None, None);
    }
}

/// Whether anything waits for a way to this peer.
pub(in crate::account) fn has_items(records: &(impl Records + ?Sized), peer: &ContactId) -> Result<bool, RecordFault> {
    Ok(!records.records(ITEMS, peer.as_bytes(), None, 1)?.is_empty())
}

/// Whether anything for this peer waits at a relay.
pub(in crate::account) fn is_kept(records: &(impl Records + ?Sized), peer: &ContactId) -> Result<bool, RecordFault> {
    Ok(!records.records(KEPT, peer.as_bytes(), None, 1)?.is_empty())
}

/// Everybody for whom something waits, here or at a relay.
pub(in crate::account) fn recipients(records: &(impl Records + ?Sized)) -> Result<Vec<ContactId>, Error> {
    let mut found = BTreeSet::new();
    for space in [ITEMS, KEPT] {
        let mut after: Option<Vec<u8>> = None;
        while let Some((key, _)) = records.records(space, b"", after.as_deref(), 1)?.pop() {
            let peer = *key.first_chunk::<32>().ok_or(Error::Internal("an outbox key without recipient"))?;
            let peer = ContactId::from_bytes(peer);
            after = Some(item_key(&peer, u64::MAX));
            found.insert(peer);
        }
    }
    Ok(found.into_iter().collect())
}

/// Makes everything that waits be sealed anew, on sessions still to be made.
pub(in crate::account) fn unseal_all<R: Records + ?Sized>(batch: &mut waypost_core::Batch<'_, R>) -> Result<(), Error> {
    for space in [ITEMS, KEPT] {
        let mut after: Option<Vec<u8>> = None;
        loop {
            let page = batch.records(space, b"", after.as_deref(), PAGE)?;
            let Some((last, _)) = page.last() else { break };
            after = Some(last.clone());
            for (key, value) in page {
                let mut item: Item = msgpack::decode(&value)?;
                item.unseal();
                batch.put(ITEMS, key.clone(), msgpack::encode(&item));
                if space == KEPT {
                    batch.remove(KEPT, key);
                }
            }
        }
    }
    Ok(())
}

pub(in crate::account) fn item_key(peer: &ContactId, order: u64) -> Vec<u8> {
    [&peer.as_bytes()[..], &order.to_be_bytes()].concat()
}

pub(in crate::account) fn message_key(peer: &ContactId, message_id: u64) -> Vec<u8> {
    [&peer.as_bytes()[..], &message_id.to_be_bytes()].concat()
}

pub(in crate::account) fn order_of(key: &[u8]) -> Result<u64, Error> {
    let bytes = key.last_chunk().ok_or(Error::Internal("an outbox key without order"))?;
    Ok(u64::from_be_bytes(*bytes))
}
