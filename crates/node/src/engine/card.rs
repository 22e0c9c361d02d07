//! The own identity and card: signed anew when something in them changes, and sent to contacts.

use super::Engine;
use super::letters::fresh_id;
use super::people::{check_own_name, introduced};
use crate::method::{CardInfo, IdentityInfo, InviteInfo};
use crate::servers::{self, MAX_RELAYS};
use crate::{Error, card, invite, shared_keys};
use rand_core::CryptoRng;
use waypost_core::{Address, Body, Card, ContactId, InviteToken, Letter, Now};
use waypost_sremp::{Invitation, InvitedRelay, endpoint::Endpoint, x25519::PublicKey};
use waypost_store::ContactStatus;

/// The signed bytes of the own identity, as last shown to others.
pub(crate) const IDENTITY: &str = "own.identity";
/// The name contacts see.
pub(crate) const NAME: &str = "own.name";
/// The last card: version and content.
const CARD: &str = "own.card";

impl Engine {
    pub(super) fn id(&self) -> ContactId {
        self.keys.id()
    }

    pub(super) fn identity_info(&self) -> Result<IdentityInfo, Error> {
        let identity = self.keys.identity(&self.store)?;
        Ok(IdentityInfo {
            contact: identity.key(),
            name: identity.username().to_owned(),
            noise_key: self.keys.noise_key_hex(),
            version: identity.version(),
            created: identity.created(),
            addresses: self.own_addresses()?,
        })
    }

    pub(super) fn rename(&mut self, now: Now, rng: &mut dyn CryptoRng, name: &str) -> Result<IdentityInfo, Error> {
        let name = name.trim();
        check_own_name(name)?;
        self.store.set_setting(NAME, name)?;
        self.keys.next_version(rng, now.wall)?;
        self.identity_changed(now, rng)?;
        self.identity_info()
    }

    pub(super) fn rotate(&mut self, now: Now, rng: &mut dyn CryptoRng) -> Result<IdentityInfo, Error> {
        self.keys.rotate_noise(rng, now.wall)?;
        self.identity_changed(now, rng)?;
        self.identity_info()
    }

    /// Signs the identity if what it should say is not what was signed last. SREMP 3.1.5: version and
    /// signature change together.
    pub(super) fn sign_identity(&mut self, now: Now) -> Result<(), Error> {
        if !self.config.profile.name.is_empty() {
            check_own_name(&self.config.profile.name)?;
        }
        // Before it is known where the node listens now, it is where it was.
        let addresses = match self.addresses.is_empty() {
            true => self.own_card().map(|card| card.addresses).unwrap_or_default(),
            false => self.addresses.clone(),
        };
        let own_address = addresses.iter().find_map(|address| match address {
            Address::Sremp(address) => Some(address),
            _ => None,
        });
        self.keys.sign_identity(&mut self.store, now.wall, &self.config, own_address)
    }

    /// The relays with a mailbox of this person are others than before: identity and card say so.
    pub(super) fn mailboxes_changed(&mut self, now: Now, rng: &mut dyn CryptoRng) -> Result<(), Error> {
        self.keys.next_version(rng, now.wall)?;
        self.identity_changed(now, rng)
    }

    /// Where others reach this person: directly first, then by the relays with a mailbox.
    pub(super) fn own_addresses(&self) -> Result<Vec<Address>, Error> {
        let relays =
            servers::published_relays(&self.store)?.into_iter().map(|relay| Address::SrempRelay(relay.address));
        let relays: Vec<Address> = relays.collect();
        let direct = self.addresses.iter().take(card::MAX_ADDRESSES.saturating_sub(relays.len()));
        Ok(direct.cloned().chain(relays).collect())
    }

    /// Where the node is reached is known: its own relay, if there is one, is in the identity too.
    pub(super) fn addresses_changed(&mut self, now: Now, rng: &mut dyn CryptoRng) -> Result<(), Error> {
        let before = self.keys.identity(&self.store)?.version();
        self.sign_identity(now)?;
        match self.keys.identity(&self.store)?.version() == before {
            true => self.refresh_card(now, rng),
            false => self.identity_changed(now, rng),
        }
    }

    fn identity_changed(&mut self, now: Now, rng: &mut dyn CryptoRng) -> Result<(), Error> {
        self.sign_identity(now)?;
        let identity = self.keys.identity(&self.store)?;
        self.each_wire(now, rng, |wire, turn| wire.identity_changed(turn, &identity))?;
        self.refresh_card(now, rng)
    }

    pub(super) fn card_info(&mut self, now: Now, rng: &mut dyn CryptoRng, invited: bool) -> Result<CardInfo, Error> {
        let card = self.own_card()?;
        let invited = match invited {
            true => Some(invite::make(&self.store, rng, now.wall)?),
            false => None,
        };
        if let Some((token, _)) = &invited {
            shared_keys::invited(&self.store, token)?;
            self.each_wire(now, rng, |wire, turn| wire.shared_keys_changed(turn))?;
        }
        let token = invited.as_ref().map(|(token, _)| token);
        let link = card::to_link(&card, self.keys.signing(), token)?;
        let endpoints = card.addresses.iter().filter_map(|address| match address {
            Address::Sremp(address) => Endpoint::new(&address.host, address.port).ok(),
            _ => None,
        });
        let relays = card.addresses.iter().filter_map(|address| match address {
            Address::SrempRelay(relay) => {
                let endpoint = Endpoint::new(&relay.at.host, relay.at.port).ok()?;
                Some(InvitedRelay { endpoint, identity: relay.identity })
            }
            _ => None,
        });
        let invitation = Invitation {
            identity: card.contact,
            noise_key: PublicKey(card.noise_key),
            endpoints: endpoints.take(4).collect(),
            relays: relays.take(MAX_RELAYS).collect(),
        };
        let sremp = invitation.to_string();
        Ok(CardInfo { link, card, invite_expires: invited.map(|(_, expires)| expires), sremp })
    }

    pub(super) fn invites(&self, now: Now) -> Result<Vec<InviteInfo>, Error> {
        let open = self.store.invites()?.into_iter().filter(|invite| invite.expires > now.wall);
        Ok(open.map(|invite| InviteInfo { created: invite.created, expires: invite.expires }).collect())
    }

    /// Gives a contact the own card, once, ahead of the first letter: so it knows where to answer.
    pub(super) fn introduce(&mut self, now: Now, rng: &mut dyn CryptoRng, contact: ContactId) -> Result<(), Error> {
        if self.store.setting(&introduced(&contact))?.is_some() {
            return Ok(());
        }
        self.store.set_setting(&introduced(&contact), "1")?;
        self.send_card(now, rng, contact)
    }

    /// Makes a new version of the card if what it says has changed, and sends it to all who have the old one.
    pub(super) fn refresh_card(&mut self, now: Now, rng: &mut dyn CryptoRng) -> Result<(), Error> {
        let known = self.store.setting(CARD)?;
        let last: Option<Card> = known.and_then(|text| serde_json::from_str(&text).ok());
        let identity = self.keys.identity(&self.store)?;
        let card = Card {
            contact: self.id(),
            name: identity.username().to_owned(),
            noise_key: *identity.noise_key().as_bytes(),
            // Not below the identity's, so that the newer of the two tells the pin.
            version: last.as_ref().map_or(0, |card| card.version + 1).max(now.wall.as_millis()).max(identity.version()),
            issued: now.wall,
            addresses: self.own_addresses()?,
        };
        let same = last.as_ref().is_some_and(|last| {
            (&last.name, last.noise_key, &last.addresses) == (&card.name, card.noise_key, &card.addresses)
        });
        if same {
            return Ok(());
        }
        let text = serde_json::to_string(&card).map_err(|error| Error::Internal(error.to_string()))?;
        self.store.set_setting(CARD, &text)?;
        for row in self.store.contacts()?.into_iter().filter(|row| row.status == ContactStatus::Contact) {
            if self.store.setting(&introduced(&row.id))?.is_some() {
                self.send_card(now, rng, row.id)?;
            }
        }
        Ok(())
    }

    fn send_card(&mut self, now: Now, rng: &mut dyn CryptoRng, contact: ContactId) -> Result<(), Error> {
        let card = self.own_card()?;
        let link = card::to_link(&card, self.keys.signing(), None::<&InviteToken>)?;
        let body = Body::Profile { name: card.name, card: Some(link) };
        let letter = Letter { id: fresh_id(rng), sent: now.wall, body };
        self.carry_quietly(now, rng, contact, &letter)
    }

    fn own_card(&self) -> Result<Card, Error> {
        let text = self.store.setting(CARD)?.ok_or_else(|| Error::Internal("there is no card yet".into()))?;
        serde_json::from_str(&text).map_err(|error| Error::Internal(error.to_string()))
    }
}
