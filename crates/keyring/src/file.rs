//! Files that are there whole or not at all, and that nobody else reads.

use crate::Error;
use rand_core::CryptoRng;
use std::{
    fs::{self, File, OpenOptions},
    io::{ErrorKind, Read, Write},
    path::{Path, PathBuf},
};

/// A keyring with all its slots full has little more than 1 MiB.
const MAX_LEN: u64 = 4 * 1024 * 1024;

/// Fails early, before the passphrase costs time, if there is a file.
pub(crate) fn refuse_existing(path: &Path) -> Result<(), Error> {
    match fs::symlink_metadata(path) {
        Ok(_) => Err(Error::Exists(path.to_owned())),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(Error::io("look at", path, error)),
    }
}

/// Writes a new file; one that is there already stays as it is.
pub(crate) fn create(path: &Path, bytes: &[u8], rng: &mut impl CryptoRng) -> Result<(), Error> {
    let draft = Draft::write(path, bytes, rng)?;
    // Unlike a rename, a link never replaces. Some file systems have none: there, a crash in the middle may
    // leave a part of a file, which opening reports as damaged.
    match fs::hard_link(&draft.0, path) {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::AlreadyExists => return Err(Error::Exists(path.to_owned())),
        Err(_) => write_new(path, bytes)?,
    }
    drop(draft);
    sync_folder(path)
}

/// Replaces the file, or creates it.
pub(crate) fn replace(path: &Path, bytes: &[u8], rng: &mut impl CryptoRng) -> Result<(), Error> {
    let draft = Draft::write(path, bytes, rng)?;
    fs::rename(&draft.0, path).map_err(|error| Error::io("replace", path, error))?;
    sync_folder(path)
}

/// Reads a file of bounded size.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, Error> {
    let failed = |error| Error::io("read", path, error);
    let file = File::open(path).map_err(failed)?;
    let mut bytes = Vec::new();
    file.take(MAX_LEN + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > MAX_LEN {
        return Err(Error::NotSealed);
    }
    Ok(bytes)
}

/// A file beside the one that is meant, removed unless it was renamed.
struct Draft(PathBuf);

impl Draft {
    fn write(path: &Path, bytes: &[u8], rng: &mut impl CryptoRng) -> Result<Self, Error> {
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(format!(".{:016x}.new", rng.next_u64()));
        let draft = Self(path.with_file_name(name));
        write_new(&draft.0, bytes)?;
        Ok(draft)
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        // After a rename there is nothing to remove; otherwise it is only sealed bytes that stay.
        let _ = fs::remove_file(&self.0);
    }
}

fn write_new(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path).map_err(|error| Error::io("create", path, error))?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(|error| {
        let _ = fs::remove_file(path);
        Error::io("write", path, error)
    })
}

/// Makes the name durable too; only Unix lets a folder be synced.
fn sync_folder(path: &Path) -> Result<(), Error> {
    #[cfg(unix)]
    {
        let folder = match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(|error| Error::io("sync", folder, error))?;
    }
    #[cfg(not(unix))]
    let _ = path;
    Ok(())
}
