//! What the node tells those who listen, after it is durable.

use crate::method::{ContactInfo, Entry};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use waypost_core::{ContactId, LetterId, Wall, Wire};

/// Something happened. Events may be missed by a slow listener (it is told so); the methods tell
/// the state at any time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "event", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Event {
    /// A letter came in, or a letter shown before was edited, deleted or reacted to.
    Letter {
        /// How it looks now.
        entry: Entry,
        /// Whether it was not there before.
        new: bool,
    },
    /// An own letter went a step further.
    State {
        /// To whom it was written.
        contact: ContactId,
        /// Which letter.
        letter: LetterId,
        /// Its state: `queued`, `sent`, `stored`, `delivered`, `read` or `failed`.
        state: String,
        /// When.
        at: Wall,
        /// The wire that caused it, if one did.
        wire: Option<Wire>,
    },
    /// A contact was added or changed.
    Contact {
        /// How it is now.
        contact: ContactInfo,
    },
    /// Somebody unknown wrote without an invite.
    Request {
        /// Who it says it is.
        contact: ContactInfo,
    },
    /// A contact became reachable or stopped being so.
    Presence {
        /// Which contact.
        contact: ContactId,
        /// Whether a connection to it stands.
        online: bool,
    },
    /// Something the person should look at: a changed key, a forked identity, a full disk.
    Warning {
        /// About whom, if about somebody.
        contact: Option<ContactId>,
        /// A short name of the kind of warning, like `identity_fork`.
        kind: String,
        /// For people.
        text: String,
    },
    /// The listener was too slow and missed this many events.
    Missed {
        /// How many.
        count: u64,
    },
}
