//! Files with keys and blocks, and the ledger of blocks that were used. Profile FL-5.1, FL-7.2; PSK file, Raw block
//! file, Ledger of raw blocks.

use crate::Error;
use crate::error::KeyFault;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::Path;
use waypost_framelink::{BLOCK_LEN, Block, Fault, Psk, Role};
use zeroize::Zeroizing;

/// Longest key file that is read: the line is 80 characters, blanks around it do not matter.
const PSK_FILE_MAX: u64 = 4096;
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

/// Reads a key file that nobody else can read.
///
/// # Errors
/// [`Error::KeyFile`].
pub fn read_psk(file: &Path) -> Result<Psk, Error> {
    read_psk_with(file, Perms::OwnersOnly)
}

/// Reads a key file.
///
/// # Errors
/// [`Error::KeyFile`].
pub fn read_psk_with(file: &Path, perms: Perms) -> Result<Psk, Error> {
    let read = || {
        let bytes = read_secret(file, perms, PSK_FILE_MAX)?;
        let text = std::str::from_utf8(&bytes).map_err(|_| KeyFault::Content(Fault::PskFormat))?;
        Psk::from_line(text).map_err(KeyFault::Content)
    };
    read().map_err(|reason| Error::KeyFile { file: file.to_owned(), reason })
}

/// Writes a new key file, for its owner alone. Never over another file.
///
/// # Errors
/// [`Error::KeyFile`].
pub fn write_psk(file: &Path, psk: &Psk) -> Result<(), Error> {
    let line = psk.to_line();
    write_secret(file, &[line.as_bytes(), b"\n"])
}

/// Writes a new block file, for its owner alone. Never over another file.
///
/// # Errors
/// [`Error::KeyFile`].
pub fn write_block(file: &Path, block: &Block) -> Result<(), Error> {
    write_secret(file, &[block.as_bytes()])
}

/// Reads a block file.
///
/// # Errors
/// [`Error::KeyFile`].
pub fn read_block(file: &Path, perms: Perms) -> Result<Block, Error> {
    let read = || {
        let bytes = read_secret(file, perms, BLOCK_LEN as u64 + 1)?;
        Block::from_file(&bytes).map_err(KeyFault::Content)
    };
    read().map_err(|reason| Error::KeyFile { file: file.to_owned(), reason })
}

/// Reads a block file and enters it in the ledger below `state`, before anything is opened: a block seals once in
/// each role, whatever happens afterwards.
///
/// # Errors
/// [`Error::KeyFile`]; with [`Fault::BlockUsed`] if it was taken before.
pub fn take_block(file: &Path, role: Role, state: &Path, perms: Perms) -> Result<Block, Error> {
    let block = read_block(file, perms)?;
    enter(&block, role, state).map_err(|reason| Error::KeyFile { file: file.to_owned(), reason })?;
    Ok(block)
}

/// Enters a block that came from somewhere else in the same ledger.
///
/// # Errors
/// As [`take_block`].
pub fn enter_block(block: &Block, role: Role, state: &Path) -> Result<(), Error> {
    enter(block, role, state).map_err(|reason| Error::KeyFile { file: state.to_owned(), reason })
}

fn enter(block: &Block, role: Role, state: &Path) -> Result<(), KeyFault> {
    let ledger = state.join("framelink").join("used-blocks");
    DirBuilder::new().recursive(true).mode(0o700).create(&ledger)?;
    let entry = ledger.join(format!("{}.{}", block.id(), role.name()));
    match OpenOptions::new().create_new(true).write(true).mode(0o600).open(entry) {
        Ok(entry) => entry.sync_all()?,
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Err(KeyFault::Content(Fault::BlockUsed)),
        Err(error) => return Err(error.into()),
    }
    // The entry, and the folders that lead to it, must outlive a power cut.
    for folder in ledger.ancestors().take(3) {
        File::open(folder)?.sync_all()?;
    }
    Ok(())
}

fn read_secret(file: &Path, perms: Perms, most: u64) -> Result<Zeroizing<Vec<u8>>, KeyFault> {
    let opened = File::open(file)?;
    if perms == Perms::OwnersOnly && opened.metadata()?.mode() & NOT_THE_OWNERS != 0 {
        return Err(KeyFault::Content(Fault::Perms));
    }
    let mut bytes = Zeroizing::new(Vec::with_capacity(usize::try_from(most).unwrap_or_default()));
    opened.take(most).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn write_secret(file: &Path, parts: &[&[u8]]) -> Result<(), Error> {
    let write = || -> io::Result<()> {
        let mut opened = OpenOptions::new().create_new(true).write(true).mode(0o600).open(file)?;
        let written = parts.iter().try_for_each(|part| opened.write_all(part)).and_then(|()| opened.sync_all());
        if written.is_err() {
            // Half a key is of no use, and would be in the way.
            let _ = fs::remove_file(file);
        }
        written
    };
    write().map_err(|error| Error::KeyFile { file: file.to_owned(), reason: error.into() })
}
