//! PQXDH: how A agrees with B on a session while B is away (SREMP profile SR-5e, SR-5g).
//!
//! Three or four X25519 exchanges and one ML-KEM-768 encapsulation give the first keys of a ratchet.
//! What B needs to do the same travels sealed inside every message until B has answered.

use crate::{
    Error, ErrorCode, Identity, Ratchet, RatchetStart, SignedIdentity,
    crypto::{
        label,
        x25519::{PublicKey, Secret},
    },
    kdf::{hkdf, sha256},
    kem::{KemCiphertext, KemSeed},
    msgpack::{Blob, decode, encode, record},
    padding::marker,
    prekeys::VerifiedPrekeys,
};
use chacha20poly1305::{
    ChaCha20Poly1305, KeyInit,
    aead::{AeadInOut, inout::InOutBuf},
};
use rand_core::CryptoRng;
use std::fmt;
use waypost_core::ContactId;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

/// X25519 + ML-KEM-768.
const SUITE: u8 = 1;
/// Type, suite, spk_id, s_pub.
const FRONT: usize = 38;
const TAG: usize = 16;
/// What is sealed has a length of whole blocks.
const BLOCK: usize = 1024;
/// The shortest type-1 blob.
pub(crate) const MIN_BLOB: usize = FRONT + BLOCK + TAG;

/// Names a session; both sides compute the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(pub [u8; 16]);

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

record! {
    /// InitialMessage of the profile.
    pub(crate) struct InitialMessage {
        pub(crate) identity: SignedIdentity,
        pub(crate) e: PublicKey,
        pub(crate) epoch: u64,
        pub(crate) bundle_hash: [u8; 32],
        pub(crate) one_time_id: Option<u32>,
        pub(crate) kem_ct: KemCiphertext,
        pub(crate) message: Blob,
    }
}

/// Everything a session is bound to.
pub(crate) struct Transcript<'a> {
    pub(crate) epoch: u64,
    pub(crate) id_a: ContactId,
    pub(crate) id_b: ContactId,
    pub(crate) dr_a: PublicKey,
    pub(crate) dr_b: PublicKey,
    pub(crate) spk_b: PublicKey,
    pub(crate) e: PublicKey,
    pub(crate) bundle_hash: [u8; 32],
    pub(crate) item_hash: Option<[u8; 32]>,
    pub(crate) kem_ct: &'a KemCiphertext,
}

impl Transcript<'_> {
    /// `ad` of the profile.
    pub(crate) fn ad(&self) -> [u8; 32] {
        sha256(&[
            label!("ad"),
            &[SUITE],
            &self.epoch.to_be_bytes(),
            self.id_a.as_bytes(),
            self.id_b.as_bytes(),
            self.dr_a.as_bytes(),
            self.dr_b.as_bytes(),
            self.spk_b.as_bytes(),
            self.e.as_bytes(),
            &self.bundle_hash,
            &self.item_hash.unwrap_or_default(),
            &sha256(&[self.kem_ct.as_bytes()]),
        ])
    }
}

/// The session's name.
pub(crate) fn session_id(ad: &[u8; 32]) -> SessionId {
    let mut id = SessionId([0; 16]);
    let hash = sha256(&[label!("session"), ad]);
    for (place, byte) in id.0.iter_mut().zip(hash) {
        *place = byte;
    }
    id
}

/// The secrets both sides have after the exchanges.
#[derive(Zeroize, ZeroizeOnDrop)]
pub(crate) struct Shared {
    pub(crate) dh: [[u8; 32]; 3],
    pub(crate) dh4: Option<[u8; 32]>,
    pub(crate) kem: [u8; 32],
}

impl Shared {
    /// The first keys of the ratchet.
    pub(crate) fn start(&self, ad: [u8; 32]) -> RatchetStart {
        let [dh1, dh2, dh3] = &self.dh;
        let dh4: &[u8] = self.dh4.as_ref().map_or(&[], |dh4| dh4);
        let keys =
            hkdf::<96>(&[0; 32], &[&[0xff; 32], dh1, dh2, dh3, dh4, &self.kem], &[label!("pqxdh"), &[SUITE]].concat());
        let mut start = RatchetStart { sk: [0; 32], hka: [0; 32], nhkb: [0; 32], ad };
        let (sk, rest) = keys.split_at(32);
        let (hka, nhkb) = rest.split_at(32);
        start.sk.copy_from_slice(sk);
        start.hka.copy_from_slice(hka);
        start.nhkb.copy_from_slice(nhkb);
        start
    }
}

/// What A has after starting.
pub(crate) struct Initiated {
    pub(crate) id: SessionId,
    pub(crate) shared: Shared,
    pub(crate) start: RatchetStart,
    pub(crate) ratchet: Ratchet,
    pub(crate) opening: Opening,
}

/// A's side. Draws in this order: e (32 bytes), the randomness of Encaps (32), T_A (32).
///
/// # Errors
/// DECRYPT if a key of B has small order or its KEM key is not reduced.
pub(crate) fn initiate(
    identity: &Identity,
    dr_secret: &Secret,
    prekeys: &VerifiedPrekeys,
    epoch: u64,
    rng: &mut impl CryptoRng,
) -> Result<Initiated, Error> {
    let bundle = &prekeys.bundle;
    let one_time = prekeys.one_time.as_ref();
    let e = Secret::generate(rng);
    let mut m = Zeroizing::new([0; 32]);
    rng.fill_bytes(m.as_mut_slice());
    let ratchet_secret = Secret::generate(rng);

    let kem_key = one_time.map_or(&bundle.lr_kem, |item| &item.data.kem);
    let shared_dh = [dr_secret.exchange(&bundle.spk)?, e.exchange(&bundle.dr_key)?, e.exchange(&bundle.spk)?];
    let dh4 = match one_time {
        Some(item) => Some(*e.exchange(&item.data.opk)?.as_bytes()),
        None => None,
    };
    let (kem_ct, kem) = kem_key.encapsulate(&m)?;
    let shared = Shared { dh: shared_dh.each_ref().map(|dh| *dh.as_bytes()), dh4, kem: *kem };
    let transcript = Transcript {
        epoch,
        id_a: identity.key(),
        id_b: bundle.identity_key,
        dr_a: dr_secret.public(),
        dr_b: bundle.dr_key,
        spk_b: bundle.spk,
        e: e.public(),
        bundle_hash: prekeys.bundle_hash,
        item_hash: one_time.map(|item| item.hash),
        kem_ct: &kem_ct,
    };
    let ad = transcript.ad();
    let start = shared.start(ad);
    let ratchet = Ratchet::initiator(&start, ratchet_secret, bundle.spk)?;
    let opening = Opening {
        identity: identity.signed().clone(),
        e: e.public(),
        epoch,
        bundle_hash: prekeys.bundle_hash,
        one_time_id: one_time.map(|item| item.data.id),
        kem_ct,
        spk_id: bundle.spk_id,
        spk: bundle.spk,
    };
    Ok(Initiated { id: session_id(&ad), shared, start, ratchet, opening })
}

/// B's secrets for one session.
pub(crate) struct Owned<'a> {
    pub(crate) dr: &'a Secret,
    pub(crate) spk: &'a Secret,
    pub(crate) opk: Option<&'a Secret>,
    pub(crate) kem: &'a KemSeed,
}

/// B's side: the ratchet that opens A's first message.
///
/// # Errors
/// DECRYPT if a key of A has small order.
pub(crate) fn accept(
    owned: &Owned<'_>,
    dr_a: &PublicKey,
    e: &PublicKey,
    kem_ct: &KemCiphertext,
    ad: [u8; 32],
) -> Result<Ratchet, Error> {
    let dh = [owned.spk.exchange(dr_a)?, owned.dr.exchange(e)?, owned.spk.exchange(e)?];
    let dh4 = match owned.opk {
        Some(opk) => Some(*opk.exchange(e)?.as_bytes()),
        None => None,
    };
    let kem = owned.kem.decapsulate(kem_ct);
    let shared = Shared { dh: dh.each_ref().map(|dh| *dh.as_bytes()), dh4, kem: *kem };
    Ok(Ratchet::responder(&shared.start(ad), owned.spk.clone()))
}

record! {
    /// What A repeats in every message until B has answered.
    pub(crate) struct Opening {
        pub(crate) identity: SignedIdentity,
        pub(crate) e: PublicKey,
        pub(crate) epoch: u64,
        pub(crate) bundle_hash: [u8; 32],
        pub(crate) one_time_id: Option<u32>,
        pub(crate) kem_ct: KemCiphertext,
        pub(crate) spk_id: u32,
        pub(crate) spk: PublicKey,
    }
}

impl Opening {
    /// The encoded InitialMessage around a type-2 blob.
    pub(crate) fn initial_message(&self, message: Vec<u8>) -> Vec<u8> {
        encode(&InitialMessage {
            identity: self.identity.clone(),
            e: self.e,
            epoch: self.epoch,
            bundle_hash: self.bundle_hash,
            one_time_id: self.one_time_id,
            kem_ct: self.kem_ct.clone(),
            message: Blob(message),
        })
    }

    /// A type-1 blob around a type-2 blob. Draws s (32 bytes).
    ///
    /// # Errors
    /// DECRYPT if B's signed prekey has small order.
    pub(crate) fn seal(&self, message: Vec<u8>, rng: &mut impl CryptoRng) -> Result<Vec<u8>, Error> {
        let inner = self.initial_message(message);
        let s = Secret::generate(rng);
        let s_pub = s.public();
        let key = seal_key(s.exchange(&self.spk)?.as_bytes(), &s_pub, &self.spk);
        let padded = (inner.len() + 1).next_multiple_of(BLOCK);
        let mut blob = Vec::with_capacity(FRONT + padded + TAG);
        blob.extend_from_slice(&[1, SUITE]);
        blob.extend_from_slice(&self.spk_id.to_be_bytes());
        blob.extend_from_slice(s_pub.as_bytes());
        blob.extend_from_slice(&inner);
        blob.push(0x80);
        blob.resize(FRONT + padded, 0);
        let (front, text) = blob.split_at_mut(FRONT);
        let tag = ChaCha20Poly1305::new((&*key).into())
            .encrypt_inout_detached(&[0; 12].into(), front, InOutBuf::from(text))
            .map_err(|_| Error::Refused(ErrorCode::TooLarge))?;
        blob.extend_from_slice(&tag);
        Ok(blob)
    }
}

/// The key a type-1 blob is sealed under.
pub(crate) fn seal_key(dh: &[u8; 32], s_pub: &PublicKey, spk: &PublicKey) -> Zeroizing<[u8; 32]> {
    hkdf(&[0; 32], &[dh], &[label!("seal"), s_pub.as_bytes(), spk.as_bytes()].concat())
}

/// A type-1 blob whose front was read.
pub(crate) struct SealedInitial<'a> {
    blob: &'a [u8],
    /// Which signed prekey opens it.
    pub(crate) spk_id: u32,
    s_pub: PublicKey,
}

impl<'a> SealedInitial<'a> {
    /// Reads the front of a blob that starts with 1.
    ///
    /// # Errors
    /// MALFORMED if it is too short, UNSUPPORTED for another suite.
    pub(crate) fn parse(blob: &'a [u8]) -> Result<Self, Error> {
        if blob.len() < MIN_BLOB {
            return Err(Error::Malformed("initial message too short"));
        }
        let (_, rest) = blob.split_first_chunk::<1>().ok_or(CUT)?;
        let ([suite], rest) = rest.split_first_chunk().ok_or(CUT)?;
        let (spk_id, rest) = rest.split_first_chunk().ok_or(CUT)?;
        let (s_pub, _) = rest.split_first_chunk().ok_or(CUT)?;
        if *suite != SUITE {
            return Err(Error::Misbehaved(ErrorCode::Unsupported));
        }
        Ok(Self { blob, spk_id: u32::from_be_bytes(*spk_id), s_pub: PublicKey(*s_pub) })
    }

    /// Opens it with the signed prekey.
    ///
    /// # Errors
    /// DECRYPT, or MALFORMED if what is inside is no InitialMessage.
    pub(crate) fn open(&self, spk: &Secret) -> Result<InitialMessage, Error> {
        const DECRYPT: Error = Error::Crypto(ErrorCode::Decrypt);
        let key = seal_key(spk.exchange(&self.s_pub)?.as_bytes(), &self.s_pub, &spk.public());
        let (front, rest) = self.blob.split_at_checked(FRONT).ok_or(CUT)?;
        let (text, tag) = rest.split_last_chunk::<TAG>().ok_or(CUT)?;
        let mut text = text.to_vec();
        ChaCha20Poly1305::new((&*key).into())
            .decrypt_inout_detached(&[0; 12].into(), front, InOutBuf::from(text.as_mut_slice()), &(*tag).into())
            .map_err(|_| DECRYPT)?;
        if text.len() % BLOCK != 0 {
            return Err(DECRYPT);
        }
        let length = marker(&text).ok_or(DECRYPT)?;
        text.truncate(length);
        decode(&text)
    }
}

const CUT: Error = Error::Malformed("initial message too short");
