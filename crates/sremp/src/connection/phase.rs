//! Where a connection stands. One variant a wait-state.

use super::{Connection, Side};
use crate::{
    Error, Identity, Message,
    connection::Timer,
    crypto::x25519::Secret,
    frame::LENGTH_LEN,
    noise::{AwaitingMsg3, Initiator, MSG1_LEN, MSG2_LEN, MSG3_LEN, Responder, Transport},
    version::{HEADER_LEN, OWN_HEADER, VersionHeader},
};
use rand_core::CryptoRng;
use waypost_core::Now;

pub(super) enum Phase {
    /// The other side's header is not complete. A dialler has sent its own and msg1.
    Header { bytes: Vec<u8>, initiator: Option<Box<Initiator>> },
    /// A listener waits for msg1.
    Msg1(Box<Responder>),
    /// A dialler waits for msg2.
    Msg2 { initiator: Box<Initiator>, header: [u8; HEADER_LEN] },
    /// A listener waits for msg3.
    Msg3(Box<AwaitingMsg3>),
    /// The other side's identity is awaited. A dialler has sent its own.
    Identity(Box<Transport>),
    /// The caller judges the other side's identity.
    Judging { transport: Box<Transport>, identity: Box<Identity> },
    /// Both sides know each other.
    Ready(Box<Transport>),
    /// The last message is sent; what is on its way is still read.
    Lingering(Box<Transport>),
    /// Over.
    Closed,
}

impl Phase {
    /// The channel, once there is one.
    pub(super) fn transport(&mut self) -> Option<&mut Transport> {
        match self {
            Self::Identity(transport)
            | Self::Judging { transport, .. }
            | Self::Ready(transport)
            | Self::Lingering(transport) => Some(transport),
            Self::Header { .. } | Self::Msg1(_) | Self::Msg2 { .. } | Self::Msg3(_) | Self::Closed => None,
        }
    }

    /// The longest frame that may come now.
    pub(super) fn longest_frame(&self) -> usize {
        match self {
            Self::Msg1(_) => MSG1_LEN,
            Self::Msg2 { .. } => MSG2_LEN,
            Self::Msg3(_) => MSG3_LEN,
            _ => crate::frame::MAX_FRAME,
        }
    }
}

impl Connection {
    /// Takes bytes of the other side's header from the front of `input`. SREMP 10.2, profile SR-10.2a.
    pub(super) fn header(&mut self, rng: &mut impl CryptoRng, input: &mut &[u8]) -> Result<(), Error> {
        let Phase::Header { bytes, initiator } = &mut self.phase else { return Ok(()) };
        let (front, rest) = input.split_at(input.len().min(HEADER_LEN - bytes.len()));
        bytes.extend_from_slice(front);
        *input = rest;
        if !VersionHeader::is_begun_by(bytes) {
            // Something else speaks here: it learns nothing, not even that this is SREMP.
            return Err(Error::Malformed("not an SREMP header"));
        }
        let Some(theirs) = bytes.first_chunk().copied() else { return Ok(()) };
        let initiator = initiator.take();
        if matches!(self.side, Side::Listener) {
            self.put(&OWN_HEADER.to_bytes());
        }
        self.minor = OWN_HEADER.agree(VersionHeader::decode(&theirs)?)?;
        self.timers.stop(Timer::Header);
        self.phase = match initiator {
            Some(initiator) => Phase::Msg2 { initiator, header: theirs },
            None => Phase::Msg1(Box::new(Responder::start(&self.keys.noise, Secret::generate(rng), &theirs)?)),
        };
        Ok(())
    }

    /// Takes a frame of the handshake. Whatever is wrong with it ends the connection without a word.
    pub(super) fn handshake(&mut self, now: Now, frame: &[u8]) -> Result<(), Error> {
        match std::mem::replace(&mut self.phase, Phase::Closed) {
            Phase::Msg1(responder) => {
                let (waiting, msg2) = responder.read_msg1(frame, &OWN_HEADER.to_bytes())?;
                self.put_frame(&msg2);
                self.phase = Phase::Msg3(Box::new(waiting));
                Ok(())
            }
            Phase::Msg2 { initiator, header } => {
                let proven = initiator.read_msg2(frame, &header)?;
                let (msg3, transport) = proven.finish(self.side.pin())?;
                self.put_frame(&msg3);
                self.established(now, transport);
                // The dialler shows itself first. Profile SR-4.1.1a.
                self.send_identity()
            }
            Phase::Msg3(waiting) => {
                let transport = waiting.read_msg3(frame)?;
                self.established(now, transport);
                Ok(())
            }
            phase => {
                self.phase = phase;
                Err(Error::Internal("a handshake frame outside of a handshake"))
            }
        }
    }

    fn established(&mut self, now: Now, transport: Transport) {
        self.handshake_hash = *transport.handshake_hash();
        self.phase = Phase::Identity(Box::new(transport));
        self.timers.stop(Timer::Handshake);
        self.timers.start(Timer::Identity, now.mono.after(self.timing.identity));
    }

    pub(super) fn send_identity(&mut self) -> Result<(), Error> {
        let own = Message::Identity(self.keys.identity.signed().clone());
        self.seal(&own.encode())
    }

    /// Puts a handshake message into a frame.
    pub(super) fn put_frame<const N: usize>(&mut self, message: &[u8; N]) {
        const { assert!(N <= u8::MAX as usize) };
        let length: [u8; LENGTH_LEN] = [0, N as u8];
        self.put(&length);
        self.put(message);
    }

    pub(super) fn put(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
        self.sent(bytes.len());
    }
}
