//! The letter: the unit a person sees.

use crate::{LetterId, Wall};
use serde::{Deserialize, Serialize};

/// One message between people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Letter {
    /// The same on every wire.
    pub id: LetterId,
    /// The sender's clock when it was written.
    pub sent: Wall,
    /// What it says.
    pub body: Body,
}

/// What a letter says. A kind this version does not know is kept as it came and shown as such.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Body {
    /// Plain text.
    Text {
        /// The text.
        text: String,
    },
    /// Text that answers another letter.
    Reply {
        /// The letter it answers.
        to: LetterId,
        /// The text.
        text: String,
    },
    /// An emoji on another letter; an empty one takes it back.
    Reaction {
        /// The letter it is put on.
        to: LetterId,
        /// The emoji, or empty.
        emoji: String,
    },
    /// New text for a letter of the same sender.
    Edit {
        /// The letter it changes.
        to: LetterId,
        /// The text that replaces the old one.
        text: String,
    },
    /// Takes back a letter of the same sender.
    Delete {
        /// The letter it takes back.
        to: LetterId,
    },
    /// Says what became of letters.
    Receipt {
        /// What became of them.
        receipt: ReceiptKind,
        /// Of which letters.
        letters: Vec<LetterId>,
    },
    /// How the sender wants to be known; carries its contact card.
    Profile {
        /// The name the sender goes by.
        name: String,
        /// The sender's card as a `waypost:` link, if it gives one.
        card: Option<String>,
    },
    /// Announces a file; its content travels apart.
    File {
        /// File name without folders.
        name: String,
        /// Size in bytes.
        size: u64,
        /// Media type, like `image/png`.
        media_type: String,
        /// SHA-256 of the content, hex.
        sha256: String,
    },
    /// A kind that this version does not know.
    Unknown {
        /// The name the sender's version gives it.
        name: String,
        /// Its encoding, hex.
        bytes: String,
    },
}

impl Body {
    /// The kind's name, as on the wire and in the API.
    pub fn kind(&self) -> &str {
        match self {
            Self::Text { .. } => "text",
            Self::Reply { .. } => "reply",
            Self::Reaction { .. } => "reaction",
            Self::Edit { .. } => "edit",
            Self::Delete { .. } => "delete",
            Self::Receipt { .. } => "receipt",
            Self::Profile { .. } => "profile",
            Self::File { .. } => "file",
            Self::Unknown { name, .. } => name,
        }
    }

    /// The text a person reads, where the kind has one.
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Text { text } | Self::Reply { text, .. } | Self::Edit { text, .. } => Some(text),
            _ => None,
        }
    }

    /// The letter this one is about, where the kind is about exactly one.
    pub fn target(&self) -> Option<LetterId> {
        match self {
            Self::Reply { to, .. } | Self::Reaction { to, .. } | Self::Edit { to, .. } | Self::Delete { to } => {
                Some(*to)
            }
            _ => None,
        }
    }
}

/// What a receipt says became of a letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum ReceiptKind {
    /// The recipient's node has it on disk.
    Delivered,
    /// The recipient has seen it.
    Read,
}

/// How a letter was protected on its way; shown with every letter, so that no weaker mode is silent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Protection {
    /// Only the two people can read it.
    pub end_to_end: bool,
    /// Keys stolen later do not open it.
    pub forward_secret: bool,
    /// Its key agreement also holds against a quantum computer.
    pub post_quantum: bool,
    /// The person verified the contact's key out of band.
    pub verified: bool,
}
