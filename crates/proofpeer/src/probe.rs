//! A door for tests against other implementations: values that never leave the crate otherwise.

use crate::ack::Extension;
use crate::frame::FrameKind;
use crate::inbox::{Inboxes, receipts};
use crate::nonce::{Incoming, Outgoing, Prefix};
use crate::schedule::{self, Offer, Transcript};
use crate::session::{Cipher, Session};
use crate::{
    Auth, CarriedKey, ChannelKey, Crypto, Drop, Fingerprint, Frame, Identity, Peer, PublicKey, Role, Topic, sealed_box,
};
use rand_core::CryptoRng;
use waypost_codec::json::Value;
use waypost_core::{Mono, Now};
use x25519_dalek::{PublicKey as X25519, StaticSecret};

/// Every secret of a handshake.
#[derive(Clone, Debug)]
pub struct Secrets {
    pub sid: String,
    pub initiator: Vec<u8>,
    pub responder: Vec<u8>,
    pub aes_key: Vec<u8>,
    pub k0: [u8; 32],
    pub initiator_caps: Vec<String>,
    pub responder_caps: Vec<String>,
    pub initiator_secret: Option<[u8; 32]>,
    pub responder_secret: Option<[u8; 32]>,
}

/// Every value that comes of them, by the vectors' names.
#[derive(Clone, Debug)]
pub struct Derived {
    pub epk_initiator: Option<[u8; 32]>,
    pub epk_responder: Option<[u8; 32]>,
    pub dh: Option<[u8; 32]>,
    pub th: [u8; 32],
    pub kx: [u8; 32],
    pub th2: [u8; 32],
    pub i2r: [u8; 32],
    pub r2i: [u8; 32],
    pub x_d: Vec<u8>,
}

/// Runs the key schedule.
pub fn derive(crypto: Crypto, secrets: &Secrets, x_nonce: [u8; 12]) -> Option<Derived> {
    let public = |secret: Option<[u8; 32]>| secret.map(|secret| X25519::from(&StaticSecret::from(secret)).to_bytes());
    let (ei, er) = (public(secrets.initiator_secret), public(secrets.responder_secret));
    let th = transcript(secrets, ei.as_ref());
    let kx = th.ack_key(&secrets.k0);
    let dh = match (secrets.initiator_secret, &er) {
        (Some(secret), Some(theirs)) => Some(schedule::exchange(&StaticSecret::from(secret), theirs)?),
        _ => None,
    };
    let er_bytes = er.as_ref().map_or(&[][..], <[u8; 32]>::as_slice);
    let keys = th.keys(&secrets.k0, dh.as_deref(), er_bytes, &secrets.responder_caps);
    let x_d = Extension { caps: secrets.responder_caps.clone(), epk: er }.seal(crypto, &kx, x_nonce, th);
    Some(Derived {
        epk_initiator: ei,
        epk_responder: er,
        dh: dh.map(|dh| *dh),
        th: th.0,
        kx: *kx,
        th2: keys.th2,
        i2r: *keys.i2r,
        r2i: *keys.r2i,
        x_d,
    })
}

fn transcript(secrets: &Secrets, epk: Option<&[u8; 32]>) -> Transcript {
    Offer {
        sid: &secrets.sid,
        initiator: &secrets.initiator,
        responder: &secrets.responder,
        aes_key: &secrets.aes_key,
        epk: epk.map_or(&[], <[u8; 32]>::as_slice),
        caps: &secrets.initiator_caps,
    }
    .transcript()
}

/// X25519, refused when it is all zero.
pub fn exchange(secret: [u8; 32], public: &[u8; 32]) -> Result<[u8; 32], Drop> {
    schedule::exchange(&StaticSecret::from(secret), public).map(|shared| *shared).ok_or(Drop::BadWrap)
}

/// The AAD of a session message.
pub fn message_aad(topic: Topic, t: u64, r: bool, sender_id: u32, sid: &str) -> Vec<u8> {
    schedule::message_aad(topic, t, r, sender_id, sid)
}

/// Seals a key to an Ed25519 key, and the X25519 form of that key.
pub fn seal_key(ephemeral: &[u8; 32], recipient: &PublicKey, k0: &[u8; 32]) -> Option<(Vec<u8>, [u8; 32])> {
    let crate::key::Material::Ed25519(point) = recipient.material() else { return None };
    Some((sealed_box::seal(ephemeral, point, k0)?, sealed_box::to_x25519(point)?))
}

/// Unwraps a key.
pub fn unwrap(identity: &Identity, rng: &mut dyn CryptoRng, wrapped: &[u8]) -> Result<[u8; 32], Drop> {
    identity.unwrap(rng, wrapped).map(|key| *key).ok_or(Drop::BadWrap)
}

/// Key and `enc` of a message of an encrypted channel.
pub fn channel_seal(
    crypto: Crypto,
    channel: &ChannelKey,
    nonce: [u8; 12],
    sender: &PublicKey,
    topic: Topic,
    timestamp: u64,
    plain: &str,
) -> ([u8; 32], String) {
    (*channel.of_sender(sender), channel.seal(crypto, nonce, sender, topic, timestamp, plain))
}

/// Opens a message of an encrypted channel.
pub fn channel_open(
    crypto: Crypto,
    channel: &ChannelKey,
    sender: &PublicKey,
    topic: Topic,
    timestamp: u64,
    data: &Value,
) -> Result<Value, Drop> {
    channel.open(crypto, sender, topic, timestamp, data)
}

/// A key of canonical DER.
pub fn from_spki(spki: &[u8]) -> Option<PublicKey> {
    PublicKey::from_spki(spki)
}

/// An Ed25519 key of a seed, and its X25519 public key.
pub fn ed25519_of_seed(seed: &[u8; 32]) -> Option<(PublicKey, [u8; 32])> {
    let point = ed25519_dalek::SigningKey::from_bytes(seed).verifying_key().to_bytes();
    Some((PublicKey::ed25519(point)?, sealed_box::to_x25519(&point)?))
}

/// A session that exists already, for a peer under test.
#[derive(Clone, Debug)]
pub struct GivenSession {
    pub sid: String,
    pub directional: bool,
    pub framed: bool,
    pub proven: bool,
    pub key_recv: [u8; 32],
    pub own_prefix: [u8; 6],
}

/// Puts it there.
pub fn give_session(peer: &mut Peer, now: Now, sender: &CarriedKey, given: GivenSession) {
    let key = zeroize::Zeroizing::new(given.key_recv);
    let cipher =
        if given.directional { Cipher::Directional { send: key.clone(), recv: key } } else { Cipher::Literal(key) };
    let incoming = if given.directional { Incoming::window() } else { Incoming::all(1 << 18) };
    let proven = given.proven;
    let session = Session {
        sid: given.sid,
        peer: sender.key.fingerprint(),
        role: Role::Responder,
        cipher,
        auth: Auth { proven, bound: given.directional, forward_secret: given.directional },
        framed: given.framed,
        out: Outgoing::new(Prefix::from_bytes(given.own_prefix)),
        incoming,
        wrapped: [0; 32],
        ack: None,
        since: now.mono,
        since_ts: now.wall.as_secs(),
        until: None,
        in_a_row: 0,
        timeouts: 0,
        rival: None,
    };
    peer.give_session(now, sender, session);
}

/// A handshake that is under way, for a peer under test.
#[derive(Clone, Debug)]
pub struct GivenHandshake {
    pub sid: String,
    pub k0: [u8; 32],
    pub aes_key: Vec<u8>,
    pub ephemeral: [u8; 32],
    /// The responder's newest capabilities under lock; none if it was never seen.
    pub known_caps: Option<Vec<String>>,
}

/// Puts it there.
pub fn give_handshake(peer: &mut Peer, now: Now, responder: &CarriedKey, given: GivenHandshake) {
    peer.give_handshake(now, responder, given);
}

/// Frames of a session, as they are taken and receipted.
pub struct Frames {
    inboxes: Inboxes,
    peer: Fingerprint,
}

/// What a frame leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FrameOutcome {
    Deliver(Vec<u8>),
    Reply(Vec<u8>),
    Drop(Drop),
}

impl Default for Frames {
    fn default() -> Self {
        let inboxes = Inboxes::new(crate::Limits::default(), crate::Timing::default());
        Self { inboxes, peer: Fingerprint([1; 32]) }
    }
}

impl Frames {
    /// Takes a frame.
    pub fn take(&mut self, now: Mono, bytes: &[u8]) -> Vec<FrameOutcome> {
        let frame = match Frame::decode(bytes) {
            Ok(frame) => frame,
            Err(drop) => return vec![FrameOutcome::Drop(drop)],
        };
        let (mid, part) = match &frame.kind {
            FrameKind::Data { receipt, idx, .. } => (frame.mid, receipt.then_some(*idx)),
            _ => return Vec::new(),
        };
        match self.inboxes.take(now, self.peer, frame) {
            Ok(arrived) => {
                let (message, receipts) = receipts(arrived, part);
                let delivered = (message.is_some() && part.is_some()).then_some(FrameKind::Delivered);
                let replies = receipts.into_iter().chain(delivered);
                let replies = replies.map(|kind| FrameOutcome::Reply(Frame { mid, kind }.encode()));
                message.into_iter().map(FrameOutcome::Deliver).chain(replies).collect()
            }
            Err(drop) => vec![FrameOutcome::Drop(drop)],
        }
    }
}

/// A session message: nonce, ciphertext and tag.
pub fn seal(crypto: Crypto, key: &[u8; 32], nonce: &[u8; 12], aad: &[u8], plain: &[u8]) -> Vec<u8> {
    [&nonce[..], &crypto.backend().seal(key, nonce, aad, plain)].concat()
}
