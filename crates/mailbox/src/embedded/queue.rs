//! What waits for a thread of the engine.

use crate::Error;
use futures::channel::oneshot;
use std::{
    collections::VecDeque,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
};
use waypost_core::{MailboxDone, MailboxOp, Wall};

/// Jobs in the order of the calls.
///
/// A job belongs to the future that waits for its answer: when that is dropped, the job is passed over. So
/// nothing is queued beyond what callers wait for, and who bounds its own calls bounds this.
#[derive(Default)]
pub(super) struct Queue {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    jobs: VecDeque<Job>,
    is_closed: bool,
}

/// Something to do, and where the answer goes.
pub(super) enum Job {
    Batch { now: Wall, batch: Vec<MailboxOp>, answer: Answer<Vec<MailboxDone>> },
    Expire { now: Wall, limit: usize, answer: Answer<usize> },
}

pub(super) type Answer<T> = oneshot::Sender<Result<T, Error>>;

impl Job {
    /// Roughly the memory it takes.
    fn weight(&self) -> usize {
        match self {
            Self::Batch { batch, .. } => batch.iter().map(op_weight).sum(),
            Self::Expire { limit, .. } => limit.saturating_mul(OP_WEIGHT),
        }
    }

    fn is_given_up(&self) -> bool {
        match self {
            Self::Batch { answer, .. } => answer.is_canceled(),
            Self::Expire { answer, .. } => answer.is_canceled(),
        }
    }
}

/// An operation beside its contents.
const OP_WEIGHT: usize = 512;

fn op_weight(op: &MailboxOp) -> usize {
    let content = match op {
        MailboxOp::Put(put) => put.value.len(),
        MailboxOp::Notice(notice) => notice.value.len(),
        MailboxOp::Write { change, .. } => change.value.as_ref().map_or(0, Vec::len),
        _ => 0,
    };
    content.saturating_add(OP_WEIGHT)
}

impl Queue {
    /// Adds a job behind all others; gives it back when the queue is closed.
    pub(super) fn push(&self, job: Job) -> Result<(), Job> {
        let mut state = self.lock();
        if state.is_closed {
            return Err(job);
        }
        state.jobs.push_back(job);
        drop(state);
        self.changed.notify_one();
        Ok(())
    }

    /// Waits for jobs and takes the first ones, up to so many and so heavy; nothing when the queue is closed
    /// and empty.
    pub(super) fn take(&self, most: usize, heaviest: usize) -> Option<Vec<Job>> {
        let mut state = self.lock();
        let (mut taken, mut weight) = (Vec::new(), 0_usize);
        loop {
            while taken.len() < most && weight < heaviest {
                let Some(job) = state.jobs.pop_front() else { break };
                if !job.is_given_up() {
                    weight = weight.saturating_add(job.weight());
                    taken.push(job);
                }
            }
            if !taken.is_empty() {
                return Some(taken);
            }
            if state.jobs.is_empty() {
                if state.is_closed {
                    return None;
                }
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
        }
    }

    /// Takes no more jobs; what waits is still done.
    pub(super) fn close(&self) {
        self.lock().is_closed = true;
        self.changed.notify_all();
    }

    /// Takes no more jobs, and drops those that wait.
    pub(super) fn abandon(&self) {
        let mut state = self.lock();
        state.is_closed = true;
        let abandoned = std::mem::take(&mut state.jobs);
        drop(state);
        drop(abandoned);
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A push or a pop leaves the state whole wherever it ends.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
