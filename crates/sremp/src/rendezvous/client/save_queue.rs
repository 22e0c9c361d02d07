//! What must not leave before it is durable, in order.

use std::collections::VecDeque;
use waypost_core::{Change, SaveId};

/// Outputs of a machine that wait for its saves.
pub(super) struct SaveQueue<O> {
    last: u64,
    held: VecDeque<(SaveId, Vec<O>)>,
}

impl<O> Default for SaveQueue<O> {
    fn default() -> Self {
        Self { last: 0, held: VecDeque::new() }
    }
}

impl<O> SaveQueue<O> {
    /// Takes what one step changed and what follows from it. Gives the save to ask for, if there is one,
    /// and what may leave at once.
    pub(super) fn step(&mut self, changes: Vec<Change>, then: Vec<O>) -> (Option<(SaveId, Vec<Change>)>, Vec<O>) {
        if changes.is_empty() && self.held.is_empty() {
            return (None, then);
        }
        let save = (!changes.is_empty()).then(|| {
            self.last = self.last.saturating_add(1);
            (SaveId(self.last), changes)
        });
        // What changes nothing itself still waits for what was decided before it: order is kept.
        self.held.push_back((SaveId(self.last), then));
        (save, Vec::new())
    }

    /// All saves up to this one are durable: gives what may leave now.
    pub(super) fn saved(&mut self, id: SaveId) -> Vec<O> {
        let mut free = Vec::new();
        while self.held.front().is_some_and(|(save, _)| *save <= id) {
            free.extend(self.held.pop_front().into_iter().flat_map(|(_, then)| then));
        }
        free
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use waypost_core::Space;

    fn change() -> Vec<Change> {
        vec![Change { space: Space("test/queue"), key: Vec::new(), value: None }]
    }

    #[test]
    fn lets_nothing_overtake_what_waits_for_a_save() {
        let mut queue = SaveQueue::default();
        assert_eq!(queue.step(Vec::new(), vec![1]).1, [1]);
        let (save, free) = queue.step(change(), vec![2]);
        assert_eq!((save.map(|save| save.0), free), (Some(SaveId(1)), vec![]));
        assert_eq!(queue.step(Vec::new(), vec![3]), (None, vec![]));
        assert_eq!(queue.step(change(), vec![4]).0.map(|save| save.0), Some(SaveId(2)));
        assert_eq!(queue.saved(SaveId(1)), [2, 3]);
        assert_eq!(queue.saved(SaveId(1)), [0; 0]);
        assert_eq!(queue.saved(SaveId(2)), [4]);
        assert_eq!(queue.step(Vec::new(), vec![5]).1, [5]);
    }
}
