//! What went wrong: the kinds of the profile, and who is to blame for them.

use std::fmt;
use waypost_core::{ErrorKind, HasKind};

macro_rules! faults {
    ($($(#[$doc:meta])* $variant:ident = $name:literal;)*) => {
        /// A kind of failure. Profile, Limits and errors; [`Fault::name`] is the profile's word for it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Fault {
            $($(#[$doc])* $variant,)*
            /// BOTTOM refused the link, for this reason.
            Rejected(u8),
        }

        impl Fault {
            /// The profile's word for it, like `hs-auth`.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                    Self::Rejected(_) => "rejected",
                }
            }
        }
    };
}

faults! {
    /// LENGTH, CODE and SEQ of a header do not give its CHECKSUM.
    Checksum = "checksum";
    /// A frame is not the next one.
    Sequence = "sequence";
    /// A frame is larger than allowed.
    Length = "length";
    /// A frame's tag does not hold.
    Hmac = "hmac";
    /// A key is used for longer than it may be.
    RekeyOverdue = "rekey-overdue";
    /// More application bytes came than were granted, or more were granted than can be.
    Credit = "credit";
    /// Too many empty frames in a row.
    EmptyFlood = "empty-flood";
    /// HELLO does not say what it must, or comes twice.
    Hello = "hello";
    /// A control frame's payload has a size it cannot have.
    Payload = "payload";
    /// A control code nobody knows.
    UnknownControl = "unknown-control";
    /// CLOSE confirms frames that were never sent.
    CloseAhead = "close-ahead";
    /// More PINGs than answers that could leave.
    PingFlood = "ping-flood";
    /// The first frame does not hold: another key, or tampering.
    HsAuth = "hs-auth";
    /// The stream ended before the link was established.
    HsClosed = "hs-closed";
    /// The link was not established in time.
    HsTimeout = "hs-timeout";
    /// What answers speaks no framelink.
    NotFramelink = "not-framelink";
    /// Another version.
    BadVersion = "bad-version";
    /// A mode that is not known, not allowed, or not the one asked for.
    BadMode = "bad-mode";
    /// The two sides are set differently.
    BadOptions = "bad-options";
    /// None of the keys fits.
    BadKey = "bad-key";
    /// A share of the key exchange is no good.
    BadShare = "bad-share";
    /// Both sides are TOP.
    RoleClash = "role-clash";
    /// No room for another link.
    Busy = "busy";
    /// Nothing came for too long.
    Timeout = "timeout";
    /// A message that may not be cut is too large for the other side.
    TooLarge = "too-large";
    /// What waits to be sent fills its queue.
    QueueFull = "queue-full";
    /// Sending is over: closed or dead.
    Closed = "closed";
    /// Text that is no key line.
    PskFormat = "psk-format";
    /// A key line with a typing error.
    PskCheck = "psk-check";
    /// A key of 32 equal bytes.
    PskWeak = "psk-weak";
    /// A secret file that others can read.
    Perms = "perms";
    /// A block file that is not 256 bytes long.
    BlockSize = "block-size";
    /// A block whose halves have one key.
    BlockWeak = "block-weak";
    /// A block that was used before in this role.
    BlockUsed = "block-used";
    /// Settings that do not go together.
    BadConfig = "bad-config";
    /// A raw block's key has sealed all it may.
    Exhausted = "exhausted";
}

impl Fault {
    /// The fault of a REJECT's reason, as the side that sends it names it. Profile, Preamble.
    pub const fn from_reason(reason: u8) -> Option<Self> {
        Some(match reason {
            1 => Self::BadVersion,
            2 => Self::BadMode,
            3 => Self::BadOptions,
            4 => Self::BadKey,
            5 => Self::BadShare,
            6 => Self::Busy,
            _ => return None,
        })
    }

    /// The reason a REJECT gives for it; none is sent for the others.
    pub(crate) const fn reason(self) -> Option<u8> {
        Some(match self {
            Self::BadVersion => 1,
            Self::BadMode => 2,
            Self::BadOptions => 3,
            Self::BadKey => 4,
            Self::BadShare => 5,
            Self::Busy => 6,
            _ => return None,
        })
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Rejected(reason) => match Self::from_reason(reason) {
                Some(fault) => write!(f, "rejected: {}", fault.name()),
                None => write!(f, "rejected: reason {reason}"),
            },
            fault => f.write_str(fault.name()),
        }
    }
}

/// A failure of this crate, by blame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The other side broke the protocol, or somebody between changed bytes.
    #[error("the other side broke the protocol, or bytes were changed on the way: {0}")]
    Misbehaved(Fault),
    /// The link cannot be established with this key and these settings.
    #[error("no link: {0}")]
    Refused(Fault),
    /// Too large or too much.
    #[error("over a limit: {0}")]
    Limit(Fault),
    /// What the caller gave cannot be right.
    #[error("bad input: {0}")]
    BadInput(Fault),
    /// Nobody can be reached by this link any more.
    #[error("the link is over: {0}")]
    Over(Fault),
}

impl Error {
    /// What happened, whoever is to blame.
    pub const fn fault(self) -> Fault {
        match self {
            Self::Misbehaved(fault)
            | Self::Refused(fault)
            | Self::Limit(fault)
            | Self::BadInput(fault)
            | Self::Over(fault) => fault,
        }
    }
}

impl From<Fault> for Error {
    /// Puts the blame where it belongs.
    fn from(fault: Fault) -> Self {
        use Fault as F;
        match fault {
            F::TooLarge | F::QueueFull | F::Exhausted | F::Busy => Self::Limit(fault),
            F::Closed | F::Timeout | F::HsClosed | F::HsTimeout => Self::Over(fault),
            F::PskFormat
            | F::PskCheck
            | F::PskWeak
            | F::Perms
            | F::BlockSize
            | F::BlockWeak
            | F::BlockUsed
            | F::BadConfig => Self::BadInput(fault),
            F::NotFramelink
            | F::BadVersion
            | F::BadMode
            | F::BadOptions
            | F::BadKey
            | F::BadShare
            | F::RoleClash
            | F::Rejected(_) => Self::Refused(fault),
            _ => Self::Misbehaved(fault),
        }
    }
}

impl HasKind for Error {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Misbehaved(_) => ErrorKind::PeerFault,
            Self::Refused(Fault::BadKey) => ErrorKind::Security,
            Self::Refused(_) => ErrorKind::Refused,
            Self::Limit(_) => ErrorKind::Limit,
            Self::BadInput(_) => ErrorKind::BadInput,
            Self::Over(_) => ErrorKind::Unreachable,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_and_faults_name_each_other() {
        for reason in 0..=255 {
            match Fault::from_reason(reason) {
                Some(fault) => assert_eq!(fault.reason(), Some(reason)),
                None => assert!(!(1..=6).contains(&reason)),
            }
        }
        // What would tell somebody about the link itself has no reason.
        for fault in [Fault::NotFramelink, Fault::HsAuth, Fault::HsTimeout, Fault::Checksum, Fault::Rejected(1)] {
            assert_eq!(fault.reason(), None);
        }
        assert_eq!(Fault::Rejected(4).to_string(), "rejected: bad-key");
        assert_eq!(Fault::Rejected(77).to_string(), "rejected: reason 77");
    }

    #[test]
    fn blame_decides_the_kind() {
        let kind = |fault: Fault| Error::from(fault).kind();
        assert_eq!(kind(Fault::BadKey), ErrorKind::Security);
        assert_eq!(kind(Fault::Hmac), ErrorKind::PeerFault);
        assert_eq!(kind(Fault::PskCheck), ErrorKind::BadInput);
        assert_eq!(kind(Fault::QueueFull), ErrorKind::Limit);
        assert_eq!(kind(Fault::Closed), ErrorKind::Unreachable);
        assert_eq!(kind(Fault::Rejected(6)), ErrorKind::Refused);
        assert_eq!(Error::from(Fault::BadMode).fault(), Fault::BadMode);
    }
}
