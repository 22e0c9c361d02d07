//! Which way to a peer is dialled, and when. Profile, Selection.
//!
//! ```text
//! 0 ms     dial candidate 0          each + 250 ms, or at once when all started ones failed
//! 1000 ms  dial relay 0              or earlier, when direct is over; each relay has 5 s
//! 5000 ms  direct is over            STORE by the relay that is ready, else the outbox
//! ```
//! The machine decides; the shell dials. What it is told and what falls due within one millisecond is
//! settled together by [`Selection::poll`]: a connection that is ready wins over everything else of
//! its millisecond.

mod candidates;
mod duplicate;
mod retry;

pub use candidates::candidates;
pub use duplicate::{Completed, Stays, stays};
pub use retry::DirectRetries;

use std::collections::VecDeque;
use std::time::Duration;
use waypost_core::Mono;

/// The numbers of the timetable. Defaults are the profile's.
#[derive(Clone, Copy, Debug)]
pub struct SelectionTiming {
    /// Between two starts of candidates.
    pub stagger: Duration,
    /// Until the relays are tried beside the candidates.
    pub relay_after: Duration,
    /// Until no candidate is waited for any more.
    pub direct: Duration,
    /// How long one relay may take.
    pub relay: Duration,
    /// Candidates that are tried at most.
    pub candidates: usize,
    /// Relays that are tried at most.
    pub relays: usize,
}

impl Default for SelectionTiming {
    fn default() -> Self {
        Self {
            stagger: Duration::from_millis(250),
            relay_after: Duration::from_millis(1000),
            direct: Duration::from_millis(5000),
            relay: Duration::from_millis(5000),
            candidates: 6,
            relays: 3,
        }
    }
}

/// What the shell reports. Numbers count candidates and relays from 0, in the order of the lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SelectionInput {
    /// A candidate failed.
    DirectFailed(usize),
    /// A relay failed.
    RelayFailed(usize),
    /// A candidate's connection is ready: the identity is verified and the right one.
    DirectReady(usize),
    /// A relay's connection is ready.
    RelayReady(usize),
    /// Time passed.
    Tick,
}

/// What the shell has to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SelectionOutput {
    /// Dial this candidate.
    Dial(usize),
    /// Stop dialling this candidate.
    CancelDial(usize),
    /// Dial this relay.
    DialRelay(usize),
    /// Stop dialling this relay: it took too long.
    RelayTimedOut(usize),
    /// Stop dialling this relay: it is not needed.
    CancelRelay(usize),
    /// The decision. Nothing comes after it.
    Done(Way),
}

/// How what waits for the peer goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Over the connection to this candidate.
    Direct(usize),
    /// By STORE at this relay.
    Relay(usize),
    /// Not now: it stays in the outbox until a later try.
    Outbox,
}

/// One search for a way to one peer.
#[derive(Debug)]
pub struct Selection {
    timing: SelectionTiming,
    started: Mono,
    /// The moment of the latest input; what was reported at it is in `reports`.
    now: Mono,
    unsettled: bool,
    reports: Vec<SelectionInput>,
    candidates: Vec<Attempt>,
    last_dial: Option<Mono>,
    relays: Vec<Attempt>,
    done: bool,
    out: VecDeque<SelectionOutput>,
}

/// How far one candidate or relay is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Attempt {
    Waiting,
    Dialling { since: Mono },
    Ready,
    Over,
}

impl Selection {
    /// Starts a search among so many candidates and relays. With the peer's `prefers_async` no
    /// candidate is dialled.
    pub fn new(now: Mono, timing: SelectionTiming, candidates: usize, relays: usize, prefers_async: bool) -> Self {
        let candidates = if prefers_async { 0 } else { candidates.min(timing.candidates) };
        Self {
            timing,
            started: now,
            now,
            unsettled: true,
            reports: Vec::new(),
            candidates: vec![Attempt::Waiting; candidates],
            last_dial: None,
            relays: vec![Attempt::Waiting; relays.min(timing.relays)],
            done: false,
            out: VecDeque::new(),
        }
    }

    /// One more candidate, which becomes the last. False if it comes too late or there are enough.
    pub fn add_candidate(&mut self, now: Mono) -> bool {
        let is_late = self.done || now >= self.started.after(self.timing.direct);
        if is_late || self.candidates.len() >= self.timing.candidates {
            return false;
        }
        self.candidates.push(Attempt::Waiting);
        self.handle(now, SelectionInput::Tick);
        true
    }

    /// Takes one report. Timers that were due before `now` are settled first, each at its own time.
    pub fn handle(&mut self, now: Mono, input: SelectionInput) {
        while let Some(due) = self.poll_timeout().filter(|&due| due < now) {
            self.settle(due);
        }
        self.now = self.now.max(now);
        self.unsettled = true;
        self.reports.push(input);
    }

    /// The next thing to do; call until none is left.
    pub fn poll(&mut self) -> Option<SelectionOutput> {
        if self.unsettled {
            self.settle(self.now);
        }
        self.out.pop_front()
    }

    /// When to come back with [`SelectionInput::Tick`].
    pub fn poll_timeout(&self) -> Option<Mono> {
        if self.done {
            return None;
        }
        if self.unsettled {
            return Some(self.now);
        }
        let direct_over = self.direct_over();
        let next_dial = match self.last_dial {
            Some(last) if !direct_over && next(&self.candidates).is_some() => Some(last.after(self.timing.stagger)),
            _ => None,
        };
        let relays = self.started.after(self.timing.relay_after);
        let first_relay = self.relays.first().filter(|first| **first == Attempt::Waiting).map(|_| relays);
        let relay_over = self.relays.iter().find_map(|relay| match relay {
            Attempt::Dialling { since } => Some(since.after(self.timing.relay)),
            _ => None,
        });
        let end_of_direct = (!direct_over).then(|| self.started.after(self.timing.direct));
        [next_dial, first_relay, relay_over, end_of_direct].into_iter().flatten().min()
    }

    /// Decides everything that belongs to one moment.
    fn settle(&mut self, at: Mono) {
        self.unsettled = false;
        let mut reports = std::mem::take(&mut self.reports);
        if self.done {
            return;
        }
        // Failures come before successes, and of two successes the lower number wins.
        reports.sort_unstable();
        for report in &reports {
            match *report {
                SelectionInput::DirectFailed(index) => end(&mut self.candidates, index),
                SelectionInput::RelayFailed(index) => end(&mut self.relays, index),
                _ => {}
            }
        }
        let winner = reports.iter().find_map(|report| match *report {
            SelectionInput::DirectReady(index) if is_dialling(&self.candidates, index) => Some(index),
            _ => None,
        });
        if let Some(index) = winner {
            return self.direct(index);
        }
        for report in &reports {
            if let SelectionInput::RelayReady(index) = *report
                && let Some(relay @ Attempt::Dialling { .. }) = self.relays.get_mut(index)
            {
                *relay = Attempt::Ready;
            }
        }
        self.end_slow_relays(at);
        if at >= self.started.after(self.timing.direct) {
            self.end_direct();
        }
        self.dial_next(at);
        self.relay(at);
    }

    fn direct(&mut self, winner: usize) {
        if let Some(candidate) = self.candidates.get_mut(winner) {
            *candidate = Attempt::Over;
        }
        self.end_direct();
        for (index, relay) in self.relays.iter().enumerate() {
            if matches!(relay, Attempt::Dialling { .. }) {
                self.out.push_back(SelectionOutput::CancelRelay(index));
            }
        }
        self.finish(Way::Direct(winner));
    }

    fn end_direct(&mut self) {
        for (index, candidate) in self.candidates.iter_mut().enumerate() {
            if matches!(candidate, Attempt::Dialling { .. }) {
                self.out.push_back(SelectionOutput::CancelDial(index));
            }
            *candidate = Attempt::Over;
        }
    }

    fn end_slow_relays(&mut self, at: Mono) {
        for (index, relay) in self.relays.iter_mut().enumerate() {
            if matches!(relay, Attempt::Dialling { since } if at >= since.after(self.timing.relay)) {
                *relay = Attempt::Over;
                self.out.push_back(SelectionOutput::RelayTimedOut(index));
            }
        }
    }

    fn dial_next(&mut self, at: Mono) {
        let Some(index) = next(&self.candidates) else { return };
        let all_failed = !self.candidates.iter().any(|candidate| matches!(candidate, Attempt::Dialling { .. }));
        let due = self.last_dial.is_none_or(|last| at >= last.after(self.timing.stagger));
        if all_failed || due {
            start(&mut self.candidates, index, at);
            self.last_dial = Some(at);
            self.out.push_back(SelectionOutput::Dial(index));
        }
    }

    fn relay(&mut self, at: Mono) {
        let direct_over = self.direct_over();
        if !direct_over && at < self.started.after(self.timing.relay_after) {
            return;
        }
        if self.relays.iter().any(|relay| matches!(relay, Attempt::Dialling { .. })) {
            return;
        }
        if let Some(index) = self.relays.iter().position(|relay| *relay == Attempt::Ready) {
            if direct_over {
                self.finish(Way::Relay(index));
            }
            return;
        }
        match next(&self.relays) {
            Some(index) => {
                start(&mut self.relays, index, at);
                self.out.push_back(SelectionOutput::DialRelay(index));
            }
            None if direct_over => self.finish(Way::Outbox),
            None => {}
        }
    }

    fn direct_over(&self) -> bool {
        self.candidates.iter().all(|candidate| *candidate == Attempt::Over)
    }

    fn finish(&mut self, way: Way) {
        self.done = true;
        self.out.push_back(SelectionOutput::Done(way));
    }
}

fn next(attempts: &[Attempt]) -> Option<usize> {
    attempts.iter().position(|attempt| *attempt == Attempt::Waiting)
}

fn is_dialling(attempts: &[Attempt], index: usize) -> bool {
    matches!(attempts.get(index), Some(Attempt::Dialling { .. }))
}

fn start(attempts: &mut [Attempt], index: usize, since: Mono) {
    if let Some(attempt) = attempts.get_mut(index) {
        *attempt = Attempt::Dialling { since };
    }
}

/// Ends what was started; a report about anything else is stale.
fn end(attempts: &mut [Attempt], index: usize) {
    if let Some(attempt @ (Attempt::Dialling { .. } | Attempt::Ready)) = attempts.get_mut(index) {
        *attempt = Attempt::Over;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use SelectionInput::*;

    fn at(millis: u64) -> Mono {
        Mono::from_millis(millis)
    }

    fn drain(selection: &mut Selection) -> Vec<SelectionOutput> {
        std::iter::from_fn(|| selection.poll()).collect()
    }

    fn selection(candidates: usize, relays: usize) -> Selection {
        let mut selection = Selection::new(at(0), SelectionTiming::default(), candidates, relays, false);
        drain(&mut selection);
        selection
    }

    #[test]
    fn takes_a_candidate_that_is_found_while_others_are_tried() {
        let mut selection = selection(1, 1);
        assert!(selection.add_candidate(at(100)));
        assert_eq!(drain(&mut selection), []);
        selection.handle(at(200), DirectFailed(0));
        assert_eq!(drain(&mut selection), [SelectionOutput::Dial(1)]);
        selection.handle(at(5000), Tick);
        assert!(!selection.add_candidate(at(5000)), "no start at or after 5 s");
    }

    #[test]
    fn replaces_a_relay_that_fails_after_it_was_ready() {
        let mut selection = selection(1, 2);
        selection.handle(at(1000), Tick);
        assert_eq!(drain(&mut selection), [SelectionOutput::DialRelay(0)]);
        selection.handle(at(1100), RelayReady(0));
        selection.handle(at(1200), RelayFailed(0));
        assert_eq!(drain(&mut selection), [SelectionOutput::DialRelay(1)]);
    }

    #[test]
    fn a_winner_cancels_a_relay_that_is_ready_in_the_same_millisecond() {
        let mut selection = selection(1, 1);
        selection.handle(at(1000), Tick);
        drain(&mut selection);
        selection.handle(at(1300), RelayReady(0));
        selection.handle(at(1300), DirectReady(0));
        assert_eq!(drain(&mut selection), [SelectionOutput::CancelRelay(0), SelectionOutput::Done(Way::Direct(0))]);
        assert_eq!(selection.poll_timeout(), None);
    }

    #[test]
    fn settles_timers_that_a_late_call_missed_at_their_own_time() {
        let mut selection = selection(2, 1);
        selection.handle(at(6000), DirectReady(0));
        let done = drain(&mut selection);
        assert_eq!(done.first(), Some(&SelectionOutput::Dial(1)));
        assert_eq!(done.last(), Some(&SelectionOutput::Done(Way::Outbox)), "ready after 5 s is too late: {done:?}");
    }

    #[test]
    fn ignores_reports_about_what_was_never_started() {
        let mut selection = selection(2, 1);
        for stale in [DirectReady(1), DirectReady(9), RelayReady(0), RelayFailed(7), DirectFailed(1)] {
            selection.handle(at(10), stale);
        }
        assert_eq!(drain(&mut selection), []);
    }
}
