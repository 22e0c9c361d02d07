//! The secret that lets a program use HTTP.

use crate::Error;
use rand::Rng;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use subtle::ConstantTimeEq;
use waypost_node::Home;
use zeroize::Zeroizing;

/// 32 random bytes in hex, kept in a file that only its owner can read.
pub(crate) struct Token(Zeroizing<String>);

impl Token {
    /// The folder's token; made if there is none that is private and whole.
    pub(crate) fn load_or_make(home: &Home) -> Result<Self, Error> {
        let path = home.token();
        let private = fs::metadata(&path).is_ok_and(|metadata| metadata.permissions().mode() & 0o077 == 0);
        if private && let Ok(text) = fs::read_to_string(&path).map(Zeroizing::new) {
            let token = text.trim_ascii();
            if token.len() == 64 && token.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                return Ok(Self(Zeroizing::new(token.to_owned())));
            }
        }
        let mut bytes = Zeroizing::new([0; 32]);
        rand::rng().fill_bytes(bytes.as_mut());
        let text = Zeroizing::new(hex::encode(bytes.as_ref()));
        Home::write_private(&path, text.as_bytes())?;
        Ok(Self(text))
    }

    /// Whether the value of an `Authorization` header carries it; takes the same time for every wrong one of its length.
    pub(crate) fn admits(&self, authorization: &[u8]) -> bool {
        let Some((scheme, given)) = authorization.split_at_checked("Bearer ".len()) else { return false };
        scheme.eq_ignore_ascii_case(b"Bearer ") && bool::from(given.ct_eq(self.0.as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn admits_only_itself_and_stays_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::new(folder.path());
        let token = Token::load_or_make(&home).unwrap();
        let text = fs::read_to_string(home.token()).unwrap();
        assert!(token.admits(format!("Bearer {text}").as_bytes()));
        assert!(token.admits(format!("bearer {text}").as_bytes()));
        for wrong in
            ["", "Bearer ", "Basic x", &text, &format!("Bearer {text}0"), &format!("Bearer {}", "0".repeat(64))]
        {
            assert!(!token.admits(wrong.as_bytes()), "{wrong}");
        }
        assert!(Token::load_or_make(&home).unwrap().admits(format!("Bearer {text}").as_bytes()));
    }

    #[test]
    fn is_made_anew_when_others_could_read_it_or_it_is_cut_short() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::new(folder.path());
        let read = || fs::read_to_string(home.token()).unwrap();
        Token::load_or_make(&home).unwrap();
        let first = read();
        fs::set_permissions(home.token(), fs::Permissions::from_mode(0o644)).unwrap();
        Token::load_or_make(&home).unwrap();
        assert_ne!(read(), first);
        assert_eq!(fs::metadata(home.token()).unwrap().permissions().mode() & 0o777, 0o600);
        Home::write_private(&home.token(), b"abcd").unwrap();
        Token::load_or_make(&home).unwrap();
        assert_eq!(read().len(), 64);
    }
}
