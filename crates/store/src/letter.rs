//! Letters as they came and went.

use crate::{
    Error, Store, amend,
    column::{self, of_json, of_wall},
};
use rusqlite::{Row, params};
use serde::{Deserialize, Serialize};
use waypost_core::{Body, ContactId, Letter, LetterId, Protection, Wall, Wire};

/// One letter with what this node knows of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LetterRow {
    /// Its number in the history, rising; given by [`Store::insert_letter`] and ignored by it.
    pub seq: i64,
    /// With whom.
    pub contact: ContactId,
    /// Which way it went.
    pub direction: Direction,
    /// The letter. A deleted one has lost its text.
    pub letter: Letter,
    /// When it came to this disk.
    pub stored: Wall,
    /// How far it is. For a letter that came in, inserting ignores it and reading gives `Received` or `Read`.
    pub state: State,
    /// How it was protected on its way.
    pub protection: Protection,
    /// The wire it came or went by.
    pub wire: Option<Wire>,
    /// When the person read it, if it came in and was read.
    pub read: Option<Wall>,
    /// It came from somebody who had not been accepted yet.
    pub from_request: bool,
}

impl LetterRow {
    /// A new letter of this person's, queued at `now`.
    pub fn outgoing(contact: ContactId, letter: Letter, now: Wall) -> Self {
        Self {
            seq: 0,
            contact,
            direction: Direction::Out,
            letter,
            stored: now,
            state: State::Queued,
            protection: Protection::default(),
            wire: None,
            read: None,
            from_request: false,
        }
    }

    /// A new letter of somebody's, received at `now` by `wire`.
    pub fn incoming(contact: ContactId, letter: Letter, now: Wall, protection: Protection, wire: Wire) -> Self {
        Self {
            seq: 0,
            contact,
            direction: Direction::In,
            letter,
            stored: now,
            state: State::Received,
            protection,
            wire: Some(wire),
            read: None,
            from_request: false,
        }
    }
}

/// Which way a letter went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// From the contact to this person.
    In,
    /// From this person to the contact.
    Out,
}

impl Direction {
    /// Its name in the API.
    pub const fn name(self) -> &'static str {
        match self {
            Self::In => "in",
            Self::Out => "out",
        }
    }

    pub(crate) const fn number(self) -> i64 {
        match self {
            Self::In => 0,
            Self::Out => 1,
        }
    }

    pub(crate) fn read(row: &Row<'_>, column: usize) -> Result<Self, Error> {
        match row.get(column)? {
            0 => Ok(Self::In),
            1 => Ok(Self::Out),
            _ => Err(Error::Damaged("an unknown direction of a letter".to_owned())),
        }
    }
}

/// How far a letter is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum State {
    /// It came in and the person has not read it.
    Received,
    /// On this disk, to be sent.
    Queued,
    /// Handed to a wire.
    Sent,
    /// A server keeps it for the recipient.
    Stored,
    /// On the recipient's disk.
    Delivered,
    /// The recipient has read it; of one that came in: this person has.
    Read,
    /// It will not arrive.
    Failed {
        /// Why, for people.
        reason: String,
    },
}

impl State {
    /// Its name in the API.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Received => "received",
            Self::Queued => "queued",
            Self::Sent => "sent",
            Self::Stored => "stored",
            Self::Delivered => "delivered",
            Self::Read => "read",
            Self::Failed { .. } => "failed",
        }
    }

    /// Why it failed, if it did.
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Failed { reason } => Some(reason),
            _ => None,
        }
    }

    /// In the order of a letter's way. What came in stays at 0: whether it was read is in a column of its own.
    const fn number(&self) -> i64 {
        match self {
            Self::Received | Self::Queued => 0,
            Self::Sent => 1,
            Self::Stored => 2,
            Self::Delivered => 3,
            Self::Read => 4,
            Self::Failed { .. } => 5,
        }
    }

    /// From the columns direction, state, reason and read, in this order.
    pub(crate) fn read(row: &Row<'_>, direction: usize) -> Result<Self, Error> {
        if Direction::read(row, direction)? == Direction::In {
            let read: Option<i64> = row.get(direction + 3)?;
            return Ok(if read.is_some() { Self::Read } else { Self::Received });
        }
        Ok(match row.get(direction + 1)? {
            0 => Self::Queued,
            1 => Self::Sent,
            2 => Self::Stored,
            3 => Self::Delivered,
            4 => Self::Read,
            5 => Self::Failed { reason: row.get::<_, Option<String>>(direction + 2)?.unwrap_or_default() },
            _ => return Err(Error::Damaged("an unknown state of a letter".to_owned())),
        })
    }
}

/// What became of an insertion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inserted {
    /// It is new and has this number.
    New(i64),
    /// A letter of this id was there already in this conversation and direction, and stays as it is.
    Duplicate,
}

/// Which letters of a contact were read.
#[derive(Clone, Copy, Debug)]
pub enum Unread<'a> {
    /// All.
    All,
    /// Those up to this number, with it.
    UpTo(i64),
    /// These.
    These(&'a [LetterId]),
}

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT l.seq, p.id, l.id, l.sent, l.body, l.stored, l.direction, l.state, l.reason, l.read,
                    l.protection, l.wire, l.from_request
             FROM letter l CROSS JOIN person p ON p.num = l.person ",
            $rest
        )
    };
}

impl Store {
    /// Keeps a letter, and lets it change the letter it is about if it is an edit, a deletion or a reaction.
    ///
    /// # Errors
    /// What the disk says.
    pub fn insert_letter(&self, row: &LetterRow) -> Result<Inserted, Error> {
        let letter = &row.letter;
        let body = of_json(&letter.body)?;
        let role = amend::Role::of(&letter.body);
        let (state, read) = match row.direction {
            Direction::In => (0, row.read),
            Direction::Out => (row.state.number(), None),
        };
        self.whole(|| {
            let person = self.person_or_new(row.contact)?;
            let new = self.run(
                "INSERT INTO letter (person, direction, id, sent, stored, role, body, target, state, reason,
                                     protection, wire, read, from_request)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)
                 ON CONFLICT (id, person, direction) DO NOTHING",
                params![
                    person,
                    row.direction.number(),
                    letter.id.as_bytes(),
                    of_wall(letter.sent),
                    of_wall(row.stored),
                    role.number(),
                    body,
                    role.target().as_ref().map(LetterId::as_bytes),
                    state,
                    row.state.reason(),
                    column::of_protection(row.protection),
                    row.wire.map(|wire| wire.to_string()),
                    read.map(of_wall),
                    row.from_request,
                ],
            )?;
            if new == 0 {
                return Ok(Inserted::Duplicate);
            }
            let seq = self.last_seq();
            amend::after_insert(self, person, row.direction, letter, role, seq)?;
            Ok(Inserted::New(seq))
        })
    }

    /// One letter.
    ///
    /// # Errors
    /// What the disk says.
    pub fn letter(&self, contact: ContactId, direction: Direction, id: LetterId) -> Result<Option<LetterRow>, Error> {
        self.one(
            select!("WHERE l.id = ?1 AND l.person = (SELECT num FROM person WHERE id = ?2) AND l.direction = ?3"),
            params![id.as_bytes(), contact.as_bytes(), direction.number()],
            read_row,
        )
    }

    /// All letters of an id: one a conversation and direction, so normally one. At most 100.
    ///
    /// # Errors
    /// What the disk says.
    pub fn letters_by_id(&self, id: LetterId) -> Result<Vec<LetterRow>, Error> {
        self.all(select!("WHERE l.id = ?1 ORDER BY l.seq LIMIT 100"), [id.as_bytes()], read_row)
    }

    /// Moves an own letter forward: queued, sent, stored, delivered, read; failed from the first three, and from
    /// failed only to delivered or read (a late proof is still a proof). Whether that changed anything.
    ///
    /// # Errors
    /// What the disk says.
    pub fn set_letter_state(&self, contact: ContactId, id: LetterId, state: &State) -> Result<bool, Error> {
        let changed = self.run(
            "UPDATE letter SET state = ?3, reason = ?4
             WHERE id = ?1 AND person = (SELECT num FROM person WHERE id = ?2) AND direction = 1
               AND CASE state WHEN 5 THEN ?3 IN (3, 4)
                              ELSE ?3 > state AND (?3 < 5 OR state <= 2) END",
            params![id.as_bytes(), contact.as_bytes(), state.number(), state.reason()],
        )?;
        Ok(changed > 0)
    }

    /// Notes how an own letter went: the wire that carried it and how it was protected there.
    ///
    /// # Errors
    /// What the disk says.
    pub fn set_letter_wire(
        &self,
        contact: ContactId,
        id: LetterId,
        wire: Wire,
        protection: Protection,
    ) -> Result<bool, Error> {
        let changed = self.run(
            "UPDATE letter SET wire = ?3, protection = ?4
             WHERE id = ?1 AND person = (SELECT num FROM person WHERE id = ?2) AND direction = 1",
            params![id.as_bytes(), contact.as_bytes(), wire.to_string(), column::of_protection(protection)],
        )?;
        Ok(changed > 0)
    }

    /// Marks letters that came in as read; gives those that were not before, oldest first.
    ///
    /// # Errors
    /// What the disk says.
    pub fn mark_read(&self, contact: ContactId, which: Unread<'_>, at: Wall) -> Result<Vec<LetterId>, Error> {
        let Some(person) = self.person(contact)? else {
            return Ok(Vec::new());
        };
        let upto = match which {
            Unread::All => i64::MAX,
            Unread::UpTo(seq) => seq,
            Unread::These(ids) => return self.whole(|| self.mark_these_read(person, ids, at)),
        };
        let mut read = self.all(
            "UPDATE letter INDEXED BY letter_unread SET read = ?3
             WHERE person = ?1 AND direction = 0 AND role = 0 AND read IS NULL AND seq <= ?2
             RETURNING seq, id",
            params![person, upto, of_wall(at)],
            |row| Ok((row.get::<_, i64>(0)?, column::letter(row, 1)?)),
        )?;
        read.sort_unstable_by_key(|(seq, _)| *seq);
        Ok(read.into_iter().map(|(_, id)| id).collect())
    }

    fn mark_these_read(&self, person: i64, ids: &[LetterId], at: Wall) -> Result<Vec<LetterId>, Error> {
        let mut read = Vec::new();
        for &id in ids {
            let changed = self.run(
                "UPDATE letter SET read = ?3
                 WHERE id = ?1 AND person = ?2 AND direction = 0 AND +role = 0 AND read IS NULL",
                params![id.as_bytes(), person, of_wall(at)],
            )?;
            if changed > 0 {
                read.push(id);
            }
        }
        Ok(read)
    }

    /// How many letters of each contact the person has not read; contacts without any are left out.
    ///
    /// # Errors
    /// What the disk says.
    pub fn unread(&self) -> Result<Vec<(ContactId, u64)>, Error> {
        self.all(
            "SELECT p.id, u.letters
             FROM (SELECT person, count(*) AS letters FROM letter INDEXED BY letter_unread
                   WHERE direction = 0 AND role = 0 AND read IS NULL GROUP BY person) u
             JOIN person p ON p.num = u.person",
            (),
            |row| Ok((column::contact(row, 0)?, column::number(row, 1)?)),
        )
    }

    /// How many letters of one contact the person has not read.
    ///
    /// # Errors
    /// What the disk says.
    pub fn unread_of(&self, contact: ContactId) -> Result<u64, Error> {
        let count = self.one(
            "SELECT count(*) FROM letter INDEXED BY letter_unread
             WHERE person = (SELECT num FROM person WHERE id = ?1) AND direction = 0 AND role = 0 AND read IS NULL",
            [contact.as_bytes()],
            |row| column::number(row, 0),
        )?;
        Ok(count.unwrap_or(0))
    }

    /// How many letters there are, of all roles.
    ///
    /// # Errors
    /// What the disk says.
    pub fn letter_len(&self) -> Result<u64, Error> {
        Ok(self.one("SELECT count(*) FROM letter", (), |row| column::number(row, 0))?.unwrap_or(0))
    }

    /// The number of a letter of a conversation, an own one first if both have the id.
    pub(crate) fn letter_seq(&self, contact: ContactId, id: LetterId) -> Result<Option<i64>, Error> {
        self.one(
            "SELECT seq FROM letter WHERE id = ?1 AND person = (SELECT num FROM person WHERE id = ?2)
             ORDER BY direction DESC LIMIT 1",
            params![id.as_bytes(), contact.as_bytes()],
            |row| Ok(row.get(0)?),
        )
    }
}

fn read_row(row: &Row<'_>) -> Result<LetterRow, Error> {
    let body: Body = column::json(row, 4)?;
    Ok(LetterRow {
        seq: row.get(0)?,
        contact: column::contact(row, 1)?,
        direction: Direction::read(row, 6)?,
        letter: Letter { id: column::letter(row, 2)?, sent: column::wall(row, 3)?, body },
        stored: column::wall(row, 5)?,
        state: State::read(row, 6)?,
        protection: column::protection(row, 10)?,
        wire: column::wire(row, 11)?,
        read: column::wall_if(row, 9)?,
        from_request: row.get(12)?,
    })
}
