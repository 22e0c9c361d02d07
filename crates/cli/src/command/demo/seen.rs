//! What the events of a node told, over all its lives.

use super::PATIENCE;
use crate::failure::Failure;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use tokio::sync::watch;
use tokio::time::timeout;
use waypost_core::{ErrorKind, LetterId};
use waypost_node::Event;

/// Letters that went a step further, and letters that were shown.
#[derive(Default)]
pub(super) struct Seen {
    state: Mutex<SeenState>,
    /// Counts changes.
    changes: watch::Sender<u64>,
}

#[derive(Default)]
struct SeenState {
    stored: HashMap<LetterId, Instant>,
    delivered: HashMap<LetterId, Instant>,
    failed: Vec<LetterId>,
    shown: HashMap<LetterId, u32>,
}

impl Seen {
    pub(super) fn take(&self, event: Event) {
        match event {
            Event::State { letter, state, .. } => match state.as_str() {
                "delivered" | "read" => self.put_delivered(letter),
                "stored" => self.change(|seen| _ = seen.stored.entry(letter).or_insert_with(Instant::now)),
                "failed" => self.change(|seen| seen.failed.push(letter)),
                _ => {}
            },
            Event::Letter { entry, new: true } if entry.direction == "in" => {
                self.change(|seen| *seen.shown.entry(entry.id).or_default() += 1);
            }
            _ => {}
        }
    }

    pub(super) fn put_delivered(&self, letter: LetterId) {
        self.change(|seen| _ = seen.delivered.entry(letter).or_insert_with(Instant::now));
    }

    /// Waits until a letter is delivered; says when it was.
    pub(super) async fn delivered(&self, letter: LetterId) -> Result<Instant, Failure> {
        self.reached(letter, "delivered", |seen| &seen.delivered).await
    }

    /// Waits until a letter is at a relay; says since when.
    pub(super) async fn stored(&self, letter: LetterId) -> Result<Instant, Failure> {
        self.reached(letter, "at the relay", |seen| &seen.stored).await
    }

    async fn reached(
        &self,
        letter: LetterId,
        what: &str,
        list: fn(&SeenState) -> &HashMap<LetterId, Instant>,
    ) -> Result<Instant, Failure> {
        let mut changes = self.changes.subscribe();
        let waiting = async {
            loop {
                {
                    let state = self.lock();
                    if let Some(at) = list(&state).get(&letter) {
                        return Ok(*at);
                    }
                    if state.failed.contains(&letter) {
                        return Err(Failure::new(ErrorKind::Internal, "a letter has failed"));
                    }
                }
                if changes.changed().await.is_err() {
                    return Err(Failure::new(ErrorKind::Internal, "nobody listens any more"));
                }
            }
        };
        let late = || Failure::new(ErrorKind::Unreachable, format!("a letter is not {what} in time"));
        timeout(PATIENCE, waiting).await.map_err(|_| late())?
    }

    /// How often a letter was shown as new.
    pub(super) fn times_shown(&self, letter: LetterId) -> u32 {
        self.lock().shown.get(&letter).copied().unwrap_or(0)
    }

    fn change(&self, change: impl FnOnce(&mut SeenState)) {
        change(&mut self.lock());
        self.changes.send_modify(|count| *count = count.wrapping_add(1));
    }

    fn lock(&self) -> MutexGuard<'_, SeenState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
