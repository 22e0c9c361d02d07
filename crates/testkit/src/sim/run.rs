//! How a world runs: what comes next, and what a host is given and wants.

use crate::{
    SimRng,
    sim::{
        Boot, Happening, Host, HostInput, HostOutput, Incident, NodeId, World,
        queue::{Action, Life},
        trace::Detail,
    },
};
use rand::RngExt as _;
use std::{ops::RangeInclusive, time::Duration};
use waypost_core::Mono;

/// A run that does so much without time passing never ends.
const ACTIONS_A_MILLISECOND: u32 = 1_000_000;
/// So many ticks of one node in one millisecond: its timer stays due.
const TICKS_A_MILLISECOND: u32 = 1_000;

impl<H: Host> World<H> {
    /// Does the next thing before `deadline`; without one, lets the time pass and says no.
    pub(super) fn step(&mut self, deadline: Mono) -> bool {
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

    pub(super) fn start(&mut self, node: NodeId) {
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
