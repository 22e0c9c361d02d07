//! What programs on this machine can use up at most.

use std::time::Duration;

/// Longest request: a line, or a body of HTTP. Four times the longest letter, written as JSON.
pub(crate) const REQUEST_BYTES: usize = 1024 * 1024;

/// Longest answer a client reads: a page of 500 of the longest letters.
pub(crate) const ANSWER_BYTES: usize = 256 * 1024 * 1024;

/// Requests of one connection that are worked on at a time; further ones stay unread. Also the longest batch.
pub(crate) const IN_FLIGHT: usize = 64;

/// Connections of one transport at a time; further ones wait to be accepted.
pub(crate) const CONNECTIONS: usize = 64;

/// Open event streams over HTTP, so that they never take all connections.
pub(crate) const EVENT_STREAMS: usize = 32;

/// How long a begun request may take to arrive whole.
pub(crate) const REQUEST_TIME: Duration = Duration::from_secs(30);

/// How long a stopping server waits for clients to take their last answers.
pub(crate) const STOP_TIME: Duration = Duration::from_secs(2);
