//! The relay: connections, the depot that decides, and the mailboxes behind it.

use crate::Error;
use crate::config;
use crate::keys::RelayKeys;
use crate::metrics::Figures;
use crate::seen::{Observer, Seen, tell};
use crate::storage::{Done, Storage};
use std::collections::{HashMap, HashSet, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};
use tokio_util::sync::CancellationToken;
use waypost_core::MailboxId;
use waypost_mailbox::{Mailbox, Watcher};
use waypost_net::Clock;
use waypost_net::limits::ConnectionLimits;
use waypost_net::sremp::{DriverCommand, DriverConfig, DriverEvent, DriverLimits, SrempDriver};
use waypost_sremp::message::ErrorMessage;
use waypost_sremp::relay::{Depot, DepotLimits, DepotTiming, Input, Output};
use waypost_sremp::{ErrorCode, Identity, LinkId, Message};

/// News of connections that may wait; sockets beyond are not read.
const NEWS: usize = 4096;
/// News taken at once, between two looks at storage.
const ROUND: usize = 256;
/// Requests of one connection that wait for their turn. Profile, Relay: a client has at most 32 outstanding.
const BACKLOG: usize = 256;
/// Bytes of them, unless it is one alone.
const BACKLOG_BYTES: usize = 1 << 20;
/// The same of all connections together. Who keeps to the 32 has none, and is not touched by this.
const BACKLOG_OF_ALL: usize = 64 << 20;
/// Between two looks at the disk.
const DISK: Duration = Duration::from_secs(5);

/// A relay at work.
pub(crate) struct Relay<M> {
    depot: Depot,
    driver: SrempDriver,
    news: mpsc::Receiver<DriverEvent>,
    storage: Storage<M>,
    mailbox: Arc<M>,
    /// How full the disk may be. Profile, Relay: at 85 % nothing is stored any more.
    disk_percent: u8,
    watcher: Watcher,
    clock: Clock,
    /// Peers whose identity is verified and who are not connected yet.
    identified: HashMap<LinkId, Identity>,
    /// Requests behind those that a connection may have under way.
    waiting: HashMap<LinkId, Backlog>,
    /// Bytes of all of them.
    waiting_bytes: usize,
    /// Connections that have more to read than they should: nothing is pushed, no further request is answered.
    held: HashSet<LinkId>,
    /// Registered clients whose chunks may be larger from now on.
    registered: HashMap<LinkId, bool>,
    figures: watch::Sender<Figures>,
    observer: Option<Observer>,
}

/// Requests of one connection that wait, and the bytes of each.
#[derive(Default)]
struct Backlog {
    requests: VecDeque<(Message, usize)>,
    bytes: usize,
}

impl<M: Mailbox> Relay<M> {
    /// Listens.
    pub(crate) async fn start(
        config: &config::Relay,
        keys: &RelayKeys,
        mailbox: Arc<M>,
        figures: watch::Sender<Figures>,
    ) -> Result<Self, Error> {
        let (news_out, news) = mpsc::channel(NEWS);
        let connections = ConnectionLimits {
            per_host: config.connections_per_host,
            strangers: config.connections,
            ..ConnectionLimits::default()
        };
        let limits = DriverLimits { connections, ..DriverLimits::default() };
        let driver_config = DriverConfig { listen: config.listen.clone(), limits, ..DriverConfig::default() };
        let driver = SrempDriver::start(driver_config, keys.connection_keys()?, news_out).await?;
        let limits = DepotLimits { connections: config.connections, ..DepotLimits::default() };
        Ok(Self {
            depot: Depot::new(keys.identity().key(), config.policy()?, limits, DepotTiming::default()),
            driver,
            news,
            storage: Storage::new(mailbox.clone()),
            watcher: mailbox.watcher(),
            mailbox,
            disk_percent: config.disk_percent,
            clock: Clock::start(),
            identified: HashMap::new(),
            waiting: HashMap::new(),
            waiting_bytes: 0,
            held: HashSet::new(),
            registered: HashMap::new(),
            figures,
            observer: None,
        })
    }

    /// Tells an observer from now on.
    pub(crate) fn observe(&mut self, observer: Option<Observer>) {
        self.observer = observer;
    }

    /// Where it listens.
    pub(crate) fn listening(&self) -> &[SocketAddr] {
        self.driver.listening()
    }

    /// Works until it is stopped; then what is under way is finished and answered.
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        let mut disk = interval(DISK);
        disk.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut news = Vec::new();
        loop {
            let due = self.depot.poll_timeout().map(|due| self.clock.instant(due));
            let due = due.unwrap_or_else(|| Instant::now() + Duration::from_secs(3600));
            tokio::select! {
                () = stop.cancelled() => break,
                _ = self.news.recv_many(&mut news, ROUND) => {}
                done = self.storage.next() => self.done(done),
                mailbox = self.watcher.next() => self.hint(mailbox),
                _ = disk.tick() => self.look_at_disk().await,
                () = sleep_until(due) => self.handle(Input::Tick),
            }
            for event in news.drain(..) {
                self.event(event);
            }
            while let Some(done) = self.storage.ready() {
                self.done(done);
            }
            self.feed_all();
            self.figures.send_modify(|figures| figures.relay = Some(self.depot.counts().clone()));
        }
        // What was asked is answered before the connections close.
        while !self.storage.is_idle() {
            let done = self.storage.next().await;
            self.done(done);
            self.feed_all();
        }
        self.driver.stop().await;
    }

    fn event(&mut self, event: DriverEvent) {
        match event {
            DriverEvent::Identified { link, identity } => {
                self.identified.insert(link, identity.clone());
                self.handle(Input::Judge { link, identity });
            }
            DriverEvent::Ready { link, handshake_hash, .. } => {
                if let Some(identity) = self.identified.remove(&link) {
                    self.registered.insert(link, false);
                    let seen = Seen::Connected { link, identity: &identity, handshake_hash: &handshake_hash };
                    tell(self.observer.as_ref(), seen);
                    self.handle(Input::Connected { link, identity, handshake_hash });
                }
            }
            // Its place in the driver's inbox is given back here: the backlog has a bound of its own.
            DriverEvent::Message { link, message, held } => self.message(link, message, held.bytes()),
            DriverEvent::Held { link, is_held } => self.hold(link, is_held),
            DriverEvent::Closed { link, .. } => {
                tell(self.observer.as_ref(), Seen::Closed(link));
                self.identified.remove(&link);
                self.forget(link);
                self.handle(Input::Disconnected(link));
            }
            _ => {}
        }
    }

    fn message(&mut self, link: LinkId, message: Message, bytes: usize) {
        // A connection that was closed here still brings what was on its way.
        if !self.registered.contains_key(&link) {
            return;
        }
        let all = self.waiting_bytes + bytes;
        let waiting = self.waiting.entry(link).or_default();
        let is_first = waiting.requests.is_empty();
        let fits = waiting.requests.len() < BACKLOG && waiting.bytes + bytes <= BACKLOG_BYTES && all <= BACKLOG_OF_ALL;
        if !is_first && !fits {
            return self.close(link, ErrorMessage::new(ErrorCode::Limit).fatal());
        }
        waiting.requests.push_back((message, bytes));
        waiting.bytes += bytes;
        self.waiting_bytes = all;
        self.feed(link);
    }

    /// Gives the depot what waits on a connection, as far as it wants it and the client reads the answers.
    fn feed(&mut self, link: LinkId) {
        while self.depot.wants_input(link) && !self.held.contains(&link) {
            let Some(waiting) = self.waiting.get_mut(&link) else { return };
            let Some((message, bytes)) = waiting.requests.pop_front() else { break };
            waiting.bytes -= bytes;
            self.waiting_bytes -= bytes;
            tell(self.observer.as_ref(), Seen::Received(link, &message));
            self.handle(Input::Message { link, message });
        }
        if self.waiting.get(&link).is_some_and(|waiting| waiting.requests.is_empty()) {
            self.waiting.remove(&link);
        }
    }

    fn hold(&mut self, link: LinkId, is_held: bool) {
        let changed = if is_held { self.held.insert(link) } else { self.held.remove(&link) };
        if changed {
            self.handle(Input::Held { link, is_held });
            self.feed(link);
        }
    }

    /// What a connection has left here goes with it.
    fn forget(&mut self, link: LinkId) {
        if let Some(waiting) = self.waiting.remove(&link) {
            self.waiting_bytes -= waiting.bytes;
        }
        self.registered.remove(&link);
        self.held.remove(&link);
    }

    fn done(&mut self, (id, answers): Done) {
        self.handle(match answers {
            Some(answers) => Input::Mailbox(id, answers),
            None => Input::MailboxFault(id),
        });
    }

    /// Gives the depot what waits on all connections. A commit answers many requests: once for all of them.
    fn feed_all(&mut self) {
        if !self.waiting.is_empty() {
            let held: Vec<LinkId> = self.waiting.keys().copied().collect();
            held.into_iter().for_each(|link| self.feed(link));
        }
    }

    fn hint(&mut self, mailbox: MailboxId) {
        self.handle(Input::Hint(mailbox));
    }

    async fn look_at_disk(&mut self) {
        let disk = self.mailbox.size().await.ok().and_then(|size| size.disk);
        let is_full = disk.is_some_and(|disk| disk.used_percent() >= self.disk_percent);
        self.handle(Input::DiskFull(is_full));
    }

    fn handle(&mut self, input: Input) {
        let now = self.clock.now();
        self.depot.handle(now, input);
        while let Some(output) = self.depot.poll() {
            match output {
                Output::Mailbox(id, batch) => self.storage.begin(id, now.wall, batch),
                Output::Watch(mailbox) => self.watcher.add(&mailbox),
                Output::Unwatch(mailbox) => self.watcher.remove(&mailbox),
                Output::Judged(link, verdict) => self.driver.command(DriverCommand::Judge(link, verdict)),
                Output::Send(link, message) => {
                    tell(self.observer.as_ref(), Seen::Sent(link, &message));
                    self.note_registered(link);
                    self.driver.command(DriverCommand::Send(link, message));
                }
                Output::Close(link, error) => self.close(link, error),
            }
        }
    }

    /// A registered client may send larger messages in chunks. Profile, Limits.
    fn note_registered(&mut self, link: LinkId) {
        if self.depot.is_registered(link)
            && let Some(known @ false) = self.registered.get_mut(&link)
        {
            *known = true;
            self.driver.command(DriverCommand::Known(link));
        }
    }

    /// Whatever the connection still brings is not for the depot.
    fn close(&mut self, link: LinkId, error: ErrorMessage) {
        self.forget(link);
        tell(self.observer.as_ref(), Seen::Sent(link, &error.clone().into()));
        self.driver.command(DriverCommand::Close(link, Some(error)));
    }
}
