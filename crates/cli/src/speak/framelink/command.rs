//! What can be asked of a link.

use crate::speak::values::{Code, Hex};
use serde::Deserialize;

/// Number of a link of `listen`; without one, the link that was established last.
pub(super) type Number = Option<u64>;

/// The most that `send_pattern` sends and `recv` reads at once.
const MOST: usize = 256 << 20;
/// How long `recv` waits if it is not said.
const TIMEOUT_MS: u64 = 1000;

/// One line of stdin.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(tag = "cmd", rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum Command {
    /// Send a message.
    Send {
        #[serde(default)]
        payload: Hex,
        #[serde(default)]
        code: Code,
        #[serde(default)]
        link: Number,
    },
    /// Send a message of text.
    SendText {
        text: String,
        #[serde(default)]
        code: Code,
        #[serde(default)]
        link: Number,
    },
    /// Send a message whose byte i is (31 i + seed) mod 256.
    SendPattern {
        bytes: usize,
        #[serde(default)]
        seed: u8,
        #[serde(default)]
        code: Code,
        #[serde(default)]
        link: Number,
    },
    /// The profile's read, with `--manual`.
    Recv {
        n: usize,
        #[serde(default = "timeout_ms")]
        timeout_ms: u64,
        #[serde(default)]
        link: Number,
    },
    /// End the own direction behind everything that was to be sent.
    Close {
        #[serde(default)]
        link: Number,
    },
    /// The same, and what comes is not read any more.
    Finish {
        #[serde(default)]
        link: Number,
    },
    /// End the link now.
    Abort {
        code: u32,
        #[serde(default)]
        text: String,
        #[serde(default)]
        link: Number,
    },
    /// Send PING.
    Ping {
        #[serde(default)]
        payload: Hex,
        #[serde(default)]
        link: Number,
    },
    /// Take the next key.
    Rekey {
        #[serde(default)]
        link: Number,
    },
    /// Tell what the link does.
    Status {
        #[serde(default)]
        link: Number,
    },
}

impl Command {
    /// The link it names.
    pub(super) const fn link(&self) -> Number {
        match self {
            Self::Send { link, .. }
            | Self::SendText { link, .. }
            | Self::SendPattern { link, .. }
            | Self::Recv { link, .. }
            | Self::Close { link }
            | Self::Finish { link }
            | Self::Abort { link, .. }
            | Self::Ping { link, .. }
            | Self::Rekey { link }
            | Self::Status { link } => *link,
        }
    }

    /// Its name.
    pub(super) const fn name(&self) -> &'static str {
        match self {
            Self::Send { .. } => "send",
            Self::SendText { .. } => "send_text",
            Self::SendPattern { .. } => "send_pattern",
            Self::Recv { .. } => "recv",
            Self::Close { .. } => "close",
            Self::Finish { .. } => "finish",
            Self::Abort { .. } => "abort",
            Self::Ping { .. } => "ping",
            Self::Rekey { .. } => "rekey",
            Self::Status { .. } => "status",
        }
    }

    /// Whether it asks for more bytes than are held at once.
    pub(super) const fn asks_too_much(&self) -> bool {
        matches!(self, Self::SendPattern { bytes, .. } | Self::Recv { n: bytes, .. } if *bytes > MOST)
    }
}

/// Byte i is (31 i + seed) mod 256.
pub(super) fn pattern(bytes: usize, seed: u8) -> Vec<u8> {
    std::iter::successors(Some(seed), |byte| Some(byte.wrapping_add(31))).take(bytes).collect()
}

const fn timeout_ms() -> u64 {
    TIMEOUT_MS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_codes_as_numbers_and_as_hex() {
        for code in ["7", "\"7\"", "\"00000007\""] {
            let command: Command = serde_json::from_str(&format!(r#"{{"cmd":"send","code":{code}}}"#)).unwrap();
            assert_eq!(command, Command::Send { payload: Hex::default(), code: Code(7), link: None });
        }
        for line in [r#"{"cmd":"send","code":4294967296}"#, r#"{"cmd":"recv"}"#, r#"{"cmd":"close","now":1}"#] {
            assert!(serde_json::from_str::<Command>(line).is_err(), "{line}");
        }
    }

    #[test]
    fn a_pattern_goes_up_by_31() {
        assert_eq!(pattern(4, 200), [200, 231, 6, 37]);
        assert_eq!(pattern(300, 3)[299], u8::try_from((299 * 31 + 3) % 256).unwrap());
    }
}
