//! The pre-shared key, and the line of text it is kept in. Profile FL-7.2, PSK file.

use crate::Fault;
use data_encoding::BASE32_NOPAD;
use rand_core::CryptoRng;
use sha2::{Digest, Sha256};
use std::fmt;
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

const PREFIX: &str = "FRAMELINK-PSK-1-";
const KEY_LEN: usize = 32;
const CHECK_LEN: usize = 8;

/// A secret two peers know beforehand.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct Psk([u8; KEY_LEN]);

impl Psk {
    /// A new random one.
    pub fn generate(rng: &mut impl CryptoRng) -> Self {
        let mut psk = Self([0; KEY_LEN]);
        rng.fill_bytes(&mut psk.0);
        psk
    }

    /// Takes 32 bytes.
    ///
    /// # Errors
    /// [`Fault::PskWeak`] if they are all the same.
    pub fn from_bytes(bytes: [u8; KEY_LEN]) -> Result<Self, Fault> {
        let psk = Self(bytes);
        let [first, ..] = psk.0;
        if bool::from(psk.0.ct_eq(&[first; KEY_LEN])) { Err(Fault::PskWeak) } else { Ok(psk) }
    }

    /// Reads a line; blanks, tabs and line ends around it do not matter.
    ///
    /// # Errors
    /// [`Fault::PskFormat`], [`Fault::PskCheck`] or [`Fault::PskWeak`].
    pub fn from_line(text: &str) -> Result<Self, Fault> {
        let line = text.trim_matches([' ', '\t', '\r', '\n']);
        let digits = line.strip_prefix(PREFIX).ok_or(Fault::PskFormat)?;
        let bytes = Zeroizing::new(BASE32_NOPAD.decode(digits.as_bytes()).map_err(|_| Fault::PskFormat)?);
        let (key, check) = bytes.split_first_chunk::<KEY_LEN>().ok_or(Fault::PskFormat)?;
        let check: [u8; CHECK_LEN] = check.try_into().map_err(|_| Fault::PskFormat)?;
        if !bool::from(checksum(key).ct_eq(&check)) {
            return Err(Fault::PskCheck);
        }
        Self::from_bytes(*key)
    }

    /// The line that keeps it, 80 characters without an end of line.
    pub fn to_line(&self) -> Zeroizing<String> {
        let mut bytes = Zeroizing::new([0; KEY_LEN + CHECK_LEN]);
        for (place, byte) in bytes.iter_mut().zip(self.0.iter().chain(&checksum(&self.0))) {
            *place = *byte;
        }
        Zeroizing::new(format!("{PREFIX}{}", *Zeroizing::new(BASE32_NOPAD.encode(bytes.as_slice()))))
    }

    /// The bytes.
    pub const fn as_bytes(&self) -> &[u8; KEY_LEN] {
        &self.0
    }
}

impl PartialEq for Psk {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for Psk {}

impl fmt::Debug for Psk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Psk(..)")
    }
}

fn checksum(key: &[u8; KEY_LEN]) -> [u8; CHECK_LEN] {
    let hash = Sha256::new().chain_update(b"framelink/1 psk file\0").chain_update(key).finalize();
    let mut check = [0; CHECK_LEN];
    for (place, byte) in check.iter_mut().zip(hash) {
        *place = byte;
    }
    check
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rand::{SeedableRng, rngs::StdRng};

    #[test]
    fn shows_nothing_of_itself() {
        let psk = Psk::generate(&mut StdRng::seed_from_u64(1));
        assert_eq!(format!("{psk:?}"), "Psk(..)");
    }

    #[test]
    fn knows_every_typing_error_of_one_character() {
        let line = Psk::generate(&mut StdRng::seed_from_u64(1)).to_line();
        for at in PREFIX.len()..line.len() {
            for letter in "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".chars() {
                let wrong = format!("{}{letter}{}", &line[..at], &line[at + 1..]);
                let expected = if wrong == *line { Ok(()) } else { Err(Fault::PskCheck) };
                assert_eq!(Psk::from_line(&wrong).map(drop), expected, "{at} {letter}");
            }
        }
    }

    proptest! {
        #[test]
        fn reads_back_what_it_writes(bytes: [u8; 32], before in "[ \t\r\n]{0,3}", behind in "[ \t\r\n]{0,3}") {
            let psk = Psk::from_bytes(bytes).unwrap();
            let line = psk.to_line();
            prop_assert_eq!(line.len(), 80);
            prop_assert_eq!(Psk::from_line(&format!("{before}{}{behind}", *line)), Ok(psk));
        }
    }
}
