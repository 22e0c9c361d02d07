//! What every engine does.

use crate::{Error, Watch, Watcher};
use waypost_core::{Fetch, Item, Lane, MailboxDone, MailboxId, MailboxOp, Put, Usage, Wall};

/// Mailboxes and records of an operator's roles, kept for people who are away.
///
/// **Order.** A call takes its place when it is made, not when its future is first awaited: calls that write,
/// made one after another, take effect in that order, so that a caller can have many under way at once. A
/// batch that only reads sees at least everything that had been answered when it was submitted.
///
/// **Durability.** What was answered is on disk. A future that is dropped says nothing: its batch has happened
/// or will never.
///
/// **Time** is an argument. Time that goes back brings nothing back.
pub trait Mailbox: Send + Sync + 'static {
    /// Does all of the batch, or nothing: then the last answer is [`MailboxDone::Refused`], and those before it
    /// say what would have been. An answer for each operation otherwise.
    ///
    /// # Errors
    /// The engine failed; whether the batch has happened is not known.
    fn commit(
        &self,
        now: Wall,
        batch: Vec<MailboxOp>,
    ) -> impl Future<Output = Result<Vec<MailboxDone>, Error>> + Send + use<Self>;

    /// Removes what is past its time, about `limit` things; how many it looked at. Less than `limit`: nothing
    /// more is due. What is past its time is not found before it is removed, but takes room.
    ///
    /// # Errors
    /// The engine failed.
    fn expire(&self, now: Wall, limit: usize) -> impl Future<Output = Result<usize, Error>> + Send + use<Self>;

    /// How much there is in all mailboxes.
    ///
    /// # Errors
    /// The engine failed.
    fn size(&self) -> impl Future<Output = Result<Size, Error>> + Send + use<Self>;

    /// One ear for many mailboxes; it listens to none yet.
    fn watcher(&self) -> Watcher;

    /// Hints that a mailbox got something.
    fn watch(&self, mailbox: &MailboxId) -> Watch {
        Watch::new(self.watcher(), mailbox)
    }

    /// Stores a letter, once for its key.
    ///
    /// # Errors
    /// [`Error::Refused`], or the engine failed.
    fn put(&self, now: Wall, put: Put) -> impl Future<Output = Result<Stored, Error>> + Send + use<Self> {
        let answer = self.one(now, MailboxOp::Put(put));
        async move {
            match answer.await? {
                MailboxDone::Put { seq, stamp, again } => Ok(Stored { seq, stamp, again }),
                other => Err(unexpected(&other)),
            }
        }
    }

    /// Reads items in the order of seq.
    ///
    /// # Errors
    /// The engine failed.
    fn fetch(&self, now: Wall, fetch: Fetch) -> impl Future<Output = Result<Page, Error>> + Send + use<Self> {
        let answer = self.one(now, MailboxOp::Fetch(fetch));
        async move {
            match answer.await? {
                MailboxDone::Page { items, has_more } => Ok(Page { items, has_more }),
                other => Err(unexpected(&other)),
            }
        }
    }

    /// Removes the letter of this key.
    ///
    /// # Errors
    /// [`Error::Refused`], or the engine failed.
    fn ack(
        &self,
        now: Wall,
        mailbox: MailboxId,
        key: Vec<u8>,
    ) -> impl Future<Output = Result<(), Error>> + Send + use<Self> {
        nothing(self.one(now, MailboxOp::Ack { mailbox, key }))
    }

    /// Removes all items of a lane up to a seq.
    ///
    /// # Errors
    /// [`Error::Refused`], or the engine failed.
    fn ack_up_to(
        &self,
        now: Wall,
        mailbox: MailboxId,
        lane: Lane,
        seq: u64,
    ) -> impl Future<Output = Result<(), Error>> + Send + use<Self> {
        nothing(self.one(now, MailboxOp::AckUpTo { mailbox, lane, seq }))
    }

    /// Removes every item and closes the mailbox.
    ///
    /// # Errors
    /// [`Error::Refused`], or the engine failed.
    fn purge(&self, now: Wall, mailbox: MailboxId) -> impl Future<Output = Result<(), Error>> + Send + use<Self> {
        nothing(self.one(now, MailboxOp::Purge { mailbox }))
    }

    /// What a mailbox holds.
    ///
    /// # Errors
    /// The engine failed.
    fn usage(&self, now: Wall, mailbox: MailboxId) -> impl Future<Output = Result<Usage, Error>> + Send + use<Self> {
        let answer = self.one(now, MailboxOp::Usage { mailbox });
        async move {
            match answer.await? {
                MailboxDone::Usage(usage) => Ok(usage),
                other => Err(unexpected(&other)),
            }
        }
    }

    /// A batch of one.
    ///
    /// # Errors
    /// [`Error::Refused`], or the engine failed.
    fn one(&self, now: Wall, op: MailboxOp) -> impl Future<Output = Result<MailboxDone, Error>> + Send + use<Self> {
        let answers = self.commit(now, vec![op]);
        async move {
            match answers.await?.pop() {
                Some(MailboxDone::Refused(refusal)) => Err(Error::Refused(refusal)),
                Some(done) => Ok(done),
                None => Err(Error::Internal("an operation without an answer")),
            }
        }
    }
}

/// A letter that lies in its mailbox, or did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Its place.
    pub seq: u64,
    /// When it was stored first.
    pub stamp: Wall,
    /// It was stored before; nothing was stored now.
    pub again: bool,
}

/// Items of a mailbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// Those that fit, in the order of seq.
    pub items: Vec<Item>,
    /// Whether there are more behind them.
    pub has_more: bool,
}

/// What all mailboxes together may hold; a letter beyond it is refused with
/// [`Refusal::StorageFull`](waypost_core::Refusal::StorageFull).
///
/// Notices and records count or take room, and are never refused for that: a full storage must still be able
/// to give letters out and say so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capacity {
    /// Letters and notices, those past their time included until they are removed.
    pub items: u64,
    /// Bytes of their content.
    pub bytes: u64,
}

/// No bound.
impl Default for Capacity {
    fn default() -> Self {
        Self { items: u64::MAX, bytes: u64::MAX }
    }
}

/// How much there is in all mailboxes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// Letters and notices, those past their time included until they are removed.
    pub items: u64,
    /// Bytes of their content.
    pub bytes: u64,
    /// What the engine takes on its disk, if it knows.
    pub stored_bytes: Option<u64>,
    /// The disk, if the engine knows it.
    pub disk: Option<Disk>,
}

/// Room where an engine keeps its file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Disk {
    /// Bytes in all.
    pub total: u64,
    /// Bytes the engine could still use.
    pub free: u64,
}

impl Disk {
    /// How full it is, rounded up.
    pub fn used_percent(&self) -> u8 {
        let used = u128::from(self.total.saturating_sub(self.free));
        let percent = used.saturating_mul(100).div_ceil(u128::from(self.total.max(1)));
        u8::try_from(percent.min(100)).unwrap_or(100)
    }
}

async fn nothing(answer: impl Future<Output = Result<MailboxDone, Error>> + Send) -> Result<(), Error> {
    match answer.await? {
        MailboxDone::Done => Ok(()),
        other => Err(unexpected(&other)),
    }
}

fn unexpected(done: &MailboxDone) -> Error {
    match done {
        MailboxDone::Refused(refusal) => Error::Refused(*refusal),
        _ => Error::Internal("an answer to something else"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_tells_how_full_it_is() {
        let percent = |total, free| Disk { total, free }.used_percent();
        assert_eq!([percent(100, 100), percent(100, 15), percent(1000, 149), percent(100, 0)], [0, 85, 86, 100]);
        assert_eq!([percent(0, 0), percent(u64::MAX, 0), percent(5, 9)], [0, 100, 0]);
    }
}
