//! The tables in one SQLite file: rows by key, contents by number.
//!
//! A commit appends the changed pages to the log beside the file and syncs it once. A torn end of the log is
//! found by its checksums and ignored: what is there is what was committed. From time to time the log is copied
//! into the file; what a crash leaves of that is done again at the next start.

use super::tree::{Changes, Read, Row, Table};
use crate::Error;
use rusqlite::{CachedStatement, Connection, OpenFlags, OptionalExtension, Params, params};
use std::{path::Path, time::Duration};

/// Pages in the log before they are copied into the file (16 MiB): the more, the oftener a page that changes
/// again and again is copied only once, and the longer the pause. Four times as many gained nothing.
const LOG_PAGES: i64 = 4_000;

/// How long the copying of the log waits for readers, who are our own and brief.
const PATIENCE: Duration = Duration::from_secs(1);

/// A statement that names the table.
macro_rules! sql {
    ($table:expr, $before:literal, $after:literal) => {
        match $table {
            Table::Meta => concat!($before, "meta", $after),
            Table::Mailbox => concat!($before, "mailbox", $after),
            Table::Item => concat!($before, "item", $after),
            Table::Key => concat!($before, "known", $after),
            Table::Sender => concat!($before, "sender", $after),
            Table::Record => concat!($before, "record", $after),
            Table::Due => concat!($before, "due", $after),
            Table::Content => concat!($before, "content", $after),
        }
    };
}

/// One connection. Everything is read and written between `begin_..` and `commit`, `end` or `roll_back`.
pub(super) struct File(Connection);

impl File {
    /// The connection that writes. Makes the tables if they are not there.
    pub(super) fn writer(path: &Path, cache: usize) -> Result<Self, Error> {
        let file = Self::connect(path, cache)?;
        file.0.pragma_update(None, "journal_mode", "WAL")?;
        // Not within a commit: its callers wait. See `shorten_log`.
        file.0.pragma_update(None, "wal_autocheckpoint", 0)?;
        for table in Table::ALL {
            let statement = match table {
                Table::Content => {
                    sql!(table, "CREATE TABLE IF NOT EXISTS ", " (k INTEGER PRIMARY KEY, v BLOB NOT NULL) STRICT")
                }
                _ => sql!(
                    table,
                    "CREATE TABLE IF NOT EXISTS ",
                    " (k BLOB NOT NULL PRIMARY KEY, v BLOB NOT NULL) STRICT, WITHOUT ROWID"
                ),
            };
            file.0.execute_batch(statement)?;
        }
        Ok(file)
    }

    /// A connection that reads, after [`File::writer`].
    pub(super) fn reader(path: &Path, cache: usize) -> Result<Self, Error> {
        let file = Self::connect(path, cache)?;
        file.0.pragma_update(None, "query_only", true)?;
        Ok(file)
    }

    fn connect(path: &Path, cache: usize) -> Result<Self, Error> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags)?;
        connection.busy_timeout(PATIENCE)?;
        connection.set_prepared_statement_cache_capacity(8 * Table::ALL.len());
        // Negative: in KiB, not in pages.
        let cache = i64::try_from(cache / 1024).unwrap_or(i64::MAX);
        connection.pragma_update(None, "cache_size", -cache)?;
        connection.pragma_update(None, "temp_store", "MEMORY")?;
        // Each commit is synced, not only each copy of the log.
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.pragma_update(None, "cell_size_check", true)?;
        Ok(Self(connection))
    }

    pub(super) fn begin_write(&self) -> Result<(), Error> {
        self.run("BEGIN IMMEDIATE")
    }

    pub(super) fn begin_read(&self) -> Result<(), Error> {
        self.run("BEGIN")
    }

    /// Ends a snapshot.
    pub(super) fn end(&self) -> Result<(), Error> {
        self.run("COMMIT")
    }

    /// Makes the changes durable, or none of them.
    pub(super) fn commit(&self, changes: Changes) -> Result<(), Error> {
        for (table, rows) in changes {
            let mut put = self.0.prepare_cached(sql!(table, "INSERT OR REPLACE INTO ", " (k, v) VALUES (?1, ?2)"))?;
            let mut remove = self.0.prepare_cached(sql!(table, "DELETE FROM ", " WHERE k = ?1"))?;
            for (key, value) in rows {
                match (table, value) {
                    (Table::Content, Some(value)) => put.execute(params![number(&key)?, value])?,
                    (Table::Content, None) => remove.execute([number(&key)?])?,
                    (_, Some(value)) => put.execute(params![key, value])?,
                    (_, None) => remove.execute([key])?,
                };
            }
        }
        self.run("COMMIT")
    }

    /// Copies the log into the file when it has become long, and lets it begin anew. Waits for readers that are at
    /// work: if it only tried, some reader would always be in the way on a busy server, and the log would grow.
    /// What fails here is tried again after the next commit; everything is on disk already.
    pub(super) fn shorten_log(&self) {
        let pages = |row: &rusqlite::Row<'_>| row.get::<_, i64>(1);
        let length = self.0.query_row("PRAGMA wal_checkpoint(NOOP)", [], pages);
        if length.is_ok_and(|length| length >= LOG_PAGES) {
            drop(self.0.query_row("PRAGMA wal_checkpoint(RESTART)", [], pages));
        }
    }

    /// Leaves everything as it was at the beginning; whether the connection can go on.
    pub(super) fn roll_back(&self) -> bool {
        self.0.is_autocommit() || self.0.execute_batch("ROLLBACK").is_ok() || self.0.is_autocommit()
    }

    pub(super) fn close(self) -> Result<(), Error> {
        self.0.close().map_err(|(_, error)| error.into())
    }

    /// As if the disk had no more room.
    #[cfg(test)]
    pub(super) fn bound(&self, pages: u32) {
        self.0.pragma_update(None, "max_page_count", pages).unwrap();
    }

    fn run(&self, statement: &str) -> Result<(), Error> {
        self.0.prepare_cached(statement)?.execute([])?;
        Ok(())
    }
}

impl Read for File {
    fn row(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        let statement = self.0.prepare_cached(sql!(table, "SELECT v FROM ", " WHERE k = ?1"))?;
        match table {
            Table::Content => value(statement, [number(key)?]),
            _ => value(statement, [key]),
        }
    }

    fn rows(&self, table: Table, from: &[u8], to: &[u8], limit: usize) -> Result<Vec<Row>, Error> {
        let select = sql!(table, "SELECT k, v FROM ", " WHERE k >= ?1 AND k < ?2 ORDER BY k LIMIT ?3");
        let mut statement = self.0.prepare_cached(select)?;
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let found = statement.query_map(params![from, to, limit], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(found.collect::<Result<_, _>>()?)
    }
}

fn value(mut statement: CachedStatement<'_>, key: impl Params) -> Result<Option<Vec<u8>>, Error> {
    Ok(statement.query_row(key, |row| row.get(0)).optional()?)
}

/// Contents are numbered from 1 on, one a time: their keys fit.
fn number(key: &[u8]) -> Result<i64, Error> {
    let bytes = key.try_into().map_err(|_| Error::Internal("a content's key is a number"))?;
    Ok(i64::from_be_bytes(bytes))
}
