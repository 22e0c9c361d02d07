//! How values of the vocabulary look in a column.

use crate::Error;
use rusqlite::Row;
use serde::{Deserialize, Serialize, de::DeserializeOwned, de::IntoDeserializer};
use waypost_core::{ContactId, LetterId, Protection, Wall, Wire};

/// A time; SQLite's integers end in the year 292,278,994, and a clock beyond that is cut there.
pub(crate) fn of_wall(wall: Wall) -> i64 {
    i64::try_from(wall.as_millis()).unwrap_or(i64::MAX)
}

pub(crate) fn wall(row: &Row<'_>, column: usize) -> Result<Wall, Error> {
    Ok(Wall::from_millis(number(row, column)?))
}

pub(crate) fn wall_if(row: &Row<'_>, column: usize) -> Result<Option<Wall>, Error> {
    let millis: Option<i64> = row.get(column)?;
    Ok(millis.map(|millis| Wall::from_millis(u64::try_from(millis).unwrap_or(0))))
}

/// A number that is never negative.
pub(crate) fn number(row: &Row<'_>, column: usize) -> Result<u64, Error> {
    Ok(u64::try_from(row.get::<_, i64>(column)?).unwrap_or(0))
}

pub(crate) fn contact(row: &Row<'_>, column: usize) -> Result<ContactId, Error> {
    Ok(ContactId::from_bytes(row.get(column)?))
}

pub(crate) fn letter(row: &Row<'_>, column: usize) -> Result<LetterId, Error> {
    Ok(LetterId::from_bytes(row.get(column)?))
}

pub(crate) fn of_json(value: &impl Serialize) -> Result<String, Error> {
    serde_json::to_string(value).map_err(|error| Error::Damaged(error.to_string()))
}

pub(crate) fn json<T: DeserializeOwned>(row: &Row<'_>, column: usize) -> Result<T, Error> {
    from_json(row.get_ref(column)?.as_str().map_err(rusqlite::Error::from)?)
}

pub(crate) fn from_json<T: DeserializeOwned>(text: &str) -> Result<T, Error> {
    serde_json::from_str(text).map_err(|error| Error::Damaged(error.to_string()))
}

pub(crate) fn wire(row: &Row<'_>, column: usize) -> Result<Option<Wire>, Error> {
    let Some(name) = row.get_ref(column)?.as_str_or_null().map_err(rusqlite::Error::from)? else {
        return Ok(None);
    };
    let wire: Result<_, serde::de::value::Error> = Wire::deserialize(name.into_deserializer());
    wire.map(Some).map_err(|error| Error::Damaged(error.to_string()))
}

/// One bit a property, so that more can follow.
pub(crate) fn of_protection(protection: Protection) -> i64 {
    let Protection { end_to_end, forward_secret, post_quantum, verified } = protection;
    i64::from(end_to_end) | i64::from(forward_secret) << 1 | i64::from(post_quantum) << 2 | i64::from(verified) << 3
}

pub(crate) fn protection(row: &Row<'_>, column: usize) -> Result<Protection, Error> {
    let bits: i64 = row.get(column)?;
    Ok(Protection {
        end_to_end: bits & 1 != 0,
        forward_secret: bits & 2 != 0,
        post_quantum: bits & 4 != 0,
        verified: bits & 8 != 0,
    })
}

/// How many rows at most: what SQLite takes as LIMIT.
pub(crate) fn of_limit(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_protection_has_bits_of_its_own() {
        let conn = rusqlite::Connection::open_in_memory().unwrap();
        for bits in 0..16 {
            conn.query_row("SELECT ?1", [bits], |row| {
                assert_eq!(of_protection(protection(row, 0).unwrap()), bits);
                Ok(())
            })
            .unwrap();
        }
    }
}
