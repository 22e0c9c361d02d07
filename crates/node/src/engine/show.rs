//! Rows as the API shows them.

use super::Engine;
use crate::Error;
use crate::method::{ContactInfo, Entry, Reaction};
use waypost_core::ContactId;
use waypost_sremp::trust::{Trust, book};
use waypost_store::{ContactRow, HistoryEntry};

impl Engine {
    pub(super) fn contact_info(&self, row: &ContactRow) -> Result<ContactInfo, Error> {
        let seen = book::row(&self.store, &row.id).map_err(sremp_error)?;
        let warnings = self.store.warnings_of(row.id)?.into_iter().filter(|warning| !warning.seen);
        Ok(ContactInfo {
            contact: row.id,
            name: row.name.clone(),
            username: seen
                .as_ref()
                .map(|row| row.identity.username().to_owned())
                .or(row.card.as_ref().map(|c| c.name.clone())),
            status: row.status.name().to_owned(),
            trust: trust_name(seen.map_or(Trust::Unknown, |row| row.trust)).to_owned(),
            verified: row.verified.clone(),
            addresses: row.addresses.clone(),
            online: self.is_online(&row.id),
            last_seen: row.last_seen,
            unread: self.store.unread_of(row.id)?,
            added: row.added,
            warnings: warnings.map(|warning| warning.text).collect(),
        })
    }

    pub(super) fn entries(&self, found: &[HistoryEntry]) -> Result<Vec<Entry>, Error> {
        let mut names: Vec<(ContactId, String)> = Vec::new();
        let mut entries = Vec::with_capacity(found.len());
        for entry in found {
            let name = match names.iter().find(|(id, _)| *id == entry.contact) {
                Some((_, name)) => name.clone(),
                None => {
                    let name = self.name_of(entry.contact)?;
                    names.push((entry.contact, name.clone()));
                    name
                }
            };
            entries.push(Entry {
                seq: entry.seq,
                id: entry.letter.id,
                contact: entry.contact,
                name,
                direction: entry.direction.name().to_owned(),
                sent: entry.letter.sent,
                stored: entry.stored,
                body: entry.letter.body.clone(),
                edited: entry.edited.clone(),
                deleted: entry.deleted,
                reactions: entry
                    .reactions
                    .iter()
                    .map(|reaction| Reaction { own: reaction.own, emoji: reaction.emoji.clone() })
                    .collect(),
                state: entry.state.name().to_owned(),
                reason: entry.state.reason().map(ToOwned::to_owned),
                protection: entry.protection,
                wire: entry.wire,
            });
        }
        Ok(entries)
    }

    pub(super) fn is_online(&self, contact: &ContactId) -> bool {
        self.wires.iter().any(|wire| wire.is_online(contact))
    }

    fn name_of(&self, contact: ContactId) -> Result<String, Error> {
        let known = self.store.contact(contact)?.map(|row| row.name);
        Ok(known.unwrap_or_else(|| contact.to_string().chars().take(8).collect()))
    }
}

/// SREMP 3.2.
const fn trust_name(trust: Trust) -> &'static str {
    match trust {
        Trust::Unknown => "unknown",
        Trust::Trusted => "trusted",
        Trust::Rejected => "rejected",
    }
}

/// An error of the protocol crate, where only its records can have failed.
pub(crate) fn sremp_error(error: waypost_sremp::Error) -> Error {
    match error {
        waypost_sremp::Error::Records(fault) => Error::Records(fault),
        waypost_sremp::Error::BadInput(text) => Error::BadInput(text.to_owned()),
        other => Error::Internal(other.to_string()),
    }
}
