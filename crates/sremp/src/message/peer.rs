//! Messages of every Noise connection.

use super::Message;
use crate::{
    Error, ErrorCode,
    msgpack::{Blob, record},
};

/// Longest `detail` in characters.
const MAX_DETAIL: usize = 200;
/// Longest name worth repeating: the longest known one is 22 bytes.
const MAX_NAME: usize = 64;

record! {
    /// ERROR. SREMP 10.4, profile SR-10.4. Never answered by another one.
    pub struct ErrorMessage {
        /// One of [`ErrorCode`], or a number of the future.
        pub code: u16,
        /// Whether the sender closes the connection behind it.
        pub fatal: bool,
        /// When to try again.
        pub retry_after_s: Option<u32>,
        /// At most 200 characters for logs, never shown raw.
        pub detail: Option<String>,
        /// The message it is about.
        pub message_id: Option<u64>,
        /// The name of the request it answers.
        pub request: Option<String>,
    }

    /// PING. Profile, Connection timers.
    #[derive(Copy)]
    pub struct Ping {
        /// Any number.
        pub nonce: u64,
    }

    /// PONG.
    #[derive(Copy)]
    pub struct Pong {
        /// That of the PING.
        pub nonce: u64,
    }

    /// DIRECT_MESSAGE. Profile, Direct delivery.
    pub struct DirectMessage {
        /// Random, never used twice to one recipient.
        pub message_id: u64,
        /// Sealed for the peer.
        pub encrypted_blob: Blob,
    }

    /// CHUNKED_MESSAGE. SREMP 10.3, profile SR-10.3a.
    pub struct ChunkedMessage {
        /// Which piece it is.
        pub header: ChunkHeader,
        /// The piece.
        pub payload: Blob,
    }

    /// CHUNK_HEADER. SREMP 10.3.
    #[derive(Copy)]
    pub struct ChunkHeader {
        /// Names the transfer; free again when it is complete.
        pub message_id: u64,
        /// From 0.
        pub chunk_index: u16,
        /// The same in all pieces.
        pub total_chunks: u16,
        /// Bytes of the payload.
        pub chunk_size: u16,
    }
}

impl ErrorMessage {
    /// An error with the code's own weight and nothing else.
    pub fn new(code: ErrorCode) -> Self {
        Self {
            code: code.value(),
            fatal: code.is_fatal(),
            retry_after_s: None,
            detail: None,
            message_id: None,
            request: None,
        }
    }

    /// The same, but the connection goes on.
    #[must_use]
    pub fn not_fatal(mut self) -> Self {
        self.fatal = false;
        self
    }

    /// The same, but the connection ends.
    #[must_use]
    pub fn fatal(mut self) -> Self {
        self.fatal = true;
        self
    }

    /// Names the request it answers, and its message id if it has one.
    #[must_use]
    pub fn answering(mut self, request: &Message) -> Self {
        let name = request.name();
        self.request = (name.len() <= MAX_NAME).then(|| name.to_owned());
        self.message_id = request.message_id();
        self
    }

    /// Tells when to try again.
    #[must_use]
    pub fn retry_after(mut self, seconds: u32) -> Self {
        self.retry_after_s = Some(seconds);
        self
    }

    /// The code, if this version knows it.
    pub fn known_code(&self) -> Option<ErrorCode> {
        ErrorCode::from_value(self.code)
    }

    /// The limit of the text.
    ///
    /// # Errors
    /// Its detail is too long.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let length = self.detail.as_ref().map_or(0, |detail| detail.chars().take(MAX_DETAIL + 1).count());
        if length > MAX_DETAIL { Err(Error::Limit("detail of an error")) } else { Ok(()) }
    }
}
