//! What needs no running node: making an identity, opening it, restoring it.

use crate::keys::Unlocked;
use crate::{Config, Error, Home, backup};
use rand_core::CryptoRng;
use std::path::Path;
use waypost_core::{ContactId, Wall};
use waypost_keyring::{KdfCost, Keyring, Passphrase};
use waypost_store::Store;
use zeroize::Zeroizing;

/// A person to be.
pub struct NewIdentity<'a> {
    /// The name contacts see.
    pub name: &'a str,
    /// Seals the keyring.
    pub passphrase: Passphrase,
    /// 24 recovery words of an identity to restore; a new one is made without.
    pub words: Option<&'a str>,
    /// The settings to start with.
    pub config: Config,
    /// The time.
    pub now: Wall,
    /// What opening the keyring costs.
    pub cost: KdfCost,
}

/// Who was made or restored.
#[derive(Debug)]
pub struct Made {
    /// The identity.
    pub contact: ContactId,
    /// Its 24 recovery words, to be written down.
    pub words: Zeroizing<String>,
}

/// Makes a data folder with keyring, database and configuration.
///
/// # Errors
/// One is there already, the words are wrong, or the disk failed.
pub fn init(home: &Home, new: NewIdentity<'_>, rng: &mut impl CryptoRng) -> Result<Made, Error> {
    crate::engine::check_own_name(new.name)?;
    home.create()?;
    let _lock = home.lock()?;
    refuse_if_initialised(home)?;
    let keyring = match new.words {
        Some(words) => Keyring::from_words(words, rng, new.now)?,
        None => Keyring::generate(rng, new.now),
    };
    let mut store = Store::open(&home.database(), keyring.database_key())?;
    store.begin()?;
    store.set_setting(crate::engine::NAME, new.name)?;
    store.commit()?;
    if !home.config().exists() {
        Home::write_private(&home.config(), new.config.to_text()?.as_bytes())?;
    }
    finish(home, keyring, new.passphrase, new.cost, rng)
}

/// Opens the keyring of a data folder.
///
/// # Errors
/// There is none, or the passphrase is wrong.
pub fn unlock(home: &Home, passphrase: Passphrase, cost: KdfCost) -> Result<Unlocked, Error> {
    if !home.is_initialised() {
        return Err(Error::NotFound { what: "identity in the folder", name: home.folder().display().to_string() });
    }
    let keyring = Keyring::open(&home.keyring(), &passphrase)?;
    Ok(Unlocked::new(keyring, Some(home.keyring()), passphrase, cost))
}

/// Restores a backup into an empty data folder. Sessions and prekeys are dropped, as the profile
/// demands: letters that were under way are sealed anew.
///
/// # Errors
/// The folder has an identity, the passphrase is wrong, the backup is damaged, or the disk failed.
pub fn import(
    home: &Home,
    file: &Path,
    backup_passphrase: &Passphrase,
    passphrase: Passphrase,
    cost: KdfCost,
    rng: &mut impl CryptoRng,
) -> Result<Made, Error> {
    home.create()?;
    let _lock = home.lock()?;
    refuse_if_initialised(home)?;
    let mut keyring = backup::restore(file, backup_passphrase, &home.database())?;
    keyring.after_restore();
    let mut store = Store::open(&home.database(), keyring.database_key())?;
    store.begin()?;
    let mut batch = waypost_core::Batch::new(&store);
    waypost_sremp::forget_sessions(&mut batch).map_err(crate::engine::sremp_error)?;
    let changes = batch.into_changes();
    store.apply(&changes)?;
    store.commit()?;
    finish(home, keyring, passphrase, cost, rng)
}

fn refuse_if_initialised(home: &Home) -> Result<(), Error> {
    match home.is_initialised() {
        true => Err(Error::Conflict(format!("there is an identity in {} already", home.folder().display()))),
        false => Ok(()),
    }
}

/// The keyring comes last: a folder has an identity only when all else is there.
fn finish(
    home: &Home,
    keyring: Keyring,
    passphrase: Passphrase,
    cost: KdfCost,
    rng: &mut impl CryptoRng,
) -> Result<Made, Error> {
    keyring.create(&home.keyring(), &passphrase, cost, rng)?;
    let words = keyring.recovery_words();
    Ok(Made { contact: Unlocked::new(keyring, None, passphrase, cost).id(), words })
}
