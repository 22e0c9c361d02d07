//! What can be asked of a speaker.

use crate::speak::values::Id;
use serde::Deserialize;
use waypost_core::{ContactId, ReceiptKind};

/// One line of stdin.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(tag = "cmd", rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum Command {
    /// Send a text.
    Send {
        text: String,
        /// The TEXT.id it answers.
        #[serde(default)]
        reply_to: Option<Id>,
        #[serde(default)]
        to: Option<ContactId>,
    },
    /// Say what became of texts.
    Receipt {
        kind: ReceiptKind,
        /// Their TEXT.ids.
        message_ids: Vec<Id>,
        #[serde(default)]
        to: Option<ContactId>,
    },
    /// Send the own identity inside the session.
    Identity {
        #[serde(default)]
        to: Option<ContactId>,
    },
    /// Send PING.
    Ping {
        #[serde(default)]
        to: Option<ContactId>,
    },
    /// Close all connections and end.
    Close {},
}

impl Command {
    /// The peer it names.
    pub(super) fn to(&self) -> Option<ContactId> {
        match self {
            Self::Send { to, .. } | Self::Receipt { to, .. } | Self::Identity { to } | Self::Ping { to } => *to,
            Self::Close {} => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_ids_as_text_and_as_numbers() {
        let command: Command =
            serde_json::from_str(r#"{"cmd":"receipt","kind":"read","message_ids":["18446744073709551615",7]}"#)
                .unwrap();
        let message_ids = vec![Id(u64::MAX), Id(7)];
        assert_eq!(command, Command::Receipt { kind: ReceiptKind::Read, message_ids, to: None });
    }

    #[test]
    fn refuses_what_it_does_not_know() {
        for line in [r#"{"cmd":"dance"}"#, r#"{"cmd":"close","now":1}"#, r#"{"cmd":"send"}"#, "[]", "close"] {
            assert!(serde_json::from_str::<Command>(line).is_err(), "{line}");
        }
    }
}
