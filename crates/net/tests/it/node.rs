//! A driver and somebody who uses it.

use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::timeout;
use waypost_core::{ContactId, SrempAddress, Wall};
use waypost_net::sremp::{DriverCommand, DriverConfig, DriverEvent, SrempDriver};
use waypost_sremp::connection::{ConnectionKeys, Dialled, Verdict};
use waypost_sremp::endpoint::Learned;
use waypost_sremp::message::{DirectMessage, ErrorMessage};
use waypost_sremp::msgpack::Blob;
use waypost_sremp::x25519::Secret;
use waypost_sremp::{CloseReason, IdentityDraft, LinkId, Message, ed25519::SigningKey};

/// A missing event is a failure, a slow machine is not.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) fn noise_secret(seed: u8) -> Secret {
    Secret::from_bytes([seed ^ 0x55; 32])
}

/// The keys of somebody.
pub(crate) fn keys(seed: u8) -> ConnectionKeys {
    let (noise, dr) = (noise_secret(seed), Secret::from_bytes([seed ^ 0xaa; 32]));
    let draft = IdentityDraft::new("somebody", noise.public(), dr.public(), 1, Wall::from_millis(1));
    ConnectionKeys::new(noise, draft.sign(&SigningKey::from_bytes(&[seed; 32])).unwrap()).unwrap()
}

/// A configuration that listens on a free port.
pub(crate) fn listening() -> DriverConfig {
    DriverConfig { listen: vec!["127.0.0.1:0".parse().unwrap()], ..DriverConfig::default() }
}

pub(crate) struct Node {
    pub(crate) driver: SrempDriver,
    pub(crate) news: mpsc::Receiver<DriverEvent>,
    pub(crate) keys: ConnectionKeys,
    next_link: u64,
}

impl Node {
    pub(crate) async fn start(seed: u8, config: DriverConfig) -> Self {
        Self::with_inbox(seed, config, 64).await
    }

    pub(crate) async fn with_inbox(seed: u8, config: DriverConfig, inbox: usize) -> Self {
        let (sender, news) = mpsc::channel(inbox);
        let keys = keys(seed);
        let driver = SrempDriver::start(config, keys.clone(), sender).await.unwrap();
        Self { driver, news, keys, next_link: 0 }
    }

    pub(crate) fn id(&self) -> ContactId {
        self.keys.identity().key()
    }

    pub(crate) fn address(&self) -> SrempAddress {
        self.driver.listening()[0].to_string().parse().unwrap()
    }

    /// Dials a node as its contact does.
    pub(crate) fn dial(&mut self, to: &Self) -> LinkId {
        let identity = to.keys.identity();
        self.dial_as(to, Dialled { identity: Some(identity.key()), pin: Some(identity.noise_key()) })
    }

    pub(crate) fn dial_as(&mut self, to: &Self, dialled: Dialled) -> LinkId {
        self.dial_to(to.address(), dialled)
    }

    pub(crate) fn dial_to(&mut self, to: SrempAddress, dialled: Dialled) -> LinkId {
        self.next_link += 2;
        let link = LinkId(self.next_link);
        self.driver.command(DriverCommand::Dial { link, to, learned: Learned::FromUser, dialled });
        link
    }

    /// The next event that is no statistics and no word of a full queue.
    pub(crate) async fn next(&mut self) -> DriverEvent {
        loop {
            match timeout(PATIENCE, self.news.recv()).await.expect("no event in time").expect("the driver is gone") {
                DriverEvent::Traffic { .. } | DriverEvent::Dropped { .. } | DriverEvent::Held { .. } => {}
                event => return event,
            }
        }
    }

    /// Accepts the next peer that identifies itself and waits until the connection is ready.
    pub(crate) async fn ready(&mut self) -> LinkId {
        match self.next().await {
            DriverEvent::Identified { link, .. } => self.judge(link, Verdict::Accept { known: true }),
            other => panic!("not identified: {other:?}"),
        }
        match self.next().await {
            DriverEvent::Ready { link, .. } => link,
            other => panic!("not ready: {other:?}"),
        }
    }

    pub(crate) fn judge(&self, link: LinkId, verdict: Verdict) {
        self.driver.command(DriverCommand::Judge(link, verdict));
    }

    pub(crate) fn send(&self, link: LinkId, message: Message) {
        self.driver.command(DriverCommand::Send(link, message));
    }

    pub(crate) fn close(&self, link: LinkId, error: Option<ErrorMessage>) {
        self.driver.command(DriverCommand::Close(link, error));
    }

    pub(crate) async fn message(&mut self, on: LinkId) -> Message {
        match self.next().await {
            DriverEvent::Message { link, message, .. } if link == on => message,
            other => panic!("no message: {other:?}"),
        }
    }

    pub(crate) async fn closed(&mut self, on: LinkId) -> CloseReason {
        loop {
            match self.next().await {
                DriverEvent::Closed { link, reason } if link == on => return reason,
                DriverEvent::Message { link, .. } if link == on => {}
                other => panic!("not closed: {other:?}"),
            }
        }
    }

    /// Why accepted connections ended that never said who they are, until there are so many.
    pub(crate) async fn dropped(&mut self, wanted: u64) -> Vec<(&'static str, u64)> {
        let mut dropped: Vec<(&'static str, u64)> = Vec::new();
        while dropped.iter().map(|(_, count)| count).sum::<u64>() < wanted {
            match timeout(PATIENCE, self.news.recv()).await.expect("no event in time").expect("the driver is gone") {
                DriverEvent::Traffic { .. } => {}
                DriverEvent::Dropped { reason, count } => match dropped.iter_mut().find(|entry| entry.0 == reason) {
                    Some(entry) => entry.1 += count,
                    None => dropped.push((reason, count)),
                },
                other => panic!("not dropped: {other:?}"),
            }
        }
        dropped
    }
}

/// Two nodes with a connection between them.
pub(crate) struct Pair {
    pub(crate) dialler: Node,
    pub(crate) listener: Node,
    /// As the dialler calls it.
    pub(crate) out: LinkId,
    /// As the listener calls it.
    pub(crate) into: LinkId,
}

impl Pair {
    pub(crate) async fn connect() -> Self {
        Self::of(Node::start(1, DriverConfig::default()).await, Node::start(2, listening()).await).await
    }

    pub(crate) async fn of(mut dialler: Node, mut listener: Node) -> Self {
        dialler.dial(&listener);
        let (out, into) = tokio::join!(dialler.ready(), listener.ready());
        Self { dialler, listener, out, into }
    }

    /// One message each way.
    pub(crate) async fn talk(&mut self, id: u64) {
        self.dialler.send(self.out, direct(id, 100));
        assert_eq!(self.listener.message(self.into).await, direct(id, 100));
        self.listener.send(self.into, direct(id, 50));
        assert_eq!(self.dialler.message(self.out).await, direct(id, 50));
    }
}

/// A message that carries something.
pub(crate) fn direct(message_id: u64, length: usize) -> Message {
    let bytes = (0..length).map(|n| (n as u64 ^ message_id) as u8).collect();
    DirectMessage { message_id, encrypted_blob: Blob(bytes) }.into()
}
