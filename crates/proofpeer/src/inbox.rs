//! Messages in parts, put together again; each is delivered once. Profile, Frames, receipts, chunks.

use crate::frame::{Frame, FrameKind, MessageId, Refusal};
use crate::settings::{Limits, Timing};
use crate::{Drop, Fingerprint};
use std::collections::{BTreeMap, VecDeque};
use waypost_core::Mono;

/// What a part takes in memory beside its bytes: parts may be empty, and come by the thousand.
const PART_COST: usize = 64;

/// What a data frame comes to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Arrived {
    /// Nothing yet; with receipts wanted, this part is receipted.
    Part,
    /// The whole message, now; `parts` if there was more than one.
    Whole { message: Vec<u8>, parts: bool },
    /// It was delivered before.
    Again,
    /// It will not be delivered.
    Refused(Refusal),
}

/// The message to deliver, and the receipts that leave at once: `part` came, if receipts are wanted. The receipt of a
/// delivery is its own matter.
pub(crate) fn receipts(arrived: Arrived, part: Option<u16>) -> (Option<Vec<u8>>, Vec<FrameKind>) {
    let receipt = |kind| part.map(|_| kind).into_iter().collect();
    match arrived {
        Arrived::Part => (None, part.map(|idx| FrameKind::PartReceived { idx }).into_iter().collect()),
        Arrived::Again => (None, receipt(FrameKind::Delivered)),
        Arrived::Refused(refusal) => (None, receipt(FrameKind::Refused(refusal))),
        Arrived::Whole { message, parts } => {
            let of_part = part.filter(|_| parts).map(|idx| FrameKind::PartReceived { idx });
            (Some(message), of_part.into_iter().collect())
        }
    }
}

/// What has come, of all keys.
pub(crate) struct Inboxes {
    limits: Limits,
    timing: Timing,
    keys: BTreeMap<Fingerprint, Inbox>,
    /// Bytes of all parts.
    bytes: usize,
}

#[derive(Default)]
struct Inbox {
    partial: BTreeMap<MessageId, Partial>,
    bytes: usize,
    delivered: BTreeMap<MessageId, Mono>,
    order: VecDeque<(Mono, MessageId)>,
    dropped: BTreeMap<MessageId, (Refusal, Mono)>,
}

struct Partial {
    receipt: bool,
    count: u16,
    /// What has come: nothing is set aside for what has not.
    parts: BTreeMap<u16, Vec<u8>>,
    bytes: usize,
    last: Mono,
}

impl Inboxes {
    pub(crate) fn new(limits: Limits, timing: Timing) -> Self {
        Self { limits, timing, keys: BTreeMap::new(), bytes: 0 }
    }

    /// Takes a data frame.
    ///
    /// # Errors
    /// [`Drop::BadFrame`] if it does not go with the parts that are there.
    pub(crate) fn take(&mut self, now: Mono, peer: Fingerprint, frame: Frame) -> Result<Arrived, Drop> {
        let FrameKind::Data { receipt, idx, count, body } = frame.kind else { return Err(Drop::BadFrame) };
        let mid = frame.mid;
        self.expire(now);
        let inbox = self.keys.entry(peer).or_default();
        if inbox.delivered.contains_key(&mid) {
            return Ok(Arrived::Again);
        }
        if let Some((refusal, _)) = inbox.dropped.get(&mid) {
            return Ok(Arrived::Refused(*refusal));
        }
        if count == 1 {
            inbox.remember(now, mid, &self.limits, &self.timing);
            return Ok(Arrived::Whole { message: body, parts: false });
        }
        let until = now.after(self.timing.reassembly);
        if let Some(partial) = inbox.partial.get_mut(&mid) {
            partial.check(receipt, count, idx, &body)?;
            partial.last = now;
            if partial.parts.contains_key(&idx) {
                return Ok(Arrived::Part);
            }
        }
        let cost = body.len() + PART_COST;
        let so_far = inbox.partial.get(&mid).map_or(0, |partial| partial.bytes);
        // All parts but the last are as long as this one.
        let least = if idx + 1 == count { 0 } else { body.len().saturating_mul(usize::from(count) - 1) };
        if least.max(so_far + body.len()) > self.limits.message
            || inbox.bytes + cost > self.limits.reassembly.0
            || self.bytes + cost > self.limits.reassembly.1
        {
            self.bytes -= inbox.drop_partial(mid, Refusal::TooLarge, until);
            return Ok(Arrived::Refused(Refusal::TooLarge));
        }
        let new = || Partial { receipt, count, parts: BTreeMap::new(), bytes: 0, last: now };
        let partial = inbox.partial.entry(mid).or_insert_with(new);
        partial.bytes += body.len();
        partial.parts.insert(idx, body);
        inbox.bytes += cost;
        self.bytes += cost;
        if partial.parts.len() < usize::from(count) {
            return Ok(Arrived::Part);
        }
        let Some(partial) = inbox.partial.remove(&mid) else { return Err(Drop::BadFrame) };
        inbox.bytes -= partial.cost();
        self.bytes -= partial.cost();
        inbox.remember(now, mid, &self.limits, &self.timing);
        Ok(Arrived::Whole { message: partial.parts.into_values().flatten().collect(), parts: true })
    }

    /// Forgets what is too old.
    pub(crate) fn expire(&mut self, now: Mono) {
        for inbox in self.keys.values_mut() {
            let old: Vec<MessageId> = inbox
                .partial
                .iter()
                .filter(|(_, partial)| now.since(partial.last) > self.timing.reassembly)
                .map(|(mid, _)| *mid)
                .collect();
            for mid in old {
                self.bytes -= inbox.drop_partial(mid, Refusal::Expired, now.after(self.timing.reassembly));
            }
            inbox.dropped.retain(|_, (_, until)| *until > now);
            while let Some((_, mid)) = inbox.order.front().copied().filter(|(until, _)| *until <= now) {
                inbox.order.pop_front();
                inbox.delivered.remove(&mid);
            }
        }
        self.keys.retain(|_, inbox| !inbox.is_empty());
    }
}

impl Inbox {
    fn remember(&mut self, now: Mono, mid: MessageId, limits: &Limits, timing: &Timing) {
        let until = now.after(timing.delivered);
        self.delivered.insert(mid, until);
        self.order.push_back((until, mid));
        while self.order.len() > limits.delivered {
            if let Some((_, oldest)) = self.order.pop_front() {
                self.delivered.remove(&oldest);
            }
        }
    }

    fn drop_partial(&mut self, mid: MessageId, refusal: Refusal, until: Mono) -> usize {
        let freed = self.partial.remove(&mid).map_or(0, |partial| partial.cost());
        self.bytes -= freed;
        self.dropped.insert(mid, (refusal, until));
        freed
    }

    fn is_empty(&self) -> bool {
        self.partial.is_empty() && self.delivered.is_empty() && self.dropped.is_empty()
    }
}

impl Partial {
    /// What it takes in memory.
    fn cost(&self) -> usize {
        self.bytes + self.parts.len() * PART_COST
    }

    /// Parts of one message have one type and one count; all but the last have one length.
    fn check(&self, receipt: bool, count: u16, idx: u16, body: &[u8]) -> Result<(), Drop> {
        let (is_last, at_end) = (idx + 1 == count, count.saturating_sub(1));
        let full = self.parts.range(..at_end).next().map(|(_, body)| body.len());
        let last = self.parts.get(&at_end).map(Vec::len);
        let fits = match (is_last, full, last) {
            (false, Some(full), _) => body.len() == full,
            (false, None, Some(last)) => body.len() >= last,
            (true, Some(full), _) => body.len() <= full,
            _ => true,
        };
        if receipt == self.receipt && count == self.count && fits { Ok(()) } else { Err(Drop::BadFrame) }
    }
}
