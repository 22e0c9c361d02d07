//! Keys of messages that were overtaken by later ones.

use super::{
    header::{Header, ReceivingHeaderKey, SealedHeader},
    message::MessageKey,
};
use crate::{Error, ErrorCode};
use std::{collections::VecDeque, time::Duration};
use subtle::ConstantTimeEq;
use waypost_core::Wall;
use zeroize::Zeroizing;

/// How many keys a session keeps; the one stored first goes.
pub(crate) const MAX_SKIPPED: usize = 2000;
/// How long a key is kept.
pub(crate) const SKIPPED_AGE: Duration = Duration::from_secs(30 * 86400);

/// Keys by (header key, number). Chains come one after the other and numbers rise in a chain, so the
/// order of storing is the order here.
#[derive(Clone, Default)]
pub(crate) struct SkippedKeys {
    chains: VecDeque<SkippedChain>,
    count: usize,
    changed: bool,
}

#[derive(Clone)]
struct SkippedChain {
    header_key: ReceivingHeaderKey,
    keys: VecDeque<SkippedKey>,
}

#[derive(Clone)]
struct SkippedKey {
    number: u32,
    stored: Wall,
    /// Boxed, so that moving its neighbours leaves no copy of it behind.
    key: Box<MessageKey>,
}

impl SkippedKey {
    fn is_kept(&self, now: Wall) -> bool {
        now.since(self.stored) < SKIPPED_AGE
    }
}

/// Where a stored key is.
#[derive(Clone, Copy)]
pub(super) struct Place {
    chain: usize,
    key: usize,
}

/// What the store knows of a header.
pub(super) enum Found {
    /// The key of its message.
    Key(Place),
    /// It belongs to the current chain and its key is not stored.
    Current(Header),
    /// It opens under none of the header keys here.
    Nothing,
}

impl SkippedKeys {
    /// Step 2 of receiving: looks whether the message is one that was overtaken.
    ///
    /// # Errors
    /// [`ErrorCode::Replay`] if its chain is over and its key was used.
    pub(super) fn find(
        &self,
        now: Wall,
        ad: &[u8; 32],
        sealed: &SealedHeader,
        current: Option<&ReceivingHeaderKey>,
    ) -> Result<Found, Error> {
        for (place, chain) in self.chains.iter().enumerate() {
            if !chain.keys.iter().any(|key| key.is_kept(now)) {
                continue;
            }
            let Some(header) = chain.header_key.open(ad, sealed) else { continue };
            if let Ok(key) = chain.keys.binary_search_by_key(&header.number, |key| key.number)
                && chain.keys.get(key).is_some_and(|key| key.is_kept(now))
            {
                return Ok(Found::Key(Place { chain: place, key }));
            }
            if current.is_some_and(|current| bool::from(current.ct_eq(&chain.header_key))) {
                return Ok(Found::Current(header));
            }
            return Err(Error::Crypto(ErrorCode::Replay));
        }
        Ok(Found::Nothing)
    }

    /// A copy of a stored key.
    pub(super) fn key(&self, place: Place) -> Option<MessageKey> {
        Some((*self.chains.get(place.chain)?.keys.get(place.key)?.key).clone())
    }

    /// Deletes a used key.
    pub(super) fn remove(&mut self, place: Place) {
        let Some(chain) = self.chains.get_mut(place.chain) else { return };
        if chain.keys.remove(place.key).is_some() {
            self.count = self.count.saturating_sub(1);
            self.changed = true;
        }
        if chain.keys.is_empty() {
            self.chains.remove(place.chain);
        }
    }

    /// Stores the keys of one chain; above the limit the ones stored first go.
    pub(super) fn store(&mut self, now: Wall, header_key: &ReceivingHeaderKey, keys: Vec<(u32, MessageKey)>) {
        if keys.is_empty() {
            return;
        }
        self.changed = true;
        self.count = self.count.saturating_add(keys.len());
        let keys = keys.into_iter().map(|(number, key)| SkippedKey { number, stored: now, key: Box::new(key) });
        match self.chains.back_mut() {
            Some(last) if bool::from(last.header_key.ct_eq(header_key)) => last.keys.extend(keys),
            _ => self.chains.push_back(SkippedChain { header_key: header_key.clone(), keys: keys.collect() }),
        }
        while self.count > MAX_SKIPPED {
            self.remove(Place { chain: 0, key: 0 });
        }
    }

    /// Deletes the keys that are too old.
    pub(super) fn expire(&mut self, now: Wall) {
        let before = self.count;
        for chain in &mut self.chains {
            chain.keys.retain(|key| key.is_kept(now));
        }
        self.chains.retain(|chain| !chain.keys.is_empty());
        self.count = self.chains.iter().map(|chain| chain.keys.len()).sum();
        self.changed |= self.count != before;
    }

    /// How many keys are stored.
    pub(crate) const fn len(&self) -> usize {
        self.count
    }

    /// Whether keys came or went since the store was made or decoded.
    pub(crate) const fn is_changed(&self) -> bool {
        self.changed
    }

    /// For a record: per chain its header key, a count and the keys.
    pub(crate) fn encode(&self) -> Zeroizing<Vec<u8>> {
        let mut out = Zeroizing::new(Vec::with_capacity(self.chains.len() * 36 + self.count * 44));
        for chain in &self.chains {
            out.extend_from_slice(&chain.header_key.0);
            out.extend_from_slice(&u32::try_from(chain.keys.len()).unwrap_or(u32::MAX).to_be_bytes());
            for key in &chain.keys {
                out.extend_from_slice(&key.number.to_be_bytes());
                out.extend_from_slice(&key.stored.as_millis().to_be_bytes());
                out.extend_from_slice(&key.key.0);
            }
        }
        out
    }

    /// Reads what [`Self::encode`] wrote; none if it is anything else.
    pub(crate) fn decode(mut bytes: &[u8]) -> Option<Self> {
        let mut store = Self::default();
        while !bytes.is_empty() {
            let header_key = ReceivingHeaderKey(take(&mut bytes)?);
            let length = u32::from_be_bytes(take(&mut bytes)?) as usize;
            if length == 0 || length > bytes.len() / 44 {
                return None;
            }
            let mut keys = VecDeque::with_capacity(length);
            for _ in 0..length {
                let number = u32::from_be_bytes(take(&mut bytes)?);
                let stored = Wall::from_millis(u64::from_be_bytes(take(&mut bytes)?));
                keys.push_back(SkippedKey { number, stored, key: Box::new(MessageKey(take(&mut bytes)?)) });
            }
            store.count = store.count.saturating_add(length);
            store.chains.push_back(SkippedChain { header_key, keys });
        }
        (store.count <= MAX_SKIPPED).then_some(store)
    }
}

/// The next `N` bytes.
pub(super) fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, rest) = bytes.split_first_chunk::<N>()?;
    *bytes = rest;
    Some(*taken)
}
