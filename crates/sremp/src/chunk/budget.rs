//! Bytes that all connections of a process may hold together.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

/// A shared allowance; clones count against the same one. Profile, Limits: 64 MiB a process.
#[derive(Clone, Debug)]
pub struct ChunkBudget {
    held: Arc<AtomicUsize>,
    most: usize,
}

impl ChunkBudget {
    /// An allowance of its own.
    pub fn new(most: usize) -> Self {
        Self { held: Arc::default(), most }
    }

    /// Bytes held now.
    pub fn held(&self) -> usize {
        self.held.load(Ordering::Relaxed)
    }

    pub(super) fn take(&self, bytes: usize) -> bool {
        let more = |held: usize| held.checked_add(bytes).filter(|&held| held <= self.most);
        self.held.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_ok()
    }

    pub(super) fn give_back(&self, bytes: usize) {
        self.held.fetch_sub(bytes, Ordering::Relaxed);
    }
}

impl Default for ChunkBudget {
    fn default() -> Self {
        Self::new(64 << 20)
    }
}
