//! One client's connection, from its first byte to its end.

use super::{ServerEvent, Shared};
use crate::limits::Permit;
use crate::rendezvous::pipe::{Moved, Pipe};
use std::collections::VecDeque;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::net::TcpStream;
use tokio::sync::mpsc::{self, Permit as Room};
use tokio::time::{Instant, sleep_until, timeout_at};
use tokio_rustls::server::TlsStream;
use waypost_sremp::rendezvous::Framing;
use waypost_sremp::{Error, LinkId, Message, message::ErrorMessage};

/// What the registry wants of one connection.
#[derive(Debug)]
pub(super) enum Command {
    Send(Box<Message>),
    Close(Option<Box<ErrorMessage>>),
}

/// Starts the task of a connection.
pub(super) fn start(shared: &Arc<Shared>, stream: TcpStream, address: IpAddr, permit: Permit) {
    let shared = Arc::clone(shared);
    let tasks = shared.tasks.clone();
    shared.counters.accepted.fetch_add(1, Ordering::Relaxed);
    shared.counters.open.fetch_add(1, Ordering::Relaxed);
    tasks.spawn(async move {
        tokio::select! {
            () = run(&shared, stream, address, permit) => {}
            () = shared.abort.cancelled() => {}
        }
        shared.counters.open.fetch_sub(1, Ordering::Relaxed);
    });
}

async fn run(shared: &Shared, stream: TcpStream, address: IpAddr, permit: Permit) {
    let by = Instant::now() + shared.timing.opening;
    // A connection that cannot take the option is not worth refusing.
    let _ = stream.set_nodelay(true);
    let opening = timeout_at(by, shared.tls.accept(stream));
    let stream = tokio::select! {
        opened = opening => opened.ok().and_then(Result::ok),
        () = shared.stop.cancelled() => return,
    };
    let Some(stream) = stream else {
        shared.counters.not_opened.fetch_add(1, Ordering::Relaxed);
        return;
    };
    let link = LinkId(shared.next.fetch_add(1, Ordering::Relaxed));
    let (sender, queue) = mpsc::channel(shared.limits.requests.saturating_mul(2).max(8));
    shared.links().insert(link, sender);
    let mut connection = Connection {
        shared,
        link,
        address,
        permit,
        queue,
        framing: Framing::server(),
        input: Vec::new(),
        pending: VecDeque::new(),
        waiting: 0,
        opened: false,
        crowded: false,
        incomplete: Share::new(&shared.counters.incomplete),
        unsent: Share::new(&shared.counters.unsent),
    };
    let mut pipe = Pipe::new(stream);
    let parting = connection.converse(&mut pipe, by).await;
    shared.links().remove(&link);
    let opened = connection.opened;
    drop(connection);
    if opened {
        shared.tell(ServerEvent::Closed { link }).await;
    } else {
        shared.counters.not_opened.fetch_add(1, Ordering::Relaxed);
    }
    if parting == Parting::Polite {
        pipe.end(shared.timing.write).await;
    }
}

/// How a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Parting {
    /// What waits is sent first.
    Polite,
    AtOnce,
}

/// What the registry is to be told.
#[expect(clippy::large_enum_variant, reason = "made and taken apart at once; a box for each message costs more")]
enum News {
    Opened,
    Message(Message),
    Fault(Error),
}

struct Connection<'a> {
    shared: &'a Shared,
    link: LinkId,
    address: IpAddr,
    permit: Permit,
    queue: mpsc::Receiver<Command>,
    framing: Framing,
    /// Read, and not cut into messages yet.
    input: Vec<u8>,
    /// What the registry is to be told next.
    pending: VecDeque<News>,
    /// Messages without an answer.
    waiting: usize,
    /// The registry knows of the connection.
    opened: bool,
    /// There are too many.
    crowded: bool,
    /// Bytes of the message that is not complete.
    incomplete: Share<'a>,
    unsent: Share<'a>,
}

impl Connection<'_> {
    async fn converse(&mut self, pipe: &mut Pipe<TlsStream<TcpStream>>, by: Instant) -> Parting {
        let shared = self.shared;
        let mut timer = pin!(sleep_until(by));
        let mut stop = pin!(shared.stop.cancelled());
        let mut request_by = by;
        let mut write_by: Option<Instant> = None;
        let mut faulty = false;
        loop {
            if !faulty && self.cut() {
                request_by = Instant::now() + shared.timing.idle;
            }
            pipe.push(&self.framing.take_output());
            self.unsent.set(pipe.unsent());
            match (pipe.has_unsent(), write_by) {
                (false, _) => write_by = None,
                (true, None) => write_by = Some(Instant::now() + shared.timing.write),
                _ => {}
            }
            match self.pending.back() {
                // Whoever did not show the right header is told nothing more.
                Some(News::Fault(_)) if !self.opened => return Parting::Polite,
                Some(News::Fault(_)) => faulty = true,
                _ => {}
            }
            if self.crowded || self.incomplete.is_too_much(shared.limits.incomplete) {
                return Parting::AtOnce;
            }
            let due = write_by.map_or(request_by, |write_by| write_by.min(request_by));
            if timer.deadline() != due {
                timer.as_mut().reset(due);
            }
            let may_read = !faulty && self.may_read();
            tokio::select! {
                () = &mut stop => {
                    while let Ok(Command::Send(message)) = self.queue.try_recv() {
                        self.answer(&message);
                    }
                    pipe.push(&self.framing.take_output());
                    return Parting::Polite;
                }
                moved = pipe.turn(may_read, &mut self.input) => match moved {
                    Ok(Moved::Wrote) => write_by = None,
                    Ok(Moved::Read(_)) => {}
                    Ok(Moved::Eof) | Err(_) => return Parting::AtOnce,
                },
                room = shared.news.reserve(), if !self.pending.is_empty() => match room {
                    Ok(room) => self.tell(room),
                    Err(_) => return Parting::Polite,
                },
                command = self.queue.recv() => match command {
                    Some(Command::Send(message)) => self.answer(&message),
                    Some(Command::Close(error)) => {
                        if let Some(error) = error {
                            self.answer(&(*error).into());
                            pipe.push(&self.framing.take_output());
                        }
                        return Parting::Polite;
                    }
                    None => return Parting::AtOnce,
                },
                () = &mut timer => {
                    let stuck = write_by.is_some_and(|by| by <= Instant::now());
                    return if stuck { Parting::AtOnce } else { Parting::Polite };
                }
            }
        }
    }

    /// Whether the socket may be read: what was read is cut up, and the client takes its answers.
    fn may_read(&self) -> bool {
        let limits = &self.shared.limits;
        let crowded = self.unsent.all() >= limits.unsent_by_all && self.unsent.own() > 0;
        self.input.is_empty() && self.pending.is_empty() && self.unsent.own() < limits.unsent && !crowded
    }

    /// Cuts the next message out of what was read, if the registry may have one more. Gives whether the header
    /// or a message became complete.
    fn cut(&mut self) -> bool {
        if !self.pending.is_empty() || self.waiting >= self.shared.limits.requests || self.input.is_empty() {
            return false;
        }
        let mut rest = &self.input[..];
        let read = self.framing.read(&mut rest);
        let left = rest.len();
        let incomplete = self.incomplete.own() + self.input.len() - left;
        self.incomplete.set(if matches!(read, Ok(None)) { incomplete } else { 0 });
        if left == 0 {
            self.input = Vec::new();
        } else {
            self.input.drain(..self.input.len() - left);
        }
        let opens = self.framing.is_agreed() && !self.opened;
        if opens {
            self.permit.identified();
            self.crowded = !self.permit.stranger();
            self.opened = true;
            self.pending.push_back(News::Opened);
        }
        match read {
            Ok(Some(message)) => self.pending.push_back(News::Message(message)),
            Ok(None) => return opens,
            Err(error) => self.pending.push_back(News::Fault(error)),
        }
        true
    }

    fn tell(&mut self, room: Room<'_, ServerEvent>) {
        let (link, address) = (self.link, self.address);
        let Some(news) = self.pending.pop_front() else { return };
        room.send(match news {
            News::Opened => ServerEvent::Opened { link, address },
            News::Message(message) => {
                self.shared.counters.messages.fetch_add(1, Ordering::Relaxed);
                // An error is never answered.
                self.waiting += usize::from(!matches!(message, Message::Error(_)));
                ServerEvent::Message { link, message }
            }
            News::Fault(error) => ServerEvent::Fault { link, error },
        });
    }

    fn answer(&mut self, message: &Message) {
        self.waiting = self.waiting.saturating_sub(1);
        if let Err(error) = self.framing.send(message) {
            tracing::error!(%error, "an answer does not fit");
        }
    }
}

/// A number of this connection that counts in a sum of all.
struct Share<'a> {
    own: usize,
    all: &'a AtomicUsize,
}

impl<'a> Share<'a> {
    const fn new(all: &'a AtomicUsize) -> Self {
        Self { own: 0, all }
    }

    const fn own(&self) -> usize {
        self.own
    }

    fn all(&self) -> usize {
        self.all.load(Ordering::Relaxed)
    }

    fn set(&mut self, own: usize) {
        if own > self.own {
            self.all.fetch_add(own - self.own, Ordering::Relaxed);
        } else {
            self.all.fetch_sub(self.own - own, Ordering::Relaxed);
        }
        self.own = own;
    }

    /// Whether this one has a part in a sum above its bound.
    fn is_too_much(&self, bound: usize) -> bool {
        self.own > 0 && self.all() > bound
    }
}

impl Drop for Share<'_> {
    fn drop(&mut self) {
        self.set(0);
    }
}
