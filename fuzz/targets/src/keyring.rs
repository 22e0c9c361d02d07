//! Decoders of `waypost-keyring`.

use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};
use waypost_core::Wall;
use waypost_keyring::{Keyring, Passphrase, sealed};

/// What the sealed files among the seeds were sealed for.
pub const PURPOSE: &str = "keyring";
/// And under which passphrase.
pub const PASSPHRASE: &str = "correct horse";

/// An opened keyring, and recovery words: what is read is written the same.
pub fn keyring(data: &[u8]) {
    if let Ok(keyring) = Keyring::import(data) {
        assert_eq!(keyring.export().as_slice(), data);
    }
    let Ok(text) = str::from_utf8(data) else { return };
    let mut rng = ChaCha20Rng::from_seed([1; 32]);
    if let Ok(keyring) = Keyring::from_words(text, &mut rng, Wall::from_millis(1_790_000_000_000)) {
        let words = keyring.recovery_words();
        assert!(words.split_whitespace().eq(text.to_ascii_lowercase().split_whitespace()));
    }
}

/// A sealed file. Its checksum keeps the fuzzer from the costly key derivation.
pub fn sealed_file(data: &[u8]) {
    let purpose = sealed::purpose(data);
    let Ok(passphrase) = Passphrase::new(PASSPHRASE) else { return };
    if let Ok(body) = sealed::open(data, &passphrase, PURPOSE) {
        assert_eq!(purpose, Some(PURPOSE));
        keyring(&body);
    }
}
