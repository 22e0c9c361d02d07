//! Messages that wait for their receipts: sent again until they come. Profile, Frames, receipts, chunks.

use crate::frame::{Frame, FrameKind, MessageId};
use crate::settings::{Limits, Timing};
use rand_core::CryptoRng;
use std::collections::VecDeque;
use std::time::Duration;
use waypost_core::Mono;

/// A message on its way.
pub(crate) struct Outgoing {
    /// The caller's name for it.
    pub(crate) id: u64,
    mid: MessageId,
    parts: Vec<Vec<u8>>,
    states: Vec<Part>,
    deadline: Mono,
}

#[derive(Clone, Copy)]
struct Part {
    received: bool,
    /// When to send it again; none before it was sent.
    due: Option<Mono>,
    pause: Duration,
}

/// What waits for one peer.
#[derive(Default)]
pub(crate) struct Outbox {
    messages: VecDeque<Outgoing>,
    bytes: usize,
}

impl Outbox {
    /// Whether another message finds room.
    pub(crate) fn has_room(&self, limits: &Limits, bytes: usize) -> bool {
        self.messages.len() < limits.outbox.0 && self.bytes + bytes <= limits.outbox.1
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    pub(crate) fn push(&mut self, now: Mono, id: u64, mid: MessageId, parts: Vec<Vec<u8>>, timing: &Timing) {
        self.bytes += parts.iter().map(Vec::len).sum::<usize>();
        let states = vec![Part { received: false, due: None, pause: timing.resend }; parts.len()];
        self.messages.push_back(Outgoing { id, mid, parts, states, deadline: now.after(timing.deadline) });
    }

    /// A new session: all that was not receipted goes again.
    pub(crate) fn again(&mut self, timing: &Timing) {
        for part in self.messages.iter_mut().flat_map(|message| &mut message.states) {
            (part.due, part.pause) = (None, timing.resend);
        }
    }

    /// Frames to be sent now, and whether one of them is a repetition.
    pub(crate) fn due(
        &mut self,
        now: Mono,
        rng: &mut dyn CryptoRng,
        limits: &Limits,
        timing: &Timing,
    ) -> (Vec<Frame>, bool) {
        let (mut frames, mut repeated) = (Vec::new(), false);
        for message in &mut self.messages {
            let count = u16::try_from(message.parts.len()).unwrap_or(u16::MAX);
            // All parts are there, but nobody said that the whole is: the first asks.
            let probes = message.states.iter().all(|part| part.received);
            let under_way = message.states.iter().filter(|part| !part.received && part.due.is_some()).count();
            let mut room = limits.in_flight.saturating_sub(under_way);
            for (at, (part, body)) in message.states.iter_mut().zip(&message.parts).enumerate() {
                let wanted = !part.received || probes && at == 0;
                let is_due = match part.due {
                    None => room > 0,
                    Some(due) => due <= now,
                };
                if !(wanted && is_due) {
                    continue;
                }
                if part.due.is_none() {
                    room -= 1;
                }
                repeated |= part.due.is_some();
                part.due = Some(now.after(jittered(part.pause, rng)));
                part.pause = (part.pause * 2).min(timing.resend_most);
                let idx = u16::try_from(at).unwrap_or(u16::MAX);
                let kind = FrameKind::Data { receipt: true, idx, count, body: body.clone() };
                frames.push(Frame { mid: message.mid, kind });
            }
        }
        (frames, repeated)
    }

    /// A part was receipted.
    pub(crate) fn part_received(&mut self, now: Mono, mid: MessageId, idx: u16, timing: &Timing) {
        let Some(message) = self.messages.iter_mut().find(|message| message.mid == mid) else { return };
        if message.states.iter().all(|part| part.received) {
            // Asked for the whole, the peer says that it has a part: it has lost the others, by time or by a restart.
            for part in &mut message.states {
                *part = Part { received: false, due: None, pause: timing.resend };
            }
        }
        if let Some(part) = message.states.get_mut(usize::from(idx)) {
            part.received = true;
        }
        if message.states.iter().all(|part| part.received)
            && let Some(first) = message.states.first_mut()
        {
            (first.due, first.pause) = (Some(now.after(timing.resend)), timing.resend);
        }
    }

    /// A message was delivered or refused: it waits no more. The caller's name for it.
    pub(crate) fn finish(&mut self, mid: MessageId) -> Option<u64> {
        let at = self.messages.iter().position(|message| message.mid == mid)?;
        self.remove(at)
    }

    /// Messages whose time is over.
    pub(crate) fn expired(&mut self, now: Mono) -> Vec<u64> {
        let mut expired = Vec::new();
        while let Some(at) = self.messages.iter().position(|message| message.deadline <= now) {
            expired.extend(self.remove(at));
        }
        expired
    }

    /// The caller's names for all messages.
    pub(crate) fn ids(&self) -> Vec<u64> {
        self.messages.iter().map(|message| message.id).collect()
    }

    fn remove(&mut self, at: usize) -> Option<u64> {
        let message = self.messages.remove(at)?;
        self.bytes = self.bytes.saturating_sub(message.parts.iter().map(Vec::len).sum());
        Some(message.id)
    }

    /// When something is due: a part while the peer is there, a deadline always.
    pub(crate) fn poll_timeout(&self, online: bool) -> Option<Mono> {
        let deadlines = self.messages.iter().map(|message| message.deadline);
        let parts = self.messages.iter().flat_map(|message| {
            let probes = message.states.iter().all(|part| part.received);
            message.states.iter().enumerate().filter(move |(at, part)| !part.received || probes && *at == 0)
        });
        let parts = parts.filter(|_| online).filter_map(|(_, part)| part.due);
        deadlines.chain(parts).min()
    }
}

/// +-10 %.
fn jittered(pause: Duration, rng: &mut dyn CryptoRng) -> Duration {
    let share = f64::from(rng.next_u32()) / f64::from(u32::MAX);
    pause.mul_f64(0.9 + 0.2 * share)
}
