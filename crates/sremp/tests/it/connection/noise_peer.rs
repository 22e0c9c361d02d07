//! A peer that does the handshake properly and then sends whatever a test wants.

use super::pair::{End, at, noise_secret};
use waypost_core::Now;
use waypost_sremp::{
    Identity, Message, SignedIdentity,
    frame::{FrameReader, MAX_FRAME},
    noise::{Initiator, NoiseKeys, Responder, Transport},
    version::{HEADER_LEN, OWN_HEADER},
    x25519::Secret,
};

pub(crate) struct NoisePeer {
    pub(crate) transport: Transport,
}

impl NoisePeer {
    /// Dials a listener with the Noise key of `person`.
    pub(crate) fn dial(person: u8, listener: &mut End) -> Self {
        let header = OWN_HEADER.to_bytes();
        let keys = NoiseKeys::new(noise_secret(person));
        let (initiator, msg1) = Initiator::start(&keys, Secret::from_bytes([99; 32]), &header).unwrap();
        listener.give(at(0), &header);
        listener.give(at(0), &framed(&msg1));
        let answer = listener.take_sent();
        let (theirs, msg2) = answer.split_first_chunk::<HEADER_LEN>().unwrap();
        let proven = initiator.read_msg2(&msg2[2..], theirs).unwrap();
        let (msg3, transport) = proven.finish(None).unwrap();
        listener.give(at(0), &framed(&msg3));
        Self { transport }
    }

    /// Dials a listener and shows an identity.
    pub(crate) fn meet(person: u8, listener: &mut End, identity: &SignedIdentity) -> Self {
        let mut peer = Self::dial(person, listener);
        peer.send(at(0), listener, &Message::Identity(identity.clone()));
        peer
    }

    /// Answers a dialler with the Noise key of `person`; the dialler's identity arrived.
    pub(crate) fn answer(person: u8, dialler: &mut End) -> Self {
        let sent = dialler.take_sent();
        let (theirs, msg1) = sent.split_first_chunk::<HEADER_LEN>().unwrap();
        let header = OWN_HEADER.to_bytes();
        let keys = NoiseKeys::new(noise_secret(person));
        let responder = Responder::start(&keys, Secret::from_bytes([99; 32]), theirs).unwrap();
        let (waiting, msg2) = responder.read_msg1(&msg1[2..], &header).unwrap();
        dialler.give(at(0), &[&header[..], &framed(&msg2)].concat());
        let sent = dialler.take_sent();
        let (msg3, identity) = sent[2..].split_at(64);
        let mut peer = Self { transport: waiting.read_msg3(msg3).unwrap() };
        assert!(matches!(peer.read(identity)[..], [Message::Identity(_)]));
        peer
    }

    pub(crate) fn send(&mut self, now: Now, to: &mut End, message: &Message) {
        self.send_raw(now, to, &message.encode());
    }

    pub(crate) fn send_raw(&mut self, now: Now, to: &mut End, plaintext: &[u8]) {
        let mut frame = Vec::new();
        self.transport.seal(plaintext, &mut frame).unwrap();
        to.give(now, &frame);
    }

    /// What the other side has sent since.
    pub(crate) fn received(&mut self, from: &mut End) -> Vec<Message> {
        let sent = from.take_sent();
        self.read(&sent)
    }

    fn read(&mut self, mut stream: &[u8]) -> Vec<Message> {
        let mut reader = FrameReader::default();
        let mut messages = Vec::new();
        while !stream.is_empty() {
            let frame = reader.next(&mut stream, MAX_FRAME).unwrap().unwrap();
            let mut plaintext = Vec::new();
            self.transport.open(frame.as_ref(), &mut plaintext).unwrap();
            messages.push(Message::decode(&plaintext).unwrap());
        }
        messages
    }
}

pub(crate) fn framed(message: &[u8]) -> Vec<u8> {
    [&u16::try_from(message.len()).unwrap().to_be_bytes()[..], message].concat()
}

/// The code and weight of the one ERROR among the messages.
pub(crate) fn the_error(messages: &[Message]) -> (u16, bool) {
    match messages {
        [.., Message::Error(error)] => (error.code, error.fatal),
        other => panic!("no error at the end of {other:?}"),
    }
}

pub(crate) fn signed(identity: &Identity) -> &SignedIdentity {
    identity.signed()
}
