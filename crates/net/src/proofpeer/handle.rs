//! What an application holds.

use super::task::{Acknowledged, Command, Task};
use super::{Acknowledge, Config, Counters, Event, Fingerprint, PeerInfo};
use crate::Error;
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;
use tokio_util::sync::{CancellationToken, DropGuard};
use waypost_codec::json;
use waypost_proofpeer::{AppId, ChannelKey, ChannelName, Topic};
use zeroize::Zeroizing;

/// Commands that wait.
const COMMANDS: usize = 64;
/// Events that wait.
const EVENTS: usize = 1024;
/// Nesting of JSON that others read. Profile, Envelope; the token and the claim around it count too.
const DEPTH: usize = 30;
/// How long a goodbye may take.
const FAREWELL: Duration = Duration::from_secs(3);

/// A running peer: its events, and by its [`Handle`] everything else. Without it the peer ends, but says no goodbye.
pub struct ProofPeer {
    handle: Handle,
    events: mpsc::Receiver<Event>,
    acknowledge: Acknowledge,
    stop: DropGuard,
}

/// What can be done with a peer, from anywhere.
#[derive(Clone)]
pub struct Handle {
    commands: mpsc::Sender<Command>,
    acknowledged: Arc<Acknowledged>,
    own: Arc<Own>,
}

struct Own {
    app: AppId,
    fingerprint: Fingerprint,
    uid: u32,
    spki: Vec<u8>,
    inbox: Topic,
    messages: AtomicU64,
}

/// Whom a message is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum To {
    /// The owner of a key.
    Peer(Fingerprint),
    /// Whoever has a uid, if there is one of them only.
    Uid(u32),
}

impl From<Fingerprint> for To {
    fn from(peer: Fingerprint) -> Self {
        Self::Peer(peer)
    }
}

impl From<u32> for To {
    fn from(uid: u32) -> Self {
        Self::Uid(uid)
    }
}

impl ProofPeer {
    /// Starts a peer: it connects to its brokers, and again whenever a connection ends. Needs a runtime of tokio.
    ///
    /// # Errors
    /// [`Error::ProofPeer`]: the name of the application has a length it may not have. [`Error::Certificate`]: the
    /// file of authorities cannot be used.
    pub fn start(config: Config) -> Result<Self, Error> {
        let app = AppId::new(&config.app)?;
        let public = config.identity.public();
        let own = Own {
            fingerprint: public.fingerprint(),
            uid: public.uid(),
            spki: public.spki().to_vec(),
            inbox: app.inbox(public.uid()),
            messages: AtomicU64::new(1),
            app,
        };
        let (commands, commanded) = mpsc::channel(COMMANDS);
        let (news, events) = mpsc::channel(EVENTS);
        let acknowledged = Arc::new(Acknowledged::default());
        let stop = CancellationToken::new();
        let acknowledge = config.acknowledge;
        let task = Task::new(config, own.app.clone(), news, &stop)?;
        tokio::spawn(task.run(commanded, Arc::clone(&acknowledged), stop.clone()));
        let handle = Handle { commands, acknowledged, own: Arc::new(own) };
        Ok(Self { handle, events, acknowledge, stop: stop.drop_guard() })
    }

    /// The next event; none after [`ProofPeer::shutdown`].
    pub async fn next(&mut self) -> Option<Event> {
        let event = self.events.recv().await?;
        if let (Event::Deliver(delivery), Acknowledge::WhenTaken) = (&event, self.acknowledge)
            && let Some(number) = delivery.delivery
        {
            self.handle.acknowledge(number);
        }
        Some(event)
    }

    /// What can be done from anywhere.
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Says goodbye in every channel and to every peer with a session, then ends. Takes a few seconds at most; what
    /// waits for receipts is lost.
    pub async fn shutdown(self) {
        let Self { handle, events, stop, .. } = self;
        // Nobody reads events any more, and nothing waits for that.
        drop(events);
        let _ = timeout(FAREWELL, handle.ask(Command::Shutdown)).await;
        drop(stop);
    }
}

impl Deref for ProofPeer {
    type Target = Handle;

    fn deref(&self) -> &Handle {
        &self.handle
    }
}

impl Handle {
    /// The own key.
    pub fn fingerprint(&self) -> Fingerprint {
        self.own.fingerprint
    }

    /// The own uid.
    pub fn uid(&self) -> u32 {
        self.own.uid
    }

    /// The own public key: DER of its SubjectPublicKeyInfo.
    pub fn spki(&self) -> &[u8] {
        &self.own.spki
    }

    /// Where others write to us.
    pub fn inbox(&self) -> Topic {
        self.own.inbox
    }

    /// Joins a channel; with a passphrase nobody without it reads along. That takes 64 MiB and a noticeable time.
    ///
    /// # Errors
    /// [`Error::ProofPeer`], [`Error::Busy`], [`Error::Stopped`].
    pub async fn join(&self, channel: &str, passphrase: Option<&str>) -> Result<(), Error> {
        let name = ChannelName::new(channel)?;
        let key = match passphrase {
            None => None,
            Some(passphrase) => {
                let (app, name) = (self.own.app.clone(), name.clone());
                let passphrase = Zeroizing::new(passphrase.to_owned());
                let derive = move || ChannelKey::from_passphrase(&passphrase, &app, &name);
                Some(tokio::task::spawn_blocking(derive).await.map_err(|_| Error::Stopped)??)
            }
        };
        self.join_with_key(channel, key).await
    }

    /// Joins a channel, encrypted if there is a key.
    ///
    /// # Errors
    /// [`Error::ProofPeer`], [`Error::Busy`], [`Error::Stopped`].
    pub async fn join_with_key(&self, channel: &str, key: Option<ChannelKey>) -> Result<(), Error> {
        let channel = ChannelName::new(channel)?;
        self.ask(|reply| Command::Join { channel, key, reply }).await?
    }

    /// Leaves a channel.
    ///
    /// # Errors
    /// [`Error::ProofPeer`], [`Error::Busy`], [`Error::Stopped`].
    pub async fn leave(&self, channel: &str) -> Result<(), Error> {
        let channel = ChannelName::new(channel)?;
        self.ask(|reply| Command::Leave { channel, reply }).await?
    }

    /// Says something (JSON) to everybody in a channel; `reliable` asks brokers to take care of it.
    ///
    /// # Errors
    /// [`Error::NotJson`], [`Error::ProofPeer`], [`Error::Busy`], [`Error::Stopped`].
    pub async fn broadcast(&self, channel: &str, json: &str, reliable: bool) -> Result<(), Error> {
        let data = json::parse(json.as_bytes(), DEPTH).map_err(|error| Error::NotJson(error.to_string()))?;
        let channel = ChannelName::new(channel)?;
        self.ask(|reply| Command::Broadcast { channel, data, reliable, reply }).await?
    }

    /// Sends something to one peer; `reliable` repeats it for a day until the peer has it. [`Event::Status`] tells what
    /// became of it, under the number that this gives.
    ///
    /// # Errors
    /// [`Error::ProofPeer`], [`Error::Busy`], [`Error::Stopped`].
    pub async fn send(&self, to: impl Into<To>, bytes: &[u8], reliable: bool) -> Result<u64, Error> {
        let id = self.own.messages.fetch_add(1, Ordering::Relaxed);
        let (to, bytes) = (to.into(), bytes.to_vec());
        self.ask(|reply| Command::Send { id, to, bytes, reliable, reply }).await??;
        Ok(id)
    }

    /// A message was stored: its sender gets the receipt.
    pub fn acknowledge(&self, delivery: u64) {
        self.acknowledged.add(delivery);
    }

    /// The peers that were met.
    ///
    /// # Errors
    /// [`Error::Stopped`].
    pub async fn peers(&self) -> Result<Vec<PeerInfo>, Error> {
        self.ask(Command::Peers).await
    }

    /// What was counted.
    ///
    /// # Errors
    /// [`Error::Stopped`].
    pub async fn counters(&self) -> Result<Counters, Error> {
        self.ask(Command::Counters).await
    }

    /// The user has compared a peer's fingerprint, or takes that back; false if nobody has it.
    ///
    /// # Errors
    /// [`Error::Stopped`].
    pub async fn pin(&self, peer: Fingerprint, pinned: bool) -> Result<bool, Error> {
        self.ask(|reply| Command::Pin { peer, pinned, reply }).await
    }

    /// The user wants nothing of a peer, or does again; false if nobody has this key.
    ///
    /// # Errors
    /// [`Error::Stopped`].
    pub async fn block(&self, peer: Fingerprint, blocked: bool) -> Result<bool, Error> {
        self.ask(|reply| Command::Block { peer, blocked, reply }).await
    }

    async fn ask<T>(&self, command: impl FnOnce(oneshot::Sender<T>) -> Command) -> Result<T, Error> {
        let (reply, answer) = oneshot::channel();
        self.commands.send(command(reply)).await.map_err(|_| Error::Stopped)?;
        answer.await.map_err(|_| Error::Stopped)
    }
}
