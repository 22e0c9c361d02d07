//! The people a person knows, and those who want to be known.

use crate::{
    Error, Store, amend,
    column::{self, of_json, of_wall},
};
use rusqlite::{Row, params};
use serde::{Deserialize, Serialize};
use unicode_normalization::UnicodeNormalization;
use waypost_core::{Address, Card, ContactId, InviteToken, Wall};

/// Somebody, as this person keeps them. Trust and verification are the protocol's records.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ContactRow {
    /// Who.
    pub id: ContactId,
    /// The name the person gave them.
    pub name: String,
    /// How they stand.
    pub status: ContactStatus,
    /// Their newest card, verified.
    pub card: Option<Card>,
    /// Where they are reachable, best first.
    pub addresses: Vec<Address>,
    /// When they were added, or first wrote.
    pub added: Wall,
    /// Whether they are told that their letters were read; none means what the person does in general.
    pub read_receipts: Option<bool>,
    /// Nothing of them notifies.
    pub muted: bool,
    /// When something was last heard of them.
    pub last_seen: Option<Wall>,
    /// Their invite, to send with the first letter.
    #[serde(skip)]
    pub invite_token: Option<InviteToken>,
    /// How their key was verified out of band, if it was: `number` or `qr`.
    pub verified: Option<String>,
}

impl ContactRow {
    /// Somebody of whom only the key and a name are known.
    pub fn new(id: ContactId, name: String, status: ContactStatus, now: Wall) -> Self {
        Self {
            id,
            name,
            status,
            card: None,
            addresses: Vec::new(),
            added: now,
            read_receipts: None,
            muted: false,
            last_seen: None,
            invite_token: None,
            verified: None,
        }
    }
}

/// How somebody stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum ContactStatus {
    /// A contact.
    Contact,
    /// Wrote without an invite and waits to be accepted.
    Request,
    /// Refused from now on.
    Blocked,
}

impl ContactStatus {
    /// Its name in the API.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Contact => "contact",
            Self::Request => "request",
            Self::Blocked => "blocked",
        }
    }

    const fn number(self) -> i64 {
        match self {
            Self::Contact => 0,
            Self::Request => 1,
            Self::Blocked => 2,
        }
    }

    fn from_number(number: i64) -> Result<Self, Error> {
        match number {
            0 => Ok(Self::Contact),
            1 => Ok(Self::Request),
            2 => Ok(Self::Blocked),
            _ => Err(Error::Damaged("an unknown status of a contact".to_owned())),
        }
    }
}

/// What letters of people who wait to be accepted take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RequestUsage {
    /// How many there are.
    pub letters: u64,
    /// How long their texts are together.
    pub bytes: u64,
}

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT p.id, c.name, c.status, c.card, c.addresses, c.added, c.read_receipts, c.muted, c.last_seen,
                    c.invite_token, c.verified
             FROM contact c JOIN person p ON p.num = c.person ",
            $rest
        )
    };
}

impl Store {
    /// One contact.
    ///
    /// # Errors
    /// What the disk says.
    pub fn contact(&self, id: ContactId) -> Result<Option<ContactRow>, Error> {
        self.one(select!("WHERE p.id = ?1"), [id.as_bytes()], row)
    }

    /// All contacts of all kinds, in order of their names.
    ///
    /// # Errors
    /// What the disk says.
    pub fn contacts(&self) -> Result<Vec<ContactRow>, Error> {
        self.all(select!("ORDER BY c.folded, p.id"), (), row)
    }

    /// Those whose name is `name`, however it is capitalised or composed.
    ///
    /// # Errors
    /// What the disk says.
    pub fn find_contacts(&self, name: &str) -> Result<Vec<ContactRow>, Error> {
        self.all(select!("WHERE c.folded = ?1 ORDER BY p.id"), [fold(name)], row)
    }

    /// Adds or replaces a contact.
    ///
    /// # Errors
    /// What the disk says.
    pub fn put_contact(&self, contact: &ContactRow) -> Result<(), Error> {
        let card = contact.card.as_ref().map(of_json).transpose()?;
        let addresses = of_json(&contact.addresses)?;
        self.whole(|| {
            let person = self.person_or_new(contact.id)?;
            self.run(
                "INSERT INTO contact (person, name, folded, status, card, addresses, added, read_receipts, muted,
                                      last_seen, invite_token, verified)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)
                 ON CONFLICT (person) DO UPDATE SET
                     name = excluded.name, folded = excluded.folded, status = excluded.status, card = excluded.card,
                     addresses = excluded.addresses, added = excluded.added, read_receipts = excluded.read_receipts,
                     muted = excluded.muted, last_seen = excluded.last_seen, invite_token = excluded.invite_token,
                     verified = excluded.verified",
                params![
                    person,
                    contact.name,
                    fold(&contact.name),
                    contact.status.number(),
                    card,
                    addresses,
                    of_wall(contact.added),
                    contact.read_receipts,
                    contact.muted,
                    contact.last_seen.map(of_wall),
                    contact.invite_token.as_ref().map(|token| token.0),
                    contact.verified,
                ],
            )
        })?;
        Ok(())
    }

    /// Notes when something was last heard of a contact; never goes back.
    ///
    /// # Errors
    /// What the disk says.
    pub fn touch_contact(&self, id: ContactId, at: Wall) -> Result<(), Error> {
        self.run(
            "UPDATE contact SET last_seen = ?2
             WHERE person = (SELECT num FROM person WHERE id = ?1) AND coalesce(last_seen, -1) < ?2",
            params![id.as_bytes(), of_wall(at)],
        )?;
        Ok(())
    }

    /// Removes a contact, and with `forget` all letters from and to it; whether there was anything to remove.
    /// Letters of it that wait to be sent stay where they are without `forget`.
    ///
    /// # Errors
    /// What the disk says.
    pub fn remove_contact(&self, id: ContactId, forget: bool) -> Result<bool, Error> {
        let Some(person) = self.person(id)? else {
            return Ok(false);
        };
        self.whole(|| {
            let mut removed = self.run("DELETE FROM contact WHERE person = ?1", [person])?;
            if forget {
                amend::unindex_all(self, person)?;
                removed += self.run("DELETE FROM letter WHERE person = ?1", [person])?;
                removed += self.run("DELETE FROM warning WHERE person = ?1", [person])?;
                self.run("DELETE FROM person WHERE num = ?1", [person])?;
            }
            Ok(removed > 0)
        })
    }

    /// What the letters of all people who wait to be accepted take.
    ///
    /// # Errors
    /// What the disk says.
    pub fn request_usage(&self) -> Result<RequestUsage, Error> {
        let usage = self.one(
            "SELECT count(*), coalesce(sum(length(l.body)), 0)
             FROM contact c CROSS JOIN letter l ON l.person = c.person
             WHERE c.status = 1 AND l.direction = 0",
            (),
            usage,
        )?;
        Ok(usage.unwrap_or_default())
    }

    /// What the letters that came from one person take.
    ///
    /// # Errors
    /// What the disk says.
    pub fn request_usage_of(&self, id: ContactId) -> Result<RequestUsage, Error> {
        let usage = self.one(
            "SELECT count(*), coalesce(sum(length(body)), 0) FROM letter
             WHERE person = (SELECT num FROM person WHERE id = ?1) AND direction = 0",
            [id.as_bytes()],
            usage,
        )?;
        Ok(usage.unwrap_or_default())
    }

    /// The number of a person in this database.
    pub(crate) fn person(&self, id: ContactId) -> Result<Option<i64>, Error> {
        self.one("SELECT num FROM person WHERE id = ?1", [id.as_bytes()], |row| Ok(row.get(0)?))
    }

    pub(crate) fn person_or_new(&self, id: ContactId) -> Result<i64, Error> {
        if let Some(person) = self.person(id)? {
            return Ok(person);
        }
        self.run("INSERT INTO person (id) VALUES (?1)", [id.as_bytes()])?;
        Ok(self.last_seq())
    }
}

/// The form in which names are compared.
fn fold(name: &str) -> String {
    name.nfkc().flat_map(char::to_lowercase).collect::<String>().nfc().collect()
}

fn row(row: &Row<'_>) -> Result<ContactRow, Error> {
    let card: Option<String> = row.get(3)?;
    Ok(ContactRow {
        id: column::contact(row, 0)?,
        name: row.get(1)?,
        status: ContactStatus::from_number(row.get(2)?)?,
        card: card.as_deref().map(column::from_json).transpose()?,
        addresses: column::json(row, 4)?,
        added: column::wall(row, 5)?,
        read_receipts: row.get(6)?,
        muted: row.get(7)?,
        last_seen: column::wall_if(row, 8)?,
        invite_token: row.get::<_, Option<[u8; 16]>>(9)?.map(InviteToken),
        verified: row.get(10)?,
    })
}

fn usage(row: &Row<'_>) -> Result<RequestUsage, Error> {
    Ok(RequestUsage { letters: column::number(row, 0)?, bytes: column::number(row, 1)? })
}
