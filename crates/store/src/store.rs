//! The open database: key, settings of SQLite, transactions.

use crate::{
    Error, file,
    migration::{MIGRATIONS, migrate},
};
use rusqlite::{Connection, OpenFlags, Params, Row, config::DbConfig};
use std::{
    fmt::{self, Write},
    fs,
    path::Path,
    time::Duration,
};
use zeroize::Zeroizing;

/// One person's database, open in this process alone.
///
/// Between [`Store::begin`] and [`Store::commit`] everything belongs to one transaction, and reads see
/// what was written in it. A write outside of one commits by itself.
pub struct Store {
    conn: Connection,
    /// Whether the caller is between begin and commit.
    begun: bool,
    savepoints: u32,
    /// Most steps of SQLite's machine that a statement took.
    #[cfg(test)]
    work: std::cell::RefCell<(i32, &'static str)>,
}

impl Store {
    /// Opens the database or makes a new one: file of mode 0600, in a folder of mode 0700 if that is new too.
    ///
    /// # Errors
    /// [`Error::WrongKey`], [`Error::Newer`], [`Error::InUse`], [`Error::Damaged`], [`Error::Io`], [`Error::Full`].
    pub fn open(path: &Path, key: &[u8; 32]) -> Result<Self, Error> {
        Self::open_with(path, key, MIGRATIONS)
    }

    pub(crate) fn open_with(path: &Path, key: &[u8; 32], migrations: &[&str]) -> Result<Self, Error> {
        file::make_private(path)?;
        let flags =
            OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_EXRESCODE;
        let conn = Connection::open_with_flags(path, flags)?;
        conn.busy_timeout(Duration::ZERO)?;
        conn.set_prepared_statement_cache_capacity(128);
        conn.execute_batch(&key_pragma(key))?;
        conn.execute_batch(SETTINGS)?;
        conn.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
        migrate(&conn, migrations)?;
        Ok(Self {
            conn,
            begun: false,
            savepoints: 0,
            #[cfg(test)]
            work: Default::default(),
        })
    }

    /// Starts a transaction.
    ///
    /// # Errors
    /// [`Error::Misuse`] if one is open.
    pub fn begin(&mut self) -> Result<(), Error> {
        if self.begun {
            return Err(Error::Misuse("a transaction is open already"));
        }
        self.run("BEGIN IMMEDIATE", ())?;
        self.begun = true;
        Ok(())
    }

    /// Makes durable all that was written since [`Store::begin`]: on disk when this returns.
    ///
    /// # Errors
    /// [`Error::Misuse`] if no transaction is open; otherwise what the disk says, and then nothing was written.
    pub fn commit(&mut self) -> Result<(), Error> {
        if !self.begun {
            return Err(Error::Misuse("no transaction is open"));
        }
        let done = self.run("COMMIT", ());
        match done {
            Ok(_) => {
                self.begun = false;
                self.savepoints = 0;
                Ok(())
            }
            Err(error) => {
                // A failed commit may leave the transaction open; half a success is none.
                self.rollback()?;
                Err(error)
            }
        }
    }

    /// Forgets all that was written since [`Store::begin`].
    ///
    /// # Errors
    /// [`Error::Misuse`] if no transaction is open.
    pub fn rollback(&mut self) -> Result<(), Error> {
        if !self.begun {
            return Err(Error::Misuse("no transaction is open"));
        }
        self.begun = false;
        self.savepoints = 0;
        // After some errors SQLite has rolled back by itself.
        if self.conn.is_autocommit() {
            return Ok(());
        }
        self.run("ROLLBACK", ())?;
        Ok(())
    }

    /// Whether a transaction is open.
    pub fn in_transaction(&self) -> bool {
        self.begun
    }

    /// Marks a place in the open transaction to which [`Store::rollback_to`] goes back. Nests.
    ///
    /// # Errors
    /// [`Error::Misuse`] if no transaction is open.
    pub fn savepoint(&mut self) -> Result<(), Error> {
        if !self.begun {
            return Err(Error::Misuse("no transaction is open"));
        }
        self.run("SAVEPOINT step", ())?;
        self.savepoints += 1;
        Ok(())
    }

    /// Forgets the last mark and keeps what was written since.
    ///
    /// # Errors
    /// [`Error::Misuse`] if there is none.
    pub fn release(&mut self) -> Result<(), Error> {
        self.end_savepoint()?;
        self.run("RELEASE step", ())?;
        Ok(())
    }

    /// Forgets what was written since the last mark, and the mark.
    ///
    /// # Errors
    /// [`Error::Misuse`] if there is none.
    pub fn rollback_to(&mut self) -> Result<(), Error> {
        self.end_savepoint()?;
        self.run("ROLLBACK TO step", ())?;
        self.run("RELEASE step", ())?;
        Ok(())
    }

    fn end_savepoint(&mut self) -> Result<(), Error> {
        self.savepoints = self.savepoints.checked_sub(1).ok_or(Error::Misuse("there is no savepoint"))?;
        Ok(())
    }

    /// Writes a compact copy of all that is committed into a new file of mode 0600, under the same key; for backups.
    /// Takes long on a big database.
    ///
    /// # Errors
    /// [`Error::Misuse`] inside of a transaction; [`Error::Io`], for one if the file exists; [`Error::Full`].
    pub fn copy_to(&self, path: &Path) -> Result<(), Error> {
        if self.begun {
            return Err(Error::Misuse("a copy is made outside of a transaction"));
        }
        let name = path.to_str().ok_or(Error::Misuse("the path of a copy must be UTF-8"))?;
        file::create_private(path)?;
        // Without a key of its own the copy takes that of the database.
        let done = self.run("VACUUM INTO ?1", [name]);
        if done.is_err() {
            let _ = fs::remove_file(path);
        }
        done?;
        fs::File::open(path).and_then(|file| file.sync_all()).map_err(file::failed("sync", path))
    }

    /// From now on commits do not wait for the disk: they survive the end of the process, however sudden, but not
    /// that of the machine. For simulations that commit thousands of times.
    ///
    /// # Errors
    /// [`Error::Misuse`] inside of a transaction.
    pub fn danger_skip_sync(&mut self) -> Result<(), Error> {
        if self.begun {
            return Err(Error::Misuse("a transaction is open already"));
        }
        self.run("PRAGMA synchronous = OFF", ())?;
        Ok(())
    }

    /// Looks through the whole database for damage; an empty answer is good news. Takes long on a big one.
    ///
    /// # Errors
    /// What the disk says.
    pub fn check(&self) -> Result<Vec<String>, Error> {
        let mut found = Vec::new();
        for pragma in ["PRAGMA cipher_integrity_check", "PRAGMA integrity_check(20)", "PRAGMA foreign_key_check"] {
            match self.all(pragma, (), |row| Ok(row.get::<_, String>(0)?)) {
                Ok(lines) => found.extend(lines),
                Err(Error::Damaged(what)) => found.push(what),
                Err(error) => return Err(error),
            }
        }
        found.retain(|line| line != "ok");
        Ok(found)
    }

    /// Several statements that count all or not at all, inside a transaction or without one.
    pub(crate) fn whole<T>(&self, steps: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
        self.run("SAVEPOINT whole", ())?;
        let done = steps();
        if done.is_err() {
            // If SQLite has rolled everything back there is nothing to go back to; the first error says why.
            let _ = self.run("ROLLBACK TO whole", ());
            let _ = self.run("RELEASE whole", ());
            return done;
        }
        self.run("RELEASE whole", ())?;
        done
    }

    /// Runs a statement and tells how many rows it changed.
    pub(crate) fn run(&self, sql: &'static str, params: impl Params) -> Result<usize, Error> {
        self.check_transaction()?;
        let mut statement = self.conn.prepare_cached(sql)?;
        let changed = statement.execute(params)?;
        #[cfg(test)]
        self.note_work(sql, &statement);
        Ok(changed)
    }

    /// The first row of an answer.
    pub(crate) fn one<T>(
        &self,
        sql: &'static str,
        params: impl Params,
        read: impl FnOnce(&Row<'_>) -> Result<T, Error>,
    ) -> Result<Option<T>, Error> {
        self.check_transaction()?;
        let mut statement = self.conn.prepare_cached(sql)?;
        let mut rows = statement.query(params)?;
        let found = rows.next()?.map(read).transpose()?;
        drop(rows);
        #[cfg(test)]
        self.note_work(sql, &statement);
        Ok(found)
    }

    /// All rows of an answer.
    pub(crate) fn all<T>(
        &self,
        sql: &'static str,
        params: impl Params,
        mut read: impl FnMut(&Row<'_>) -> Result<T, Error>,
    ) -> Result<Vec<T>, Error> {
        self.check_transaction()?;
        let mut statement = self.conn.prepare_cached(sql)?;
        let mut rows = statement.query(params)?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            found.push(read(row)?);
        }
        drop(rows);
        #[cfg(test)]
        self.note_work(sql, &statement);
        Ok(found)
    }

    #[cfg(test)]
    fn note_work(&self, sql: &'static str, statement: &rusqlite::Statement<'_>) {
        let steps = statement.reset_status(rusqlite::StatementStatus::VmStep);
        let mut work = self.work.borrow_mut();
        if steps > work.0 {
            *work = (steps, sql);
        }
    }

    /// The seq of the row just inserted.
    pub(crate) fn last_seq(&self) -> i64 {
        self.conn.last_insert_rowid()
    }

    /// A full disk makes SQLite give up the whole transaction; statements after that would commit one by one.
    fn check_transaction(&self) -> Result<(), Error> {
        if self.begun && self.conn.is_autocommit() {
            return Err(Error::TransactionLost);
        }
        Ok(())
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Store(in transaction: {})", self.begun)
    }
}

/// - One process holds the file (`EXCLUSIVE`), so the write-ahead log needs no shared-memory file.
/// - `FULL`: a commit waits for the disk.
/// - 4 MiB of cache; a log of at most 16 MiB is kept between checkpoints.
/// - Free pages are overwritten, temporary data stays in memory.
const SETTINGS: &str = "
    PRAGMA locking_mode = EXCLUSIVE;
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = FULL;
    PRAGMA foreign_keys = ON;
    PRAGMA secure_delete = ON;
    PRAGMA cache_size = -4096;
    PRAGMA temp_store = MEMORY;
    PRAGMA journal_size_limit = 16777216;
    PRAGMA trusted_schema = OFF;
    PRAGMA cell_size_check = ON;
";

/// The key as raw bytes, so no time goes into deriving one; and SQLCipher writes nothing to the terminal, its errors
/// come back as results. Its `cipher_memory_security` stays off: it locks and wipes every allocation of SQLite, which
/// makes a letter fifteen times as dear; the key itself is in locked memory of SQLCipher's own without it.
fn key_pragma(key: &[u8; 32]) -> Zeroizing<String> {
    let mut sql = Zeroizing::new(String::with_capacity(200));
    sql.push_str("PRAGMA cipher_log_level = NONE; PRAGMA key = \"x'");
    for byte in key {
        // Writing to a string does not fail.
        let _ = write!(sql, "{byte:02x}");
    }
    sql.push_str("'\"");
    sql
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{LetterRow, OutboxRow, RouteRow, State, TraceRow, Unread, WarningRow};
    use waypost_core::{Body, ContactId, Letter, LetterId, Protection, RouteId, Wall, Wire};

    const BOB: ContactId = ContactId::from_bytes([2; 32]);
    const NOW: Wall = Wall::from_millis(1000);

    fn id(number: u64) -> LetterId {
        LetterId::from_bytes(u128::from(number).to_be_bytes())
    }

    fn day(store: &Store, number: u64, body: Body) -> Result<(), Error> {
        let letter = Letter { id: id(number), sent: NOW, body };
        store.insert_letter(&LetterRow::incoming(BOB, letter.clone(), NOW, Protection::default(), Wire::Sremp))?;
        store.insert_letter(&LetterRow::outgoing(BOB, letter, NOW))?;
        let letter = id(number);
        store.put_outbox(&OutboxRow { contact: BOB, letter, attempts: 0, next_try: NOW, created: NOW })?;
        let row = RouteRow {
            route: RouteId(0),
            contact: BOB,
            letter,
            wire: Wire::Sremp,
            via: "x".into(),
            started: NOW,
            ended: None,
            outcome: None,
            protection: Protection::default(),
        };
        let route = store.add_route(&row)?;
        store.add_trace(&TraceRow { contact: BOB, letter, at: NOW, what: "sent".into(), route: Some(route) })?;
        store.end_route(route, "delivered", NOW)?;
        store.set_letter_state(BOB, letter, &State::Delivered)?;
        store.mark_read(BOB, Unread::All, NOW)?;
        store.mark_read(BOB, Unread::These(&[letter]), NOW)?;
        store.remove_outbox(BOB, letter)?;
        Ok(())
    }

    /// Work that grows with the history would not show in small tests and ruin a big one.
    #[test]
    fn no_statement_of_daily_work_walks_through_the_history() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = Store::open(&folder.path().join("letters.db"), &[7; 32]).unwrap();
        let texts = |number: u64| Body::Text { text: format!("word number{number}") };
        let bodies = |number: u64| {
            let to = id(number - number % 5);
            match number % 5 {
                1 => Body::Edit { to, text: "other".into() },
                2 => Body::Reaction { to, emoji: "x".into() },
                3 => Body::Delete { to },
                _ => texts(number),
            }
        };
        store.begin().unwrap();
        for number in 0..2_000 {
            day(&store, number, bodies(number)).unwrap();
        }
        *store.work.borrow_mut() = (0, "");
        for number in 2_000..2_010 {
            day(&store, number, bodies(number)).unwrap();
        }
        store.history(BOB, None, 10).unwrap();
        store.history(BOB, Some(1000), 10).unwrap();
        store.inbox(Some(1000), 10, false).unwrap();
        store.inbox(None, 10, true).unwrap();
        store.entry(BOB, id(5)).unwrap();
        store.letters_by_id(id(5)).unwrap();
        store.trace(id(4)).unwrap();
        store.routes(Some(BOB), id(4)).unwrap();
        store.search("number1999", None, 10).unwrap();
        store.search("number1999", Some(BOB), 10).unwrap();
        store.unread().unwrap();
        store.unread_of(BOB).unwrap();
        store.outbox_due(NOW, 10).unwrap();
        store.outbox_for(BOB, 10).unwrap();
        store.outbox_next_try().unwrap();
        store.request_usage().unwrap();
        store.find_contacts("bob").unwrap();
        store.sweep_traces(Wall::from_millis(0), 10).unwrap();
        let warning =
            WarningRow { seq: 0, contact: Some(BOB), at: NOW, kind: "k".into(), text: "t".into(), seen: false };
        store.put_warning(&warning).unwrap();
        let (steps, sql) = *store.work.borrow();
        assert!(steps < 1_000, "{steps} steps in {sql}");
    }

    #[test]
    fn a_full_disk_takes_the_whole_transaction_and_no_more() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = Store::open(&folder.path().join("letters.db"), &[7; 32]).unwrap();
        day(&store, 1, Body::Text { text: "before".into() }).unwrap();
        let pages: i64 = store.conn.pragma_query_value(None, "page_count", |row| row.get(0)).unwrap();
        store.conn.pragma_update_and_check(None, "max_page_count", pages + 8, |_| Ok(())).unwrap();

        store.begin().unwrap();
        let long = || Body::Text { text: "long ".repeat(1000) };
        let full = (2..100).find_map(|number| day(&store, number, long()).err()).unwrap();
        assert!(matches!(full, Error::Full | Error::TransactionLost), "{full}");
        // Whether SQLite gave the transaction up by itself or not, nothing of it must get through.
        let after = store.set_setting("after", "the error");
        assert_eq!(after.is_err(), store.conn.is_autocommit());
        store.rollback().unwrap();
        assert_eq!(store.setting("after").unwrap(), None);
        assert_eq!(store.letter_len().unwrap(), 2);
        assert_eq!(store.search("long", None, 9).unwrap().len(), 0);

        store.conn.pragma_update_and_check(None, "max_page_count", 1_000_000, |_| Ok(())).unwrap();
        store.begin().unwrap();
        day(&store, 3, long()).unwrap();
        store.commit().unwrap();
        assert_eq!(store.search("long", None, 9).unwrap().len(), 2);
        assert_eq!(store.check().unwrap(), Vec::<String>::new());
    }

    #[test]
    fn statements_after_a_lost_transaction_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = Store::open(&folder.path().join("letters.db"), &[7; 32]).unwrap();
        store.begin().unwrap();
        store.set_setting("a", "1").unwrap();
        store.conn.execute_batch("ROLLBACK").unwrap();
        assert!(matches!(store.set_setting("b", "1"), Err(Error::TransactionLost)));
        assert!(matches!(store.setting("a"), Err(Error::TransactionLost)));
        assert!(matches!(store.savepoint(), Err(Error::TransactionLost)));
        assert!(matches!(store.commit(), Err(Error::TransactionLost)));
        assert!(!store.in_transaction());
        assert_eq!((store.setting("a").unwrap(), store.setting("b").unwrap()), (None, None));
    }
}
