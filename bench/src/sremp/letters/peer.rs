//! SQLite alone: what the same disk gives to a program that does nothing but insert rows and wait for them.
//!
//! One table, one row of 200 bytes a letter, no encryption, WAL with a sync at each commit: the settings of
//! `waypost-store`. A letter through two nodes is at least three commits that wait for each other (the
//! sender's, the recipient's, and the sender's again), with some twenty changed rows in them.

use crate::measure::{as_f64, median};
use anyhow::Result;
use rusqlite::Connection;
use std::{
    path::Path,
    time::{Duration, Instant},
};

const ROUND: Duration = Duration::from_millis(300);
const ROUNDS: usize = 5;

/// Rows a second, so many in one transaction: the median of the rounds.
pub(super) fn per_second(folder: &Path, in_one: u64) -> Result<f64> {
    let mut inserts = Inserts::open(&folder.join(format!("peer-{in_one}.db")))?;
    let mut rounds = Vec::new();
    for _ in 0..ROUNDS {
        let (start, first) = (Instant::now(), inserts.number);
        while start.elapsed() < ROUND {
            inserts.insert(in_one)?;
        }
        rounds.push(as_f64(inserts.number - first) / start.elapsed().as_secs_f64());
    }
    Ok(median(rounds))
}

/// One open database.
pub(super) struct Inserts {
    database: Connection,
    text: String,
    number: u64,
}

impl Inserts {
    pub(super) fn open(path: &Path) -> Result<Self> {
        let database = Connection::open(path)?;
        database.execute_batch(
            "PRAGMA locking_mode = EXCLUSIVE;
             PRAGMA journal_mode = WAL;
             PRAGMA synchronous = FULL;
             CREATE TABLE letter (id BLOB NOT NULL PRIMARY KEY, at INTEGER NOT NULL, text TEXT NOT NULL) STRICT;",
        )?;
        Ok(Self { database, text: "w".repeat(200), number: 0 })
    }

    /// So many rows in one transaction; on disk when this returns.
    pub(super) fn insert(&mut self, rows: u64) -> Result<()> {
        let transaction = self.database.transaction()?;
        {
            let mut insert = transaction.prepare_cached("INSERT INTO letter (id, at, text) VALUES (?1, ?2, ?3)")?;
            for _ in 0..rows {
                self.number += 1;
                let id = u128::from(self.number).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
                insert.execute((id.to_be_bytes(), i64::try_from(self.number)?, &self.text))?;
            }
        }
        Ok(transaction.commit()?)
    }
}
