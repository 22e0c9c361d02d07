//! One person's database: contacts, history, outbox, routes and the records of the protocols, encrypted
//! with SQLCipher under a key from the keyring.
//!
//! ```text
//! engine --begin--> Store: letter + records + outbox row + trace --commit--> disk, then bytes leave
//!             reads in between see what was written in between; dropped before commit = never happened
//! ```
//! What is not here: what a letter means (the node), what a record means (its protocol), keys. The
//! store does know how letters change each other: [`Store::history`] shows a letter with the edits,
//! the deletion and the reactions that came for it, in whatever order they came.
//!
//! ```
//! use waypost_core::{Body, ContactId, Letter, LetterId, Protection, Wall};
//! use waypost_store::{Direction, Inserted, LetterRow, State, Store};
//!
//! let folder = tempfile::tempdir()?;
//! let mut store = Store::open(&folder.path().join("letters.db"), &[7; 32])?;
//! let bob = ContactId::from_bytes([2; 32]);
//! let letter = Letter {
//!     id: LetterId::from_bytes([1; 16]),
//!     sent: Wall::from_millis(1_790_000_000_000),
//!     body: Body::Text { text: "see you at noon".into() },
//! };
//!
//! store.begin()?;
//! let row = LetterRow::outgoing(bob, letter, Wall::from_millis(1_790_000_000_000));
//! assert!(matches!(store.insert_letter(&row)?, Inserted::New(_)));
//! assert_eq!(store.insert_letter(&row)?, Inserted::Duplicate);
//! store.commit()?;
//!
//! let found = store.search("NOON", None, 10)?;
//! assert_eq!(found.len(), 1);
//! assert_eq!((found[0].direction, &found[0].state), (Direction::Out, &State::Queued));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod amend;
mod column;
mod contact;
mod error;
mod file;
mod history;
mod invite;
mod letter;
mod migration;
mod outbox;
mod record;
mod route;
mod search;
mod setting;
mod store;
mod warning;

pub use contact::{ContactRow, ContactStatus, RequestUsage};
pub use error::Error;
pub use history::{HistoryEntry, Reaction};
pub use invite::InviteRow;
pub use letter::{Direction, Inserted, LetterRow, State, Unread};
pub use outbox::OutboxRow;
pub use route::{RouteRow, TraceRow};
pub use store::Store;
pub use warning::WarningRow;
