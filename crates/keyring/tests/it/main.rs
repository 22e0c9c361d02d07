//! Keyrings in real files.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "a test stops where it fails")]

mod file;
mod hostile;
mod identity;

use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};
use waypost_core::Wall;
use waypost_keyring::{Keyring, Passphrase};

const T0: Wall = Wall::from_millis(1_790_000_000_000);

fn rng() -> ChaCha20Rng {
    ChaCha20Rng::from_seed([42; 32])
}

fn keyring() -> Keyring {
    Keyring::generate(&mut rng(), T0)
}

fn passphrase() -> Passphrase {
    Passphrase::new("correct horse").unwrap()
}
