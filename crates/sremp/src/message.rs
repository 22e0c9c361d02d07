//! All messages of the wire. SREMP 7, 8 and 10, profile SR-10.1b.
//!
//! A message is a map with one key, its name; the value is a map of its fields.

mod peer;
mod prekeys;
mod relay;
mod rendezvous;

pub use peer::{ChunkHeader, ChunkedMessage, DirectMessage, ErrorMessage, Ping, Pong};
pub use prekeys::{FetchPrekeys, Prekeys, PrekeysPublished, PublishPrekeys, SignedBundle, SignedOneTime};
pub use relay::{
    DeliveryConfirmation, DiscardMessage, MessageBatch, RelayCapabilities, RelayPolicy, RelayRegister, RelayRegistered,
    RetrieveMessages, StoreMessage, StoreResponse, StoredMessage,
};
pub use rendezvous::{
    ListServersRequest, ListServersResponse, LookupRequest, LookupResponse, PeerInfo, RegisterRequest,
    RegisterResponse, Registration, ServerAddress,
};

use crate::{
    Error,
    identity::SignedIdentity,
    msgpack::{Reader, Record, Writer},
};

/// Largest message in bytes, whole or in chunks. Profile, Limits: memory.
pub const MAX_MESSAGE: usize = 1 << 20;

macro_rules! messages {
    ($($(#[$doc:meta])* $name:literal $variant:ident($body:ty),)*) => {
        /// One message.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub enum Message {
            $($(#[$doc])* $variant($body),)*
            /// A well-formed message whose name is not known. Answered by ERROR 6, the connection goes on.
            Unknown {
                /// The name.
                name: String,
            },
        }

        impl Message {
            /// Its name on the wire.
            pub fn name(&self) -> &str {
                match self {
                    $(Self::$variant(_) => $name,)*
                    Self::Unknown { name } => name,
                }
            }

            /// Its name on the wire, if it is one of the profile's.
            pub const fn known_name(&self) -> Option<&'static str> {
                match self {
                    $(Self::$variant(_) => Some($name),)*
                    Self::Unknown { .. } => None,
                }
            }

            /// The bytes that travel.
            pub fn encode(&self) -> Vec<u8> {
                let mut writer = Writer::with_capacity(256);
                writer.map(1);
                writer.str(self.name());
                match self {
                    $(Self::$variant(body) => body.write_fields(&mut writer),)*
                    Self::Unknown { .. } => writer.map(0),
                }
                writer.into_bytes()
            }

            fn read(name: &str, reader: &mut Reader<'_>) -> Result<Self, Error> {
                match name {
                    $($name => Record::read_fields(reader).map(Self::$variant),)*
                    _ => reader.map().map(|_| Self::Unknown { name: name.to_owned() }),
                }
            }
        }

        $(impl From<$body> for Message {
            fn from(body: $body) -> Self {
                Self::$variant(body)
            }
        })*
    };
}

messages! {
    /// Who the sender is; the first message of each side.
    "IDENTITY" Identity(SignedIdentity),
    /// What went wrong.
    "ERROR" Error(ErrorMessage),
    /// Asks for a sign of life.
    "PING" Ping(Ping),
    /// The sign of life.
    "PONG" Pong(Pong),
    /// A sealed message, delivered by its sender.
    "DIRECT_MESSAGE" DirectMessage(DirectMessage),
    /// A piece of a message too long for one frame.
    "CHUNKED_MESSAGE" ChunkedMessage(ChunkedMessage),
    /// Makes the connection one of a relay's client.
    "RELAY_REGISTER" RelayRegister(RelayRegister),
    /// The relay's answer.
    "RELAY_REGISTERED" RelayRegistered(RelayRegistered),
    /// Leaves a sealed message in somebody's mailbox.
    "STORE_MESSAGE" StoreMessage(StoreMessage),
    /// Whether it was stored.
    "STORE_RESPONSE" StoreResponse(StoreResponse),
    /// Asks for what the own mailbox holds.
    "RETRIEVE_MESSAGES" RetrieveMessages(RetrieveMessages),
    /// Some of it.
    "MESSAGE_BATCH" MessageBatch(MessageBatch),
    /// Signed word of the recipient that a message arrived.
    "DELIVERY_CONFIRMATION" DeliveryConfirmation(DeliveryConfirmation),
    /// Removes a message without such word.
    "DISCARD_MESSAGE" DiscardMessage(DiscardMessage),
    /// Leaves prekeys at a relay.
    "PUBLISH_PREKEYS" PublishPrekeys(PublishPrekeys),
    /// The relay's answer.
    "PREKEYS_PUBLISHED" PrekeysPublished(PrekeysPublished),
    /// Asks for somebody's prekeys.
    "FETCH_PREKEYS" FetchPrekeys(FetchPrekeys),
    /// Prekeys to start a session with.
    "PREKEYS" Prekeys(Prekeys),
    /// Tells a rendezvous server where the sender is.
    "REGISTER_REQUEST" RegisterRequest(RegisterRequest),
    /// Until when it is known there.
    "REGISTER_RESPONSE" RegisterResponse(RegisterResponse),
    /// Asks where somebody is.
    "LOOKUP_REQUEST" LookupRequest(LookupRequest),
    /// Where they are.
    "LOOKUP_RESPONSE" LookupResponse(LookupResponse),
    /// Asks for other servers.
    "LIST_SERVERS_REQUEST" ListServersRequest(ListServersRequest),
    /// Suggestions of other servers.
    "LIST_SERVERS_RESPONSE" ListServersResponse(ListServersResponse),
}

impl Message {
    /// Reads exactly one message.
    ///
    /// # Errors
    /// Malformed, or larger than a message may be. A message that is only unknown is no error.
    pub fn decode(bytes: &[u8]) -> Result<Self, Error> {
        if bytes.len() > MAX_MESSAGE {
            return Err(Error::Limit("message"));
        }
        let mut reader = Reader::new(bytes)?;
        if reader.map()? != 1 {
            return Err(Error::Malformed("a message is a map with one key"));
        }
        let name = reader.str()?;
        let message = Self::read(name, &mut reader)?;
        if let Self::Error(error) = &message {
            error.check()?;
        }
        Ok(message)
    }

    /// The id of the message it carries or asks about, if it has one. Chunks have another kind of id.
    pub fn message_id(&self) -> Option<u64> {
        match self {
            Self::Error(error) => error.message_id,
            Self::DirectMessage(message) => Some(message.message_id),
            Self::StoreMessage(message) => Some(message.message_id),
            Self::StoreResponse(response) => Some(response.message_id),
            Self::DeliveryConfirmation(confirmation) => Some(confirmation.message_id),
            Self::DiscardMessage(discard) => Some(discard.message_id),
            _ => None,
        }
    }
}
