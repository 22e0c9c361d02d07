//! Own keys: random, from a seed, or from a file.

use crate::speak::BadInput;
use anyhow::Context as _;
use clap::Args;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};
use waypost_core::Wall;
use waypost_sremp::x25519::{PublicKey, Secret};
use waypost_sremp::{AccountKeys, Identity, IdentityDraft, ed25519::SigningKey};
use zeroize::Zeroizing;

/// Which keys to be.
#[derive(Debug, Args)]
pub(super) struct KeyArgs {
    /// 32 bytes in hex: the identity key's seed, from which the other keys are derived [default: random]
    #[arg(long, value_name = "HEX", conflicts_with = "identity")]
    seed: Option<String>,
    /// File with the seed in hex, or a JSON object {"identity":..,"noise":..,"dr":..} of secret keys in hex
    #[arg(long, value_name = "FILE")]
    identity: Option<PathBuf>,
    /// The name others see
    #[arg(long, value_name = "NAME", default_value = "waypost")]
    username: String,
    /// The version of the identity [default: now, in Unix milliseconds]
    #[arg(long, value_name = "N")]
    version: Option<u64>,
    /// Let the identity say that it may be listed for everybody
    #[arg(long)]
    discoverable: bool,
}

/// Secrets and the identity they belong to.
pub(super) struct Keys {
    pub(super) identity: Identity,
    pub(super) noise: Secret,
    pub(super) signing: SigningKey,
    dr: Secret,
}

type Bytes = Zeroizing<[u8; 32]>;

/// The form of a file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    identity: String,
    noise: String,
    dr: String,
}

impl KeyArgs {
    /// Whether keys were given, so that none have to be made up.
    pub(super) const fn is_given(&self) -> bool {
        self.seed.is_some() || self.identity.is_some()
    }

    /// The name others see.
    pub(super) fn username(&self) -> &str {
        &self.username
    }

    pub(super) fn load(&self) -> anyhow::Result<Keys> {
        let [identity, noise, dr] = match (&self.seed, &self.identity) {
            (Some(seed), _) => from_seed(secret(seed).context("--seed")?),
            (None, Some(path)) => from_file(path).with_context(|| path.display().to_string())?,
            (None, None) => from_seed(Zeroizing::new(rand::random())),
        };
        let signing = SigningKey::from_bytes(&identity);
        let (noise, dr) = (Secret::from_bytes(*noise), Secret::from_bytes(*dr));
        let millis = SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis();
        let now = Wall::from_millis(u64::try_from(millis)?);
        let version = self.version.unwrap_or(now.as_millis());
        let mut draft = IdentityDraft::new(&self.username, noise.public(), dr.public(), version, now);
        draft.flags.discoverable = self.discoverable.then_some(true);
        let identity = draft.sign(&signing).map_err(|_| BadInput("the user name or the version is not allowed"))?;
        Ok(Keys { identity, noise, signing, dr })
    }
}

impl Keys {
    pub(super) fn into_account(self) -> AccountKeys {
        AccountKeys { identity: self.identity, signing: self.signing, dr: self.dr }
    }
}

/// The identity key's seed is the seed; noise and dr key are SHA-256 of a label and the seed.
fn from_seed(seed: Bytes) -> [Bytes; 3] {
    let derive = |label: &[u8]| {
        let mut hash = Sha256::new();
        hash.update(label);
        hash.update(*seed);
        Zeroizing::new(hash.finalize().into())
    };
    [seed.clone(), derive(b"waypost speak sremp noise"), derive(b"waypost speak sremp dr")]
}

fn from_file(path: &Path) -> anyhow::Result<[Bytes; 3]> {
    let text = Zeroizing::new(std::fs::read_to_string(path)?);
    if !text.trim_start().starts_with('{') {
        return Ok(from_seed(secret(text.trim())?));
    }
    let Ok(file) = serde_json::from_str::<File>(&text) else {
        // The parser's own words could repeat a secret.
        return Err(BadInput("not an object of `identity`, `noise` and `dr`").into());
    };
    let [identity, noise, dr] = [file.identity, file.noise, file.dr].map(Zeroizing::new);
    Ok([secret(&identity)?, secret(&noise)?, secret(&dr)?])
}

fn secret(text: &str) -> anyhow::Result<Bytes> {
    Ok(Zeroizing::new(bytes(text).ok_or(BadInput("a secret key is 64 hex digits"))?))
}

/// For clap.
pub(super) fn public_key(text: &str) -> Result<PublicKey, String> {
    bytes(text).map(PublicKey).ok_or_else(|| "a key is 64 hex digits".to_owned())
}

fn bytes(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    hex::decode_to_slice(text, &mut bytes).ok()?;
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_a_seed_and_a_file_of_its_keys_are_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let (seed, keys) = (folder.path().join("seed"), folder.path().join("keys"));
        std::fs::write(&seed, format!("{}\n", "ab".repeat(32))).unwrap();
        let [identity, noise, dr] = from_file(&seed).unwrap().map(|key| hex::encode(*key));
        assert_eq!(identity, "ab".repeat(32));
        let object = serde_json::json!({ "identity": identity, "noise": noise, "dr": dr });
        std::fs::write(&keys, object.to_string()).unwrap();
        assert_eq!(from_file(&keys).unwrap(), from_file(&seed).unwrap());
        std::fs::write(&keys, r#"{"identity":"00"}"#).unwrap();
        assert!(from_file(&keys).is_err());
    }
}
