//! Tokens that were seen: each is taken once, whatever broker brings it. Profile, Replay cache; PP-X7, PP-9.1a.

use crate::schedule::hash;
use crate::{PublicKey, Topic};
use sha2::{Digest, Sha256};
use std::collections::{HashSet, VecDeque};
use std::time::Duration;
use waypost_core::{Mono, Now, Wall};

/// What a token is remembered by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Seen([u8; 32]);

impl Seen {
    /// A token with a binding claim: it is good in one place only.
    pub(crate) fn bound(key: &PublicKey, signed: &str) -> Self {
        Self::new(key, signed, b"")
    }

    /// A token without one, on its topic.
    pub(crate) fn literal(key: &PublicKey, signed: &str, topic: Topic) -> Self {
        Self::new(key, signed, topic.to_string().as_bytes())
    }

    /// A token of a literal handshake: with what it came with, so that nobody spoils the true one by spending it first.
    pub(crate) fn handshake(key: &PublicKey, signed: &str, topic: Topic, sid: &str, aes_key: &[u8]) -> Self {
        let wrapped = Sha256::digest(aes_key);
        let scope = [topic.to_string().as_bytes(), &[0], sid.as_bytes(), &[0], &wrapped].concat();
        Self::new(key, signed, &scope)
    }

    fn new(key: &PublicKey, signed: &str, scope: &[u8]) -> Self {
        Self(hash(&[key.spki(), signed.as_bytes(), scope]))
    }
}

/// A token that was seen, as it is kept over a restart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SeenToken {
    /// SHA-256 over key, what was signed, and where it was valid.
    pub hash: [u8; 32],
    /// Until when it is remembered.
    pub until: Wall,
}

/// Tokens that were seen.
pub(crate) struct ReplayCache {
    /// In the order they expire.
    entries: VecDeque<(Mono, Seen)>,
    seen: HashSet<Seen>,
    most: usize,
    kept: usize,
    remember: Duration,
}

impl ReplayCache {
    /// Of `most` places, `kept` are for keys that are trusted.
    pub(crate) fn new((most, kept): (usize, usize), remember: Duration) -> Self {
        Self { entries: VecDeque::new(), seen: HashSet::new(), most, kept, remember }
    }

    pub(crate) fn has(&mut self, now: Mono, seen: &Seen) -> bool {
        self.expire(now);
        self.seen.contains(seen)
    }

    /// Whether there is room for another: full, it takes none rather than forget one.
    pub(crate) fn has_room(&mut self, now: Mono, trusted: bool) -> bool {
        self.expire(now);
        self.entries.len() < if trusted { self.most } else { self.most.saturating_sub(self.kept) }
    }

    pub(crate) fn insert(&mut self, now: Mono, seen: Seen) {
        if self.seen.insert(seen) {
            self.entries.push_back((now.after(self.remember), seen));
        }
    }

    /// What is remembered, by the clock that goes on while the process does not run.
    pub(crate) fn export(&self, now: Now) -> Vec<SeenToken> {
        let live = self.entries.iter().filter(|(due, _)| *due > now.mono);
        live.map(|(due, seen)| SeenToken { hash: seen.0, until: now.wall.after(due.since(now.mono)) }).collect()
    }

    /// Takes back what is not too old. Nothing is remembered longer for it than otherwise.
    pub(crate) fn restore(&mut self, now: Now, tokens: impl IntoIterator<Item = SeenToken>) {
        let mut tokens: Vec<SeenToken> = tokens.into_iter().filter(|token| token.until > now.wall).collect();
        tokens.sort_unstable_by_key(|token| token.until);
        for token in tokens {
            if self.has_room(now.mono, true) && self.seen.insert(Seen(token.hash)) {
                let left = token.until.since(now.wall).min(self.remember);
                self.entries.push_back((now.mono.after(left), Seen(token.hash)));
            }
        }
        self.entries.make_contiguous().sort_unstable_by_key(|(due, _)| *due);
    }

    fn expire(&mut self, now: Mono) {
        while let Some((due, seen)) = self.entries.front().filter(|(due, _)| *due <= now) {
            let _ = due;
            self.seen.remove(seen);
            self.entries.pop_front();
        }
    }
}
