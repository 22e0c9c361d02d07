//! Files with secrets: for their owner alone.

use crate::Error;
use crate::error::KeyFault;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use waypost_framelink::Fault;
use zeroize::Zeroizing;

/// Access of the group and of others.
const NOT_THE_OWNERS: u32 = 0o077;

/// Whether a file may be read though others can read it too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Perms {
    /// It may not.
    #[default]
    OwnersOnly,
    /// The user wants it so.
    Any,
}

/// Reads a file that holds a secret, up to a length.
pub(crate) fn read(file: &Path, perms: Perms, most: u64) -> Result<Zeroizing<Vec<u8>>, KeyFault> {
    let opened = File::open(file)?;
    if perms == Perms::OwnersOnly && opened.metadata()?.mode() & NOT_THE_OWNERS != 0 {
        return Err(KeyFault::Content(Fault::Perms));
    }
    let mut bytes = Zeroizing::new(Vec::with_capacity(usize::try_from(most).unwrap_or_default()));
    opened.take(most).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Writes a new file for its owner alone. Never over another file.
pub(crate) fn write(file: &Path, parts: &[&[u8]]) -> Result<(), Error> {
    let all = || -> io::Result<()> {
        let mut opened = OpenOptions::new().create_new(true).write(true).mode(0o600).open(file)?;
        let written = parts.iter().try_for_each(|part| opened.write_all(part)).and_then(|()| opened.sync_all());
        if written.is_err() {
            // Half a key is of no use, and would be in the way.
            let _ = fs::remove_file(file);
        }
        written
    };
    all().map_err(|error| Error::KeyFile { file: file.to_owned(), reason: error.into() })
}
