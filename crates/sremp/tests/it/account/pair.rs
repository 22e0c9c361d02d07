//! Two accounts, and messages that are passed by hand.

use super::side::{Side, at};
use std::collections::VecDeque;
use std::time::Duration;
use waypost_core::{LetterId, Mono};
use waypost_sremp::{LinkId, Message, account::Input, connection::Verdict, message::ErrorMessage};

/// The two; the first has the lower key.
pub(crate) struct Pair {
    pub(crate) sides: [Side; 2],
    pub(crate) link: Option<LinkId>,
    next_link: u64,
    /// To whom, by which connection, what; the names of everything that was passed.
    pub(crate) wire: VecDeque<(usize, LinkId, Message)>,
    pub(crate) passed: Vec<(usize, String)>,
}

pub(crate) const LOW: usize = 0;
pub(crate) const HIGH: usize = 1;

impl Pair {
    pub(crate) fn new(seed: u64) -> Self {
        let mut sides = [Side::new("Ada", 2 * seed, true), Side::new("Bob", 2 * seed + 1, true)];
        sides.sort_by_key(Side::id);
        Self { sides, link: None, next_link: 1, wire: VecDeque::new(), passed: Vec::new() }
    }

    /// With a session, and everything quiet.
    pub(crate) fn acquainted(seed: u64) -> Self {
        let mut pair = Self::new(seed);
        pair.connect(LOW);
        pair.run();
        pair.wait(Duration::from_secs(5));
        pair.passed.clear();
        pair
    }

    pub(crate) fn now(&self) -> Mono {
        self.sides[0].now.mono
    }

    /// A connection that both accept.
    pub(crate) fn connect(&mut self, dialler: usize) -> LinkId {
        let link = self.open(dialler);
        self.link = Some(link);
        link
    }

    pub(crate) fn open(&mut self, dialler: usize) -> LinkId {
        let link = LinkId(self.next_link);
        self.next_link += 1;
        for (me, other) in [(0, 1), (1, 0)] {
            let (identity, peer) = (self.sides[other].identity.clone(), self.sides[other].id());
            let verdict = self.sides[me].judge(&identity);
            assert!(matches!(verdict, Verdict::Accept { .. }), "{verdict:?}");
            self.sides[me].give(Input::LinkUp { link, peer, we_dialled: me == dialler });
        }
        link
    }

    /// The connection breaks; what was on its way by it is lost.
    pub(crate) fn cut(&mut self) {
        let Some(link) = self.link.take() else { return };
        self.wire.retain(|(_, by, _)| *by != link);
        for side in &mut self.sides {
            side.sent.retain(|(by, _)| *by != link);
            side.give(Input::LinkDown(link));
        }
    }

    pub(crate) fn crash(&mut self, who: usize) {
        self.sides[who].crash();
        self.cut();
    }

    /// What was sent goes onto the wire.
    pub(crate) fn collect(&mut self) {
        for (from, side) in self.sides.iter_mut().enumerate() {
            for (link, message) in side.sent.drain(..) {
                self.wire.push_back((1 - from, link, message));
            }
        }
    }

    pub(crate) fn deliver(&mut self, to: usize, link: LinkId, message: Message) {
        self.passed.push((1 - to, message.name().to_owned()));
        self.sides[to].message(link, message);
    }

    /// Passes messages until nobody has any more.
    pub(crate) fn run(&mut self) {
        for _ in 0..10_000 {
            self.collect();
            let Some((to, link, message)) = self.wire.pop_front() else { return };
            self.deliver(to, link, message);
        }
        panic!("they never stop: {:?}", &self.passed[self.passed.len() - 20..]);
    }

    /// Lets time pass and passes messages.
    pub(crate) fn wait(&mut self, duration: Duration) {
        let end = self.now().after(duration);
        loop {
            self.run();
            let due = self.sides.iter().filter_map(|side| side.account.poll_timeout()).min();
            let Some(due) = due.filter(|due| *due <= end) else { break };
            let due = at(due.as_millis().max(self.now().as_millis()));
            for side in &mut self.sides {
                side.now = due;
                if side.account.poll_timeout().is_some_and(|at| at <= due.mono) {
                    side.give(Input::Tick);
                }
            }
        }
        for side in &mut self.sides {
            side.now = at(end.as_millis());
        }
    }

    pub(crate) fn write(&mut self, from: usize, text: &str) -> LetterId {
        let peer = self.sides[1 - from].id();
        self.sides[from].write(peer, text)
    }

    /// Who sent what since the last time, in words.
    pub(crate) fn story(&mut self) -> Vec<(usize, String)> {
        std::mem::take(&mut self.passed)
    }

    /// How many messages of a kind one side sent.
    pub(crate) fn count(&self, from: usize, name: &str) -> usize {
        self.passed.iter().filter(|(who, what)| (*who, what.as_str()) == (from, name)).count()
    }
}

/// The error codes among messages.
pub(crate) fn errors(messages: &[Message]) -> Vec<&ErrorMessage> {
    let errors = messages.iter().filter_map(|message| match message {
        Message::Error(error) => Some(error),
        _ => None,
    });
    errors.collect()
}
