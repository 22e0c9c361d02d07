//! Keys that were met: how each is carried, what it can, whether it always binds. Profile PP-9.2b; Locks and modes.

use crate::bind::Binding;
use crate::key::CarriedKey;
use crate::{Drop, Fingerprint, PublicKey};
use std::collections::BTreeMap;
use waypost_core::Mono;

/// Forms of one key that are remembered.
const FORMS: usize = 4;

/// What is known of a key.
#[derive(Clone, Debug)]
pub struct Peer {
    key: PublicKey,
    /// Uids of the forms it was carried in, the newest first: that is where its inbox is.
    uids: Vec<u32>,
    uid_ts: u64,
    /// It has signed a binding claim: from now on it always does.
    locked: bool,
    caps: Vec<String>,
    caps_ts: u64,
    boot: Option<[u8; 8]>,
    boot_ts: u64,
    newest_ts: u64,
    pinned: bool,
    blocked: bool,
    met: Mono,
}

/// What is kept of a key over a restart. PP-9.2b.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredPeer {
    /// Canonical DER SubjectPublicKeyInfo.
    pub spki: Vec<u8>,
    /// Uids of the forms it was carried in, the newest first.
    pub uids: Vec<u32>,
    /// Whether it always binds what it signs.
    pub locked: bool,
    /// What it can, by its newest signed word.
    pub caps: Vec<String>,
    /// The time of that word, Unix seconds.
    pub caps_ts: u64,
    /// The time of its newest token, Unix seconds.
    pub newest_ts: u64,
    /// Whether the user has compared its fingerprint.
    pub pinned: bool,
    /// Whether the user wants nothing of it.
    pub blocked: bool,
}

/// What a token changed about its key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Noted {
    /// The key is new, or is locked, or can something else: worth keeping.
    pub(crate) changed: bool,
    /// Its process was started anew: sessions older than the token are dead.
    pub(crate) restarted: bool,
}

/// Keys that were met.
#[derive(Default)]
pub struct Book {
    peers: BTreeMap<Fingerprint, Peer>,
    by_uid: BTreeMap<u32, Vec<Fingerprint>>,
    most: usize,
    per_uid: usize,
}

impl Peer {
    /// The key.
    pub const fn key(&self) -> &PublicKey {
        &self.key
    }

    /// Where its inbox is.
    pub fn uid(&self) -> u32 {
        self.uids.first().copied().unwrap_or_else(|| self.key.uid())
    }

    /// Whether it always binds what it signs.
    pub const fn is_locked(&self) -> bool {
        self.locked
    }

    /// Whether the user has compared its fingerprint.
    pub const fn is_pinned(&self) -> bool {
        self.pinned
    }

    /// Whether the user wants nothing of it.
    pub const fn is_blocked(&self) -> bool {
        self.blocked
    }

    /// What it can, by its own newest signed word.
    pub fn caps(&self) -> &[String] {
        &self.caps
    }

    /// Whether it may be forgotten: the user has said nothing about it.
    const fn may_go(&self) -> bool {
        !self.pinned && !self.blocked
    }

    /// The time of its newest token.
    pub(crate) const fn newest(&self) -> u64 {
        self.newest_ts
    }

    /// Whether its newest signed word says that it can something.
    pub(crate) fn can(&self, cap: &str) -> bool {
        self.caps.iter().any(|known| known == cap)
    }

    /// Whether a `sender_id` is one of its uids.
    pub(crate) fn is_uid(&self, uid: u32) -> bool {
        self.uids.contains(&uid)
    }
}

impl Book {
    pub(crate) fn new(most: usize, per_uid: usize) -> Self {
        Self { most, per_uid, ..Self::default() }
    }

    /// What is known of a key.
    pub fn get(&self, peer: &Fingerprint) -> Option<&Peer> {
        self.peers.get(peer)
    }

    /// All keys.
    pub fn all(&self) -> impl Iterator<Item = &Peer> {
        self.peers.values()
    }

    /// All keys with a uid.
    pub fn of_uid(&self, uid: u32) -> &[Fingerprint] {
        self.by_uid.get(&uid).map_or(&[], Vec::as_slice)
    }

    /// Whether a key finds room: a uid has so many, and known ones stay.
    ///
    /// # Errors
    /// [`Drop::Overload`].
    pub(crate) fn check_room(&self, key: &CarriedKey) -> Result<(), Drop> {
        if self.peers.contains_key(&key.key.fingerprint()) {
            return Ok(());
        }
        let room = self.peers.len() < self.most || self.peers.values().any(Peer::may_go);
        if room && self.of_uid(key.uid).len() < self.per_uid { Ok(()) } else { Err(Drop::Overload) }
    }

    /// Notes a key from elsewhere than a token: the user's store.
    pub fn meet(&mut self, now: Mono, key: &CarriedKey) -> &mut Peer {
        let id = key.key.fingerprint();
        let peer = self.peers.entry(id).or_insert_with(|| Peer {
            key: key.key.clone(),
            uids: Vec::new(),
            uid_ts: 0,
            locked: false,
            caps: Vec::new(),
            caps_ts: 0,
            boot: None,
            boot_ts: 0,
            newest_ts: 0,
            pinned: false,
            blocked: false,
            met: now,
        });
        if !peer.uids.contains(&key.uid) {
            peer.uids.push(key.uid);
            self.by_uid.entry(key.uid).or_default().push(id);
        }
        peer
    }

    /// Notes a token that was verified.
    pub(crate) fn note(&mut self, now: Mono, key: &CarriedKey, ts: u64, binding: Option<&Binding>) -> Noted {
        let new = !self.peers.contains_key(&key.key.fingerprint());
        let peer = self.meet(now, key);
        let mut noted = Noted { changed: new, restarted: false };
        peer.newest_ts = peer.newest_ts.max(ts);
        if ts >= peer.uid_ts {
            peer.uid_ts = ts;
            peer.uids.retain(|uid| *uid != key.uid);
            peer.uids.insert(0, key.uid);
            peer.uids.truncate(FORMS);
        }
        let Some(binding) = binding else { return noted };
        noted.changed |= !std::mem::replace(&mut peer.locked, true);
        if ts >= peer.caps_ts {
            noted.changed |= peer.caps != binding.caps;
            (peer.caps_ts, peer.caps) = (ts, binding.caps.clone());
        }
        if let Some(boot) = binding.boot
            && ts >= peer.boot_ts
        {
            noted.restarted = peer.boot.is_some_and(|known| known != boot);
            (peer.boot, peer.boot_ts) = (Some(boot), ts);
        }
        noted
    }

    /// What the store said of a key: its capabilities under lock.
    pub fn restore_lock(&mut self, peer: &Fingerprint, caps: Vec<String>) {
        if let Some(peer) = self.peers.get_mut(peer) {
            (peer.locked, peer.caps) = (true, caps);
        }
    }

    /// A key as it is kept; none if it is unknown.
    pub fn store(&self, peer: &Fingerprint) -> Option<StoredPeer> {
        self.peers.get(peer).map(|peer| StoredPeer {
            spki: peer.key.spki().to_vec(),
            uids: peer.uids.clone(),
            locked: peer.locked,
            caps: peer.caps.clone(),
            caps_ts: peer.caps_ts,
            newest_ts: peer.newest_ts,
            pinned: peer.pinned,
            blocked: peer.blocked,
        })
    }

    /// Takes back a key that was kept.
    ///
    /// # Errors
    /// [`Drop::BadKey`] if it is none; [`Drop::Overload`] if it finds no room.
    pub fn restore(&mut self, now: Mono, stored: &StoredPeer) -> Result<Fingerprint, Drop> {
        let key = PublicKey::from_spki(&stored.spki).ok_or(Drop::BadKey)?;
        let own = [key.uid()];
        let uids = if stored.uids.is_empty() { &own[..] } else { &stored.uids };
        let id = key.fingerprint();
        if self.peers.len() >= self.most && !self.peers.contains_key(&id) {
            return Err(Drop::Overload);
        }
        for uid in uids.iter().take(FORMS) {
            let carried = CarriedKey { key: key.clone(), uid: *uid };
            self.check_room(&carried)?;
            let peer = self.meet(now, &carried);
            (peer.locked, peer.caps, peer.caps_ts) = (stored.locked, stored.caps.clone(), stored.caps_ts);
            (peer.newest_ts, peer.uid_ts) = (stored.newest_ts, stored.newest_ts);
            (peer.pinned, peer.blocked) = (stored.pinned, stored.blocked);
        }
        Ok(id)
    }

    /// The user has compared the fingerprint; false if the key is unknown.
    pub fn set_pinned(&mut self, peer: &Fingerprint, pinned: bool) -> bool {
        self.peers.get_mut(peer).map(|peer| peer.pinned = pinned).is_some()
    }

    /// The user wants nothing of it; false if the key is unknown.
    pub fn set_blocked(&mut self, peer: &Fingerprint, blocked: bool) -> bool {
        self.peers.get_mut(peer).map(|peer| peer.blocked = blocked).is_some()
    }

    /// The user lets a key go back to not binding.
    pub fn unlock(&mut self, peer: &Fingerprint) -> bool {
        self.peers.get_mut(peer).map(|peer| (peer.locked, peer.caps) = (false, Vec::new())).is_some()
    }

    /// The key that goes when a new one is beyond the bound: those that are not there go first, those with a session
    /// last, the one met longest ago before others. Pinned and blocked ones stay.
    pub(crate) fn crowd_out(
        &mut self,
        new: &Fingerprint,
        there: impl Fn(&Fingerprint) -> (bool, bool),
    ) -> Option<Fingerprint> {
        if self.peers.len() <= self.most {
            return None;
        }
        let free = self.peers.iter().filter(|(id, peer)| *id != new && peer.may_go());
        let id = free.min_by_key(|(id, peer)| (there(id), peer.met)).map(|(id, _)| *id)?;
        let peer = self.peers.remove(&id)?;
        for uid in peer.uids {
            if let Some(keys) = self.by_uid.get_mut(&uid) {
                keys.retain(|key| *key != id);
                if keys.is_empty() {
                    self.by_uid.remove(&uid);
                }
            }
        }
        Some(id)
    }
}
