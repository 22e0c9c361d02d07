//! What happened last, what happened how often, and a fingerprint of all of it.

use crate::sim::NodeId;
use std::{
    collections::{BTreeMap, VecDeque},
    fmt::Write as _,
};
use waypost_core::Mono;

/// How often each kind of thing happened.
pub type Counts = BTreeMap<&'static str, u64>;

pub(super) struct Trace {
    ring: VecDeque<Entry>,
    pub(super) length: usize,
    counts: Counts,
    fingerprint: u64,
}

struct Entry {
    at: Mono,
    node: NodeId,
    what: &'static str,
    detail: Detail,
}

/// What an entry says beside its kind.
#[derive(Debug)]
pub(super) enum Detail {
    None,
    Number(u64),
    Bytes(u64, usize),
    Text(String),
}

impl Trace {
    pub(super) fn new() -> Self {
        Self { ring: VecDeque::new(), length: 200, counts: Counts::new(), fingerprint: 0 }
    }

    pub(super) fn note(&mut self, at: Mono, node: NodeId, what: &'static str, detail: Detail) {
        *self.counts.entry(what).or_default() += 1;
        self.mix(at.as_millis());
        self.mix(node.0 as u64);
        self.mix_bytes(what.as_bytes());
        match &detail {
            Detail::None => {}
            Detail::Number(number) => self.mix(*number),
            Detail::Bytes(number, length) => {
                self.mix(*number);
                self.mix(*length as u64);
            }
            Detail::Text(text) => self.mix_bytes(text.as_bytes()),
        }
        self.ring.push_back(Entry { at, node, what, detail });
        if self.ring.len() > self.length {
            self.ring.pop_front();
        }
    }

    /// Bytes that travel count too: the same lengths with other bytes are another run.
    pub(super) fn mix_bytes(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.mix(u64::from_le_bytes(word));
        }
    }

    fn mix(&mut self, word: u64) {
        self.fingerprint = (self.fingerprint.rotate_left(5) ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    pub(super) fn counts(&self) -> &Counts {
        &self.counts
    }

    pub(super) fn fingerprint(&self) -> u64 {
        self.fingerprint
    }

    /// One line an entry, oldest first.
    pub(super) fn show(&self, name: impl Fn(NodeId) -> String) -> String {
        let mut text = String::new();
        for Entry { at, node, what, detail } in &self.ring {
            let detail = match detail {
                Detail::None => String::new(),
                Detail::Number(number) => number.to_string(),
                Detail::Bytes(number, length) => format!("{number} ({length} B)"),
                Detail::Text(text) => text.clone(),
            };
            let _ = writeln!(text, "{:>9} ms  {:<12} {what} {detail}", at.as_millis(), name(*node));
        }
        text
    }
}
