//! The data folder of one person: where everything lies, and the lock that gives it to one daemon.

use crate::Error;
use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// The folder with a person's keyring, database and configuration.
#[derive(Clone, Debug)]
pub struct Home {
    folder: PathBuf,
}

impl Home {
    /// The folder at `folder`, which need not exist yet.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into() }
    }

    /// The folder itself.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// `config.toml`: what the person set.
    pub fn config(&self) -> PathBuf {
        self.folder.join("config.toml")
    }

    /// `keyring`: the sealed secrets.
    pub fn keyring(&self) -> PathBuf {
        self.folder.join("keyring")
    }

    /// `letters.db`: contacts, history and protocol state, encrypted.
    pub fn database(&self) -> PathBuf {
        self.folder.join("letters.db")
    }

    /// `relay.mailboxes`: letters that others left at this node's own relay, sealed.
    pub fn relay_mailboxes(&self) -> PathBuf {
        self.folder.join("relay.mailboxes")
    }

    /// `api.sock`: the unix socket of the running daemon.
    pub fn socket(&self) -> PathBuf {
        self.folder.join("api.sock")
    }

    /// `api.token`: the bearer token of the HTTP transport, as hex.
    pub fn token(&self) -> PathBuf {
        self.folder.join("api.token")
    }

    /// `api.http`: the address the HTTP transport is bound to.
    pub fn http_address(&self) -> PathBuf {
        self.folder.join("api.http")
    }

    /// Whether an identity was made here.
    pub fn is_initialised(&self) -> bool {
        self.keyring().exists()
    }

    /// Makes the folder, open to its owner alone.
    ///
    /// # Errors
    /// [`Error::Environment`] if it cannot be made.
    pub fn create(&self) -> Result<(), Error> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.folder)
            .map_err(|error| Error::Environment(format!("cannot make the folder {}: {error}", self.folder.display())))
    }

    /// Takes the lock, so that one process at a time works on the folder.
    ///
    /// # Errors
    /// [`Error::Conflict`] if another process holds it, [`Error::Environment`] if the file cannot be opened.
    pub fn lock(&self) -> Result<HomeLock, Error> {
        let path = self.folder.join("lock");
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(&path)
            .map_err(|error| Error::Environment(format!("cannot open {}: {error}", path.display())))?;
        match file.try_lock() {
            Ok(()) => Ok(HomeLock { _file: file }),
            Err(TryLockError::WouldBlock) => {
                Err(Error::Conflict(format!("another waypost is running in {}", self.folder.display())))
            }
            Err(TryLockError::Error(error)) => {
                Err(Error::Environment(format!("cannot lock {}: {error}", path.display())))
            }
        }
    }

    /// Writes a small file that only the owner can read, replacing an old one whole.
    ///
    /// # Errors
    /// [`Error::Environment`] if it cannot be written.
    pub fn write_private(path: &Path, content: &[u8]) -> Result<(), Error> {
        let failed = |error: std::io::Error| Error::Environment(format!("cannot write {}: {error}", path.display()));
        let fresh = path.with_extension("new");
        let _ = fs::remove_file(&fresh);
        let mut file = OpenOptions::new().create_new(true).write(true).mode(0o600).open(&fresh).map_err(failed)?;
        std::io::Write::write_all(&mut file, content).map_err(failed)?;
        file.sync_all().map_err(failed)?;
        fs::rename(&fresh, path).map_err(failed)
    }
}

/// Holds the folder for this process; dropping it gives the folder back.
#[derive(Debug)]
pub struct HomeLock {
    _file: File,
}
