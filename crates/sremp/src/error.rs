//! What went wrong, by who is to blame, and the profile's error codes.

use std::fmt;
use waypost_core::{ErrorKind, HasKind, RecordFault};

/// A failure of this crate.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Bytes of the other side that are not what they claim to be.
    #[error("malformed: {0}")]
    Malformed(&'static str),
    /// Something larger, deeper or more than the profile allows.
    #[error("over its limit: {0}")]
    Limit(&'static str),
    /// The other side broke the order of the protocol or its time.
    #[error("the other side broke the protocol: {0}")]
    Misbehaved(ErrorCode),
    /// What should prove an identity does not; a person should look.
    #[error("a proof of identity does not hold: {0}")]
    Proof(ErrorCode),
    /// A valid request that is not granted.
    #[error("refused: {0}")]
    Refused(ErrorCode),
    /// A sealed message that cannot be opened.
    #[error("cannot be opened: {0}")]
    Crypto(ErrorCode),
    /// Content too large for a session the other side has not answered yet: it waits for the answer.
    #[error("waits for the other side's first answer")]
    Unanswered,
    /// What the caller gave cannot be right.
    #[error("bad input: {0}")]
    BadInput(&'static str),
    /// The records below failed.
    #[error(transparent)]
    Records(#[from] RecordFault),
    /// A bug of ours.
    #[error("a bug: {0}")]
    Internal(&'static str),
}

impl Error {
    /// The code that tells the other side, and that vectors name.
    pub const fn code(&self) -> ErrorCode {
        match self {
            Self::Malformed(_) | Self::BadInput(_) => ErrorCode::Malformed,
            Self::Limit(_) => ErrorCode::Limit,
            Self::Unanswered => ErrorCode::TooLarge,
            Self::Misbehaved(code) | Self::Proof(code) | Self::Refused(code) | Self::Crypto(code) => *code,
            Self::Records(_) | Self::Internal(_) => ErrorCode::Internal,
        }
    }
}

impl From<ErrorCode> for Error {
    /// Puts the blame where the code belongs.
    fn from(code: ErrorCode) -> Self {
        use ErrorCode as C;
        match code {
            C::Malformed => Self::Malformed("message"),
            C::Limit => Self::Limit("message"),
            C::Internal => Self::Internal("unspecified"),
            C::Version | C::Timeout | C::Unsupported | C::Duplicate => Self::Misbehaved(code),
            C::IdSig | C::IdStale | C::IdFork | C::NoiseKeyMismatch | C::Auth | C::RegSig | C::RegSeq => {
                Self::Proof(code)
            }
            C::NoSession | C::Decrypt | C::SkipLimit | C::PrekeyUnknown | C::Replay => Self::Crypto(code),
            C::Rejected
            | C::Revoked
            | C::Forbidden
            | C::Quota
            | C::Rate
            | C::NoMailbox
            | C::TooLarge
            | C::Expired
            | C::PowRequired
            | C::Conflict
            | C::EndpointUnreachable
            | C::NotFound => Self::Refused(code),
        }
    }
}

impl HasKind for Error {
    fn kind(&self) -> ErrorKind {
        use ErrorCode as C;
        match self {
            Self::BadInput(_) => ErrorKind::BadInput,
            Self::Records(_) => ErrorKind::Environment,
            Self::Internal(_) => ErrorKind::Internal,
            Self::Limit(_) => ErrorKind::Limit,
            Self::Unanswered => ErrorKind::Unreachable,
            Self::Proof(_) => ErrorKind::Security,
            Self::Malformed(_) | Self::Crypto(_) => ErrorKind::PeerFault,
            Self::Misbehaved(C::Timeout) => ErrorKind::Unreachable,
            Self::Misbehaved(_) => ErrorKind::PeerFault,
            Self::Refused(C::Quota | C::Rate | C::TooLarge) => ErrorKind::Limit,
            Self::Refused(C::NotFound | C::NoMailbox) => ErrorKind::NotFound,
            Self::Refused(C::Conflict) => ErrorKind::Conflict,
            Self::Refused(C::EndpointUnreachable) => ErrorKind::Unreachable,
            Self::Refused(_) => ErrorKind::Refused,
        }
    }
}

macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident = $value:literal, $name:literal;)*) => {
        /// An error code of the wire. SREMP 10.4, profile SR-10.4.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u16)]
        pub enum ErrorCode {
            $($(#[$doc])* $variant = $value,)*
        }

        impl ErrorCode {
            /// All of them, rising.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// Its name in lower case, like `id_sig`.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }
        }
    };
}

codes! {
    /// The other side speaks another version.
    Version = 1, "version";
    /// Bytes that do not follow the profile.
    Malformed = 2, "malformed";
    /// More, larger or deeper than allowed.
    Limit = 3, "limit";
    /// Too slow.
    Timeout = 4, "timeout";
    /// A fault of the one who says so.
    Internal = 5, "internal";
    /// A message or suite that is not known.
    Unsupported = 6, "unsupported";
    /// The other of two connections of one pair stays.
    Duplicate = 7, "duplicate";
    /// An identity's signature does not hold.
    IdSig = 10, "id_sig";
    /// An identity older than the one known.
    IdStale = 11, "id_stale";
    /// Two identities of one version.
    IdFork = 12, "id_fork";
    /// The Noise key is not that of the identity.
    NoiseKeyMismatch = 13, "noise_key_mismatch";
    /// The user wants nothing of this contact.
    Rejected = 14, "rejected";
    /// Reserved.
    Revoked = 15, "revoked";
    /// A proof of identity fails, or it is another identity than asked for.
    Auth = 20, "auth";
    /// Not allowed here.
    Forbidden = 21, "forbidden";
    /// No room left.
    Quota = 22, "quota";
    /// Too often.
    Rate = 23, "rate";
    /// The recipient keeps no mailbox here.
    NoMailbox = 24, "no_mailbox";
    /// Larger than this relay or mailbox takes.
    TooLarge = 25, "too_large";
    /// Past its time.
    Expired = 26, "expired";
    /// Reserved.
    PowRequired = 27, "pow_required";
    /// The same id with other content.
    Conflict = 28, "conflict";
    /// A registration's signature does not hold.
    RegSig = 30, "reg_sig";
    /// A registration older than the last.
    RegSeq = 31, "reg_seq";
    /// Nobody answers at the registered endpoint.
    EndpointUnreachable = 32, "endpoint_unreachable";
    /// Not there.
    NotFound = 33, "not_found";
    /// No session fits the message.
    NoSession = 40, "no_session";
    /// The message does not decrypt.
    Decrypt = 41, "decrypt";
    /// Too many messages are missing before it.
    SkipLimit = 42, "skip_limit";
    /// It uses a prekey that is not known (any more).
    PrekeyUnknown = 43, "prekey_unknown";
    /// It was read before.
    Replay = 44, "replay";
}

impl ErrorCode {
    /// Its number on the wire.
    pub const fn value(self) -> u16 {
        self as u16
    }

    /// The code of a number, if it is known.
    pub fn from_value(value: u16) -> Option<Self> {
        Self::ALL.iter().copied().find(|code| code.value() == value)
    }

    /// The code of a lower-case name, if it is known.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|code| code.name() == name)
    }

    /// Whether only a new session lets the one who says so read us. Profile, Sessions.
    pub(crate) const fn wants_session(self) -> bool {
        matches!(self, Self::NoSession | Self::Decrypt | Self::SkipLimit | Self::PrekeyUnknown)
    }

    /// Whether a connection ends by it, where the profile says nothing else for the place it arises.
    pub const fn is_fatal(self) -> bool {
        self.value() < 20 && !matches!(self, Self::Unsupported) || matches!(self, Self::Auth)
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_a_code_by_its_number_and_its_name() {
        for &code in ErrorCode::ALL {
            assert_eq!(ErrorCode::from_value(code.value()), Some(code));
            assert_eq!(ErrorCode::from_name(code.name()), Some(code));
            assert_eq!(Error::from(code).code(), code);
        }
        assert_eq!(ErrorCode::from_value(8), None);
        assert_eq!(ErrorCode::from_name("decrypted"), None);
    }

    #[test]
    fn ends_a_connection_only_for_the_fatal_codes() {
        let fatal: Vec<u16> = ErrorCode::ALL.iter().filter(|code| code.is_fatal()).map(|code| code.value()).collect();
        assert_eq!(fatal, [1, 2, 3, 4, 5, 7, 10, 11, 12, 13, 14, 15, 20]);
    }
}
