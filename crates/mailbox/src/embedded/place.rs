//! Where the file lies: private, and one process's alone.

use crate::{Disk, Error};
use std::{
    ffi::OsString,
    fs::{self, TryLockError},
    io::ErrorKind,
    path::{Path, PathBuf},
};

/// The file's place, locked until it is left or this is dropped.
pub(super) struct Place {
    path: PathBuf,
    lock: fs::File,
}

impl Place {
    /// Makes folder and file, if they are not there, and locks them.
    pub(super) fn take(path: &Path) -> Result<Self, Error> {
        let folder = folder(path);
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(folder).map_err(Error::io("make the folder", folder))?;

        let beside = beside(path, ".lock");
        let lock = open_private(&beside)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(Error::InUse(path.to_owned())),
            Err(TryLockError::Error(source)) => return Err(Error::io("lock", &beside)(source)),
        }
        open_private(path)?;
        // The names must survive a power loss as well as the content.
        let synced = fs::File::open(folder).and_then(|folder| folder.sync_all());
        match synced {
            Err(error) if error.kind() != ErrorKind::Unsupported => Err(Error::io("sync", folder)(error)),
            _ => Ok(Self { path: path.to_owned(), lock }),
        }
    }

    /// Lets the next one take it.
    pub(super) fn leave(&self) {
        // If it fails, the lock goes with the process.
        let _ = self.lock.unlock();
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

/// Bytes of the file and its log.
pub(super) fn stored_bytes(path: &Path) -> Result<u64, Error> {
    let file = fs::metadata(path).map_err(Error::io("look at", path))?.len();
    let log = fs::metadata(beside(path, "-wal")).map_or(0, |log| log.len());
    Ok(file.saturating_add(log))
}

/// The disk below.
pub(super) fn disk(path: &Path) -> Result<Disk, Error> {
    let found =
        rustix::fs::statvfs(folder(path)).map_err(|error| Error::io("look at the disk of", path)(error.into()))?;
    let bytes = |blocks: u64| blocks.saturating_mul(found.f_frsize);
    // What is kept for root is neither used nor for us: as `df` shows it.
    let used = bytes(found.f_blocks.saturating_sub(found.f_bfree));
    let free = bytes(found.f_bavail);
    Ok(Disk { total: used.saturating_add(free), free })
}

fn folder(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(ending);
    name.into()
}

/// Opens or makes a file that only its owner reads. SQLite gives its log the same mode.
fn open_private(path: &Path) -> Result<fs::File, Error> {
    let mut options = fs::OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.open(path).map_err(Error::io("open", path))?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = file.metadata().map_err(Error::io("look at", path))?.permissions().mode();
        if mode & 0o077 != 0 {
            file.set_permissions(fs::Permissions::from_mode(0o600)).map_err(Error::io("protect", path))?;
        }
    }
    Ok(file)
}
