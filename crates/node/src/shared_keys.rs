//! Keys shared with contacts, for wires that want one: kept in the database, one a contact.
//!
//! A key comes from the invite by which two people met, which both of them know and nobody else should, or
//! from the person. Letters stay sealed inside: whoever steals such a key can pretend to be near, and reads nothing.

use crate::{Error, invite};
use hkdf::Hkdf;
use rand_core::CryptoRng;
use sha2::Sha256;
use waypost_core::{Address, ContactId, InviteToken, Wall};
use waypost_framelink::Psk;
use waypost_store::{ContactStatus, Store};
use zeroize::Zeroizing;

/// What is known of a contact's key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SharedKey {
    /// The key.
    pub(crate) psk: Psk,
    /// Whether the invite gave it, rather than the person.
    pub(crate) from_invite: bool,
    /// Where the contact listens, if the person said so: its card may know nothing of it.
    pub(crate) address: Option<Address>,
}

const INVITE: &str = "invite";
const HAND: &str = "hand";

/// The key shared with a contact.
pub(crate) fn load(store: &Store, contact: &ContactId) -> Result<Option<SharedKey>, Error> {
    let Some(text) = store.setting(&name(contact.as_bytes()))?.map(Zeroizing::new) else { return Ok(None) };
    let mut words = text.split(' ');
    let (origin, line) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let psk = Psk::from_line(line).map_err(|_| Error::Environment("a shared key in the database is damaged".into()))?;
    let address = words.next().and_then(|address| address.parse().ok());
    Ok(Some(SharedKey { psk, from_invite: origin == INVITE, address }))
}

/// Keeps the key shared with a contact.
pub(crate) fn save(store: &Store, contact: &ContactId, key: &SharedKey) -> Result<(), Error> {
    let origin = if key.from_invite { INVITE } else { HAND };
    let mut text = Zeroizing::new(format!("{origin} {}", *key.psk.to_line()));
    if let Some(address) = &key.address {
        text.push_str(&format!(" {address}"));
    }
    Ok(store.set_setting(&name(contact.as_bytes()), &text)?)
}

/// Forgets it; whether there was one.
pub(crate) fn remove(store: &Store, contact: &ContactId) -> Result<bool, Error> {
    Ok(store.clear_setting(&name(contact.as_bytes()))?)
}

/// The keys of all contacts, blocked ones and strangers apart.
pub(crate) fn all(store: &Store) -> Result<Vec<(ContactId, SharedKey)>, Error> {
    let mut keys = Vec::new();
    for contact in store.contacts()?.into_iter().filter(|contact| contact.status == ContactStatus::Contact) {
        keys.extend(load(store, &contact.id)?.map(|key| (contact.id, key)));
    }
    Ok(keys)
}

/// An invite was made: whoever holds it may connect by the key that comes from it.
pub(crate) fn invited(store: &Store, token: &InviteToken) -> Result<(), Error> {
    Ok(store.set_setting(&name(&invite::hash(token)), &of_invite(token)?.to_line())?)
}

/// The keys of invites that nobody has used yet, each by its hash.
pub(crate) fn of_invites(store: &Store, now: Wall) -> Result<Vec<([u8; 32], Psk)>, Error> {
    let mut keys = Vec::new();
    for open in store.invites()?.into_iter().filter(|open| open.expires > now) {
        let line = store.setting(&name(&open.hash))?.map(Zeroizing::new);
        keys.extend(line.and_then(|line| Psk::from_line(&line).ok()).map(|psk| (open.hash, psk)));
    }
    Ok(keys)
}

/// Two people have met by an invite: from now on they share its key, if they had none.
pub(crate) fn met(store: &Store, peer: &ContactId, token: &InviteToken) -> Result<(), Error> {
    store.clear_setting(&name(&invite::hash(token)))?;
    if load(store, peer)?.is_some() {
        return Ok(());
    }
    save(store, peer, &SharedKey { psk: of_invite(token)?, from_invite: true, address: None })
}

/// A new random key.
pub(crate) fn generate(rng: &mut dyn CryptoRng) -> Psk {
    Psk::generate(&mut &mut *rng)
}

/// The same on both sides: HKDF-SHA-256 of the invite's secret.
fn of_invite(token: &InviteToken) -> Result<Psk, Error> {
    let mut key = Zeroizing::new([0; 32]);
    let derived = Hkdf::<Sha256>::new(None, &token.0).expand(b"waypost/1 framelink psk of an invite", &mut *key);
    derived.map_err(|error| Error::Internal(error.to_string()))?;
    Psk::from_bytes(*key).map_err(|fault| Error::Internal(fault.to_string()))
}

/// Of a contact, or of an invite by its hash.
fn name(owner: &[u8; 32]) -> String {
    format!("shared_key.{}", hex::encode(owner))
}
