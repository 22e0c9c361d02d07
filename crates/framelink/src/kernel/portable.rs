//! The safe path: two libraries one after the other, in slices that stay in the first cache.

use super::{BLOCK, CIPHER_BLOCK};
use aes::{
    Aes256,
    cipher::{InOutBuf, InnerIvInit, KeyInit, StreamCipherCore, StreamCipherSeekCore, consts::U16},
};
use core::mem::take;
use ctr::{CtrCore, flavors::Ctr128BE};
use sha2::block_api::compress256;

/// Blocks that are hashed and encrypted in turn: a fraction of a first-level cache.
const SLICE: usize = 128;
/// The blocks of AES in a slice.
const SLICE_POSITIONS: u128 = (SLICE * BLOCK / CIPHER_BLOCK) as u128;

/// AES-256-CTR with a 128-bit counter, and SHA-256 beside it.
pub(super) struct Portable(CtrCore<Aes256, Ctr128BE>);

impl Portable {
    pub(super) fn new(key: &[u8; 32], first_counter: &[u8; 16]) -> Self {
        Self(CtrCore::inner_iv_init(Aes256::new(key.into()), first_counter.into()))
    }

    pub(super) fn seal(
        &mut self,
        state: &mut [u32; 8],
        mut position: u128,
        hashed: &[[u8; BLOCK]],
        plain: &[[u8; BLOCK]],
        sealed: &mut [[u8; BLOCK]],
    ) {
        let slices = plain.chunks(SLICE).zip(sealed.chunks_mut(SLICE));
        for (hashed, (plain, sealed)) in hashed.chunks(SLICE).zip(slices) {
            compress256(state, hashed);
            self.crypt(position, plain.as_flattened(), sealed.as_flattened_mut());
            position = position.wrapping_add(SLICE_POSITIONS);
        }
    }

    pub(super) fn open(
        &mut self,
        state: &mut [u32; 8],
        mut position: u128,
        mut plain: &mut [u8],
        lead: usize,
        sealed: &[[u8; BLOCK]],
    ) {
        for sealed in sealed.chunks(SLICE) {
            let sealed = sealed.as_flattened();
            let Some(ahead) = plain.get_mut(lead..lead + sealed.len()) else { return };
            self.crypt(position, sealed, ahead);
            let Some((hashed, rest)) = take(&mut plain).split_at_mut_checked(sealed.len()) else { return };
            compress256(state, hashed.as_chunks().0);
            plain = rest;
            position = position.wrapping_add(SLICE_POSITIONS);
        }
    }

    pub(super) fn crypt(&mut self, position: u128, from: &[u8], to: &mut [u8]) {
        let Some(to) = to.get_mut(..from.len()) else { return };
        let Ok(bytes) = InOutBuf::new(from, to) else { return };
        let (blocks, mut tail) = bytes.into_chunks::<U16>();
        self.0.set_block_pos(position);
        self.0.apply_keystream_blocks_inout(blocks);
        if !tail.is_empty() {
            let mut keystream = [0; CIPHER_BLOCK].into();
            self.0.write_keystream_block(&mut keystream);
            tail.xor_in2out(keystream.get(..tail.len()).unwrap_or_default());
        }
    }
}
