//! Every number of a connection, settable; the profile's are the defaults.

use crate::chunk::{ChunkBudget, ChunkLimits};
use std::time::Duration;

/// How much a connection takes.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Chunks of contacts and registered relay clients.
    pub known_chunks: ChunkLimits,
    /// Chunks of everybody else.
    pub unknown_chunks: ChunkLimits,
    /// Chunks of all connections together; clones of these limits share it.
    pub chunk_budget: ChunkBudget,
    /// Size of the chunks sent: fits a frame with its header.
    pub chunk_size: u16,
    /// Bytes that wait to be sent; what is larger is not taken.
    pub send_queue: usize,
    /// Bytes kept while the peer's identity is judged.
    pub held_input: usize,
    /// Frames of one direction; then the connection ends. Profile, Connection: no rekey.
    pub frames: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            known_chunks: ChunkLimits::KNOWN,
            unknown_chunks: ChunkLimits::UNKNOWN,
            chunk_budget: ChunkBudget::default(),
            chunk_size: 61440,
            send_queue: 4 << 20,
            held_input: 256 << 10,
            frames: 1 << 32,
        }
    }
}

/// How long a connection waits. Profile, Connection timers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// For the header, from the start.
    pub header: Duration,
    /// For the handshake, from the start.
    pub handshake: Duration,
    /// For both identities, from the handshake.
    pub identity: Duration,
    /// Without a frame, before a PING.
    pub ping: Duration,
    /// Without a frame, before the end.
    pub silence: Duration,
    /// After DUPLICATE, for what is still on its way. Profile SR-6f.
    pub linger: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            header: Duration::from_secs(5),
            handshake: Duration::from_secs(10),
            identity: Duration::from_secs(10),
            ping: Duration::from_secs(30),
            silence: Duration::from_secs(90),
            linger: Duration::from_secs(2),
        }
    }
}
