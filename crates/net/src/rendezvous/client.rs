//! The client's end: TLS connections to servers, as bytes.

use super::pipe::{Moved, Pipe};
use crate::Error;
use crate::dial::Dialling;
use crate::tls::{ClientTls, TlsFault};
use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_rustls::client::TlsStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use waypost_sremp::LinkId;
use waypost_sremp::endpoint::Learned;
use waypost_sremp::rendezvous::ServerUri;

/// What may wait to be sent on one connection; the machine asks little at a time.
const COMMANDS: usize = 64;
/// Bytes that wait for a socket before no further ones are taken.
const UNSENT: usize = 256 << 10;
/// Connections at once; a person uses a handful of servers.
const CONNECTIONS: usize = 64;
/// A timer that is set but not needed.
const FAR: Duration = Duration::from_secs(24 * 3600);

/// What a client is started with.
#[derive(Clone, Debug)]
pub struct ClientConfig {
    /// How servers are dialled.
    pub dialling: Dialling,
    /// Who is believed.
    pub tls: ClientTls,
    /// Looking up a name, connecting and TLS.
    pub connect: Duration,
    /// How long a socket may take nothing of what waits for it.
    pub write: Duration,
}

impl Default for ClientConfig {
    fn default() -> Self {
        let (connect, write) = (Duration::from_secs(10), Duration::from_secs(30));
        Self { dialling: Dialling::default(), tls: ClientTls::default(), connect, write }
    }
}

/// News for the engine. Of one connection they come in order, [`Self::Closed`] last and always.
#[derive(Debug)]
#[non_exhaustive]
pub enum ClientEvent {
    /// There is TLS with the right server.
    Opened {
        /// Which connection.
        link: LinkId,
        /// To what registrations are bound.
        server_id: [u8; 32],
    },
    /// Bytes came.
    Received {
        /// On which connection.
        link: LinkId,
        /// At most 16 KiB.
        bytes: Vec<u8>,
    },
    /// It is over, or could not be opened.
    Closed {
        /// Which connection.
        link: LinkId,
        /// Why, unless the engine closed it.
        fault: Option<ClientFault>,
    },
}

/// Why a connection is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ClientFault {
    /// Nobody answers there in time.
    #[error("the server does not answer")]
    Unreachable,
    /// Its address is in a private network, and somebody else named it.
    #[error("the server is in a private network, and somebody else named it")]
    NotPermitted,
    /// The proxy failed.
    #[error("the proxy fails")]
    Proxy,
    /// It is not the server, or none.
    #[error(transparent)]
    Tls(#[from] TlsFault),
    /// The server ended it.
    #[error("the server closed the connection")]
    Eof,
    /// The connection broke.
    #[error("the connection broke")]
    Broken,
    /// Too many connections, or too much waits for this one.
    #[error("too much at once")]
    Crowded,
}

/// What the engine wants.
#[derive(Debug)]
#[non_exhaustive]
pub enum ClientCommand {
    /// Connect to a server.
    Open {
        /// The connection's name from now on, never used before.
        link: LinkId,
        /// Where, and how it proves itself.
        server: ServerUri,
        /// Who named it.
        learned: Learned,
    },
    /// Send bytes.
    Send(LinkId, Vec<u8>),
    /// Send what waits and close.
    Close(LinkId),
}

/// Connections to rendezvous servers. Dropping it ends all of them.
#[derive(Debug)]
pub struct RendezvousClient {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    config: ClientConfig,
    links: Mutex<HashMap<LinkId, mpsc::Sender<Command>>>,
    news: mpsc::Sender<ClientEvent>,
    tasks: TaskTracker,
    stop: CancellationToken,
}

#[derive(Debug)]
enum Command {
    Send(Vec<u8>),
    Close,
}

impl RendezvousClient {
    /// Does nothing until it is told to.
    pub fn start(config: ClientConfig, news: mpsc::Sender<ClientEvent>) -> Self {
        let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
        Self { shared: Arc::new(Shared { config, links: Mutex::default(), news, tasks, stop }) }
    }

    /// Takes a command; never waits. Commands for a connection that is gone are dropped: its
    /// [`ClientEvent::Closed`] is on the way.
    pub fn command(&self, command: ClientCommand) {
        match command {
            ClientCommand::Open { link, server, learned } => open(&self.shared, link, server, learned),
            ClientCommand::Send(link, bytes) => self.shared.command(link, Command::Send(bytes)),
            ClientCommand::Close(link) => self.shared.command(link, Command::Close),
        }
    }

    /// Ends all connections; what waits is sent if that takes no time. No news come any more.
    pub async fn stop(self) {
        self.shared.stop.cancel();
        self.shared.tasks.close();
        self.shared.tasks.wait().await;
    }
}

impl Drop for RendezvousClient {
    fn drop(&mut self) {
        self.shared.stop.cancel();
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

    async fn tell(&self, event: ClientEvent) {
        tokio::select! {
            biased;
            () = self.stop.cancelled() => {}
            // Nobody may listen any more.
            _ = self.news.send(event) => {}
        }
    }
}

fn open(shared: &Arc<Shared>, link: LinkId, server: ServerUri, learned: Learned) {
    let (sender, mut queue) = mpsc::channel(COMMANDS);
    let mut links = shared.links();
    if links.contains_key(&link) {
        tracing::error!(link = link.0, "the name of a connection was used twice");
        return;
    }
    let crowded = links.len() >= CONNECTIONS;
    if !crowded {
        links.insert(link, sender);
    }
    drop(links);
    let shared = Arc::clone(shared);
    let tasks = shared.tasks.clone();
    tasks.spawn(async move {
        let fault = if crowded {
            Some(ClientFault::Crowded)
        } else {
            tokio::select! {
                fault = converse(&shared, link, &server, learned, &mut queue) => fault,
                () = shared.stop.cancelled() => None,
            }
        };
        shared.links().remove(&link);
        shared.tell(ClientEvent::Closed { link, fault }).await;
    });
}

/// From the first packet to the end; gives why it ended, unless the engine wanted that.
async fn converse(
    shared: &Shared,
    link: LinkId,
    server: &ServerUri,
    learned: Learned,
    queue: &mut mpsc::Receiver<Command>,
) -> Option<ClientFault> {
    let mut early = Vec::new();
    let opened = {
        let mut connecting = std::pin::pin!(connect(shared, server, learned));
        loop {
            tokio::select! {
                opened = &mut connecting => break opened,
                command = queue.recv(), if early.len() < UNSENT => match command {
                    Some(Command::Send(bytes)) => early.extend_from_slice(&bytes),
                    Some(Command::Close) => return None,
                    None => return Some(ClientFault::Crowded),
                },
            }
        }
    };
    let (stream, server_id) = match opened {
        Ok(opened) => opened,
        Err(fault) => return Some(fault),
    };
    shared.tell(ClientEvent::Opened { link, server_id }).await;
    let mut pipe = Pipe::new(stream);
    pipe.push(&early);
    let fault = exchange(shared, link, &mut pipe, queue).await;
    if fault.is_none() {
        pipe.end(shared.config.write).await;
    }
    fault
}

async fn connect(
    shared: &Shared,
    server: &ServerUri,
    learned: Learned,
) -> Result<(TlsStream<TcpStream>, [u8; 32]), ClientFault> {
    let Shared { config: ClientConfig { dialling, tls, connect, .. }, .. } = shared;
    let opening = async {
        let purpose = format!("rendezvous {server}");
        let stream = dialling.connect(&(&server.endpoint).into(), learned, &purpose, *connect).await;
        let stream = stream.map_err(|error| {
            tracing::debug!(%error, "a rendezvous server is not reached");
            match error {
                Error::NotPermitted { .. } => ClientFault::NotPermitted,
                Error::Proxy { .. } => ClientFault::Proxy,
                _ => ClientFault::Unreachable,
            }
        })?;
        Ok(tls.connect(server, stream).await?)
    };
    timeout(*connect, opening).await.unwrap_or(Err(ClientFault::Unreachable))
}

async fn exchange(
    shared: &Shared,
    link: LinkId,
    pipe: &mut Pipe<TlsStream<TcpStream>>,
    queue: &mut mpsc::Receiver<Command>,
) -> Option<ClientFault> {
    let mut input = Vec::new();
    let mut write_by: Option<Instant> = None;
    loop {
        if !pipe.has_unsent() {
            write_by = None;
        } else if write_by.is_none() {
            write_by = Some(Instant::now() + shared.config.write);
        }
        let due = write_by.unwrap_or_else(|| Instant::now() + FAR);
        let may_take = pipe.unsent() < UNSENT;
        tokio::select! {
            moved = pipe.turn(true, &mut input) => match moved {
                // The engine may be behind: nothing is read meanwhile.
                Ok(Moved::Read(_)) => {
                    let bytes = std::mem::take(&mut input);
                    shared.tell(ClientEvent::Received { link, bytes }).await;
                }
                Ok(Moved::Wrote) => write_by = None,
                Ok(Moved::Eof) => return Some(ClientFault::Eof),
                Err(error) => return Some(broken(&error)),
            },
            command = queue.recv(), if may_take => match command {
                Some(Command::Send(bytes)) => pipe.push(&bytes),
                Some(Command::Close) => return None,
                None => return Some(ClientFault::Crowded),
            },
            () = sleep_until(due) => return Some(ClientFault::Broken),
        }
    }
}

/// Servers that end without the farewell of TLS are many; the framing tells whether something is missing.
fn broken(error: &io::Error) -> ClientFault {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => ClientFault::Eof,
        _ => ClientFault::Broken,
    }
}
