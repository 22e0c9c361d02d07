//! A bare client of a relay.

use std::net::SocketAddr;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::timeout;
use waypost_core::{ContactId, Wall};
use waypost_net::sremp::{DriverCommand, DriverConfig, DriverEvent, DriverLimits, SrempDriver};
use waypost_sremp::connection::{ConnectionKeys, Dialled, Verdict};
use waypost_sremp::endpoint::Learned;
use waypost_sremp::message::{RelayCapabilities, RelayRegister, StoreMessage};
use waypost_sremp::relay::{Role, auth_content};
use waypost_sremp::{IdentityDraft, LinkId, Message, ed25519::SigningKey, x25519::Secret};

/// Nothing that is awaited takes this long.
const DEADLINE: Duration = Duration::from_secs(25);
const LINK: LinkId = LinkId(2);

pub(crate) struct Client {
    driver: SrempDriver,
    news: mpsc::Receiver<DriverEvent>,
    key: SigningKey,
    relay: ContactId,
}

impl Client {
    /// Connects and registers; `seed` says who it is. `inbox` bounds what is read ahead, in bytes.
    pub(crate) async fn connect(relay: SocketAddr, seed: u8, inbox: usize, push: bool) -> Self {
        let key = SigningKey::from_bytes(&[seed; 32]);
        let (noise, dr) = (Secret::from_bytes([seed; 32]), Secret::from_bytes([seed; 32]));
        let identity =
            IdentityDraft::new("client", noise.public(), dr.public(), 1, Wall::default()).sign(&key).unwrap();
        let (sender, news) = mpsc::channel(1);
        let limits = DriverLimits { inbox, ..DriverLimits::default() };
        let keys = ConnectionKeys::new(noise, identity).unwrap();
        let driver =
            SrempDriver::start(DriverConfig { limits, ..DriverConfig::default() }, keys, sender).await.unwrap();
        let to = relay.to_string().parse().unwrap();
        driver.command(DriverCommand::Dial { link: LINK, to, learned: Learned::FromUser, dialled: Dialled::default() });
        let mut client = Self { driver, news, relay: ContactId::from_bytes([0; 32]), key };
        let hash = loop {
            match client.event().await {
                DriverEvent::Identified { link, .. } => {
                    client.driver.command(DriverCommand::Judge(link, Verdict::Accept { known: true }));
                }
                DriverEvent::Ready { peer, handshake_hash, .. } => {
                    client.relay = peer;
                    break handshake_hash;
                }
                DriverEvent::Closed { reason, .. } => panic!("closed: {reason}"),
                _ => {}
            }
        };
        let content = auth_content(&hash, &client.relay, &client.id(), Role::Register);
        let capabilities = RelayCapabilities { max_message_size: 65536, max_storage_duration: 3600 };
        let auth_signature = client.key.sign(&content);
        let request = RelayRegister {
            identity: client.id(),
            auth_signature,
            capabilities,
            mailbox: None,
            push: Some(push),
            token: None,
        };
        client.send(request.into());
        let answer = client.message().await;
        assert!(matches!(answer, Message::RelayRegistered(_)), "{answer:?}");
        client
    }

    pub(crate) fn id(&self) -> ContactId {
        self.key.public()
    }

    pub(crate) fn send(&self, message: Message) {
        self.driver.command(DriverCommand::Send(LINK, message));
    }

    /// Stores a blob and waits until it is on disk.
    pub(crate) async fn store(&mut self, recipient: ContactId, message_id: u64, blob: Vec<u8>) {
        self.send(StoreMessage::signed(&self.relay, &self.key, recipient, message_id, blob).into());
        let answer = self.message().await;
        assert!(matches!(&answer, Message::StoreResponse(stored) if stored.success), "{answer:?}");
    }

    /// The next message.
    pub(crate) async fn message(&mut self) -> Message {
        loop {
            match self.event().await {
                DriverEvent::Message { message, .. } => return message,
                DriverEvent::Closed { reason, .. } => panic!("closed: {reason}"),
                _ => {}
            }
        }
    }

    async fn event(&mut self) -> DriverEvent {
        timeout(DEADLINE, self.news.recv()).await.unwrap().unwrap()
    }
}
