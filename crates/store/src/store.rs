//! The open database: key, settings of SQLite, transactions.

use crate::{
    Error,
    migration::{MIGRATIONS, migrate},
};
use rusqlite::{Connection, OpenFlags, Params, Row, config::DbConfig};
use std::{
    fmt::{self, Write},
    fs::{self, OpenOptions},
    io::ErrorKind,
    os::unix::fs::OpenOptionsExt,
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
        make_private(path)?;
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_NO_MUTEX
            | OpenFlags::SQLITE_OPEN_NOFOLLOW
            | OpenFlags::SQLITE_OPEN_EXRESCODE;
        let conn = Connection::open_with_flags(path, flags)?;
        conn.busy_timeout(Duration::ZERO)?;
        conn.set_prepared_statement_cache_capacity(128);
        conn.execute_batch(&key_pragma(key))?;
        conn.execute_batch(SETTINGS)?;
        conn.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
        migrate(&conn, migrations)?;
        Ok(Self { conn, begun: false, savepoints: 0 })
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

    /// Writes the database as it is to a new file, under the same key. Not within a transaction.
    ///
    /// # Errors
    /// [`Error::Misuse`] within a transaction, else what the disk says.
    pub fn snapshot(&self, path: &Path) -> Result<(), Error> {
        if self.begun {
            return Err(Error::Misuse("a transaction is open"));
        }
        let text = path.to_str().ok_or(Error::Misuse("a path that is not UTF-8"))?;
        // Made first, so that nobody else may ever read it.
        let io = |source| Error::Io { what: "create", path: path.to_owned(), source };
        OpenOptions::new().create_new(true).write(true).mode(0o600).open(path).map_err(io)?;
        self.run("VACUUM INTO ?1", [text])?;
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
        Ok(self.conn.prepare_cached(sql)?.execute(params)?)
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
        rows.next()?.map(read).transpose()
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
        Ok(found)
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

/// The key as raw bytes, so no time goes into deriving one; freed memory of the database is wiped; and SQLCipher
/// writes nothing to the terminal, its errors come back as results.
fn key_pragma(key: &[u8; 32]) -> Zeroizing<String> {
    let mut sql = Zeroizing::new(String::with_capacity(200));
    sql.push_str("PRAGMA cipher_log_level = NONE; PRAGMA cipher_memory_security = ON; PRAGMA key = \"x'");
    for byte in key {
        // Writing to a string does not fail.
        let _ = write!(sql, "{byte:02x}");
    }
    sql.push_str("'\"");
    sql
}

/// Makes folder and file with the right modes, or tightens the file's. SQLite gives its journals the same mode.
fn make_private(path: &Path) -> Result<(), Error> {
    let failed = |what, path: &Path| {
        let path = path.to_owned();
        move |source| Error::Io { what, path, source }
    };
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(folder).map_err(failed("make the folder", folder))?;
    }
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(path) {
        Ok(_) => return Ok(()),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
        Err(error) => return Err(failed("create", path)(error)),
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = fs::metadata(path).map_err(failed("look at", path))?.permissions().mode();
        if mode & 0o077 != 0 {
            fs::set_permissions(path, fs::Permissions::from_mode(0o600)).map_err(failed("protect", path))?;
        }
    }
    Ok(())
}
