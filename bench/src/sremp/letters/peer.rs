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
pub(super) fn inserts(folder: &Path, in_one: usize) -> Result<f64> {
    let mut database = Connection::open(folder.join(format!("peer-{in_one}.db")))?;
    database.execute_batch(
        "PRAGMA locking_mode = EXCLUSIVE;
         PRAGMA journal_mode = WAL;
         PRAGMA synchronous = FULL;
         CREATE TABLE letter (id BLOB NOT NULL PRIMARY KEY, at INTEGER NOT NULL, text TEXT NOT NULL) STRICT;",
    )?;
    let text = "w".repeat(200);
    let (mut number, mut rounds) = (0_u64, Vec::new());
    for _ in 0..ROUNDS {
        let (start, first) = (Instant::now(), number);
        while start.elapsed() < ROUND {
            let transaction = database.transaction()?;
            {
                let mut insert = transaction.prepare_cached("INSERT INTO letter (id, at, text) VALUES (?1, ?2, ?3)")?;
                for _ in 0..in_one {
                    number += 1;
                    let id = u128::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
                    insert.execute((id.to_be_bytes(), i64::try_from(number)?, &text))?;
                }
            }
            transaction.commit()?;
        }
        rounds.push(as_f64(number - first) / start.elapsed().as_secs_f64());
    }
    Ok(median(rounds))
}
