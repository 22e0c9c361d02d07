//! Records of the protocols, read through [`Records`] and changed by lists of [`Change`]s.

use crate::{
    Error, Store,
    column::{self, of_limit},
};
use rusqlite::params;
use waypost_core::{Change, Record, RecordFault, Records, Space};

impl Store {
    /// Writes and removes records.
    ///
    /// # Errors
    /// What the disk says; then none of them counts if no transaction is open, and an open one should be rolled
    /// back, or back to a savepoint.
    pub fn apply(&self, changes: &[Change]) -> Result<(), Error> {
        match changes {
            [] => Ok(()),
            [change] => self.apply_one(change),
            _ => self.whole(|| changes.iter().try_for_each(|change| self.apply_one(change))),
        }
    }

    fn apply_one(&self, Change { space, key, value }: &Change) -> Result<(), Error> {
        match value {
            Some(value) => self.run(
                "INSERT INTO record (space, key, value) VALUES (?1, ?2, ?3)
                 ON CONFLICT (space, key) DO UPDATE SET value = excluded.value",
                params![space.0, key, value],
            )?,
            None => self.run("DELETE FROM record WHERE space = ?1 AND key = ?2", params![space.0, key])?,
        };
        Ok(())
    }

    /// Removes all records of a family under `prefix`; how many there were. For sessions that a restored backup
    /// must not use again.
    ///
    /// # Errors
    /// What the disk says.
    pub fn remove_records(&self, space: Space, prefix: &[u8]) -> Result<usize, Error> {
        match successor(prefix) {
            Some(end) => self
                .run("DELETE FROM record WHERE space = ?1 AND key >= ?2 AND key < ?3", params![space.0, prefix, end]),
            None => self.run("DELETE FROM record WHERE space = ?1 AND key >= ?2", params![space.0, prefix]),
        }
    }

    fn count_records(&self, space: Space, prefix: &[u8]) -> Result<u64, Error> {
        let count = match successor(prefix) {
            Some(end) => self.one(
                "SELECT count(*) FROM record WHERE space = ?1 AND key >= ?2 AND key < ?3",
                params![space.0, prefix, end],
                |row| column::number(row, 0),
            ),
            None => self.one(
                "SELECT count(*) FROM record WHERE space = ?1 AND key >= ?2",
                params![space.0, prefix],
                |row| column::number(row, 0),
            ),
        };
        Ok(count?.unwrap_or(0))
    }
}

impl Records for Store {
    fn record(&self, space: Space, key: &[u8]) -> Result<Option<Vec<u8>>, RecordFault> {
        Ok(self.one("SELECT value FROM record WHERE space = ?1 AND key = ?2", params![space.0, key], |row| {
            Ok(row.get(0)?)
        })?)
    }

    fn records(
        &self,
        space: Space,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Record>, RecordFault> {
        // The smallest key above `after` is `after` and a zero.
        let above = after.map(|after| [after, &[0]].concat());
        let from = above.as_deref().filter(|above| *above > prefix).unwrap_or(prefix);
        let mut found: Vec<Record> = self.all(
            "SELECT key, value FROM record WHERE space = ?1 AND key >= ?2 AND (?3 IS NULL OR key < ?3)
             ORDER BY key LIMIT ?4",
            params![space.0, from, successor(prefix), of_limit(limit)],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )?;
        found.retain(|(key, _)| key.starts_with(prefix));
        Ok(found)
    }

    fn count(&self, space: Space, prefix: &[u8]) -> Result<u64, RecordFault> {
        Ok(self.count_records(space, prefix)?)
    }
}

/// The first key after all that start with `prefix`, if there is one.
fn successor(prefix: &[u8]) -> Option<Vec<u8>> {
    let last = prefix.iter().rposition(|&byte| byte != 0xff)?;
    let mut end = prefix.get(..=last)?.to_vec();
    if let Some(byte) = end.last_mut() {
        *byte += 1;
    }
    Some(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_key_after_a_prefix() {
        assert_eq!(successor(b"ab"), Some(b"ac".to_vec()));
        assert_eq!(successor(&[1, 0xff, 0xff]), Some(vec![2]));
        assert_eq!(successor(&[0xff]), None);
        assert_eq!(successor(&[]), None);
    }
}
