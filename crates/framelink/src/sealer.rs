//! The sending direction: payloads in, frames out. Seed, profile FL-2.1 to FL-2.12.

use crate::{
    Block, Fault, Framing, Header, Role,
    block::Half,
    chain::{self, Chain, TAG_LEN},
    code,
    framing::{self, KeyUse, OVERHEAD},
    header::Sequence,
    kernel::BLOCK,
    keystream::Keystream,
};
use zeroize::{Zeroize, ZeroizeOnDrop};

/// Bytes of the first hash block that are payload.
const FIRST: usize = BLOCK - Header::LEN;
/// The end of a frame that is put together before it is sealed: two blocks less a byte that the cipher has not
/// reached or the hash not yet, the padding, and room for the cipher to be up to a block ahead.
const STAGE: usize = 4 * BLOCK;

/// Seals the frames of one direction, one after the other.
pub struct Sealer {
    role: Role,
    framing: Framing,
    half: Half,
    chain: Chain,
    keystream: Keystream,
    sequence: Sequence,
    used: KeyUse,
    stage: Stage,
}

/// Where heads and tails of frames are put together, and what becomes of them.
#[derive(Zeroize, ZeroizeOnDrop)]
struct Stage {
    plain: [u8; STAGE],
    sealed: [u8; STAGE],
}

impl Stage {
    /// Puts these together; how long they are.
    fn put(&mut self, parts: &[&[u8]]) -> usize {
        let mut length = 0;
        for part in parts {
            if let Some(place) = self.plain.get_mut(length..length + part.len()) {
                place.copy_from_slice(part);
                length += part.len();
            }
        }
        length
    }
}

impl Sealer {
    /// The direction that `role` sends.
    pub fn new(block: &Block, role: Role, framing: Framing) -> Self {
        let half = block.half(role);
        let (chain, keystream) = (framing.chain(&half), Keystream::new(&half.key, &half.counter));
        let stage = Stage { plain: [0; STAGE], sealed: [0; STAGE] };
        Self { role, framing, half, chain, keystream, sequence: framing.sequence(), used: KeyUse::default(), stage }
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
        let total = Header::LEN + payload.len();
        // What is left of the keystream is used first; from there on the cipher is so far ahead of the hash.
        let ahead = self.keystream.left();
        let head = self.stage.put(&[&header, payload.get(..FIRST + ahead).unwrap_or(payload)]);
        if head < BLOCK + ahead {
            self.seal_end(head, ahead, total, sealed);
        } else {
            let (_, hashed) = payload.split_at(FIRST);
            let (_, plain) = hashed.split_at(ahead);
            let bulk = plain.len() / BLOCK * BLOCK;
            let (sealed_head, sealed) = sealed.split_at_mut(head);
            let (sealed_bulk, sealed_tail) = sealed.split_at_mut(bulk);
            let (hashed, tail) = hashed.split_at(bulk);
            self.seal_head(ahead, sealed_head);
            self.keystream.seal(self.chain.words(), hashed, plain, sealed_bulk);
            let tail = self.stage.put(&[tail]);
            self.seal_end(tail, ahead, total, sealed_tail);
        }
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
        self.stage.zeroize();
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

    /// The first block of a long frame, and by how much the cipher is ahead.
    fn seal_head(&mut self, ahead: usize, sealed: &mut [u8]) {
        let Some((first, plain)) = self.stage.plain.split_at_checked(ahead) else { return };
        let (sealed_first, sealed) = sealed.split_at_mut(ahead);
        self.keystream.apply(first, sealed_first);
        self.keystream.seal(self.chain.words(), &self.stage.plain, plain, sealed);
    }

    /// The end of a frame, `length` bytes in the stage, and the tag behind them. The padding is sealed where the
    /// tag will be, so that both are made in one go; what else becomes of it must not leave, for it is known.
    fn seal_end(&mut self, length: usize, ahead: usize, total: usize, sealed: &mut [u8]) {
        let Stage { plain, sealed: out } = &mut self.stage;
        let padded = chain::pad(plain, length, total).len();
        let end = length + TAG_LEN;
        let made = end.saturating_sub(ahead).next_multiple_of(BLOCK);
        let (Some(shifted), Some(place)) = (plain.get(ahead..), out.get_mut(ahead..ahead + made)) else { return };
        self.keystream.seal(self.chain.words(), plain, shifted, place);
        self.keystream.compress(self.chain.words(), plain.get(made..padded).unwrap_or_default());
        let ends = out.iter_mut().zip(plain.iter_mut()).skip(length);
        for ((sealed, plain), tag) in ends.zip(self.chain.last_tag()) {
            *sealed ^= *plain ^ tag;
            *plain = tag;
        }
        let left = self.keystream.left().min(end);
        if let (Some(plain), Some(sealed)) = (plain.get(..left), out.get_mut(..left)) {
            self.keystream.apply(plain, sealed);
        }
        if made > 0
            && let (Some(unused), Some(plain)) = (out.get_mut(end..ahead + made), plain.get(end..))
        {
            unused.iter_mut().zip(plain).for_each(|(unused, plain)| *unused ^= plain);
            self.keystream.give_back(unused);
        }
        if let Some(out) = out.get(end - sealed.len()..end) {
            sealed.copy_from_slice(out);
        }
    }
}
