//! What is known of one client: its mailbox, its counters, and when something of it is over.

use super::policy::{DepotTiming, Policy};
use crate::{
    Error, Identity, SignedIdentity,
    msgpack::{decode, encode, record},
};
use std::time::Duration;
use waypost_core::{Batch, ContactId, Records, Space, Wall};

/// Rows by identity.
pub(super) const CLIENTS: Space = Space("relay/client");
/// Newest identities by key.
pub(super) const IDENTITIES: Space = Space("relay/identity");
/// What has to be looked at: `time u64 | kind u8 | key`.
pub(super) const DUE: Space = Space("relay/due");

record! {
    /// One client, or somebody for whom a confirmation waits.
    #[derive(Copy)]
    pub(super) struct ClientRow {
        pub(super) mailbox: bool,
        pub(super) max_message_size: u32,
        pub(super) max_storage_duration: u32,
        pub(super) registered: Wall,
        /// The last one given to a message or a confirmation.
        pub(super) seq: u64,
        /// The last one given to a message.
        pub(super) stamp: Wall,
        pub(super) messages: u32,
        pub(super) bytes: u64,
        pub(super) confirmations: u32,
        pub(super) one_time: u32,
        pub(super) oldest_message: Option<Wall>,
        pub(super) oldest_confirmation: Option<Wall>,
        pub(super) oldest_one_time: Option<Wall>,
        /// Where its entry in the order of time is.
        pub(super) due: Wall,
    }
}

impl ClientRow {
    pub(super) fn new(now: Wall) -> Self {
        Self {
            mailbox: false,
            max_message_size: 0,
            max_storage_duration: 0,
            registered: now,
            seq: 0,
            stamp: Wall::default(),
            messages: 0,
            bytes: 0,
            confirmations: 0,
            one_time: 0,
            oldest_message: None,
            oldest_confirmation: None,
            oldest_one_time: None,
            due: Wall::default(),
        }
    }

    pub(super) fn load(records: &impl Records, key: &ContactId) -> Result<Option<Self>, Error> {
        let found = records.record(CLIENTS, key.as_bytes())?;
        found.map(|bytes| decode(&bytes).map_err(|_| Error::Internal("a damaged client row"))).transpose()
    }

    /// How long a message of this mailbox is kept: the smaller of the client's wish and the policy. SR-8.1c.
    pub(super) fn storage(&self, policy: &Policy) -> Duration {
        Duration::from_secs(self.max_storage_duration.min(policy.max_storage_duration).into())
    }

    /// Writes it, and moves its entry in the order of time if that changed.
    pub(super) fn keep<R: Records>(
        &mut self,
        batch: &mut Batch<'_, R>,
        key: &ContactId,
        policy: &Policy,
        timing: &DepotTiming,
    ) {
        let times = [
            self.oldest_message.map(|at| at.after(self.storage(policy))),
            self.oldest_confirmation.map(|at| at.after(timing.confirmations)),
            self.oldest_one_time.map(|at| at.after(timing.one_time)),
        ];
        let end = self.registered.after(timing.mailbox);
        let due = times.into_iter().flatten().fold(end, Wall::min);
        if due != self.due {
            batch.remove(DUE, due_key(self.due, Due::Client, key.as_bytes()));
            batch.put(DUE, due_key(due, Due::Client, key.as_bytes()), []);
            self.due = due;
        }
        batch.put(CLIENTS, *key.as_bytes(), encode(self));
    }

    /// Forgets it, when nothing it counts is left.
    pub(super) fn remove<R: Records>(self, batch: &mut Batch<'_, R>, key: &ContactId) {
        batch.remove(DUE, due_key(self.due, Due::Client, key.as_bytes()));
        batch.remove(CLIENTS, *key.as_bytes());
        batch.remove(IDENTITIES, *key.as_bytes());
    }
}

/// What an entry in the order of time is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Due {
    /// Something of a client is over.
    Client = 0,
    /// A triple need not be remembered longer.
    Triple = 1,
}

pub(super) fn due_key(at: Wall, kind: Due, key: &[u8]) -> Vec<u8> {
    [&at.as_millis().to_be_bytes(), &[kind as u8][..], key].concat()
}

/// The highest version the relay has seen of a client.
pub(super) fn newest_identity(records: &impl Records, key: &ContactId) -> Result<Option<Identity>, Error> {
    let Some(bytes) = records.record(IDENTITIES, key.as_bytes())? else { return Ok(None) };
    let damaged = |_| Error::Internal("a damaged identity");
    SignedIdentity::decode(&bytes).and_then(SignedIdentity::trusted).map(Some).map_err(damaged)
}

/// Keeps an identity if it is the newest.
pub(super) fn note_identity<R: Records>(batch: &mut Batch<'_, R>, identity: &Identity) -> Result<(), Error> {
    let key = identity.key();
    if newest_identity(batch, &key)?.is_none_or(|known| identity.version() > known.version()) {
        batch.put(IDENTITIES, *key.as_bytes(), encode(identity.signed()));
    }
    Ok(())
}
