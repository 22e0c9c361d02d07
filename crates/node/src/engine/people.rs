//! Contacts: added, accepted, blocked, named, verified, removed.

use super::Engine;
use super::show::sremp_error;
use crate::method::{
    AddContact, ContactInfo, ContactRef, Done, PskInfo, PskParams, RemoveContact, RenameContact, RequestInfo,
    Verification, VerifyContact,
};
use crate::shared_keys::{self, SharedKey};
use crate::wire::{Turn, Wire};
use crate::{Error, Event, card};
use rand_core::CryptoRng;
use waypost_core::{Address, Card, ContactId, InviteToken, Now, RelayAddress, Wire as WireKind};
use waypost_framelink::{Fault, Psk};
use waypost_sremp::identity::check_username;
use waypost_sremp::trust::{VerifiedVia, book};
use waypost_sremp::verification::{VerificationCode, VerificationNumber};
use waypost_sremp::{Invitation, x25519::PublicKey};
use waypost_store::{ContactRow, ContactStatus, WarningRow};

/// Longest name a person may give a contact, in characters.
const MAX_NAME: usize = 64;
const PREVIEW: usize = 80;

impl Engine {
    pub(super) fn contacts(&self) -> Result<Vec<ContactInfo>, Error> {
        let rows = self.store.contacts()?;
        rows.iter().filter(|row| row.status != ContactStatus::Request).map(|row| self.contact_info(row)).collect()
    }

    pub(super) fn requests(&self) -> Result<Vec<RequestInfo>, Error> {
        let mut requests = Vec::new();
        for row in self.store.contacts()?.iter().filter(|row| row.status == ContactStatus::Request) {
            let first = self.store.history(row.id, None, 500)?;
            let preview = first.first().and_then(|entry| entry.text()).map(|text| text.chars().take(PREVIEW).collect());
            requests.push(RequestInfo { contact: self.contact_info(row)?, letters: first.len() as u64, preview });
        }
        Ok(requests)
    }

    pub(super) fn add_contact(
        &mut self,
        now: Now,
        rng: &mut dyn CryptoRng,
        params: &AddContact,
    ) -> Result<ContactInfo, Error> {
        let text = params.card.trim();
        let (card, token) = match text.starts_with("sremp:") {
            true => (from_invitation(text, now)?, None),
            false => card::from_link(text)?,
        };
        if card.contact == self.id() {
            return Err(Error::BadInput("this is your own card; give it to others and add theirs".into()));
        }
        let known = self.store.contact(card.contact)?;
        if known.as_ref().is_some_and(|row| row.status == ContactStatus::Blocked) {
            return Err(Error::Refused("this contact is blocked; unblock it first".into()));
        }
        let name = match (&params.name, &known) {
            (Some(name), _) => checked_name(name)?,
            (None, Some(row)) => row.name.clone(),
            (None, None) => self.free_name(&card.name)?,
        };
        let mut row =
            known.unwrap_or_else(|| ContactRow::new(card.contact, name.clone(), ContactStatus::Contact, now.wall));
        row.name = name;
        row.status = ContactStatus::Contact;
        row.invite_token = token.or(row.invite_token);
        take_card(&mut row, card);
        self.store.put_contact(&row)?;
        if let Some(token) = &row.invite_token {
            shared_keys::met(&self.store, &row.id, token)?;
        }
        self.contact_changed(now, rng, row.id)?;
        // Who holds an invite makes use of it at once, so that both sides can write.
        if row.invite_token.is_some() {
            self.introduce(now, rng, row.id)?;
        }
        self.tell_contact(&row)
    }

    pub(super) fn accept_contact(
        &mut self,
        now: Now,
        rng: &mut dyn CryptoRng,
        contact: &ContactRef,
    ) -> Result<ContactInfo, Error> {
        let row = ContactRow { status: ContactStatus::Contact, ..self.resolve(contact)? };
        self.store.put_contact(&row)?;
        self.contact_changed(now, rng, row.id)?;
        self.introduce(now, rng, row.id)?;
        self.tell_contact(&row)
    }

    pub(super) fn block_contact(
        &mut self,
        now: Now,
        rng: &mut dyn CryptoRng,
        contact: &ContactRef,
    ) -> Result<ContactInfo, Error> {
        let row = ContactRow { status: ContactStatus::Blocked, ..self.resolve(contact)? };
        self.store.put_contact(&row)?;
        self.contact_changed(now, rng, row.id)?;
        self.tell_contact(&row)
    }

    pub(super) fn rename_contact(&mut self, params: &RenameContact) -> Result<ContactInfo, Error> {
        let row = self.resolve(&params.contact)?;
        let name = checked_name(&params.name)?;
        if self.store.find_contacts(&name)?.iter().any(|other| other.id != row.id) {
            return Err(Error::Conflict(format!("another contact is called \"{name}\" already")));
        }
        let row = ContactRow { name, ..row };
        self.store.put_contact(&row)?;
        self.tell_contact(&row)
    }

    pub(super) fn remove_contact(
        &mut self,
        now: Now,
        rng: &mut dyn CryptoRng,
        params: &RemoveContact,
    ) -> Result<Done, Error> {
        let row = self.resolve(&params.contact)?;
        for waiting in self.store.outbox_for(row.id, usize::MAX)? {
            self.store.remove_outbox(row.id, waiting.letter)?;
        }
        self.store.remove_contact(row.id, params.forget)?;
        self.store.clear_setting(&introduced(&row.id))?;
        shared_keys::remove(&self.store, &row.id)?;
        self.contact_changed(now, rng, row.id)?;
        Ok(Done { changed: 1 })
    }

    pub(super) fn contact_psk(
        &mut self,
        now: Now,
        rng: &mut dyn CryptoRng,
        params: &PskParams,
    ) -> Result<PskInfo, Error> {
        let row = self.resolve(&params.contact)?;
        let known = shared_keys::load(&self.store, &row.id)?;
        if params.address.as_ref().is_some_and(|address| address.wire() != WireKind::Framelink) {
            return Err(Error::BadInput("the address looks like framelink://host:port".into()));
        }
        let psk = match (&params.line, params.generate, params.remove) {
            (None, false, false) => known.as_ref().map(|key| (key.psk.clone(), key.from_invite)),
            (Some(line), false, false) => Some((parse_psk(line)?, false)),
            (None, true, false) => Some((shared_keys::generate(rng), false)),
            (None, false, true) => None,
            _ => return Err(Error::BadInput("either give a key, or make one, or remove it".into())),
        };
        let address = params.address.clone().or_else(|| known.as_ref().and_then(|key| key.address.clone()));
        let key = psk.map(|(psk, from_invite)| SharedKey { psk, from_invite, address });
        if key != known {
            match &key {
                Some(key) => shared_keys::save(&self.store, &row.id, key)?,
                None => drop(shared_keys::remove(&self.store, &row.id)?),
            }
            self.contact_changed(now, rng, row.id)?;
        }
        let given = key.as_ref().and_then(|key| key.address.clone());
        let of_card = row.addresses.into_iter().filter(|address| address.wire() == WireKind::Framelink);
        Ok(PskInfo {
            contact: row.id,
            line: key.as_ref().map(|key| key.psk.to_line().to_string()),
            from: key.as_ref().map(|key| if key.from_invite { "invite" } else { "hand" }.to_owned()),
            addresses: given.into_iter().chain(of_card).collect(),
        })
    }

    pub(super) fn verification(&self, contact: &ContactRef) -> Result<Verification, Error> {
        let row = self.resolve(contact)?;
        let number = VerificationNumber::new(&self.id(), &row.id).to_string();
        Ok(Verification { number, qr: VerificationCode { own: self.id(), peer: row.id }.to_string() })
    }

    pub(super) fn verify_contact(
        &mut self,
        now: Now,
        rng: &mut dyn CryptoRng,
        params: &VerifyContact,
    ) -> Result<ContactInfo, Error> {
        let row = self.resolve(&params.contact)?;
        let verified = match (&params.number, &params.qr) {
            (Some(number), None) => {
                let digits: String = number.chars().filter(char::is_ascii_digit).collect();
                if digits != VerificationNumber::new(&self.id(), &row.id).digits() {
                    return Err(not_verified());
                }
                VerifiedVia::Number
            }
            (None, Some(qr)) => {
                let code: VerificationCode = qr.trim().parse().map_err(|_| {
                    Error::BadInput("this is not the text of a verification code (sremp-verify:1?..)".into())
                })?;
                if !code.proves(&row.id, &self.id()) {
                    return Err(not_verified());
                }
                VerifiedVia::Qr
            }
            _ => return Err(Error::BadInput("give either the number or the text of the QR code".into())),
        };
        let row = ContactRow { verified: Some(via_name(verified).to_owned()), status: ContactStatus::Contact, ..row };
        self.store.put_contact(&row)?;
        self.store.clear_warnings(Some(row.id))?;
        self.contact_changed(now, rng, row.id)?;
        self.tell_contact(&row)
    }

    /// Lets wires know that a contact changed.
    pub(super) fn contact_changed(
        &mut self,
        now: Now,
        rng: &mut dyn CryptoRng,
        contact: ContactId,
    ) -> Result<(), Error> {
        self.each_wire(now, rng, |wire, turn| wire.contact_changed(turn, contact))
    }

    pub(super) fn with_wire(
        &mut self,
        now: Now,
        rng: &mut dyn CryptoRng,
        kind: WireKind,
        act: impl FnOnce(&mut dyn Wire, &mut Turn<'_>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let Self { store, config, wires, .. } = self;
        match wires.iter_mut().find(|wire| wire.kind() == kind) {
            Some(wire) => act(wire.as_mut(), &mut Turn { now, rng, store, config }),
            None => Ok(()),
        }
    }

    pub(super) fn their_token(&self, contact: &ContactId) -> Result<Option<InviteToken>, Error> {
        Ok(self.store.contact(*contact)?.and_then(|row| row.invite_token))
    }

    pub(super) fn presence(&mut self, now: Now, contact: ContactId, online: bool) -> Result<(), Error> {
        self.store.touch_contact(contact, now.wall)?;
        if self.store.contact(contact)?.is_some_and(|row| row.status == ContactStatus::Contact) {
            self.event(Event::Presence { contact, online });
        }
        Ok(())
    }

    pub(super) fn identity_seen(&mut self, contact: ContactId) -> Result<(), Error> {
        match self.store.contact(contact)? {
            Some(row) if row.status != ContactStatus::Request => self.tell_contact(&row).map(drop),
            _ => Ok(()),
        }
    }

    /// The address that worked is tried first from now on.
    pub(super) fn reached(&mut self, contact: ContactId, address: &Address) -> Result<(), Error> {
        let Some(mut row) = self.store.contact(contact)? else { return Ok(()) };
        if let Some(at) = row.addresses.iter().position(|known| known == address).filter(|&at| at > 0) {
            let address = row.addresses.remove(at);
            row.addresses.insert(0, address);
            self.store.put_contact(&row)?;
        }
        Ok(())
    }

    pub(super) fn profile_received(&mut self, row: ContactRow, card: Option<&str>) -> Result<(), Error> {
        let mut row = row;
        // A card that is not the sender's own, or does not hold, is nothing but noise.
        let Some(Ok((card, _))) = card.map(card::from_link) else { return Ok(()) };
        if card.contact != row.id || row.card.as_ref().is_some_and(|known| known.version >= card.version) {
            return Ok(());
        }
        take_card(&mut row, card);
        self.store.put_contact(&row)?;
        match row.status {
            ContactStatus::Contact => self.tell_contact(&row).map(drop),
            _ => Ok(()),
        }
    }

    pub(super) fn warn(&mut self, now: Now, contact: Option<ContactId>, kind: &str, text: String) -> Result<(), Error> {
        // Strangers do not get to speak to the person, not even by warnings.
        let known = match contact {
            Some(id) => self.store.contact(id)?.is_some_and(|row| row.status == ContactStatus::Contact),
            None => true,
        };
        if known {
            let row =
                WarningRow { seq: 0, contact, at: now.wall, kind: kind.to_owned(), text: text.clone(), seen: false };
            self.store.put_warning(&row)?;
            self.event(Event::Warning { contact, kind: kind.to_owned(), text });
        }
        Ok(())
    }

    /// A name that no contact has yet, made of what the contact calls itself.
    pub(super) fn free_name(&self, wanted: &str) -> Result<String, Error> {
        let mut name = wanted.to_owned();
        let mut number = 2u32;
        while !self.store.find_contacts(&name)?.is_empty() {
            name = format!("{wanted} {number}");
            number = number.saturating_add(1);
        }
        Ok(name)
    }

    fn tell_contact(&mut self, row: &ContactRow) -> Result<ContactInfo, Error> {
        let contact = self.contact_info(row)?;
        self.event(Event::Contact { contact: contact.clone() });
        Ok(contact)
    }
}

fn parse_psk(line: &str) -> Result<Psk, Error> {
    Psk::from_line(line).map_err(|fault| {
        Error::BadInput(match fault {
            Fault::PskCheck => "the key has a typing error; copy it again".into(),
            Fault::PskWeak => "such a key is no secret; make one with --generate".into(),
            _ => "a key is one line of 80 characters that begins with FRAMELINK-PSK-1-".into(),
        })
    })
}

fn not_verified() -> Error {
    Error::Security(
        "the numbers differ: one of you holds a key that is not the other's. Do not trust this contact before you have \
         found out why"
            .into(),
    )
}

/// How a verification is called in the database and the API.
pub(crate) const fn via_name(via: VerifiedVia) -> &'static str {
    match via {
        VerifiedVia::Number => "number",
        VerifiedVia::Qr => "qr",
    }
}

/// The reverse of [`via_name`].
pub(crate) fn via_of(name: &str) -> Option<VerifiedVia> {
    [VerifiedVia::Number, VerifiedVia::Qr].into_iter().find(|via| via_name(*via) == name)
}

/// The setting that says a contact was given the own card.
pub(super) fn introduced(contact: &ContactId) -> String {
    format!("introduced.{contact}")
}

/// A newer card replaces addresses; an older one changes nothing.
fn take_card(row: &mut ContactRow, card: Card) {
    if row.card.as_ref().is_none_or(|known| known.version <= card.version) {
        row.addresses = card.addresses.clone();
        row.card = Some(card);
    }
}

fn from_invitation(text: &str, now: Now) -> Result<Card, Error> {
    let invitation = Invitation::parse(text)
        .map_err(|_| Error::BadInput("this is not a whole sremp:1? invitation; copy it again".into()))?;
    let addresses = invitation.endpoints.iter().map(|endpoint| Address::Sremp(endpoint.into()));
    let relays = invitation
        .relays
        .iter()
        .map(|relay| Address::SrempRelay(RelayAddress { at: (&relay.endpoint).into(), identity: relay.identity }));
    let contact = invitation.identity;
    Ok(Card {
        contact,
        name: contact.to_string().chars().take(8).collect(),
        noise_key: invitation.noise_key.0,
        // It has no version: any card of the contact's own is newer.
        version: 0,
        issued: now.wall,
        addresses: addresses.chain(relays).collect(),
    })
}

fn checked_name(name: &str) -> Result<String, Error> {
    let name = name.trim();
    let fits = (1..=MAX_NAME).contains(&name.chars().count()) && !name.chars().any(char::is_control);
    match fits {
        true => Ok(name.to_owned()),
        false => Err(Error::BadInput(format!("a name has 1 to {MAX_NAME} characters and no control characters"))),
    }
}

/// The pin for dialling a contact: of its card or of its identity, whichever is newer.
pub(crate) fn pin_of(turn: &Turn<'_>, contact: &ContactRow) -> Result<Option<PublicKey>, Error> {
    let seen = book::row(turn.store, &contact.id).map_err(sremp_error)?;
    let of_card = contact.card.as_ref().map(|card| (card.version, PublicKey(card.noise_key)));
    let of_identity = seen.map(|row| (row.version(), row.identity.noise_key()));
    Ok([of_card, of_identity].into_iter().flatten().max_by_key(|(version, _)| *version).map(|(_, key)| key))
}

/// Whether a name may be shown to others.
pub(crate) fn check_own_name(name: &str) -> Result<(), Error> {
    check_username(name).map_err(|_| {
        Error::BadInput(
            "a name has 1 to 40 characters, without control characters and without spaces at its ends".into(),
        )
    })
}
