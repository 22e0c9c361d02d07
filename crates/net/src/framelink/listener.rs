//! Takes connections and gives links whose other side knows a key. Profile, Limits and errors.

use super::handle::{Link, Opened};
use super::machine::Crowd;
use crate::{Clock, Error, tcp};
use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_util::sync::{CancellationToken, DropGuard};
use waypost_core::Mono;
use waypost_framelink::link::End;
use waypost_framelink::{Fault, Link as Machine, Mode, Psk, Settings};

/// Links that wait to be taken.
const QUEUE: usize = 64;
/// Addresses whose failures are remembered; beyond that the oldest is forgotten.
const SOURCES: usize = 4096;

/// What a listener answers to.
#[derive(Clone, Debug)]
pub struct ListenerOptions {
    /// Keys, tried in order; [`Listener::keys`] changes them later.
    pub psks: Vec<Psk>,
    /// Modes.
    pub modes: Vec<Mode>,
    /// Settings of every link.
    pub settings: Settings,
    /// Bounds.
    pub limits: ListenLimits,
}

/// Bounds of a listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListenLimits {
    /// Handshakes at once.
    pub handshakes: usize,
    /// Links at once.
    pub links: usize,
    /// Handshakes of one address that may fail within [`ListenLimits::window`].
    pub failures: usize,
    /// The time failures are counted over.
    pub window: Duration,
}

impl Default for ListenLimits {
    fn default() -> Self {
        Self { handshakes: 64, links: 1024, failures: 10, window: Duration::from_secs(60) }
    }
}

/// What became of those who connected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Links that were established.
    pub established: u64,
    /// Handshakes that failed.
    pub failed: u64,
    /// Handshakes that gave way to newer ones.
    pub evicted: u64,
    /// Closed on accept: too many failures of their address, or no room.
    pub turned_away: u64,
    /// Links at this moment.
    pub links: usize,
}

/// Somebody who knows a key.
pub struct Accepted {
    /// The link, established.
    pub link: Link,
    /// How.
    pub opened: Opened,
    /// Which of the keys, from 0.
    pub psk: usize,
    /// The key itself: keys may have changed since.
    pub key: Psk,
    /// Where it comes from.
    pub from: SocketAddr,
}

/// Who came to a listener.
pub enum Arrival {
    /// Somebody who knows a key.
    Accepted(Accepted),
    /// Somebody whose handshake failed.
    Failed {
        /// Where it came from.
        from: SocketAddr,
        /// How.
        end: End,
    },
}

/// Listens on a port. Stops with the token it was given, or when it is dropped; links that were taken go on until
/// the token is cancelled.
pub struct Listener {
    arrivals: mpsc::Receiver<Arrival>,
    address: SocketAddr,
    shared: Arc<Shared>,
    _stop: DropGuard,
}

/// Changes the keys of a listener.
#[derive(Clone)]
pub struct Keys(Arc<Mutex<Arc<Vec<Psk>>>>);

impl Keys {
    /// From now on these are good, and no others. Links that stand go on.
    pub fn set(&self, psks: Vec<Psk>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(psks);
    }

    fn now(&self) -> Arc<Vec<Psk>> {
        Arc::clone(&self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

struct Shared {
    options: ListenerOptions,
    keys: Keys,
    clock: Clock,
    crowd: Arc<Crowd>,
    handshakes: Mutex<VecDeque<(u64, Arc<Link>)>>,
    failures: Mutex<HashMap<IpAddr, VecDeque<Mono>>>,
    queue: mpsc::Sender<Arrival>,
    /// Ends the links.
    stop: CancellationToken,
    counters: Counters,
}

#[derive(Default)]
struct Counters {
    handshakes: AtomicU64,
    established: AtomicU64,
    failed: AtomicU64,
    evicted: AtomicU64,
    turned_away: AtomicU64,
}

impl Listener {
    /// Listens; port 0 takes a free one.
    ///
    /// # Errors
    /// [`Error::Listen`]; [`Fault::BadConfig`].
    pub fn bind(address: SocketAddr, options: ListenerOptions, stop: &CancellationToken) -> Result<Self, Error> {
        if options.modes.is_empty() || options.modes.contains(&Mode::Raw) {
            return Err(waypost_framelink::Error::from(Fault::BadConfig).into());
        }
        options.settings.check(Mode::Hybrid).map_err(waypost_framelink::Error::from)?;
        let listener = tcp::listen(address)?;
        let address = listener.local_addr().map_err(|source| Error::Listen { address, source })?;
        let (queue, arrivals) = mpsc::channel(QUEUE);
        let shared = Arc::new(Shared {
            crowd: Arc::new(Crowd::new(options.limits.links)),
            keys: Keys(Arc::new(Mutex::new(Arc::new(options.psks.clone())))),
            options,
            clock: Clock::start(),
            handshakes: Mutex::default(),
            failures: Mutex::default(),
            queue,
            stop: stop.clone(),
            counters: Counters::default(),
        });
        let listening = stop.child_token();
        tokio::spawn(listen(Arc::clone(&shared), listener, listening.clone()));
        Ok(Self { arrivals, address, shared, _stop: listening.drop_guard() })
    }

    /// The next link; none once the listener was stopped.
    pub async fn accept(&mut self) -> Option<Accepted> {
        loop {
            if let Arrival::Accepted(accepted) = self.next().await? {
                return Some(accepted);
            }
        }
    }

    /// The next link, or the next who failed; none once the listener was stopped. Failures that nobody waits for
    /// are forgotten when the queue is full.
    pub async fn next(&mut self) -> Option<Arrival> {
        tokio::select! {
            arrival = self.arrivals.recv() => arrival,
            () = self.shared.stop.cancelled() => None,
        }
    }

    /// Where it listens.
    pub const fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Changes the keys, from anywhere.
    pub fn keys(&self) -> Keys {
        self.shared.keys.clone()
    }

    /// What became of those who connected.
    pub fn counts(&self) -> Counts {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let counters = &self.shared.counters;
        Counts {
            established: count(&counters.established),
            failed: count(&counters.failed),
            evicted: count(&counters.evicted),
            turned_away: count(&counters.turned_away),
            links: self.shared.crowd.inside(),
        }
    }
}

async fn listen(shared: Arc<Shared>, listener: TcpListener, stop: CancellationToken) {
    let take = |stream, from| shared.take(stream, from);
    tcp::accept(listener, &stop, take).await;
    for (_, link) in shared.handshakes.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
        link.cut();
    }
}

impl Shared {
    /// Starts a handshake, if there is room.
    fn take(self: &Arc<Self>, stream: TcpStream, from: SocketAddr) {
        if self.has_failed_often(from.ip()) || !self.make_room() {
            self.counters.turned_away.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let options = &self.options;
        let now = self.clock.now();
        let psks = self.keys.now();
        let machine = Machine::accept(now, psks.to_vec(), options.modes.clone(), options.settings.clone());
        // The settings were checked when the listener began.
        let Ok(machine) = machine else { return };
        let crowd = Some(Arc::clone(&self.crowd));
        let link = Arc::new(Link::run(stream, machine, self.clock, crowd, self.stop.child_token()));
        let number = self.counters.handshakes.fetch_add(1, Ordering::Relaxed);
        self.handshakes().push_back((number, Arc::clone(&link)));
        tokio::spawn(Arc::clone(self).finish(number, link, psks, from));
    }

    /// Waits for a handshake's end.
    async fn finish(self: Arc<Self>, number: u64, link: Arc<Link>, psks: Arc<Vec<Psk>>, from: SocketAddr) {
        let opened = link.opened().await;
        let evicted = {
            let mut handshakes = self.handshakes();
            let before = handshakes.len();
            handshakes.retain(|(other, _)| *other != number);
            handshakes.len() == before
        };
        match opened {
            Ok(opened) => {
                self.counters.established.fetch_add(1, Ordering::Relaxed);
                // Nobody else holds it once it has left the row.
                let (Some(link), Some(key)) = (Arc::into_inner(link), psks.get(opened.psk)) else { return };
                let accepted = Accepted { link, opened, psk: opened.psk, key: key.clone(), from };
                let _ = self.queue.send(Arrival::Accepted(accepted)).await;
            }
            Err(_) if evicted => {}
            Err(error) => {
                tracing::debug!(%error, "a handshake failed");
                self.counters.failed.fetch_add(1, Ordering::Relaxed);
                self.count_failure(from.ip());
                if let Error::Link(end) = error {
                    let _ = self.queue.try_send(Arrival::Failed { from, end });
                }
            }
        }
    }

    /// Whether there is room for a handshake more: the oldest that has shown no key gives way.
    fn make_room(&self) -> bool {
        let mut handshakes = self.handshakes();
        if handshakes.len() < self.options.limits.handshakes {
            return true;
        }
        let silent = handshakes.iter().position(|(_, link)| !link.has_shown_key());
        match silent.and_then(|at| handshakes.remove(at)) {
            Some((_, link)) => {
                drop(handshakes);
                link.cut();
                self.counters.evicted.fetch_add(1, Ordering::Relaxed);
                true
            }
            None => false,
        }
    }

    fn has_failed_often(&self, from: IpAddr) -> bool {
        let now = self.clock.now().mono;
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(times) = failures.get_mut(&from) else { return false };
        times.retain(|time| now.since(*time) < self.options.limits.window);
        if times.is_empty() {
            failures.remove(&from);
            return false;
        }
        times.len() >= self.options.limits.failures
    }

    fn count_failure(&self, from: IpAddr) {
        let now = self.clock.now().mono;
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        if failures.len() >= SOURCES && !failures.contains_key(&from) {
            let oldest = failures.iter().min_by_key(|(_, times)| times.back().copied()).map(|(from, _)| *from);
            oldest.and_then(|oldest| failures.remove(&oldest));
        }
        let times = failures.entry(from).or_default();
        times.push_back(now);
        while times.len() > self.options.limits.failures {
            times.pop_front();
        }
    }

    fn handshakes(&self) -> std::sync::MutexGuard<'_, VecDeque<(u64, Arc<Link>)>> {
        self.handshakes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
