//! Mailboxes and records at rest for an operator's roles: what others left for people who are away.
//!
//! ```text
//! role's machine --Vec<MailboxOp>--> Mailbox --one transaction for all that wait--> disk --> Vec<MailboxDone>
//!                                       '--> Watcher: this mailbox got something (a hint, may be lost)
//! ```
//! The words are `waypost_core`'s; what they mean in full, [`conformance`](mod@conformance) says by testing it, for any engine:
//! [`Embedded`] is the one in a file. What is not here: protocols, who may do what, when to expire.
//!
//! ```
//! use std::time::Duration;
//! use waypost_core::{Fetch, MailboxDone, MailboxId, MailboxOp, Put, Quota, Space, Terms, Wall};
//! use waypost_mailbox::{Config, Embedded, Mailbox};
//!
//! # futures::executor::block_on(async {
//! let folder = tempfile::tempdir()?;
//! let mailboxes = Embedded::open(&folder.path().join("mailboxes.db"), Config::default())?;
//! let alice = MailboxId { space: Space("relay/mailbox"), owner: b"alice".to_vec() };
//! let now = Wall::from_millis(1_790_000_000_000);
//! let day = Duration::from_secs(86_400);
//!
//! let terms = Terms { item_bytes: 65_536, keep: 30 * day, until: now.after(90 * day) };
//! let done = mailboxes.commit(now, vec![MailboxOp::Open { mailbox: alice.clone(), terms }]).await?;
//! assert_eq!(done, [MailboxDone::Done]);
//!
//! let watch = mailboxes.watch(&alice);
//! let quota = Quota { item_bytes: 65_536, items: 100, bytes: 1 << 20, from_items: 10, from_bytes: 1 << 18 };
//! let letter = Put {
//!     mailbox: alice.clone(),
//!     key: b"letter 1".to_vec(),
//!     digest: [1; 32],
//!     from: b"bob".to_vec(),
//!     value: b"see you at noon".to_vec(),
//!     quota,
//!     remember: 30 * day,
//! };
//! assert_eq!(mailboxes.put(now, letter.clone()).await?.seq, 1); // It is on disk now.
//! assert!(mailboxes.put(now, letter).await?.again);
//!
//! watch.next().await;
//! let fetch =
//!     Fetch { mailbox: alice.clone(), after: 0, since: now, items: 64, bytes: 60_000, item_cost: 200 };
//! assert_eq!(mailboxes.fetch(now, fetch).await?.items[0].value, b"see you at noon");
//! mailboxes.ack(now, alice.clone(), b"letter 1".to_vec()).await?;
//! assert_eq!(mailboxes.usage(now, alice).await?.letters, 0);
//! mailboxes.close()?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # }).unwrap();
//! ```

#[cfg(feature = "conformance")]
pub mod conformance;
mod embedded;
mod error;
mod mailbox;
mod watch;

pub use embedded::{Config, Embedded};
pub use error::Error;
pub use mailbox::{Capacity, Disk, Mailbox, Page, Size, Stored};
pub use watch::{Hub, Watch, Watcher};
