//! What went over all sockets of a driver, told at most once a second.

use super::inbox::Put;
use super::{DriverEvent, Shared};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::time::{MissedTickBehavior, interval};

/// Between two reports.
const PERIOD: Duration = Duration::from_secs(1);

/// Counters since the last report.
#[derive(Debug, Default)]
pub(super) struct Traffic {
    bytes_in: AtomicU64,
    bytes_out: AtomicU64,
    dropped: Mutex<BTreeMap<&'static str, u64>>,
}

impl Traffic {
    pub(super) fn count_in(&self, bytes: usize) {
        self.bytes_in.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(super) fn count_out(&self, bytes: usize) {
        self.bytes_out.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Somebody was closed who never said who it is.
    pub(super) fn count_dropped(&self, reason: &'static str) {
        let mut dropped = self.dropped.lock().unwrap_or_else(PoisonError::into_inner);
        *dropped.entry(reason).or_default() += 1;
    }

    fn take(&self) -> Vec<DriverEvent> {
        let dropped = std::mem::take(&mut *self.dropped.lock().unwrap_or_else(PoisonError::into_inner));
        let (bytes_in, bytes_out) =
            (self.bytes_in.swap(0, Ordering::Relaxed), self.bytes_out.swap(0, Ordering::Relaxed));
        let traffic = (bytes_in + bytes_out > 0).then_some(DriverEvent::Traffic { bytes_in, bytes_out });
        let dropped = dropped.into_iter().map(|(reason, count)| DriverEvent::Dropped { reason, count });
        traffic.into_iter().chain(dropped).collect()
    }

    fn give_back(&self, event: DriverEvent) {
        match event {
            DriverEvent::Traffic { bytes_in, bytes_out } => {
                self.bytes_in.fetch_add(bytes_in, Ordering::Relaxed);
                self.bytes_out.fetch_add(bytes_out, Ordering::Relaxed);
            }
            DriverEvent::Dropped { reason, count } => {
                let mut dropped = self.dropped.lock().unwrap_or_else(PoisonError::into_inner);
                *dropped.entry(reason).or_default() += count;
            }
            _ => {}
        }
    }
}

/// Reports until the driver stops. News that finds no room waits for the next second.
pub(super) async fn report(shared: &Shared) {
    let mut seconds = interval(PERIOD);
    seconds.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = shared.stop.cancelled() => return,
            _ = seconds.tick() => {}
        }
        for event in shared.traffic.take() {
            if let Put::Full(event) = shared.news.try_put(event) {
                shared.traffic.give_back(*event);
            }
        }
    }
}
