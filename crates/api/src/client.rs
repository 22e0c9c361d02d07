//! A typed client of a running daemon, over its unix socket.

use crate::limits::ANSWER_BYTES;
use crate::openrpc::{EVENT, SUBSCRIBE};
use crate::{ClientError, Fault};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::{CancellationToken, DropGuard};
use waypost_node::{Event, Method};

/// Events kept for a program that does not take them; further ones are counted as missed.
const EVENTS_KEPT: usize = 1024;

/// One connection to a daemon.
#[derive(Debug)]
pub struct Client {
    writer: tokio::sync::Mutex<OwnedWriteHalf>,
    shared: Arc<Shared>,
    next_id: AtomicU64,
    _reading: DropGuard,
}

/// The events of one connection.
#[derive(Debug)]
pub struct ClientEvents {
    queue: mpsc::Receiver<Event>,
}

impl Client {
    /// Connects to the socket at `path`.
    ///
    /// # Errors
    /// [`ClientError::Connect`] if nothing answers there.
    pub async fn connect(path: &Path) -> Result<Self, ClientError> {
        let stream =
            UnixStream::connect(path).await.map_err(|source| ClientError::Connect { path: path.to_owned(), source })?;
        let (reader, writer) = stream.into_split();
        let shared = Arc::new(Shared::default());
        let stop = CancellationToken::new();
        let reading = read_all(reader, shared.clone());
        let stopped = stop.clone();
        tokio::spawn(async move { stopped.run_until_cancelled(reading).await });
        let writer = tokio::sync::Mutex::new(writer);
        Ok(Self { writer, shared, next_id: AtomicU64::new(1), _reading: stop.drop_guard() })
    }

    /// Calls a method and waits for its result.
    ///
    /// # Errors
    /// [`ClientError::Fault`] if the node says no, [`ClientError::Lost`] if the connection ends before
    /// it answers, [`ClientError::Protocol`] for an answer that is none.
    pub async fn call<M: Method>(&self, params: &M::Params) -> Result<M::Result, ClientError> {
        let params = serde_json::to_value(params).map_err(|error| ClientError::Protocol(error.to_string()))?;
        let result = self.request(M::NAME, params).await?;
        serde_json::from_value(result).map_err(|error| ClientError::Protocol(error.to_string()))
    }

    /// Turns events on. Those of the time after this call returned are all given; a second call ends
    /// the first one's events.
    ///
    /// # Errors
    /// As [`Client::call`].
    pub async fn events(&self) -> Result<ClientEvents, ClientError> {
        let (sender, queue) = mpsc::channel(EVENTS_KEPT);
        self.shared.lock().events = Some(Outlet { sender, missed: 0 });
        self.request(SUBSCRIBE, json!({})).await?;
        Ok(ClientEvents { queue })
    }

    async fn request(&self, method: &str, params: Value) -> Result<Value, ClientError> {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let (sender, answer) = oneshot::channel();
        {
            let mut state = self.shared.lock();
            if state.ended {
                return Err(ClientError::Lost);
            }
            state.waiting.insert(id, sender);
        }
        let mut line = json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }).to_string();
        line.push('\n');
        let written = self.writer.lock().await.write_all(line.as_bytes()).await;
        if written.is_err() {
            self.shared.lock().waiting.remove(&id);
            return Err(ClientError::Lost);
        }
        answer.await.map_err(|_| ClientError::Lost)?
    }
}

impl ClientEvents {
    /// The next event; none when the connection ended.
    pub async fn next(&mut self) -> Option<Event> {
        self.queue.recv().await
    }
}

#[derive(Debug, Default)]
struct Shared(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    waiting: HashMap<u64, oneshot::Sender<Result<Value, ClientError>>>,
    events: Option<Outlet>,
    ended: bool,
}

impl Shared {
    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where events go, and how many found no room.
#[derive(Debug)]
struct Outlet {
    sender: mpsc::Sender<Event>,
    missed: u64,
}

impl Outlet {
    fn put(&mut self, event: Event) {
        if self.missed > 0 {
            match self.sender.try_send(Event::Missed { count: self.missed }) {
                Ok(()) => self.missed = 0,
                Err(_) => return self.missed += 1,
            }
        }
        if self.sender.try_send(event).is_err() {
            self.missed += 1;
        }
    }
}

/// What a node may write.
#[derive(Deserialize)]
struct Incoming {
    id: Option<u64>,
    result: Option<Value>,
    error: Option<Fault>,
    method: Option<String>,
    params: Option<Value>,
}

/// Takes lines until the connection ends or one is not understood, then tells all who wait.
async fn read_all(reader: OwnedReadHalf, shared: Arc<Shared>) {
    let mut reader = BufReader::new(reader);
    let mut line = Vec::new();
    loop {
        line.clear();
        let limit = ANSWER_BYTES as u64;
        match (&mut reader).take(limit).read_until(b'\n', &mut line).await {
            Ok(count) if count > 0 && line.ends_with(b"\n") => {}
            _ => break,
        }
        let Ok(message) = serde_json::from_slice::<Incoming>(&line) else { break };
        take(message, &shared);
    }
    let mut state = shared.lock();
    state.ended = true;
    state.waiting.clear();
    state.events = None;
}

fn take(message: Incoming, shared: &Shared) {
    let mut state = shared.lock();
    if let Some(id) = message.id {
        let answer = match (message.result, message.error) {
            (_, Some(fault)) => Err(ClientError::Fault(fault)),
            // A result of null is a result.
            (result, None) => Ok(result.unwrap_or_default()),
        };
        if let Some(sender) = state.waiting.remove(&id) {
            let _ = sender.send(answer);
        }
    } else if message.method.as_deref() == Some(EVENT)
        && let Some(outlet) = &mut state.events
        && let Some(Ok(event)) = message.params.map(serde_json::from_value)
    {
        outlet.put(event);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use waypost_core::ContactId;

    #[tokio::test]
    async fn counts_the_events_for_which_there_was_no_room() {
        let (sender, mut queue) = mpsc::channel(2);
        let mut outlet = Outlet { sender, missed: 0 };
        let event = Event::Presence { contact: ContactId::from_bytes([1; 32]), online: true };
        for _ in 0..5 {
            outlet.put(event.clone());
        }
        assert_eq!((queue.recv().await, queue.recv().await), (Some(event.clone()), Some(event.clone())));
        outlet.put(event.clone());
        assert_eq!((queue.recv().await, queue.recv().await), (Some(Event::Missed { count: 3 }), Some(event)));
    }
}
