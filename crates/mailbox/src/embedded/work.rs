//! What writes: a group of batches, each done whole or not at all, on one overlay.

mod expiry;
mod item;

use super::{
    query,
    row::{self, Due, MailboxRow, Meta, RecordRow},
    tree::{Changes, Overlay, Read, Table},
};
use crate::{Capacity, Error};
use std::collections::BTreeSet;
use waypost_core::{Change, MailboxDone, MailboxId, MailboxOp, Refusal, Wall};

/// Batches worked off one after another, to be committed together.
pub(super) struct Work<'a, R> {
    tree: Overlay<'a, R>,
    meta: Meta,
    meta_before: Meta,
    capacity: Capacity,
    news: BTreeSet<MailboxId>,
}

/// Why a batch does not go on.
enum Stop {
    Refused(Refusal),
    Failed(Error),
}

impl From<Refusal> for Stop {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

/// A mailbox being worked on.
struct Place {
    key: Vec<u8>,
    row: MailboxRow,
}

/// What a group came to.
pub(super) struct Outcome {
    pub(super) changes: Changes,
    /// The mailboxes that got something new.
    pub(super) news: BTreeSet<MailboxId>,
    pub(super) meta: Meta,
}

impl<'a, R: Read> Work<'a, R> {
    pub(super) fn new(below: &'a R, capacity: Capacity) -> Result<Self, Error> {
        let meta = Meta::read(below)?.unwrap_or_default();
        Ok(Self { tree: Overlay::new(below), meta, meta_before: meta, capacity, news: BTreeSet::new() })
    }

    /// Does all of the batch, or nothing of it.
    pub(super) fn batch(&mut self, now: Wall, batch: Vec<MailboxOp>) -> Result<Vec<MailboxDone>, Error> {
        let meta = self.meta;
        self.tree.mark();
        let (mut answers, mut news) = (Vec::with_capacity(batch.len()), Vec::new());
        for op in batch {
            match self.step(now, op, &mut news) {
                Ok(done) => answers.push(done),
                Err(stop) => {
                    self.tree.take_back();
                    self.meta = meta;
                    match stop {
                        Stop::Refused(refusal) => answers.push(MailboxDone::Refused(refusal)),
                        Stop::Failed(error) => return Err(error),
                    }
                    return Ok(answers);
                }
            }
        }
        self.news.extend(news);
        Ok(answers)
    }

    /// Ends the group.
    pub(super) fn finish(mut self) -> Outcome {
        if self.meta != self.meta_before {
            let (key, value) = self.meta.row();
            self.tree.put(Table::Meta, key, value);
        }
        Outcome { changes: self.tree.into_changes(), news: self.news, meta: self.meta }
    }

    fn step(&mut self, now: Wall, op: MailboxOp, news: &mut Vec<MailboxId>) -> Result<MailboxDone, Stop> {
        match op {
            MailboxOp::Open { mailbox, terms } => {
                let mut place = self.place_or_new(now, &mailbox)?;
                place.row.terms = Some(terms);
                // What lies in it goes by the new terms from now on.
                self.reschedule(&mut place)?;
                self.sweep(now, &mut place, usize::MAX)?;
                self.save(&place);
            }
            MailboxOp::Put(put) => {
                let mailbox = put.mailbox.clone();
                let done = self.put(now, put)?;
                if matches!(done, MailboxDone::Put { again: false, .. }) {
                    news.push(mailbox);
                }
                return Ok(done);
            }
            MailboxOp::Notice(notice) => {
                news.push(notice.mailbox.clone());
                return Ok(self.notice(now, notice)?);
            }
            MailboxOp::Ack { mailbox, key } => self.ack(now, &mailbox, &key)?,
            MailboxOp::AckUpTo { mailbox, lane, seq } => self.ack_up_to(now, &mailbox, lane, seq)?,
            MailboxOp::Purge { mailbox } => self.purge(now, &mailbox)?,
            MailboxOp::Write { change, expires } => self.write(change, expires)?,
            read => return read_step(&self.tree, now, read),
        }
        Ok(MailboxDone::Done)
    }

    fn write(&mut self, Change { space, key, value }: Change, expires: Option<Wall>) -> Result<(), Error> {
        let (key, expires) = (row::record_key(space, &key), row::unless_never(expires));
        let before = self.tree.row(Table::Record, &key)?.map(|bytes| RecordRow::decode(&bytes)).transpose()?;
        let due = Due::Record(key.clone());
        if let Some(expired) = before.and_then(|before| before.expires) {
            self.tree.remove(Table::Due, due.at(expired));
        }
        match value {
            Some(value) => {
                if let Some(expires) = expires {
                    self.tree.put(Table::Due, due.at(expires), Vec::new());
                }
                self.tree.put(Table::Record, key, RecordRow { expires, value }.encode());
            }
            None => self.tree.remove(Table::Record, key),
        }
        Ok(())
    }

    /// The mailbox, if there ever was one, without what is past its time.
    fn place(&mut self, now: Wall, mailbox: &MailboxId) -> Result<Option<Place>, Error> {
        let Some(row) = MailboxRow::load(&self.tree, mailbox)? else {
            return Ok(None);
        };
        let mut place = Place { key: row::mailbox_key(mailbox), row };
        self.sweep(now, &mut place, usize::MAX)?;
        Ok(Some(place))
    }

    fn place_or_new(&mut self, now: Wall, mailbox: &MailboxId) -> Result<Place, Error> {
        if let Some(place) = self.place(now, mailbox)? {
            return Ok(place);
        }
        self.meta.last_mailbox = self.meta.last_mailbox.saturating_add(1);
        Ok(Place { key: row::mailbox_key(mailbox), row: MailboxRow::new(self.meta.last_mailbox) })
    }

    fn save(&mut self, place: &Place) {
        self.tree.put(Table::Mailbox, place.key.clone(), place.row.encode());
    }
}

/// Answers a batch that changes nothing.
pub(super) fn read_batch(tree: &impl Read, now: Wall, batch: Vec<MailboxOp>) -> Result<Vec<MailboxDone>, Error> {
    let mut answers = Vec::with_capacity(batch.len());
    for op in batch {
        match read_step(tree, now, op) {
            Ok(done) => answers.push(done),
            Err(Stop::Failed(error)) => return Err(error),
            Err(Stop::Refused(refusal)) => {
                answers.push(MailboxDone::Refused(refusal));
                break;
            }
        }
    }
    Ok(answers)
}

fn read_step(tree: &impl Read, now: Wall, op: MailboxOp) -> Result<MailboxDone, Stop> {
    Ok(match op {
        MailboxOp::Fetch(fetch) => query::fetch(tree, now, &fetch)?,
        MailboxOp::Find { mailbox, prefix, limit } => query::find(tree, now, &mailbox, &prefix, limit)?,
        MailboxOp::Recall { mailbox, key } => MailboxDone::Known(query::recall(tree, now, &mailbox, &key)?),
        MailboxOp::Usage { mailbox } => MailboxDone::Usage(query::usage(tree, now, &mailbox)?),
        MailboxOp::Read { space, key } => MailboxDone::Record(query::record(tree, now, space, &key)?),
        MailboxOp::Scan { space, prefix, after, limit } => {
            MailboxDone::Records(query::scan(tree, now, space, &prefix, after.as_deref(), limit)?)
        }
        MailboxOp::Expect { space, key, value } => {
            if query::record(tree, now, space, &key)? != value {
                return Err(Refusal::Changed.into());
            }
            MailboxDone::Done
        }
        _ => return Err(Error::Internal("a batch that writes was given to a reader").into()),
    })
}
