//! How two people make sure of each other's key. Profile SR-3.2c, SR-3.1.6.

use crate::{
    Error,
    crypto::label,
    link::{Link, key_text},
};
use sha2::{Digest, Sha512};
use std::{fmt, str::FromStr};
use waypost_core::ContactId;

/// Slows down the search for a key with a similar number.
const ROUNDS: usize = 5200;
/// Groups of five digits from each key.
const GROUPS: usize = 6;

/// Sixty digits, the same at both sides; people read them to each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerificationNumber(String);

impl VerificationNumber {
    /// The number of two keys, in whatever order.
    pub fn new(a: &ContactId, b: &ContactId) -> Self {
        let mut halves = [half(a), half(b)];
        halves.sort_unstable();
        Self(halves.concat())
    }

    /// All digits without a break.
    pub fn digits(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for VerificationNumber {
    /// Twelve groups of five.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for group in self.0.as_bytes().chunks(5) {
            f.write_str(separator)?;
            f.write_str(std::str::from_utf8(group).unwrap_or_default())?;
            separator = " ";
        }
        Ok(())
    }
}

fn half(key: &ContactId) -> String {
    let mut hash = [label!("verify"), key.as_bytes()].concat();
    for _ in 0..ROUNDS {
        hash = Sha512::new().chain_update(&hash).chain_update(key.as_bytes()).finalize().to_vec();
    }
    let number = |five: &[u8]| five.iter().fold(0u64, |number, &byte| number << 8 | u64::from(byte)) % 100_000;
    hash.chunks(5).take(GROUPS).map(|five| format!("{:05}", number(five))).collect()
}

/// What one screen shows and the other scans: `sremp-verify:1?k=OWN&p=PEER`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VerificationCode {
    /// The key of who shows it.
    pub own: ContactId,
    /// The key they have of the other.
    pub peer: ContactId,
}

impl VerificationCode {
    /// Whether a scanned code proves the contact's key. If not, the user must be alarmed.
    pub fn proves(&self, contact: &ContactId, own: &ContactId) -> bool {
        self.own == *contact && self.peer == *own
    }
}

impl fmt::Display for VerificationCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sremp-verify:1?k={}&p={}", key_text(self.own.as_bytes()), key_text(self.peer.as_bytes()))
    }
}

impl FromStr for VerificationCode {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let link = Link::parse(text, "sremp-verify:1?")?;
        let key = |name| link.key(name).map(ContactId::from_bytes);
        Ok(Self { own: key("k")?, peer: key("p")? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys() -> (ContactId, ContactId) {
        (ContactId::from_bytes([1; 32]), ContactId::from_bytes([2; 32]))
    }

    /// SR-3.1.6, SR-3.2c
    #[test]
    fn shows_the_same_twelve_groups_to_both() {
        let (a, b) = keys();
        let number = VerificationNumber::new(&a, &b);
        assert_eq!(number, VerificationNumber::new(&b, &a));
        let shown = number.to_string();
        assert_eq!(shown.split(' ').map(str::len).collect::<Vec<_>>(), [5; 12]);
        assert_eq!(shown.replace(' ', ""), number.digits());
    }

    /// SR-3.2c
    #[test]
    fn proves_only_the_two_keys_it_shows() {
        let (alice, bob) = keys();
        let shown: VerificationCode = VerificationCode { own: alice, peer: bob }.to_string().parse().unwrap();
        assert!(shown.proves(&alice, &bob));
        assert!(!shown.proves(&bob, &alice));
        assert!(!shown.proves(&alice, &alice));
    }
}
