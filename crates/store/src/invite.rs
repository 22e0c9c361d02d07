//! Invites this person gave away and that nobody has used yet.

use crate::{
    Error, Store,
    column::{self, of_wall},
};
use rusqlite::{Row, params};
use waypost_core::Wall;

/// One invite. Only the hash of its token is kept, so the database invites nobody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InviteRow {
    /// Hash of the token.
    pub hash: [u8; 32],
    /// When it was made.
    pub created: Wall,
    /// When it ends.
    pub expires: Wall,
    /// What the person wrote to remember whom it is for.
    pub note: String,
}

impl Store {
    /// Keeps an invite, and forgets those that have ended when it was made.
    ///
    /// # Errors
    /// What the disk says.
    pub fn put_invite(&self, row: &InviteRow) -> Result<(), Error> {
        self.whole(|| {
            self.run("DELETE FROM invite WHERE expires <= ?1", [of_wall(row.created)])?;
            self.run(
                "INSERT INTO invite (hash, created, expires, note) VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT (hash) DO UPDATE SET expires = excluded.expires, note = excluded.note",
                params![row.hash, of_wall(row.created), of_wall(row.expires), row.note],
            )
        })?;
        Ok(())
    }

    /// Spends an invite: it is given once, and never after its end.
    ///
    /// # Errors
    /// What the disk says.
    pub fn take_invite(&self, hash: &[u8; 32], now: Wall) -> Result<Option<InviteRow>, Error> {
        // All rows, so that the statement runs to its end.
        let taken =
            self.all("DELETE FROM invite WHERE hash = ?1 RETURNING hash, created, expires, note", [hash], read)?;
        Ok(taken.into_iter().find(|invite| now < invite.expires))
    }

    /// All invites not used, the newest first; ended ones may be among them.
    ///
    /// # Errors
    /// What the disk says.
    pub fn invites(&self) -> Result<Vec<InviteRow>, Error> {
        self.all("SELECT hash, created, expires, note FROM invite ORDER BY created DESC, hash LIMIT 1000", (), read)
    }
}

fn read(row: &Row<'_>) -> Result<InviteRow, Error> {
    Ok(InviteRow {
        hash: row.get(0)?,
        created: column::wall(row, 1)?,
        expires: column::wall(row, 2)?,
        note: row.get(3)?,
    })
}
