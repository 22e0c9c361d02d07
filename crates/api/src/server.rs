//! The API of a running daemon: the unix socket always, HTTP if asked for.

use crate::http::{self, Site};
use crate::limits::{CONNECTIONS, STOP_TIME};
use crate::token::Token;
use crate::{Error, serve_lines};
use std::fs::{self, Permissions};
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use waypost_node::{Home, Node};

/// Serves a node to programs on this machine until [`Server::stop`].
#[derive(Debug)]
pub struct Server {
    http: Option<SocketAddr>,
    files: Vec<PathBuf>,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Server {
    /// Opens the unix socket in `home`, whose lock the caller holds, and HTTP on `http`, a loopback
    /// address (port 0: any). Must be called within a tokio runtime.
    ///
    /// # Errors
    /// [`Error::Socket`], [`Error::Http`] and [`Error::Files`] for what cannot be made,
    /// [`Error::NotLoopback`] for an address others could reach.
    pub async fn start(node: Node, home: &Home, http: Option<SocketAddr>) -> Result<Self, Error> {
        let mut server =
            Self { http: None, files: Vec::new(), stop: CancellationToken::new(), tasks: TaskTracker::new() };
        server.open_socket(node.clone(), &home.socket())?;
        if let Some(address) = http {
            server.open_http(node, home, address).await?;
        }
        Ok(server)
    }

    /// Where HTTP is bound.
    pub fn http(&self) -> Option<SocketAddr> {
        self.http
    }

    /// Takes no more requests, lets those being worked on be answered, and removes the socket.
    pub async fn stop(self) {
        self.stop.cancel();
        self.tasks.close();
        let _ = timeout(2 * STOP_TIME, self.tasks.wait()).await;
    }

    fn open_socket(&mut self, node: Node, path: &Path) -> Result<(), Error> {
        let failed = |source| Error::Socket { path: path.to_owned(), source };
        // What is left there is dead: the caller holds the folder's lock.
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
            _ => {}
        }
        let listener = UnixListener::bind(path).map_err(failed)?;
        self.files.push(path.to_owned());
        fs::set_permissions(path, Permissions::from_mode(0o600)).map_err(failed)?;
        let (tasks, stop) = (self.tasks.clone(), self.stop.clone());
        self.tasks.spawn(async move {
            let gate = Gate::new(stop.clone());
            while let Some((permit, (stream, _))) = gate.next(|| listener.accept()).await {
                let (node, stop) = (node.clone(), stop.clone());
                tasks.spawn(async move {
                    let _permit = permit;
                    let (reader, writer) = stream.into_split();
                    if let Err(error) = serve_lines(node, reader, writer, stop).await {
                        tracing::debug!(%error, "a connection on the socket ended badly");
                    }
                });
            }
        });
        Ok(())
    }

    async fn open_http(&mut self, node: Node, home: &Home, address: SocketAddr) -> Result<(), Error> {
        if !address.ip().is_loopback() {
            return Err(Error::NotLoopback(address));
        }
        let failed = |source| Error::Http { address, source };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let bound = listener.local_addr().map_err(failed)?;
        let token = Token::load_or_make(home)?;
        Home::write_private(&home.http_address(), bound.to_string().as_bytes())?;
        self.files.push(home.http_address());
        self.http = Some(bound);
        let (tasks, stop) = (self.tasks.clone(), self.stop.clone());
        let router = http::router(Arc::new(Site::new(node, token, bound, stop.clone())));
        self.tasks.spawn(async move {
            let gate = Gate::new(stop.clone());
            while let Some((permit, (stream, _))) = gate.next(|| listener.accept()).await {
                let serving = http::serve_connection(stream, router.clone(), stop.clone());
                tasks.spawn(async move {
                    let _permit = permit;
                    serving.await;
                });
            }
        });
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.cancel();
        for file in &self.files {
            let _ = fs::remove_file(file);
        }
    }
}

/// Lets so many connections in at a time.
struct Gate {
    places: Arc<Semaphore>,
    stop: CancellationToken,
}

impl Gate {
    fn new(stop: CancellationToken) -> Self {
        Self { places: Arc::new(Semaphore::new(CONNECTIONS)), stop }
    }

    /// The next connection, once there is a place for it; none after a stop.
    async fn next<T, F>(&self, accept: impl Fn() -> F) -> Option<(OwnedSemaphorePermit, T)>
    where
        F: Future<Output = io::Result<T>>,
    {
        let waiting = async {
            let permit = self.places.clone().acquire_owned().await.ok()?;
            loop {
                match accept().await {
                    Ok(connection) => return Some((permit, connection)),
                    Err(error) => {
                        // Out of file descriptors, most likely: trying again at once would only burn time.
                        tracing::warn!(%error, "cannot accept a connection of the API");
                        tokio::time::sleep(Duration::from_millis(100)).await;
                    }
                }
            }
        };
        tokio::select! {
            connection = waiting => connection,
            () = self.stop.cancelled() => None,
        }
    }
}
