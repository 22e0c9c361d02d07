//! Messages between a relay and its clients. SREMP 8, profile SR-8.1a to SR-8.2f.

use crate::{
    crypto::ed25519::Signature,
    msgpack::{Blob, record},
};
use waypost_core::{ContactId, Wall};

record! {
    /// RELAY_REGISTER. SREMP 8.1, profile SR-8.1b.
    pub struct RelayRegister {
        /// The identity of the connection.
        pub identity: ContactId,
        /// Over the handshake and both identities, role 1.
        pub auth_signature: Signature,
        /// The client's wishes for its mailbox.
        pub capabilities: RelayCapabilities,
        /// Whether to have a mailbox here; absent means yes.
        pub mailbox: Option<bool>,
        /// Whether new messages may come unasked; absent means no.
        pub push: Option<bool>,
        /// Ours: what admits a client to a relay whose access is `token`; left out everywhere else.
        pub token: Option<Blob>,
    }

    /// RelayCapabilities. SREMP 8.1, profile SR-8.1c: the smaller of these and the policy holds.
    #[derive(Copy)]
    pub struct RelayCapabilities {
        /// Bytes of a blob.
        pub max_message_size: u32,
        /// Seconds.
        pub max_storage_duration: u32,
    }

    /// RELAY_REGISTERED.
    pub struct RelayRegistered {
        /// What this relay allows.
        pub policy: RelayPolicy,
        /// Messages in the mailbox, neither confirmed nor discarded.
        pub pending: u32,
        /// One-time items left.
        pub one_time_left: u32,
        /// The relay's clock.
        pub relay_time: Wall,
    }

    /// What a relay allows. SREMP 11.1, profile SR-11.1.
    pub struct RelayPolicy {
        /// Bytes of a blob.
        pub max_message_size: u32,
        /// Seconds.
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
        /// `open` or `list`; ours: `token`.
        pub access: String,
    }

    /// STORE_MESSAGE. SREMP 8.2, profile SR-8.2a.
    pub struct StoreMessage {
        /// Whose mailbox.
        pub recipient: ContactId,
        /// Sealed for the recipient.
        pub encrypted_blob: Blob,
        /// For the relay only, never passed on.
        pub sender_signature: Signature,
        /// Unique from this sender to this recipient.
        pub message_id: u64,
    }

    /// STORE_RESPONSE. SREMP 8.2, profile SR-8.2a.
    pub struct StoreResponse {
        /// Whether it is stored, durably.
        pub success: bool,
        /// When; now, if it is not.
        pub stored_at: Wall,
        /// The message's.
        pub message_id: u64,
        /// The message's.
        pub recipient: Option<ContactId>,
        /// Why it is not.
        pub error_code: Option<u16>,
        /// When to try again.
        pub retry_after_s: Option<u32>,
    }

    /// RETRIEVE_MESSAGES. SREMP 8.2, profile SR-8.2c.
    pub struct RetrieveMessages {
        /// The identity of the connection.
        pub identity: ContactId,
        /// As in RELAY_REGISTER, role 2.
        pub auth_signature: Signature,
        /// Only what was stored then or later.
        pub since: Option<Wall>,
        /// Only what has a higher seq; confirmations up to it are done with.
        pub after: Option<u64>,
        /// Most items, 1 to 256; absent means 64.
        pub limit: Option<u16>,
    }

    /// MESSAGE_BATCH. SREMP 8.2, profile SR-8.2c. An answer has `next`, a pushed one has not.
    pub struct MessageBatch {
        /// By seq, rising.
        pub messages: Vec<StoredMessage>,
        /// Whether to ask again.
        pub has_more: bool,
        /// The cursor for asking again.
        pub next: Option<u64>,
        /// What recipients confirmed of the client's own messages.
        pub confirmations: Option<Vec<DeliveryConfirmation>>,
    }

    /// StoredMessage. SREMP 8.2.
    pub struct StoredMessage {
        /// The sender's.
        pub message_id: u64,
        /// Who stored it.
        pub sender: ContactId,
        /// When; no two of a mailbox are equal.
        pub timestamp: Wall,
        /// Sealed for this client.
        pub encrypted_blob: Blob,
        /// Its place in the mailbox.
        pub seq: Option<u64>,
    }

    /// DELIVERY_CONFIRMATION. SREMP 8.2, profile SR-8.2d.
    pub struct DeliveryConfirmation {
        /// What arrived.
        pub message_id: u64,
        /// At whom; who signs.
        pub delivered_to: ContactId,
        /// When.
        pub timestamp: Wall,
        /// Over all of it and the sender.
        pub signature: Signature,
        /// Who had sent it.
        pub sender: Option<ContactId>,
        /// Its place in the sender's mailbox.
        pub seq: Option<u64>,
    }

    /// DISCARD_MESSAGE. Profile SR-8.2f.
    #[derive(Copy)]
    pub struct DiscardMessage {
        /// Who stored it.
        pub sender: ContactId,
        /// What to remove.
        pub message_id: u64,
    }
}
