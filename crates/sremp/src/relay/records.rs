//! What a relay keeps, and under which names.

use super::policy::DepotLimits;
use crate::{
    ErrorCode, Identity, SignedIdentity,
    connection::Verdict,
    docket::Failure,
    msgpack::{Field, decode, encode},
};
use waypost_core::{Change, ContactId, MailboxId, MailboxOp, Space, Wall};

/// Messages and confirmations, by whose they are.
const MAILBOXES: Space = Space("relay/mailbox");
/// The newest identity seen of a client, by its key.
pub(super) const IDENTITIES: Space = Space("relay/identity");
/// Who has shown a token.
pub(super) const ADMITTED: Space = Space("relay/admitted");
/// The bundle published last, by owner.
pub(super) const BUNDLES: Space = Space("relay/bundle");
/// One-time items: `owner | id u32`.
pub(super) const ONE_TIME: Space = Space("relay/one-time");
/// The same keys without content: an item is 1.3 kB, and they are counted often.
pub(super) const ONE_TIME_KEYS: Space = Space("relay/one-time-key");

/// The mailbox of a client.
pub(super) fn mailbox(owner: &ContactId) -> MailboxId {
    MailboxId { space: MAILBOXES, owner: owner.as_bytes().to_vec() }
}

/// Whose mailbox this is, if it is one of a relay.
pub(super) fn owner(mailbox: &MailboxId) -> Option<ContactId> {
    let key = <[u8; 32]>::try_from(&mailbox.owner[..]).ok()?;
    (mailbox.space == MAILBOXES).then(|| ContactId::from_bytes(key))
}

/// What was stored once in a mailbox: `message_id u64 | sender`. Profile SR-8.2b.
pub(super) fn letter_key(message_id: u64, sender: &ContactId) -> Vec<u8> {
    [&message_id.to_be_bytes()[..], sender.as_bytes()].concat()
}

/// The message id in such a key.
pub(super) fn message_id_of(key: &[u8]) -> Result<u64, Failure> {
    key.first_chunk().copied().map(u64::from_be_bytes).ok_or(Failure::Fault)
}

/// An identity key that storage gave back.
pub(super) fn key_of(bytes: &[u8]) -> Result<ContactId, Failure> {
    bytes.try_into().map(ContactId::from_bytes).map_err(|_| Failure::Fault)
}

pub(super) fn one_time_key(owner: &ContactId, id: u32) -> Vec<u8> {
    [&owner.as_bytes()[..], &id.to_be_bytes()].concat()
}

pub(super) fn read(space: Space, key: &ContactId) -> MailboxOp {
    MailboxOp::Read { space, key: key.as_bytes().to_vec() }
}

/// The keys of a client's one-time items, one more than there should be.
pub(super) fn scan_one_time(owner: &ContactId, limits: &DepotLimits) -> MailboxOp {
    let limit = usize::try_from(limits.prekeys).unwrap_or(usize::MAX).saturating_add(1);
    MailboxOp::Scan { space: ONE_TIME_KEYS, prefix: owner.as_bytes().to_vec(), after: None, limit }
}

pub(super) fn expect(space: Space, key: &[u8], value: Option<Vec<u8>>) -> MailboxOp {
    MailboxOp::Expect { space, key: key.to_vec(), value }
}

pub(super) fn write(space: Space, key: &[u8], value: Vec<u8>, expires: Option<Wall>) -> MailboxOp {
    MailboxOp::Write { change: Change { space, key: key.to_vec(), value: Some(value) }, expires }
}

pub(super) fn remove(space: Space, key: &[u8]) -> MailboxOp {
    MailboxOp::Write { change: Change { space, key: key.to_vec(), value: None }, expires: None }
}

/// Reads a record of ours.
pub(super) fn decoded<T: Field>(bytes: &[u8]) -> Result<T, Failure> {
    decode(bytes).map_err(|_| Failure::Fault)
}

/// The identity of a record.
pub(super) fn identity(bytes: &[u8]) -> Result<Identity, Failure> {
    SignedIdentity::decode(bytes).and_then(SignedIdentity::trusted).map_err(|_| Failure::Fault)
}

/// What the trust rules say of an identity, given the record of the newest one seen: no older one, and no
/// other of the same version. Profile, Trust.
pub(super) fn verdict(record: Option<&[u8]>, shown: &Identity) -> Result<Verdict, Failure> {
    let Some(known) = record.map(identity).transpose()? else { return Ok(Verdict::Accept { known: false }) };
    let is_same = shown.signed().verified == known.signed().verified;
    Ok(if shown.version() < known.version() {
        Verdict::Refuse(ErrorCode::IdStale)
    } else if shown.version() == known.version() && !is_same {
        Verdict::Refuse(ErrorCode::IdFork)
    } else {
        Verdict::Accept { known: false }
    })
}

/// Keeps an identity that the verdict accepted, if nobody else has kept another one since.
pub(super) fn note_identity(record: Option<Vec<u8>>, shown: &Identity, until: Wall) -> [MailboxOp; 2] {
    let key = shown.key();
    let kept = encode(shown.signed());
    [expect(IDENTITIES, key.as_bytes(), record), write(IDENTITIES, key.as_bytes(), kept, Some(until))]
}
