//! Who a relay is: its secret keys, and the identity it shows.
//!
//! A server starts without anybody to ask for a passphrase, so the keys lie open in a file that only
//! its owner can read. They are worth less than a person's: no letter can be read with them.

use crate::{Error, data};
use rand::CryptoRng;
use serde::{Deserialize, Serialize};
use std::path::Path;
use waypost_core::Wall;
use waypost_sremp::connection::ConnectionKeys;
use waypost_sremp::ed25519::SigningKey;
use waypost_sremp::identity::Flags;
use waypost_sremp::x25519::Secret;
use waypost_sremp::{Identity, IdentityDraft, SignedIdentity, msgpack};
use zeroize::{Zeroize, Zeroizing};

/// A relay's keys and identity.
pub struct RelayKeys {
    identity: Identity,
    noise: Secret,
}

/// The form of the file.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    identity_secret: String,
    noise_secret: String,
    /// The identity signed last: a version is never signed twice with other content.
    identity: Option<String>,
}

impl Drop for File {
    fn drop(&mut self) {
        self.identity_secret.zeroize();
        self.noise_secret.zeroize();
    }
}

impl RelayKeys {
    /// Reads the keys, or makes them at the first start; signs the identity anew if the name is another.
    ///
    /// # Errors
    /// The file cannot be read or written or is damaged; the name is not allowed.
    pub fn load(path: &Path, name: &str, now: Wall, rng: &mut impl CryptoRng) -> Result<Self, Error> {
        let damaged = |why: &str| Error::Damaged { path: path.to_owned(), why: why.to_owned() };
        let mut file = match data::read(path)? {
            Some(content) => {
                let content = Zeroizing::new(content);
                let text = std::str::from_utf8(&content).map_err(|_| damaged("not text"))?;
                // The parser's own words could repeat a secret.
                toml::from_str(text).map_err(|_| damaged("not the form of a key file"))?
            }
            None => {
                let fresh = |rng: &mut dyn CryptoRng| {
                    let mut secret = Zeroizing::new([0; 32]);
                    rng.fill_bytes(secret.as_mut());
                    hex::encode(*secret)
                };
                File { identity_secret: fresh(rng), noise_secret: fresh(rng), identity: None }
            }
        };
        let signing = SigningKey::from_bytes(&*secret(&file.identity_secret).ok_or_else(|| damaged("a bad key"))?);
        let noise = Secret::from_bytes(*secret(&file.noise_secret).ok_or_else(|| damaged("a bad key"))?);
        let known = file.identity.as_deref().map(|text| read_identity(text).ok_or_else(|| damaged("a bad identity")));
        let known = known.transpose()?;
        if let Some(identity) = known.as_ref().filter(|known| known.username() == name) {
            return Ok(Self { identity: identity.clone(), noise });
        }
        let after = known.map_or(0, |known| known.version().saturating_add(1));
        let identity = sign(&signing, &noise, name, now.as_millis().max(after), now)?;
        file.identity = Some(hex::encode(msgpack::encode(identity.signed())));
        let text = toml::to_string(&file).map_err(|error| Error::Internal(error.to_string()))?;
        data::write_private(path, Zeroizing::new(text).as_bytes())?;
        Ok(Self { identity, noise })
    }

    /// Keys from elsewhere; nothing is kept of them.
    ///
    /// # Errors
    /// The name is not allowed.
    pub fn new(signing: &SigningKey, noise: Secret, name: &str, version: u64, now: Wall) -> Result<Self, Error> {
        Ok(Self { identity: sign(signing, &noise, name, version, now)?, noise })
    }

    /// The identity it shows.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// What its connections are made with.
    ///
    /// # Errors
    /// The keys do not belong together, which is a damaged file.
    pub fn connection_keys(&self) -> Result<ConnectionKeys, Error> {
        let keys = ConnectionKeys::new(self.noise.clone(), self.identity.clone());
        keys.map_err(|error| Error::Internal(format!("the relay's keys do not fit: {error}")))
    }
}

fn sign(signing: &SigningKey, noise: &Secret, name: &str, version: u64, now: Wall) -> Result<Identity, Error> {
    let draft = IdentityDraft {
        username: name.to_owned(),
        noise_key: noise.public(),
        dr_key: None,
        flags: Flags { is_machine_account: true, is_relay_server: true, ..Flags::default() },
        relays: Vec::new(),
        picture: None,
        metadata: Vec::new(),
        version,
        created: now,
    };
    draft.sign(signing).map_err(|error| Error::Config(format!("relay.name: {error}")))
}

fn secret(text: &str) -> Option<Zeroizing<[u8; 32]>> {
    let mut bytes = Zeroizing::new([0; 32]);
    hex::decode_to_slice(text, bytes.as_mut()).ok()?;
    Some(bytes)
}

fn read_identity(text: &str) -> Option<Identity> {
    SignedIdentity::decode(&hex::decode(text).ok()?).ok()?.verify().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_the_same_relay_at_every_start_and_signs_no_version_twice() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("relay.keys");
        let now = Wall::from_millis(1_790_000_000_000);
        let load = |name: &str| RelayKeys::load(&path, name, now, &mut rand::rng()).unwrap();
        let first = load("relay");
        assert!(first.identity().flags().is_relay_server);
        assert_eq!(load("relay").identity().signed(), first.identity().signed());
        let renamed = load("another");
        assert_eq!(renamed.identity().key(), first.identity().key());
        assert!(renamed.identity().version() > first.identity().version());
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn says_that_a_file_is_damaged_without_showing_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("relay.keys");
        std::fs::write(&path, "identity_secret = \"0a0b0c\"\nnoise_secret = 3").unwrap();
        let error = RelayKeys::load(&path, "relay", Wall::default(), &mut rand::rng()).err().unwrap();
        assert!(error.to_string().contains("damaged") && !error.to_string().contains("0a0b"), "{error}");
    }
}
