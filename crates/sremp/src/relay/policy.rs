//! What a relay allows, and every other number of it. Profile SR-11.1 and Relay.

use crate::message::RelayPolicy;
use std::{collections::BTreeSet, time::Duration};
use waypost_core::ContactId;

const DAY: u64 = 86400;

/// What a relay allows its clients; it is announced to them. SREMP 11.1, profile SR-11.1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Bytes of a blob.
    pub max_message_size: u32,
    /// Seconds a message is kept.
    pub max_storage_duration: u32,
    /// Bytes a mailbox holds.
    pub quota_bytes: u64,
    /// Messages a mailbox holds.
    pub quota_messages: u32,
    /// Bytes of one sender in a mailbox.
    pub sender_bytes: u64,
    /// Messages of one sender in a mailbox.
    pub sender_messages: u32,
    /// STORE_MESSAGE a minute and sender.
    pub rate_store: u32,
    /// RETRIEVE_MESSAGES a minute and client.
    pub rate_retrieve: u32,
    /// Who may be a client.
    pub access: Access,
}

/// Who may be a client of a relay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Access {
    /// Everybody.
    Open,
    /// These.
    List(BTreeSet<ContactId>),
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            max_message_size: 65536,
            max_storage_duration: 2_592_000,
            quota_bytes: 52_428_800,
            quota_messages: 10_000,
            sender_bytes: 5_242_880,
            sender_messages: 100,
            rate_store: 60,
            rate_retrieve: 30,
            access: Access::Open,
        }
    }
}

impl Policy {
    /// As clients are told.
    pub fn to_wire(&self) -> RelayPolicy {
        RelayPolicy {
            max_message_size: self.max_message_size,
            max_storage_duration: self.max_storage_duration,
            quota_bytes: self.quota_bytes,
            quota_messages: self.quota_messages,
            sender_bytes: self.sender_bytes,
            sender_messages: self.sender_messages,
            rate_store: self.rate_store,
            rate_retrieve: self.rate_retrieve,
            access: match self.access {
                Access::Open => "open",
                Access::List(_) => "list",
            }
            .to_owned(),
        }
    }

    /// Whether somebody may be a client.
    pub fn admits(&self, client: &ContactId) -> bool {
        match &self.access {
            Access::Open => true,
            Access::List(listed) => listed.contains(client),
        }
    }
}

/// Bounds of a relay that are not announced. Defaults are the profile's where it gives one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DepotLimits {
    /// Open connections.
    pub connections: usize,
    /// Requests of one connection that wait for their answer.
    pub outstanding: usize,
    /// Items of a MESSAGE_BATCH when the client does not say how many.
    pub batch_default: u16,
    /// Items a client may ask for.
    pub batch_most: u16,
    /// Bytes of a MESSAGE_BATCH; it fits one frame.
    pub batch_bytes: usize,
    /// Bytes an item counts beside its blob.
    pub item_bytes: usize,
    /// Confirmations kept for one sender; the oldest goes when there are more.
    pub confirmations: u32,
    /// One-time prekeys of one PUBLISH_PREKEYS.
    pub prekeys_at_once: usize,
    /// One-time prekeys of one client.
    pub prekeys: u32,
    /// FETCH_PREKEYS an hour by one client for one target.
    pub fetches_per_hour: u32,
    /// Clients whose rates are remembered.
    pub rates: usize,
    /// Messages looked at, or other records, in one round of tidying up.
    pub round: usize,
}

impl Default for DepotLimits {
    fn default() -> Self {
        Self {
            connections: 65536,
            outstanding: 32,
            batch_default: 64,
            batch_most: 256,
            batch_bytes: 60_000,
            item_bytes: 200,
            confirmations: 1000,
            prekeys_at_once: 100,
            prekeys: 200,
            fetches_per_hour: 5,
            rates: 50_000,
            round: 256,
        }
    }
}

/// Times of a relay. Defaults are the profile's where it gives one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DepotTiming {
    /// How long what was stored once is recognised, at least.
    pub triples: Duration,
    /// How long a confirmation waits for its sender.
    pub confirmations: Duration,
    /// How long a one-time prekey is kept.
    pub one_time: Duration,
    /// How long a mailbox lives without its owner.
    pub mailbox: Duration,
    /// Pause between two rounds of tidying up when nothing is left to do.
    pub sweep: Duration,
    /// The same when there is.
    pub sweep_again: Duration,
}

impl Default for DepotTiming {
    fn default() -> Self {
        Self {
            triples: Duration::from_secs(30 * DAY),
            confirmations: Duration::from_secs(30 * DAY),
            one_time: Duration::from_secs(59 * DAY),
            mailbox: Duration::from_secs(90 * DAY),
            sweep: Duration::from_secs(60),
            sweep_again: Duration::from_millis(50),
        }
    }
}
