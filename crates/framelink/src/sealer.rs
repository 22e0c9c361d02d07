//! The sending direction: payloads in, frames out. Seed, profile FL-2.1 to FL-2.12.

use crate::{
    Block, Fault, Framing, Header, Role,
    block::Half,
    chain::Chain,
    code,
    framing::{self, KeyUse, OVERHEAD},
    header::Sequence,
    kernel::BLOCK,
    keystream::Keystream,
};
use zeroize::Zeroize;

/// Bytes of the first hash block that are payload.
const FIRST: usize = BLOCK - Header::LEN;
/// Bytes that are hashed and encrypted in turn where the kernel cannot be used.
const SLICE: usize = 4096;

/// Seals the frames of one direction, one after the other.
pub struct Sealer {
    role: Role,
    framing: Framing,
    half: Half,
    chain: Chain,
    keystream: Keystream,
    sequence: Sequence,
    used: KeyUse,
}

impl Sealer {
    /// The direction that `role` sends.
    pub fn new(block: &Block, role: Role, framing: Framing) -> Self {
        let half = block.half(role);
        let (chain, keystream) = (framing.chain(&half), Keystream::new(&half.key, &half.counter));
        Self { role, framing, half, chain, keystream, sequence: framing.sequence(), used: KeyUse::default() }
    }

    /// Appends a frame of `payload.len() + 24` bytes to `out`.
    ///
    /// # Errors
    /// [`Fault::TooLarge`] for a payload of 4 GiB or more; [`Fault::Exhausted`] at the end of a raw key's life.
    pub fn seal(&mut self, code: u32, payload: &[u8], out: &mut Vec<u8>) -> Result<(), Fault> {
        let start = out.len();
        out.resize(start + payload.len() + OVERHEAD, 0);
        let sealed = out.get_mut(start..).unwrap_or_default();
        let result = self.seal_to(code, payload, sealed);
        if result.is_err() {
            out.truncate(start);
        }
        result
    }

    /// Writes a frame over `sealed`, which is `payload.len() + 24` bytes long.
    ///
    /// # Errors
    /// As [`Sealer::seal`]; [`Fault::TooLarge`] too if `sealed` has another length.
    pub fn seal_to(&mut self, code: u32, payload: &[u8], sealed: &mut [u8]) -> Result<(), Fault> {
        let length = u32::try_from(payload.len()).map_err(|_| Fault::TooLarge)?;
        if sealed.len() != payload.len() + OVERHEAD {
            return Err(Fault::TooLarge);
        }
        let used = self.used.with(length);
        framing::check_raw_life(used)?;
        let header = Header { length, code, seq: self.sequence.next() }.encode();
        let first = payload.len().min(FIRST);
        let (begin, payload) = payload.split_at(first);
        let mut head = [0; BLOCK];
        for (place, byte) in head.iter_mut().zip(header.iter().chain(begin)) {
            *place = *byte;
        }
        let total = Header::LEN + first + payload.len();
        if first < FIRST {
            self.seal_tail(head.get(..Header::LEN + first).unwrap_or_default(), total, sealed);
        } else {
            let (sealed_head, sealed) = sealed.split_at_mut(BLOCK);
            let (bulk, tail) = payload.split_at(payload.len() / BLOCK * BLOCK);
            let (sealed_bulk, sealed_tail) = sealed.split_at_mut(bulk.len());
            self.seal_blocks(&head, sealed_head);
            self.seal_blocks(bulk, sealed_bulk);
            self.seal_tail(tail, total, sealed_tail);
        }
        head.zeroize();
        self.keystream.end_frame(self.framing.align);
        self.sequence.advance();
        self.used = used;
        Ok(())
    }

    /// Goes on under the half that follows from `r`: to be called behind the REKEY frame that carries `r`.
    /// Profile, REKEY.
    pub(crate) fn turn(&mut self, r: &[u8; 32]) {
        self.half = self.half.after(&self.chain.to_bytes(), r, self.role);
        self.chain = Chain::from_bytes(&self.half.chain);
        self.keystream = Keystream::new(&self.half.key, &self.half.counter);
        self.used = KeyUse::default();
    }

    /// Appends a REKEY frame that carries `r`, and goes on under the half that follows.
    ///
    /// # Errors
    /// As [`Sealer::seal`].
    pub fn rekey(&mut self, r: &[u8; 32], out: &mut Vec<u8>) -> Result<(), Fault> {
        self.seal(code::REKEY, r, out)?;
        self.turn(r);
        Ok(())
    }

    /// Forgets all keys: nothing can be sealed any more.
    pub(crate) fn wipe(&mut self) {
        self.half.zeroize();
        self.chain.zeroize();
        self.keystream = Keystream::new(&[0; 32], &[0; 16]);
    }

    /// What the current key has sealed.
    pub(crate) const fn used(&self) -> KeyUse {
        self.used
    }

    /// SEQ of the next frame.
    pub const fn next_seq(&self) -> u32 {
        self.sequence.next()
    }

    /// The state of the chain.
    pub const fn chain(&self) -> &Chain {
        &self.chain
    }

    /// The next counter block, and how many bytes of its keystream are used already.
    pub const fn next_counter(&self) -> ([u8; 16], usize) {
        self.keystream.next()
    }

    /// K, C0 and R of the current half: for tests against other implementations.
    #[doc(hidden)]
    pub fn key_material(&self) -> [Vec<u8>; 3] {
        [self.half.key.to_vec(), self.half.counter.to_vec(), self.half.rekey.to_vec()]
    }

    fn seal_blocks(&mut self, plain: &[u8], sealed: &mut [u8]) {
        if self.keystream.is_aligned() {
            self.keystream.seal(self.chain.words(), plain, sealed);
            return;
        }
        for (plain, sealed) in plain.chunks(SLICE).zip(sealed.chunks_mut(SLICE)) {
            self.keystream.compress(self.chain.words(), plain);
            self.keystream.apply(plain, sealed);
        }
    }

    /// The last bytes of a frame, less than a block, and the tag behind them.
    fn seal_tail(&mut self, rest: &[u8], total: usize, sealed: &mut [u8]) {
        let tag = self.chain.finish(rest, total);
        let mut tail = [0; BLOCK + crate::chain::TAG_LEN];
        for (place, byte) in tail.iter_mut().zip(rest.iter().chain(&tag)) {
            *place = *byte;
        }
        self.keystream.apply(tail.get(..sealed.len()).unwrap_or_default(), sealed);
        tail.zeroize();
    }
}
