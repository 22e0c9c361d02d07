//! What a person types to open a keyring.

use crate::Error;
use std::fmt;
use unicode_normalization::UnicodeNormalization;
use zeroize::Zeroizing;

/// A passphrase in Unicode form NFC, so that every keyboard types the same one.
pub struct Passphrase(Zeroizing<String>);

impl Passphrase {
    /// Takes the text as it is, but for its Unicode form.
    ///
    /// # Errors
    /// [`Error::EmptyPassphrase`] for no text at all; [`Error::Limit`] above 1,024 bytes.
    pub fn new(text: &str) -> Result<Self, Error> {
        if text.is_empty() {
            return Err(Error::EmptyPassphrase);
        }
        if text.len() > Self::MAX_LEN {
            return Err(Error::Limit("a passphrase has at most 1,024 bytes"));
        }
        // NFC grows a text threefold at most; room for that, so that no copy is left behind by growing.
        let mut normal = Zeroizing::new(String::with_capacity(3 * text.len()));
        normal.extend(text.nfc());
        Ok(Self(normal))
    }

    /// No passphrase: whoever can read the file has the secrets. For a disk that is itself encrypted, or
    /// for tests; never a default.
    pub fn empty() -> Self {
        Self(Zeroizing::new(String::new()))
    }

    /// Whether it protects nothing.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    const MAX_LEN: usize = 1024;

    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl fmt::Debug for Passphrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Passphrase(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_the_same_however_an_accent_is_typed() {
        let composed = Passphrase::new("caf\u{e9}").unwrap();
        let decomposed = Passphrase::new("cafe\u{301}").unwrap();
        assert_eq!(composed.as_bytes(), decomposed.as_bytes());
        assert_ne!(composed.as_bytes(), Passphrase::new("cafe").unwrap().as_bytes());
    }

    #[test]
    fn is_empty_only_on_purpose_and_never_shown() {
        assert!(matches!(Passphrase::new(""), Err(Error::EmptyPassphrase)));
        assert!(Passphrase::empty().is_empty());
        assert_eq!(format!("{:?}", Passphrase::new("hunter2").unwrap()), "Passphrase(..)");
        assert!(matches!(Passphrase::new(&"a".repeat(1025)), Err(Error::Limit(_))));
    }
}
