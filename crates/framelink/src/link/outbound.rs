//! Messages on their way out: cut, counted against the credit, sealed.

use super::PeerLimits;
use crate::{
    Block, Fault, Pad, Role, Sealer, Settings, code,
    framing::{KeyUse, OVERHEAD, blocks},
    settings::{MAX_CREDIT, UNLIMITED},
};
use rand_core::CryptoRng;
use std::collections::VecDeque;
use waypost_core::Mono;
use zeroize::Zeroizing;

/// Payload of a REKEY.
const REKEY_LEN: u32 = 32;
/// Payload of a CLOSE.
const CLOSE_LEN: u32 = 4;
/// Wire sizes that bursts are filled up to; above the last, its multiples.
const BUCKETS: [usize; 5] = [256, 1024, 4096, 16384, 65536];

/// A message, and how much of it is sealed.
struct Message {
    code: u32,
    payload: Vec<u8>,
    sealed: usize,
}

/// The sending direction.
pub(super) struct Outbound {
    sealer: Sealer,
    settings: Settings,
    /// What the peer takes; nothing but HELLO leaves before it is known.
    peer: Option<PeerLimits>,
    /// Application bytes that may leave; `None` without a limit.
    allowance: Option<u64>,
    messages: VecDeque<Message>,
    waiting: usize,
    controls: VecDeque<(u32, Vec<u8>)>,
    /// Credit to be granted with the next frame that leaves.
    grant: u32,
    out: Vec<u8>,
    /// Bytes that wait to be polled.
    sealed: usize,
    /// Bytes that were polled and not taken by the transport yet.
    unwritten: usize,
    /// PONGs not taken by the transport yet.
    pongs: usize,
    empty_in_a_row: u32,
    key_since: Mono,
    keyed: bool,
    /// A new key is asked for before its time.
    renews: bool,
    closing: bool,
    /// Nothing more leaves: CLOSE or ERROR has.
    closed: bool,
    shutdown: bool,
}

impl Outbound {
    pub(super) fn new(block: &Block, role: Role, settings: &Settings, now: Mono) -> Self {
        Self {
            sealer: Sealer::new(block, role, settings.framing),
            settings: settings.clone(),
            peer: None,
            allowance: None,
            messages: VecDeque::new(),
            waiting: 0,
            controls: VecDeque::new(),
            grant: 0,
            out: Vec::new(),
            sealed: 0,
            unwritten: 0,
            pongs: 0,
            empty_in_a_row: 0,
            key_since: now,
            keyed: true,
            renews: false,
            closing: false,
            closed: false,
            shutdown: false,
        }
    }

    /// The peer takes frames now.
    pub(super) fn open(&mut self, peer: PeerLimits) {
        self.allowance = (peer.credit != UNLIMITED).then_some(u64::from(peer.credit));
        self.peer = Some(peer);
    }

    /// A link without control frames.
    pub(super) const fn open_raw(&mut self) {
        (self.keyed, self.peer) = (false, Some(PeerLimits::unlimited()));
    }

    pub(super) fn has_room(&self, queue: usize) -> bool {
        // An empty message takes memory too while it waits.
        let frames = self.messages.len().saturating_mul(OVERHEAD);
        let waiting = frames.max(self.waiting) + self.out.len() + self.sealed + self.unwritten;
        !self.closing && !self.closed && waiting < queue
    }

    pub(super) fn send(&mut self, code: u32, payload: Vec<u8>, room: usize) -> Result<(), Fault> {
        if self.closing || self.closed {
            return Err(Fault::Closed);
        }
        if !self.has_room(room) {
            return Err(Fault::QueueFull);
        }
        if self.keyed && code > code::MORE {
            // Such a message is never cut: one above half the credit could wait for ever.
            let peer = self.peer.ok_or(Fault::Closed)?;
            let fits = u32::try_from(payload.len()).is_ok_and(|length| {
                length <= peer.max_frame
                    && (self.allowance.is_none() || length <= peer.credit / 2)
                    && blocks(length) + blocks(REKEY_LEN) <= self.settings.limits.rekey_blocks
            });
            if !fits {
                return Err(Fault::TooLarge);
            }
        }
        self.waiting += payload.len();
        self.messages.push_back(Message { code, payload, sealed: 0 });
        Ok(())
    }

    pub(super) fn control(&mut self, code: u32, payload: Vec<u8>) {
        if !self.closed {
            self.controls.push_back((code, payload));
        }
    }

    /// Answers a PING, unless more answers wait than a peer that reads would leave.
    pub(super) fn pong(&mut self, payload: &[u8]) -> Result<(), Fault> {
        if self.closed {
            return Ok(());
        }
        if self.pongs >= self.settings.limits.pongs {
            return Err(Fault::PingFlood);
        }
        self.pongs += 1;
        self.controls.push_back((code::PONG, payload.to_vec()));
        Ok(())
    }

    pub(super) const fn grant(&mut self, credit: u32) {
        self.grant = self.grant.saturating_add(credit);
    }

    /// The peer takes `more` application bytes. Profile FL-6.8.
    pub(super) fn credit(&mut self, more: u32) -> Result<(), Fault> {
        let Some(allowance) = &mut self.allowance else { return Ok(()) };
        *allowance += u64::from(more);
        if *allowance > u64::from(MAX_CREDIT) { Err(Fault::Credit) } else { Ok(()) }
    }

    /// The peer has closed and can grant no more: the limit falls.
    pub(super) const fn lift_credit(&mut self) {
        self.allowance = None;
    }

    pub(super) const fn close(&mut self) {
        self.closing = true;
    }

    /// The next key, with the frames that leave next.
    pub(super) const fn ask_rekey(&mut self) -> Result<(), Fault> {
        self.renews = !self.closed;
        if self.closed { Err(Fault::Closed) } else { Ok(()) }
    }

    pub(super) const fn is_closing(&self) -> bool {
        self.closing || self.closed
    }

    pub(super) const fn is_closed(&self) -> bool {
        self.closed
    }

    /// Whether everything that was to leave has been taken.
    pub(super) fn is_written(&self) -> bool {
        self.out.is_empty() && self.sealed == 0 && self.unwritten == 0
    }

    /// Bytes that have not left.
    pub(super) const fn queued(&self) -> usize {
        self.waiting + self.sealed + self.unwritten
    }

    /// Whether a frame is between here and the transport.
    pub(super) fn is_sending(&self) -> bool {
        !self.is_written()
    }

    /// Bytes that wait were polled.
    pub(super) const fn polled(&mut self, bytes: usize) {
        self.sealed = self.sealed.saturating_sub(bytes);
        self.unwritten += bytes;
    }

    /// What was polled was taken by the transport.
    pub(super) fn flushed(&mut self) {
        self.unwritten = 0;
        if self.is_written() {
            self.pongs = self.controls.iter().filter(|(code, _)| *code == code::PONG).count();
        }
    }

    /// SEQ of the last frame that was sealed.
    pub(super) const fn last_seq(&self) -> u32 {
        self.sealer.next_seq().wrapping_sub(1)
    }

    /// Seals what may leave. `verified` is the last SEQ that came in, for CLOSE.
    pub(super) fn flush(&mut self, now: Mono, rng: &mut impl CryptoRng, verified: u32) -> Result<(), Fault> {
        if self.closed || self.peer.is_none() {
            return Ok(());
        }
        let before = self.out.len();
        if std::mem::take(&mut self.renews) {
            self.rekey(now, rng)?;
        }
        if self.grant > 0 {
            // While messages wait for credit ahead of CLOSE, the other side may be waiting for ours.
            let grant = std::mem::take(&mut self.grant).to_be_bytes();
            if !self.closing || !self.messages.is_empty() {
                self.seal(now, rng, code::CREDIT, &grant)?;
            }
        }
        while let Some((code, payload)) = self.controls.pop_front() {
            self.seal(now, rng, code, &payload)?;
        }
        while self.seal_next(now, rng)? {}
        let ends = self.closing && self.messages.is_empty();
        self.pad(now, rng, before, ends)?;
        if ends {
            if self.keyed {
                self.seal(now, rng, code::CLOSE, &verified.to_be_bytes())?;
            }
            (self.closed, self.shutdown) = (true, true);
        }
        Ok(())
    }

    /// ERROR, the last frame; nothing that waits leaves before it.
    pub(super) fn error(&mut self, now: Mono, rng: &mut impl CryptoRng, code: u32, text: &str) {
        let mut payload = code.to_be_bytes().to_vec();
        payload.extend(text.bytes().take(text.floor_char_boundary(256)));
        self.messages.clear();
        self.controls.clear();
        _ = self.seal(now, rng, code::ERROR, &payload);
        self.closed = true;
    }

    /// Forgets the keys; what is sealed can still leave.
    pub(super) fn wipe(&mut self) {
        self.sealer.wipe();
        self.closed = true;
    }

    /// Drops whatever has not left.
    pub(super) fn silence(&mut self) {
        self.messages.clear();
        self.controls.clear();
        self.out.clear();
        (self.closed, self.waiting, self.shutdown) = (true, 0, false);
    }

    /// M2, in front of the HELLO that is sealed already.
    pub(super) fn put_in_front(&mut self, mut m2: Vec<u8>) {
        m2.append(&mut self.out);
        self.out = m2;
    }

    /// What is sealed, and whether the own direction has just ended with it.
    pub(super) fn take(&mut self) -> (Vec<u8>, bool) {
        self.sealed += self.out.len();
        (std::mem::take(&mut self.out), std::mem::take(&mut self.shutdown))
    }

    /// Seals as much of the next message as one frame takes; whether it did.
    fn seal_next(&mut self, now: Mono, rng: &mut impl CryptoRng) -> Result<bool, Fault> {
        let (Some(mut message), Some(peer)) = (self.messages.pop_front(), self.peer) else { return Ok(false) };
        let rest = message.payload.len() - message.sealed;
        let cuttable = !self.keyed || message.code <= code::MORE;
        let most = if cuttable { self.limits(peer) } else { u64::from(peer.max_frame) };
        let allowance = self.allowance.unwrap_or(u64::MAX);
        let length = (rest as u64).min(most).min(if cuttable { allowance } else { u64::MAX });
        if rest > 0 && (length == 0 || length > allowance) {
            self.messages.push_front(message);
            return Ok(false);
        }
        let end = message.sealed + usize::try_from(length).unwrap_or(usize::MAX).min(rest);
        let part = message.payload.get(message.sealed..end).unwrap_or_default();
        let last = end == message.payload.len();
        let code = if last || !self.keyed { message.code } else { code::MORE };
        self.seal(now, rng, code, part)?;
        if let Some(allowance) = &mut self.allowance {
            *allowance = allowance.saturating_sub(length);
        }
        self.waiting -= part.len();
        message.sealed = end;
        if !last {
            self.messages.push_front(message);
        }
        Ok(true)
    }

    /// The longest frame that a message is cut into.
    fn limits(&self, peer: PeerLimits) -> u64 {
        let key = if self.keyed { self.key_room() } else { u64::MAX };
        u64::from(self.settings.limits.cut.min(peer.max_frame)).min(key)
    }

    /// The longest payload that leaves a fresh key its REKEY.
    fn key_room(&self) -> u64 {
        let blocks = self.settings.limits.rekey_blocks.saturating_sub(blocks(REKEY_LEN));
        blocks.saturating_mul(16).saturating_sub(OVERHEAD as u64)
    }

    /// One frame, with what must go before it: a new key, or a PAD in a row of empty ones.
    pub(super) fn seal(&mut self, now: Mono, rng: &mut impl CryptoRng, code: u32, payload: &[u8]) -> Result<(), Fault> {
        if self.keyed {
            self.renew(now, rng, payload.len())?;
            if payload.is_empty() && self.empty_in_a_row >= self.settings.limits.empty_frames {
                self.frame(code::PAD, &[0])?;
                self.renew(now, rng, 0)?;
            }
        }
        self.frame(code, payload)
    }

    /// The next key, now. Profile FL-6.3.
    fn rekey(&mut self, now: Mono, rng: &mut impl CryptoRng) -> Result<(), Fault> {
        let mut r = Zeroizing::new([0; REKEY_LEN as usize]);
        rng.fill_bytes(r.as_mut_slice());
        self.sealer.rekey(&r, &mut self.out)?;
        (self.key_since, self.empty_in_a_row) = (now, 0);
        Ok(())
    }

    fn renew(&mut self, now: Mono, rng: &mut impl CryptoRng, length: usize) -> Result<(), Fault> {
        let length = u32::try_from(length).map_err(|_| Fault::TooLarge)?;
        if self.is_due(now, self.sealer.used(), length) { self.rekey(now, rng) } else { Ok(()) }
    }

    /// Whether a key that has done so much must be renewed before a frame of `length`.
    fn is_due(&self, now: Mono, used: KeyUse, length: u32) -> bool {
        let limits = &self.settings.limits;
        // The last frame of a key is the REKEY: it must still find room behind this one.
        let frames = used.frames + 1 >= limits.rekey_frames;
        let sum = used.blocks.saturating_add(blocks(length)).saturating_add(blocks(REKEY_LEN));
        let old = now.since(self.key_since) > self.settings.timing.key_age;
        used.frames > 0 && (frames || old || sum > limits.rekey_blocks)
    }

    fn frame(&mut self, code: u32, payload: &[u8]) -> Result<(), Fault> {
        self.sealer.seal(code, payload, &mut self.out)?;
        self.empty_in_a_row = if payload.is_empty() { self.empty_in_a_row.saturating_add(1) } else { 0 };
        Ok(())
    }

    /// Fills what was sealed since `before` up to the next size. What ends the direction counts too: nothing
    /// may follow it.
    fn pad(&mut self, now: Mono, rng: &mut impl CryptoRng, before: usize, ends: bool) -> Result<(), Fault> {
        let Some(peer) = self.peer.filter(|_| self.keyed && self.settings.pad == Pad::Bucket) else { return Ok(()) };
        let most = u32::try_from(self.key_room().min(u64::from(peer.max_frame))).unwrap_or(u32::MAX);
        loop {
            let (burst, used) = (self.out.len() - before, self.sealer.used());
            let ending = |used| if ends { self.ending(now, used) } else { 0 };
            let end = ending(used);
            if burst + end == 0 || missing(burst + end) == 0 {
                return Ok(());
            }
            let length = pad_length(burst + end, most);
            if self.is_due(now, used, length) {
                self.rekey(now, rng)?;
                continue;
            }
            // The PAD itself may be what makes the end want another key.
            let end = ending(used.with(length));
            self.seal(now, rng, code::PAD, &vec![0; pad_length(burst + end, most) as usize])?;
        }
    }

    /// Bytes that end a direction whose key has done so much: CLOSE, and a REKEY if one must come before.
    fn ending(&self, now: Mono, used: KeyUse) -> usize {
        let rekey = if self.is_due(now, used, CLOSE_LEN) { OVERHEAD + REKEY_LEN as usize } else { 0 };
        rekey + OVERHEAD + CLOSE_LEN as usize
    }
}

/// Bytes that lift a burst to its bucket, 0 or at least those of an empty frame.
fn missing(burst: usize) -> usize {
    let [.., last] = BUCKETS;
    let bucket = |size: usize| {
        BUCKETS.iter().copied().find(|&bucket| bucket >= size).unwrap_or_else(|| size.next_multiple_of(last))
    };
    match bucket(burst) - burst {
        0 => 0,
        short if short < OVERHEAD => bucket(bucket(burst) + 1) - burst,
        enough => enough,
    }
}

/// Payload of the PAD that fills a burst: one where the peer takes it. The smallest frames leave room for another.
fn pad_length(burst: usize, most: u32) -> u32 {
    let exact = u32::try_from(missing(burst).saturating_sub(OVERHEAD)).unwrap_or(u32::MAX);
    if exact <= most { exact } else { most.saturating_sub(OVERHEAD as u32) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fills_up_to_the_next_size() {
        assert_eq!(missing(256), 0);
        assert_eq!(missing(232), 24);
        assert_eq!(missing(233), 1024 - 233);
        assert_eq!(missing(257), 1024 - 257);
        assert_eq!(missing(65537), 65535);
        assert_eq!(missing(2 * 65536 - 1), 65537);
        assert_eq!(missing(65536 - 10), 65546);
    }
}
