//! A node as a host of the simulator: an engine, its connections, and a database that outlives crashes.

mod links;
mod relay;

use links::Links;
pub(crate) use relay::{RelayDisk, RelayHost};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use waypost_core::{Address, LetterId, Mono, Now};
use waypost_keyring::{KdfCost, Keyring, Passphrase};
use waypost_node::engine::{Engine, Input, Output};
use waypost_node::wire::{NetCommand, NetInput};
use waypost_node::wires::sremp::{SrempCommand, SrempInput};
use waypost_node::{Call, Config, Event, Unlocked};
use waypost_sremp::relay::Policy;
use waypost_store::Store;
use waypost_testkit::SimRng;
use waypost_testkit::mailbox::MemoryMailbox;
use waypost_testkit::sim::{Host, HostInput, HostOutput, NodeId, World};

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
    address: String,
    config: Config,
    mailboxes: Arc<Mutex<MemoryMailbox>>,
}

impl Disk {
    pub(crate) fn new(rng: &mut SimRng, address: &str, config: Config) -> Self {
        let keyring = Keyring::generate(rng, waypost_core::Wall::from_millis(1_790_000_000_000));
        // Memory, where there is such a folder: the storm writes a lot.
        let shm = Path::new("/dev/shm");
        let folder = if shm.is_dir() { tempfile::tempdir_in(shm) } else { tempfile::tempdir() };
        let disk =
            Self { folder: Arc::new(folder.unwrap()), address: address.to_owned(), config, mailboxes: Arc::default() };
        keyring.save(&disk.keyring(), &Passphrase::empty(), KdfCost::DANGER_FAST, rng).unwrap();
        disk
    }

    pub(crate) fn database(&self) -> PathBuf {
        self.folder.path().join("letters.db")
    }

    fn keyring(&self) -> PathBuf {
        self.folder.path().join("keyring")
    }

    fn keys(&self) -> Unlocked {
        let keyring = Keyring::open(&self.keyring(), &Passphrase::empty()).unwrap();
        Unlocked::new(keyring, Some(self.keyring()), Passphrase::empty(), KdfCost::DANGER_FAST)
    }
}

/// One node.
pub(crate) struct NodeHost {
    engine: Engine,
    links: Links,
    mailboxes: Arc<Mutex<MemoryMailbox>>,
    relay_news: Vec<SrempInput>,
    next_commit: u64,
    now: Now,
    rng: SimRng,
}

impl NodeHost {
    pub(crate) fn start(disk: &Disk, now: Now, rng: &mut SimRng) -> Self {
        let keys = disk.keys();
        let mut store = Store::open(&disk.database(), keys.database_key()).unwrap();
        store.danger_skip_sync().unwrap();
        let rng = rng.fork(&format!("node {}", now.wall.as_millis()));
        let engine = Engine::open(now, store, keys, disk.config.clone()).unwrap();
        let links = Links::new(engine.connection_keys().unwrap());
        let mailboxes = disk.mailboxes.clone();
        let mut host = Self { engine, links, mailboxes, relay_news: Vec::new(), next_commit: 0, now, rng };
        let address: Address = format!("sremp://{}", disk.address).parse().unwrap();
        host.engine_input(Input::Addresses(vec![address]));
        host.ask_commit();
        host
    }

    fn engine_input(&mut self, input: Input) {
        self.engine.handle(self.now, &mut self.rng, input).unwrap();
    }

    fn take_news(&mut self) {
        for input in std::mem::take(&mut self.relay_news) {
            self.engine_input(Input::Net(NetInput::Sremp(input)));
        }
        while let Some(event) = self.links.news.pop_front() {
            self.engine_input(Input::Net(NetInput::Sremp(SrempInput::Driver(event))));
        }
    }

    fn ask_commit(&mut self) {
        if self.engine.has_turn() {
            self.next_commit += 1;
            self.links.out.push_back(HostOutput::Commit(self.next_commit));
        }
    }

    fn carry_out(&mut self) {
        while let Some(output) = self.engine.poll() {
            let told = match output {
                Output::Reply { token, result } => Told::Reply(token, result.map_err(|error| error.to_string())),
                Output::Event(event) => Told::Event(event),
                Output::Net(NetCommand::Sremp(SrempCommand::Driver(command))) => {
                    self.links.command(self.now, &mut self.rng, command);
                    continue;
                }
                Output::Net(NetCommand::Sremp(SrempCommand::Mailbox(id, batch))) => {
                    let mut mailboxes = self.mailboxes.lock().unwrap();
                    let answers = mailboxes.commit(self.now.wall, batch);
                    self.relay_news.push(SrempInput::Mailbox(id, Some(answers)));
                    self.relay_news.extend(mailboxes.take_news().into_iter().map(SrempInput::Hint));
                    continue;
                }
                Output::Net(NetCommand::Sremp(SrempCommand::Watch(_) | SrempCommand::Unwatch(_))) => continue,
                Output::Net(NetCommand::Sremp(SrempCommand::KeysChanged)) => {
                    self.links.keys = Arc::new(self.engine.connection_keys().unwrap());
                    continue;
                }
                other => panic!("not in a simulation: {other:?}"),
            };
            self.links.out.push_back(HostOutput::Event(told));
        }
    }
}

impl Host for NodeHost {
    type User = User;
    type Event = Told;

    fn handle(&mut self, now: Now, _: &mut SimRng, input: HostInput<User>) {
        self.now = now;
        match input {
            HostInput::Tick => {
                self.links.input(now, &mut self.rng, HostInput::<User>::Tick);
                self.take_news();
                self.engine_input(Input::Tick);
            }
            HostInput::User((token, call)) => self.engine_input(Input::Call { token, call }),
            HostInput::Committed(_) => self.carry_out(),
            other => self.links.input(now, &mut self.rng, other),
        }
        self.take_news();
        self.ask_commit();
    }

    fn poll(&mut self) -> Option<HostOutput<Told>> {
        self.links.out.pop_front()
    }

    fn poll_timeout(&self) -> Option<Mono> {
        self.links.poll_timeout().into_iter().chain(self.engine.poll_timeout()).min()
    }

    fn make_durable(&mut self, _: u64) {
        self.engine.commit(self.now, &mut self.rng).unwrap();
    }
}

/// A person's node or a relay.
pub(crate) type AnyHost = Box<dyn Host<User = User, Event = Told>>;

/// Two or more people and the world between them.
pub(crate) struct People {
    pub(crate) world: World<AnyHost>,
    pub(crate) nodes: Vec<NodeId>,
    seed: u64,
    next_token: u64,
    /// Everything nodes told since the last look.
    pub(crate) told: Vec<(NodeId, Told)>,
}

impl People {
    pub(crate) fn new(seed: u64, names: &[&str]) -> Self {
        Self::with(seed, &names.iter().map(|name| (*name, Config::default())).collect::<Vec<_>>())
    }

    /// People with settings of their own.
    pub(crate) fn with(seed: u64, people: &[(&str, Config)]) -> Self {
        let mut world = World::new(seed);
        let rng = SimRng::new(seed).fork("people");
        let nodes = people.iter().map(|(name, config)| {
            let address = format!("{name}:7300");
            let disk = Disk::new(&mut rng.fork(name), &address, config.clone());
            world.add_node(name, address.as_str(), move |boot, rng| -> AnyHost {
                Box::new(NodeHost::start(&disk, boot.now, rng))
            })
        });
        let nodes = nodes.collect();
        Self { world, nodes, seed, next_token: 0, told: Vec::new() }
    }

    /// Adds a relay to the world.
    pub(crate) fn relay(&mut self, name: &str, policy: Policy) -> (NodeId, RelayDisk) {
        let address = format!("{name}:7310");
        let disk = RelayDisk::new(&mut SimRng::new(self.seed).fork(name), &address, policy);
        let boot_disk = disk.clone();
        let node = self.world.add_node(name, address.as_str(), move |boot, rng| -> AnyHost {
            Box::new(RelayHost::start(&boot_disk, boot.now, rng))
        });
        (node, disk)
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
