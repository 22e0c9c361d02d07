//! What a server is given to do, and how fast it was.

use crate::measure::as_f64;
use anyhow::{Result, ensure};
use futures::future::try_join_all;
use std::{
    cell::Cell,
    time::{Duration, Instant},
};
use tokio::time::timeout;

/// Requests of one connection that wait for their answer: what the relay's profile allows.
pub(super) const WINDOW: usize = 32;

/// Letters over some connections at once.
#[derive(Clone, Copy)]
pub(super) struct Load {
    pub(super) connections: usize,
    /// Of one letter.
    pub(super) bytes: usize,
    /// In all.
    pub(super) letters: usize,
    /// Then whoever is not done is stopped; what was done counts.
    pub(super) most: Duration,
}

impl Load {
    /// Letters of one connection.
    pub(super) const fn each(&self) -> usize {
        self.letters.div_ceil(self.connections)
    }
}

/// What is done.
pub(super) struct Tally {
    count: Cell<u64>,
    last: Cell<Instant>,
}

impl Tally {
    pub(super) fn add(&self, more: u64) {
        self.count.set(self.count.get() + more);
        self.last.set(Instant::now());
    }
}

/// Lets all lanes run; how much was done a second, from the start until the last was done.
pub(super) async fn per_second<F>(most: Duration, lanes: impl FnOnce(&'static Tally) -> Vec<F>) -> Result<f64>
where
    F: Future<Output = Result<()>>,
{
    let start = Instant::now();
    // One a measurement, for the rest of the run: lanes may then refer to it without more ado.
    let tally: &'static Tally = Box::leak(Box::new(Tally { count: Cell::new(0), last: Cell::new(start) }));
    let lanes = lanes(tally);
    let start = Instant::now();
    if let Ok(done) = timeout(most, try_join_all(lanes)).await {
        done?;
    }
    ensure!(tally.count.get() > 0, "nothing was done");
    Ok(as_f64(tally.count.get()) / tally.last.get().duration_since(start).as_secs_f64())
}
