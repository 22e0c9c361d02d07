//! The world: its nodes, its clock, its run.

use crate::{
    SimRng,
    sim::{
        Addr, Counts, Host, HostInput, HostOutput, Incident, LinkFaults, NodeFaults, NodeId, Weather,
        clock::NodeClock,
        network::Network,
        queue::{Action, Life, Queue},
        trace::{Detail, Trace},
    },
};
use rand::RngExt as _;
use std::{
    collections::{BTreeMap, VecDeque},
    ops::RangeInclusive,
    time::Duration,
};
use waypost_core::{Mono, Now, Wall};

/// 2026-01-01T00:00:00Z, when a world starts.
const EPOCH: Wall = Wall::from_millis(1_767_225_600_000);
/// A run that does so much without time passing never ends.
const ACTIONS_A_MILLISECOND: u32 = 1_000_000;
/// So many ticks of one node in one millisecond: its timer stays due.
const TICKS_A_MILLISECOND: u32 = 1_000;

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
    rng: SimRng,
    /// Decides about crashes and commits; the network has its own.
    luck: SimRng,
    pub(super) nodes: Vec<Node<H>>,
    pub(super) directory: BTreeMap<Addr, NodeId>,
    pub(super) queue: Queue<H::User>,
    pub(super) net: Network,
    pub(super) trace: Trace,
    happened: Vec<Happening<H::Event>>,
    actions_now: u32,
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
    start: Start<H>,
    rng: SimRng,
    clock: NodeClock,
    faults: NodeFaults,
    tick_at: Option<Mono>,
    ticks_now: u32,
    commits_ready: Mono,
    waiting: VecDeque<H::User>,
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

    /// Does the next thing before `deadline`; without one, lets the time pass and says no.
    fn step(&mut self, deadline: Mono) -> bool {
        if self.queue.next_at().is_none_or(|at| at > deadline) {
            self.now = self.now.max(deadline);
            return false;
        }
        let Some((at, action)) = self.queue.pop() else { return false };
        if at > self.now {
            self.actions_now = 0;
            self.nodes.iter_mut().for_each(|node| node.ticks_now = 0);
        }
        self.now = at;
        self.actions_now += 1;
        assert!(self.actions_now < ACTIONS_A_MILLISECOND, "no end of actions at {} ms", at.as_millis());
        self.act(action);
        true
    }

    fn act(&mut self, action: Action<H::User>) {
        match action {
            Action::Tick(life) => self.tick(life),
            Action::User { node, input } if self.nodes[node.0].is_up() => {
                self.note(node, "command", Detail::None);
                self.drive(node, HostInput::User(input));
            }
            Action::User { node, input } => self.nodes[node.0].waiting.push_back(input),
            Action::Dialled { from, dial, to } => self.dialled(from, dial, &to),
            Action::Connected { life, dial, stream } if self.is_alive(life) => {
                self.note(life.node, "connected, stream", Detail::Number(stream.0));
                self.drive(life.node, HostInput::Connected { dial, stream });
            }
            Action::DialFailed { life, dial } if self.is_alive(life) => {
                self.note(life.node, "dial failed", Detail::Number(dial));
                self.drive(life.node, HostInput::DialFailed { dial });
            }
            // Meant for a life that is over.
            Action::Connected { .. } | Action::DialFailed { .. } => {}
            Action::Arrival(stream) => self.arrival(stream),
            Action::Datagram { from, to, bytes } => self.datagram_arrival(from, to, bytes),
            Action::Commit { life, commit } => self.commit(life, commit),
            Action::Restart(life) => {
                if self.nodes[life.node.0].boot == life.boot && !self.nodes[life.node.0].is_up() {
                    self.start(life.node);
                }
            }
            Action::Incident(incident) => self.befall(incident),
            Action::Heal(partition) => self.heal(partition),
        }
    }

    fn befall(&mut self, incident: Incident) {
        match incident {
            Incident::Crash { node, down } if self.nodes[node.0].is_up() => {
                self.crash(node);
                self.restart_after(node, down);
            }
            Incident::Crash { .. } => {}
            Incident::Partition { a, b, lasts } => {
                let partition = self.partition(&a, &b);
                self.queue.push(self.now.after(lasts), Action::Heal(partition));
            }
            Incident::Skew { node, millis } => {
                self.note(node, "clock jumps", Detail::Text(format!("{millis} ms off")));
                self.set_skew(node, millis);
            }
        }
    }

    fn tick(&mut self, life: Life) {
        let node = &mut self.nodes[life.node.0];
        if !node.is_up() || node.boot != life.boot || node.tick_at != Some(self.now) {
            return;
        }
        node.tick_at = None;
        node.ticks_now += 1;
        assert!(node.ticks_now < TICKS_A_MILLISECOND, "{}: its timer stays due after a tick", node.name);
        self.note(life.node, "tick", Detail::None);
        self.drive(life.node, HostInput::Tick);
    }

    fn commit(&mut self, life: Life, commit: u64) {
        if !self.is_alive(life) {
            return;
        }
        let (node, faults) = (life.node, self.nodes[life.node.0].faults.clone());
        if self.luck.chance(faults.crash_before_commit) {
            self.note(node, "crash before commit", Detail::Number(commit));
            return self.crash_by_chance(node);
        }
        self.note(node, "commit", Detail::Number(commit));
        if let Some(host) = &mut self.nodes[node.0].host {
            host.make_durable(commit);
        }
        if self.luck.chance(faults.crash_after_commit) {
            self.note(node, "crash after commit", Detail::Number(commit));
            return self.crash_by_chance(node);
        }
        self.drive(node, HostInput::Committed(commit));
    }

    fn start(&mut self, node: NodeId) {
        self.note(node, "starts", Detail::None);
        let at = &mut self.nodes[node.0];
        at.clock.reboot(self.now);
        at.powerless = false;
        at.rng = self.rng.fork(&format!("{}/{}", at.name, at.boot));
        let boot = Boot { now: at.clock.now(self.now), number: at.boot };
        at.host = Some((at.start)(&boot, &mut at.rng));
        self.drive(node, HostInput::Tick);
        self.pay_resets();
        // The commands come as ones of their own, so that a crash in one does not take the next along.
        for input in std::mem::take(&mut self.nodes[node.0].waiting) {
            self.user(node, input);
        }
    }

    /// Gives the host an input and does what it wants.
    pub(super) fn drive(&mut self, node: NodeId, input: HostInput<H::User>) {
        let at = &mut self.nodes[node.0];
        let Some(mut host) = at.host.take() else { return };
        let now = at.clock.now(self.now);
        let crash_per_step = at.faults.crash_per_step;
        host.handle(now, &mut at.rng, input);
        loop {
            if self.luck.chance(crash_per_step) {
                self.nodes[node.0].host = Some(host);
                return self.crash_by_chance(node);
            }
            let Some(output) = host.poll() else { break };
            self.put_out(node, output);
        }
        let at = &mut self.nodes[node.0];
        let tick_at = host.poll_timeout().map(|mono| at.clock.to_world(mono).max(self.now));
        at.host = Some(host);
        if at.tick_at != tick_at {
            at.tick_at = tick_at;
            let life = self.life(node);
            tick_at.into_iter().for_each(|time| self.queue.push(time, Action::Tick(life)));
        }
    }

    fn put_out(&mut self, node: NodeId, output: HostOutput<H::Event>) {
        match output {
            HostOutput::Dial { dial, to } => self.dial(node, dial, to),
            HostOutput::Send { stream, bytes } => self.send(node, stream, bytes),
            HostOutput::Close { stream } => self.close(node, stream),
            HostOutput::Datagram { to, bytes } => self.datagram(node, &to, bytes),
            HostOutput::Event(event) => {
                self.note(node, "event", Detail::Text(format!("{event:?}")));
                self.happened.push(Happening { at: self.now, node, event });
            }
            HostOutput::Commit(commit) => {
                let life = self.life(node);
                let at = &mut self.nodes[node.0];
                let takes = self.luck.millis(&at.faults.commit);
                at.commits_ready = at.commits_ready.max(self.now.after(takes));
                self.queue.push(at.commits_ready, Action::Commit { life, commit });
            }
        }
    }

    fn crash_by_chance(&mut self, node: NodeId) {
        let down = self.luck.millis(&self.nodes[node.0].faults.down);
        self.crash(node);
        self.restart_after(node, down);
    }

    pub(super) fn life(&self, node: NodeId) -> Life {
        Life { node, boot: self.nodes[node.0].boot }
    }

    pub(super) fn is_alive(&self, life: Life) -> bool {
        self.nodes[life.node.0].is_up() && self.life(life.node) == life
    }

    pub(super) fn note(&mut self, node: NodeId, what: &'static str, detail: Detail) {
        self.trace.note(self.now, node, what, detail);
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

/// Draws that the world needs.
pub(super) trait Luck {
    /// Yes, with this chance; 0 draws nothing.
    fn chance(&mut self, chance: f64) -> bool;
    /// A time of so many milliseconds.
    fn millis(&mut self, range: &RangeInclusive<u64>) -> Duration;
}

impl Luck for SimRng {
    fn chance(&mut self, chance: f64) -> bool {
        chance > 0.0 && self.random_bool(chance)
    }

    fn millis(&mut self, range: &RangeInclusive<u64>) -> Duration {
        Duration::from_millis(self.random_range(range.clone()))
    }
}
