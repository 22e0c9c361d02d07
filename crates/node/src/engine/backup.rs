//! Backups of a running node.

use super::Engine;
use crate::method::{ExportInfo, ExportParams};
use crate::{Error, backup};
use rand_core::CryptoRng;
use std::path::Path;
use waypost_keyring::{KdfCost, Passphrase};

impl Engine {
    /// Writes a backup. Called between turns: the database is copied as it is committed.
    pub(super) fn export(&mut self, rng: &mut dyn CryptoRng, params: &ExportParams) -> Result<ExportInfo, Error> {
        let path = Path::new(&params.path);
        if !path.is_absolute() {
            return Err(Error::BadInput("the path of the backup must be absolute".into()));
        }
        let passphrase = Passphrase::new(&params.passphrase)?;
        let letters = self.store.letter_len()?;
        let bytes = backup::write(path, &self.store, self.keys.keyring(), &passphrase, KdfCost::BACKUP, rng)?;
        Ok(ExportInfo { path: params.path.clone(), bytes, letters })
    }
}
