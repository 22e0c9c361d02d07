//! A TCP proxy that keeps every byte.

use crate::failure::Failure;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use waypost_core::ErrorKind;

/// Connections that may wait to be taken.
const BACKLOG: u32 = 128;

/// Stands before one process; passes connections on to wherever that listens now.
pub(super) struct Proxy {
    pub(super) address: SocketAddr,
    target: watch::Sender<Option<SocketAddr>>,
    record: Arc<Record>,
    accepting: JoinHandle<()>,
    /// Holds the port while nobody may come in.
    blocked: Option<TcpSocket>,
}

/// What went one way on one connection, each by itself, so that no text is cut in two.
#[derive(Default)]
struct Record(Mutex<Vec<Arc<Mutex<Vec<u8>>>>>);

impl Proxy {
    pub(super) async fn start() -> Result<Self, Failure> {
        let listener = TcpListener::bind("127.0.0.1:0").await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let (target, to) = watch::channel(None);
        let record = Arc::new(Record::default());
        let accepting = tokio::spawn(accept(listener, to, record.clone()));
        Ok(Self { address, target, record, accepting, blocked: None })
    }

    /// Cuts all connections and refuses new ones, as a blocked port does.
    pub(super) async fn block(&mut self) -> Result<(), Failure> {
        self.accepting.abort();
        let _aborted = (&mut self.accepting).await;
        self.blocked = Some(bound(self.address).map_err(failed)?);
        Ok(())
    }

    /// Ends [`Proxy::block`].
    pub(super) fn unblock(&mut self) -> Result<(), Failure> {
        if let Some(socket) = self.blocked.take() {
            let listener = socket.listen(BACKLOG).map_err(failed)?;
            self.accepting = tokio::spawn(accept(listener, self.target.subscribe(), self.record.clone()));
        }
        Ok(())
    }

    /// Sends connections there from now on.
    pub(super) fn point_at(&self, target: Option<SocketAddr>) {
        self.target.send_replace(target);
    }

    /// How many bytes went through, both ways.
    pub(super) fn bytes(&self) -> usize {
        self.record.all().iter().map(|way| lock(way).len()).sum()
    }

    /// Whether a text went through, as it is or as hex.
    pub(super) fn holds(&self, text: &str) -> bool {
        self.record.all().iter().any(|way| super::report::holds(&lock(way), text))
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Record {
    fn all(&self) -> Vec<Arc<Mutex<Vec<u8>>>> {
        lock(&self.0).clone()
    }

    fn way(&self) -> Arc<Mutex<Vec<u8>>> {
        let way = Arc::new(Mutex::new(Vec::new()));
        lock(&self.0).push(way.clone());
        way
    }
}

fn failed(error: std::io::Error) -> Failure {
    Failure::new(ErrorKind::Environment, format!("no proxy: {error}"))
}

/// A socket that has the address and does not listen: whoever connects there is refused.
fn bound(address: SocketAddr) -> std::io::Result<TcpSocket> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}

/// Connections end with this task.
async fn accept(listener: TcpListener, target: watch::Receiver<Option<SocketAddr>>, record: Arc<Record>) {
    let mut connections = JoinSet::new();
    loop {
        let stream = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_) = connections.join_next() => continue,
        };
        let Ok((stream, _)) = stream else { return };
        let (target, record) = (*target.borrow(), record.clone());
        connections.spawn(async move {
            let Some(target) = target else { return };
            let Ok(onward) = TcpStream::connect(target).await else { return };
            let _ = (stream.set_nodelay(true), onward.set_nodelay(true));
            let ((from, back), (far, to)) = (stream.into_split(), onward.into_split());
            tokio::join!(copy(from, to, record.way()), copy(far, back, record.way()));
        });
    }
}

async fn copy(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, record: Arc<Mutex<Vec<u8>>>) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(count) = from.read(&mut buffer).await {
        let Some(bytes) = buffer.get(..count).filter(|bytes| !bytes.is_empty()) else { break };
        lock(&record).extend_from_slice(bytes);
        if to.write_all(bytes).await.is_err() {
            break;
        }
    }
    let _ = to.shutdown().await;
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::ErrorKind::ConnectionRefused;

    async fn echo() -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let (mut from, mut to) = stream.split();
                    tokio::io::copy(&mut from, &mut to).await
                });
            }
        });
        address
    }

    async fn say(stream: &mut TcpStream, text: &str) -> String {
        stream.write_all(text.as_bytes()).await.unwrap();
        let mut back = vec![0; text.len()];
        stream.read_exact(&mut back).await.unwrap();
        String::from_utf8(back).unwrap()
    }

    #[tokio::test]
    async fn a_blocked_port_cuts_connections_and_refuses_new_ones_until_it_is_free() {
        let mut proxy = Proxy::start().await.unwrap();
        proxy.point_at(Some(echo().await));
        let mut stream = TcpStream::connect(proxy.address).await.unwrap();
        assert_eq!(say(&mut stream, "a lantern").await, "a lantern");
        proxy.block().await.unwrap();
        assert!(matches!(stream.read(&mut [0]).await, Ok(0) | Err(_)), "the connection stands");
        assert_eq!(TcpStream::connect(proxy.address).await.unwrap_err().kind(), ConnectionRefused);
        proxy.unblock().unwrap();
        let mut stream = TcpStream::connect(proxy.address).await.unwrap();
        assert_eq!(say(&mut stream, "again").await, "again");
        assert!(proxy.holds("lantern") && proxy.holds("again") && !proxy.holds("anchor"));
        assert_eq!(proxy.bytes(), 2 * ("a lantern".len() + "again".len()));
    }
}
