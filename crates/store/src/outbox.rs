//! Letters that wait to be sent.

use crate::{
    Error, Store,
    column::{self, of_limit, of_wall},
};
use rusqlite::{Row, params};
use waypost_core::{ContactId, LetterId, Wall};

/// One own letter that was not delivered yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutboxRow {
    /// To whom.
    pub contact: ContactId,
    /// Which letter.
    pub letter: LetterId,
    /// How often it was tried.
    pub attempts: u32,
    /// When to try next.
    pub next_try: Wall,
    /// When it was put here.
    pub created: Wall,
}

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT p.id, l.id, o.attempts, o.next_try, o.created
             FROM outbox o CROSS JOIN letter l ON l.seq = o.letter CROSS JOIN person p ON p.num = o.person ",
            $rest
        )
    };
}

impl Store {
    /// Puts an own letter into the outbox, or changes its row there.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is no such own letter in the history.
    pub fn put_outbox(&self, row: &OutboxRow) -> Result<(), Error> {
        let put = self.run(
            "INSERT INTO outbox (letter, person, attempts, next_try, created)
             SELECT l.seq, l.person, ?3, ?4, ?5 FROM letter l
             WHERE l.id = ?1 AND l.person = (SELECT num FROM person WHERE id = ?2) AND l.direction = 1
             ON CONFLICT (letter) DO UPDATE SET
                 attempts = excluded.attempts, next_try = excluded.next_try, created = excluded.created",
            params![
                row.letter.as_bytes(),
                row.contact.as_bytes(),
                row.attempts,
                of_wall(row.next_try),
                of_wall(row.created)
            ],
        )?;
        if put == 0 { Err(Error::NotFound("letter")) } else { Ok(()) }
    }

    /// Rows whose time has come, the longest due first.
    ///
    /// # Errors
    /// What the disk says.
    pub fn outbox_due(&self, now: Wall, limit: usize) -> Result<Vec<OutboxRow>, Error> {
        self.all(
            select!("WHERE o.next_try <= ?1 ORDER BY o.next_try, o.letter LIMIT ?2"),
            params![of_wall(now), of_limit(limit)],
            read,
        )
    }

    /// When the next row is due, if there is one.
    ///
    /// # Errors
    /// What the disk says.
    pub fn outbox_next_try(&self) -> Result<Option<Wall>, Error> {
        self.one("SELECT next_try FROM outbox ORDER BY next_try LIMIT 1", (), |row| column::wall(row, 0))
    }

    /// The row of one letter.
    ///
    /// # Errors
    /// What the disk says.
    pub fn outbox_row(&self, contact: ContactId, letter: LetterId) -> Result<Option<OutboxRow>, Error> {
        self.one(
            "SELECT p.id, l.id, o.attempts, o.next_try, o.created
             FROM letter l CROSS JOIN person p ON p.num = l.person CROSS JOIN outbox o ON o.letter = l.seq
             WHERE l.id = ?1 AND l.person = (SELECT num FROM person WHERE id = ?2) AND l.direction = 1",
            params![letter.as_bytes(), contact.as_bytes()],
            read,
        )
    }

    /// The rows of one contact, in the order in which their letters were written.
    ///
    /// # Errors
    /// What the disk says.
    pub fn outbox_for(&self, contact: ContactId, limit: usize) -> Result<Vec<OutboxRow>, Error> {
        self.all(
            select!("WHERE o.person = (SELECT num FROM person WHERE id = ?1) ORDER BY o.letter LIMIT ?2"),
            params![contact.as_bytes(), of_limit(limit)],
            read,
        )
    }

    /// Takes a letter out; whether it was in.
    ///
    /// # Errors
    /// What the disk says.
    pub fn remove_outbox(&self, contact: ContactId, letter: LetterId) -> Result<bool, Error> {
        let removed = self.run(
            "DELETE FROM outbox WHERE letter =
                 (SELECT seq FROM letter
                  WHERE id = ?1 AND person = (SELECT num FROM person WHERE id = ?2) AND direction = 1)",
            params![letter.as_bytes(), contact.as_bytes()],
        )?;
        Ok(removed > 0)
    }

    /// How many letters wait.
    ///
    /// # Errors
    /// What the disk says.
    pub fn outbox_len(&self) -> Result<u64, Error> {
        Ok(self.one("SELECT count(*) FROM outbox", (), |row| column::number(row, 0))?.unwrap_or(0))
    }
}

fn read(row: &Row<'_>) -> Result<OutboxRow, Error> {
    Ok(OutboxRow {
        contact: column::contact(row, 0)?,
        letter: column::letter(row, 1)?,
        attempts: row.get(2)?,
        next_try: column::wall(row, 3)?,
        created: column::wall(row, 4)?,
    })
}
