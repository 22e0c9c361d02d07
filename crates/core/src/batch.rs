//! Changes not yet committed, laid over the records they change.

use crate::{Change, Record, RecordFault, Records, Space};
use std::collections::BTreeMap;

/// What one step of a machine has changed so far; reads through it see the changes.
pub struct Batch<'a, R: Records + ?Sized> {
    below: &'a R,
    changed: BTreeMap<(Space, Vec<u8>), Option<Vec<u8>>>,
}

impl<'a, R: Records + ?Sized> Batch<'a, R> {
    /// No changes yet, over `below`.
    pub fn new(below: &'a R) -> Self {
        Self { below, changed: BTreeMap::new() }
    }

    /// Writes a record.
    pub fn put(&mut self, space: Space, key: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) {
        self.changed.insert((space, key.into()), Some(value.into()));
    }

    /// Removes a record, if it is there.
    pub fn remove(&mut self, space: Space, key: impl Into<Vec<u8>>) {
        self.changed.insert((space, key.into()), None);
    }

    /// Takes over the changes of a step that was tried on top of this one.
    pub fn absorb(&mut self, changes: Vec<Change>) {
        for change in changes {
            self.changed.insert((change.space, change.key), change.value);
        }
    }

    /// Whether nothing was changed.
    pub fn is_empty(&self) -> bool {
        self.changed.is_empty()
    }

    /// The changes, in order of space and key.
    pub fn into_changes(self) -> Vec<Change> {
        self.changed.into_iter().map(|((space, key), value)| Change { space, key, value }).collect()
    }

    /// The changed keys of `space` under `prefix`, in order.
    fn changed_under<'s>(
        &'s self,
        space: Space,
        prefix: &'s [u8],
    ) -> impl Iterator<Item = (&'s Vec<u8>, &'s Option<Vec<u8>>)> {
        self.changed
            .range((space, prefix.to_vec())..)
            .take_while(move |((s, key), _)| *s == space && key.starts_with(prefix))
            .map(|((_, key), value)| (key, value))
    }
}

impl<R: Records + ?Sized> Records for Batch<'_, R> {
    fn record(&self, space: Space, key: &[u8]) -> Result<Option<Vec<u8>>, RecordFault> {
        match self.changed.get(&(space, key.to_vec())) {
            Some(value) => Ok(value.clone()),
            None => self.below.record(space, key),
        }
    }

    fn records(
        &self,
        space: Space,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Record>, RecordFault> {
        // Each removed or replaced record below can take one place of the answer; ask for as many more.
        let is_asked_for = |key: &[u8]| after.is_none_or(|after| key > after);
        let hidden = self.changed_under(space, prefix).filter(|(key, _)| is_asked_for(key)).count();
        let below = self.below.records(space, prefix, after, limit.saturating_add(hidden))?;
        let mut merged: BTreeMap<Vec<u8>, Vec<u8>> = below.into_iter().collect();
        for (key, value) in self.changed_under(space, prefix).filter(|(key, _)| is_asked_for(key)) {
            match value {
                Some(value) => merged.insert(key.clone(), value.clone()),
                None => merged.remove(key),
            };
        }
        Ok(merged.into_iter().take(limit).collect())
    }

    fn count(&self, space: Space, prefix: &[u8]) -> Result<u64, RecordFault> {
        let mut count = self.below.count(space, prefix)?;
        for (key, value) in self.changed_under(space, prefix) {
            match (self.below.record(space, key)?.is_some(), value.is_some()) {
                (true, false) => count = count.saturating_sub(1),
                (false, true) => count = count.saturating_add(1),
                _ => {}
            }
        }
        Ok(count)
    }
}

/// Records in memory: for tests, simulations and tools that keep nothing.
#[derive(Clone, Debug, Default)]
pub struct MemoryRecords(BTreeMap<(Space, Vec<u8>), Vec<u8>>);

impl MemoryRecords {
    /// Makes the changes.
    pub fn apply(&mut self, changes: Vec<Change>) {
        for Change { space, key, value } in changes {
            match value {
                Some(value) => self.0.insert((space, key), value),
                None => self.0.remove(&(space, key)),
            };
        }
    }
}

impl Records for MemoryRecords {
    fn record(&self, space: Space, key: &[u8]) -> Result<Option<Vec<u8>>, RecordFault> {
        Ok(self.0.get(&(space, key.to_vec())).cloned())
    }

    fn records(
        &self,
        space: Space,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Record>, RecordFault> {
        let all =
            self.0.range((space, prefix.to_vec())..).take_while(|((s, key), _)| *s == space && key.starts_with(prefix));
        let wanted = all.filter(|((_, key), _)| after.is_none_or(|after| key.as_slice() > after));
        Ok(wanted.take(limit).map(|((_, key), value)| (key.clone(), value.clone())).collect())
    }

    fn count(&self, space: Space, prefix: &[u8]) -> Result<u64, RecordFault> {
        let all =
            self.0.range((space, prefix.to_vec())..).take_while(|((s, key), _)| *s == space && key.starts_with(prefix));
        Ok(all.count() as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPACE: Space = Space("test/things");
    const OTHER: Space = Space("test/zzz");

    fn below() -> MemoryRecords {
        let mut records = MemoryRecords::default();
        records.apply(
            [(SPACE, "a1"), (SPACE, "a2"), (SPACE, "b1"), (OTHER, "a1")]
                .map(|(space, key)| Change { space, key: key.into(), value: Some(b"old".to_vec()) })
                .into(),
        );
        records
    }

    #[test]
    fn shows_its_changes_over_what_is_below() {
        let below = below();
        let mut batch = Batch::new(&below);
        batch.put(SPACE, "a0", "new");
        batch.put(SPACE, "a2", "new");
        batch.remove(SPACE, "a1");
        assert_eq!(batch.record(SPACE, b"a1").unwrap(), None);
        assert_eq!(batch.record(SPACE, b"b1").unwrap(), Some(b"old".to_vec()));
        let listed = batch.records(SPACE, b"a", None, 9).unwrap();
        assert_eq!(listed, [(b"a0".to_vec(), b"new".to_vec()), (b"a2".to_vec(), b"new".to_vec())]);
        assert_eq!(batch.records(SPACE, b"a", Some(b"a0"), 1).unwrap().len(), 1);
        assert_eq!(batch.count(SPACE, b"a").unwrap(), 2);
        assert_eq!(batch.count(SPACE, b"").unwrap(), 3);
        assert_eq!(batch.into_changes().len(), 3);
    }
}
