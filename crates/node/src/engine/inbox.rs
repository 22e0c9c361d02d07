//! Letters in: whose they are, whether they may come in, and what each kind does.

use super::Engine;
use crate::{Config, Error, Event, invite, shared_keys};
use rand_core::CryptoRng;
use waypost_core::{Body, ContactId, InviteToken, Letter, Now, Protection, ReceiptKind, Wire as WireKind};
use waypost_sremp::trust::book;
use waypost_store::{ContactRow, ContactStatus, Inserted, LetterRow, State, Store};

impl Engine {
    #[expect(clippy::too_many_arguments, reason = "everything that is known of a letter that comes in")]
    pub(super) fn received(
        &mut self,
        now: Now,
        rng: &mut dyn CryptoRng,
        wire: WireKind,
        peer: ContactId,
        letter: Letter,
        token: Option<InviteToken>,
        protection: Protection,
    ) -> Result<(), Error> {
        let contact = self.sender(now, rng, peer, token)?;
        match &letter.body {
            Body::Receipt { receipt, letters } => {
                let state = match receipt {
                    ReceiptKind::Delivered => State::Delivered,
                    ReceiptKind::Read => State::Read,
                };
                for id in letters {
                    self.step(now, peer, *id, &state, state.name(), Some(wire), None)?;
                }
                Ok(())
            }
            Body::Profile { card, .. } => self.profile_received(contact, card.as_deref()),
            _ => self.keep(now, wire, &contact, letter, protection),
        }
    }

    fn keep(
        &mut self,
        now: Now,
        wire: WireKind,
        contact: &ContactRow,
        letter: Letter,
        protection: Protection,
    ) -> Result<(), Error> {
        let (id, target) = (letter.id, letter.body.target());
        let about_another = matches!(letter.body, Body::Reaction { .. } | Body::Edit { .. } | Body::Delete { .. });
        let protection = Protection { verified: contact.verified.is_some(), ..protection };
        let row = LetterRow {
            from_request: contact.status == ContactStatus::Request,
            ..LetterRow::incoming(contact.id, letter, now.wall, protection, wire)
        };
        if matches!(self.store.insert_letter(&row)?, Inserted::Duplicate) {
            return Ok(());
        }
        let shown = if about_another { target.unwrap_or(id) } else { id };
        // Nothing of people who wait to be accepted draws attention, beyond the request itself.
        if contact.status == ContactStatus::Contact {
            for entry in self.entries(&self.store.entry(contact.id, shown)?)? {
                self.event(Event::Letter { entry, new: !about_another });
            }
        }
        Ok(())
    }

    /// The row of whoever wrote; a new one waits to be accepted, unless it brought an invite.
    fn sender(
        &mut self,
        now: Now,
        rng: &mut dyn CryptoRng,
        peer: ContactId,
        token: Option<InviteToken>,
    ) -> Result<ContactRow, Error> {
        let known = self.store.contact(peer)?;
        let invited = match (&known, &token) {
            (Some(row), _) if row.status == ContactStatus::Contact => false,
            (_, Some(token)) if invite::take(&self.store, token, now.wall)? => {
                shared_keys::met(&self.store, &peer, token)?;
                true
            }
            _ => false,
        };
        if let (Some(row), false) = (&known, invited) {
            return Ok(row.clone());
        }
        let status = if invited { ContactStatus::Contact } else { ContactStatus::Request };
        let row = match known {
            Some(row) => ContactRow { status, ..row },
            None => {
                let username = book::row(&self.store, &peer).map_err(super::show::sremp_error)?;
                let name = self.free_name(username.as_ref().map_or("somebody", |row| row.identity.username()))?;
                ContactRow::new(peer, name, status, now.wall)
            }
        };
        self.store.put_contact(&row)?;
        let contact = self.contact_info(&row)?;
        if invited {
            self.contact_changed(now, rng, peer)?;
            self.introduce(now, rng, peer)?;
            self.event(Event::Contact { contact });
        } else {
            self.event(Event::Request { contact });
        }
        Ok(row)
    }
}

/// Whether no more letters of this stranger find room.
pub(crate) fn is_full(store: &Store, config: &Config, peer: ContactId) -> Result<bool, Error> {
    let limits = &config.letters;
    let all = store.request_usage()?.letters;
    let each = store.request_usage_of(peer)?.letters;
    Ok(all >= u64::from(limits.request_letters) || each >= u64::from(limits.request_letters_each))
}
