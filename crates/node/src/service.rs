//! The shell around the engine: a thread, the clocks, the drivers, and handles for callers.

mod mailboxes;

use crate::config::{Framelink, Sremp};
use crate::engine::{Engine, Input, Output};
use crate::home::HomeLock;
use crate::keys::Unlocked;
use crate::wire::{NetCommand, NetInput};
use crate::wires::framelink::FramelinkInput;
use crate::wires::sremp::{SrempCommand, SrempInput};
use crate::{Call, Config, Error, Event, Home};
use mailboxes::Mailboxes;
use rand::SeedableRng;
use rand::rngs::StdRng;
use serde_json::Value;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};
use tokio::sync::{broadcast, mpsc, oneshot, watch};
use waypost_core::{Address, Mono, Now, SrempAddress, Wall};
use waypost_net::bootstrap::{Known, SrvResolver, servers};
use waypost_net::dial::Dialling;
use waypost_net::framelink::{self, FramelinkDriver};
use waypost_net::rendezvous::{ClientConfig, ClientEvent, RendezvousClient};
use waypost_net::sremp::{DriverCommand, DriverConfig, DriverEvent, SrempDriver};
use waypost_net::tcp;
use waypost_store::Store;

/// Calls that may wait; callers beyond wait for room.
const CALLS: usize = 256;
/// News of drivers that may wait; connections beyond stop reading their sockets.
const NEWS: usize = 1024;
/// Events a listener may lag behind before it is told that it missed some.
const EVENTS: usize = 1024;
/// How long servers that tell others where this node is may take to forget it when the node stops.
const LEAVE: Duration = Duration::from_secs(2);
/// Inputs of one turn: bounds the time between two commits.
const TURN: usize = 512;

/// A handle to a running node; clones talk to the same one.
#[derive(Clone)]
pub struct Node {
    calls: mpsc::Sender<Request>,
    events: broadcast::WeakSender<Event>,
    stop: watch::Sender<bool>,
    stopped: watch::Receiver<bool>,
    listening: Arc<[SocketAddr]>,
}

enum Request {
    Call { call: Call, reply: oneshot::Sender<Result<Value, Error>> },
}

impl Node {
    /// Starts a node. Returns when it listens.
    ///
    /// # Errors
    /// The database does not open, or an address is in use.
    pub async fn start(home: &Home, lock: HomeLock, keys: Unlocked, config: Config) -> Result<Self, Error> {
        let start = Instant::now();
        let store = Store::open(&home.database(), keys.database_key())?;
        let mut engine = Engine::open(clock(start), store, keys, config.clone())?;
        let (news, news_in) = mpsc::channel(NEWS);
        let (servers, servers_in) = mpsc::channel(NEWS);
        let dialling = config.sremp.dialling()?;
        let driver = match config.sremp.enabled {
            true => {
                let listen = config.sremp.listen.clone();
                let settings = DriverConfig { listen, dialling: dialling.clone(), ..DriverConfig::default() };
                Some(SrempDriver::start(settings, engine.connection_keys()?, news).await.map_err(net_error)?)
            }
            false => None,
        };
        let (carried, carried_in) = mpsc::channel(NEWS);
        let carrier = match config.framelink.enabled {
            true => {
                let listen = config.framelink.listen.clone();
                let settings = framelink::DriverConfig {
                    listen,
                    dialling: dialling.clone(),
                    ..framelink::DriverConfig::default()
                };
                Some(FramelinkDriver::start(settings, carried).map_err(net_error)?)
            }
            false => None,
        };
        let (relay, relay_in) = mpsc::channel(NEWS);
        if !config.sremp.bootstrap.is_empty() {
            tokio::spawn(bootstrap(config.sremp.bootstrap.clone(), dialling.clone(), relay.clone()));
        }
        let mailboxes = config.sremp.own_relay.then(|| Mailboxes::open(home, start, relay)).transpose()?;
        let rendezvous = RendezvousClient::start(ClientConfig { dialling, ..ClientConfig::default() }, servers);
        let listening: Arc<[SocketAddr]> = driver.as_ref().map(|driver| driver.listening().into()).unwrap_or_default();
        let links = carrier.as_ref().map(FramelinkDriver::listening).unwrap_or_default();
        let (calls, calls_in) = mpsc::channel(CALLS);
        let (events, _) = broadcast::channel(EVENTS);
        let (stop, stop_in) = watch::channel(false);
        let (stopped_out, stopped) = watch::channel(false);
        let node = Self {
            calls,
            events: events.downgrade(),
            stop: stop.clone(),
            stopped,
            listening: [&listening, links].concat().into(),
        };

        let addresses = config.sremp.reachable(&listening).into_iter().map(Address::Sremp);
        let addresses = addresses.chain(config.framelink.reachable(links).into_iter().map(Address::Framelink));
        engine.handle(clock(start), &mut rand::rng(), Input::Addresses(addresses.collect()))?;
        let texts = |sockets: &[SocketAddr]| sockets.iter().map(ToString::to_string).collect();
        for news_of_start in [
            NetInput::Sremp(SrempInput::Listening(texts(&listening))),
            NetInput::Framelink(FramelinkInput::Listening(texts(links))),
        ] {
            engine.handle(clock(start), &mut rand::rng(), Input::Net(news_of_start))?;
        }

        let worker = Worker {
            engine,
            start,
            driver,
            carrier,
            rendezvous,
            mailboxes,
            calls: calls_in,
            news: news_in,
            carried: carried_in,
            servers: servers_in,
            relay: relay_in,
            events,
            stop,
            stop_in,
            replies: HashMap::new(),
            next_token: 0,
            _lock: lock,
        };
        let runtime = tokio::runtime::Handle::current();
        std::thread::Builder::new()
            .name("engine".into())
            .spawn(move || {
                runtime.block_on(worker.run());
                stopped_out.send_replace(true);
            })
            .map_err(|error| Error::Environment(format!("cannot start a thread: {error}")))?;
        Ok(node)
    }

    /// Calls a method. The result comes after the durable commit.
    ///
    /// # Errors
    /// What the method fails with, or [`Error::Stopping`].
    pub async fn call(&self, call: Call) -> Result<Value, Error> {
        let (reply, answer) = oneshot::channel();
        self.calls.send(Request::Call { call, reply }).await.map_err(|_| Error::Stopping)?;
        answer.await.map_err(|_| Error::Stopping)?
    }

    /// Listens to events from now on.
    pub fn events(&self) -> Events {
        Events { from: self.events.upgrade().map(|events| events.subscribe()) }
    }

    /// Where it listens for others.
    pub fn listening(&self) -> &[SocketAddr] {
        &self.listening
    }

    /// Asks it to stop when what it is doing is on disk.
    pub fn stop(&self) {
        self.stop.send_replace(true);
    }

    /// Waits until it has stopped.
    pub async fn stopped(&self) {
        let mut stopped = self.stopped.clone();
        let _gone = stopped.wait_for(|stopped| *stopped).await;
    }
}

/// Events of a node.
pub struct Events {
    from: Option<broadcast::Receiver<Event>>,
}

impl Events {
    /// The next event; none when the node has stopped.
    pub async fn next(&mut self) -> Option<Event> {
        match self.from.as_mut()?.recv().await {
            Ok(event) => Some(event),
            Err(broadcast::error::RecvError::Lagged(count)) => Some(Event::Missed { count }),
            Err(broadcast::error::RecvError::Closed) => None,
        }
    }
}

/// What the engine's thread owns.
struct Worker {
    engine: Engine,
    start: Instant,
    driver: Option<SrempDriver>,
    carrier: Option<FramelinkDriver>,
    rendezvous: RendezvousClient,
    /// What the node's own relay keeps, if it has one.
    mailboxes: Option<Mailboxes>,
    calls: mpsc::Receiver<Request>,
    news: mpsc::Receiver<DriverEvent>,
    carried: mpsc::Receiver<framelink::DriverEvent>,
    servers: mpsc::Receiver<ClientEvent>,
    relay: mpsc::Receiver<SrempInput>,
    events: broadcast::Sender<Event>,
    stop: watch::Sender<bool>,
    stop_in: watch::Receiver<bool>,
    replies: HashMap<u64, oneshot::Sender<Result<Value, Error>>>,
    next_token: u64,
    _lock: HomeLock,
}

impl Worker {
    async fn run(mut self) {
        let (mut calls, mut news) = (Vec::new(), Vec::new());
        let mut leave_by = None;
        loop {
            self.turn(&mut calls, &mut news);
            if *self.stop_in.borrow() {
                let deadline = *leave_by.get_or_insert_with(|| {
                    self.handle(&mut rand::rng(), Input::Leave);
                    self.turn(&mut Vec::new(), &mut Vec::new());
                    Instant::now() + LEAVE
                });
                if self.engine.has_left() || Instant::now() >= deadline {
                    break;
                }
            }
            let due = self.engine.poll_timeout().map(|due| self.start + Duration::from_millis(due.as_millis()));
            let due = due.unwrap_or_else(|| Instant::now() + Duration::from_secs(3600));
            let due = leave_by.map_or(due, |deadline| due.min(deadline));
            tokio::select! {
                _ = self.calls.recv_many(&mut calls, TURN) => {}
                Some(event) = self.news.recv(), if self.driver.is_some() => news.push(of_driver(event)),
                Some(event) = self.carried.recv() => news.push(of_carrier(event)),
                Some(event) = self.servers.recv() => news.push(of_servers(event)),
                Some(input) = self.relay.recv() => news.push(NetInput::Sremp(input)),
                () = tokio::time::sleep_until(due.into()) => {}
                _ = self.stop_in.changed(), if leave_by.is_none() => {}
            }
            // What is there already joins the turn: one write to disk for all.
            while calls.len() < TURN
                && let Ok(request) = self.calls.try_recv()
            {
                calls.push(request);
            }
            while news.len() < TURN
                && let Ok(event) = self.news.try_recv()
            {
                news.push(of_driver(event));
            }
            while news.len() < TURN
                && let Ok(event) = self.carried.try_recv()
            {
                news.push(of_carrier(event));
            }
            while news.len() < TURN
                && let Ok(event) = self.servers.try_recv()
            {
                news.push(of_servers(event));
            }
            while news.len() < TURN
                && let Ok(input) = self.relay.try_recv()
            {
                news.push(NetInput::Sremp(input));
            }
        }
        if let Some(driver) = self.driver.take() {
            driver.stop().await;
        }
        if let Some(carrier) = self.carrier.take() {
            carrier.stop().await;
        }
        self.rendezvous.stop().await;
    }

    /// One turn: inputs, commit, outputs.
    fn turn(&mut self, calls: &mut Vec<Request>, news: &mut Vec<NetInput>) {
        let mut rng = rand::rng();
        for event in news.drain(..) {
            self.handle(&mut rng, Input::Net(event));
        }
        for Request::Call { call, reply } in calls.drain(..) {
            self.next_token += 1;
            self.replies.insert(self.next_token, reply);
            let input = Input::Call { token: self.next_token, call };
            self.handle(&mut rng, input);
        }
        let now = clock(self.start);
        if self.engine.poll_timeout().is_some_and(|due| due <= now.mono) {
            self.handle(&mut rng, Input::Tick);
        }
        if self.engine.has_turn()
            && let Err(error) = self.engine.commit(clock(self.start), &mut rng)
        {
            tracing::error!(%error, "what was to be written is undone");
        }
        while let Some(output) = self.engine.poll() {
            self.carry_out(output);
        }
    }

    fn handle(&mut self, rng: &mut rand::rngs::ThreadRng, input: Input) {
        if let Err(error) = self.engine.handle(clock(self.start), rng, input) {
            tracing::error!(%error, "what was to be written is undone");
        }
    }

    fn carry_out(&mut self, output: Output) {
        match output {
            Output::Reply { token, result } => {
                if let Some(reply) = self.replies.remove(&token) {
                    // Nobody waits any more: the result stands all the same.
                    let _ = reply.send(result);
                }
            }
            // Nobody listens: fine.
            Output::Event(event) => drop(self.events.send(event)),
            Output::Net(NetCommand::Sremp(command)) => self.sremp(command),
            Output::Net(NetCommand::Framelink(command)) => {
                if let Some(carrier) = &self.carrier {
                    carrier.command(command);
                }
            }
            Output::Stop => {
                self.stop.send_replace(true);
            }
        }
    }

    fn sremp(&mut self, command: SrempCommand) {
        match command {
            SrempCommand::Driver(command) => self.drive(command),
            SrempCommand::KeysChanged => match self.engine.connection_keys() {
                Ok(keys) => self.drive(DriverCommand::Keys(Box::new(keys))),
                Err(error) => tracing::error!(%error, "the own keys cannot be read"),
            },
            SrempCommand::Rendezvous(command) => self.rendezvous.command(command),
            SrempCommand::Mailbox(id, batch) => self.mailboxes.iter().for_each(|file| file.begin(id, batch.clone())),
            SrempCommand::Watch(mailbox) => self.mailboxes.iter().for_each(|file| file.watch(&mailbox)),
            SrempCommand::Unwatch(mailbox) => self.mailboxes.iter().for_each(|file| file.unwatch(&mailbox)),
        }
    }

    fn drive(&self, command: DriverCommand) {
        if let Some(driver) = &self.driver {
            driver.command(command);
        }
    }
}

fn of_driver(event: DriverEvent) -> NetInput {
    NetInput::Sremp(SrempInput::Driver(event))
}

fn of_servers(event: ClientEvent) -> NetInput {
    NetInput::Sremp(SrempInput::Rendezvous(event))
}

fn of_carrier(event: framelink::DriverEvent) -> NetInput {
    NetInput::Framelink(FramelinkInput::Driver(event))
}

/// Asks the name system for rendezvous servers. Profile SR-11.3: what the person added comes before them, and
/// is used without waiting for this.
async fn bootstrap(domains: Vec<String>, dialling: Dialling, news: mpsc::Sender<SrempInput>) {
    let known = Known { domains, ..Known::default() };
    let mut rng = StdRng::from_rng(&mut rand::rng());
    let found = servers(&known, &dialling, &SrvResolver::system(), &mut rng).await;
    let _stopped = news.send(SrempInput::Bootstrap(found.into_iter().map(|(_, uri)| uri).collect())).await;
}

fn clock(start: Instant) -> Now {
    let mono = u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX);
    let wall = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Now { mono: Mono::from_millis(mono), wall: Wall::from_millis(u64::try_from(wall.as_millis()).unwrap_or(u64::MAX)) }
}

impl Sremp {
    /// The addresses for the card: what the person says, else where the node listens, with the machine's
    /// own address for "any". Give [`Sremp::listen`] itself for a node that does not listen now.
    pub fn reachable(&self, listening: &[SocketAddr]) -> Vec<SrempAddress> {
        reachable(&self.advertise, listening)
    }
}

impl Framelink {
    /// As [`Sremp::reachable`].
    pub fn reachable(&self, listening: &[SocketAddr]) -> Vec<SrempAddress> {
        reachable(&self.advertise, listening)
    }
}

fn reachable(advertise: &[SrempAddress], listening: &[SocketAddr]) -> Vec<SrempAddress> {
    if !advertise.is_empty() {
        return advertise.to_vec();
    }
    let mut addresses = Vec::new();
    for socket in listening.iter().filter(|socket| socket.port() != 0) {
        let ip = tcp::reached_at(socket.ip());
        addresses.extend(ip.map(|ip| SrempAddress { host: ip.to_string(), port: socket.port() }));
    }
    addresses
}

fn net_error(error: waypost_net::Error) -> Error {
    Error::Environment(error.to_string())
}
