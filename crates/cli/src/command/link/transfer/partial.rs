//! A file that is not complete yet, beside its place, and how it gets there.

use super::message::Digest;
use super::prefix::Prefix;
use rustix::fs::{Mode, fstatvfs};
use std::fs::{File, OpenOptions, Permissions, TryLockError};
use std::io::{self, Seek, SeekFrom, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use tempfile::TempPath;

/// Access that a new file gets, less the user's umask.
const NEW_FILE: u32 = 0o666;

/// A file that is being received, held by this process alone.
pub(super) struct Partial {
    file: File,
    path: PathBuf,
    /// Bytes that are there.
    length: u64,
}

/// Why there is none.
pub(super) enum NoPartial {
    /// Another process receives it.
    Busy,
    /// The system does not let us.
    Disk(io::Error),
}

impl Partial {
    /// Opens what an earlier try left, or begins.
    pub(super) fn open(folder: &Path, name: &str) -> Result<Self, NoPartial> {
        let path = folder.join(format!(".{name}.waypost-part"));
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        // Never through a link that somebody else put there.
        options.custom_flags(i32::try_from(rustix::fs::OFlags::NOFOLLOW.bits()).unwrap_or_default());
        let file = options.open(&path).map_err(NoPartial::Disk)?;
        file.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => NoPartial::Busy,
            TryLockError::Error(error) => NoPartial::Disk(error),
        })?;
        let found = file.metadata().map_err(NoPartial::Disk)?;
        if !found.is_file() {
            return Err(NoPartial::Disk(io::Error::other("it is not a file")));
        }
        Ok(Self { file, path, length: found.len() })
    }

    /// Bytes that are there.
    pub(super) const fn length(&self) -> u64 {
        self.length
    }

    /// Bytes that may still be written to its disk.
    pub(super) fn space(&self) -> io::Result<u64> {
        let disk = fstatvfs(&self.file)?;
        Ok(disk.f_bavail.saturating_mul(disk.f_frsize))
    }

    /// Makes what is there durable, and gives its hash.
    pub(super) fn keep(&mut self) -> io::Result<Prefix> {
        self.file.sync_data()?;
        let prefix = Prefix::read(&mut self.file, self.length)?;
        self.file.seek(SeekFrom::Start(self.length))?;
        Ok(prefix)
    }

    /// Begins anew.
    pub(super) fn clear(&mut self) -> io::Result<()> {
        self.file.set_len(0)?;
        self.file.seek(SeekFrom::Start(0))?;
        self.length = 0;
        Ok(())
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)?;
        self.length += bytes.len() as u64;
        Ok(())
    }

    /// Puts the complete file in its place, durably. Over another only by `force`.
    pub(super) fn complete(self, place: &Path, force: bool, umask: u32) -> io::Result<()> {
        self.file.set_permissions(Permissions::from_mode(NEW_FILE & !umask))?;
        self.file.sync_all()?;
        let path = TempPath::try_from_path(&self.path)?;
        let placed = if force { path.persist(place) } else { path.persist_noclobber(place) };
        placed.map_err(|error| {
            // It is complete: losing it for a name would be a pity.
            let _ = error.path.keep();
            error.error
        })?;
        let folder = place.parent().filter(|folder| !folder.as_os_str().is_empty());
        File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
    }

    /// Removes it: what is in it is not what was sent.
    pub(super) fn discard(self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

/// The user's umask. To be asked before other threads make files: asking sets it for a moment.
pub(super) fn umask() -> u32 {
    let mask = rustix::process::umask(Mode::RWXG | Mode::RWXO);
    rustix::process::umask(mask);
    mask.bits() as u32
}

/// For a person.
pub(super) fn hex(digest: &Digest) -> String {
    ::hex::encode(digest)
}
