//! The 256 bytes two peers share: a half for each direction. Profile, Crypto, Block.

use crate::{Fault, Role};
use rand_core::CryptoRng;
use sha2::{Digest, Sha256};
use std::fmt;
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

/// Length of a block.
pub const BLOCK_LEN: usize = 256;
/// Length of a half.
pub(crate) const HALF_LEN: usize = BLOCK_LEN / 2;
/// The byte of a half whose top bit is the counter's bit 63; cleared, so that no carry leaves the low word.
const COUNTER_BYTE: usize = 40;
/// Where a half's reserved bytes begin.
const RESERVED: usize = 112;

/// Key material of both directions.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct Block([u8; BLOCK_LEN]);

impl Block {
    /// Takes a block's file. Profile, Raw block file.
    ///
    /// # Errors
    /// [`Fault::BlockSize`]; [`Fault::BlockWeak`] if the halves have one key.
    pub fn from_file(bytes: &[u8]) -> Result<Self, Fault> {
        let bytes: &[u8; BLOCK_LEN] = bytes.try_into().map_err(|_| Fault::BlockSize)?;
        let block = Self(*bytes);
        let [top, bottom] = [Role::Top, Role::Bottom].map(|role| block.half(role));
        if bool::from(top.key.ct_eq(&bottom.key)) {
            return Err(Fault::BlockWeak);
        }
        Ok(block)
    }

    /// A new random one.
    pub fn generate(rng: &mut impl CryptoRng) -> Self {
        let mut block = Self([0; BLOCK_LEN]);
        for half in block.0.as_chunks_mut::<HALF_LEN>().0 {
            rng.fill_bytes(half.split_at_mut(RESERVED).0);
        }
        block.bounded()
    }

    /// Takes derived bytes.
    pub(crate) fn derived(bytes: &[u8; BLOCK_LEN]) -> Self {
        Self(*bytes).bounded()
    }

    /// The bytes: for a file.
    pub const fn as_bytes(&self) -> &[u8; BLOCK_LEN] {
        &self.0
    }

    /// What the ledger of used blocks calls it: 64 hex digits. Profile, Ledger of raw blocks.
    pub fn id(&self) -> String {
        let hash = Sha256::new().chain_update(b"framelink/1 block id\0").chain_update(self.0).finalize();
        hash.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// What `role` sends with.
    pub(crate) fn half(&self, role: Role) -> Half {
        let (top, bottom) = self.0.split_at(HALF_LEN);
        match role {
            Role::Top => Half::new(top),
            Role::Bottom => Half::new(bottom),
        }
    }

    fn bounded(mut self) -> Self {
        for half in self.0.as_chunks_mut::<HALF_LEN>().0 {
            bound(half);
        }
        self
    }
}

impl fmt::Debug for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Block(..)")
    }
}

/// Leaves 2^63 blocks before the counter's low word carries.
fn bound(half: &mut [u8; HALF_LEN]) {
    let [.., byte] = half.split_at_mut(COUNTER_BYTE + 1).0 else { return };
    *byte &= 0x7f;
}

/// Key material of one direction.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub(crate) struct Half {
    /// K, the AES-256 key.
    pub(crate) key: [u8; 32],
    /// C0, the first counter block.
    pub(crate) counter: [u8; 16],
    /// H0, the first state of the chain.
    pub(crate) chain: [u8; 32],
    /// R, what the next half is derived from.
    pub(crate) rekey: [u8; 32],
}

impl Half {
    fn new(bytes: &[u8]) -> Self {
        let mut half = Self { key: [0; 32], counter: [0; 16], chain: [0; 32], rekey: [0; 32] };
        let mut rest = bytes;
        for field in [&mut half.key[..], &mut half.counter[..], &mut half.chain[..], &mut half.rekey[..]] {
            let Some((bytes, after)) = rest.split_at_checked(field.len()) else { break };
            field.copy_from_slice(bytes);
            rest = after;
        }
        half
    }

    /// The half that follows a REKEY with `r`, when the chain has come to `state`. Profile, REKEY; `sender` is
    /// the side that sends with this half.
    pub(crate) fn after(&self, state: &[u8; 32], r: &[u8; 32], sender: Role) -> Self {
        let info = match sender {
            Role::Top => "framelink/1 rekey top",
            Role::Bottom => "framelink/1 rekey bottom",
        };
        let mut bytes: Zeroizing<[u8; HALF_LEN]> = crate::kdf::hkdf(state, &[&self.rekey, r], info);
        bound(&mut bytes);
        Self::new(bytes.as_slice())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{SeedableRng, rngs::StdRng};

    #[test]
    fn generated_blocks_never_carry_and_reserve_zeros() {
        for seed in 0..50 {
            let block = Block::generate(&mut StdRng::seed_from_u64(seed));
            for half in block.as_bytes().chunks(HALF_LEN) {
                assert!(half[COUNTER_BYTE] < 0x80 && half[RESERVED..].iter().all(|byte| *byte == 0));
            }
            assert_eq!(Block::from_file(block.as_bytes()).unwrap().as_bytes(), block.as_bytes());
        }
        assert_eq!(Block::derived(&[0xff; BLOCK_LEN]).as_bytes().iter().filter(|byte| **byte == 0x7f).count(), 2);
    }

    #[test]
    fn a_block_of_a_file_is_used_as_it_is() {
        let mut bytes = [0xff; BLOCK_LEN];
        bytes[0] = 1;
        let block = Block::from_file(&bytes).unwrap();
        assert_eq!(block.half(Role::Top).counter, [0xff; 16]);
        assert_eq!((block.half(Role::Top).key[0], block.half(Role::Bottom).key[0]), (1, 0xff));
    }

    #[test]
    fn shows_nothing_of_itself_but_a_name() {
        let [one, other] = [1, 2].map(|seed| Block::generate(&mut StdRng::seed_from_u64(seed)));
        assert_eq!(format!("{one:?}"), "Block(..)");
        assert!(one.id() != other.id() && one.id().len() == 64);
    }

    #[test]
    fn the_next_half_hangs_on_state_secret_and_direction() {
        let half = Block::generate(&mut StdRng::seed_from_u64(1)).half(Role::Top);
        let next = |state: u8, r: u8, role| half.after(&[state; 32], &[r; 32], role).key;
        let keys = [next(1, 1, Role::Top), next(2, 1, Role::Top), next(1, 2, Role::Top), next(1, 1, Role::Bottom)];
        for (at, key) in keys.iter().enumerate() {
            assert!(!keys[..at].contains(key) && *key != half.key);
        }
    }
}
