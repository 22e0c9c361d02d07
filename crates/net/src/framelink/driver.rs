//! Links of one person with contacts, each by the key shared with that contact: for the engine of a node.
//!
//! A link is a number: dialled ones are even and named by the engine, accepted ones odd and named here, all
//! from [`FIRST_LINK`] up, so that they never meet those of another driver.

use super::listener::{Accepted, ListenLimits, Listener, ListenerOptions};
use super::{Link, Message};
use crate::{Dialling, Error};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use waypost_core::SrempAddress;
use waypost_framelink::link::Status;
use waypost_framelink::{Mode, Psk, Settings, code};
use waypost_sremp::endpoint::Learned;

/// The lowest number of a link.
pub const FIRST_LINK: u64 = 1 << 62;
/// Messages that wait for one link; beyond that it is too slow to be of use.
const QUEUE: usize = 1024;
/// How long an address may take to answer.
const CONNECT: Duration = Duration::from_secs(10);
/// Between two reports of what was carried.
const PERIOD: Duration = Duration::from_secs(1);
/// How long a link may take to end in good order.
const FAREWELL: Duration = Duration::from_secs(2);

/// Whose key it is: the engine's own name for a contact, or for an invite that nobody has used yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyOwner(pub [u8; 32]);

/// How a driver works.
#[derive(Clone, Debug, Default)]
pub struct DriverConfig {
    /// Where to listen; nowhere to only dial.
    pub listen: Vec<SocketAddr>,
    /// How connections are opened.
    pub dialling: Dialling,
    /// Settings of every link.
    pub settings: Settings,
    /// Bounds of each listener.
    pub limits: ListenLimits,
}

/// What the engine wants done.
#[derive(Debug)]
pub enum DriverCommand {
    /// From now on these keys are good, and no others; links that stand go on.
    Keys(Vec<(KeyOwner, Psk)>),
    /// Open a link.
    Dial {
        /// Its number, even.
        link: u64,
        /// The key that the other side must know.
        key: KeyOwner,
        /// Where.
        to: SrempAddress,
    },
    /// Send a message.
    Send(u64, Vec<u8>),
    /// End a link, or an attempt.
    Close(u64),
}

/// What the engine is told.
#[derive(Debug)]
pub enum DriverEvent {
    /// A link stands.
    Up {
        /// Which.
        link: u64,
        /// The key that the other side knows.
        key: KeyOwner,
        /// The other end, `host:port`.
        remote: String,
        /// Whether this side opened it.
        we_dialled: bool,
    },
    /// A message came.
    Message {
        /// By which link.
        link: u64,
        /// What came.
        bytes: Vec<u8>,
    },
    /// Messages that were carried since it was told last; at most once a second.
    Traffic {
        /// Bytes of messages that came.
        bytes_in: u64,
        /// Bytes of messages that were sent.
        bytes_out: u64,
    },
    /// A link or an attempt has ended.
    Down {
        /// Which.
        link: u64,
        /// Why, in one word of the profile's.
        reason: String,
    },
}

/// The running driver.
pub struct FramelinkDriver {
    shared: Arc<Shared>,
    listening: Vec<SocketAddr>,
}

struct Shared {
    config: DriverConfig,
    news: mpsc::Sender<DriverEvent>,
    keys: Mutex<Arc<Vec<(KeyOwner, Psk)>>>,
    links: Mutex<HashMap<u64, mpsc::Sender<LinkCommand>>>,
    listeners: Mutex<Vec<super::listener::Keys>>,
    accepted: AtomicU64,
    bytes_in: AtomicU64,
    bytes_out: AtomicU64,
    stop: CancellationToken,
    tasks: TaskTracker,
}

enum LinkCommand {
    Send(Vec<u8>),
    Close,
}

impl FramelinkDriver {
    /// Starts listening. Nobody gets in before [`DriverCommand::Keys`].
    ///
    /// # Errors
    /// [`Error::Listen`].
    pub fn start(config: DriverConfig, news: mpsc::Sender<DriverEvent>) -> Result<Self, Error> {
        let stop = CancellationToken::new();
        let shared = Arc::new(Shared {
            news,
            keys: Mutex::default(),
            links: Mutex::default(),
            listeners: Mutex::default(),
            accepted: AtomicU64::new(FIRST_LINK + 1),
            bytes_in: AtomicU64::default(),
            bytes_out: AtomicU64::default(),
            stop,
            tasks: TaskTracker::new(),
            config,
        });
        shared.tasks.spawn(Arc::clone(&shared).report());
        let mut listening = Vec::new();
        for address in &shared.config.listen {
            let options = ListenerOptions {
                psks: Vec::new(),
                modes: vec![Mode::Hybrid],
                settings: shared.config.settings.clone(),
                limits: shared.config.limits,
            };
            let listener = Listener::bind(*address, options, &shared.stop)?;
            listening.push(listener.local_addr());
            lock(&shared.listeners).push(listener.keys());
            shared.tasks.spawn(Arc::clone(&shared).accept(listener));
        }
        Ok(Self { shared, listening })
    }

    /// Where it listens.
    pub fn listening(&self) -> &[SocketAddr] {
        &self.listening
    }

    /// Does something, without waiting.
    pub fn command(&self, command: DriverCommand) {
        let shared = &self.shared;
        match command {
            DriverCommand::Keys(keys) => {
                for listener in lock(&shared.listeners).iter() {
                    listener.set(keys.iter().map(|(_, psk)| psk.clone()).collect());
                }
                *lock(&shared.keys) = Arc::new(keys);
            }
            DriverCommand::Dial { link, key, to } => {
                let queue = shared.enter(link);
                shared.tasks.spawn(Arc::clone(shared).dial(link, key, to, queue));
            }
            DriverCommand::Send(link, bytes) => shared.order(link, LinkCommand::Send(bytes)),
            DriverCommand::Close(link) => shared.order(link, LinkCommand::Close),
        }
    }

    /// Ends all links.
    pub async fn stop(self) {
        self.shared.stop.cancel();
        self.shared.tasks.close();
        let _ended = timeout(FAREWELL, self.shared.tasks.wait()).await;
    }
}

impl Shared {
    fn enter(&self, link: u64) -> mpsc::Receiver<LinkCommand> {
        let (sender, receiver) = mpsc::channel(QUEUE);
        lock(&self.links).insert(link, sender);
        receiver
    }

    fn order(&self, link: u64, command: LinkCommand) {
        let mut links = lock(&self.links);
        if links.get(&link).is_some_and(|queue| queue.try_send(command).is_err()) {
            // Gone, or so slow that what waits would never end: without its queue the link's task ends.
            links.remove(&link);
        }
    }

    async fn tell(&self, event: DriverEvent) {
        // Nobody is there to be told: the node has stopped.
        let _ = self.news.send(event).await;
    }

    async fn report(self: Arc<Self>) {
        while timeout(PERIOD, self.stop.cancelled()).await.is_err() {
            let (bytes_in, bytes_out) =
                (self.bytes_in.swap(0, Ordering::Relaxed), self.bytes_out.swap(0, Ordering::Relaxed));
            if bytes_in + bytes_out > 0 {
                self.tell(DriverEvent::Traffic { bytes_in, bytes_out }).await;
            }
        }
    }

    async fn accept(self: Arc<Self>, mut listener: Listener) {
        while let Some(Accepted { link, key, from, .. }) = listener.accept().await {
            let keys = Arc::clone(&lock(&self.keys));
            // The key may be gone since the handshake.
            let Some(key) = keys.iter().find(|(_, psk)| *psk == key).map(|(owner, _)| *owner) else {
                link.abort(code::error::GOING_AWAY, "");
                continue;
            };
            let number = self.accepted.fetch_add(2, Ordering::Relaxed);
            let queue = self.enter(number);
            let shared = Arc::clone(&self);
            self.tasks.spawn(async move {
                let up = DriverEvent::Up { link: number, key, remote: from.to_string(), we_dialled: false };
                shared.tell(up).await;
                let reason = shared.run(number, &link, queue).await;
                shared.leave(number, reason).await;
            });
        }
    }

    async fn dial(
        self: Arc<Self>,
        number: u64,
        key: KeyOwner,
        to: SrempAddress,
        mut queue: mpsc::Receiver<LinkCommand>,
    ) {
        let connected = tokio::select! {
            connected = self.connect(key, &to) => connected,
            () = closed(&mut queue) => Err("closed".to_owned()),
            () = self.stop.cancelled() => Err("closed".to_owned()),
        };
        let reason = match connected {
            Ok(link) => {
                self.tell(DriverEvent::Up { link: number, key, remote: to.to_string(), we_dialled: true }).await;
                self.run(number, &link, queue).await
            }
            Err(reason) => reason,
        };
        self.leave(number, reason).await;
    }

    async fn connect(&self, key: KeyOwner, to: &SrempAddress) -> Result<Link, String> {
        let keys = Arc::clone(&lock(&self.keys));
        let psk = keys.iter().find(|(owner, _)| *owner == key).map(|(_, psk)| psk.clone());
        let psk = psk.ok_or_else(|| "bad-key".to_owned())?;
        let dialling = &self.config.dialling;
        let stream = dialling.connect(to, Learned::FromUser, "framelink", CONNECT).await;
        let stream = stream.map_err(|error| error.to_string())?;
        let link = Link::connect(stream, psk, Mode::Hybrid, self.config.settings.clone()).map_err(word)?;
        link.opened().await.map_err(word)?;
        Ok(link)
    }

    /// Carries messages both ways until the link ends; why.
    async fn run(&self, number: u64, link: &Link, mut queue: mpsc::Receiver<LinkCommand>) -> String {
        let sending = async {
            loop {
                match queue.recv().await {
                    Some(LinkCommand::Send(bytes)) if link.send(&bytes).await.is_ok() => {
                        self.bytes_out.fetch_add(bytes.len() as u64, Ordering::Relaxed);
                    }
                    _ => break,
                }
            }
            link.close();
            // What the other side still says is taken for a moment.
            tokio::time::sleep(FAREWELL).await;
        };
        let receiving = async {
            loop {
                match link.recv().await {
                    Ok(Some(Message { code: code::DATA, payload })) => {
                        self.bytes_in.fetch_add(payload.len() as u64, Ordering::Relaxed);
                        self.tell(DriverEvent::Message { link: number, bytes: payload }).await;
                    }
                    Ok(Some(_)) => link.abort(code::error::UNSUPPORTED_CODE, ""),
                    Ok(None) => return Status::Closed.name().to_owned(),
                    Err(error) => return word(error),
                }
            }
        };
        tokio::select! {
            () = sending => "closed".to_owned(),
            reason = receiving => reason,
            () = self.stop.cancelled() => {
                link.abort(code::error::GOING_AWAY, "");
                link.ended().await;
                "closed".to_owned()
            }
        }
    }

    async fn leave(&self, number: u64, reason: String) {
        lock(&self.links).remove(&number);
        self.tell(DriverEvent::Down { link: number, reason }).await;
    }
}

/// Waits for the word to end; what was to be sent before there is a link is lost with it.
async fn closed(queue: &mut mpsc::Receiver<LinkCommand>) {
    while let Some(LinkCommand::Send(_)) = queue.recv().await {}
}

fn word(error: Error) -> String {
    match error {
        Error::Link(end) => end.fault.map_or_else(|| end.status.name().to_owned(), |fault| fault.name().to_owned()),
        other => other.to_string(),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing that holds it can panic half-way.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
