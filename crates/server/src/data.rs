//! The folder of a server: its keys, its certificate, its mailboxes.

use crate::Error;
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// The folder of a server.
#[derive(Clone, Debug)]
pub struct Data(PathBuf);

impl Data {
    /// Makes the folder if it is not there, open to its owner alone.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn open(folder: &Path) -> Result<Self, Error> {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
        made.map_err(|source| Error::file("make the folder", folder, source))?;
        Ok(Self(folder.to_owned()))
    }

    /// The relay's secret keys and its signed identity.
    pub fn relay_keys(&self) -> PathBuf {
        self.0.join("relay.keys")
    }

    /// The rendezvous server's own certificate and key.
    pub fn tls(&self) -> PathBuf {
        self.0.join("rendezvous.pem")
    }

    /// The mailboxes and records of all roles.
    pub fn mailboxes(&self) -> PathBuf {
        self.0.join("mailboxes")
    }
}

/// Reads a small file; none if it is not there.
pub(crate) fn read(path: &Path) -> Result<Option<Vec<u8>>, Error> {
    match fs::read(path) {
        Ok(content) => Ok(Some(content)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(Error::file("read", path, source)),
    }
}

/// Writes a file that only its owner can read, replacing an old one whole; it is on disk afterwards.
pub(crate) fn write_private(path: &Path, content: &[u8]) -> Result<(), Error> {
    let failed = |source| Error::file("write", path, source);
    let fresh = path.with_extension("new");
    let _left_by_a_crash = fs::remove_file(&fresh);
    let mut file = OpenOptions::new().create_new(true).write(true).mode(0o600).open(&fresh).map_err(failed)?;
    file.write_all(content).and_then(|()| file.sync_all()).map_err(failed)?;
    fs::rename(&fresh, path).map_err(failed)?;
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed)
}
