//! Own keys in files: PKCS#8, for their owner alone. PP-9.2a.

use super::Identity;
use crate::secret_file::{self, Perms};
use crate::{Error, KeyFault};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject;
use std::path::Path;
use waypost_codec::base64;
use waypost_proofpeer::Crypto;
use zeroize::Zeroizing;

/// Longest file: a key of RSA-4096 takes 3,272 characters.
const MAX_FILE: u64 = 16 * 1024;
/// Characters in a line of PEM (RFC 7468).
const LINE: usize = 64;

/// Which keys are made. PP-5.1a.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum KeyType {
    /// Ed25519
    #[default]
    Ed25519,
    /// RSA-2048
    Rsa,
}

/// A new key.
///
/// # Errors
/// [`Error::ProofPeer`].
pub fn generate_key(kind: KeyType) -> Result<Identity, Error> {
    Ok(match kind {
        KeyType::Ed25519 => Identity::generate_ed25519(&mut rand::rng())?,
        KeyType::Rsa => Identity::generate_rsa(&mut rand::rng(), Crypto::native())?,
    })
}

/// A key from PKCS#8 DER.
///
/// # Errors
/// [`Error::ProofPeer`].
pub fn from_pkcs8(der: &[u8]) -> Result<Identity, Error> {
    Ok(Identity::from_pkcs8(der, Crypto::native())?)
}

/// Reads a key, PKCS#8 as PEM or DER. A file that others can read is refused.
///
/// # Errors
/// [`Error::KeyFile`].
pub fn read_key(file: &Path) -> Result<Identity, Error> {
    let fault = |reason| Error::KeyFile { file: file.to_owned(), reason };
    let bytes = secret_file::read(file, Perms::OwnersOnly, MAX_FILE).map_err(fault)?;
    let broken = || fault(KeyFault::NoKey);
    if !bytes.starts_with(b"-----BEGIN") {
        return from_pkcs8(&bytes).map_err(|_| broken());
    }
    let key = PrivatePkcs8KeyDer::from_pem_slice(&bytes).map_err(|_| broken())?;
    let der = Zeroizing::new(key.secret_pkcs8_der().to_vec());
    from_pkcs8(&der).map_err(|_| broken())
}

/// Writes a new key file as PEM, for its owner alone. Never over another file.
///
/// # Errors
/// [`Error::KeyFile`].
pub fn write_key(file: &Path, identity: &Identity) -> Result<(), Error> {
    let text = Zeroizing::new(base64::encode(identity.to_pkcs8()));
    let mut pem = Zeroizing::new(Vec::with_capacity(text.len() * 2));
    pem.extend_from_slice(b"-----BEGIN PRIVATE KEY-----\n");
    for line in text.as_bytes().chunks(LINE) {
        pem.extend_from_slice(line);
        pem.push(b'\n');
    }
    pem.extend_from_slice(b"-----END PRIVATE KEY-----\n");
    secret_file::write(file, &[&pem])
}

/// Reads a key, or makes one if there is no such file.
///
/// # Errors
/// [`Error::KeyFile`].
pub fn read_or_create_key(file: &Path, kind: KeyType) -> Result<Identity, Error> {
    if file.exists() {
        return read_key(file);
    }
    let identity = generate_key(kind)?;
    write_key(file, &identity)?;
    Ok(identity)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn keeps_a_key_of_either_type_for_its_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        for (name, kind) in [("ed", KeyType::Ed25519), ("rsa", KeyType::Rsa)] {
            let file = folder.path().join(name);
            let made = read_or_create_key(&file, kind).unwrap();
            assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
            let read = read_or_create_key(&file, kind).unwrap();
            assert_eq!(read.public().fingerprint(), made.public().fingerprint());
            assert!(write_key(&file, &made).is_err(), "never over another");
            let der = folder.path().join(format!("{name}.der"));
            fs::write(&der, made.to_pkcs8()).unwrap();
            fs::set_permissions(&der, fs::Permissions::from_mode(0o600)).unwrap();
            assert_eq!(read_key(&der).unwrap().public().fingerprint(), made.public().fingerprint());
        }
    }

    #[test]
    fn refuses_a_file_that_others_can_read_and_one_without_key() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("key");
        read_or_create_key(&file, KeyType::Ed25519).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(read_key(&file).is_err());
        let other = folder.path().join("other");
        fs::write(&other, "-----BEGIN NOTHING-----").unwrap();
        fs::set_permissions(&other, fs::Permissions::from_mode(0o600)).unwrap();
        assert!(matches!(read_key(&other), Err(Error::KeyFile { reason: KeyFault::NoKey, .. })));
    }
}
