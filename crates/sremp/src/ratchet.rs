//! The Double Ratchet with header encryption (SREMP 5, profile SR-5b, SR-5c, SR-5d, SR-5i).
//!
//! Every message has a key of its own, made by a chain that only runs forward; every answer starts new
//! chains from a fresh Diffie-Hellman value. A ratchet is a value: receiving either succeeds or leaves
//! it as it was.

mod chain;
mod header;
mod message;
mod root;
mod skipped;
mod state;

use crate::{
    Error, ErrorCode,
    crypto::x25519::{PublicKey, Secret, SmallOrder},
};
use chain::{ReceivingChain, SendingChain};
use header::{HEADER_LEN, Header, ReceivingHeaderKey, SealedHeader, SendingHeaderKey};
use rand_core::CryptoRng;
use std::fmt;
use waypost_core::Wall;
use zeroize::{Zeroize, ZeroizeOnDrop};

pub(crate) use chain::ChainKey;
pub(crate) use message::{MessageKey, TAG_LEN};
pub(crate) use root::RootKey;
use skipped::Found;
pub(crate) use skipped::SkippedKeys;

/// How far a chain may jump: more would let one message cost thousands of key derivations.
pub(crate) const MAX_SKIP: u32 = 1000;
/// The highest Ns; before it a new session has to take over.
pub(crate) const MAX_NUMBER: u32 = 9999;
/// The shortest blob: type, header, smallest bucket, tag.
pub(crate) const MIN_BLOB: usize = 1 + HEADER_LEN + 256 + TAG_LEN;

/// What the key agreement gives both sides to start from.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct RatchetStart {
    /// SK: the first root key.
    pub sk: [u8; 32],
    /// HKA: A's first header key.
    pub hka: [u8; 32],
    /// NHKB: B's first header key.
    pub nhkb: [u8; 32],
    /// Binds every message to the session.
    pub ad: [u8; 32],
}

/// DHs: our half of the current Diffie-Hellman value.
#[derive(Clone)]
struct OwnRatchetKey {
    secret: Secret,
    public: PublicKey,
}

impl OwnRatchetKey {
    fn new(secret: Secret) -> Self {
        Self { public: secret.public(), secret }
    }
}

/// DHr: the peer's half.
#[derive(Clone, Copy)]
struct PeerRatchetKey(PublicKey);

/// One side of a conversation.
#[derive(Clone)]
pub struct Ratchet {
    ad: [u8; 32],
    root: RootKey,
    own: OwnRatchetKey,
    peer: Option<PeerRatchetKey>,
    sending: Option<SendingChain>,
    receiving: Option<ReceivingChain>,
    /// NHKs and NHKr: the header keys of the chains after the current ones.
    next_sending: SendingHeaderKey,
    next_receiving: ReceivingHeaderKey,
    /// PN: how many messages our chain before this one had.
    previous: u32,
    skipped: SkippedKeys,
}

impl Ratchet {
    /// A's ratchet: `own` is T_A, `peer` B's signed prekey.
    ///
    /// # Errors
    /// [`ErrorCode::Decrypt`] if `peer` has small order.
    pub fn initiator(start: &RatchetStart, own: Secret, peer: PublicKey) -> Result<Self, Error> {
        let dh = own.exchange(&peer)?;
        let mut step = RootKey::from_bytes(start.sk).step(&dh);
        Ok(Self {
            ad: start.ad,
            root: step.root.clone(),
            own: OwnRatchetKey::new(own),
            peer: Some(PeerRatchetKey(peer)),
            sending: Some(SendingChain { header_key: SendingHeaderKey(start.hka), key: step.chain.clone(), number: 0 }),
            receiving: None,
            next_sending: SendingHeaderKey(std::mem::take(&mut step.next_header)),
            next_receiving: ReceivingHeaderKey(start.nhkb),
            previous: 0,
            skipped: SkippedKeys::default(),
        })
    }

    /// B's ratchet: `own` is the signed prekey. It cannot send before it has received.
    pub fn responder(start: &RatchetStart, own: Secret) -> Self {
        Self {
            ad: start.ad,
            root: RootKey::from_bytes(start.sk),
            own: OwnRatchetKey::new(own),
            peer: None,
            sending: None,
            receiving: None,
            next_sending: SendingHeaderKey(start.nhkb),
            next_receiving: ReceivingHeaderKey(start.hka),
            previous: 0,
            skipped: SkippedKeys::default(),
        }
    }

    /// A type-2 blob. Draws the 24 bytes of the header's nonce.
    ///
    /// # Errors
    /// [`ErrorCode::NoSession`] before the first receipt of the side that did not start and when the chain is
    /// used up, [`ErrorCode::TooLarge`] for content above the largest bucket.
    pub fn encrypt(&mut self, message_id: u64, content: &[u8], rng: &mut impl CryptoRng) -> Result<Vec<u8>, Error> {
        let sending = self.sending.as_mut().ok_or(Error::Crypto(ErrorCode::NoSession))?;
        crate::padding::bucket(content.len()).ok_or(Error::Refused(ErrorCode::TooLarge))?;
        let (number, key) = sending.step()?;
        let mut nonce = [0; 24];
        rng.fill_bytes(&mut nonce);
        let header = sending.header_key.seal(nonce, &self.ad, &self.own.public, self.previous, number);
        key.seal(&self.ad, message_id, &header, content)
    }

    /// The content of a type-2 blob. Draws 32 bytes for the next ratchet key if the peer started a new chain.
    ///
    /// # Errors
    /// In this order: [`Error::Malformed`], [`ErrorCode::Replay`], [`ErrorCode::Decrypt`], [`ErrorCode::SkipLimit`],
    /// [`ErrorCode::NoSession`] as the profile's steps give them. The ratchet is as before.
    pub fn decrypt(
        &mut self,
        now: Wall,
        message_id: u64,
        blob: &[u8],
        rng: &mut impl CryptoRng,
    ) -> Result<Vec<u8>, Error> {
        let sealed = Sealed::parse(blob)?;
        let current = self.receiving.as_ref().map(|chain| &chain.header_key);
        let content = match self.skipped.find(now, &self.ad, sealed.header, current)? {
            Found::Key(place) => {
                let key = self.skipped.key(place).ok_or(Error::Internal("a chain vanished"))?;
                let content = key.open(&self.ad, message_id, sealed.header, sealed.body)?;
                self.skipped.remove(place);
                content
            }
            Found::Current(header) => self.receive_on_chain(now, message_id, &sealed, &header)?,
            Found::Nothing => {
                let current = current.and_then(|key| key.open(&self.ad, sealed.header));
                if let Some(header) = current {
                    self.receive_on_chain(now, message_id, &sealed, &header)?
                } else if let Some(header) = self.next_receiving.open(&self.ad, sealed.header) {
                    self.receive_on_next_chain(now, message_id, &sealed, &header, rng)?
                } else {
                    return Err(Error::Crypto(ErrorCode::NoSession));
                }
            }
        };
        self.skipped.expire(now);
        Ok(content)
    }

    /// Step 3 with the current header key, then 5 and 6.
    fn receive_on_chain(
        &mut self,
        now: Wall,
        message_id: u64,
        sealed: &Sealed<'_>,
        header: &Header,
    ) -> Result<Vec<u8>, Error> {
        let receiving = self.receiving.as_ref().ok_or(Error::Internal("a chain vanished"))?;
        if self.peer.is_none_or(|peer| peer.0 != header.ratchet_key.0) {
            return Err(Error::Crypto(ErrorCode::Decrypt));
        }
        if header.number < receiving.number {
            return Err(Error::Crypto(ErrorCode::Replay));
        }
        let mut chain = receiving.clone();
        let skipped = chain.skip_to(header.number)?;
        let content = chain.step()?.open(&self.ad, message_id, sealed.header, sealed.body)?;
        self.skipped.store(now, &chain.header_key, skipped);
        self.receiving = Some(chain);
        Ok(content)
    }

    /// Steps 4 to 6: the peer has answered with a new ratchet key.
    fn receive_on_next_chain(
        &mut self,
        now: Wall,
        message_id: u64,
        sealed: &Sealed<'_>,
        header: &Header,
        rng: &mut impl CryptoRng,
    ) -> Result<Vec<u8>, Error> {
        let mut old_keys = Vec::new();
        if let Some(old) = &self.receiving {
            if header.previous < old.number {
                return Err(Error::Crypto(ErrorCode::Decrypt));
            }
            old_keys = old.clone().skip_to(header.previous)?;
        }
        let peer = header.ratchet_key;
        let mut step = self.root.step(&self.own.secret.exchange(&peer.0)?);
        let mut chain = ReceivingChain { header_key: self.next_receiving.clone(), key: step.chain.clone(), number: 0 };
        let next_receiving = ReceivingHeaderKey(std::mem::take(&mut step.next_header));
        let keys = chain.skip_to(header.number)?;
        let content = chain.step()?.open(&self.ad, message_id, sealed.header, sealed.body)?;

        let own = OwnRatchetKey::new(Secret::generate(rng));
        let mut step = step.root.step(&own.secret.exchange(&peer.0)?);
        if let Some(old) = &self.receiving {
            self.skipped.store(now, &old.header_key, old_keys);
        }
        self.skipped.store(now, &chain.header_key, keys);
        self.previous = self.sending.as_ref().map_or(0, |sending| sending.number);
        let next_sending = SendingHeaderKey(std::mem::take(&mut step.next_header));
        let header_key = std::mem::replace(&mut self.next_sending, next_sending);
        self.sending = Some(SendingChain { header_key, key: step.chain.clone(), number: 0 });
        self.root = step.root.clone();
        self.own = own;
        self.peer = Some(peer);
        self.receiving = Some(chain);
        self.next_receiving = next_receiving;
        Ok(content)
    }

    /// Ns: how many messages the current sending chain has; zero before there is one.
    pub fn sent(&self) -> u32 {
        self.sending.as_ref().map_or(0, |sending| sending.number)
    }

    /// Whether a chain to send on exists and has numbers left.
    pub fn can_send(&self) -> bool {
        self.sending.as_ref().is_some_and(|sending| sending.number <= MAX_NUMBER)
    }

    /// The keys of overtaken messages, kept in a record of their own.
    pub(crate) const fn skipped(&self) -> &SkippedKeys {
        &self.skipped
    }
}

impl fmt::Debug for RatchetStart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RatchetStart(..)")
    }
}

impl fmt::Debug for Ratchet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ratchet(..)")
    }
}

/// X25519 with a point of small order gives no secret (profile SR-A1): here that is a message nobody can read.
impl From<SmallOrder> for Error {
    fn from(_: SmallOrder) -> Self {
        Self::Crypto(ErrorCode::Decrypt)
    }
}

/// Whether bytes have the form of a type-2 blob.
pub(crate) fn is_formed(blob: &[u8]) -> bool {
    Sealed::parse(blob).is_ok()
}

/// A type-2 blob cut into its parts.
struct Sealed<'a> {
    header: &'a SealedHeader,
    body: &'a [u8],
}

impl<'a> Sealed<'a> {
    fn parse(blob: &'a [u8]) -> Result<Self, Error> {
        if blob.len() < MIN_BLOB {
            return Err(Error::Malformed("message too short"));
        }
        let rest = blob.strip_prefix(&[2]).ok_or(Error::Malformed("not a ratchet message"))?;
        let (header, body) = rest.split_first_chunk().ok_or(Error::Malformed("message too short"))?;
        Ok(Self { header, body })
    }
}
