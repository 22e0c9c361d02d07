//! The vocabulary of Waypost: what every floor above speaks of.
//!
//! Ids, the two clocks, letters, addresses, contact cards, records at rest, mailboxes and kinds of errors. No
//! algorithm, no I/O and no encoding of a wire lives here; a type that only one protocol needs stays
//! in that protocol's crate.
//!
//! ```
//! use waypost_core::{Body, Letter, LetterId, Wall};
//!
//! let letter = Letter {
//!     id: LetterId::from_bytes([7; 16]),
//!     sent: Wall::from_millis(1_790_000_000_000),
//!     body: Body::Text { text: "hello".into() },
//! };
//! assert_eq!(letter.id.to_string(), "07070707070707070707070707070707");
//! assert_eq!(letter.body.kind(), "text");
//! ```

mod address;
mod batch;
mod card;
mod error;
mod id;
mod letter;
mod mailbox;
mod record;
mod redacted;
mod time;

pub use address::{Address, BadAddress, RelayAddress, SrempAddress, Wire};
pub use batch::{Batch, MemoryRecords};
pub use card::{Card, InviteToken};
pub use error::{ErrorKind, HasKind};
pub use id::{BadId, ContactId, LetterId, RouteId, SaveId};
pub use letter::{Body, Letter, Protection, ReceiptKind};
pub use mailbox::{
    BatchId, Fetch, Item, Known, Lane, MailboxDone, MailboxId, MailboxOp, Notice, Put, Quota, Refusal, Terms, Usage,
};
pub use record::{Change, Record, RecordFault, Records, Space};
pub use redacted::Redacted;
pub use time::{Mono, Now, Wall};
