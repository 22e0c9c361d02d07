//! The server's end: accepts clients and cuts what they send into messages.

mod connection;

use crate::limits::{ConnectionLimits, Gate};
use crate::tls::ServerTls;
use crate::{Error, tcp};
use connection::Command;
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use waypost_sremp::{LinkId, Message, message::ErrorMessage};

/// What a server is started with.
#[derive(Clone, Debug)]
pub struct ServerConfig {
    /// Where to listen. Port 0 takes a free one.
    pub listen: Vec<SocketAddr>,
    /// As whom.
    pub tls: ServerTls,
    /// Bounds.
    pub limits: ServerLimits,
    /// Times.
    pub timing: ServerTiming,
}

/// Bounds of a server.
#[derive(Clone, Copy, Debug)]
pub struct ServerLimits {
    /// Connections: half-open until the header came, and `strangers` are all that were opened.
    pub connections: ConnectionLimits,
    /// Messages of one connection that wait for an answer before it is not read any more.
    pub requests: usize,
    /// Bytes that wait for one socket before it is not read any more.
    pub unsent: usize,
    /// The same for all sockets together: then those for which something waits are not read.
    pub unsent_by_all: usize,
    /// Bytes of messages that are not complete yet, of all connections together.
    pub incomplete: usize,
}

impl Default for ServerLimits {
    fn default() -> Self {
        // 20 connections of one host: profile, Rendezvous framing.
        let connections = ConnectionLimits { per_host: 20, strangers: 10_000, ..ConnectionLimits::default() };
        Self { connections, requests: 8, unsent: 64 << 10, unsent_by_all: 64 << 20, incomplete: 32 << 20 }
    }
}

/// Times of a server. Defaults are the profile's where it gives one.
#[derive(Clone, Copy, Debug)]
pub struct ServerTiming {
    /// Until TLS and the header are through.
    pub opening: Duration,
    /// Without a request.
    pub idle: Duration,
    /// How long a socket may take nothing of what waits for it.
    pub write: Duration,
    /// How long connections may take to end when the server stops.
    pub stop: Duration,
}

impl Default for ServerTiming {
    fn default() -> Self {
        Self {
            opening: Duration::from_secs(10),
            idle: Duration::from_secs(60),
            write: Duration::from_secs(10),
            stop: Duration::from_secs(1),
        }
    }
}

/// News for the registry. Of one connection they come in order, [`Self::Closed`] last.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "made and taken apart at once; a box for each message costs more")]
#[non_exhaustive]
pub enum ServerEvent {
    /// A connection has shown the right header.
    Opened {
        /// Which connection.
        link: LinkId,
        /// Of whom, for the rates.
        address: IpAddr,
    },
    /// A message.
    Message {
        /// On which connection.
        link: LinkId,
        /// The message.
        message: Message,
    },
    /// What came is no message. Nothing is read any more: the registry says so with
    /// [`ServerCommand::Close`].
    Fault {
        /// On which connection.
        link: LinkId,
        /// What is wrong.
        error: waypost_sremp::Error,
    },
    /// A connection ended that was opened.
    Closed {
        /// Which connection.
        link: LinkId,
    },
}

/// What the registry wants.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "made and taken apart at once; a box for each message costs more")]
#[non_exhaustive]
pub enum ServerCommand {
    /// Send a message: the answer to the oldest one that has none yet.
    Send(LinkId, Message),
    /// Send what waits, and this as the last message, and close.
    Close(LinkId, Option<ErrorMessage>),
}

/// What went through a server since it started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServerCounts {
    /// Connections that are open now, with those that are only opening.
    pub open: u64,
    /// Connections that were taken.
    pub accepted: u64,
    /// Connections closed at once, because there were too many.
    pub crowded: u64,
    /// Connections that never got through TLS and the header.
    pub not_opened: u64,
    /// Messages that came.
    pub messages: u64,
    /// Bytes that wait for sockets now.
    pub unsent: u64,
}

/// A running server. Dropping it ends all its connections at once.
#[derive(Debug)]
pub struct RendezvousServer {
    shared: Arc<Shared>,
    listening: Vec<SocketAddr>,
}

/// What all tasks of a server use.
#[derive(Debug)]
struct Shared {
    tls: ServerTls,
    limits: ServerLimits,
    timing: ServerTiming,
    gate: Gate,
    links: Mutex<HashMap<LinkId, mpsc::Sender<Command>>>,
    news: mpsc::Sender<ServerEvent>,
    next: AtomicU64,
    counters: Counters,
    tasks: TaskTracker,
    /// Listeners end and connections close.
    stop: CancellationToken,
    /// Whatever still runs ends now.
    abort: CancellationToken,
}

#[derive(Debug, Default)]
struct Counters {
    open: AtomicU64,
    accepted: AtomicU64,
    crowded: AtomicU64,
    not_opened: AtomicU64,
    messages: AtomicU64,
    unsent: AtomicUsize,
    incomplete: AtomicUsize,
}

impl RendezvousServer {
    /// Listens and starts the tasks.
    ///
    /// # Errors
    /// [`Error::Listen`]; then nothing runs.
    pub async fn start(config: ServerConfig, news: mpsc::Sender<ServerEvent>) -> Result<Self, Error> {
        let listeners = config.listen.iter().map(|&address| tcp::listen(address)).collect::<Result<Vec<_>, _>>()?;
        let mut listening = Vec::new();
        for (listener, &address) in listeners.iter().zip(&config.listen) {
            listening.push(listener.local_addr().map_err(|source| Error::Listen { address, source })?);
        }
        let shared = Arc::new(Shared {
            tls: config.tls,
            limits: config.limits,
            timing: config.timing,
            gate: Gate::new(config.limits.connections),
            links: Mutex::default(),
            news,
            next: AtomicU64::new(1),
            counters: Counters::default(),
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
            abort: CancellationToken::new(),
        });
        for listener in listeners {
            shared.tasks.spawn(accept(Arc::clone(&shared), listener));
        }
        Ok(Self { shared, listening })
    }

    /// Where it listens, in the order of the configuration.
    pub fn listening(&self) -> &[SocketAddr] {
        &self.listening
    }

    /// Takes a command; never waits. Commands for a connection that is gone are dropped.
    pub fn command(&self, command: ServerCommand) {
        match command {
            ServerCommand::Send(link, message) => self.shared.command(link, Command::Send(Box::new(message))),
            ServerCommand::Close(link, error) => self.shared.command(link, Command::Close(error.map(Box::new))),
        }
    }

    /// What went through it, for its operator.
    pub fn counts(&self) -> ServerCounts {
        let Counters { open, accepted, crowded, not_opened, messages, unsent, .. } = &self.shared.counters;
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        ServerCounts {
            open: of(open),
            accepted: of(accepted),
            crowded: of(crowded),
            not_opened: of(not_opened),
            messages: of(messages),
            unsent: unsent.load(Ordering::Relaxed) as u64,
        }
    }

    /// Takes no further connection, sends what waits for a moment, and ends all tasks. No news come any more.
    pub async fn stop(self) {
        self.shared.stop.cancel();
        self.shared.tasks.close();
        if tokio::time::timeout(self.shared.timing.stop, self.shared.tasks.wait()).await.is_err() {
            self.shared.abort.cancel();
            self.shared.tasks.wait().await;
        }
    }
}

impl Drop for RendezvousServer {
    fn drop(&mut self) {
        self.shared.stop.cancel();
        self.shared.abort.cancel();
    }
}

impl Shared {
    fn command(&self, link: LinkId, command: Command) {
        let mut links = self.links();
        // A queue that ran over ends with its connection: without its sender the task sees that.
        if links.get(&link).is_some_and(|queue| queue.try_send(command).is_err()) {
            links.remove(&link);
        }
    }

    fn links(&self) -> MutexGuard<'_, HashMap<LinkId, mpsc::Sender<Command>>> {
        self.links.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells the registry, unless nobody listens any more.
    async fn tell(&self, event: ServerEvent) {
        tokio::select! {
            biased;
            () = self.stop.cancelled() => {}
            // Nobody may listen any more.
            _ = self.news.send(event) => {}
        }
    }
}

async fn accept(shared: Arc<Shared>, listener: TcpListener) {
    let take = |stream, remote: SocketAddr| match shared.gate.admit(remote.ip()) {
        Some(permit) => connection::start(&shared, stream, remote.ip(), permit),
        None => drop(shared.counters.crowded.fetch_add(1, Ordering::Relaxed)),
    };
    tcp::accept(listener, &shared.stop, take).await;
}
