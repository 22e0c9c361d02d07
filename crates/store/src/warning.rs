//! Things a person should look at.

use crate::{
    Error, Store,
    column::{of_limit, of_wall, wall},
};
use rusqlite::{Row, params};
use serde::{Deserialize, Serialize};
use waypost_core::{ContactId, Wall};

/// One warning.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct WarningRow {
    /// Its number; given by [`Store::put_warning`] and ignored by it.
    pub seq: i64,
    /// About whom, if about somebody.
    pub contact: Option<ContactId>,
    /// When, last.
    pub at: Wall,
    /// A short name of the kind, like `identity_fork`.
    pub kind: String,
    /// For people.
    pub text: String,
    /// The person has seen it.
    pub seen: bool,
}

/// A stranger can cause warnings; the oldest go.
const MAX_WARNINGS: i64 = 1000;

impl Store {
    /// Keeps a warning. The same one not yet seen is only brought up to date; the oldest of more than 1,000 go.
    ///
    /// # Errors
    /// What the disk says.
    pub fn put_warning(&self, row: &WarningRow) -> Result<(), Error> {
        self.whole(|| {
            let person = row.contact.map(|contact| self.person_or_new(contact)).transpose()?;
            let again = self.run(
                "UPDATE warning SET at = max(at, ?4)
                 WHERE person IS ?1 AND kind = ?2 AND text = ?3 AND seen = 0",
                params![person, row.kind, row.text, of_wall(row.at)],
            )?;
            if again > 0 {
                return Ok(());
            }
            self.run(
                "INSERT INTO warning (person, at, kind, text, seen) VALUES (?1, ?2, ?3, ?4, ?5)",
                params![person, of_wall(row.at), row.kind, row.text, row.seen],
            )?;
            self.run(
                "DELETE FROM warning WHERE seq IN (SELECT seq FROM warning ORDER BY seq DESC LIMIT -1 OFFSET ?1)",
                [MAX_WARNINGS],
            )?;
            Ok(())
        })
    }

    /// Warnings, the newest first.
    ///
    /// # Errors
    /// What the disk says.
    pub fn warnings(&self, limit: usize) -> Result<Vec<WarningRow>, Error> {
        self.all(
            "SELECT w.seq, p.id, w.at, w.kind, w.text, w.seen
             FROM warning w LEFT JOIN person p ON p.num = w.person ORDER BY w.seq DESC LIMIT ?1",
            [of_limit(limit)],
            read,
        )
    }

    /// Warnings about one contact, the newest first; at most 100.
    ///
    /// # Errors
    /// What the disk says.
    pub fn warnings_of(&self, contact: ContactId) -> Result<Vec<WarningRow>, Error> {
        self.all(
            "SELECT w.seq, p.id, w.at, w.kind, w.text, w.seen
             FROM person p JOIN warning w ON w.person = p.num WHERE p.id = ?1 ORDER BY w.seq DESC LIMIT 100",
            [contact.as_bytes()],
            read,
        )
    }

    /// Marks warnings up to this number as seen; how many were not.
    ///
    /// # Errors
    /// What the disk says.
    pub fn see_warnings(&self, upto: i64) -> Result<usize, Error> {
        self.run("UPDATE warning SET seen = 1 WHERE seq <= ?1 AND seen = 0", [upto])
    }

    /// Removes the warnings about one contact, or all; how many there were.
    ///
    /// # Errors
    /// What the disk says.
    pub fn clear_warnings(&self, contact: Option<ContactId>) -> Result<usize, Error> {
        match contact {
            None => self.run("DELETE FROM warning", ()),
            Some(contact) => self
                .run("DELETE FROM warning WHERE person = (SELECT num FROM person WHERE id = ?1)", [contact.as_bytes()]),
        }
    }
}

fn read(row: &Row<'_>) -> Result<WarningRow, Error> {
    Ok(WarningRow {
        seq: row.get(0)?,
        contact: row.get::<_, Option<[u8; 32]>>(1)?.map(ContactId::from_bytes),
        at: wall(row, 2)?,
        kind: row.get(3)?,
        text: row.get(4)?,
        seen: row.get(5)?,
    })
}
