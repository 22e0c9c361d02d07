//! Conversations as people see them.

use crate::{Direction, Error, State, Store, column};
use rusqlite::{Params, Row, params};
use serde::{Deserialize, Serialize};
use waypost_core::{Body, ContactId, Letter, LetterId, Protection, Wall, Wire};

/// A letter with all that came for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct HistoryEntry {
    /// Its number in the history, rising.
    pub seq: i64,
    /// With whom.
    pub contact: ContactId,
    /// Which way it went.
    pub direction: Direction,
    /// As it was written; an empty text if it was deleted.
    pub letter: Letter,
    /// The text it was changed to, if it was.
    pub edited: Option<String>,
    /// Its author took it back.
    pub deleted: bool,
    /// Emojis on it, this person's own first.
    pub reactions: Vec<Reaction>,
    /// When it came to this disk.
    pub stored: Wall,
    /// How far it is.
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

impl HistoryEntry {
    /// The text as it is now, if it has one.
    pub fn text(&self) -> Option<&str> {
        self.edited.as_deref().or(self.letter.body.text()).filter(|_| !self.deleted)
    }
}

/// An emoji on a letter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Reaction {
    /// Whether it is this person's own.
    pub own: bool,
    /// The emoji.
    pub emoji: String,
}

macro_rules! entries {
    ($rest:literal) => {
        concat!(
            "SELECT l.seq, p.id, l.id, l.sent, l.body, l.stored, l.direction, l.state, l.reason, l.read,
                    l.protection, l.wire, l.from_request, l.edited, l.deleted, l.reacted, l.person ",
            $rest
        )
    };
}

pub(crate) use entries;

impl Store {
    /// The conversation with a contact: the last `limit` entries below `before` (or of all), oldest first.
    ///
    /// # Errors
    /// What the disk says.
    pub fn history(&self, contact: ContactId, before: Option<i64>, limit: usize) -> Result<Vec<HistoryEntry>, Error> {
        let mut found = self.entries(
            entries!(
                "FROM letter l CROSS JOIN person p ON p.num = l.person
                 WHERE l.person = (SELECT num FROM person WHERE id = ?1) AND l.role = 0 AND l.seq < ?2
                 ORDER BY l.seq DESC LIMIT ?3"
            ),
            params![contact.as_bytes(), before.unwrap_or(i64::MAX), column::of_limit(limit)],
        )?;
        found.reverse();
        Ok(found)
    }

    /// One letter as it is shown; two if both people wrote one of the same id.
    ///
    /// # Errors
    /// What the disk says.
    pub fn entry(&self, contact: ContactId, id: LetterId) -> Result<Vec<HistoryEntry>, Error> {
        self.entries(
            entries!(
                "FROM letter l CROSS JOIN person p ON p.num = l.person
                 WHERE l.id = ?1 AND l.person = (SELECT num FROM person WHERE id = ?2) AND +l.role = 0 ORDER BY l.seq"
            ),
            params![id.as_bytes(), contact.as_bytes()],
        )
    }

    /// What came in from everybody but those who wait to be accepted or are blocked: the first `limit` entries
    /// above `after`, oldest first.
    ///
    /// # Errors
    /// What the disk says.
    pub fn inbox(&self, after: Option<i64>, limit: usize, unread_only: bool) -> Result<Vec<HistoryEntry>, Error> {
        let about = params![after.unwrap_or(i64::MIN), column::of_limit(limit)];
        if unread_only {
            return self.entries(
                entries!(
                    "FROM letter l INDEXED BY letter_unread CROSS JOIN person p ON p.num = l.person
                     LEFT JOIN contact c ON c.person = l.person
                     WHERE l.direction = 0 AND l.role = 0 AND l.read IS NULL AND l.seq > ?1
                       AND coalesce(c.status, 0) = 0
                     ORDER BY l.seq LIMIT ?2"
                ),
                about,
            );
        }
        self.entries(
            entries!(
                "FROM letter l INDEXED BY letter_received CROSS JOIN person p ON p.num = l.person
                 LEFT JOIN contact c ON c.person = l.person
                 WHERE l.direction = 0 AND l.role = 0 AND l.seq > ?1 AND coalesce(c.status, 0) = 0
                 ORDER BY l.seq LIMIT ?2"
            ),
            about,
        )
    }

    /// Reads entries from rows of the columns of `entries!`, and their reactions.
    pub(crate) fn entries(&self, sql: &'static str, params: impl Params) -> Result<Vec<HistoryEntry>, Error> {
        let found = self.all(sql, params, |row| Ok((read_entry(row)?, row.get::<_, bool>(15)?, row.get(16)?)))?;
        found
            .into_iter()
            .map(|(mut entry, reacted, person)| {
                if reacted {
                    entry.reactions = self.reactions(person, entry.letter.id)?;
                }
                Ok(entry)
            })
            .collect()
    }

    /// The last reaction of each person, unless it was taken back.
    fn reactions(&self, person: i64, id: LetterId) -> Result<Vec<Reaction>, Error> {
        let mut last: [Option<String>; 2] = [None, None];
        let [own, theirs] = &mut last;
        self.all(
            "SELECT direction, body FROM letter WHERE target = ?1 AND person = ?2 AND +role = 3 ORDER BY sent, id",
            params![id.as_bytes(), person],
            |row| {
                if let Body::Reaction { emoji, .. } = column::json(row, 1)? {
                    let whose = if Direction::read(row, 0)? == Direction::Out { &mut *own } else { &mut *theirs };
                    *whose = Some(emoji).filter(|emoji| !emoji.is_empty());
                }
                Ok(())
            },
        )?;
        let [own, theirs] = last;
        let named = [(true, own), (false, theirs)];
        Ok(named.into_iter().filter_map(|(own, emoji)| Some(Reaction { own, emoji: emoji? })).collect())
    }
}

fn read_entry(row: &Row<'_>) -> Result<HistoryEntry, Error> {
    Ok(HistoryEntry {
        seq: row.get(0)?,
        contact: column::contact(row, 1)?,
        direction: Direction::read(row, 6)?,
        letter: Letter { id: column::letter(row, 2)?, sent: column::wall(row, 3)?, body: column::json(row, 4)? },
        edited: row.get(13)?,
        deleted: row.get(14)?,
        reactions: Vec::new(),
        stored: column::wall(row, 5)?,
        state: State::read(row, 6)?,
        protection: column::protection(row, 10)?,
        wire: column::wire(row, 11)?,
        read: column::wall_if(row, 9)?,
        from_request: row.get(12)?,
    })
}
