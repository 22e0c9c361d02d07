//! What a relay allows, and every other number of it. Profile SR-11.1 and Relay.

use crate::{kdf::sha256, message::RelayPolicy};
use std::{collections::BTreeSet, fmt, time::Duration};
use subtle::{Choice, ConstantTimeEq};
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
    /// Nobody else has a mailbox: the relay within a person's node. Profile SR-2.2d.
    pub owner: Option<ContactId>,
}

/// Who may be a client of a relay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Access {
    /// Everybody.
    Open,
    /// These.
    List(BTreeSet<ContactId>),
    /// Whoever once showed one of these, and from then on without it. Ours: docs/protocols/README.md.
    Token(BTreeSet<TokenHash>),
}

/// The SHA-256 of an invite token: what a relay keeps of it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct TokenHash(pub [u8; 32]);

impl TokenHash {
    /// The hash of a token.
    pub fn of(token: &[u8]) -> Self {
        Self(sha256(&[token]))
    }
}

impl fmt::Debug for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenHash(..)")
    }
}

impl Access {
    /// Whether a token is one that admits. How long it takes says nothing about which it nearly was.
    pub(super) fn admits_by(&self, token: &[u8]) -> bool {
        let Self::Token(hashes) = self else { return false };
        let shown = TokenHash::of(token);
        let found = hashes.iter().fold(Choice::from(0), |found, hash| found | hash.0.ct_eq(&shown.0));
        found.into()
    }
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
            owner: None,
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
                Access::Token(_) => "token",
            }
            .to_owned(),
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
    /// How often a change is tried again when another process was faster.
    pub tries: u32,
    /// Items read at once to be sent unasked.
    pub push_items: usize,
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
            tries: 8,
            push_items: 16,
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
    /// How often the mailbox of a push connection is looked at although nobody gave a hint.
    pub recheck: Duration,
}

impl Default for DepotTiming {
    fn default() -> Self {
        Self {
            triples: Duration::from_secs(30 * DAY),
            confirmations: Duration::from_secs(30 * DAY),
            one_time: Duration::from_secs(59 * DAY),
            mailbox: Duration::from_secs(90 * DAY),
            recheck: Duration::from_secs(60),
        }
    }
}
