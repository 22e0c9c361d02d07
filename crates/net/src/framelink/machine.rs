//! What the application and the task of a link share: the machine, and who waits for it.

use super::Opened;
use crate::Clock;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;
use waypost_core::{Mono, Now};
use waypost_framelink::Link as Machine;
use waypost_framelink::link::{End, Input, Output};

/// Answers to PINGs that are kept; the oldest gives way.
const ANSWERS: usize = 64;

/// A link that is shared.
pub(super) struct Shared {
    state: Mutex<State>,
    pub(super) clock: Clock,
    /// Something can be read, or it is over.
    pub(super) readable: Notify,
    /// There is room for messages, or it is over.
    pub(super) writable: Notify,
    /// The link was established, or never will be.
    pub(super) opened: Notify,
    /// It is over, and the transport is closed.
    pub(super) ended: Notify,
    /// The machine has outputs.
    pub(super) outputs: Notify,
    /// Whether to read, and which timer comes next, may have changed.
    pub(super) changed: Notify,
    /// The listener's links, if it is one of them.
    pub(super) crowd: Option<Arc<Crowd>>,
}

/// The machine, and what it said.
pub(super) struct State {
    pub(super) machine: Machine,
    pub(super) opened: Option<Opened>,
    pub(super) pongs: usize,
    /// Answers to PINGs that nobody has taken yet.
    pub(super) answers: VecDeque<Vec<u8>>,
    pub(super) end: Option<End>,
    /// The transport is closed.
    pub(super) gone: bool,
    /// Parts of a message whose end has not come yet.
    pub(super) partial: Vec<u8>,
    /// What the task waits for beside outputs.
    pub(super) awaited: Awaited,
}

/// What the task of a link waits for, as the machine had it when it began to.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Awaited {
    pub(super) wants_bytes: bool,
    /// When to look at the timers: early enough, for most are put off by whatever happens.
    pub(super) due: Option<Mono>,
}

impl Shared {
    pub(super) fn new(machine: Machine, clock: Clock, crowd: Option<Arc<Crowd>>) -> Arc<Self> {
        let state = State {
            machine,
            opened: None,
            pongs: 0,
            answers: VecDeque::new(),
            end: None,
            gone: false,
            partial: Vec::new(),
            awaited: Awaited::default(),
        };
        Arc::new(Self {
            state: Mutex::new(state),
            clock,
            readable: Notify::new(),
            writable: Notify::new(),
            opened: Notify::new(),
            ended: Notify::new(),
            outputs: Notify::new(),
            changed: Notify::new(),
            crowd,
        })
    }

    /// The state, for a moment; nobody waits while holding it.
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        // The machine does not panic; if it did, the link would be over for everybody.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn now(&self) -> Now {
        self.clock.now()
    }

    /// Gives the machine an input, and wakes whoever has to do with what came of it.
    pub(super) fn handle(&self, input: Input<'_>) -> Result<(), waypost_framelink::Error> {
        let mut state = self.lock();
        let result = state.machine.handle(self.now(), &mut rand::rng(), input);
        self.wake_task(state);
        result
    }

    /// Wakes the task for what it does not wait for yet. Each wake costs a turn of the scheduler, and often one of
    /// another thread.
    pub(super) fn wake_task(&self, state: MutexGuard<'_, State>) {
        let machine = &state.machine;
        let has_output = machine.has_output();
        let sooner = match (machine.poll_timeout(), state.awaited.due) {
            (Some(due), Some(awaited)) => due < awaited,
            (due, _) => due.is_some(),
        };
        let changed = sooner || machine.is_over() || machine.wants_bytes() != state.awaited.wants_bytes;
        drop(state);
        if has_output {
            self.outputs.notify_one();
        }
        if changed {
            self.changed.notify_one();
        }
    }

    /// The task has read or written.
    pub(super) fn wake_application(&self) {
        self.readable.notify_waiters();
        self.writable.notify_waiters();
    }

    /// Takes note of what the machine tells; what is left is for the transport.
    pub(super) fn note(&self, state: &mut State, output: Output) -> Option<Output> {
        use waypost_framelink::link::Event;
        let Output::Event(event) = output else { return Some(output) };
        match event {
            // The machine tells of these when it is asked.
            Event::KeyShown { .. } | Event::PeerClosed { .. } => {}
            Event::Open { mode, psk, peer } => {
                state.opened = Some(Opened { mode, psk, peer });
                if let Some(crowd) = &self.crowd {
                    crowd.enter();
                }
                self.opened.notify_waiters();
            }
            Event::Pong(payload) => {
                state.pongs += 1;
                if state.answers.len() >= ANSWERS {
                    state.answers.pop_front();
                }
                state.answers.push_back(payload);
                self.readable.notify_waiters();
            }
            Event::Ended(end) => {
                tracing::debug!(end = %end.status.name(), fault = end.fault.map(|fault| fault.name()), "a link ended");
                state.end = Some(end);
                self.opened.notify_waiters();
            }
        }
        None
    }
}

/// Counts the links of a listener. Profile, Limits and errors.
#[derive(Debug)]
pub(super) struct Crowd {
    most: usize,
    inside: AtomicUsize,
}

impl Crowd {
    pub(super) const fn new(most: usize) -> Self {
        Self { most, inside: AtomicUsize::new(0) }
    }

    pub(super) fn is_full(&self) -> bool {
        self.inside.load(Ordering::Relaxed) >= self.most
    }

    pub(super) fn inside(&self) -> usize {
        self.inside.load(Ordering::Relaxed)
    }

    fn enter(&self) {
        self.inside.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn leave(&self) {
        self.inside.fetch_sub(1, Ordering::Relaxed);
    }
}
