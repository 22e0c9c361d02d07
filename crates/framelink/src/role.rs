//! The two ends of a link, and how a link comes to be.

use std::fmt;

/// One of the two parties, by the half of the block it sends with. Seed, profile FL-1.5, FL-1.6.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// Sends with the top half: the side that connects.
    Top,
    /// Sends with the bottom half: the side that accepts.
    Bottom,
}

impl Role {
    /// The other one.
    #[must_use]
    pub const fn peer(self) -> Self {
        match self {
            Self::Top => Self::Bottom,
            Self::Bottom => Self::Top,
        }
    }

    /// As HELLO names it: `T` or `B`.
    pub(crate) const fn letter(self) -> u8 {
        match self {
            Self::Top => b'T',
            Self::Bottom => b'B',
        }
    }

    /// `top` or `bottom`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Top => "top",
            Self::Bottom => "bottom",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// How the shared block is established. Profile FL-5.1 to FL-5.3.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Mode {
    /// A block from a file, used once: the seed's wire and nothing else.
    Raw,
    /// From a pre-shared key and two nonces. No forward secrecy.
    Psk,
    /// From a pre-shared key, X25519 and ML-KEM-768.
    Hybrid,
}

impl Mode {
    /// `raw`, `psk` or `hybrid`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::Psk => "psk",
            Self::Hybrid => "hybrid",
        }
    }

    /// Its number in a preamble and in HELLO; `raw` is never named on the wire.
    pub(crate) const fn byte(self) -> u8 {
        match self {
            Self::Raw => 1,
            Self::Psk => 2,
            Self::Hybrid => 3,
        }
    }

    /// The mode of an M1's preamble.
    pub(crate) const fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            2 => Some(Self::Psk),
            3 => Some(Self::Hybrid),
            _ => None,
        }
    }

    /// Whether frames carry HELLO and the other control codes.
    pub const fn is_keyed(self) -> bool {
        !matches!(self, Self::Raw)
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
