//! The way of each letter: attempts to move it, and the steps it went.

use crate::{
    Error, Store,
    column::{self, of_limit, of_wall},
};
use rusqlite::{Row, params};
use serde::{Deserialize, Serialize};
use waypost_core::{ContactId, LetterId, Protection, RouteId, Wall, Wire};

/// One attempt to move one letter over one wire.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RouteRow {
    /// Its number; given by [`Store::add_route`] and ignored by it.
    pub route: RouteId,
    /// With whom.
    pub contact: ContactId,
    /// Which letter.
    pub letter: LetterId,
    /// By which wire.
    pub wire: Wire,
    /// Where to or through.
    pub via: String,
    /// When it began.
    pub started: Wall,
    /// When it ended, if it did.
    pub ended: Option<Wall>,
    /// How it ended, if it did.
    pub outcome: Option<String>,
    /// How the letter is protected on it.
    pub protection: Protection,
}

/// One step of a letter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TraceRow {
    /// With whom.
    pub contact: ContactId,
    /// Which letter.
    pub letter: LetterId,
    /// When.
    pub at: Wall,
    /// What happened.
    pub what: String,
    /// The attempt that caused it, if one did.
    pub route: Option<RouteId>,
}

/// What is kept of one letter that is tried for weeks.
const MAX_A_LETTER: i64 = 256;

impl Store {
    /// Notes the begin of an attempt. The oldest of more than 256 of one letter go.
    ///
    /// # Errors
    /// [`Error::NotFound`] if the letter is not in the history.
    pub fn add_route(&self, row: &RouteRow) -> Result<RouteId, Error> {
        let letter = self.letter_seq(row.contact, row.letter)?.ok_or(Error::NotFound("letter"))?;
        self.run(
            "INSERT INTO route (letter, wire, via, started, ended, outcome, protection)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            params![
                letter,
                row.wire.to_string(),
                row.via,
                of_wall(row.started),
                row.ended.map(of_wall),
                row.outcome,
                column::of_protection(row.protection)
            ],
        )?;
        let route = self.last_seq();
        self.run(
            "DELETE FROM route WHERE id IN
                 (SELECT id FROM route WHERE letter = ?1 ORDER BY id DESC LIMIT -1 OFFSET ?2)",
            params![letter, MAX_A_LETTER],
        )?;
        Ok(of_column(route))
    }

    /// Notes the end of an attempt; whether it was open.
    ///
    /// # Errors
    /// What the disk says.
    pub fn end_route(&self, route: RouteId, outcome: &str, at: Wall) -> Result<bool, Error> {
        let ended = self.run(
            "UPDATE route SET ended = ?2, outcome = ?3 WHERE id = ?1 AND ended IS NULL",
            params![of_route(route), of_wall(at), outcome],
        )?;
        Ok(ended > 0)
    }

    /// Ends all attempts that were open when the node stopped.
    ///
    /// # Errors
    /// What the disk says.
    pub fn end_open_routes(&self, outcome: &str, at: Wall) -> Result<usize, Error> {
        self.run("UPDATE route SET ended = ?1, outcome = ?2 WHERE ended IS NULL", params![of_wall(at), outcome])
    }

    /// The attempts for a letter, oldest first; of one contact, or of all it was written to.
    ///
    /// # Errors
    /// What the disk says.
    pub fn routes(&self, contact: Option<ContactId>, letter: LetterId) -> Result<Vec<RouteRow>, Error> {
        self.all(
            "SELECT r.id, p.id, l.id, r.wire, r.via, r.started, r.ended, r.outcome, r.protection
             FROM letter l CROSS JOIN person p ON p.num = l.person CROSS JOIN route r ON r.letter = l.seq
             WHERE l.id = ?1 AND (?2 IS NULL OR p.id = ?2) ORDER BY r.id LIMIT 1000",
            params![letter.as_bytes(), contact.as_ref().map(ContactId::as_bytes)],
            read_route,
        )
    }

    /// Notes a step of a letter. The oldest of more than 256 go.
    ///
    /// # Errors
    /// [`Error::NotFound`] if the letter is not in the history.
    pub fn add_trace(&self, row: &TraceRow) -> Result<(), Error> {
        let letter = self.letter_seq(row.contact, row.letter)?.ok_or(Error::NotFound("letter"))?;
        let last: Option<i64> =
            self.one("SELECT max(n) FROM trace WHERE letter = ?1", [letter], |row| Ok(row.get(0)?))?.flatten();
        let n = last.unwrap_or(0) + 1;
        self.run(
            "INSERT INTO trace (letter, n, at, what, route) VALUES (?1, ?2, ?3, ?4, ?5)",
            params![letter, n, of_wall(row.at), row.what, row.route.map(of_route)],
        )?;
        if n > MAX_A_LETTER {
            self.run("DELETE FROM trace WHERE letter = ?1 AND n <= ?2", params![letter, n - MAX_A_LETTER])?;
        }
        Ok(())
    }

    /// The steps of a letter, oldest first, to whomever it was written.
    ///
    /// # Errors
    /// What the disk says.
    pub fn trace(&self, letter: LetterId) -> Result<Vec<TraceRow>, Error> {
        self.all(
            "SELECT p.id, l.id, t.at, t.what, t.route
             FROM letter l CROSS JOIN person p ON p.num = l.person CROSS JOIN trace t ON t.letter = l.seq
             WHERE l.id = ?1 ORDER BY t.at, t.letter, t.n LIMIT 1000",
            [letter.as_bytes()],
            |row| {
                Ok(TraceRow {
                    contact: column::contact(row, 0)?,
                    letter: column::letter(row, 1)?,
                    at: column::wall(row, 2)?,
                    what: row.get(3)?,
                    route: row.get::<_, Option<i64>>(4)?.map(of_column),
                })
            },
        )
    }

    /// Removes steps and attempts from before `before`, looking at the `limit` oldest of each; how many went.
    ///
    /// # Errors
    /// What the disk says.
    pub fn sweep_traces(&self, before: Wall, limit: usize) -> Result<usize, Error> {
        let about = params![of_wall(before), of_limit(limit)];
        let steps = self.run(
            "DELETE FROM trace WHERE (letter, n) IN
                 (SELECT letter, n FROM (SELECT letter, n, at FROM trace ORDER BY letter, n LIMIT ?2) WHERE at < ?1)",
            about,
        )?;
        let routes = self.run(
            "DELETE FROM route WHERE id IN
                 (SELECT id FROM (SELECT id, started FROM route ORDER BY id LIMIT ?2) WHERE started < ?1)",
            about,
        )?;
        Ok(steps + routes)
    }
}

fn of_route(route: RouteId) -> i64 {
    i64::try_from(route.0).unwrap_or(i64::MAX)
}

fn of_column(route: i64) -> RouteId {
    RouteId(u64::try_from(route).unwrap_or(0))
}

fn read_route(row: &Row<'_>) -> Result<RouteRow, Error> {
    Ok(RouteRow {
        route: of_column(row.get(0)?),
        contact: column::contact(row, 1)?,
        letter: column::letter(row, 2)?,
        wire: column::wire(row, 3)?.ok_or_else(|| Error::Damaged("a route without a wire".to_owned()))?,
        via: row.get(4)?,
        started: column::wall(row, 5)?,
        ended: column::wall_if(row, 6)?,
        outcome: row.get(7)?,
        protection: column::protection(row, 8)?,
    })
}
