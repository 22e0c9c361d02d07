//! A connection of `waypost-sremp` whose other side does what it likes.

use crate::people::{NOW, Person};
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};
use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};
use waypost_core::{Mono, Now};
use waypost_sremp::{
    Connection, ErrorCode, Message,
    chunk::split,
    connection::{ConnectionKeys, Event, Input, Limits, Output, Timing, Verdict},
    message::{ErrorMessage, Ping},
    noise::{Initiator, MAX_PLAINTEXT, NoiseKeys, Transport},
    version::OWN_HEADER,
    x25519::Secret,
};

/// Steps of an input: more teach nothing new.
const STEPS: usize = 64;

/// One step: its number, the length of what belongs to it, and that.
pub(crate) fn step<'a>(data: &mut &'a [u8]) -> Option<(u8, &'a [u8])> {
    let ([kind, high, low], rest) = data.split_first_chunk()?;
    let length = usize::from(u16::from_be_bytes([*high, *low])).min(rest.len());
    let (content, rest) = rest.split_at(length);
    *data = rest;
    Some((*kind, content))
}

/// The peer completes the handshake as the profile says, then sends any messages at any time.
///
/// Whatever it does: no panic, an end that stays the end, and bounded memory.
pub fn connection(mut data: &[u8]) {
    let Some((mut own, mut peer, _)) = Listener::shaken() else { return };
    for _ in 0..STEPS {
        let Some((kind, content)) = step(&mut data) else { break };
        match kind % 8 {
            0 | 1 => {
                let mut frame = Vec::new();
                if !content.is_empty() && content.len() <= MAX_PLAINTEXT && peer.seal(content, &mut frame).is_ok() {
                    own.give(Input::Bytes(&frame));
                }
            }
            2 => own.give(Input::Bytes(content)),
            3 => own.wait(content),
            4 => own.give(Input::Eof),
            5 => own.give(Input::Judged(verdict(content))),
            6 => own.give(Input::Send(Message::Ping(Ping { nonce: 7 }))),
            _ => own.give(Input::Close(Some(ErrorMessage::new(ErrorCode::Duplicate)))),
        }
    }
    own.hang_up();
}

/// Any bytes from the start, to a listener.
pub fn listener(mut data: &[u8]) {
    let Some(mut own) = Listener::new() else { return };
    for _ in 0..STEPS {
        let Some((kind, content)) = step(&mut data) else { break };
        match kind % 4 {
            0 | 1 => own.give(Input::Bytes(content)),
            2 => own.wait(content),
            _ => own.give(Input::Judged(verdict(content))),
        }
    }
    own.hang_up();
}

/// A whole conversation as steps of [`connection`], and the same as steps of [`listener`].
pub fn seeds() -> Option<[Vec<u8>; 2]> {
    let identity = Message::Identity(Person::of(2)?.identity.signed().clone()).encode();
    let steps = |messages: &[Vec<u8>], accept: u8| {
        let (first, rest) = messages.split_first()?;
        let mut seed = [&put(0, first)?[..], &put(accept, &[0])?].concat();
        for message in rest {
            seed.extend(put(0, message)?);
        }
        Some(seed)
    };
    let mut messages = vec![identity, Message::Ping(Ping { nonce: 1 }).encode(), b"\x81\xa3NEW\x80".to_vec()];
    for piece in split(&Message::Ping(Ping { nonce: 2 }).encode(), 5, 9).ok()? {
        messages.push(Message::ChunkedMessage(piece).encode());
    }
    messages.push(Message::Error(ErrorMessage::new(ErrorCode::Limit).fatal()).encode());

    let (_, mut peer, sent) = Listener::shaken()?;
    let mut listened = sent.iter().map(|bytes| put(0, bytes)).collect::<Option<Vec<_>>>()?.concat();
    let mut frames = Vec::new();
    for message in &messages {
        let mut frame = Vec::new();
        peer.seal(message, &mut frame).ok()?;
        frames.push(frame);
    }
    listened.extend(steps(&frames, 3)?);
    Some([steps(&messages, 5)?, listened])
}

/// The bytes of one step.
pub(crate) fn put(kind: u8, content: &[u8]) -> Option<Vec<u8>> {
    let length = u16::try_from(content.len()).ok()?;
    Some([&[kind][..], &length.to_be_bytes(), content].concat())
}

fn verdict(content: &[u8]) -> Verdict {
    match content.first() {
        Some(0) => Verdict::Accept { known: false },
        Some(1) => Verdict::Refuse(ErrorCode::IdStale),
        Some(2) => Verdict::Silent,
        _ => Verdict::Accept { known: true },
    }
}

/// Bob's side of a connection, and what it is held to.
struct Listener {
    connection: Connection,
    now: Now,
    rng: ChaCha20Rng,
    closed: bool,
    limits: Limits,
}

impl Listener {
    fn new() -> Option<Self> {
        static KEYS: OnceLock<Option<Arc<ConnectionKeys>>> = OnceLock::new();
        let keys = KEYS.get_or_init(|| {
            let bob = Person::of(1)?;
            ConnectionKeys::new(bob.noise, bob.identity).ok().map(Arc::new)
        });
        let now = Now { mono: Mono::default(), wall: NOW };
        let limits = Limits::default();
        let connection = Connection::accept(now, keys.clone()?, limits.clone(), Timing::default());
        Some(Self { connection, now, rng: ChaCha20Rng::from_seed([1; 32]), closed: false, limits })
    }

    /// After the handshake, with the peer's half of the channel and what the peer sent so far.
    fn shaken() -> Option<(Self, Transport, [Vec<u8>; 2])> {
        static ALICE: OnceLock<Option<Person>> = OnceLock::new();
        let alice = ALICE.get_or_init(|| Person::of(2)).as_ref()?;
        let mut own = Self::new()?;
        let header = OWN_HEADER.to_bytes();
        let ephemeral = Secret::from_bytes([9; 32]);
        let (initiator, msg1) = Initiator::start(&NoiseKeys::new(alice.noise.clone()), ephemeral, &header).ok()?;
        let first = [&header[..], &framed(&msg1)].concat();
        let told = own.answer(&first);
        let (_, msg2) = told.split_at_checked(header.len() + 2)?;
        let (msg3, transport) = initiator.read_msg2(msg2, &header).ok()?.finish(None).ok()?;
        let third = framed(&msg3);
        own.answer(&third);
        Some((own, transport, [first, third]))
    }

    /// What it sends when it is given these bytes.
    fn answer(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut sent = Vec::new();
        if self.connection.handle(self.now, &mut self.rng, Input::Bytes(bytes)).is_ok() {
            while let Some(output) = self.connection.poll() {
                if let Output::Send(bytes) = output {
                    sent.extend(bytes);
                }
            }
        }
        sent
    }

    fn give(&mut self, input: Input<'_>) {
        let ours = matches!(input, Input::Send(_) | Input::Judged(_));
        let done = self.connection.handle(self.now, &mut self.rng, input);
        // What a peer does is never an error of the call.
        assert!(done.is_ok() || ours);
        self.drain();
    }

    /// Some seconds go by; whatever is due happens.
    fn wait(&mut self, content: &[u8]) {
        let seconds = content.first().copied().unwrap_or(30);
        self.now.mono = self.now.mono.after(Duration::from_secs(u64::from(seconds)));
        self.give(Input::Tick);
        assert!(self.connection.poll_timeout().is_none_or(|due| due > self.now.mono));
    }

    fn drain(&mut self) {
        assert!(self.connection.send_queue_bytes() <= self.limits.send_queue + (1 << 17));
        assert!(self.limits.chunk_budget.held() <= self.limits.known_chunks.connection);
        while let Some(output) = self.connection.poll() {
            assert!(!self.closed, "something follows the end");
            match output {
                Output::Close => self.closed = true,
                Output::Event(Event::Message(message)) => {
                    assert!(!matches!(message, Message::Identity(_) | Message::ChunkedMessage(_)));
                }
                _ => {}
            }
        }
        assert!(!self.closed || self.connection.poll_timeout().is_none());
        assert!(!self.closed || self.limits.chunk_budget.held() == 0);
    }

    /// The stream ends: so does the connection, whatever was before.
    fn hang_up(mut self) {
        self.give(Input::Eof);
        assert!(self.closed);
    }
}

/// A short message with its length in front.
fn framed(message: &[u8]) -> Vec<u8> {
    [&[0, u8::try_from(message.len()).unwrap_or_default()][..], message].concat()
}
