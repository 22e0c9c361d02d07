//! One link between commands and events.

use super::command::{Command, pattern};
use super::report::{Income, Teller};
use serde_json::json;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc;
use waypost_framelink::link::{End, Status};
use waypost_framelink::{Fault, Mode, Role};
use waypost_net::Error;
use waypost_net::framelink::Link;

/// Commands of a link that wait for it; more are refused.
const QUEUE: usize = 4096;

/// A link, and what is told of it.
pub(super) struct Talk {
    pub(super) teller: Teller,
    link: Link,
    role: Role,
    manual: bool,
    income: Mutex<Income>,
    sent: AtomicU64,
    sent_bytes: AtomicU64,
}

/// What waits for its turn.
pub(super) struct Turns {
    sends: mpsc::Sender<Command>,
    reads: mpsc::Sender<(usize, Duration)>,
}

/// The other ends of [`Turns`].
pub(super) struct Waiting {
    sends: mpsc::Receiver<Command>,
    reads: mpsc::Receiver<(usize, Duration)>,
}

impl Turns {
    pub(super) fn new() -> (Self, Waiting) {
        let (sends, sends_waiting) = mpsc::channel(QUEUE);
        let (reads, reads_waiting) = mpsc::channel(QUEUE);
        (Self { sends, reads }, Waiting { sends: sends_waiting, reads: reads_waiting })
    }

    pub(super) fn close(&self) {
        // A link that is over needs no close.
        let _ = self.sends.try_send(Command::Close { link: None });
    }
}

impl Talk {
    pub(super) fn new(teller: Teller, link: Link, role: Role, manual: bool) -> Self {
        let (sent, sent_bytes) = Default::default();
        Self { teller, link, role, manual, income: Mutex::default(), sent, sent_bytes }
    }

    /// Tells everything until the end; whether that was a good one. `opened` is called when the link is established.
    pub(super) async fn run(&self, waiting: Waiting, opened: impl FnOnce()) -> io::Result<bool> {
        let Waiting { sends, reads } = waiting;
        tokio::select! {
            told = self.tell(reads, opened) => told,
            failed = self.send_all(sends) => failed,
            failed = self.tell_pongs() => failed,
        }
    }

    /// Does what is asked, or lets it wait for its turn.
    pub(super) fn command(&self, turns: &Turns, command: Command) -> io::Result<()> {
        let name = command.name();
        let done = match command {
            Command::Recv { .. } if !self.manual => return self.teller.refused(name, "not-manual"),
            Command::Recv { n, timeout_ms, .. } => {
                let turn = turns.reads.try_send((n, Duration::from_millis(timeout_ms)));
                turn.map_err(|_| Fault::QueueFull)
            }
            Command::Abort { code, text, .. } => {
                self.link.abort(code, &text);
                Ok(())
            }
            Command::Ping { payload, .. } => self.link.ping(&payload.0).map_err(|error| fault(&error)),
            Command::Rekey { .. } => self.link.rekey().map_err(|error| fault(&error)),
            Command::Status { .. } => return self.status(),
            command => turns.sends.try_send(command).map_err(|_| Fault::QueueFull),
        };
        done.or_else(|fault| self.teller.refused(name, fault.name()))
    }

    async fn tell(&self, mut reads: mpsc::Receiver<(usize, Duration)>, opened: impl FnOnce()) -> io::Result<bool> {
        match self.link.opened().await {
            Ok(open) => {
                self.teller.open(&open)?;
                opened();
                if self.manual { self.tell_reads(&mut reads).await } else { self.tell_frames(open.mode).await }
            }
            Err(_) => self.tell_end().await,
        }
    }

    /// Frames as they come.
    async fn tell_frames(&self, mode: Mode) -> io::Result<bool> {
        while let Ok(Some(frame)) = self.link.recv_frame().await {
            let mut income = self.income.lock().unwrap_or_else(PoisonError::into_inner);
            self.teller.frame(&mut income, &frame, mode.is_keyed())?;
        }
        if let Some(received) = self.link.peer_received() {
            self.teller.peer_closed(received)?;
        }
        self.tell_end().await
    }

    /// What is read when it is asked for, until nobody can ask any more.
    async fn tell_reads(&self, reads: &mut mpsc::Receiver<(usize, Duration)>) -> io::Result<bool> {
        let read = async {
            while let Some((n, within)) = reads.recv().await {
                let mut buf = vec![0; n];
                let read = self.link.recv_into(&mut buf, within).await;
                let mut income = self.income.lock().unwrap_or_else(PoisonError::into_inner);
                self.teller.reads(&mut income, &read, &buf)?;
            }
            Ok(())
        };
        let end = async {
            if let Some(received) = self.link.peer_closed().await {
                self.teller.peer_closed(received)?;
            }
            self.tell_end().await
        };
        tokio::try_join!(read, end).map(|((), well)| well)
    }

    async fn tell_end(&self) -> io::Result<bool> {
        let end = self.link.ended().await;
        self.teller.ended(&end)?;
        Ok(is_good(&end))
    }

    async fn tell_pongs(&self) -> io::Result<bool> {
        while let Some(payload) = self.link.pong().await {
            self.teller.event("pong").with("payload", hex::encode(payload)).print()?;
        }
        std::future::pending().await
    }

    /// Sends in the order in which it was asked for.
    async fn send_all(&self, mut sends: mpsc::Receiver<Command>) -> io::Result<bool> {
        let _ = self.link.opened().await;
        while let Some(command) = sends.recv().await {
            let name = command.name();
            let (code, payload) = match command {
                Command::Send { payload, code, .. } => (code.0, payload.0),
                Command::SendText { text, code, .. } => (code.0, text.into_bytes()),
                Command::SendPattern { bytes, seed, code, .. } => (code.0, pattern(bytes, seed)),
                Command::Finish { .. } => {
                    self.link.finish();
                    continue;
                }
                _ => {
                    self.link.close();
                    continue;
                }
            };
            let bytes = payload.len() as u64;
            let sent = if code == waypost_framelink::code::DATA {
                self.link.send(&payload).await
            } else {
                self.link.send_frame(code, payload).await
            };
            match sent {
                Ok(()) => {
                    self.sent.fetch_add(1, Ordering::Relaxed);
                    self.sent_bytes.fetch_add(bytes, Ordering::Relaxed);
                }
                Err(error) => self.teller.refused(name, fault(&error).name())?,
            }
        }
        std::future::pending().await
    }

    fn status(&self) -> io::Result<()> {
        let income = self.income.lock().unwrap_or_else(PoisonError::into_inner);
        let hash = hex::encode(sha2::Digest::finalize(income.hash.clone()));
        let sent = |count: &AtomicU64| count.load(Ordering::Relaxed);
        self.teller
            .event("status")
            .with("role", self.role.name())
            .with("activity", self.link.activity().name())
            .with("sent", json!({"messages": sent(&self.sent), "bytes": sent(&self.sent_bytes)}))
            .with("received", json!({"frames": income.frames, "bytes": income.bytes, "sha256": hash}))
            .print()
    }
}

fn fault(error: &Error) -> Fault {
    match error {
        Error::Framelink(error) => error.fault(),
        _ => Fault::Closed,
    }
}

/// Whether it ended as somebody wanted.
const fn is_good(end: &End) -> bool {
    matches!(end.status, Status::Closed | Status::Ended | Status::Aborted(_)) && end.fault.is_none()
}
