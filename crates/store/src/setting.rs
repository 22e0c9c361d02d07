//! Small named values of the node's own, like the version of its card.

use crate::{Error, Store};
use rusqlite::params;

impl Store {
    /// The value under `name`.
    ///
    /// # Errors
    /// What the disk says.
    pub fn setting(&self, name: &str) -> Result<Option<String>, Error> {
        self.one("SELECT value FROM setting WHERE name = ?1", [name], |row| Ok(row.get(0)?))
    }

    /// Sets the value under `name`.
    ///
    /// # Errors
    /// What the disk says.
    pub fn set_setting(&self, name: &str, value: &str) -> Result<(), Error> {
        self.run(
            "INSERT INTO setting (name, value) VALUES (?1, ?2)
             ON CONFLICT (name) DO UPDATE SET value = excluded.value",
            params![name, value],
        )?;
        Ok(())
    }

    /// Removes the value under `name`; whether there was one.
    ///
    /// # Errors
    /// What the disk says.
    pub fn clear_setting(&self, name: &str) -> Result<bool, Error> {
        Ok(self.run("DELETE FROM setting WHERE name = ?1", [name])? > 0)
    }
}
