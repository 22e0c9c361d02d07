//! The world: its nodes, its clock, its run.

use crate::{
    SimRng,
    sim::{
        Addr, Counts, Host, Incident, LinkFaults, NodeFaults, NodeId, Weather,
        clock::NodeClock,
        network::Network,
        queue::{Action, Queue},
        run::Luck as _,
        trace::{Detail, Trace},
    },
};
use rand::RngExt as _;
use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};
use waypost_core::{Mono, Now, Wall};

/// 2026-01-01T00:00:00Z, when a world starts.
const EPOCH: Wall = Wall::from_millis(1_767_225_600_000);

/// Something a node told the test.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Happening<E> {
    /// When, by the world's clock.
    pub at: Mono,
    /// Who.
    pub node: NodeId,
    /// What.
    pub event: E,
}

/// The start of a node, the first or after a crash.
#[derive(Clone, Copy, Debug)]
pub struct Boot {
    /// The node's clocks; the monotonic one counts from here.
    pub now: Now,
    /// 0 for the first start, one more after each crash.
    pub number: u32,
}

/// All there is. A failing test prints the seed and what happened last.
pub struct World<H: Host> {
    seed: u64,
    pub(super) now: Mono,
    pub(super) rng: SimRng,
    /// Decides about crashes and commits; the network has its own.
    pub(super) luck: SimRng,
    pub(super) nodes: Vec<Node<H>>,
    pub(super) directory: BTreeMap<Addr, NodeId>,
    pub(super) queue: Queue<H::User>,
    pub(super) net: Network,
    pub(super) trace: Trace,
    pub(super) happened: Vec<Happening<H::Event>>,
    pub(super) actions_now: u32,
}

/// Builds a host from what the test keeps as its disk.
type Start<H> = Box<dyn FnMut(&Boot, &mut SimRng) -> H>;

pub(super) struct Node<H: Host> {
    pub(super) name: String,
    /// The first is what its datagrams come from.
    pub(super) addr: Addr,
    pub(super) listens: bool,
    pub(super) boot: u32,
    pub(super) host: Option<H>,
    /// It is down and nothing on it answers.
    pub(super) powerless: bool,
    pub(super) start: Start<H>,
    pub(super) rng: SimRng,
    pub(super) clock: NodeClock,
    pub(super) faults: NodeFaults,
    pub(super) tick_at: Option<Mono>,
    pub(super) ticks_now: u32,
    pub(super) commits_ready: Mono,
    pub(super) waiting: VecDeque<H::User>,
}

impl<H: Host> Node<H> {
    pub(super) fn is_up(&self) -> bool {
        self.host.is_some()
    }
}

impl<H: Host> World<H> {
    /// A world without nodes, with calm links, at 2026-01-01T00:00:00Z.
    pub fn new(seed: u64) -> Self {
        let rng = SimRng::new(seed);
        Self {
            seed,
            now: Mono::from_millis(0),
            luck: rng.fork("luck"),
            net: Network::new(rng.fork("network")),
            rng,
            nodes: Vec::new(),
            directory: BTreeMap::new(),
            queue: Queue::new(),
            trace: Trace::new(),
            happened: Vec::new(),
            actions_now: 0,
        }
    }

    /// Adds a node that listens at `addr` and starts it. `start` builds the host, again after each
    /// crash: from what the test keeps as the node's disk.
    pub fn add_node(
        &mut self,
        name: &str,
        addr: impl Into<Addr>,
        start: impl FnMut(&Boot, &mut SimRng) -> H + 'static,
    ) -> NodeId {
        let (id, addr) = (NodeId(self.nodes.len()), addr.into());
        self.nodes.push(Node {
            name: name.to_owned(),
            addr: addr.clone(),
            listens: true,
            boot: 0,
            host: None,
            powerless: false,
            start: Box::new(start),
            rng: self.rng.fork(name),
            clock: NodeClock::new(EPOCH, Mono::from_millis(0)),
            faults: NodeFaults::none(),
            tick_at: None,
            ticks_now: 0,
            commits_ready: self.now,
            waiting: VecDeque::new(),
        });
        self.add_address(id, addr);
        self.start(id);
        id
    }

    /// Lets a node be reached at a further address.
    pub fn add_address(&mut self, node: NodeId, addr: impl Into<Addr>) {
        let addr = addr.into();
        assert!(self.directory.insert(addr.clone(), node).is_none(), "{addr} is taken");
    }

    /// Whether dials to the node are answered; its own dials are not touched. Nodes listen at first.
    pub fn set_listening(&mut self, node: NodeId, listens: bool) {
        self.nodes[node.0].listens = listens;
    }

    /// Sets how a node fails.
    pub fn set_node(&mut self, node: NodeId, faults: NodeFaults) {
        self.nodes[node.0].faults = faults;
    }

    /// Sets how far a node's wall clock is ahead of the right time, in milliseconds.
    pub fn set_skew(&mut self, node: NodeId, millis: i64) {
        self.nodes[node.0].clock.skew = millis;
    }

    /// Gives a node a command at a time, or now if that is past.
    pub fn schedule(&mut self, at: Mono, node: NodeId, input: H::User) {
        self.queue.push(at.max(self.now), Action::User { node, input });
    }

    /// Gives a node a command now.
    pub fn user(&mut self, node: NodeId, input: H::User) {
        self.schedule(self.now, node, input);
    }

    /// Plans an incident for a time, or now if that is past.
    pub fn plan(&mut self, at: Mono, incident: Incident) {
        self.queue.push(at.max(self.now), Action::Incident(incident));
    }

    /// Plans incidents by lot, among the nodes there are.
    pub fn plan_weather(&mut self, weather: &Weather) {
        let mut lot = self.rng.fork("weather");
        let ids: Vec<_> = (0..self.nodes.len()).map(NodeId).collect();
        let span = self.now.as_millis()..=weather.until.as_millis().max(self.now.as_millis());
        for number in 0..weather.crashes + weather.partitions + weather.skews {
            let at = Mono::from_millis(lot.random_range(span.clone()));
            let node = ids[lot.random_range(0..ids.len())];
            let lasts = Duration::from_millis(lot.random_range(0..=weather.lasts));
            let incident = if number < weather.crashes {
                Incident::Crash { node, down: lasts }
            } else if number < weather.crashes + weather.partitions {
                let (mut a, mut b): (Vec<_>, Vec<_>) = ids.iter().partition(|_| lot.random_bool(0.5));
                if a.is_empty() || b.is_empty() {
                    (a, b) = ids.iter().partition(|id| **id == node);
                }
                Incident::Partition { a, b, lasts }
            } else {
                let skew = i64::try_from(weather.skew).unwrap_or(i64::MAX);
                Incident::Skew { node, millis: lot.random_range(-skew..=skew) }
            };
            self.plan(at, incident);
        }
    }

    /// Crashes a node, if it is up; it stays down until `restart` or `restart_after`.
    pub fn crash(&mut self, node: NodeId) {
        if !self.nodes[node.0].is_up() {
            return;
        }
        let powerless = self.luck.chance(self.nodes[node.0].faults.power_cut);
        self.note(node, if powerless { "loses power" } else { "crashes" }, Detail::None);
        let at = &mut self.nodes[node.0];
        (at.host, at.tick_at, at.powerless) = (None, None, powerless);
        at.boot += 1;
        self.end_streams_of(node);
    }

    /// Starts a node that is down.
    pub fn restart(&mut self, node: NodeId) {
        self.restart_after(node, Duration::ZERO);
    }

    /// Starts a node that is down after a time.
    pub fn restart_after(&mut self, node: NodeId, down: Duration) {
        if !self.nodes[node.0].is_up() {
            let life = self.life(node);
            self.queue.push(self.now.after(down), Action::Restart(life));
        }
    }

    /// From now on nothing goes wrong: links are calm, partitions over, no crash comes by chance, nodes
    /// that are down start. Planned incidents still come, and streams that fell silent stay so.
    pub fn calm(&mut self) {
        self.set_all_links(&LinkFaults::calm());
        self.heal_all();
        for node in (0..self.nodes.len()).map(NodeId) {
            self.set_node(node, NodeFaults::none());
            self.restart(node);
        }
    }

    /// Runs to a time and gives what happened since the last run.
    pub fn run_until(&mut self, deadline: Mono) -> Vec<Happening<H::Event>> {
        while self.step(deadline) {}
        std::mem::take(&mut self.happened)
    }

    /// Runs for a time and gives what happened since the last run.
    pub fn run_for(&mut self, time: Duration) -> Vec<Happening<H::Event>> {
        self.run_until(self.now.after(time))
    }

    /// Runs until `is_it` says yes and gives what happened since the last run.
    ///
    /// # Panics
    /// If that does not come `within` a time; `what` says in the message what was waited for.
    pub fn run_until_event(
        &mut self,
        what: &str,
        within: Duration,
        mut is_it: impl FnMut(&Happening<H::Event>) -> bool,
    ) -> Vec<Happening<H::Event>> {
        let (deadline, mut seen) = (self.now.after(within), 0);
        loop {
            while seen < self.happened.len() {
                seen += 1;
                if is_it(&self.happened[seen - 1]) {
                    return std::mem::take(&mut self.happened);
                }
            }
            assert!(self.step(deadline), "not within {within:?}: {what}");
        }
    }

    /// Runs until `is_it` says yes of the world and gives what happened since the last run.
    ///
    /// # Panics
    /// If that does not come `within` a time; `what` says in the message what was waited for.
    pub fn run_until_state(
        &mut self,
        what: &str,
        within: Duration,
        mut is_it: impl FnMut(&Self) -> bool,
    ) -> Vec<Happening<H::Event>> {
        let deadline = self.now.after(within);
        while !is_it(self) {
            assert!(self.step(deadline), "not within {within:?}: {what}");
        }
        std::mem::take(&mut self.happened)
    }

    /// The world's monotonic clock.
    pub fn now(&self) -> Mono {
        self.now
    }

    /// Both clocks of a node.
    pub fn now_at(&self, node: NodeId) -> Now {
        self.nodes[node.0].clock.now(self.now)
    }

    /// The host of a node, if it is up.
    pub fn host(&self, node: NodeId) -> Option<&H> {
        self.nodes[node.0].host.as_ref()
    }

    /// The name of a node.
    pub fn name(&self, node: NodeId) -> &str {
        &self.nodes[node.0].name
    }

    /// How often each kind of thing happened so far, as the trace calls them.
    pub fn counts(&self) -> &Counts {
        self.trace.counts()
    }

    /// How often one kind of thing happened so far.
    pub fn count(&self, what: &str) -> u64 {
        self.counts().get(what).copied().unwrap_or(0)
    }

    /// A number that differs when anything in the run differs.
    pub fn fingerprint(&self) -> u64 {
        self.trace.fingerprint()
    }

    /// The last actions, one a line, oldest first.
    pub fn trace(&self) -> String {
        self.trace.show(|node| self.nodes[node.0].name.clone())
    }

    /// How many actions the trace keeps; 200 at first.
    pub fn set_trace_length(&mut self, length: usize) {
        self.trace.length = length;
    }
}

impl<H: Host> Drop for World<H> {
    #[expect(clippy::print_stderr, reason = "a failing test says how to repeat it and what came before")]
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("world of seed {} at {} ms, last actions:\n{}", self.seed, self.now.as_millis(), self.trace());
        }
    }
}
