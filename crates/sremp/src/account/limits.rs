//! The numbers of an account.

use crate::relay::ClientTiming;
use std::time::Duration;

/// Bounds of an account. Defaults are the profile's.
#[derive(Clone, Copy, Debug)]
pub struct AccountLimits {
    /// New sessions one peer may start an hour (profile, Trust).
    pub sessions_per_hour: u32,
    /// One-time prekeys one peer is given an hour on direct connections (profile, Prekeys).
    pub prekeys_per_hour: u32,
    /// Letters on one connection that wait for their confirmation. Far below the 1000 that a
    /// recipient may skip, so that a loss in the middle never breaks a chain.
    pub window: usize,
    /// The same in bytes.
    pub window_bytes: usize,
    /// Peers whose rates are remembered at once.
    pub peers: usize,
    /// Content of one letter, encoded (profile, Content: text to a peer that trusts us).
    pub content: usize,
}

impl Default for AccountLimits {
    fn default() -> Self {
        Self {
            sessions_per_hour: 10,
            prekeys_per_hour: 5,
            window: 256,
            window_bytes: 2 << 20,
            peers: 10_000,
            content: 940_000,
        }
    }
}

/// Times of an account. Defaults are the profile's where it gives one.
#[derive(Clone, Copy, Debug)]
pub struct AccountTiming {
    /// How long the side with the higher key waits for the other to set up the session.
    pub higher_side_waits: Duration,
    /// How long an answer to FETCH_PREKEYS may take.
    pub prekeys_answer: Duration,
    /// Pause before asking for prekeys again after a refusal or silence.
    pub prekeys_retry: Duration,
    /// How long a letter may be unconfirmed on a connection before the router is told (profile, Direct delivery).
    pub confirmation: Duration,
    /// Pause before the same bytes are sent again on a connection that stands; doubles.
    pub repeat: Duration,
    /// A new session to one peer because of unreadable messages, at most this often (profile, Sessions).
    pub restart: Duration,
    /// A new session of the peer makes us seal again what is older than this (profile, Sessions).
    pub reseal_older_than: Duration,
    /// How long a session of the peer may go unanswered before an empty content answers it.
    pub answer: Duration,
    /// Two connections within this time are taken for simultaneous dialling (profile, Selection).
    pub simultaneous: Duration,
    /// How long (sender, message_id) pairs are remembered (profile, Sessions).
    pub seen: Duration,
    /// How long a stored message that cannot be read is kept for another try (profile, Sessions).
    pub unreadable: Duration,
    /// Times of connections to relays.
    pub relay: ClientTiming,
    /// Pause between two rounds of tidying up.
    pub sweep: Duration,
}

impl Default for AccountTiming {
    fn default() -> Self {
        Self {
            higher_side_waits: Duration::from_secs(3),
            prekeys_answer: Duration::from_secs(10),
            prekeys_retry: Duration::from_secs(60),
            confirmation: Duration::from_secs(10),
            repeat: Duration::from_secs(60),
            restart: Duration::from_secs(3600),
            reseal_older_than: Duration::from_secs(60),
            answer: Duration::from_secs(1),
            simultaneous: Duration::from_secs(10),
            seen: Duration::from_secs(90 * 24 * 3600),
            unreadable: Duration::from_secs(24 * 3600),
            relay: ClientTiming::default(),
            sweep: Duration::from_secs(60),
        }
    }
}
