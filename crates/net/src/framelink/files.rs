//! Files with keys and blocks, and the ledger of blocks that were used. Profile FL-5.1, FL-7.2; PSK file, Raw block
//! file, Ledger of raw blocks.

use crate::Error;
use crate::error::KeyFault;
use crate::secret_file::{self, Perms};
use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use waypost_framelink::{BLOCK_LEN, Block, Fault, Psk, Role};

/// Longest key file that is read: the line is 80 characters, blanks around it do not matter.
const PSK_FILE_MAX: u64 = 4096;
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
        let bytes = secret_file::read(file, perms, PSK_FILE_MAX)?;
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
    secret_file::write(file, &[line.as_bytes(), b"\n"])
}

/// Writes a new block file, for its owner alone. Never over another file.
///
/// # Errors
/// [`Error::KeyFile`].
pub fn write_block(file: &Path, block: &Block) -> Result<(), Error> {
    secret_file::write(file, &[block.as_bytes()])
}

/// Reads a block file.
///
/// # Errors
/// [`Error::KeyFile`].
pub fn read_block(file: &Path, perms: Perms) -> Result<Block, Error> {
    let read = || {
        let bytes = secret_file::read(file, perms, BLOCK_LEN as u64 + 1)?;
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
