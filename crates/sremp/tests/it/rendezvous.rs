//! The rendezvous server beyond what the vectors show: durability, limits, expiry.

use crate::people::{Person, at};
use std::net::IpAddr;
use std::time::Duration;
use waypost_core::{ContactId, MemoryRecords, Mono, Now, Records, Space};
use waypost_sremp::{
    IdentityDraft, LinkId, Message,
    endpoint::Endpoint,
    message::{DirectMessage, LookupRequest, LookupResponse, RegisterRequest, RegisterResponse, ServerAddress},
    rendezvous::{Input, Output, Registry, RegistryLimits, RegistryTiming, check_peer_info},
};

const SERVER: [u8; 32] = [5; 32];

struct World {
    registry: Registry,
    records: MemoryRecords,
    now: Now,
    commits: bool,
}

impl World {
    fn new(limits: RegistryLimits) -> Self {
        let now = Now { mono: Mono::from_millis(5), wall: at(0) };
        let registry = Registry::new(now, SERVER, Vec::new(), limits, RegistryTiming::default());
        Self { registry, records: MemoryRecords::default(), now, commits: true }
    }

    fn pass(&mut self, time: Duration) {
        self.now = Now { mono: self.now.mono.after(time), wall: self.now.wall.after(time) };
    }

    fn take(&mut self, input: Input) -> Vec<Message> {
        self.registry.handle(self.now, &self.records, input).unwrap();
        let mut sent = Vec::new();
        while let Some(output) = self.registry.poll() {
            match output {
                Output::Save(id, changes) => {
                    self.records.apply(changes);
                    if self.commits {
                        self.registry.handle(self.now, &self.records, Input::Saved(id)).unwrap();
                    }
                }
                Output::Send(_, message) => sent.push(message),
            }
        }
        sent
    }

    fn ask(&mut self, from: &str, message: impl Into<Message>) -> Vec<Message> {
        let address: IpAddr = from.parse().unwrap();
        self.take(Input::Message { link: LinkId(1), address, message: message.into() })
    }

    fn register(&mut self, person: &Person, seq: u64, ttl: u32) -> RegisterResponse {
        let endpoint = Endpoint::new("192.0.2.7", 4433).unwrap();
        let request =
            RegisterRequest::signed(&SERVER, &person.signing, &person.identity, &endpoint, ttl, seq, self.now.wall);
        match &self.ask("192.0.2.1", request)[..] {
            [Message::RegisterResponse(response)] => response.clone(),
            other => panic!("{other:?}"),
        }
    }

    fn lookup(&mut self, from: &str, request: LookupRequest) -> LookupResponse {
        match &self.ask(from, request)[..] {
            [Message::LookupResponse(response)] => response.clone(),
            other => panic!("{other:?}"),
        }
    }
}

fn target(person: &Person) -> LookupRequest {
    LookupRequest { target_identity: Some(person.id()), list_all: false, after: None, limit: None }
}

fn list(after: Option<ContactId>, limit: Option<u16>) -> LookupRequest {
    LookupRequest { target_identity: None, list_all: true, after, limit }
}

fn discoverable(seed: u64) -> Person {
    let mut person = Person::new("Somebody", seed);
    let mut draft = IdentityDraft::next(&person.identity, at(0)).unwrap();
    draft.flags.discoverable = Some(true);
    person.identity = draft.sign(&person.signing).unwrap();
    person
}

/// SR-2.2b
#[test]
fn serves_nothing_but_the_registry() {
    let mut world = World::new(RegistryLimits::default());
    let direct = DirectMessage { message_id: 1, encrypted_blob: vec![1].into() };
    let answers = world.ask("192.0.2.1", direct);
    assert!(matches!(&answers[..], [Message::Error(error)] if (error.code, error.fatal) == (6, false)));
    // An error is never answered by an error.
    assert!(world.ask("192.0.2.1", answers[0].clone()).is_empty());
}

/// SR-7.1b: what is confirmed survives.
#[test]
fn confirms_no_registration_before_it_is_durable() {
    let alice = Person::new("Alice", 1);
    let mut world = World::new(RegistryLimits::default());
    world.commits = false;
    let endpoint = Endpoint::new("192.0.2.7", 4433).unwrap();
    let request = RegisterRequest::signed(&SERVER, &alice.signing, &alice.identity, &endpoint, 600, 1, world.now.wall);
    assert!(world.ask("192.0.2.1", request).is_empty());
    assert!(world.ask("192.0.2.1", target(&alice)).is_empty());
    let answers = world.take(Input::Saved(waypost_core::SaveId(1)));
    let [Message::RegisterResponse(registered), Message::LookupResponse(found)] = &answers[..] else {
        panic!("{answers:?}")
    };
    assert!(registered.success);
    let fresh = check_peer_info(&found.peers[0], &alice.id(), &SERVER, world.now.wall, 0).unwrap();
    assert_eq!((fresh.endpoint, fresh.seq), (endpoint, 1));
}

/// SR-7.1c, SR-7.1e: a day after its end a registration is forgotten, and its seq with it.
#[test]
fn forgets_registrations_a_day_after_they_are_over() {
    let alice = discoverable(1);
    let mut world = World::new(RegistryLimits::default());
    let spaces = [Space("rendezvous/registration"), Space("rendezvous/listed"), Space("rendezvous/due")];
    let count = |world: &World| spaces.map(|space| world.records.count(space, &[]).unwrap());
    assert!(world.register(&alice, 9, 600).success);
    assert!(world.register(&alice, 10, 600).success);
    assert_eq!(count(&world), [1, 1, 1]);
    world.pass(Duration::from_secs(600));
    world.take(Input::Tick);
    assert_eq!(count(&world), [1, 0, 1]);
    world.pass(Duration::from_secs(24 * 3600 - 1));
    assert_eq!(world.register(&alice, 10, 60).error_code, Some(31));
    world.pass(Duration::from_secs(1));
    assert!(world.lookup("192.0.2.1", target(&alice)).peers.is_empty());
    world.take(Input::Tick);
    assert_eq!(count(&world), [0, 0, 0]);
    assert!(world.register(&alice, 1, 60).success);
    // Leaving is remembered for a day too.
    assert!(world.register(&alice, 2, 0).success);
    assert_eq!(count(&world), [1, 0, 1]);
    assert_eq!(world.register(&alice, 2, 60).error_code, Some(31));
}

/// SR-7.2c
#[test]
fn pages_through_those_who_want_to_be_listed() {
    let mut people: Vec<_> = (1..=12).map(discoverable).collect();
    people.sort_by_key(Person::id);
    let mut world = World::new(RegistryLimits { page: 5, round: 4, ..RegistryLimits::default() });
    world.register(&Person::new("Hidden", 99), 1, 3600);
    for (index, person) in people.iter().enumerate() {
        // Some are gone before anybody asks.
        world.register(person, 1, if index % 3 == 0 { 60 } else { 600 });
    }
    world.pass(Duration::from_secs(60));
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let page = world.lookup("192.0.2.1", list(after, Some(2)));
        assert!(page.peers.len() <= 2);
        found.extend(page.peers.iter().map(|peer| peer.identity.verify().unwrap().key()));
        match page.next {
            Some(next) => after = Some(next),
            None => break,
        }
    }
    let wanted: Vec<_> = (0..12).filter(|index| index % 3 != 0).map(|index| people[index].id()).collect();
    assert_eq!(found, wanted);
}

/// SR-7.1d: only what the owner alone can make counts.
#[test]
fn limits_how_often_one_may_ask_or_register() {
    let (alice, bob) = (Person::new("Alice", 1), Person::new("Bob", 2));
    let mut world = World::new(RegistryLimits::default());
    for seq in 1..=10 {
        assert!(world.register(&alice, seq, 600).success);
    }
    assert!(world.register(&alice, 10, 600).success);
    assert_eq!(world.register(&alice, 11, 600).error_code, Some(23));
    assert!(world.register(&bob, 1, 600).success);
    for _ in 0..60 {
        assert_eq!(world.lookup("2001:db8::1", target(&alice)).peers.len(), 1);
    }
    // One customer has a whole /64.
    assert_eq!(world.lookup("2001:db8::2", target(&alice)).error_code, Some(23));
    assert_eq!(world.lookup("2001:db8:0:1::1", target(&alice)).error_code, None);
    for _ in 0..10 {
        assert_eq!(world.lookup("192.0.2.3", list(None, None)).error_code, None);
    }
    assert_eq!(world.lookup("::ffff:192.0.2.3", list(None, None)).error_code, Some(23));
    world.pass(Duration::from_secs(60));
    assert!(world.register(&alice, 11, 600).success);
    assert_eq!(world.lookup("192.0.2.3", list(None, None)).error_code, None);
}

/// SR-7.3
#[test]
fn suggests_at_most_thirty_two_servers() {
    let server = ServerAddress { host: "rdv.example".to_owned(), port: 4434, name: None, spki: None };
    let now = Now::default();
    let servers = vec![server; 40];
    let mut world = World::new(RegistryLimits::default());
    world.registry = Registry::new(now, SERVER, servers, RegistryLimits::default(), RegistryTiming::default());
    let answers = world.ask("192.0.2.1", waypost_sremp::message::ListServersRequest {});
    assert!(matches!(&answers[..], [Message::ListServersResponse(response)] if response.servers.len() == 32));
}
