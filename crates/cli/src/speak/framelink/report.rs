//! The events of a link.

use crate::speak::lines::Event;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::io;
use waypost_framelink::link::{End, Received, Status};
use waypost_framelink::{Fault, UNLIMITED};
use waypost_net::framelink::{Frame, Opened};

/// Bytes of a payload that are shown.
const SHOWN: usize = 256;

/// Whose events they are: a number where there may be several links.
#[derive(Clone, Copy, Debug)]
pub(super) struct Teller(pub(super) Option<u64>);

/// What has come in.
#[derive(Default)]
pub(super) struct Income {
    pub(super) frames: u64,
    pub(super) bytes: u64,
    pub(super) hash: Sha256,
    message: Message,
}

/// The message whose parts are coming in.
#[derive(Default)]
struct Message {
    frames: u64,
    length: usize,
    hash: Sha256,
    shown: Vec<u8>,
}

impl Teller {
    /// An event of this link.
    pub(super) fn event(self, name: &'static str) -> Event {
        Event::new(name).with_some("link", self.0)
    }

    pub(super) fn open(self, opened: &Opened) -> io::Result<()> {
        let keyed = opened.mode.is_keyed();
        let credit = if opened.peer.credit == UNLIMITED { json!("unlimited") } else { json!(opened.peer.credit) };
        self.event("open")
            .with("mode", opened.mode.name())
            .with_some("psk", keyed.then_some(opened.psk))
            .with_some("peer_max_frame", keyed.then_some(opened.peer.max_frame))
            .with_some("peer_credit", keyed.then_some(credit))
            .print()
    }

    /// A frame, and the message that it ends; `raw` knows no messages.
    pub(super) fn frame(self, income: &mut Income, frame: &Frame, keyed: bool) -> io::Result<()> {
        let payload = frame.payload.as_slice();
        income.count(1, payload);
        self.event("frame")
            .with("code", frame.code)
            .with("seq", frame.seq)
            .with("len", payload.len())
            .with("payload", shown(payload))
            .with("sha256", hex::encode(Sha256::digest(payload)))
            .print()?;
        if !keyed {
            return Ok(());
        }
        let message = &mut income.message;
        message.frames += 1;
        message.length += payload.len();
        message.hash.update(payload);
        let room = SHOWN - message.shown.len();
        message.shown.extend(payload.iter().take(room));
        if frame.code == waypost_framelink::code::MORE {
            return Ok(());
        }
        let message = std::mem::take(message);
        self.event("message")
            .with("code", frame.code)
            .with("frames", message.frames)
            .with("len", message.length)
            .with("payload", hex::encode(message.shown))
            .with("sha256", hex::encode(message.hash.finalize()))
            .print()
    }

    /// A read of the profile.
    pub(super) fn reads(self, income: &mut Income, read: &Received, buf: &[u8]) -> io::Result<()> {
        let payload = buf.get(..read.n).unwrap_or_default();
        income.count(read.frames.len() as u64, payload);
        let frame = |frame: &waypost_framelink::link::FrameInfo| json!({"code": frame.code, "seq": frame.seq, "len": frame.length});
        let frames: Vec<Value> = read.frames.iter().map(frame).collect();
        let event = self.event("reads").with("n", read.n).with("frames", frames).with("payload", shown(payload));
        status(event.with("sha256", hex::encode(Sha256::digest(payload))), read.status).print()
    }

    pub(super) fn peer_closed(self, received: u32) -> io::Result<()> {
        self.event("peer_closed").with("received", received).print()
    }

    pub(super) fn ended(self, end: &End) -> io::Result<()> {
        let event = status(self.event("ended"), end.status);
        let event = match (end.status, end.fault) {
            (Status::Violation(_), _) | (_, None) => event,
            (_, Some(fault)) => event.with("kind", fault.name()),
        };
        event
            .with_some("text", end.text.as_deref())
            .with("in_handshake", end.in_handshake)
            .with_some("hint", end.keyed_peer.then_some("peer speaks psk or hybrid"))
            .print()
    }

    /// Something was asked for and not done.
    pub(super) fn refused(self, cmd: &'static str, kind: &'static str) -> io::Result<()> {
        self.event("refused").with("cmd", cmd).with("kind", kind).print()
    }
}

impl Income {
    fn count(&mut self, frames: u64, payload: &[u8]) {
        self.frames += frames;
        self.bytes += payload.len() as u64;
        self.hash.update(payload);
    }
}

fn status(event: Event, status: Status) -> Event {
    let event = event.with("status", status.name());
    match status {
        Status::TooSmall(length) => event.with("len", length),
        Status::Violation(Fault::Rejected(reason)) => event
            .with("kind", Fault::Rejected(reason).name())
            .with("reason", reason)
            .with_some("name", Fault::from_reason(reason).map(Fault::name)),
        Status::Violation(fault) => event.with("kind", fault.name()),
        Status::PeerError(code) | Status::Aborted(code) => event.with("code", code),
        _ => event,
    }
}

fn shown(payload: &[u8]) -> String {
    hex::encode(payload.get(..SHOWN).unwrap_or(payload))
}
