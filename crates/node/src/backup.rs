//! The backup file: secrets sealed with a passphrase, then the database as it is encrypted anyway.
//!
//! ```text
//! "waypost backup 1\n" | u32 length | sealed keyring | database
//! ```

use crate::Error;
use rand_core::CryptoRng;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use waypost_keyring::{KdfCost, Keyring, Passphrase, sealed};
use waypost_store::Store;

const HEAD: &[u8; 17] = b"waypost backup 1\n";
const PURPOSE: &str = "waypost backup";
/// Slots of all protocols together are far below.
const MAX_SEALED: u32 = 16 << 20;

/// Writes a backup to a new file. Gives its size in bytes.
///
/// # Errors
/// The file is there already, or the disk failed.
pub(crate) fn write(
    path: &Path,
    store: &Store,
    keyring: &Keyring,
    passphrase: &Passphrase,
    cost: KdfCost,
    rng: &mut dyn CryptoRng,
) -> Result<u64, Error> {
    let failed = |error: io::Error| Error::Environment(format!("cannot write {}: {error}", path.display()));
    let secrets = sealed::seal(&keyring.export(), passphrase, cost, &mut &mut *rng, PURPOSE)?;
    let mut file = match OpenOptions::new().create_new(true).write(true).mode(0o600).open(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            return Err(Error::Conflict(format!("{} exists already; choose another name", path.display())));
        }
        opened => opened.map_err(failed)?,
    };
    let snapshot = path.with_extension("part");
    let written = (|| {
        store.copy_to(&snapshot)?;
        file.write_all(HEAD).map_err(failed)?;
        let length = u32::try_from(secrets.len()).map_err(|_| Error::Internal("the keyring is too large".into()))?;
        file.write_all(&length.to_be_bytes()).map_err(failed)?;
        file.write_all(&secrets).map_err(failed)?;
        let mut database = File::open(&snapshot).map_err(failed)?;
        io::copy(&mut database, &mut file).map_err(failed)?;
        file.sync_all().map_err(failed)?;
        Ok(file.metadata().map_err(failed)?.len())
    })();
    let _ = std::fs::remove_file(&snapshot);
    if written.is_err() {
        let _ = std::fs::remove_file(path);
    }
    written
}

/// Opens a backup and puts its database in place. Gives the keyring.
///
/// # Errors
/// The passphrase is wrong, the file is no backup or cut short, or the disk failed.
pub(crate) fn restore(path: &Path, passphrase: &Passphrase, database: &Path) -> Result<Keyring, Error> {
    let failed = |error: io::Error| match error.kind() {
        io::ErrorKind::UnexpectedEof => Error::BadInput(format!("{} is cut short", path.display())),
        _ => Error::Environment(format!("cannot read {}: {error}", path.display())),
    };
    let mut file = File::open(path).map_err(failed)?;
    let mut head = [0; HEAD.len()];
    let mut length = [0; 4];
    file.read_exact(&mut head).map_err(failed)?;
    if head != *HEAD {
        return Err(Error::BadInput(format!("{} is no backup of Waypost's, or of a newer version", path.display())));
    }
    file.read_exact(&mut length).map_err(failed)?;
    let length = u32::from_be_bytes(length);
    if length > MAX_SEALED {
        return Err(Error::BadInput(format!("{} is damaged", path.display())));
    }
    let mut secrets = vec![0; length as usize];
    file.read_exact(&mut secrets).map_err(failed)?;
    let keyring = Keyring::import(&sealed::open(&secrets, passphrase, PURPOSE)?)?;
    let written = (|| {
        let mut out = OpenOptions::new().create_new(true).write(true).mode(0o600).open(database)?;
        io::copy(&mut file, &mut out)?;
        out.sync_all()
    })();
    written.map_err(|error| Error::Environment(format!("cannot write {}: {error}", database.display())))?;
    // A wrong key or a cut file shows here, before the folder counts as initialised.
    match Store::open(database, keyring.database_key()) {
        Ok(store) if store.check()?.is_empty() => Ok(keyring),
        checked => {
            let _ = std::fs::remove_file(database);
            checked?;
            Err(Error::BadInput(format!("{} is damaged", path.display())))
        }
    }
}
