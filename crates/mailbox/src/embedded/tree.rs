//! Rows in the order of their keys, in a few tables: all the engine asks of the database below.

use crate::Error;
use std::{collections::BTreeMap, ops::Bound};

/// Where a row lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Table {
    /// One row: form, counters, totals.
    Meta,
    /// By space and owner.
    Mailbox,
    /// By mailbox number, lane and seq: all about a letter or notice but its content.
    Item,
    /// By mailbox number and letter's key: what is remembered.
    Key,
    /// By mailbox number and sender: the sender's share.
    Sender,
    /// By space and key.
    Record,
    /// By time: what is to be looked at then.
    Due,
    /// By a number that only rises: contents. They lie apart so that long ones do not slow down the rest.
    Content,
}

impl Table {
    pub(super) const ALL: [Self; 8] =
        [Self::Meta, Self::Mailbox, Self::Item, Self::Key, Self::Sender, Self::Record, Self::Due, Self::Content];
}

/// A key and what is under it.
pub(super) type Row = (Vec<u8>, Vec<u8>);

/// A view that does not change under who reads it.
pub(super) trait Read {
    fn row(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, Error>;

    /// The first rows from `from` on and before `to`, at most `limit`, in the order of keys.
    fn rows(&self, table: Table, from: &[u8], to: &[u8], limit: usize) -> Result<Vec<Row>, Error>;
}

/// Rows to write, or to remove, in the order of tables and keys.
pub(super) type Changes = BTreeMap<Table, BTreeMap<Vec<u8>, Option<Vec<u8>>>>;

/// The first key behind all that start with `prefix`.
pub(super) fn behind(prefix: &[u8]) -> Vec<u8> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if let Some(next) = last.checked_add(1) {
            end.push(next);
            return end;
        }
    }
    // Only a prefix of nothing but 255s has no such key; ours start with a number or a name.
    vec![u8::MAX; 512]
}

/// How many rows are read at once where some may be hidden by changes.
const STRIDE: usize = 64;

/// A table, a key, and the change of it that was there before, if there was one.
type Before = (Table, Vec<u8>, Option<Option<Vec<u8>>>);

/// Changes not yet committed, laid over the rows they change. The last ones can be taken back.
///
/// All batches of a group are worked off on one of these: a row that many of them change, like a mailbox's
/// counters, is written once.
pub(super) struct Overlay<'a, R> {
    below: &'a R,
    changed: Changes,
    /// What `changed` held before each change since the last mark.
    before: Vec<Before>,
}

impl<'a, R: Read> Overlay<'a, R> {
    pub(super) fn new(below: &'a R) -> Self {
        Self { below, changed: BTreeMap::new(), before: Vec::new() }
    }

    pub(super) fn put(&mut self, table: Table, key: Vec<u8>, value: Vec<u8>) {
        self.change(table, key, Some(value));
    }

    pub(super) fn remove(&mut self, table: Table, key: Vec<u8>) {
        self.change(table, key, None);
    }

    /// From here on, changes can be taken back.
    pub(super) fn mark(&mut self) {
        self.before.clear();
    }

    /// Takes back all changes since the mark.
    pub(super) fn take_back(&mut self) {
        while let Some((table, key, before)) = self.before.pop() {
            let rows = self.changed.entry(table).or_default();
            match before {
                Some(before) => rows.insert(key, before),
                None => rows.remove(&key),
            };
        }
    }

    pub(super) fn into_changes(self) -> Changes {
        self.changed
    }

    fn change(&mut self, table: Table, key: Vec<u8>, value: Option<Vec<u8>>) {
        let before = self.changed.entry(table).or_default().insert(key.clone(), value);
        self.before.push((table, key, before));
    }
}

impl<R: Read> Read for Overlay<'_, R> {
    fn row(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        match self.changed.get(&table).and_then(|rows| rows.get(key)) {
            Some(value) => Ok(value.clone()),
            None => self.below.row(table, key),
        }
    }

    fn rows(&self, table: Table, from: &[u8], to: &[u8], limit: usize) -> Result<Vec<Row>, Error> {
        let none = BTreeMap::new();
        let changed = self.changed.get(&table).unwrap_or(&none);
        let is_changed = |end| changed.range::<[u8], _>((Bound::Included(from), end)).next().is_some();
        if from >= to || !is_changed(Bound::Excluded(to)) {
            return self.below.rows(table, from, to, limit);
        }
        let (mut merged, mut start) = (Vec::new(), from.to_vec());
        loop {
            let wanted = limit.saturating_sub(merged.len());
            let at_once = wanted.max(STRIDE);
            let mut stretch: BTreeMap<_, _> = self.below.rows(table, &start, to, at_once)?.into_iter().collect();
            let is_last = stretch.len() < at_once;
            let last = stretch.last_key_value().map(|(key, _)| key.clone());
            let end = match &last {
                Some(last) if !is_last => Bound::Included(last.as_slice()),
                _ => Bound::Excluded(to),
            };
            for (key, value) in changed.range::<[u8], _>((Bound::Included(start.as_slice()), end)) {
                match value {
                    Some(value) => stretch.insert(key.clone(), value.clone()),
                    None => stretch.remove(key),
                };
            }
            merged.extend(stretch.into_iter().take(wanted));
            match last {
                Some(mut last) if !is_last && merged.len() < limit => {
                    last.push(0);
                    start = last;
                }
                _ => return Ok(merged),
            }
        }
    }
}
