//! What a bare client of a relay can be told to send.

use crate::speak::keys::Keys;
use crate::speak::values::{Hex, Id};
use serde::Deserialize;
use std::time::Duration;
use waypost_core::{ContactId, Now, Wall};
use waypost_sremp::message::{
    DeliveryConfirmation, DiscardMessage, FetchPrekeys, Message, Ping, PublishPrekeys, RelayCapabilities,
    RelayRegister, RetrieveMessages, StoreMessage,
};
use waypost_sremp::prekeys::{OneTimeData, PrekeyBundleData};
use waypost_sremp::relay::{Role, auth_content};
use waypost_sremp::x25519::Secret;
use waypost_sremp::{KemSeed, x25519};

/// How long a published bundle may be used: as long as the profile allows.
const BUNDLE_LIFE: Duration = Duration::from_secs(14 * 86400);

/// One line of stdin.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(tag = "cmd", rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum Command {
    /// RELAY_REGISTER.
    Register {
        #[serde(default)]
        mailbox: Option<bool>,
        #[serde(default)]
        push: Option<bool>,
        #[serde(default)]
        token: Option<Hex>,
        #[serde(default)]
        max_message_size: Option<u32>,
        #[serde(default)]
        max_storage_duration: Option<u32>,
    },
    /// STORE_MESSAGE; without an id a random one.
    Store {
        recipient: ContactId,
        #[serde(default)]
        message_id: Option<Id>,
        blob: Hex,
    },
    /// RETRIEVE_MESSAGES.
    Retrieve {
        #[serde(default)]
        after: Option<u64>,
        #[serde(default)]
        since: Option<u64>,
        #[serde(default)]
        limit: Option<u16>,
    },
    /// DELIVERY_CONFIRMATION.
    Confirm { sender: ContactId, message_id: Id },
    /// DISCARD_MESSAGE.
    Discard { sender: ContactId, message_id: Id },
    /// PUBLISH_PREKEYS, of new keys whose secrets are forgotten.
    Publish { one_time: u32 },
    /// FETCH_PREKEYS.
    Fetch { target: ContactId },
    /// PING.
    Ping {},
    /// Bytes as they are.
    Raw { bytes: Hex },
    /// Close and end.
    Close {},
}

/// What the signatures of a connection are about.
pub(super) struct Signer<'a> {
    pub(super) keys: &'a Keys,
    pub(super) dr: x25519::PublicKey,
    pub(super) relay: ContactId,
    pub(super) handshake_hash: [u8; 32],
}

impl Signer<'_> {
    /// The message of a command; none for those that send none.
    pub(super) fn message(&self, now: Now, command: Command) -> Option<Message> {
        let (signing, me) = (&self.keys.signing, self.keys.identity.key());
        Some(match command {
            Command::Register { mailbox, push, token, max_message_size, max_storage_duration } => {
                let content = auth_content(&self.handshake_hash, &self.relay, &me, Role::Register);
                let capabilities = RelayCapabilities {
                    max_message_size: max_message_size.unwrap_or(u32::MAX),
                    max_storage_duration: max_storage_duration.unwrap_or(u32::MAX),
                };
                let token = token.map(|token| token.0.into());
                let auth_signature = signing.sign(&content);
                RelayRegister { identity: me, auth_signature, capabilities, mailbox, push, token }.into()
            }
            Command::Store { recipient, message_id, blob } => {
                let id = message_id.map_or_else(rand::random, |id| id.0);
                StoreMessage::signed(&self.relay, signing, recipient, id, blob.0).into()
            }
            Command::Retrieve { after, since, limit } => {
                let auth_signature =
                    signing.sign(&auth_content(&self.handshake_hash, &self.relay, &me, Role::Retrieve));
                let since = since.map(Wall::from_millis);
                RetrieveMessages { identity: me, auth_signature, since, after, limit }.into()
            }
            Command::Confirm { sender, message_id } => {
                DeliveryConfirmation::signed(signing, sender, message_id.0, now.wall).into()
            }
            Command::Discard { sender, message_id } => DiscardMessage { sender, message_id: message_id.0 }.into(),
            Command::Publish { one_time } => self.prekeys(now, one_time).into(),
            Command::Fetch { target } => FetchPrekeys { target }.into(),
            Command::Ping {} => Ping { nonce: rand::random() }.into(),
            Command::Raw { .. } | Command::Close {} => return None,
        })
    }

    fn prekeys(&self, now: Now, count: u32) -> PublishPrekeys {
        let (signing, me, mut rng) = (&self.keys.signing, self.keys.identity.key(), rand::rng());
        let bundle = PrekeyBundleData {
            identity_key: me,
            dr_key: self.dr,
            spk_id: rand::random(),
            spk: Secret::generate(&mut rng).public(),
            lr_kem_id: rand::random(),
            lr_kem: KemSeed::generate(&mut rng).public(),
            issued: now.wall,
            not_after: now.wall.after(BUNDLE_LIFE),
        };
        let mut item = |_| {
            let (opk, kem) = (Secret::generate(&mut rng).public(), KemSeed::generate(&mut rng).public());
            OneTimeData { identity_key: me, id: rand::random(), opk, kem }.sign(signing)
        };
        PublishPrekeys { bundle: bundle.sign(signing), one_time: (0..count).map(&mut item).collect() }
    }
}

/// Whether a request is answered by one message.
pub(super) const fn is_answered(message: &Message) -> bool {
    !matches!(message, Message::DeliveryConfirmation(_) | Message::DiscardMessage(_))
}

/// Whether a message answers one that is answered.
pub(super) fn is_answer(message: &Message) -> bool {
    match message {
        // These are refused, but never answered: what they may cause answers nothing that is waited for.
        Message::Error(error) => !matches!(error.request.as_deref(), Some("DELIVERY_CONFIRMATION" | "DISCARD_MESSAGE")),
        Message::MessageBatch(batch) => batch.next.is_some(),
        Message::DeliveryConfirmation(_) => false,
        _ => true,
    }
}
