//! The forms of the rows. Numbers are eight bytes, most significant first, so that keys sort as numbers do.

use super::tree::{Read, Table};
use crate::Error;
use std::time::Duration;
use waypost_core::{Lane, MailboxId, Space, Terms, Wall};

/// What stands for "never" where a time is kept.
const NEVER: u64 = u64::MAX;

/// The one row about everything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Meta {
    pub(super) last_mailbox: u64,
    pub(super) last_content: u64,
    /// Letters and notices.
    pub(super) items: u64,
    /// Of their content.
    pub(super) bytes: u64,
}

impl Meta {
    /// The form of all rows. A file of another is refused.
    pub(super) const FORM: u64 = 1;
    const KEY: &[u8] = b"meta";

    pub(super) fn read(tree: &impl Read) -> Result<Option<Self>, Error> {
        let Some(bytes) = tree.row(Table::Meta, Self::KEY)? else {
            return Ok(None);
        };
        let mut reader = Reader(&bytes);
        let found = reader.number()?;
        if found != Self::FORM {
            return Err(Error::Newer { found, known: Self::FORM });
        }
        let (last_mailbox, last_content) = (reader.number()?, reader.number()?);
        let (items, bytes) = (reader.number()?, reader.number()?);
        reader.end()?;
        Ok(Some(Self { last_mailbox, last_content, items, bytes }))
    }

    pub(super) fn row(&self) -> (Vec<u8>, Vec<u8>) {
        let numbers = [Self::FORM, self.last_mailbox, self.last_content, self.items, self.bytes];
        (Self::KEY.to_vec(), joined(&numbers.map(u64::to_be_bytes).as_slice().concat(), &[]))
    }
}

/// A mailbox that was opened, or got a notice, at some time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct MailboxRow {
    pub(super) number: u64,
    pub(super) last_seq: u64,
    /// Of the last letter ever stored.
    pub(super) last_stamp: Option<Wall>,
    pub(super) terms: Option<Terms>,
    pub(super) letters: u64,
    /// Of the letters' content.
    pub(super) bytes: u64,
    pub(super) notices: u64,
    /// When the index of times looks at it next: not later than its first item or the mailbox itself is over.
    pub(super) due: Option<Wall>,
}

impl MailboxRow {
    pub(super) fn new(number: u64) -> Self {
        let (terms, last_stamp, due) = (None, None, None);
        Self { number, last_seq: 0, last_stamp, terms, letters: 0, bytes: 0, notices: 0, due }
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let terms = self.terms.map(|terms| [terms.item_bytes, millis(terms.keep), terms.until.as_millis()]);
        let [item_bytes, keep, until] = terms.unwrap_or_default();
        let numbers = [
            self.number,
            self.last_seq,
            time(self.last_stamp),
            u64::from(terms.is_some()),
            item_bytes,
            keep,
            until,
            self.letters,
            self.bytes,
            self.notices,
            time(self.due),
        ];
        numbers.map(u64::to_be_bytes).as_slice().concat()
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, Error> {
        let mut reader = Reader(bytes);
        let (number, last_seq, last_stamp) = (reader.number()?, reader.number()?, reader.time()?);
        let is_open = reader.number()? == 1;
        let (item_bytes, keep) = (reader.number()?, Duration::from_millis(reader.number()?));
        let until = Wall::from_millis(reader.number()?);
        let terms = is_open.then_some(Terms { item_bytes, keep, until });
        let (letters, bytes, notices) = (reader.number()?, reader.number()?, reader.number()?);
        let due = reader.time()?;
        reader.end()?;
        Ok(Self { number, last_seq, last_stamp, terms, letters, bytes, notices, due })
    }
}

/// A letter or notice without its content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ItemRow {
    pub(super) stamp: Wall,
    /// Number of the content.
    pub(super) content: u64,
    /// Bytes of the content.
    pub(super) len: u64,
    /// When a notice is over; a letter goes by its mailbox's terms.
    pub(super) due: Option<Wall>,
    pub(super) from: Vec<u8>,
    pub(super) key: Vec<u8>,
}

impl ItemRow {
    pub(super) fn encode(&self) -> Vec<u8> {
        let numbers = [self.stamp.as_millis(), self.content, self.len, time(self.due), self.from.len() as u64];
        let head = numbers.map(u64::to_be_bytes).as_slice().concat();
        joined(&joined(&head, &self.from), &self.key)
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, Error> {
        let mut reader = Reader(bytes);
        let (stamp, content, len) = (Wall::from_millis(reader.number()?), reader.number()?, reader.number()?);
        let (due, from_len) = (reader.time()?, reader.number()?);
        let from = reader.take(usize::try_from(from_len).unwrap_or(usize::MAX))?.to_vec();
        Ok(Self { stamp, content, len, due, from, key: reader.0.to_vec() })
    }
}

/// What is remembered of a letter's key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct KeyRow {
    pub(super) digest: [u8; 32],
    pub(super) stamp: Wall,
    pub(super) seq: u64,
    /// Known until then, and as long as the letter is kept.
    pub(super) until: Wall,
}

impl KeyRow {
    pub(super) fn encode(&self) -> Vec<u8> {
        let numbers = [self.stamp.as_millis(), self.seq, self.until.as_millis()];
        joined(&self.digest, &numbers.map(u64::to_be_bytes).as_slice().concat())
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, Error> {
        let mut reader = Reader(bytes);
        let digest = reader.take(32)?.try_into().map_err(|_| too_short())?;
        let (stamp, seq) = (Wall::from_millis(reader.number()?), reader.number()?);
        let until = Wall::from_millis(reader.number()?);
        reader.end()?;
        Ok(Self { digest, stamp, seq, until })
    }
}

/// What one sender has in a mailbox.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct SenderRow {
    pub(super) letters: u64,
    pub(super) bytes: u64,
}

impl SenderRow {
    pub(super) fn encode(self) -> Vec<u8> {
        [self.letters, self.bytes].map(u64::to_be_bytes).as_slice().concat()
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, Error> {
        let mut reader = Reader(bytes);
        let (letters, bytes) = (reader.number()?, reader.number()?);
        reader.end()?;
        Ok(Self { letters, bytes })
    }
}

/// A record of the role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RecordRow {
    pub(super) expires: Option<Wall>,
    pub(super) value: Vec<u8>,
}

impl RecordRow {
    pub(super) fn encode(&self) -> Vec<u8> {
        joined(&time(self.expires).to_be_bytes(), &self.value)
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, Error> {
        let mut reader = Reader(bytes);
        let expires = reader.time()?;
        Ok(Self { expires, value: reader.0.to_vec() })
    }

    pub(super) fn is_over(&self, now: Wall) -> bool {
        self.expires.is_some_and(|expires| expires <= now)
    }
}

/// What the index of times points at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// Something in a mailbox, or the mailbox: its key in the table of mailboxes.
    Mailbox(Vec<u8>),
    /// A letter's key to forget: its key in the table of keys.
    Key(Vec<u8>),
    /// A record: its key in the table of records.
    Record(Vec<u8>),
}

impl Due {
    /// The key in the index.
    pub(super) fn at(&self, time: Wall) -> Vec<u8> {
        let (kind, key) = match self {
            Self::Mailbox(key) => (1, key),
            Self::Key(key) => (2, key),
            Self::Record(key) => (3, key),
        };
        joined(&joined(&time.as_millis().to_be_bytes(), &[kind]), key)
    }

    pub(super) fn decode(key: &[u8]) -> Result<(Wall, Self), Error> {
        let mut reader = Reader(key);
        let time = Wall::from_millis(reader.number()?);
        let due = match (reader.take(1)?, reader.0.to_vec()) {
            ([1], key) => Self::Mailbox(key),
            ([2], key) => Self::Key(key),
            ([3], key) => Self::Record(key),
            _ => return Err(Error::Damaged("an unknown kind in the index of times".into())),
        };
        Ok((time, due))
    }
}

/// Key of a mailbox.
pub(super) fn mailbox_key(mailbox: &MailboxId) -> Vec<u8> {
    record_key(mailbox.space, &mailbox.owner)
}

/// Key of a record. The name of a space has no zero byte.
pub(super) fn record_key(space: Space, key: &[u8]) -> Vec<u8> {
    joined(&joined(space.0.as_bytes(), &[0]), key)
}

/// Start of the keys of a mailbox's items in one lane.
pub(super) fn lane_key(mailbox: u64, lane: Lane) -> Vec<u8> {
    let lane = match lane {
        Lane::Letters => 1,
        Lane::Notices => 2,
    };
    joined(&mailbox.to_be_bytes(), &[lane])
}

/// Key of an item.
pub(super) fn item_key(mailbox: u64, lane: Lane, seq: u64) -> Vec<u8> {
    joined(&lane_key(mailbox, lane), &seq.to_be_bytes())
}

/// The seq in the key of an item.
pub(super) fn item_seq(key: &[u8]) -> Result<u64, Error> {
    let mut reader = Reader(key);
    reader.take(9)?;
    reader.number()
}

/// Start of the keys of a mailbox's notices in the order of their end.
pub(super) fn notice_dues_key(mailbox: u64) -> Vec<u8> {
    joined(&mailbox.to_be_bytes(), &[3])
}

/// Key of a notice in the order of their end.
pub(super) fn notice_due_key(mailbox: u64, due: Wall, seq: u64) -> Vec<u8> {
    let numbers = [due.as_millis(), seq].map(u64::to_be_bytes).as_slice().concat();
    joined(&notice_dues_key(mailbox), &numbers)
}

/// End and seq of a notice from its key in the order of ends.
pub(super) fn notice_due(key: &[u8]) -> Result<(Wall, u64), Error> {
    let mut reader = Reader(key);
    reader.take(9)?;
    Ok((Wall::from_millis(reader.number()?), reader.number()?))
}

/// Key of what belongs to a mailbox and has a name of its own: a letter's key, a sender.
pub(super) fn named_key(mailbox: u64, name: &[u8]) -> Vec<u8> {
    joined(&mailbox.to_be_bytes(), name)
}

/// The number of the mailbox in such a key.
pub(super) fn named_mailbox(key: &[u8]) -> Result<u64, Error> {
    Reader(key).number()
}

/// Key of a content.
pub(super) fn content_key(number: u64) -> Vec<u8> {
    number.to_be_bytes().to_vec()
}

/// As the clock counts it: a fraction of a millisecond is cut off.
pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(NEVER)
}

/// The end of time is no time at which something is over.
pub(super) fn unless_never(time: Option<Wall>) -> Option<Wall> {
    time.filter(|time| time.as_millis() != NEVER)
}

fn time(time: Option<Wall>) -> u64 {
    time.map_or(NEVER, Wall::as_millis)
}

fn joined(a: &[u8], b: &[u8]) -> Vec<u8> {
    [a, b].concat()
}

fn too_short() -> Error {
    Error::Damaged("a row is too short".into())
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, len: usize) -> Result<&'a [u8], Error> {
        let (taken, rest) = self.0.split_at_checked(len).ok_or_else(too_short)?;
        self.0 = rest;
        Ok(taken)
    }

    fn number(&mut self) -> Result<u64, Error> {
        let bytes = self.take(8)?.try_into().map_err(|_| too_short())?;
        Ok(u64::from_be_bytes(bytes))
    }

    fn time(&mut self) -> Result<Option<Wall>, Error> {
        let number = self.number()?;
        Ok((number != NEVER).then_some(Wall::from_millis(number)))
    }

    fn end(&self) -> Result<(), Error> {
        if self.0.is_empty() { Ok(()) } else { Err(Error::Damaged("a row is too long".into())) }
    }
}
