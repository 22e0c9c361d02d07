//! How a keyed link comes to its block: two messages in clear text. Profile FL-5.2 to FL-5.4.
//!
//! TOP sends M1 and waits with [`WaitM2`]; BOTTOM waits with [`WaitM1`] and answers M2. Both say how many
//! bytes they want as soon as the preamble is there, and both end with [`Established`]. HELLO, the first
//! frame each way, then proves the key to the other side: see [`crate::link`].

pub mod preamble;
mod share;

use crate::{Align, Block, Fault, Mode, Psk, kdf::hkdf};
use hmac::{Hmac, KeyInit, Mac};
use preamble::{PREAMBLE_LEN, Preamble};
use rand_core::CryptoRng;
use sha2::{Digest, Sha256};
use share::{BottomShare, TopShare};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// Bytes of the proof that M1's sender knows the key.
const MAC1_LEN: usize = 16;

/// What both sides know after M1 and M2.
#[derive(Clone, Debug)]
pub struct Established {
    /// Keys of both directions.
    pub block: Block,
    /// The transcript's hash, which both HELLOs carry.
    pub th: [u8; 32],
    /// In which mode.
    pub mode: Mode,
    /// Which of the keys it was, from 0.
    pub psk: usize,
}

/// TOP after M1.
pub struct WaitM2 {
    psk: Psk,
    mode: Mode,
    align: Align,
    m1: Vec<u8>,
    share: TopShare,
}

impl WaitM2 {
    /// Begins; also gives M1. Randomness: the nonce, or X25519's key and ML-KEM's seed.
    ///
    /// # Errors
    /// [`Fault::BadConfig`] for `raw`, which establishes nothing.
    pub fn start(rng: &mut impl CryptoRng, psk: Psk, mode: Mode, align: Align) -> Result<(Self, Vec<u8>), Fault> {
        let share = TopShare::generate(rng, mode)?;
        let mut m1 = Preamble::ask(mode, align).encode().to_vec();
        m1.extend_from_slice(&share.public());
        let mac1 = mac1(&psk, &m1);
        m1.extend_from_slice(&mac1);
        Ok((Self { psk, mode, align, m1: m1.clone(), share }, m1))
    }

    /// Judges the first eight bytes of the answer; how long it must be in all.
    ///
    /// # Errors
    /// [`Fault::NotFramelink`], [`Fault::Rejected`], [`Fault::BadVersion`], [`Fault::RoleClash`],
    /// [`Fault::BadMode`] or [`Fault::BadOptions`].
    pub fn expect(&self, preamble: [u8; PREAMBLE_LEN]) -> Result<usize, Fault> {
        Preamble::decode(preamble)?.check_answer(self.mode, self.align)?;
        Ok(PREAMBLE_LEN + share::bottom_len(self.mode))
    }

    /// Takes the whole M2.
    ///
    /// # Errors
    /// As [`WaitM2::expect`]; [`Fault::HsClosed`] for another length; [`Fault::BadShare`].
    pub fn finish(self, m2: &[u8]) -> Result<Established, Fault> {
        let (preamble, share) = m2.split_first_chunk().ok_or(Fault::HsClosed)?;
        if m2.len() != self.expect(*preamble)? {
            return Err(Fault::HsClosed);
        }
        let secret = self.share.agree(share)?;
        Ok(established(self.mode, &self.psk, 0, &secret, &[&self.m1, m2]))
    }
}

/// BOTTOM before M1.
#[derive(Clone, Debug)]
pub struct WaitM1 {
    /// Keys that are tried in order.
    pub psks: Vec<Psk>,
    /// Modes that are answered.
    pub modes: Vec<Mode>,
    /// How frames are laid.
    pub align: Align,
}

impl WaitM1 {
    /// Judges the first eight bytes; how long M1 must be in all. All faults but the first are told by REJECT.
    ///
    /// # Errors
    /// [`Fault::NotFramelink`], [`Fault::BadVersion`], [`Fault::BadMode`] or [`Fault::BadOptions`].
    pub fn expect(&self, preamble: [u8; PREAMBLE_LEN]) -> Result<usize, Fault> {
        let mode = Preamble::decode(preamble)?.check_ask(&self.modes, self.align)?;
        Ok(PREAMBLE_LEN + share::top_len(mode) + MAC1_LEN)
    }

    /// Which key M1 was made with: before anything costly is computed.
    ///
    /// # Errors
    /// As [`WaitM1::expect`]; [`Fault::HsClosed`] for another length; [`Fault::BadKey`] if none fits.
    pub fn authenticate(&self, m1: &[u8]) -> Result<Asked, Fault> {
        let (preamble, _) = m1.split_first_chunk().ok_or(Fault::HsClosed)?;
        if m1.len() != self.expect(*preamble)? {
            return Err(Fault::HsClosed);
        }
        let mode = Preamble::decode(*preamble)?.check_ask(&self.modes, self.align)?;
        let (message, mac) = m1.split_last_chunk::<MAC1_LEN>().ok_or(Fault::HsClosed)?;
        let fits = |psk: &Psk| bool::from(mac1(psk, message).ct_eq(mac));
        let psk = self.psks.iter().position(fits).ok_or(Fault::BadKey)?;
        Ok(Asked { mode, psk })
    }

    /// Answers an M1 that was authenticated; also gives M2. Randomness: the nonce, or X25519's key and
    /// ML-KEM's m.
    ///
    /// # Errors
    /// [`Fault::BadShare`].
    pub fn answer(&self, rng: &mut impl CryptoRng, m1: &[u8], asked: Asked) -> Result<(Established, Vec<u8>), Fault> {
        let psk = self.psks.get(asked.psk).ok_or(Fault::BadKey)?;
        let share = m1.get(PREAMBLE_LEN..m1.len().saturating_sub(MAC1_LEN)).ok_or(Fault::HsClosed)?;
        let answer = BottomShare::answer(rng, asked.mode, share)?;
        let mut m2 = Preamble::answer(asked.mode, self.align).encode().to_vec();
        m2.extend_from_slice(&answer.public);
        Ok((established(asked.mode, psk, asked.psk, &answer.secret, &[m1, &m2]), m2))
    }
}

/// What an authenticated M1 asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked {
    /// The mode.
    pub mode: Mode,
    /// The key it was made with, from 0.
    pub psk: usize,
}

/// `ss_mlkem || ss_x25519`, or nothing in mode `psk`.
type Secret = Zeroizing<Vec<u8>>;

fn mac1(psk: &Psk, message: &[u8]) -> [u8; MAC1_LEN] {
    let key = mac1_key(psk);
    #[expect(clippy::expect_used, reason = "HMAC takes keys of any length")]
    let mut mac = Hmac::<Sha256>::new_from_slice(key.as_slice()).expect("any length");
    mac.update(message);
    let mut short = [0; MAC1_LEN];
    for (place, byte) in short.iter_mut().zip(mac.finalize().into_bytes()) {
        *place = byte;
    }
    short
}

/// The key of mac1. Profile, Establishment.
#[doc(hidden)]
pub fn mac1_key(psk: &Psk) -> Zeroizing<[u8; 32]> {
    hkdf(&[0; 32], &[psk.as_bytes()], "framelink/1 mac1")
}

fn established(mode: Mode, psk: &Psk, index: usize, secret: &Secret, messages: &[&[u8]; 2]) -> Established {
    let mut hash = Sha256::new().chain_update(b"framelink/1 transcript\0");
    for message in messages {
        hash.update(message);
    }
    let th: [u8; 32] = hash.finalize().into();
    let info = match mode {
        Mode::Hybrid => "framelink/1 hybrid block",
        _ => "framelink/1 psk block",
    };
    let block: Zeroizing<[u8; crate::block::BLOCK_LEN]> = hkdf(&th, &[secret, psk.as_bytes()], info);
    Established { block: Block::derived(&block), th, mode, psk: index }
}
