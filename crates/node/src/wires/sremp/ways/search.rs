//! One search for a way to one peer: the timetable, and what its numbers stand for.

use super::{Candidate, RelayAt, Target};
use waypost_core::{Mono, SrempAddress};
use waypost_sremp::select::{Selection, SelectionInput, SelectionOutput, SelectionTiming};
use waypost_sremp::x25519::PublicKey;

pub(super) struct Search {
    target: Target,
    selection: Selection,
}

impl Search {
    pub(super) fn new(now: Mono, mut target: Target) -> Self {
        let timing = SelectionTiming::default();
        target.candidates.truncate(timing.candidates);
        target.relays.truncate(timing.relays);
        let (candidates, relays) = (target.candidates.len(), target.relays.len());
        let selection = Selection::new(now, timing, candidates, relays, target.prefers_async);
        Self { target, selection }
    }

    /// One more place to try, if it is new and there is room.
    pub(super) fn add(&mut self, now: Mono, candidate: Candidate) {
        let is_known = self.target.candidates.iter().any(|known| known.at == candidate.at);
        if !is_known && !self.target.prefers_async && self.selection.add_candidate(now) {
            self.target.candidates.push(candidate);
        }
    }

    pub(super) fn report(&mut self, now: Mono, input: SelectionInput) {
        self.selection.handle(now, input);
    }

    pub(super) fn poll(&mut self) -> Option<SelectionOutput> {
        self.selection.poll()
    }

    pub(super) fn poll_timeout(&self) -> Option<Mono> {
        self.selection.poll_timeout()
    }

    /// Where the candidate of this number is, and the key it must show.
    pub(super) fn candidate(&self, index: usize) -> Option<(Candidate, Option<PublicKey>)> {
        Some((self.target.candidates.get(index)?.clone(), self.target.pin))
    }

    /// The address of a candidate that answered.
    pub(super) fn won(&self, index: usize) -> Option<SrempAddress> {
        Some(self.target.candidates.get(index)?.at.clone())
    }

    pub(super) fn relay(&self, index: usize) -> Option<RelayAt> {
        self.target.relays.get(index).cloned()
    }

    pub(super) fn relays(&self) -> impl Iterator<Item = &RelayAt> {
        self.target.relays.iter()
    }

    pub(super) fn has_no_relays(&self) -> bool {
        self.target.relays.is_empty()
    }
}
