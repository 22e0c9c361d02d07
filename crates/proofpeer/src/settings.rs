//! Every number of the profile that somebody may want otherwise, with its default. Profile, Limits and errors; State
//! machines.

use std::time::Duration;

/// Which peers are taken as they are. Profile, Locks and modes; PP-X9.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Accept {
    /// Those too that know nothing but the seed; each delivery says what is proven.
    #[default]
    Compat,
    /// Only those who bind what they sign.
    Strict,
}

/// How a peer is set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// Who is taken.
    pub accept: Accept,
    /// Sign with the header `ES256` for an Ed25519 key, as the seed says. PP-5.1b.
    pub legacy_es256_header: bool,
    /// Send application data on a session that the other side has not proven: for literal peers that ignore handshakes.
    pub danger_allow_unproven_send: bool,
    /// Speak as a peer that knows only the seed: no binding claim, no extension. For tests and old peers.
    pub literal: bool,
    /// Numbers and sizes.
    pub limits: Limits,
    /// Times.
    pub timing: Timing,
}

/// Numbers and sizes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of an envelope.
    pub envelope: usize,
    /// Bytes of a part of a message.
    pub chunk: usize,
    /// Bytes of a message in parts.
    pub message: usize,
    /// Bytes of messages of one key whose parts are not all there, and of all keys.
    pub reassembly: (usize, usize),
    /// Tokens that are remembered, and how many of those places are kept for keys that are pinned or have a session.
    pub replay: (usize, usize),
    /// Wrapped keys that are remembered.
    pub wrapped_keys: usize,
    /// Tokens a second and at once: of a topic before the signature is checked, of a key after it.
    pub topic_rate: Rate,
    /// See [`Limits::topic_rate`].
    pub key_rate: Rate,
    /// Session messages of a key.
    pub session_rate: Rate,
    /// Keys unwrapped: for one peer, and in all.
    pub unwrap_rate: (Rate, Rate),
    /// Session messages that fit no session by name and do not decrypt, of a uid.
    pub failure_rate: Rate,
    /// Introductions.
    pub introduction_rate: Rate,
    /// Peers that are remembered.
    pub peers: usize,
    /// Keys of one uid.
    pub keys_per_uid: usize,
    /// Sessions of a key that are proven, and that are not: of each.
    pub sessions: usize,
    /// Handshakes under way.
    pub pending: usize,
    /// Messages to one peer that wait for a session.
    pub queue: usize,
    /// Messages to one peer that wait for receipts: how many, and their bytes.
    pub outbox: (usize, usize),
    /// Parts of one message that are under way at once.
    pub in_flight: usize,
    /// Message ids of a key that are remembered.
    pub delivered: usize,
    /// Nonces of a literal session that are remembered; then it stops receiving.
    pub nonces: usize,
    /// Messages of one session; then it is renewed.
    pub session_messages: u64,
}

/// So many a second, and so many at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// A second.
    pub per_second: u32,
    /// At once.
    pub burst: u32,
}

impl Rate {
    const fn new(per_second: u32, burst: u32) -> Self {
        Self { per_second, burst }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            envelope: 65_536,
            chunk: 32_768,
            message: 16 << 20,
            reassembly: (32 << 20, 128 << 20),
            replay: (65_536, 8_192),
            wrapped_keys: 65_536,
            topic_rate: Rate::new(500, 1000),
            key_rate: Rate::new(50, 100),
            session_rate: Rate::new(1000, 2000),
            unwrap_rate: (Rate::new(1, 5), Rate::new(20, 40)),
            failure_rate: Rate::new(200, 200),
            introduction_rate: Rate::new(5, 20),
            peers: 4096,
            keys_per_uid: 8,
            sessions: 4,
            pending: 256,
            queue: 64,
            outbox: (1000, 64 << 20),
            in_flight: 16,
            delivered: 65_536,
            nonces: 262_144,
            session_messages: 1 << 20,
        }
    }
}

/// Times.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timing {
    /// Between two heartbeats, at most; each is up to [`Timing::heartbeat_jitter`] earlier.
    pub heartbeat: Duration,
    /// See [`Timing::heartbeat`].
    pub heartbeat_jitter: Duration,
    /// Without a sign of life a peer is online for so long.
    pub offline: Duration,
    /// When a handshake is repeated after it was sent first.
    pub handshake_retries: [Duration; 3],
    /// When a handshake has failed; and no other is tried sooner after it.
    pub handshake: Duration,
    /// How long tokens and ended sessions are remembered.
    pub remember: Duration,
    /// A session older than this is renewed.
    pub session: Duration,
    /// How long a session that no longer sends still receives.
    pub linger: Duration,
    /// When a part without receipt is sent again; doubles.
    pub resend: Duration,
    /// The longest pause between two repetitions.
    pub resend_most: Duration,
    /// How long a message waits for its receipt.
    pub deadline: Duration,
    /// Parts without a successor for so long are forgotten.
    pub reassembly: Duration,
    /// How long ids of messages are remembered.
    pub delivered: Duration,
    /// Introductions come after at most this.
    pub introduction: Duration,
    /// One introduction to a key on a channel in this time.
    pub introduction_again: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        let secs = Duration::from_secs;
        Self {
            heartbeat: secs(30),
            heartbeat_jitter: secs(3),
            offline: secs(60),
            handshake_retries: [secs(2), secs(4), secs(8)],
            handshake: secs(10),
            remember: secs(125),
            session: secs(3600),
            linger: secs(60),
            resend: secs(3),
            resend_most: secs(60),
            deadline: secs(24 * 3600),
            reassembly: secs(60),
            delivered: secs(48 * 3600),
            introduction: secs(2),
            introduction_again: secs(30),
        }
    }
}
