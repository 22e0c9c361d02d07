//! What was sent to connections that do not read it: the relay must not pile up for them.

use std::collections::HashMap;
use waypost_net::sremp::SrempDriver;
use waypost_sremp::{LinkId, Message};

/// Bytes of messages that may wait for one connection, beside what waits for its socket, before nothing is
/// sent unasked any more: twice the largest message.
const MOST: usize = 128 << 10;
/// Bytes of a message beside its blobs, about.
const OVERHEAD: usize = 256;

/// Connections for which messages wait.
#[derive(Default)]
pub(super) struct Backlog {
    links: HashMap<LinkId, Waiting>,
}

struct Waiting {
    bytes: usize,
    is_held: bool,
}

impl Backlog {
    /// A message is given to the driver. Whether the connection is to be held from now on.
    pub(super) fn sent(&mut self, driver: &SrempDriver, link: LinkId, message: &Message) -> bool {
        // Whoever takes everything at once is not remembered at all; who is held is freed at the end of a round.
        if driver.queued(link) == 0 {
            if self.links.get(&link).is_some_and(|waiting| !waiting.is_held) {
                self.links.remove(&link);
            }
            return false;
        }
        let waiting = self.links.entry(link).or_insert(Waiting { bytes: 0, is_held: false });
        waiting.bytes = waiting.bytes.saturating_add(size(message));
        let begins = !waiting.is_held && waiting.bytes > MOST;
        waiting.is_held |= begins;
        begins
    }

    /// Connections that were held and have taken everything.
    pub(super) fn freed(&mut self, driver: &SrempDriver) -> Vec<LinkId> {
        let mut freed = Vec::new();
        self.links.retain(|link, waiting| {
            let is_through = driver.queued(*link) == 0;
            if is_through && waiting.is_held {
                freed.push(*link);
            }
            !is_through
        });
        freed
    }

    /// A connection is gone.
    pub(super) fn forget(&mut self, link: LinkId) {
        self.links.remove(&link);
    }

    /// Whether one is held.
    pub(super) fn is_holding(&self) -> bool {
        self.links.values().any(|waiting| waiting.is_held)
    }
}

fn size(message: &Message) -> usize {
    let blobs = match message {
        Message::MessageBatch(batch) => {
            batch.messages.iter().map(|stored| stored.encrypted_blob.len().saturating_add(OVERHEAD)).sum()
        }
        _ => 0,
    };
    OVERHEAD.saturating_add(blobs)
}
