//! How letters change each other: edits, deletions and reactions, in whatever order they come.
//!
//! Each is a letter of its own and points at another one of the same conversation. Only a letter's
//! own author edits or deletes it. Of several edits the one sent last counts, of several sent at the
//! same time the one with the highest id, so both sides show the same. A deletion counts for ever and
//! takes the text out of the database, also that of edits.

use crate::{Direction, Error, Store, column};
use rusqlite::params;
use waypost_core::{Body, Letter, LetterId};

/// What a letter is for the history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Shown.
    Entry,
    Edit(LetterId),
    Delete(LetterId),
    Reaction(LetterId),
    /// Neither shown nor changing what is shown: receipts and profiles.
    Other,
}

impl Role {
    /// The kind alone decides, never the name a foreign version gives a kind of its own.
    pub(crate) fn of(body: &Body) -> Self {
        match body {
            Body::Edit { to, .. } => Self::Edit(*to),
            Body::Delete { to } => Self::Delete(*to),
            Body::Reaction { to, .. } => Self::Reaction(*to),
            Body::Receipt { .. } | Body::Profile { .. } => Self::Other,
            _ => Self::Entry,
        }
    }

    pub(crate) const fn number(self) -> i64 {
        match self {
            Self::Entry => 0,
            Self::Edit(_) => 1,
            Self::Delete(_) => 2,
            Self::Reaction(_) => 3,
            Self::Other => 4,
        }
    }

    pub(crate) const fn target(self) -> Option<LetterId> {
        match self {
            Self::Edit(to) | Self::Delete(to) | Self::Reaction(to) => Some(to),
            Self::Entry | Self::Other => None,
        }
    }
}

// In the statements below `+role` keeps SQLite from choosing the index by person and role, which leads through
// the whole conversation, before the one by id or target.

/// Lets a letter just inserted take effect, or the earlier ones that were about it.
pub(crate) fn after_insert(
    store: &Store,
    person: i64,
    direction: Direction,
    letter: &Letter,
    role: Role,
    seq: i64,
) -> Result<(), Error> {
    match role {
        Role::Other => Ok(()),
        Role::Entry => {
            if let Some(text) = letter.body.text() {
                index(store, seq, text)?;
            }
            refresh(store, person, direction, letter.id)?;
            mark_reactions(store, person, letter.id)
        }
        Role::Edit(to) | Role::Delete(to) => refresh(store, person, direction, to),
        Role::Reaction(to) => mark_reactions(store, person, to),
    }
}

/// The columns of an entry that edits and deletions set, made anew from those.
fn refresh(store: &Store, person: i64, direction: Direction, id: LetterId) -> Result<(), Error> {
    let about = params![id.as_bytes(), person, direction.number()];
    let changes: Option<(bool, Option<String>)> = store.one(
        "SELECT max(role) = 2,
                (SELECT body FROM letter WHERE target = ?1 AND person = ?2 AND direction = ?3 AND +role = 1
                 ORDER BY sent DESC, id DESC LIMIT 1)
         FROM letter WHERE target = ?1 AND person = ?2 AND direction = ?3 AND +role IN (1, 2)
         HAVING count(*) > 0",
        about,
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    let Some((deleted, edit)) = changes else {
        return Ok(());
    };
    let entry: Option<(i64, String, Option<String>, bool)> = store.one(
        "SELECT seq, body, edited, deleted FROM letter WHERE id = ?1 AND person = ?2 AND direction = ?3 AND +role = 0",
        about,
        |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)),
    )?;
    let Some((seq, body, edited, was_deleted)) = entry else {
        return Ok(());
    };
    let body: Body = column::from_json(&body)?;
    let shown = edited.as_deref().or(body.text()).filter(|_| !was_deleted);
    if deleted {
        if let Some(text) = shown {
            unindex(store, seq, text)?;
        }
        return wipe(store, person, direction, id, seq);
    }
    let edit: Option<Body> = edit.as_deref().map(column::from_json).transpose()?;
    // Only text can be edited.
    if let (Some(old), Some(new)) = (shown, edit.as_ref().and_then(Body::text))
        && old != new
    {
        unindex(store, seq, old)?;
        index(store, seq, new)?;
        store.run("UPDATE letter SET edited = ?2 WHERE seq = ?1", params![seq, new])?;
    } else if let (None, Some(_), Some(new)) = (&edited, shown, edit.as_ref().and_then(Body::text)) {
        store.run("UPDATE letter SET edited = ?2 WHERE seq = ?1", params![seq, new])?;
    }
    Ok(())
}

/// Takes the text of a deleted letter and of its edits out of the database.
fn wipe(store: &Store, person: i64, direction: Direction, id: LetterId, seq: i64) -> Result<(), Error> {
    let body = column::of_json(&Body::Text { text: String::new() })?;
    store.run(
        "UPDATE letter SET deleted = 1, edited = NULL, body = ?2 WHERE seq = ?1 AND (deleted = 0 OR edited IS NOT NULL)",
        params![seq, body],
    )?;
    let body = column::of_json(&Body::Edit { to: id, text: String::new() })?;
    store.run(
        "UPDATE letter SET body = ?4 WHERE target = ?1 AND person = ?2 AND direction = ?3 AND +role = 1 AND body <> ?4",
        params![id.as_bytes(), person, direction.number(), body],
    )?;
    Ok(())
}

/// Notes on entries that there are reactions to look for; both people's letters can carry them.
fn mark_reactions(store: &Store, person: i64, id: LetterId) -> Result<(), Error> {
    store.run(
        "UPDATE letter SET reacted = 1
         WHERE id = ?1 AND person = ?2 AND +role = 0 AND reacted = 0
           AND EXISTS (SELECT 1 FROM letter WHERE target = ?1 AND person = ?2 AND +role = 3)",
        params![id.as_bytes(), person],
    )?;
    Ok(())
}

/// Takes all texts of a conversation out of the search, before its letters go.
pub(crate) fn unindex_all(store: &Store, person: i64) -> Result<(), Error> {
    let mut after = 0;
    loop {
        let texts: Vec<(i64, Body, Option<String>)> = store.all(
            "SELECT seq, body, edited FROM letter
             WHERE person = ?1 AND role = 0 AND deleted = 0 AND seq > ?2 ORDER BY seq LIMIT 256",
            params![person, after],
            |row| Ok((row.get(0)?, column::json(row, 1)?, row.get(2)?)),
        )?;
        let Some((last, _, _)) = texts.last() else {
            return Ok(());
        };
        after = *last;
        for (seq, body, edited) in &texts {
            if let Some(text) = edited.as_deref().or(body.text()) {
                unindex(store, *seq, text)?;
            }
        }
    }
}

fn index(store: &Store, seq: i64, text: &str) -> Result<(), Error> {
    store.run("INSERT INTO letter_search (rowid, text) VALUES (?1, ?2)", params![seq, text])?;
    Ok(())
}

fn unindex(store: &Store, seq: i64, text: &str) -> Result<(), Error> {
    store
        .run("INSERT INTO letter_search (letter_search, rowid, text) VALUES ('delete', ?1, ?2)", params![seq, text])?;
    Ok(())
}
