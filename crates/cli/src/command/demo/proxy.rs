//! A TCP proxy that keeps every byte.

use crate::failure::Failure;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use waypost_core::ErrorKind;

/// Stands before one node; passes connections on to wherever that listens now.
pub(super) struct Proxy {
    pub(super) address: SocketAddr,
    target: watch::Sender<Option<SocketAddr>>,
    record: Arc<Record>,
    accepting: JoinHandle<()>,
}

/// What went one way on one connection, each by itself, so that no text is cut in two.
#[derive(Default)]
struct Record(Mutex<Vec<Arc<Mutex<Vec<u8>>>>>);

impl Proxy {
    pub(super) async fn start() -> Result<Self, Failure> {
        let failed = |error: std::io::Error| Failure::new(ErrorKind::Environment, format!("no proxy: {error}"));
        let listener = TcpListener::bind("127.0.0.1:0").await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let (target, to) = watch::channel(None);
        let record = Arc::new(Record::default());
        let accepting = tokio::spawn(accept(listener, to, record.clone()));
        Ok(Self { address, target, record, accepting })
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

async fn accept(listener: TcpListener, target: watch::Receiver<Option<SocketAddr>>, record: Arc<Record>) {
    while let Ok((stream, _)) = listener.accept().await {
        let target = *target.borrow();
        let record = record.clone();
        tokio::spawn(async move {
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
