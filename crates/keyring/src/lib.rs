//! One identity's secrets: in memory as a [`Keyring`], at rest in one sealed file.
//!
//! ```text
//! 24 words <-> root (32 B) --HKDF--> identity key            for ever the same
//!                          --HKDF--> noise key, generation n   rotates
//!                          --HKDF--> dr key, generation n      rotates
//! random database key, version of the identity, slots of other protocols
//!          |
//!          +-- encode -- seal (Argon2id of the passphrase, XChaCha20-Poly1305) -- file, mode 0600
//! ```
//!
//! What is not here: sessions and prekeys (they change with every letter and live in the database),
//! signatures and handshakes (the protocols make them, with the secrets lent from here), and where a
//! passphrase comes from.
//!
//! The words bring back the root, so the same identity; they bring back neither the database nor the
//! slots, for which there is the backup ([`Keyring::export`] inside a [`sealed`] container).
//!
//! ```
//! use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};
//! use waypost_core::Wall;
//! use waypost_keyring::{KdfCost, Keyring, Passphrase};
//!
//! let folder = tempfile::tempdir()?;
//! let path = folder.path().join("keyring");
//! let mut rng = ChaCha20Rng::from_seed([1; 32]); // of the operating system in earnest
//! let passphrase = Passphrase::new("correct horse")?;
//!
//! let keyring = Keyring::generate(&mut rng, Wall::from_millis(1_790_000_000_000));
//! keyring.create(&path, &passphrase, KdfCost::DANGER_FAST, &mut rng)?;
//!
//! let opened = Keyring::open(&path, &passphrase)?;
//! assert_eq!(opened.identity_secret(), keyring.identity_secret());
//!
//! let later = Wall::from_millis(1_800_000_000_000);
//! let restored = Keyring::from_words(&keyring.recovery_words(), &mut rng, later)?;
//! assert_eq!(restored.identity_secret(), keyring.identity_secret());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod encoding;
mod error;
mod file;
mod kdf;
mod keyring;
mod passphrase;
pub mod sealed;
mod slots;
mod words;

pub use error::Error;
pub use kdf::KdfCost;
pub use keyring::Keyring;
pub use passphrase::Passphrase;
