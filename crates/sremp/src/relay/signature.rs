//! What is signed between a relay and its clients. Profile, Signature contents.

use crate::{
    crypto::{
        ed25519::{BadSignature, SigningKey, verify},
        label,
    },
    kdf::sha256,
    message::{DeliveryConfirmation, RelayRegister, RetrieveMessages, StoreMessage},
};
use waypost_core::{ContactId, Wall};

/// What an `auth_signature` is for. Profile SR-8.1b.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Role {
    /// RELAY_REGISTER.
    Register = 1,
    /// RETRIEVE_MESSAGES.
    Retrieve = 2,
}

/// What `auth_signature` signs: good on this connection, at this relay, for this client and request only.
/// SREMP 8.1, profile SR-8.1b.
pub fn auth_content(handshake_hash: &[u8; 32], relay: &ContactId, client: &ContactId, role: Role) -> Vec<u8> {
    [label!("relay-auth"), handshake_hash, relay.as_bytes(), client.as_bytes(), &[role as u8]].concat()
}

/// What `sender_signature` signs. SREMP 8.2, profile SR-8.2a.
pub fn store_content(
    relay: &ContactId,
    sender: &ContactId,
    recipient: &ContactId,
    message_id: u64,
    blob: &[u8],
) -> Vec<u8> {
    [
        label!("store"),
        relay.as_bytes(),
        sender.as_bytes(),
        recipient.as_bytes(),
        &message_id.to_be_bytes(),
        &sha256(&[blob]),
    ]
    .concat()
}

/// What a DELIVERY_CONFIRMATION signs. SREMP 8.2, profile SR-8.2d.
pub fn confirmation_content(sender: &ContactId, delivered_to: &ContactId, message_id: u64, at: Wall) -> Vec<u8> {
    [
        label!("delivered"),
        sender.as_bytes(),
        delivered_to.as_bytes(),
        &message_id.to_be_bytes(),
        &at.as_millis().to_be_bytes(),
    ]
    .concat()
}

impl RelayRegister {
    /// Whether the client signed it for this connection and relay.
    ///
    /// # Errors
    /// It did not.
    pub fn verify(&self, handshake_hash: &[u8; 32], relay: &ContactId) -> Result<(), BadSignature> {
        let content = auth_content(handshake_hash, relay, &self.identity, Role::Register);
        verify(&self.identity, &content, &self.auth_signature)
    }
}

impl RetrieveMessages {
    /// Asks for all that is kept above a cursor.
    pub fn after(cursor: u64, key: &SigningKey, handshake_hash: &[u8; 32], relay: &ContactId) -> Self {
        let identity = key.public();
        let auth_signature = key.sign(&auth_content(handshake_hash, relay, &identity, Role::Retrieve));
        Self { identity, auth_signature, since: None, after: Some(cursor), limit: None }
    }

    /// Whether the client signed it for this connection and relay.
    ///
    /// # Errors
    /// It did not.
    pub fn verify(&self, handshake_hash: &[u8; 32], relay: &ContactId) -> Result<(), BadSignature> {
        let content = auth_content(handshake_hash, relay, &self.identity, Role::Retrieve);
        verify(&self.identity, &content, &self.auth_signature)
    }
}

impl StoreMessage {
    /// A sealed message for a recipient's mailbox at this relay.
    pub fn signed(relay: &ContactId, key: &SigningKey, recipient: ContactId, message_id: u64, blob: Vec<u8>) -> Self {
        let content = store_content(relay, &key.public(), &recipient, message_id, &blob);
        Self { recipient, encrypted_blob: blob.into(), sender_signature: key.sign(&content), message_id }
    }

    /// Whether the sender signed it for this relay.
    ///
    /// # Errors
    /// It did not.
    pub fn verify(&self, relay: &ContactId, sender: &ContactId) -> Result<(), BadSignature> {
        let content = store_content(relay, sender, &self.recipient, self.message_id, &self.encrypted_blob);
        verify(sender, &content, &self.sender_signature)
    }
}

impl DeliveryConfirmation {
    /// Word of `key`'s owner that a message of `sender` arrived.
    pub fn signed(key: &SigningKey, sender: ContactId, message_id: u64, at: Wall) -> Self {
        let delivered_to = key.public();
        let signature = key.sign(&confirmation_content(&sender, &delivered_to, message_id, at));
        Self { message_id, delivered_to, timestamp: at, signature, sender: Some(sender), seq: None }
    }

    /// Whether the recipient signed it for this sender.
    ///
    /// # Errors
    /// It did not.
    pub fn verify(&self, sender: &ContactId) -> Result<(), BadSignature> {
        let content = confirmation_content(sender, &self.delivered_to, self.message_id, self.timestamp);
        verify(&self.delivered_to, &content, &self.signature)
    }
}
