//! Bytes sealed by a passphrase: the container of keyrings and of backups.
//!
//! ```text
//! "WPSEALED" | format u8 | memory KiB u32 | passes u32 | lanes u32 | salt 16 | nonce 24
//!            | purpose length u8 | purpose | ciphertext and tag | SHA-256 of all before
//! ```
//! Numbers are big-endian. Everything before the ciphertext is authenticated with it. The checksum
//! needs no secret: it tells a damaged file from a wrong passphrase, and protects from nothing else.

use crate::{Error, KdfCost, Passphrase, encoding::Reader};
use chacha20poly1305::{AeadInOut, KeyInit, Tag, XChaCha20Poly1305, XNonce};
use rand_core::CryptoRng;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

const MAGIC: &[u8; 8] = b"WPSEALED";
const FORMAT: u8 = 1;
const TAG_LEN: usize = 16;
const CHECKSUM_LEN: usize = 32;
const MAX_PURPOSE: usize = 32;

/// Seals `plain` for `purpose` (1..=32 bytes, like `keyring` or `backup`; readable without passphrase).
///
/// # Errors
/// [`Error::Limit`] for a purpose out of bounds, [`Error::Memory`] if the key cannot be derived here.
pub fn seal(
    plain: &[u8],
    passphrase: &Passphrase,
    cost: KdfCost,
    rng: &mut impl CryptoRng,
    purpose: &str,
) -> Result<Vec<u8>, Error> {
    let purpose_len = match u8::try_from(purpose.len()) {
        Ok(len) if (1..=MAX_PURPOSE).contains(&purpose.len()) => len,
        _ => return Err(Error::Limit("a purpose has 1 to 32 bytes")),
    };
    let mut salt = [0; 16];
    rng.fill_bytes(&mut salt);
    let mut nonce = [0; 24];
    rng.fill_bytes(&mut nonce);

    let mut sealed = Vec::with_capacity(128 + plain.len());
    sealed.extend_from_slice(MAGIC);
    sealed.push(FORMAT);
    for number in [cost.memory_kib(), cost.passes(), cost.lanes()] {
        sealed.extend_from_slice(&number.to_be_bytes());
    }
    sealed.extend_from_slice(&salt);
    sealed.extend_from_slice(&nonce);
    sealed.push(purpose_len);
    sealed.extend_from_slice(purpose.as_bytes());

    let header = sealed.clone();
    // The plaintext passes through memory that is wiped, never through `sealed`, which may move as it grows.
    let mut body = Zeroizing::new(plain.to_vec());
    let tag = cipher(passphrase, cost, &salt)?
        .encrypt_inout_detached(&XNonce::from(nonce), &header, body.as_mut_slice().into())
        .map_err(|_| Error::Limit("too much to seal"))?;
    sealed.extend_from_slice(&body);
    sealed.extend_from_slice(&tag);
    let checksum = Sha256::digest(&sealed);
    sealed.extend_from_slice(&checksum);
    Ok(sealed)
}

/// Opens what [`seal`] made for the same purpose.
///
/// # Errors
/// [`Error::NotSealed`], [`Error::Newer`], [`Error::OtherPurpose`], [`Error::Damaged`], [`Error::Limit`] for a
/// key derivation dearer than the bounds of [`KdfCost::new`], and when all that is in order but the
/// passphrase is not, [`Error::WrongPassphrase`].
pub fn open(sealed: &[u8], passphrase: &Passphrase, purpose: &str) -> Result<Zeroizing<Vec<u8>>, Error> {
    let parts = Parts::parse(sealed)?;
    if parts.purpose != purpose {
        return Err(Error::OtherPurpose { found: parts.purpose.to_owned(), wanted: purpose.to_owned() });
    }
    if Sha256::digest(parts.summed).as_slice() != parts.checksum {
        return Err(Error::Damaged("its checksum does not fit"));
    }
    let mut body = Zeroizing::new(parts.ciphertext.to_vec());
    cipher(passphrase, parts.cost, &parts.salt)?
        .decrypt_inout_detached(&XNonce::from(parts.nonce), parts.header, body.as_mut_slice().into(), &parts.tag)
        .map_err(|_| Error::WrongPassphrase)?;
    Ok(body)
}

/// What a container was sealed for, without opening it; `None` if it is none of ours or damaged.
pub fn purpose(sealed: &[u8]) -> Option<&str> {
    Parts::parse(sealed).ok().map(|parts| parts.purpose)
}

struct Parts<'a> {
    header: &'a [u8],
    cost: KdfCost,
    salt: [u8; 16],
    nonce: [u8; 24],
    purpose: &'a str,
    ciphertext: &'a [u8],
    tag: Tag,
    summed: &'a [u8],
    checksum: &'a [u8],
}

impl<'a> Parts<'a> {
    fn parse(sealed: &'a [u8]) -> Result<Self, Error> {
        let cut = || Error::Damaged("it is cut short");
        let mut reader = Reader::new(sealed);
        if reader.array::<8>().as_ref() != Some(MAGIC) {
            return Err(Error::NotSealed);
        }
        let format = reader.u8().ok_or_else(cut)?;
        Error::check_format(format, FORMAT)?;
        let mut number = || reader.u32().ok_or_else(cut);
        let (memory, passes, lanes) = (number()?, number()?, number()?);
        let salt = reader.array().ok_or_else(cut)?;
        let nonce = reader.array().ok_or_else(cut)?;
        let purpose_len = usize::from(reader.u8().ok_or_else(cut)?);
        let purpose = reader.bytes(purpose_len).ok_or_else(cut)?;
        let purpose = std::str::from_utf8(purpose).map_err(|_| Error::Damaged("its purpose is no text"))?;
        let body = reader.rest();

        let (summed, checksum) = sealed.split_last_chunk::<CHECKSUM_LEN>().ok_or_else(cut)?;
        let ciphertext_len = body.len().checked_sub(TAG_LEN + CHECKSUM_LEN).ok_or_else(cut)?;
        let (ciphertext, rest) = body.split_at_checked(ciphertext_len).ok_or_else(cut)?;
        let tag = rest.first_chunk::<TAG_LEN>().ok_or_else(cut)?;
        let header = sealed.get(..sealed.len() - body.len()).ok_or_else(cut)?;
        let cost = KdfCost::new(memory, passes, lanes)?;
        Ok(Self { header, cost, salt, nonce, purpose, ciphertext, tag: Tag::from(*tag), summed, checksum })
    }
}

fn cipher(passphrase: &Passphrase, cost: KdfCost, salt: &[u8; 16]) -> Result<XChaCha20Poly1305, Error> {
    let key = cost.derive(passphrase, salt)?;
    Ok(XChaCha20Poly1305::new((&*key).into()))
}
