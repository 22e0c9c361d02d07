//! What an operator's role asks of the place where it keeps things for people who are away.
//!
//! A role's machine puts out a batch of [`MailboxOp`]s and is told what each came to. A batch is atomic: its
//! operations see the effects of those before them, and all of them are durable before the answer, or none
//! has happened. A batch ends at the first operation that is refused; then nothing of it has happened.
//!
//! Nothing here assumes that one process alone works on the mailboxes: what a role decided after a read, it
//! writes behind [`MailboxOp::Expect`], and reads again when that is refused.

use crate::{Change, Record, Space, Wall};
use std::{fmt, time::Duration};

/// Names a mailbox: the role's family and whose it is.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MailboxId {
    /// The role's family, like `relay/mailbox`.
    pub space: Space,
    /// Whose, at most 64 bytes: in SREMP the identity key.
    pub owner: Vec<u8>,
}

impl fmt::Debug for MailboxId {
    /// Shows the family alone: whose mailbox it is does not belong in logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MailboxId({}, ..)", self.space)
    }
}

/// One thing to do. All times of a batch are measured from the moment given with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MailboxOp {
    /// Opens a mailbox for letters, or changes the terms of an open one. Answer: [`MailboxDone::Done`].
    Open {
        /// Which.
        mailbox: MailboxId,
        /// How it is kept from now on, what lies in it included.
        terms: Terms,
    },
    /// Puts a letter at the end, once for its key. Answer: [`MailboxDone::Put`].
    Put(Put),
    /// Puts a notice at the end; the mailbox need not be open. Answer: [`MailboxDone::Put`].
    Notice(Notice),
    /// Reads items in the order of seq. Answer: [`MailboxDone::Page`].
    Fetch(Fetch),
    /// The letters that are kept and whose key starts so, without their content. Answer: [`MailboxDone::Page`].
    Find {
        /// Where.
        mailbox: MailboxId,
        /// Start of the key.
        prefix: Vec<u8>,
        /// At most so many.
        limit: usize,
    },
    /// What is remembered of a key, whether or not the letter is still kept. Answer: [`MailboxDone::Known`].
    Recall {
        /// Where.
        mailbox: MailboxId,
        /// The letter's key.
        key: Vec<u8>,
    },
    /// Removes the letter of this key; its key is still remembered. Refused with [`Refusal::NotFound`] when it
    /// is not kept. Answer: [`MailboxDone::Done`].
    Ack {
        /// Where.
        mailbox: MailboxId,
        /// The letter's key.
        key: Vec<u8>,
    },
    /// Removes all items of a lane up to a seq. Answer: [`MailboxDone::Done`].
    AckUpTo {
        /// Where.
        mailbox: MailboxId,
        /// Letters or notices.
        lane: Lane,
        /// The last one to go.
        seq: u64,
    },
    /// Removes every item and closes the mailbox; the counter of seq stays. Answer: [`MailboxDone::Done`].
    Purge {
        /// Which.
        mailbox: MailboxId,
    },
    /// What a mailbox holds now. Answer: [`MailboxDone::Usage`].
    Usage {
        /// Which.
        mailbox: MailboxId,
    },
    /// A record of the role. Answer: [`MailboxDone::Record`].
    Read {
        /// Its family.
        space: Space,
        /// Its key.
        key: Vec<u8>,
    },
    /// Records of the role whose key starts with `prefix` and is above `after`, in key order. Answer:
    /// [`MailboxDone::Records`].
    Scan {
        /// Their family.
        space: Space,
        /// Start of the key.
        prefix: Vec<u8>,
        /// The last one already seen.
        after: Option<Vec<u8>>,
        /// At most so many.
        limit: usize,
    },
    /// Goes on only if the record is exactly this (or is not there, for `None`), else refuses with
    /// [`Refusal::Changed`]. Answer: [`MailboxDone::Done`].
    Expect {
        /// Its family.
        space: Space,
        /// Its key.
        key: Vec<u8>,
        /// What it was when it was read.
        value: Option<Vec<u8>>,
    },
    /// Writes or removes a record of the role. Answer: [`MailboxDone::Done`].
    Write {
        /// What.
        change: Change,
        /// When it is over: from then on it is not found, and it is removed in the engine's own time.
        expires: Option<Wall>,
    },
}

impl MailboxOp {
    /// Whether it can change something; a batch of those that cannot needs no commit.
    pub const fn is_write(&self) -> bool {
        !matches!(
            self,
            Self::Fetch(_)
                | Self::Find { .. }
                | Self::Recall { .. }
                | Self::Usage { .. }
                | Self::Read { .. }
                | Self::Scan { .. }
                | Self::Expect { .. }
        )
    }
}

/// How a mailbox is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// Bytes of a letter's content, at most.
    pub item_bytes: u64,
    /// How long a letter is kept: it is gone when its stamp + this <= now.
    pub keep: Duration,
    /// When the whole mailbox is over, unless it is opened again.
    pub until: Wall,
}

/// The two kinds of items in a mailbox. One counter of seq runs through both.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Lane {
    /// What others left for the owner: kept by quota and term, never dropped for something newer.
    Letters,
    /// Short word from the role to the owner: bounded in number, the oldest goes first.
    Notices,
}

/// A letter to store. Checks in this order: the mailbox is open, the key is new, content is within the terms
/// and `item_bytes`, quotas.
#[derive(Clone, PartialEq, Eq)]
pub struct Put {
    /// Where.
    pub mailbox: MailboxId,
    /// The same key again stores nothing. At most 128 bytes.
    pub key: Vec<u8>,
    /// Tells whether the same key stands for the same content.
    pub digest: [u8; 32],
    /// Who left it: its quota within the mailbox. At most 64 bytes.
    pub from: Vec<u8>,
    /// The content.
    pub value: Vec<u8>,
    /// What fits.
    pub quota: Quota,
    /// How long the key is remembered, at least; always as long as the letter is kept.
    pub remember: Duration,
}

impl fmt::Debug for Put {
    /// Neither who to whom nor what.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Put({} B)", self.value.len())
    }
}

/// Bounds of one mailbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// Bytes of one letter's content.
    pub item_bytes: u64,
    /// Letters in the mailbox.
    pub items: u64,
    /// Bytes of their content.
    pub bytes: u64,
    /// Letters of one sender in the mailbox.
    pub from_items: u64,
    /// Bytes of their content.
    pub from_bytes: u64,
}

/// A notice to store.
#[derive(Clone, PartialEq, Eq)]
pub struct Notice {
    /// Where.
    pub mailbox: MailboxId,
    /// The content.
    pub value: Vec<u8>,
    /// Notices in the mailbox; the oldest goes when there are more.
    pub most: u64,
    /// How long it is kept.
    pub keep: Duration,
}

impl fmt::Debug for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Notice({} B)", self.value.len())
    }
}

/// What to read. What is past its time is not found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetch {
    /// Where.
    pub mailbox: MailboxId,
    /// Only items whose seq is above this.
    pub after: u64,
    /// Only letters stamped then or later. Stamps rise with seq.
    pub since: Wall,
    /// At most so many items.
    pub items: usize,
    /// At most so many bytes, content and `item_cost` for each; one item always fits.
    pub bytes: usize,
    /// What an item counts beside its content.
    pub item_cost: usize,
}

/// One item of a mailbox.
#[derive(Clone, PartialEq, Eq)]
pub struct Item {
    /// Its place: rises by one with each item of the mailbox, never used twice.
    pub seq: u64,
    /// When it was stored. Unique among the letters of a mailbox and rising with seq.
    pub stamp: Wall,
    /// Letter or notice.
    pub lane: Lane,
    /// The letter's key; empty for a notice.
    pub key: Vec<u8>,
    /// Who left it; empty for a notice.
    pub from: Vec<u8>,
    /// The content; empty in the answer to [`MailboxOp::Find`].
    pub value: Vec<u8>,
}

impl fmt::Debug for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Item({}, {:?}, {} B)", self.seq, self.lane, self.value.len())
    }
}

/// What an operation came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MailboxDone {
    /// It is done, and there is nothing to say.
    Done,
    /// The letter or notice is stored.
    Put {
        /// Its place.
        seq: u64,
        /// Its stamp: now, or a millisecond after the mailbox's last letter if that is later.
        stamp: Wall,
        /// It was stored before; nothing was stored now.
        again: bool,
    },
    /// Items, in the order of seq.
    Page {
        /// Those that fit.
        items: Vec<Item>,
        /// Whether there are more behind them.
        has_more: bool,
    },
    /// What is remembered of a key.
    Known(Option<Known>),
    /// What the mailbox holds.
    Usage(Usage),
    /// A record's content.
    Record(Option<Vec<u8>>),
    /// Records found.
    Records(Vec<Record>),
    /// No; nothing of the batch has happened.
    Refused(Refusal),
}

/// A letter that was stored once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Known {
    /// The digest given then.
    pub digest: [u8; 32],
    /// Its stamp.
    pub stamp: Wall,
    /// Its place, as long as it is kept.
    pub seq: Option<u64>,
}

/// What a mailbox holds, without what is past its time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Whether letters can be left there.
    pub open: bool,
    /// Letters.
    pub letters: u64,
    /// Bytes of their content.
    pub bytes: u64,
    /// Notices.
    pub notices: u64,
    /// The last seq given to an item.
    pub last_seq: u64,
}

/// Why an operation was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The mailbox is not open.
    #[error("there is no such mailbox")]
    NoMailbox,
    /// The key stands for other content.
    #[error("another letter was stored under this key")]
    Conflict,
    /// The content is larger than the terms or the quota allow.
    #[error("the letter is too large for this mailbox")]
    TooLarge,
    /// The mailbox, or the sender's share of it, is full.
    #[error("the mailbox is full")]
    MailboxFull,
    /// All mailboxes together have reached the bound of the engine, or its disk.
    #[error("the storage is full")]
    StorageFull,
    /// There is no such letter.
    #[error("there is no such letter")]
    NotFound,
    /// The record is no longer what it was.
    #[error("a record has changed meanwhile")]
    Changed,
}

/// One batch a machine has asked for; unique within a machine's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BatchId(pub u64);
