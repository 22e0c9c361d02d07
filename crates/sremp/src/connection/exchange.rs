//! Messages within the channel: identities first, then everything else.

use super::{Closed, Connection, Event, Phase, Verdict};
use crate::{
    Error, ErrorCode, Message, chunk,
    connection::Timer,
    message::{ErrorMessage, Ping, Pong},
    noise::MAX_PLAINTEXT,
};
use rand_core::CryptoRng;
use waypost_core::{Mono, Now};

impl Connection {
    /// Opens a frame and acts on the message in it.
    pub(super) fn sealed_frame(&mut self, now: Now, frame: &[u8], plaintext: &mut Vec<u8>) -> Result<(), Error> {
        let Some(transport) = self.phase.transport() else { return Ok(()) };
        if transport.opened() >= self.limits.frames {
            self.close(Closed::Exhausted);
            return Ok(());
        }
        transport.open(frame, plaintext)?;
        let message = Message::decode(plaintext)?;
        match &self.phase {
            Phase::Identity(_) => self.first_message(message),
            Phase::Ready(_) => {
                self.heard(now.mono);
                self.message(now, message)
            }
            Phase::Lingering(_) => self.message(now, message),
            _ => Ok(()),
        }
    }

    /// The first message of the other side is its identity, or an error. Profile SR-4.1.1a.
    fn first_message(&mut self, message: Message) -> Result<(), Error> {
        let signed = match message {
            Message::Identity(signed) => signed,
            Message::Error(error) => {
                self.peer_error(error);
                return Ok(());
            }
            _ => return Err(Error::Malformed("a message before the identity")),
        };
        let identity = signed.verify()?;
        let Some(transport) = self.phase.transport() else { return Ok(()) };
        let theirs = transport.theirs();
        identity.check_peer(&theirs, &self.keys.identity.key(), self.side.identity())?;
        if let Phase::Identity(transport) = std::mem::replace(&mut self.phase, Phase::Closed) {
            self.phase = Phase::Judging { transport, identity: Box::new(identity.clone()) };
        }
        self.event(Event::Identified(identity));
        Ok(())
    }

    /// What the caller thinks of the identity it was shown.
    pub(super) fn judged(&mut self, now: Now, verdict: Verdict) -> Result<(), Error> {
        let (transport, identity) = match std::mem::replace(&mut self.phase, Phase::Closed) {
            Phase::Judging { transport, identity } => (transport, identity),
            phase => {
                self.phase = phase;
                return Err(Error::BadInput("there is nothing to judge"));
            }
        };
        self.phase = Phase::Ready(transport);
        match verdict {
            Verdict::Accept { known } => {
                self.set_known(known);
                if !self.we_dialled() {
                    self.send_identity()?;
                }
                self.timers.stop(Timer::Identity);
                self.heard(now.mono);
                self.event(Event::Ready {
                    peer: *identity,
                    handshake_hash: self.handshake_hash,
                    we_dialled: self.we_dialled(),
                    minor: self.minor,
                });
            }
            Verdict::Refuse(code) => {
                self.last_word(&ErrorMessage::new(code).fatal());
                self.close(Closed::Judged);
            }
            Verdict::Silent => self.close(Closed::Judged),
        }
        Ok(())
    }

    /// A message of a peer both sides know.
    fn message(&mut self, now: Now, message: Message) -> Result<(), Error> {
        match message {
            Message::ChunkedMessage(chunk) => {
                let limits = *self.chunk_limits();
                let Some(whole) = self.reassembler.take(now.mono, chunk, &limits)? else { return Ok(()) };
                match Message::decode(&whole)? {
                    Message::ChunkedMessage(_) | Message::Identity(_) | Message::Error(_) => {
                        Err(Error::Malformed("a message that may not come in chunks"))
                    }
                    message => self.whole_message(message),
                }
            }
            message => self.whole_message(message),
        }
    }

    fn whole_message(&mut self, message: Message) -> Result<(), Error> {
        match message {
            Message::Identity(_) => Err(Error::Malformed("a second identity")),
            Message::Error(error) if error.fatal => {
                self.peer_error(error);
                Ok(())
            }
            Message::Ping(Ping { nonce }) => self.reply(&Message::Pong(Pong { nonce })),
            // Only whoever asked wants the answer; the machine's own PINGs just keep it alive.
            Message::Pong(Pong { nonce }) if self.asked != Some(nonce) => Ok(()),
            Message::Unknown { .. } => {
                self.reply(&Message::Error(ErrorMessage::new(ErrorCode::Unsupported).answering(&message)))
            }
            message => {
                self.event(Event::Message(message));
                Ok(())
            }
        }
    }

    /// An error that ends the connection, or one from before the identity that does not matter.
    fn peer_error(&mut self, error: ErrorMessage) {
        if error.fatal {
            self.close(Closed::Peer(error));
        }
    }

    /// Queues a message of the caller, in chunks if it is long.
    pub(super) fn send(&mut self, rng: &mut impl CryptoRng, message: &Message) -> Result<(), Error> {
        if !matches!(self.phase, Phase::Ready(_)) {
            return Err(Error::BadInput("the connection is not ready"));
        }
        if matches!(message, Message::Identity(_) | Message::ChunkedMessage(_)) {
            return Err(Error::BadInput("the connection sends such messages itself"));
        }
        let bytes = message.encode();
        if self.out.len() + bytes.len() > self.limits.send_queue {
            return Err(Error::Limit("send queue"));
        }
        if bytes.len() <= MAX_PLAINTEXT {
            return self.seal(&bytes);
        }
        for piece in chunk::split(&bytes, rng.next_u64(), self.limits.chunk_size)? {
            self.seal(&Message::ChunkedMessage(piece).encode())?;
        }
        Ok(())
    }

    /// Queues bytes as they are.
    pub(super) fn send_raw(&mut self, bytes: &[u8]) -> Result<(), Error> {
        if !matches!(self.phase, Phase::Ready(_)) {
            return Err(Error::BadInput("the connection is not ready"));
        }
        if bytes.is_empty() || bytes.len() > MAX_PLAINTEXT || self.out.len() + bytes.len() > self.limits.send_queue {
            return Err(Error::Limit("raw bytes"));
        }
        self.seal(bytes)
    }

    /// Answers by itself, unless the last message is sent already.
    fn reply(&mut self, message: &Message) -> Result<(), Error> {
        if matches!(self.phase, Phase::Lingering(_)) { Ok(()) } else { self.seal(&message.encode()) }
    }

    /// Asks for a sign of life.
    pub(super) fn ping(&mut self, rng: &mut impl CryptoRng) -> Result<(), Error> {
        self.seal(&Message::Ping(Ping { nonce: rng.next_u64() }).encode())
    }

    /// Puts a message into a frame.
    pub(super) fn seal(&mut self, plaintext: &[u8]) -> Result<(), Error> {
        let before = self.out.len();
        let Some(transport) = self.phase.transport() else { return Err(Error::Internal("no channel to send by")) };
        if transport.sealed() >= self.limits.frames {
            self.close(Closed::Exhausted);
            return Ok(());
        }
        transport.seal(plaintext, &mut self.out)?;
        self.sent(self.out.len() - before);
        Ok(())
    }

    /// Says why the connection ends, if there is a channel to say it by.
    pub(super) fn last_word(&mut self, error: &ErrorMessage) {
        if matches!(self.phase, Phase::Lingering(_)) || self.phase.transport().is_none() {
            return;
        }
        // Whether it can be said changes nothing: the connection ends.
        let _ = self.seal(&Message::Error(error.clone()).encode());
    }

    /// A frame arrived: the silence is over.
    fn heard(&mut self, now: Mono) {
        self.timers.start(Timer::Ping, now.after(self.timing.ping));
        self.timers.start(Timer::Silence, now.after(self.timing.silence));
    }
}
