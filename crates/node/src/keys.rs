//! The opened keyring, with what is needed to save it again, and the identity it signs.

use crate::Error;
use crate::engine::{IDENTITY, NAME};
use rand_core::CryptoRng;
use std::path::PathBuf;
use waypost_core::{ContactId, Wall};
use waypost_keyring::{KdfCost, Keyring, Passphrase};
use waypost_sremp::connection::ConnectionKeys;
use waypost_sremp::ed25519::SigningKey;
use waypost_sremp::identity::Flags;
use waypost_sremp::{AccountKeys, Identity, IdentityDraft, SignedIdentity, WAYPOST, msgpack, x25519};
use waypost_store::Store;

/// A person's secrets, opened.
pub struct Unlocked {
    keyring: Keyring,
    path: Option<PathBuf>,
    passphrase: Passphrase,
    cost: KdfCost,
    signing: SigningKey,
}

impl Unlocked {
    /// Takes an opened keyring. Without a path, changes stay in memory: for tests and simulations.
    pub fn new(keyring: Keyring, path: Option<PathBuf>, passphrase: Passphrase, cost: KdfCost) -> Self {
        let signing = SigningKey::from_bytes(keyring.identity_secret());
        Self { keyring, path, passphrase, cost, signing }
    }

    /// Who it is.
    pub fn id(&self) -> ContactId {
        self.signing.public()
    }

    /// What the database is encrypted with.
    pub fn database_key(&self) -> &[u8; 32] {
        self.keyring.database_key()
    }

    pub(crate) fn keyring(&self) -> &Keyring {
        &self.keyring
    }

    pub(crate) fn signing(&self) -> &SigningKey {
        &self.signing
    }

    pub(crate) fn noise_key_hex(&self) -> String {
        self.noise_secret().public().as_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The identity as signed last.
    pub(crate) fn identity(&self, store: &Store) -> Result<Identity, Error> {
        let text = store.setting(IDENTITY)?.ok_or_else(|| Error::Internal("no identity was signed".into()))?;
        let bytes = unhex(&text).ok_or_else(|| Error::Internal("the identity is damaged".into()))?;
        let signed = SignedIdentity::decode(&bytes).and_then(|signed| signed.verify());
        signed.map_err(|error| Error::Internal(format!("the own identity does not hold: {error}")))
    }

    pub(crate) fn account_keys(&self, store: &Store) -> Result<AccountKeys, Error> {
        let dr = x25519::Secret::from_bytes(*self.keyring.dr_secret());
        Ok(AccountKeys { identity: self.identity(store)?, signing: self.signing.clone(), dr })
    }

    pub(crate) fn connection_keys(&self, store: &Store) -> Result<ConnectionKeys, Error> {
        ConnectionKeys::new(self.noise_secret(), self.identity(store)?).map_err(crate::engine::sremp_error)
    }

    pub(crate) fn next_version(&mut self, rng: &mut dyn CryptoRng, now: Wall) -> Result<(), Error> {
        self.keyring.next_version(now);
        self.save(rng)
    }

    pub(crate) fn rotate_noise(&mut self, rng: &mut dyn CryptoRng, now: Wall) -> Result<(), Error> {
        self.keyring.rotate_noise(now);
        self.save(rng)
    }

    /// Signs an identity with the keyring's version and keys, unless that was done already.
    ///
    /// The keyring's version is on disk before anything is signed with it, so no version is ever
    /// signed twice with other content. SREMP 3.1.5, profile SR-3.1.5c.
    pub(crate) fn sign_identity(&mut self, store: &mut Store, now: Wall, configured: &str) -> Result<(), Error> {
        let stored = store.setting(NAME)?.unwrap_or_else(|| "Anonymous".to_owned());
        let name = if configured.is_empty() { stored } else { configured.to_owned() };
        let dr = x25519::Secret::from_bytes(*self.keyring.dr_secret()).public();
        if let Ok(known) = self.identity(store) {
            let keys_same = known.noise_key() == self.noise_secret().public() && known.dr_key() == Some(dr);
            if keys_same && known.username() == name && known.version() == self.keyring.identity_version() {
                return Ok(());
            }
            if known.version() >= self.keyring.identity_version() {
                self.keyring.next_version(now);
                self.save(&mut rand::rng())?;
            }
        }
        let draft = IdentityDraft {
            username: name,
            noise_key: self.noise_secret().public(),
            flags: Flags::default(),
            picture: None,
            metadata: vec![(WAYPOST.to_owned(), b"1".to_vec())],
            dr_key: Some(dr),
            relays: Vec::new(),
            version: self.keyring.identity_version(),
            created: now,
        };
        let identity = draft.sign(&self.signing).map_err(crate::engine::sremp_error)?;
        store.set_setting(IDENTITY, &hex(&msgpack::encode(identity.signed())))?;
        Ok(())
    }

    fn noise_secret(&self) -> x25519::Secret {
        x25519::Secret::from_bytes(*self.keyring.noise_secret())
    }

    fn save(&self, rng: &mut dyn CryptoRng) -> Result<(), Error> {
        match &self.path {
            Some(path) => Ok(self.keyring.save(path, &self.passphrase, self.cost, &mut &mut *rng)?),
            None => Ok(()),
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes().chunks_exact(2);
    digits.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect()
}
