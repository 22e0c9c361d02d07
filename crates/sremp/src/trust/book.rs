//! The rows at rest. Identities cost nothing to make, so those that never said anything are limited.

use super::{Offer, TrustRow, offer};
use crate::{Error, Identity};
use waypost_core::{Batch, ContactId, Records, Space, Wall};

/// Trust rows by identity key.
pub const ROWS: Space = Space("sremp/trust");
/// Idle rows by `last_seen u64 | identity key`, so that the oldest is found at once.
pub const IDLE: Space = Space("sremp/trust-idle");
/// Most rows of Unknown people without any message. Profile, Trust.
pub const MAX_IDLE: u64 = 10_000;

/// The row of a key.
///
/// # Errors
/// The records failed.
pub fn row(records: &(impl Records + ?Sized), key: &ContactId) -> Result<Option<TrustRow>, Error> {
    match records.record(ROWS, key.as_bytes())? {
        Some(bytes) => TrustRow::decode(&bytes).map(Some).map_err(|_| Error::Internal("a damaged trust row")),
        None => Ok(None),
    }
}

/// Up to `limit` rows whose key is above `after`, by key.
///
/// # Errors
/// The records failed.
pub fn rows(
    records: &(impl Records + ?Sized),
    after: Option<&ContactId>,
    limit: usize,
) -> Result<Vec<TrustRow>, Error> {
    let found = records.records(ROWS, &[], after.map(|key| &key.as_bytes()[..]), limit)?;
    let rows = found.iter().map(|(_, bytes)| TrustRow::decode(bytes));
    rows.collect::<Result<_, _>>().map_err(|_| Error::Internal("a damaged trust row"))
}

/// Judges an identity by [`super::offer`] and keeps what it changes. A fork is an answer too: its evidence is kept.
///
/// # Errors
/// The records failed.
pub fn take<R: Records + ?Sized>(
    batch: &mut Batch<'_, R>,
    identity: &Identity,
    now: Wall,
    soft: bool,
) -> Result<Offer, Error> {
    take_within(batch, identity, now, soft, MAX_IDLE)
}

fn take_within<R: Records + ?Sized>(
    batch: &mut Batch<'_, R>,
    identity: &Identity,
    now: Wall,
    soft: bool,
    most: u64,
) -> Result<Offer, Error> {
    let known = row(batch, &identity.key())?;
    let offer = offer(known.as_ref(), identity, now, soft);
    if let Some(row) = offer.changed() {
        if known.is_none() {
            make_room(batch, most)?;
        }
        replace(batch, known.as_ref(), row);
    }
    Ok(offer)
}

/// Writes a row that was changed by hand: trust, verification, warnings, a first message.
///
/// # Errors
/// The records failed.
pub fn put<R: Records + ?Sized>(batch: &mut Batch<'_, R>, changed: &TrustRow) -> Result<(), Error> {
    let known = row(batch, &changed.key())?;
    replace(batch, known.as_ref(), changed);
    Ok(())
}

/// Forgets a person.
///
/// # Errors
/// The records failed.
pub fn remove<R: Records + ?Sized>(batch: &mut Batch<'_, R>, key: &ContactId) -> Result<(), Error> {
    if let Some(known) = row(batch, key)? {
        batch.remove(IDLE, idle_key(&known));
        batch.remove(ROWS, key.as_bytes());
    }
    Ok(())
}

fn replace<R: Records + ?Sized>(batch: &mut Batch<'_, R>, known: Option<&TrustRow>, changed: &TrustRow) {
    if let Some(known) = known.filter(|known| known.is_idle()) {
        batch.remove(IDLE, idle_key(known));
    }
    if changed.is_idle() {
        batch.put(IDLE, idle_key(changed), Vec::new());
    }
    batch.put(ROWS, changed.key().as_bytes(), changed.encode());
}

/// The idle row seen longest ago goes when a new one comes.
fn make_room<R: Records + ?Sized>(batch: &mut Batch<'_, R>, most: u64) -> Result<(), Error> {
    if batch.count(IDLE, &[])? < most {
        return Ok(());
    }
    for (key, _) in batch.records(IDLE, &[], None, 1)? {
        if let Some(identity_key) = key.last_chunk::<32>() {
            batch.remove(ROWS, *identity_key);
        }
        batch.remove(IDLE, key);
    }
    Ok(())
}

fn idle_key(row: &TrustRow) -> Vec<u8> {
    [&row.last_seen.as_millis().to_be_bytes()[..], row.key().as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        IdentityDraft,
        ed25519::SigningKey,
        trust::{Trust, VerifiedVia},
        x25519::PublicKey,
    };
    use waypost_core::MemoryRecords;

    fn identity(person: u8, version: u64) -> Identity {
        let draft = IdentityDraft::new("Ada", PublicKey([1; 32]), PublicKey([2; 32]), version, Wall::default());
        draft.sign(&SigningKey::from_bytes(&[person; 32])).unwrap()
    }

    fn offer_at(records: &mut MemoryRecords, identity: &Identity, millis: u64) -> Offer {
        let mut batch = Batch::new(records);
        let offer = take_within(&mut batch, identity, Wall::from_millis(millis), false, 3).unwrap();
        let changes = batch.into_changes();
        records.apply(changes);
        offer
    }

    fn change(records: &mut MemoryRecords, person: u8, change: impl FnOnce(&mut TrustRow)) {
        let mut row = row(records, &identity(person, 1).key()).unwrap().unwrap();
        change(&mut row);
        let mut batch = Batch::new(records);
        put(&mut batch, &row).unwrap();
        let changes = batch.into_changes();
        records.apply(changes);
    }

    #[test]
    fn lets_the_idle_row_seen_longest_ago_go() {
        let mut records = MemoryRecords::default();
        for person in 1..=3 {
            let _ = offer_at(&mut records, &identity(person, 1), u64::from(person));
        }
        // The first is seen again, the second says something: the third is the oldest idle one.
        let _ = offer_at(&mut records, &identity(1, 1), 9);
        change(&mut records, 2, |row| row.has_messages = true);
        for person in 4..=5 {
            let _ = offer_at(&mut records, &identity(person, 1), 10);
        }
        let known = |person| row(&records, &identity(person, 1).key()).unwrap().is_some();
        assert_eq!([1, 2, 3, 4, 5].map(known), [true, true, false, true, true]);
        assert_eq!(records.count(IDLE, &[]), Ok(3));
        assert_eq!(rows(&records, None, 9).unwrap().len(), 4);
    }

    #[test]
    fn never_lets_somebody_go_whom_the_user_judged() {
        let mut records = MemoryRecords::default();
        let _ = offer_at(&mut records, &identity(1, 1), 1);
        let _ = offer_at(&mut records, &identity(2, 1), 2);
        change(&mut records, 1, |row| row.verify(VerifiedVia::Number));
        change(&mut records, 2, |row| row.trust = Trust::Rejected);
        for person in 3..=8 {
            let _ = offer_at(&mut records, &identity(person, 1), 3);
        }
        assert_eq!(row(&records, &identity(1, 1).key()).unwrap().unwrap().trust, Trust::Trusted);
        assert_eq!(row(&records, &identity(2, 1).key()).unwrap().unwrap().trust, Trust::Rejected);
        assert_eq!(records.count(ROWS, &[]), Ok(5));
    }

    /// SR-3.1e: the key is the person, the name is only a name.
    #[test]
    fn knows_people_by_nothing_but_their_key() {
        let mut records = MemoryRecords::default();
        let (ada, other_ada) = (identity(1, 1), identity(2, 1));
        assert_eq!(ada.username(), other_ada.username());
        assert!(matches!(offer_at(&mut records, &ada, 1), Offer::New(_)));
        assert!(matches!(offer_at(&mut records, &other_ada, 2), Offer::New(_)));
        let mut renamed = IdentityDraft::next(&ada, Wall::default()).unwrap();
        (renamed.username, renamed.noise_key) = ("Grace".to_owned(), PublicKey([9; 32]));
        let renamed = renamed.sign(&SigningKey::from_bytes(&[1; 32])).unwrap();
        assert!(matches!(offer_at(&mut records, &renamed, 3), Offer::Updated { .. }));
        assert_eq!(records.count(ROWS, &[]), Ok(2));
    }

    /// SR-3.1.5c
    #[test]
    fn keeps_the_evidence_of_a_fork_and_forgets_on_demand() {
        let mut records = MemoryRecords::default();
        let _ = offer_at(&mut records, &identity(1, 7), 1);
        let mut other = IdentityDraft::next(&identity(1, 6), Wall::default()).unwrap();
        other.username = "Eve".to_owned();
        let other = other.sign(&SigningKey::from_bytes(&[1; 32])).unwrap();
        assert!(matches!(offer_at(&mut records, &other, 2), Offer::Forked(_)));
        let kept = row(&records, &other.key()).unwrap().unwrap();
        assert!(kept.forked && kept.fork.is_some());
        let mut batch = Batch::new(&records);
        remove(&mut batch, &other.key()).unwrap();
        let changes = batch.into_changes();
        records.apply(changes);
        assert_eq!((records.count(ROWS, &[]), records.count(IDLE, &[])), (Ok(0), Ok(0)));
    }
}
