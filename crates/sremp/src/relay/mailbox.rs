//! Stored messages and waiting confirmations as records.

use super::{
    client::{ClientRow, DUE, Due, due_key},
    policy::Policy,
};
use crate::{
    Error,
    message::DeliveryConfirmation,
    msgpack::{Field, decode, encode, record},
};
use waypost_core::{Batch, ContactId, Records, Space, Wall};

/// What a message is: `recipient | seq u64`.
pub(super) const QUEUE: Space = Space("relay/queue");
/// Its blob, by the same key.
pub(super) const BLOBS: Space = Space("relay/blob");
/// What was stored once: `recipient | message_id u64 | sender`.
pub(super) const TRIPLES: Space = Space("relay/triple");
/// What a sender takes of a mailbox: `recipient | sender`.
pub(super) const USAGE: Space = Space("relay/usage");
/// Confirmations that wait for their sender: `sender | seq u64`.
pub(super) const CONFIRMATIONS: Space = Space("relay/confirmation");

record! {
    /// A stored message without its blob.
    #[derive(Copy)]
    pub(super) struct Entry {
        pub(super) stamp: Wall,
        pub(super) sender: ContactId,
        pub(super) message_id: u64,
        pub(super) size: u32,
    }

    /// What was stored once. Profile SR-8.2b.
    #[derive(Copy)]
    pub(super) struct Triple {
        pub(super) hash: [u8; 32],
        pub(super) stored_at: Wall,
        /// Where the message is, as long as it is kept.
        pub(super) seq: Option<u64>,
    }

    #[derive(Copy)]
    pub(super) struct Usage {
        pub(super) messages: u32,
        pub(super) bytes: u64,
    }

    /// A confirmation and since when it waits.
    pub(super) struct Waiting {
        pub(super) since: Wall,
        pub(super) confirmation: DeliveryConfirmation,
    }
}

pub(super) fn seq_key(owner: &ContactId, seq: u64) -> Vec<u8> {
    [&owner.as_bytes()[..], &seq.to_be_bytes()].concat()
}

pub(super) fn triple_key(recipient: &ContactId, message_id: u64, sender: &ContactId) -> Vec<u8> {
    [&recipient.as_bytes()[..], &message_id.to_be_bytes(), sender.as_bytes()].concat()
}

/// Reads a record of ours.
pub(super) fn load<T: Field>(records: &impl Records, space: Space, key: &[u8]) -> Result<Option<T>, Error> {
    records.record(space, key)?.map(|bytes| read(&bytes)).transpose()
}

pub(super) fn read<T: Field>(bytes: &[u8]) -> Result<T, Error> {
    decode(bytes).map_err(|_| Error::Internal("a damaged record of the relay"))
}

/// The seq at the end of a key.
pub(super) fn seq_of(key: &[u8]) -> u64 {
    key.last_chunk().copied().map_or(0, u64::from_be_bytes)
}

/// Up to `limit` entries above a seq.
pub(super) fn entries(
    records: &impl Records,
    recipient: &ContactId,
    after: u64,
    limit: usize,
) -> Result<Vec<(u64, Entry)>, Error> {
    let found = records.records(QUEUE, recipient.as_bytes(), Some(&seq_key(recipient, after)), limit)?;
    found.iter().map(|(key, bytes)| Ok((seq_of(key), read(bytes)?))).collect()
}

pub(super) fn usage(records: &impl Records, recipient: &ContactId, sender: &ContactId) -> Result<Usage, Error> {
    let found = load(records, USAGE, &usage_key(recipient, sender))?;
    Ok(found.unwrap_or(Usage { messages: 0, bytes: 0 }))
}

fn usage_key(recipient: &ContactId, sender: &ContactId) -> Vec<u8> {
    [&recipient.as_bytes()[..], sender.as_bytes()].concat()
}

/// Puts a message at the end of a mailbox.
pub(super) fn append<R: Records>(
    batch: &mut Batch<'_, R>,
    row: &mut ClientRow,
    recipient: &ContactId,
    entry: &Entry,
    blob: &[u8],
) -> Result<(), Error> {
    row.seq = row.seq.saturating_add(1);
    row.stamp = entry.stamp;
    row.messages = row.messages.saturating_add(1);
    row.bytes = row.bytes.saturating_add(entry.size.into());
    row.oldest_message.get_or_insert(entry.stamp);
    let mut usage = usage(batch, recipient, &entry.sender)?;
    usage.messages = usage.messages.saturating_add(1);
    usage.bytes = usage.bytes.saturating_add(entry.size.into());
    batch.put(USAGE, usage_key(recipient, &entry.sender), encode(&usage));
    batch.put(QUEUE, seq_key(recipient, row.seq), encode(entry));
    batch.put(BLOBS, seq_key(recipient, row.seq), blob);
    Ok(())
}

/// Removes a message; what was stored once is still remembered.
pub(super) fn remove<R: Records>(
    batch: &mut Batch<'_, R>,
    row: &mut ClientRow,
    recipient: &ContactId,
    seq: u64,
    entry: &Entry,
) -> Result<(), Error> {
    row.messages = row.messages.saturating_sub(1);
    row.bytes = row.bytes.saturating_sub(entry.size.into());
    if row.messages == 0 {
        row.oldest_message = None;
    }
    let mut usage = usage(batch, recipient, &entry.sender)?;
    usage.messages = usage.messages.saturating_sub(1);
    usage.bytes = usage.bytes.saturating_sub(entry.size.into());
    if usage.messages == 0 {
        batch.remove(USAGE, usage_key(recipient, &entry.sender));
    } else {
        batch.put(USAGE, usage_key(recipient, &entry.sender), encode(&usage));
    }
    let triple_key = triple_key(recipient, entry.message_id, &entry.sender);
    if let Some(triple) = load::<Triple>(batch, TRIPLES, &triple_key)? {
        batch.put(TRIPLES, triple_key, encode(&Triple { seq: None, ..triple }));
    }
    batch.remove(QUEUE, seq_key(recipient, seq));
    batch.remove(BLOBS, seq_key(recipient, seq));
    Ok(())
}

/// Removes messages past their time, oldest first, at most `limit`. Stamps rise with seq, so these are
/// always the first ones. Expiry: stored_at + min(policy, capability duration) <= now.
pub(super) fn expire<R: Records>(
    batch: &mut Batch<'_, R>,
    row: &mut ClientRow,
    recipient: &ContactId,
    policy: &Policy,
    now: Wall,
    limit: usize,
) -> Result<(), Error> {
    let storage = row.storage(policy);
    if row.oldest_message.is_none_or(|oldest| oldest.after(storage) > now) {
        return Ok(());
    }
    for (seq, entry) in entries(batch, recipient, 0, limit)? {
        row.oldest_message = Some(entry.stamp);
        if entry.stamp.after(storage) > now {
            break;
        }
        remove(batch, row, recipient, seq, &entry)?;
    }
    Ok(())
}

/// Remembers what was stored, and when to forget it.
pub(super) fn note_triple<R: Records>(batch: &mut Batch<'_, R>, key: Vec<u8>, triple: &Triple, until: Wall) {
    batch.put(DUE, due_key(until, Due::Triple, &key), []);
    batch.put(TRIPLES, key, encode(triple));
}

/// Forgets confirmations a sender is done with, or whose time is over: those up to `done`, those from
/// before `since`, and the oldest beyond `most`. At most `limit` are looked at.
pub(super) fn drop_confirmations<R: Records>(
    batch: &mut Batch<'_, R>,
    row: &mut ClientRow,
    sender: &ContactId,
    done: u64,
    since: Wall,
    most: u32,
    limit: usize,
) -> Result<(), Error> {
    if row.confirmations == 0 {
        return Ok(());
    }
    for (key, bytes) in batch.records(CONFIRMATIONS, sender.as_bytes(), None, limit)? {
        let waiting: Waiting = read(&bytes)?;
        row.oldest_confirmation = Some(waiting.since);
        if seq_of(&key) > done && waiting.since > since && row.confirmations <= most {
            break;
        }
        batch.remove(CONFIRMATIONS, key);
        row.confirmations = row.confirmations.saturating_sub(1);
    }
    if row.confirmations == 0 {
        row.oldest_confirmation = None;
    }
    Ok(())
}
