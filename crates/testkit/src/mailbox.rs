//! Mailboxes in memory, plain enough to be right by reading: what engines are compared with, and what a
//! role's machine is tested on.
//!
//! ```
//! use std::time::Duration;
//! use waypost_core::{MailboxDone, MailboxId, MailboxOp, Space, Terms, Wall};
//! use waypost_testkit::mailbox::MemoryMailbox;
//!
//! let mailbox = MailboxId { space: Space("relay/mailbox"), owner: b"alice".to_vec() };
//! let terms = Terms { item_bytes: 100, keep: Duration::from_secs(60), until: Wall::from_millis(90_000) };
//! let mut mailboxes = MemoryMailbox::default();
//! let done = mailboxes.commit(Wall::from_millis(0), vec![MailboxOp::Open { mailbox, terms }]);
//! assert_eq!(done, [MailboxDone::Done]);
//! ```

mod shelf;

use shelf::{Shelf, is_over};
use std::collections::{BTreeMap, BTreeSet};
use waypost_core::{Change, MailboxDone, MailboxId, MailboxOp, Record, Refusal, Space, Wall};

/// The whole content of an engine. A clone is a snapshot.
#[derive(Clone, Debug, Default)]
pub struct MemoryMailbox {
    capacity: Capacity,
    shelves: BTreeMap<MailboxId, Shelf>,
    records: BTreeMap<(Space, Vec<u8>), Kept>,
    news: BTreeSet<MailboxId>,
}

/// What all mailboxes together hold at most; a letter beyond it is refused. Notices count, and are never
/// refused: a full storage must still be able to say that a letter has gone.
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

/// A record.
#[derive(Clone, Debug)]
struct Kept {
    value: Vec<u8>,
    expires: Option<Wall>,
}

impl MemoryMailbox {
    /// Nothing yet, and a bound on what will be.
    pub fn with_capacity(capacity: Capacity) -> Self {
        Self { capacity, ..Self::default() }
    }

    /// Does all of the batch, or nothing: then the last answer is [`MailboxDone::Refused`].
    pub fn commit(&mut self, now: Wall, batch: Vec<MailboxOp>) -> Vec<MailboxDone> {
        let mut undo = Undo::default();
        let mut answers = Vec::new();
        for op in batch {
            match self.step(now, op, &mut undo) {
                Ok(done) => answers.push(done),
                Err(refusal) => {
                    answers.push(MailboxDone::Refused(refusal));
                    self.take_back(undo);
                    return answers;
                }
            }
        }
        self.news.extend(undo.news);
        answers
    }

    /// Removes what is past its time, at most `limit` things; how many it were.
    pub fn expire(&mut self, now: Wall, limit: usize) -> usize {
        let mut removed = 0;
        for shelf in self.shelves.values_mut() {
            removed += shelf.sweep(now, limit - removed);
        }
        let over = self.records.iter().filter(|(_, kept)| is_over(kept.expires, now)).map(|(at, _)| at.clone());
        let over: Vec<_> = over.take(limit - removed).collect();
        for at in &over {
            self.records.remove(at);
        }
        removed + over.len()
    }

    /// The mailboxes that got a new letter or notice since the last call: whom to wake.
    pub fn take_news(&mut self) -> Vec<MailboxId> {
        std::mem::take(&mut self.news).into_iter().collect()
    }

    /// Letters and notices in all, and the bytes of their content.
    pub fn size(&self) -> (u64, u64) {
        self.shelves.values().map(Shelf::size).fold((0, 0), |(items, bytes), (i, b)| (items + i, bytes + b))
    }

    fn step(&mut self, now: Wall, op: MailboxOp, undo: &mut Undo) -> Result<MailboxDone, Refusal> {
        let done = match op {
            MailboxOp::Open { mailbox, terms } => {
                self.shelf(now, &mailbox, undo).open(now, terms);
                MailboxDone::Done
            }
            MailboxOp::Put(put) => {
                let (items, bytes) = if self.capacity == Capacity::default() { (0, 0) } else { self.size() };
                let fits =
                    items < self.capacity.items && bytes.saturating_add(put.value.len() as u64) <= self.capacity.bytes;
                let mailbox = put.mailbox.clone();
                let done = self.shelf(now, &mailbox, undo).put(now, put, fits)?;
                if matches!(done, MailboxDone::Put { again: false, .. }) {
                    undo.news.insert(mailbox);
                }
                done
            }
            MailboxOp::Notice(notice) => {
                undo.news.insert(notice.mailbox.clone());
                let mailbox = notice.mailbox.clone();
                self.shelf(now, &mailbox, undo).notice(now, notice)
            }
            MailboxOp::Fetch(fetch) => {
                let mailbox = fetch.mailbox.clone();
                self.shelf(now, &mailbox, undo).fetch(&fetch)
            }
            MailboxOp::Find { mailbox, prefix, limit } => self.shelf(now, &mailbox, undo).find(&prefix, limit),
            MailboxOp::Recall { mailbox, key } => MailboxDone::Known(self.shelf(now, &mailbox, undo).recall(&key)),
            MailboxOp::Ack { mailbox, key } => self.shelf(now, &mailbox, undo).ack(&key)?,
            MailboxOp::AckUpTo { mailbox, lane, seq } => self.shelf(now, &mailbox, undo).ack_up_to(lane, seq),
            MailboxOp::Purge { mailbox } => {
                self.shelf(now, &mailbox, undo).close();
                MailboxDone::Done
            }
            MailboxOp::Usage { mailbox } => MailboxDone::Usage(self.shelf(now, &mailbox, undo).usage()),
            MailboxOp::Read { space, key } => MailboxDone::Record(self.record(now, space, &key)),
            MailboxOp::Scan { space, prefix, after, limit } => {
                MailboxDone::Records(self.scan(now, space, &prefix, after.as_deref(), limit))
            }
            MailboxOp::Expect { space, key, value } => {
                if self.record(now, space, &key) != value {
                    return Err(Refusal::Changed);
                }
                MailboxDone::Done
            }
            MailboxOp::Write { change, expires } => {
                self.write(change, expires, undo);
                MailboxDone::Done
            }
        };
        Ok(done)
    }

    /// The mailbox without what is past its time; as it was before is kept for the case of a refusal.
    fn shelf(&mut self, now: Wall, mailbox: &MailboxId, undo: &mut Undo) -> &mut Shelf {
        let shelf = self.shelves.entry(mailbox.clone()).or_default();
        undo.shelves.entry(mailbox.clone()).or_insert_with(|| shelf.clone());
        shelf.sweep(now, usize::MAX);
        shelf
    }

    fn record(&self, now: Wall, space: Space, key: &[u8]) -> Option<Vec<u8>> {
        let kept = self.records.get(&(space, key.to_vec()))?;
        (!is_over(kept.expires, now)).then(|| kept.value.clone())
    }

    fn scan(&self, now: Wall, space: Space, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Vec<Record> {
        let all = self
            .records
            .range((space, prefix.to_vec())..)
            .take_while(|((s, key), _)| *s == space && key.starts_with(prefix));
        let wanted = all
            .filter(|((_, key), _)| after.is_none_or(|after| key.as_slice() > after))
            .filter(|(_, kept)| !is_over(kept.expires, now));
        wanted.take(limit).map(|((_, key), kept)| (key.clone(), kept.value.clone())).collect()
    }

    fn write(&mut self, Change { space, key, value }: Change, expires: Option<Wall>, undo: &mut Undo) {
        let at = (space, key);
        let before = match value {
            Some(value) => self.records.insert(at.clone(), Kept { value, expires }),
            None => self.records.remove(&at),
        };
        undo.records.entry(at).or_insert(before);
    }

    fn take_back(&mut self, undo: Undo) {
        self.shelves.extend(undo.shelves);
        for (at, before) in undo.records {
            match before {
                Some(before) => self.records.insert(at, before),
                None => self.records.remove(&at),
            };
        }
    }
}

/// What was there before a batch, as far as it was touched.
#[derive(Default)]
struct Undo {
    shelves: BTreeMap<MailboxId, Shelf>,
    records: BTreeMap<(Space, Vec<u8>), Option<Kept>>,
    news: BTreeSet<MailboxId>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use waypost_core::{Fetch, Notice, Put, Quota, Terms};

    const LARGE: Quota = Quota { item_bytes: 100, items: 9, bytes: 900, from_items: 9, from_bytes: 900 };
    const TERMS: Terms = Terms { item_bytes: 100, keep: Duration::from_millis(50), until: at(1000) };

    const fn at(millis: u64) -> Wall {
        Wall::from_millis(millis)
    }

    fn alice() -> MailboxId {
        MailboxId { space: Space("test/mailbox"), owner: b"alice".to_vec() }
    }

    fn put(key: &[u8], quota: Quota) -> MailboxOp {
        let (value, from) = (b"hello".to_vec(), b"bob".to_vec());
        let remember = Duration::from_millis(70);
        MailboxOp::Put(Put { mailbox: alice(), key: key.to_vec(), digest: [1; 32], from, value, quota, remember })
    }

    fn opened() -> MemoryMailbox {
        let mut mailboxes = MemoryMailbox::default();
        let done = mailboxes.commit(at(0), vec![MailboxOp::Open { mailbox: alice(), terms: TERMS }]);
        assert_eq!(done, [MailboxDone::Done]);
        mailboxes
    }

    fn stored(seq: u64, stamp: u64, again: bool) -> MailboxDone {
        MailboxDone::Put { seq, stamp: at(stamp), again }
    }

    #[test]
    fn stores_a_key_once_and_stamps_rise() {
        let mut mailboxes = opened();
        let done = mailboxes.commit(at(5), vec![put(b"a", LARGE), put(b"b", LARGE), put(b"a", LARGE)]);
        assert_eq!(done, [stored(1, 5, false), stored(2, 6, false), stored(1, 5, true)]);
        assert_eq!(mailboxes.take_news(), [alice()]);
        assert_eq!(mailboxes.take_news(), []);
    }

    #[test]
    fn a_refused_batch_changes_nothing() {
        let mut mailboxes = opened();
        let change = Change { space: Space("test/record"), key: vec![1], value: Some(vec![2]) };
        let small = Quota { items: 1, ..LARGE };
        let batch = vec![MailboxOp::Write { change, expires: None }, put(b"a", LARGE), put(b"b", small)];
        let done = mailboxes.commit(at(5), batch);
        assert_eq!(done, [MailboxDone::Done, stored(1, 5, false), MailboxDone::Refused(Refusal::MailboxFull)]);
        assert_eq!(mailboxes.take_news(), []);
        let read = MailboxOp::Read { space: Space("test/record"), key: vec![1] };
        assert_eq!(mailboxes.commit(at(5), vec![read]), [MailboxDone::Record(None)]);
        assert_eq!(mailboxes.commit(at(6), vec![put(b"b", small)]), [stored(1, 6, false)]);
    }

    #[test]
    fn a_letter_goes_by_the_terms_and_its_key_later() {
        let mut mailboxes = opened();
        let recall = |mailboxes: &mut MemoryMailbox, now| {
            let recall = MailboxOp::Recall { mailbox: alice(), key: b"a".to_vec() };
            match mailboxes.commit(at(now), vec![recall]).remove(0) {
                MailboxDone::Known(known) => known.map(|known| known.seq),
                other => panic!("{other:?}"),
            }
        };
        mailboxes.commit(at(10), vec![put(b"a", LARGE)]);
        assert_eq!(recall(&mut mailboxes, 59), Some(Some(1)));
        assert_eq!(recall(&mut mailboxes, 60), Some(None));
        assert_eq!(recall(&mut mailboxes, 79), Some(None));
        assert_eq!(recall(&mut mailboxes, 80), None);
    }

    #[test]
    fn notices_come_between_letters_and_the_oldest_goes_first() {
        let mut mailboxes = opened();
        let notice = |value: u8| {
            let keep = Duration::from_millis(500);
            MailboxOp::Notice(Notice { mailbox: alice(), value: vec![value], most: 2, keep })
        };
        mailboxes.commit(at(1), vec![notice(1), put(b"a", LARGE), notice(2), notice(3)]);
        let fetch = Fetch { mailbox: alice(), after: 0, since: at(1), items: 2, bytes: 1000, item_cost: 1 };
        let done = mailboxes.commit(at(1), vec![MailboxOp::Fetch(fetch)]).remove(0);
        let MailboxDone::Page { items, has_more } = done else { panic!("{done:?}") };
        assert_eq!(items.iter().map(|item| item.seq).collect::<Vec<_>>(), [2, 3]);
        assert!(has_more);
    }

    #[test]
    fn removes_no_more_than_asked() {
        let mut mailboxes = opened();
        mailboxes.commit(at(0), vec![put(b"a", LARGE), put(b"b", LARGE)]);
        assert_eq!([1, 9, 9].map(|limit| mailboxes.expire(at(51), limit)), [1, 1, 0]);
        assert_eq!(mailboxes.size(), (0, 0));
        assert_eq!([9, 9].map(|limit| mailboxes.expire(at(70), limit)), [2, 0], "the keys");
        assert_eq!([9, 9].map(|limit| mailboxes.expire(at(1000), limit)), [1, 0], "the mailbox");
    }
}
