//! What goes wrong: reasons to drop a message, which nobody else learns, and failures told to the local user.

use std::fmt;
use waypost_core::{ErrorKind, HasKind};

macro_rules! drops {
    ($($(#[$doc:meta])* $variant:ident = $name:literal;)*) => {
        /// Why a message that came was dropped. Profile, Receive order; counted, never answered.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum Drop {
            $($(#[$doc])* $variant,)*
        }

        impl Drop {
            /// The profile's word for it.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }
        }
    };
}

drops! {
    /// The broker had kept it.
    Retained = "retained";
    /// Larger than is read.
    TooLarge = "too_large";
    /// Not JSON that every reader understands alike.
    BadJson = "bad_json";
    /// Another version.
    BadVersion = "bad_version";
    /// The time is no integer in range.
    BadTime = "bad_time";
    /// The time looks like milliseconds.
    MsTime = "ms_time";
    /// More than 60 s old.
    Stale = "stale";
    /// More than 60 s ahead.
    Future = "future";
    /// Members of the envelope with wrong types, or too few.
    BadEnvelope = "bad_envelope";
    /// A shape that does not belong on its topic.
    Misplaced = "misplaced";
    /// No shape that is known.
    BadShape = "bad_shape";
    /// No well-formed token.
    BadJwt = "bad_jwt";
    /// The token says another time than the envelope.
    TsMismatch = "ts_mismatch";
    /// No acceptable public key.
    BadKey = "bad_key";
    /// Our own message came back.
    Own = "own";
    /// The user wants nothing of this key.
    Blocked = "blocked";
    /// The algorithm does not fit the key.
    BadAlg = "bad_alg";
    /// Seen before.
    Duplicate = "duplicate";
    /// Too many.
    Rate = "rate";
    /// No room to remember it.
    Overload = "overload";
    /// The signature does not hold.
    BadSig = "bad_sig";
    /// The binding claim does not hold.
    BadBind = "bad_bind";
    /// No binding claim where one must be.
    Unbound = "unbound";
    /// No binding claim of a key that always binds.
    Downgrade = "downgrade";
    /// No session or handshake fits.
    NoSession = "no_session";
    /// `sender_id` is not the sender's.
    BadSender = "bad_sender";
    /// It does not decrypt.
    BadCipher = "bad_cipher";
    /// An answer to a handshake that says something else.
    BadAck = "bad_ack";
    /// Our own session message came back.
    Reflected = "reflected";
    /// Its nonce was seen before.
    Replay = "replay";
    /// The key inside a handshake cannot be unwrapped.
    BadWrap = "bad_wrap";
    /// A session id or wrapped key is used again.
    SidReuse = "sid_reuse";
    /// A frame that cannot be.
    BadFrame = "bad_frame";
    /// A message of an encrypted channel that does not decrypt.
    BadEnc = "bad_enc";
    /// Plain text in an encrypted channel.
    PlainInEncrypted = "plain_in_encrypted";
}

impl fmt::Display for Drop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A failure told to the local user. Profile, Limits and errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An envelope or a message above the limit.
    #[error("the message is too large")]
    TooLarge,
    /// The name of an application or channel, or a passphrase, has a length it may not have.
    #[error("a name has 1 to 255 bytes, a passphrase 1 to 1024")]
    BadName,
    /// The channel was not joined.
    #[error("the channel was not joined")]
    NotJoined,
    /// No broker is connected.
    #[error("no broker is connected")]
    NotConnected,
    /// No key is known for the peer.
    #[error("nobody of that name is known")]
    UnknownPeer,
    /// Several keys share the uid.
    #[error("several peers share this id: name the fingerprint")]
    AmbiguousPeer,
    /// The peer does not do what strict mode asks for.
    #[error("the peer does not bind its handshakes, and strict mode asks for that")]
    UnboundPeer,
    /// Nobody answered the handshake.
    #[error("the peer did not answer the handshake in time")]
    HandshakeTimeout,
    /// Too many messages wait for a session.
    #[error("too many messages wait for this peer's session")]
    QueueFull,
    /// Too many messages wait for their receipt.
    #[error("too many messages wait for this peer's receipts")]
    OutboxFull,
    /// A file with a private key cannot be used.
    #[error("the key file cannot be used")]
    KeyFile,
    /// An RSA key, where the build has no vetted code for private ones.
    #[error("private RSA keys are not available in this build")]
    NoPrivateRsa,
    /// A bug of ours.
    #[error("a bug: {0}")]
    Internal(&'static str),
}

impl HasKind for Error {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::TooLarge | Self::QueueFull | Self::OutboxFull => ErrorKind::Limit,
            Self::BadName | Self::NotJoined | Self::AmbiguousPeer | Self::KeyFile | Self::NoPrivateRsa => {
                ErrorKind::BadInput
            }
            Self::UnknownPeer => ErrorKind::NotFound,
            Self::UnboundPeer => ErrorKind::Refused,
            Self::HandshakeTimeout | Self::NotConnected => ErrorKind::Unreachable,
            Self::Internal(_) => ErrorKind::Internal,
        }
    }
}
