//! A node as a host of the simulator: an engine, its connections, and a database that outlives crashes.

use serde_json::{Value, json};
use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use waypost_core::{Address, LetterId, Mono, Now};
use waypost_keyring::{KdfCost, Keyring, Passphrase};
use waypost_net::sremp::{DriverCommand, DriverEvent};
use waypost_node::engine::{Engine, Input, Output};
use waypost_node::wire::{NetCommand, NetInput};
use waypost_node::wires::sremp::{SrempCommand, SrempInput};
use waypost_node::{Call, Config, Event, Unlocked};
use waypost_sremp::connection::{
    Connection, ConnectionKeys, Dialled, Event as ConnectionEvent, Input as ConnectionInput, Limits,
    Output as ConnectionOutput, Timing,
};
use waypost_sremp::{CloseReason, LinkId};
use waypost_store::Store;
use waypost_testkit::SimRng;
use waypost_testkit::sim::{Host, HostInput, HostOutput, NodeId, StreamId, World};

/// What a node tells the test.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "moved once")]
pub(crate) enum Told {
    Reply(u64, Result<Value, String>),
    Event(Event),
}

/// A call of a test's user, with a token of the test's.
pub(crate) type User = (u64, Call);

/// A person's disk and keys: what outlives a crash.
#[derive(Clone)]
pub(crate) struct Disk {
    folder: Arc<tempfile::TempDir>,
    keyring: Arc<Vec<u8>>,
    address: String,
}

impl Disk {
    pub(crate) fn new(rng: &mut SimRng, address: &str) -> Self {
        let keyring = Keyring::generate(rng, waypost_core::Wall::from_millis(1_790_000_000_000));
        // Memory, where there is such a folder: the storm writes a lot.
        let shm = Path::new("/dev/shm");
        let folder = if shm.is_dir() { tempfile::tempdir_in(shm) } else { tempfile::tempdir() };
        Self {
            folder: Arc::new(folder.unwrap()),
            keyring: Arc::new(keyring.export().to_vec()),
            address: address.to_owned(),
        }
    }

    pub(crate) fn database(&self) -> PathBuf {
        self.folder.path().join("letters.db")
    }

    fn keys(&self) -> Unlocked {
        let keyring = Keyring::import(&self.keyring).unwrap();
        Unlocked::new(keyring, None, Passphrase::empty(), KdfCost::DANGER_FAST)
    }
}

struct Link {
    connection: Connection,
    stream: StreamId,
    said: Option<waypost_sremp::ErrorCode>,
}

/// One node.
pub(crate) struct NodeHost {
    engine: Engine,
    keys: Arc<ConnectionKeys>,
    links: BTreeMap<LinkId, Link>,
    by_stream: BTreeMap<StreamId, LinkId>,
    dials: BTreeMap<u64, Dialled>,
    limits: Limits,
    next_accepted: u64,
    next_commit: u64,
    now: Now,
    rng: SimRng,
    out: VecDeque<HostOutput<Told>>,
}

impl NodeHost {
    pub(crate) fn start(disk: &Disk, now: Now, rng: &mut SimRng) -> Self {
        let keys = disk.keys();
        let mut store = Store::open(&disk.database(), keys.database_key()).unwrap();
        store.danger_skip_sync().unwrap();
        let rng = rng.fork(&format!("node {}", now.wall.as_millis()));
        let engine = Engine::open(now, store, keys, Config::default()).unwrap();
        let connection_keys = Arc::new(engine.connection_keys().unwrap());
        let mut host = Self {
            engine,
            keys: connection_keys,
            links: BTreeMap::new(),
            by_stream: BTreeMap::new(),
            dials: BTreeMap::new(),
            limits: Limits::default(),
            next_accepted: 1,
            next_commit: 0,
            now,
            rng,
            out: VecDeque::new(),
        };
        let address: Address = format!("sremp://{}", disk.address).parse().unwrap();
        host.engine_input(Input::Addresses(vec![address]));
        host.ask_commit();
        host
    }

    fn engine_input(&mut self, input: Input) {
        self.engine.handle(self.now, &mut self.rng, input).unwrap();
    }

    fn news(&mut self, event: DriverEvent) {
        self.engine_input(Input::Net(NetInput::Sremp(SrempInput::Driver(event))));
    }

    fn ask_commit(&mut self) {
        if self.engine.has_turn() {
            self.next_commit += 1;
            self.out.push_back(HostOutput::Commit(self.next_commit));
        }
    }

    fn carry_out(&mut self) {
        while let Some(output) = self.engine.poll() {
            match output {
                Output::Reply { token, result } => {
                    self.out.push_back(HostOutput::Event(Told::Reply(token, result.map_err(|e| e.to_string()))));
                }
                Output::Event(event) => self.out.push_back(HostOutput::Event(Told::Event(event))),
                Output::Net(NetCommand::Sremp(SrempCommand::Driver(command))) => self.command(command),
                Output::Net(NetCommand::Sremp(SrempCommand::KeysChanged)) => {
                    self.keys = Arc::new(self.engine.connection_keys().unwrap());
                }
                other => panic!("not in a simulation: {other:?}"),
            }
        }
    }

    fn command(&mut self, command: DriverCommand) {
        match command {
            DriverCommand::Dial { link, to, dialled } => {
                self.dials.insert(link.0, dialled);
                self.out.push_back(HostOutput::Dial { dial: link.0, to: (&to).into() });
            }
            DriverCommand::Judge(link, verdict) => self.feed(link, ConnectionInput::Judged(verdict)),
            DriverCommand::Send(link, message) => self.feed(link, ConnectionInput::Send(message)),
            DriverCommand::Close(link, error) => {
                if let Some(open) = self.links.get_mut(&link) {
                    open.said = error.as_ref().and_then(|error| error.known_code());
                }
                self.feed(link, ConnectionInput::Close(error));
            }
            other => panic!("not in a simulation: {other:?}"),
        }
    }

    fn feed(&mut self, link: LinkId, input: ConnectionInput<'_>) {
        let Some(open) = self.links.get_mut(&link) else { return };
        open.connection.handle(self.now, &mut self.rng, input).unwrap();
        self.drain(link);
    }

    fn drain(&mut self, link: LinkId) {
        while let Some(open) = self.links.get_mut(&link) {
            let (stream, said) = (open.stream, open.said);
            let Some(output) = open.connection.poll() else { return };
            match output {
                ConnectionOutput::Send(bytes) => self.out.push_back(HostOutput::Send { stream, bytes }),
                ConnectionOutput::Close => {
                    self.links.remove(&link);
                    self.by_stream.remove(&stream);
                    self.out.push_back(HostOutput::Close { stream });
                }
                ConnectionOutput::Event(event) => self.connection_event(link, stream, said, event),
            }
        }
    }

    fn connection_event(
        &mut self,
        link: LinkId,
        stream: StreamId,
        said: Option<waypost_sremp::ErrorCode>,
        event: ConnectionEvent,
    ) {
        match event {
            ConnectionEvent::Identified(identity) => self.news(DriverEvent::Identified { link, identity }),
            ConnectionEvent::Ready { peer, we_dialled, handshake_hash, .. } => self.news(DriverEvent::Ready {
                link,
                peer: peer.key(),
                we_dialled,
                remote: stream.as_u64().to_string(),
                handshake_hash,
            }),
            ConnectionEvent::Message(message) => {
                self.news(DriverEvent::Message { link, message, held: Default::default() })
            }
            ConnectionEvent::Closed(closed) => {
                self.news(DriverEvent::Closed { link, reason: CloseReason::new(&closed, said) });
            }
        }
    }

    fn open(&mut self, link: LinkId, stream: StreamId, connection: Connection) {
        self.links.insert(link, Link { connection, stream, said: None });
        self.by_stream.insert(stream, link);
        self.drain(link);
    }
}

impl Host for NodeHost {
    type User = User;
    type Event = Told;

    fn handle(&mut self, now: Now, _: &mut SimRng, input: HostInput<User>) {
        self.now = now;
        match input {
            HostInput::Tick => {
                let due: Vec<_> = self
                    .links
                    .iter()
                    .filter(|(_, open)| open.connection.poll_timeout().is_some_and(|due| due <= now.mono))
                    .map(|(link, _)| *link)
                    .collect();
                for link in due {
                    self.feed(link, ConnectionInput::Tick);
                }
                self.engine_input(Input::Tick);
            }
            HostInput::User((token, call)) => self.engine_input(Input::Call { token, call }),
            HostInput::Accepted { stream, .. } => {
                let link = LinkId(self.next_accepted);
                self.next_accepted += 2;
                let connection = Connection::accept(now, self.keys.clone(), self.limits.clone(), Timing::default());
                self.open(link, stream, connection);
            }
            HostInput::Connected { dial, stream } => {
                let dialled = self.dials.remove(&dial).unwrap();
                let (keys, limits) = (self.keys.clone(), self.limits.clone());
                let made = Connection::dial(now, &mut self.rng, keys, dialled, limits, Timing::default());
                self.open(LinkId(dial), stream, made.unwrap());
            }
            HostInput::DialFailed { dial } => {
                self.dials.remove(&dial);
                self.news(DriverEvent::Closed { link: LinkId(dial), reason: CloseReason::Unreachable });
            }
            HostInput::Data { stream, bytes } => {
                if let Some(&link) = self.by_stream.get(&stream) {
                    self.feed(link, ConnectionInput::Bytes(&bytes));
                }
            }
            HostInput::Closed { stream } => {
                if let Some(&link) = self.by_stream.get(&stream) {
                    self.feed(link, ConnectionInput::Eof);
                }
            }
            HostInput::Committed(_) => self.carry_out(),
            HostInput::Datagram { .. } => panic!("no datagrams here"),
        }
        self.ask_commit();
    }

    fn poll(&mut self) -> Option<HostOutput<Told>> {
        self.out.pop_front()
    }

    fn poll_timeout(&self) -> Option<Mono> {
        let links = self.links.values().filter_map(|open| open.connection.poll_timeout());
        links.chain(self.engine.poll_timeout()).min()
    }

    fn make_durable(&mut self, _: u64) {
        self.engine.commit(self.now, &mut self.rng).unwrap();
    }
}

/// Two or more people and the world between them.
pub(crate) struct People {
    pub(crate) world: World<NodeHost>,
    pub(crate) nodes: Vec<NodeId>,
    next_token: u64,
    /// Everything nodes told since the last look.
    pub(crate) told: Vec<(NodeId, Told)>,
}

impl People {
    pub(crate) fn new(seed: u64, names: &[&str]) -> Self {
        let mut world = World::new(seed);
        let rng = SimRng::new(seed).fork("people");
        let nodes = names.iter().map(|name| {
            let address = format!("{name}:7300");
            let disk = Disk::new(&mut rng.fork(name), &address);
            world.add_node(name, address.as_str(), move |boot, rng| NodeHost::start(&disk, boot.now, rng))
        });
        let nodes = nodes.collect();
        Self { world, nodes, next_token: 0, told: Vec::new() }
    }

    /// Gives a call without waiting for its answer.
    pub(crate) fn ask(&mut self, node: NodeId, name: &str, params: Value) -> u64 {
        self.next_token += 1;
        let call = Call::parse(name, params).unwrap();
        self.world.user(node, (self.next_token, call));
        self.next_token
    }

    /// Lets time pass.
    pub(crate) fn run(&mut self, time: Duration) {
        let happened = self.world.run_for(time);
        self.told.extend(happened.into_iter().map(|happening| (happening.node, happening.event)));
    }

    /// Gives a call and runs until its answer.
    pub(crate) fn try_call(&mut self, node: NodeId, name: &str, params: Value) -> Result<Value, String> {
        let token = self.ask(node, name, params);
        for _ in 0..2_000 {
            self.run(Duration::from_millis(50));
            let at = self.told.iter().position(|(_, told)| matches!(told, Told::Reply(t, _) if *t == token));
            if let Some((_, Told::Reply(_, result))) = at.map(|at| self.told.remove(at)) {
                return result;
            }
        }
        panic!("no answer to {name}");
    }

    pub(crate) fn call(&mut self, node: NodeId, name: &str, params: Value) -> Value {
        self.try_call(node, name, params).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    pub(crate) fn id(&mut self, node: NodeId) -> String {
        self.call(node, "identity.show", Value::Null)["contact"].as_str().unwrap().to_owned()
    }

    /// The second adds the first by an invite; both can write then.
    pub(crate) fn befriend(&mut self, a: NodeId, b: NodeId) {
        let link = self.call(a, "card.show", json!({"invite": true}))["link"].clone();
        self.call(b, "contacts.add", json!({"card": link}));
        let b_id = self.id(b);
        self.until(a, "contacts.list", Value::Null, |list| {
            list.as_array().unwrap().iter().any(|contact| contact["contact"] == b_id.as_str())
        });
    }

    /// Repeats a call until its answer is as wanted, or ten minutes have passed.
    pub(crate) fn until(&mut self, node: NodeId, name: &str, params: Value, wanted: impl Fn(&Value) -> bool) -> Value {
        let mut last = Value::Null;
        for _ in 0..600 {
            last = self.call(node, name, params.clone());
            if wanted(&last) {
                return last;
            }
            self.run(Duration::from_secs(1));
        }
        let states: Vec<Value> = self
            .nodes
            .clone()
            .into_iter()
            .map(|node| self.call(node, "node.status", Value::Null)["wires"].clone())
            .collect();
        panic!("{name} never came to what was wanted: {last:#}\n{states:#?}\n{}", self.world.trace());
    }

    pub(crate) fn send(&mut self, from: NodeId, to: &str, text: &str) -> LetterId {
        let body = json!({"kind": "text", "text": text});
        let sent = self.call(from, "letters.send", json!({"to": to, "body": body}));
        sent["id"].as_str().unwrap().parse().unwrap()
    }
}
