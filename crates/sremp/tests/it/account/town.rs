//! Two accounts and relays, in one process on a virtual clock.

use super::side::{Side, at};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;
use waypost_core::{ContactId, LetterId, MailboxId, Mono};
use waypost_sremp::{
    Identity, IdentityDraft, LinkId, Message,
    account::{Event, Input, OwnRelay},
    ed25519::SigningKey,
    identity::RelayRef,
    relay::{self, Depot, DepotLimits, DepotTiming, Policy},
    x25519::PublicKey,
};
use waypost_testkit::mailbox::MemoryMailbox;

pub(crate) const ADA: usize = 0;
pub(crate) const BOB: usize = 1;

/// A relay of one process.
pub(crate) struct Relay {
    pub(crate) identity: Identity,
    pub(crate) mailbox: MemoryMailbox,
    depot: Depot,
    policy: Policy,
    watched: BTreeSet<MailboxId>,
}

impl Relay {
    fn new(number: u8, policy: Policy) -> Self {
        let signing = SigningKey::from_bytes(&[100 + number; 32]);
        let keys = (PublicKey([number + 1; 32]), PublicKey([number + 2; 32]));
        let mut draft = IdentityDraft::new("Relay", keys.0, keys.1, 1, at(0).wall);
        draft.flags.is_relay_server = true;
        let identity = draft.sign(&signing).unwrap();
        let depot = Depot::new(identity.key(), policy.clone(), DepotLimits::default(), DepotTiming::default());
        Self { identity, mailbox: MemoryMailbox::default(), depot, policy, watched: BTreeSet::new() }
    }

    pub(crate) fn id(&self) -> ContactId {
        self.identity.key()
    }

    fn reference(&self) -> RelayRef {
        let endpoint = "relay.example:4433".parse().unwrap();
        RelayRef { endpoint, relay_identity: self.id(), noise_key: Some(self.identity.noise_key()) }
    }

    /// The process ends and starts again over what was committed.
    pub(crate) fn restart(&mut self) {
        self.depot = Depot::new(self.id(), self.policy.clone(), DepotLimits::default(), DepotTiming::default());
        self.watched.clear();
    }
}

/// Where something on the wire goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum End {
    Side(usize),
    Relay(usize),
}

pub(crate) struct Town {
    pub(crate) sides: [Side; 2],
    pub(crate) relays: Vec<Relay>,
    /// Who is at both ends of a connection.
    pub(crate) links: BTreeMap<LinkId, (usize, End)>,
    pub(crate) wire: VecDeque<(End, LinkId, Message)>,
    pub(crate) passed: Vec<(End, String)>,
    /// The own relays of each.
    pub(crate) homes: [Vec<usize>; 2],
    next_link: u64,
}

impl Town {
    /// Each has mailboxes at its homes; they know each other's identities.
    pub(crate) fn new(seed: u64, policy: &Policy, homes: [&[usize]; 2]) -> Self {
        let count = homes.iter().flat_map(|homes| homes.iter()).max().unwrap() + 1;
        let relays: Vec<_> = (0..count).map(|number| Relay::new(number as u8, policy.clone())).collect();
        let mut sides = [Side::new("Ada", 5000 + 2 * seed, true), Side::new("Bob", 5001 + 2 * seed, true)];
        for (side, homes) in sides.iter_mut().zip(homes) {
            side.lives_at(homes.iter().map(|home| relays[*home].reference()).collect());
            let own = homes.iter().map(|home| OwnRelay { relay: relays[*home].id(), token: None });
            side.give(Input::OwnRelays(own.collect()));
        }
        for (me, other) in [(0, 1), (1, 0)] {
            let identity = sides[other].identity.clone();
            sides[me].judge(&identity);
        }
        let homes = homes.map(<[usize]>::to_vec);
        Self { sides, relays, links: BTreeMap::new(), wire: VecDeque::new(), passed: Vec::new(), homes, next_link: 2 }
    }

    /// Both published prekeys and left again.
    pub(crate) fn settled(seed: u64, policy: &Policy, homes: [&[usize]; 2]) -> Self {
        let mut town = Self::new(seed, policy, homes);
        for who in [ADA, BOB] {
            for home in town.homes[who].clone() {
                let link = town.visit(who, home);
                town.run();
                town.hang_up(link);
            }
        }
        town.passed.clear();
        town
    }

    pub(crate) fn now(&self) -> Mono {
        self.sides[0].now.mono
    }

    pub(crate) fn id(&self, who: usize) -> ContactId {
        self.sides[who].id()
    }

    /// Somebody dials a relay.
    pub(crate) fn visit(&mut self, who: usize, relay: usize) -> LinkId {
        let link = self.name();
        let identity = self.relays[relay].identity.clone();
        self.sides[who].judge(&identity);
        let handshake_hash = [link.0 as u8; 32];
        self.links.insert(link, (who, End::Relay(relay)));
        let client = self.sides[who].identity.clone();
        self.tell_relay(relay, relay::Input::Connected { link, identity: client, handshake_hash });
        let own = self.homes[who].contains(&relay);
        self.sides[who].give(Input::RelayUp { link, relay: identity.key(), handshake_hash, own });
        link
    }

    /// Ada dials Bob.
    pub(crate) fn meet(&mut self) -> LinkId {
        let link = self.name();
        self.links.insert(link, (ADA, End::Side(BOB)));
        for (me, other) in [(ADA, BOB), (BOB, ADA)] {
            let identity = self.sides[other].identity.clone();
            self.sides[me].judge(&identity);
            let peer = identity.key();
            self.sides[me].give(Input::LinkUp { link, peer, we_dialled: me == ADA });
        }
        link
    }

    fn name(&mut self) -> LinkId {
        self.next_link += 2;
        LinkId(self.next_link)
    }

    /// A connection breaks; what is on its way by it is lost.
    pub(crate) fn hang_up(&mut self, link: LinkId) {
        let Some((who, other)) = self.links.remove(&link) else { return };
        self.wire.retain(|(_, by, _)| *by != link);
        self.sides.iter_mut().for_each(|side| side.sent.retain(|(by, _)| *by != link));
        self.sides[who].give(Input::LinkDown(link));
        match other {
            End::Side(other) => self.sides[other].give(Input::LinkDown(link)),
            End::Relay(relay) => self.tell_relay(relay, relay::Input::Disconnected(link)),
        }
    }

    /// All connections of somebody, or of a relay, break.
    pub(crate) fn isolate(&mut self, end: End) {
        let is_at = |(who, other): &(usize, End)| End::Side(*who) == end || *other == end;
        let links: Vec<_> = self.links.iter().filter(|(_, ends)| is_at(ends)).map(|(link, _)| *link).collect();
        links.into_iter().for_each(|link| self.hang_up(link));
    }

    pub(crate) fn crash(&mut self, who: usize) {
        self.sides[who].crash();
        self.isolate(End::Side(who));
        let own = self.homes[who].iter().map(|home| OwnRelay { relay: self.relays[*home].id(), token: None });
        let own = own.collect();
        self.sides[who].give(Input::OwnRelays(own));
    }

    pub(crate) fn crash_relay(&mut self, relay: usize) {
        self.isolate(End::Relay(relay));
        self.relays[relay].restart();
    }

    fn tell_relay(&mut self, place: usize, input: relay::Input) {
        let now = self.sides[0].now;
        let relay = &mut self.relays[place];
        relay.depot.handle(now, input);
        while let Some(output) = relay.depot.poll() {
            match output {
                relay::Output::Mailbox(id, ops) => {
                    let done = relay.mailbox.commit(now.wall, ops);
                    relay.depot.handle(now, relay::Input::Mailbox(id, done));
                    for news in relay.mailbox.take_news() {
                        if relay.watched.contains(&news) {
                            relay.depot.handle(now, relay::Input::Hint(news));
                        }
                    }
                }
                relay::Output::Watch(mailbox) => {
                    relay.watched.insert(mailbox);
                }
                relay::Output::Unwatch(mailbox) => {
                    relay.watched.remove(&mailbox);
                }
                relay::Output::Judged(..) => {}
                relay::Output::Send(link, message) => {
                    if let Some((who, _)) = self.links.get(&link) {
                        self.wire.push_back((End::Side(*who), link, message));
                    }
                }
                relay::Output::Close(link, error) => panic!("the relay ends {link:?}: {error:?}"),
            }
        }
    }

    /// What was sent goes onto the wire.
    pub(crate) fn collect(&mut self) {
        for (from, side) in self.sides.iter_mut().enumerate() {
            for (link, message) in side.sent.drain(..) {
                let Some((who, other)) = self.links.get(&link) else { continue };
                let to = if *who == from { *other } else { End::Side(*who) };
                self.wire.push_back((to, link, message));
            }
        }
        let closed: Vec<_> = self.sides.iter_mut().flat_map(|side| side.closed.drain(..)).collect();
        closed.into_iter().for_each(|(link, _)| self.hang_up(link));
    }

    pub(crate) fn deliver(&mut self, to: End, link: LinkId, message: Message) {
        self.passed.push((to, message.name().to_owned()));
        match to {
            End::Side(who) => self.sides[who].message(link, message),
            End::Relay(relay) => self.tell_relay(relay, relay::Input::Message { link, message }),
        }
    }

    /// Passes messages until nobody has any more.
    pub(crate) fn run(&mut self) {
        for _ in 0..100_000 {
            self.collect();
            let Some((to, link, message)) = self.wire.pop_front() else { return };
            self.deliver(to, link, message);
        }
        panic!("they never stop: {:?}", &self.passed[self.passed.len() - 20..]);
    }

    /// Passes messages until one of this name would come to somebody; gives it unpassed.
    pub(crate) fn run_to(&mut self, to: End, name: &str) -> (LinkId, Message) {
        for _ in 0..10_000 {
            self.collect();
            let (end, link, message) = self.wire.pop_front().expect("it never comes");
            if (end, message.name()) == (to, name) {
                return (link, message);
            }
            self.deliver(end, link, message);
        }
        panic!("they never stop");
    }

    /// Lets time pass and passes messages.
    pub(crate) fn wait(&mut self, duration: Duration) {
        let end = self.now().after(duration);
        self.run();
        while let Some(due) = self.next_due().filter(|due| *due <= end) {
            self.step_to(due);
            self.run();
        }
        self.step_to(end);
        self.run();
    }

    /// Lets time pass, and nothing arrive.
    pub(crate) fn tick_to(&mut self, duration: Duration) {
        let end = self.now().after(duration);
        while let Some(due) = self.next_due().filter(|due| *due <= end) {
            self.step_to(due);
            self.collect();
        }
        self.step_to(end);
    }

    fn next_due(&self) -> Option<Mono> {
        let sides = self.sides.iter().filter_map(|side| side.account.poll_timeout());
        sides.chain(self.relays.iter().filter_map(|relay| relay.depot.poll_timeout())).min()
    }

    fn step_to(&mut self, due: Mono) {
        let now = at(due.as_millis().max(self.now().as_millis()));
        for side in &mut self.sides {
            side.now = now;
            if side.account.poll_timeout().is_some_and(|at| at <= now.mono) {
                side.give(Input::Tick);
                assert!(side.account.poll_timeout().is_none_or(|next| next > now.mono), "a timer that stays due");
            }
        }
        for place in 0..self.relays.len() {
            if self.relays[place].depot.poll_timeout().is_some_and(|at| at <= now.mono) {
                self.tell_relay(place, relay::Input::Tick);
            }
        }
    }

    pub(crate) fn write(&mut self, from: usize, text: &str) -> LetterId {
        let peer = self.id(1 - from);
        self.sides[from].write(peer, text)
    }

    /// What waits for the other goes by this relay.
    pub(crate) fn store_by(&mut self, who: usize, link: LinkId) {
        let peer = self.id(1 - who);
        self.sides[who].give(Input::StoreBy { peer, link });
    }

    /// Dials a relay and leaves there what waits for the other.
    pub(crate) fn leave_at(&mut self, who: usize, relay: usize) -> LinkId {
        let link = self.visit(who, relay);
        self.store_by(who, link);
        self.run();
        link
    }

    /// The letters of which somebody was told that a relay keeps them.
    pub(crate) fn stored(&self, who: usize) -> Vec<(LetterId, usize)> {
        let place = |id: &ContactId| self.relays.iter().position(|relay| relay.id() == *id).unwrap();
        let stored = self.sides[who].events.iter().filter_map(|event| match event {
            Event::Stored { letter, relay, .. } => Some((*letter, place(relay))),
            _ => None,
        });
        stored.collect()
    }

    /// The relays that somebody wants to be connected with.
    pub(crate) fn needed(&self, who: usize) -> Vec<usize> {
        let place = |id: &ContactId| self.relays.iter().position(|relay| relay.id() == *id).unwrap();
        let needed = self.sides[who].events.iter().filter_map(|event| match event {
            Event::NeedRelay { relay, .. } => Some(place(relay)),
            _ => None,
        });
        needed.collect()
    }

    pub(crate) fn waits(&self, who: usize) -> bool {
        let side = &self.sides[who];
        side.account.waits_for(&side.records, &self.id(1 - who)).unwrap()
    }

    pub(crate) fn is_stored(&self, who: usize) -> bool {
        let side = &self.sides[who];
        side.account.is_stored(&side.records, &self.id(1 - who)).unwrap()
    }

    /// How often a message came to somebody.
    pub(crate) fn count(&self, to: End, name: &str) -> usize {
        self.passed.iter().filter(|(end, what)| (*end, what.as_str()) == (to, name)).count()
    }
}
