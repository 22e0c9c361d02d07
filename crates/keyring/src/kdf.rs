//! How dear it is to try a passphrase.

use crate::{Error, Passphrase};
use argon2::{Algorithm, Argon2, Params, Version};
use zeroize::Zeroizing;

/// Parameters of Argon2id, stored beside what they seal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KdfCost {
    memory_kib: u32,
    passes: u32,
    lanes: u32,
}

impl KdfCost {
    /// 64 MiB, 1 pass, 1 lane: for a keyring, which is opened at every start. More than the 46 MiB that OWASP
    /// asks for with one pass; 60 ms of one core, see `docs/adr/0006-cost-of-passphrases.md`.
    pub const DEFAULT: Self = Self { memory_kib: 64 * 1024, passes: 1, lanes: 1 };

    /// 64 MiB, 3 passes, 1 lane: for a backup, which is opened once and may lie where others find it. The second
    /// recommendation of RFC 9106 with the lanes left out; 120 ms of one core.
    pub const BACKUP: Self = Self { memory_kib: 64 * 1024, passes: 3, lanes: 1 };

    /// Next to nothing: for tests, and for passphrases that are random keys already.
    pub const DANGER_FAST: Self = Self { memory_kib: 64, passes: 1, lanes: 1 };

    /// A gibibyte: what a file may ask of whoever opens it.
    const MAX_MEMORY_KIB: u32 = 1024 * 1024;
    /// Memory times passes, in KiB: some ten seconds of work, so that a file from elsewhere cannot stall us for hours.
    const MAX_WORK_KIB: u64 = 8 * 1024 * 1024;
    const MAX_LANES: u32 = 16;

    /// Other parameters.
    ///
    /// # Errors
    /// [`Error::Limit`] below what Argon2 needs (8 KiB a lane, one pass, one lane) or above 1 GiB, 16 lanes,
    /// or 8 GiB of memory times passes.
    pub fn new(memory_kib: u32, passes: u32, lanes: u32) -> Result<Self, Error> {
        let work = u64::from(memory_kib) * u64::from(passes);
        let right = (1..=Self::MAX_LANES).contains(&lanes)
            && (8 * lanes..=Self::MAX_MEMORY_KIB).contains(&memory_kib)
            && passes >= 1
            && work <= Self::MAX_WORK_KIB;
        if !right {
            return Err(Error::Limit("the cost of the key derivation is outside of its bounds"));
        }
        Ok(Self { memory_kib, passes, lanes })
    }

    /// Memory in KiB.
    pub fn memory_kib(self) -> u32 {
        self.memory_kib
    }

    /// How often the memory is gone over.
    pub fn passes(self) -> u32 {
        self.passes
    }

    /// Degree of parallelism.
    pub fn lanes(self) -> u32 {
        self.lanes
    }

    pub(crate) fn derive(self, passphrase: &Passphrase, salt: &[u8; 16]) -> Result<Zeroizing<[u8; 32]>, Error> {
        let memory = || Error::Memory { mib: self.memory_kib.div_ceil(1024) };
        let params =
            Params::new(self.memory_kib, self.passes, self.lanes, Some(32)).map_err(|_| Error::Limit("bad cost"))?;
        let mut key = Zeroizing::new([0; 32]);
        Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
            .hash_password_into(passphrase.as_bytes(), salt, key.as_mut_slice())
            .map_err(|_| memory())?;
        Ok(key)
    }
}

impl Default for KdfCost {
    fn default() -> Self {
        Self::DEFAULT
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_costs_out_of_bounds() {
        assert!(KdfCost::new(64 * 1024, 3, 1).is_ok_and(|cost| cost == KdfCost::BACKUP));
        assert!(KdfCost::new(1024 * 1024, 8, 4).is_ok());
        for (memory, passes, lanes) in
            [(7, 1, 1), (64, 0, 1), (64, 1, 0), (64, 1, 9), (1024 * 1024 + 1, 1, 1), (1024 * 1024, 9, 1), (1024, 1, 17)]
        {
            assert!(KdfCost::new(memory, passes, lanes).is_err(), "{memory} {passes} {lanes}");
        }
    }

    #[test]
    fn derives_what_the_reference_implementation_derives() {
        // Computed with the C implementation of Argon2 20190702.
        let cost = KdfCost::new(256, 2, 1).unwrap();
        let key = cost.derive(&Passphrase::new("password").unwrap(), b"somesaltsomesalt").unwrap();
        assert_eq!(hex::encode(*key), "cab746b4621993fdc91ec50787980b414a90a692f0bc68dfe19f9c25b3cba9ec");
    }
}
