//! What a rendezvous server does and allows.

use crate::message::ServerAddress;
use std::time::Duration;

/// Most entries of LIST_SERVERS_RESPONSE. Profile SR-7.3.
const MAX_SERVERS: usize = 32;

/// What its operator decides.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RegistryPolicy {
    /// Other servers it suggests; the first 32 are told.
    pub servers: Vec<ServerAddress>,
    /// Whether a new endpoint is dialled once before it is taken. Profile, Rendezvous: off by default.
    pub dials_back: bool,
}

impl RegistryPolicy {
    /// The servers that are told.
    pub(super) fn suggestions(&self) -> Vec<ServerAddress> {
        self.servers.iter().take(MAX_SERVERS).cloned().collect()
    }
}

/// Bounds of a rendezvous server. Defaults are the profile's where it gives one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RegistryLimits {
    /// Open connections.
    pub connections: usize,
    /// Requests of one connection that wait for their answer.
    pub outstanding: usize,
    /// LOOKUP_REQUEST for one target, a minute and address.
    pub lookups: u32,
    /// LOOKUP_REQUEST for all, a minute and address.
    pub lists: u32,
    /// New registrations a minute and identity.
    pub registrations: u32,
    /// Entries of a page.
    pub page: usize,
    /// Bytes of the entries of a page: an answer stays below 65536.
    pub page_bytes: usize,
    /// Addresses and identities whose rates are remembered.
    pub rates: usize,
    /// How often a change is tried again when another process was faster.
    pub tries: u32,
}

impl Default for RegistryLimits {
    fn default() -> Self {
        Self {
            connections: 65536,
            outstanding: 32,
            lookups: 60,
            lists: 10,
            registrations: 10,
            page: 50,
            page_bytes: 60_000,
            rates: 50_000,
            tries: 8,
        }
    }
}

/// Times of a rendezvous server. Defaults are the profile's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RegistryTiming {
    /// How far `issued` may be from our clock.
    pub issued: Duration,
    /// How long a registration is remembered after it is over, and its seq with it.
    pub remembered: Duration,
}

impl Default for RegistryTiming {
    fn default() -> Self {
        Self { issued: Duration::from_secs(600), remembered: Duration::from_secs(24 * 3600) }
    }
}
