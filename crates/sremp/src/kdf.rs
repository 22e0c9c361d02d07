//! Key derivation: HKDF and HMAC over SHA-256.

use hkdf::HkdfExtract;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

/// HKDF (RFC 5869) over SHA-256; `ikm` is the parts joined.
pub(crate) fn hkdf<const N: usize>(salt: &[u8], ikm: &[&[u8]], info: &[u8]) -> Zeroizing<[u8; N]> {
    let mut extract = HkdfExtract::<Sha256>::new(Some(salt));
    for part in ikm {
        extract.input_ikm(part);
    }
    let mut out = Zeroizing::new([0; N]);
    #[expect(clippy::expect_used, reason = "fails only above 255 * 32 bytes; the longest use is 96")]
    extract.finalize().1.expand(info, out.as_mut_slice()).expect("at most 8160 bytes are asked for");
    out
}

/// HMAC-SHA-256 of one byte, twice under one key: how a chain key gives two keys.
pub(crate) fn hmac_pair(key: &[u8; 32], first: u8, second: u8) -> [Zeroizing<[u8; 32]>; 2] {
    #[expect(clippy::expect_used, reason = "HMAC takes keys of any length")]
    let keyed = Hmac::<Sha256>::new_from_slice(key).expect("any length");
    [first, second].map(|byte| {
        let mut mac = keyed.clone();
        mac.update(&[byte]);
        Zeroizing::new(mac.finalize().into_bytes().into())
    })
}

/// SHA-256 of the parts joined.
pub(crate) fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part);
    }
    hash.finalize().into()
}
