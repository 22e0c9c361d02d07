//! What a frame is: the registry of keyed links. Profile, Control codes; FL-6.1 to FL-6.10.

/// The last or only part of a message.
pub const DATA: u32 = 0;
/// A part of a message with more to follow.
pub const MORE: u32 = 1;
/// First frame of each direction: key confirmation and limits.
pub const HELLO: u32 = 0x8000_0001;
/// Last frame under a key.
pub const REKEY: u32 = 0x8000_0002;
/// Last frame of a direction.
pub const CLOSE: u32 = 0x8000_0003;
/// Asks for a PONG with the same payload.
pub const PING: u32 = 0x8000_0004;
/// Answers a PING.
pub const PONG: u32 = 0x8000_0005;
/// The sender is gone after it.
pub const ERROR: u32 = 0x8000_0006;
/// Hides lengths.
pub const PAD: u32 = 0x8000_0007;
/// Grants application bytes.
pub const CREDIT: u32 = 0x8000_0008;

/// Whether frames of this code belong to the application, in a keyed link.
pub const fn is_application(code: u32) -> bool {
    code < 0x8000_0000
}

/// Codes that an ERROR frame carries. Profile, Limits and errors.
pub mod error {
    /// A frame does not hold. One code for all such faults, so that nobody learns which.
    pub const VIOLATION: u32 = 1;
    /// A frame holds and says what it may not.
    pub const PROTOCOL: u32 = 2;
    /// Too slow, or gone.
    pub const TIMEOUT: u32 = 3;
    /// An application code that is not understood.
    pub const UNSUPPORTED_CODE: u32 = 4;
    /// The local side was reset.
    pub const LOCAL_ABORT: u32 = 5;
    /// The target cannot be reached.
    pub const UPSTREAM: u32 = 6;
    /// Limits were hit after the handshake.
    pub const OVERLOAD: u32 = 7;
    /// Shutting down.
    pub const GOING_AWAY: u32 = 8;

    /// Its name, if it has one.
    pub const fn name(code: u32) -> Option<&'static str> {
        Some(match code {
            VIOLATION => "VIOLATION",
            PROTOCOL => "PROTOCOL",
            TIMEOUT => "TIMEOUT",
            UNSUPPORTED_CODE => "UNSUPPORTED_CODE",
            LOCAL_ABORT => "LOCAL_ABORT",
            UPSTREAM => "UPSTREAM",
            OVERLOAD => "OVERLOAD",
            GOING_AWAY => "GOING_AWAY",
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_upper_half_is_control() {
        for code in [DATA, MORE, 2, 0x7fff_ffff] {
            assert!(is_application(code));
        }
        for code in [0x8000_0000, HELLO, REKEY, CLOSE, PING, PONG, ERROR, PAD, CREDIT, u32::MAX] {
            assert!(!is_application(code));
        }
    }

    #[test]
    fn errors_have_names_up_to_the_last_known() {
        assert_eq!((1..=8).filter_map(error::name).count(), 8);
        assert_eq!([error::name(0), error::name(9), error::name(u32::MAX)], [None; 3]);
        assert_eq!(error::name(error::GOING_AWAY), Some("GOING_AWAY"));
    }
}
