//! HKDF (RFC 5869) over SHA-256.

use hkdf::HkdfExtract;
use sha2::Sha256;
use zeroize::Zeroizing;

/// `N` bytes from the parts of a secret, joined.
pub(crate) fn hkdf<const N: usize>(salt: &[u8], secret: &[&[u8]], info: &str) -> Zeroizing<[u8; N]> {
    let mut extract = HkdfExtract::<Sha256>::new(Some(salt));
    for part in secret {
        extract.input_ikm(part);
    }
    let mut out = Zeroizing::new([0; N]);
    #[expect(clippy::expect_used, reason = "fails only above 255 * 32 bytes; the longest use is 256")]
    extract.finalize().1.expand(info.as_bytes(), out.as_mut_slice()).expect("at most 8160 bytes are asked for");
    out
}
