//! The first seven bytes of each side. SREMP 10.2, profile SR-10.2a to SR-10.2c.

use crate::{Error, ErrorCode};

/// Bytes of the header.
pub const HEADER_LEN: usize = 7;
/// What it starts with.
const NAME: [u8; 5] = *b"SREMP";
/// The only major version there is.
const MAJOR: u8 = 1;

/// The header of this side.
pub const OWN_HEADER: VersionHeader = VersionHeader { major: MAJOR, minor: 0 };

/// VERSION_HEADER. SREMP 10.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VersionHeader {
    /// Two different ones do not understand each other.
    pub major: u8,
    /// The lower of both holds.
    pub minor: u8,
}

impl VersionHeader {
    /// The bytes.
    pub const fn to_bytes(self) -> [u8; HEADER_LEN] {
        let [s, r, e, m, p] = NAME;
        [s, r, e, m, p, self.major, self.minor]
    }

    /// Whether the first bytes, up to seven of them, could become a header.
    pub fn is_begun_by(bytes: &[u8]) -> bool {
        bytes.iter().zip(NAME).all(|(&byte, expected)| byte == expected)
    }

    /// Reads a header of whatever version.
    ///
    /// # Errors
    /// Malformed: the other side speaks something else.
    pub fn decode(bytes: &[u8; HEADER_LEN]) -> Result<Self, Error> {
        let [name @ .., major, minor] = *bytes;
        if name == NAME { Ok(Self { major, minor }) } else { Err(Error::Malformed("not an SREMP header")) }
    }

    /// The minor version both sides hold to.
    ///
    /// # Errors
    /// VERSION: another major version.
    pub fn agree(self, theirs: Self) -> Result<u8, Error> {
        if theirs.major != MAJOR {
            return Err(Error::Misbehaved(ErrorCode::Version));
        }
        Ok(self.minor.min(theirs.minor))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// SR-10.2a, SR-10.2b
    #[test]
    fn reads_its_own_bytes_and_takes_the_lower_minor() {
        let theirs = VersionHeader { major: 1, minor: 7 };
        assert_eq!(OWN_HEADER.to_bytes(), *b"SREMP\x01\x00");
        assert_eq!(VersionHeader::decode(&theirs.to_bytes()), Ok(theirs));
        assert_eq!(OWN_HEADER.agree(theirs), Ok(0));
        assert_eq!(theirs.agree(theirs), Ok(7));
    }

    /// SR-10.2b
    #[test]
    fn refuses_other_majors_and_other_names() {
        for major in [0, 2, 255] {
            let theirs = VersionHeader { major, minor: 1 };
            assert_eq!(OWN_HEADER.agree(theirs), Err(Error::Misbehaved(ErrorCode::Version)));
        }
        assert!(VersionHeader::decode(b"sremp\x01\x00").is_err());
        assert!(VersionHeader::is_begun_by(b"SRE"));
        assert!(!VersionHeader::is_begun_by(b"SRX"));
    }
}
