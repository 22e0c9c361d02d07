//! The opened keyring, with what is needed to save it again, and the identity it signs.

use crate::engine::{IDENTITY, NAME};
use crate::servers::{MAX_RELAYS, Relay, published_relays};
use crate::{Config, Error};
use rand_core::CryptoRng;
use std::path::PathBuf;
use waypost_core::{ContactId, SrempAddress, Wall};
use waypost_keyring::{KdfCost, Keyring, Passphrase};
use waypost_sremp::connection::ConnectionKeys;
use waypost_sremp::ed25519::SigningKey;
use waypost_sremp::endpoint::Endpoint;
use waypost_sremp::identity::{Flags, RelayRef};
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
        hex::encode(self.noise_secret().public().as_bytes())
    }

    /// The identity as signed last.
    pub(crate) fn identity(&self, store: &Store) -> Result<Identity, Error> {
        let text = store.setting(IDENTITY)?.ok_or_else(|| Error::Internal("no identity was signed".into()))?;
        let bytes = hex::decode(text).map_err(|_| Error::Internal("the identity is damaged".into()))?;
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
    pub(crate) fn sign_identity(
        &mut self,
        store: &mut Store,
        now: Wall,
        config: &Config,
        own_address: Option<&SrempAddress>,
    ) -> Result<(), Error> {
        let stored = store.setting(NAME)?.unwrap_or_else(|| "Anonymous".to_owned());
        let configured = &config.profile.name;
        let name = if configured.is_empty() { stored } else { configured.clone() };

        let dr = x25519::Secret::from_bytes(*self.keyring.dr_secret()).public();
        let mut relays = published_relays(store)?.iter().map(relay_ref).collect::<Result<Vec<_>, _>>()?;
        // The relay within this node comes last: while the node is off, it keeps nothing.
        let own = own_address.filter(|_| config.sremp.own_relay && relays.len() < MAX_RELAYS);
        if let Some(endpoint) = own.and_then(|at| Endpoint::new(&at.host, at.port).ok()) {
            relays.push(RelayRef { endpoint, relay_identity: self.id(), noise_key: None });
        }
        let flags = Flags {
            uses_relay: !relays.is_empty(),
            is_relay_server: config.sremp.own_relay,
            prefers_async: config.sremp.prefers_async,
            discoverable: config.sremp.discoverable.then_some(true),
            ..Flags::default()
        };
        if let Ok(known) = self.identity(store) {
            let keys_same = known.noise_key() == self.noise_secret().public() && known.dr_key() == Some(dr);
            let says_same = known.username() == name && known.relays() == relays && known.flags() == flags;
            if keys_same && says_same && known.version() == self.keyring.identity_version() {
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
            flags,
            picture: None,
            metadata: vec![(WAYPOST.to_owned(), b"1".to_vec())],
            dr_key: Some(dr),
            relays,
            version: self.keyring.identity_version(),
            created: now,
        };
        let identity = draft.sign(&self.signing).map_err(crate::engine::sremp_error)?;
        store.set_setting(IDENTITY, &hex::encode(msgpack::encode(identity.signed())))?;
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

/// A relay as the identity names it. Profile SR-3.1.2b.
fn relay_ref(relay: &Relay) -> Result<RelayRef, Error> {
    let at = &relay.address.at;
    let endpoint = Endpoint::new(&at.host, at.port);
    let endpoint = endpoint.map_err(|_| Error::BadInput(format!("{at} cannot be the address of a relay")))?;
    Ok(RelayRef { endpoint, relay_identity: relay.address.identity, noise_key: relay.pin })
}
