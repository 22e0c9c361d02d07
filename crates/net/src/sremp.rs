//! Runs SREMP connections: one task a connection, each with its own machine.
//!
//! ```text
//!              DriverCommand                       DriverEvent
//!   engine ───────────────────> queue a link ─┐ ┌──────────────> engine's inbox (bounded)
//!                                             ▼ │
//!                          task: Connection <-> socket
//! ```
//! **Bounds.** A task holds at most one frame, one read, the chunks of its machine's limits and the
//! bytes that wait for its socket. When the engine's inbox is full, tasks stop reading their sockets.
//! While [`DriverLimits::unsent`] bytes wait for a socket the task takes no further command; a link
//! whose queue of commands is full is closed (LIMIT): the account's window keeps well below it. A
//! socket that takes nothing for [`DriverTiming::write`] is closed (TIMEOUT).

mod accept;
mod dial;
mod inbox;
mod link;
mod outbound;
mod task;
mod traffic;

use crate::dial::{Dialling, Resolved};
use crate::limits::{ConnectionLimits, Gate};
use crate::{Clock, Error, tcp};
use dial::Target;
pub use inbox::Held;
use inbox::Inbox;
use link::LinkCommand;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use task::Reins;
use tokio::sync::mpsc::{self, error::TrySendError};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use traffic::Traffic;
use waypost_core::{ContactId, SrempAddress};
use waypost_sremp::chunk::ChunkBudget;
use waypost_sremp::connection::{self, ConnectionKeys, Dialled, Verdict};
use waypost_sremp::endpoint::Learned;
use waypost_sremp::{CloseReason, Identity, LinkId, Message, message::ErrorMessage};

/// What a driver is started with.
#[derive(Clone, Debug, Default)]
pub struct DriverConfig {
    /// Where to listen; nowhere to only dial. Port 0 takes a free one.
    pub listen: Vec<SocketAddr>,
    /// How others are dialled.
    pub dialling: Dialling,
    /// Bounds.
    pub limits: DriverLimits,
    /// Times.
    pub timing: DriverTiming,
}

/// Bounds of a driver.
#[derive(Clone, Copy, Debug)]
pub struct DriverLimits {
    /// Connections, by whom and how many.
    pub connections: ConnectionLimits,
    /// Commands that may wait for one link.
    pub commands: usize,
    /// Bytes that wait for a socket before its task takes no further command.
    pub unsent: usize,
    /// Bytes of answers that wait for one socket before its task stops reading it.
    pub owed: usize,
    /// The same for all sockets together: then those that owe answers are not read.
    pub owed_by_all: usize,
    /// Bytes of messages that the engine has not done with.
    pub inbox: usize,
    /// Bytes that all accepted connections may send before they say who they are.
    pub half_open: usize,
    /// Bytes of incomplete chunked messages in all (profile, Limits: at most 64 MiB).
    pub chunks: usize,
}

impl Default for DriverLimits {
    fn default() -> Self {
        Self {
            connections: ConnectionLimits::default(),
            commands: 1024,
            unsent: 256 << 10,
            owed: 16 << 10,
            owed_by_all: 8 << 20,
            inbox: 8 << 20,
            half_open: 8 << 20,
            // With everything else a hostile crowd can fill it stays below 64 MiB.
            chunks: 16 << 20,
        }
    }
}

/// Times of a driver.
#[derive(Clone, Copy, Debug)]
pub struct DriverTiming {
    /// Looking up a name and connecting.
    pub connect: Duration,
    /// A connection's own timers.
    pub connection: connection::Timing,
    /// How long a socket may take nothing of what waits for it.
    pub write: Duration,
    /// How long links may take to end when the driver stops.
    pub stop: Duration,
}

impl Default for DriverTiming {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            connection: connection::Timing::default(),
            write: Duration::from_secs(30),
            stop: Duration::from_secs(1),
        }
    }
}

/// News for the engine. Of one link they come in the order in which they happened, [`Self::Closed`] last.
#[derive(Debug)]
#[non_exhaustive]
pub enum DriverEvent {
    /// A connection verified who is at its other end and waits for [`DriverCommand::Judge`].
    Identified {
        /// Which connection.
        link: LinkId,
        /// Who.
        identity: Identity,
    },
    /// Both sides accepted each other.
    Ready {
        /// Which connection.
        link: LinkId,
        /// With whom.
        peer: ContactId,
        /// Whether this side dialled.
        we_dialled: bool,
        /// The other end, `address:port`.
        remote: String,
        /// Names the connection in signatures (profile, Signature contents: h).
        handshake_hash: [u8; 32],
    },
    /// A message.
    Message {
        /// On which connection.
        link: LinkId,
        /// The message.
        message: Message,
        /// Its place in the inbox; to be dropped when the message is done with.
        held: Held,
    },
    /// Half of [`DriverLimits::unsent`] or of [`DriverLimits::commands`] waits for a connection's socket, or less than a
    /// quarter does again: whoever sends without being asked should wait meanwhile.
    Held {
        /// Which connection.
        link: LinkId,
        /// Whether much waits.
        is_held: bool,
    },
    /// A connection ended, or could not be made. Comes for every link that was dialled or identified.
    Closed {
        /// Which connection.
        link: LinkId,
        /// Why.
        reason: CloseReason,
    },
    /// Answers [`DriverCommand::Resolve`].
    Resolved {
        /// Which question.
        ticket: u64,
        /// What was found; not filtered yet, [`DriverCommand::Dial`] does that.
        found: Resolved,
    },
    /// Bytes that went over all sockets since the last report. At most once a second.
    Traffic {
        /// Received.
        bytes_in: u64,
        /// Sent.
        bytes_out: u64,
    },
    /// Accepted connections that ended before they said who they are, since the last report. At most once a second.
    Dropped {
        /// Why: a [`CloseReason::name`], or `crowded` for those closed at accept.
        reason: &'static str,
        /// How many.
        count: u64,
    },
}

/// What the engine wants of the driver.
#[derive(Debug)]
#[non_exhaustive]
pub enum DriverCommand {
    /// Open a connection. What the filter refuses, because others named it, is not dialled (FORBIDDEN). A
    /// name is dialled at any of its addresses, or by the proxy.
    Dial {
        /// Its name from now on: an even number never used before.
        link: LinkId,
        /// Where to.
        to: SrempAddress,
        /// Who named it.
        learned: Learned,
        /// Who must be there.
        dialled: Dialled,
    },
    /// Looks up a host; [`DriverEvent::Resolved`] comes.
    Resolve {
        /// Names the question.
        ticket: u64,
        /// The host and the port that the addresses shall have.
        host: SrempAddress,
    },
    /// Answers [`DriverEvent::Identified`].
    Judge(LinkId, Verdict),
    /// The peer has become one whose chunks may be larger: a trusted contact, a registered client.
    Known(LinkId),
    /// Sends a message.
    Send(LinkId, Message),
    /// Sends bytes as if they were a message, however wrong: for trying out the other side.
    SendRaw(LinkId, Vec<u8>),
    /// Closes a connection, with an error as last message if there is one.
    Close(LinkId, Option<ErrorMessage>),
    /// New connections show this identity and prove this transport key.
    Keys(Box<ConnectionKeys>),
}

/// A running driver. Dropping it ends all its connections at once.
#[derive(Debug)]
pub struct SrempDriver {
    shared: Arc<Shared>,
    listening: Vec<SocketAddr>,
}

/// What all tasks of a driver use.
#[derive(Debug)]
struct Shared {
    clock: Clock,
    dialling: Dialling,
    limits: DriverLimits,
    timing: DriverTiming,
    gate: Gate,
    dialled: AtomicUsize,
    keys: Mutex<Arc<ConnectionKeys>>,
    links: Mutex<HashMap<LinkId, Handle>>,
    next_accepted: AtomicU64,
    news: Inbox,
    traffic: Traffic,
    owed: AtomicUsize,
    half_open: AtomicUsize,
    /// Clones share one budget for chunks.
    machine: connection::Limits,
    tasks: TaskTracker,
    /// Listeners end and links close themselves.
    stop: CancellationToken,
    /// Whatever still runs ends now.
    abort: CancellationToken,
}

/// How a link is reached.
#[derive(Debug)]
struct Handle {
    commands: mpsc::Sender<LinkCommand>,
    cut: CancellationToken,
}

impl SrempDriver {
    /// Listens and starts the tasks.
    ///
    /// # Errors
    /// [`Error::Listen`]; then nothing runs.
    pub async fn start(
        config: DriverConfig,
        keys: ConnectionKeys,
        news: mpsc::Sender<DriverEvent>,
    ) -> Result<Self, Error> {
        let listeners = config.listen.iter().map(|&address| tcp::listen(address)).collect::<Result<Vec<_>, _>>()?;
        let mut listening = Vec::new();
        for (listener, &address) in listeners.iter().zip(&config.listen) {
            listening.push(listener.local_addr().map_err(|source| Error::Listen { address, source })?);
        }
        let shared = Arc::new(Shared {
            clock: Clock::start(),
            dialling: config.dialling,
            limits: config.limits,
            timing: config.timing,
            gate: Gate::new(config.limits.connections),
            dialled: AtomicUsize::new(0),
            keys: Mutex::new(Arc::new(keys)),
            links: Mutex::default(),
            next_accepted: AtomicU64::new(1),
            news: Inbox::new(news, config.limits.inbox),
            traffic: Traffic::default(),
            owed: AtomicUsize::new(0),
            half_open: AtomicUsize::new(0),
            machine: connection::Limits { chunk_budget: ChunkBudget::new(config.limits.chunks), ..Default::default() },
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
            abort: CancellationToken::new(),
        });
        for listener in listeners {
            shared.tasks.spawn(accept::accept(Arc::clone(&shared), listener));
        }
        let reporter = Arc::clone(&shared);
        shared.tasks.spawn(async move { traffic::report(&reporter).await });
        Ok(Self { shared, listening })
    }

    /// Where it listens, in the order of the configuration.
    pub fn listening(&self) -> &[SocketAddr] {
        &self.listening
    }

    /// Takes a command; never waits. Commands for a link that is gone are dropped: its
    /// [`DriverEvent::Closed`] is on the way.
    pub fn command(&self, command: DriverCommand) {
        match command {
            DriverCommand::Dial { link, to: address, learned, dialled } => {
                task::dial(&self.shared, link, Target { address, learned, dialled });
            }
            DriverCommand::Resolve { ticket, host } => task::resolve(&self.shared, ticket, host),
            DriverCommand::Judge(link, verdict) => self.shared.command(link, LinkCommand::Judge(verdict)),
            DriverCommand::Known(link) => self.shared.command(link, LinkCommand::Known),
            DriverCommand::Send(link, message) => self.shared.command(link, LinkCommand::Send(Box::new(message))),
            DriverCommand::SendRaw(link, bytes) => self.shared.command(link, LinkCommand::SendRaw(bytes)),
            DriverCommand::Close(link, error) => self.shared.command(link, LinkCommand::Close(error.map(Box::new))),
            DriverCommand::Keys(keys) => *lock(&self.shared.keys) = Arc::new(*keys),
        }
    }

    /// Takes no further connection, writes out what waits for a moment, closes all links and ends
    /// all tasks. No news come any more.
    pub async fn stop(self) {
        self.shared.stop.cancel();
        self.shared.tasks.close();
        if tokio::time::timeout(self.shared.timing.stop, self.shared.tasks.wait()).await.is_err() {
            self.shared.abort.cancel();
            self.shared.tasks.wait().await;
        }
    }
}

impl Drop for SrempDriver {
    fn drop(&mut self) {
        self.shared.stop.cancel();
        self.shared.abort.cancel();
    }
}

impl Shared {
    fn keys(&self) -> Arc<ConnectionKeys> {
        Arc::clone(&lock(&self.keys))
    }

    /// Opens the queue of a new link; none if the name is taken.
    fn open(&self, link: LinkId) -> Option<Reins> {
        let (commands, queue) = mpsc::channel(self.limits.commands);
        let cut = self.abort.child_token();
        let mut links = lock(&self.links);
        if links.contains_key(&link) {
            return None;
        }
        links.insert(link, Handle { commands, cut: cut.clone() });
        Some(Reins { queue, cut })
    }

    /// Commands for it are dropped from now on.
    fn forget(&self, link: LinkId) {
        lock(&self.links).remove(&link);
    }

    fn command(&self, link: LinkId, command: LinkCommand) {
        let links = lock(&self.links);
        let Some(handle) = links.get(&link) else { return };
        if let Err(TrySendError::Full(_)) = handle.commands.try_send(command) {
            handle.cut.cancel();
        }
    }

    /// Tells the engine, unless nobody listens any more.
    async fn tell(&self, event: DriverEvent) {
        tokio::select! {
            biased;
            () = self.stop.cancelled() => {}
            () = self.news.put(event) => {}
        }
    }

    fn next_accepted(&self) -> LinkId {
        LinkId(self.next_accepted.fetch_add(2, Ordering::Relaxed))
    }
}

/// Nothing that holds one of these locks can panic half-way or waits for anything.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
