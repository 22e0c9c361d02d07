//! The opened keyring: a root, what is derived from it, and what cannot be.

use crate::{Error, KdfCost, Passphrase, encoding::Reader, file, sealed, slots::Slots, words};
use hkdf::Hkdf;
use rand_core::CryptoRng;
use sha2::Sha256;
use std::{fmt, path::Path};
use waypost_core::Wall;
use zeroize::Zeroizing;

/// The secrets of one identity.
///
/// # Generations
/// The noise key and the dr key are derived from the root and a generation number of their own, which
/// is the Unix time in milliseconds of the moment they came into use (and always above the one
/// before). A rotation and a restoration from words both start a new generation: somebody restoring
/// from words cannot know which generations their contacts have seen, and a number taken from the
/// clock is new without knowing. So a key that was rotated away, perhaps because it was stolen, never
/// comes back into use, two different versions of the identity never name the same key by accident,
/// and the words are enough for ever. Contacts learn the new key from the identity's higher version.
///
/// # Versions
/// The identity's version starts at Unix milliseconds too, so that an identity restored from words is
/// newer than all that contacts hold, as long as the clock is right.
pub struct Keyring {
    root: Secret,
    database: Secret,
    version: u64,
    noise_generation: u64,
    dr_generation: u64,
    slots: Slots,
    // Derived from the above:
    identity: Secret,
    noise: Secret,
    dr: Secret,
}

type Secret = Zeroizing<[u8; 32]>;

/// 2^64-1 means frozen for ever (SREMP 3.1.5, SR-3.1.5a); a keyring never gets there by counting.
const MAX_VERSION: u64 = u64::MAX - 1;
const PURPOSE: &str = "keyring";
const FORMAT: u8 = 1;

impl Keyring {
    /// A new identity.
    pub fn generate(rng: &mut impl CryptoRng, now: Wall) -> Self {
        let mut root = Secret::default();
        rng.fill_bytes(root.as_mut_slice());
        Self::from_root(root, rng, now)
    }

    /// The identity of 24 recovery words, with a new database key, new noise and dr keys and no slots.
    ///
    /// # Errors
    /// [`Error::BadWords`], which says what is wrong with them and repeats none.
    pub fn from_words(words: &str, rng: &mut impl CryptoRng, now: Wall) -> Result<Self, Error> {
        Ok(Self::from_root(words::root_of(words)?, rng, now))
    }

    fn from_root(root: Secret, rng: &mut impl CryptoRng, now: Wall) -> Self {
        let mut database = Secret::default();
        rng.fill_bytes(database.as_mut_slice());
        let now = now.as_millis().min(MAX_VERSION);
        Self::assemble(root, database, now, now, now, Slots::default())
    }

    fn assemble(
        root: Secret,
        database: Secret,
        version: u64,
        noise_generation: u64,
        dr_generation: u64,
        slots: Slots,
    ) -> Self {
        let identity = derive(&root, b"identity", None);
        let noise = derive(&root, b"noise", Some(noise_generation));
        let dr = derive(&root, b"dr", Some(dr_generation));
        Self { root, database, version, noise_generation, dr_generation, slots, identity, noise, dr }
    }

    /// The 24 words that bring this identity back.
    pub fn recovery_words(&self) -> Zeroizing<String> {
        words::words_of(&self.root)
    }

    /// Seals it into a new file of mode 0600.
    ///
    /// # Errors
    /// [`Error::Exists`] if there is a file; it is not touched. [`Error::Io`], [`Error::Memory`].
    pub fn create(
        &self,
        path: &Path,
        passphrase: &Passphrase,
        cost: KdfCost,
        rng: &mut impl CryptoRng,
    ) -> Result<(), Error> {
        file::refuse_existing(path)?;
        let sealed = sealed::seal(&self.export(), passphrase, cost, rng, PURPOSE)?;
        file::create(path, &sealed, rng)
    }

    /// Opens a file.
    ///
    /// # Errors
    /// Those of [`sealed::open`], [`Error::NotFound`] and [`Error::Io`].
    pub fn open(path: &Path, passphrase: &Passphrase) -> Result<Self, Error> {
        Self::import(&sealed::open(&file::read(path)?, passphrase, PURPOSE)?)
    }

    /// Seals it into the file, which is replaced at once or not at all.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Memory`]; the old file is then still there.
    pub fn save(
        &self,
        path: &Path,
        passphrase: &Passphrase,
        cost: KdfCost,
        rng: &mut impl CryptoRng,
    ) -> Result<(), Error> {
        let sealed = sealed::seal(&self.export(), passphrase, cost, rng, PURPOSE)?;
        file::replace(path, &sealed, rng)
    }

    /// The seed of the Ed25519 identity key.
    pub fn identity_secret(&self) -> &[u8; 32] {
        &self.identity
    }

    /// The X25519 key of Noise, of the current generation.
    pub fn noise_secret(&self) -> &[u8; 32] {
        &self.noise
    }

    /// The X25519 key of PQXDH, of the current generation.
    pub fn dr_secret(&self) -> &[u8; 32] {
        &self.dr
    }

    /// The key of the database: random, so it does not come back with the words.
    pub fn database_key(&self) -> &[u8; 32] {
        &self.database
    }

    /// The version under which the identity was last signed, or is to be for the first time.
    pub fn identity_version(&self) -> u64 {
        self.version
    }

    /// Raises the version for a changed identity: by one, or to the time if that is more (SREMP 3.1.5, SR-3.1.5b).
    /// Save the keyring before the identity is shown to anybody.
    pub fn next_version(&mut self, now: Wall) -> u64 {
        self.version = later(self.version, now);
        self.version
    }

    /// A new noise key, under a new version; existing sessions and trust stay.
    pub fn rotate_noise(&mut self, now: Wall) {
        self.noise_generation = later(self.noise_generation, now);
        self.noise = derive(&self.root, b"noise", Some(self.noise_generation));
        self.next_version(now);
    }

    /// A new dr key, under a new version. First messages on their way to the old one can no longer be opened:
    /// their senders start again.
    pub fn rotate_dr(&mut self, now: Wall) {
        self.dr_generation = later(self.dr_generation, now);
        self.dr = derive(&self.root, b"dr", Some(self.dr_generation));
        self.next_version(now);
    }

    /// To be called once after a backup was restored: the version rises by 1,000, so that one that was shown
    /// after the backup was made is not signed twice (SREMP 3.1.5, SR-3.1.5c).
    pub fn after_restore(&mut self) {
        self.version = self.version.saturating_add(1000).min(MAX_VERSION);
    }

    /// The key of another protocol.
    pub fn slot(&self, name: &str) -> Option<&[u8]> {
        self.slots.slot(name)
    }

    /// The names of the slots in use, in order.
    pub fn slot_names(&self) -> impl Iterator<Item = &str> {
        self.slots.names()
    }

    /// Keeps the key of another protocol.
    ///
    /// # Errors
    /// [`Error::Limit`]: at most 64 slots, names of 1..=64 bytes, 64 KiB each and 1 MiB together.
    pub fn set_slot(&mut self, name: &str, value: Zeroizing<Vec<u8>>) -> Result<(), Error> {
        self.slots.set(name, value)
    }

    /// Forgets the key of another protocol; whether there was one.
    pub fn clear_slot(&mut self, name: &str) -> bool {
        self.slots.clear(name)
    }

    /// Everything, unsealed, for the encrypted backup:
    /// `format u8, root 32, database key 32, version u64, noise generation u64, dr generation u64, slots`.
    pub fn export(&self) -> Zeroizing<Vec<u8>> {
        // Of full size from the start: growing would leave copies behind that nobody wipes.
        let mut out = Zeroizing::new(Vec::with_capacity(1 + 64 + 24 + self.slots.encoded_len()));
        out.push(FORMAT);
        out.extend_from_slice(self.root.as_slice());
        out.extend_from_slice(self.database.as_slice());
        for number in [self.version, self.noise_generation, self.dr_generation] {
            out.extend_from_slice(&number.to_be_bytes());
        }
        self.slots.encode(&mut out);
        out
    }

    /// Reads what [`Keyring::export`] wrote. After a restored backup, call [`Keyring::after_restore`].
    ///
    /// # Errors
    /// [`Error::Newer`], [`Error::Damaged`].
    pub fn import(bytes: &[u8]) -> Result<Self, Error> {
        let cut = || Error::Damaged("the keyring is cut short");
        let mut reader = Reader::new(bytes);
        let format = reader.u8().ok_or_else(cut)?;
        Error::check_format(format, FORMAT)?;
        let root = Zeroizing::new(reader.array().ok_or_else(cut)?);
        let database = Zeroizing::new(reader.array().ok_or_else(cut)?);
        let mut number = || reader.u64().ok_or_else(cut);
        let (version, noise_generation, dr_generation) = (number()?, number()?, number()?);
        if version.max(noise_generation).max(dr_generation) > MAX_VERSION {
            return Err(Error::Damaged("a number of the keyring is out of its range"));
        }
        let slots = Slots::decode(&mut reader)?;
        if !reader.rest().is_empty() {
            return Err(Error::Damaged("something follows the keyring"));
        }
        Ok(Self::assemble(root, database, version, noise_generation, dr_generation, slots))
    }
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keyring(..)")
    }
}

/// The next of numbers that follow the clock and never stand still.
fn later(number: u64, now: Wall) -> u64 {
    number.saturating_add(1).max(now.as_millis()).min(MAX_VERSION)
}

fn derive(root: &[u8; 32], label: &[u8], generation: Option<u64>) -> Secret {
    let generation = generation.map(u64::to_be_bytes);
    let mut key = Secret::default();
    // It fails only for outputs above 8,160 bytes.
    let done = Hkdf::<Sha256>::new(Some(b"waypost keyring 1"), root)
        .expand_multi_info(&[label, generation.as_ref().map_or(&[], |bytes| bytes)], key.as_mut_slice());
    debug_assert!(done.is_ok());
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn derives_what_hkdf_derives_elsewhere() {
        // Computed with another implementation of HKDF-SHA256: keys at rest must stay the same for ever.
        let root = [7; 32];
        let generation = Some(1_790_000_000_000);
        let of = |label: &[u8], generation| hex::encode(*derive(&root, label, generation));
        assert_eq!(of(b"identity", None), "553777cb35b86bfd8096496aaf287db9b8419e641893d2e56adc534df389d049");
        assert_eq!(of(b"noise", generation), "15cda9b83bb5f9414d7a6ab7dd0351136318a5f1c600bfd63bc46086cc11f99e");
        assert_eq!(of(b"dr", generation), "a8a42ab0e16c19724a7e4fec709272d541f58d886bd17c5b357eae3c9b2cb2da");
    }

    #[test]
    fn numbers_follow_the_clock_and_never_stand_still() {
        assert_eq!(later(5, Wall::from_millis(3)), 6);
        assert_eq!(later(5, Wall::from_millis(9)), 9);
        assert_eq!(later(5, Wall::from_millis(u64::MAX)), MAX_VERSION);
        assert_eq!(later(MAX_VERSION, Wall::from_millis(0)), MAX_VERSION);
    }
}
