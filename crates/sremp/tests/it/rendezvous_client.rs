//! The client of a rendezvous server against the real registry, on a virtual clock.

use crate::people::{Person, at};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use std::time::Duration;
use waypost_core::{ContactId, MemoryRecords, Mono, Now, SaveId};
use waypost_sremp::{
    Error, ErrorCode, IdentityDraft, LinkId, Message,
    endpoint::Endpoint,
    message::{ErrorMessage, ListServersResponse, LookupResponse, RegisterResponse, ServerAddress},
    rendezvous::{
        self, Client, Framing, Registry, RegistryLimits, RegistryPolicy, RegistryTiming,
        client::{Answer, ClientTiming, Event, Failure, Input, Output, Publication, Query},
    },
};
use waypost_testkit::mailbox::MemoryMailbox;

const SERVER: [u8; 32] = [5; 32];

/// A server that can be reached, or not, and can be made to lie.
struct Server {
    registry: Registry,
    mailbox: MemoryMailbox,
    framing: Framing,
    id: [u8; 32],
    is_up: bool,
    /// Takes requests and says nothing.
    is_mute: bool,
    /// Says this instead of its next answer.
    lie: Option<Message>,
    requests: Vec<Message>,
    connections: u32,
}

impl Server {
    fn new(servers: Vec<ServerAddress>) -> Self {
        let policy = RegistryPolicy { servers, ..RegistryPolicy::default() };
        Self {
            registry: Registry::new(SERVER, policy, RegistryLimits::default(), RegistryTiming::default()),
            mailbox: MemoryMailbox::default(),
            framing: Framing::server(),
            id: SERVER,
            is_up: true,
            is_mute: false,
            lie: None,
            requests: Vec::new(),
            connections: 0,
        }
    }

    fn bytes(&mut self, now: Now, mut bytes: &[u8]) -> Vec<u8> {
        while let Some(request) = self.framing.read(&mut bytes).unwrap() {
            self.requests.push(request.clone());
            if self.is_mute {
                continue;
            }
            for answer in self.answers(now, request) {
                self.framing.send(&self.lie.take().unwrap_or(answer)).unwrap();
            }
        }
        self.framing.take_output()
    }

    fn answers(&mut self, now: Now, message: Message) -> Vec<Message> {
        let link = LinkId(self.connections.into());
        self.feed(now, rendezvous::Input::Message { link, message })
    }

    fn feed(&mut self, now: Now, input: rendezvous::Input) -> Vec<Message> {
        let (mut inputs, mut answers) = (vec![input], Vec::new());
        while let Some(input) = inputs.pop() {
            self.registry.handle(now, input);
            while let Some(output) = self.registry.poll() {
                match output {
                    rendezvous::Output::Mailbox(id, ops) => {
                        inputs.push(rendezvous::Input::Mailbox(id, self.mailbox.commit(now.wall, ops)));
                    }
                    rendezvous::Output::Send(_, answer) => answers.push(answer),
                    other => panic!("{other:?}"),
                }
            }
        }
        answers
    }

    /// A connection takes the place of the one before it.
    fn connect(&mut self, now: Now) {
        self.feed(now, rendezvous::Input::Disconnected(LinkId(self.connections.into())));
        self.connections += 1;
        let (link, address) = (LinkId(self.connections.into()), [192, 0, 2, 1].into());
        self.feed(now, rendezvous::Input::Connected { link, address });
        self.framing = Framing::server();
    }
}

/// A client, its records, its server and the time.
struct World {
    client: Client,
    records: MemoryRecords,
    /// Saves that were asked for and not done.
    uncommitted: Vec<SaveId>,
    commits: bool,
    server: Server,
    is_connected: bool,
    /// Connections take their time to close.
    closes_late: bool,
    now: Now,
    rng: ChaCha8Rng,
    events: Vec<Event>,
}

impl World {
    fn new() -> Self {
        Self::with(Vec::new())
    }

    fn with(others: Vec<ServerAddress>) -> Self {
        let now = Now { mono: Mono::from_millis(5), wall: at(0) };
        Self {
            client: Client::new(ClientTiming::default()),
            records: MemoryRecords::default(),
            uncommitted: Vec::new(),
            commits: true,
            server: Server::new(others),
            is_connected: false,
            closes_late: false,
            now,
            rng: ChaCha8Rng::seed_from_u64(3),
            events: Vec::new(),
        }
    }

    /// The program ends and starts again; what it keeps is in its records.
    fn restart(&mut self) {
        self.client = Client::new(ClientTiming::default());
        self.is_connected = false;
    }

    fn input(&mut self, input: Input<'_>) {
        self.client.handle(self.now, &mut self.rng, &self.records, input).unwrap();
        while let Some(output) = self.client.poll() {
            match output {
                Output::Connect if self.server.is_up => {
                    assert!(!self.is_connected);
                    self.is_connected = true;
                    self.server.connect(self.now);
                    self.input(Input::Connected { server_id: self.server.id });
                }
                Output::Connect => self.input(Input::Closed),
                Output::Send(bytes) => {
                    assert!(self.is_connected);
                    let answer = self.server.bytes(self.now, &bytes);
                    self.input(Input::Bytes(&answer));
                }
                Output::Close => {
                    self.is_connected = false;
                    if !self.closes_late {
                        self.input(Input::Closed);
                    }
                }
                Output::Save(id, changes) => {
                    self.records.apply(changes);
                    if self.commits {
                        self.input(Input::Saved(id));
                    } else {
                        self.uncommitted.push(id);
                    }
                }
                Output::Event(event) => self.events.push(event),
            }
        }
    }

    /// Lets time pass, and the client act whenever it wants.
    fn pass(&mut self, time: Duration) {
        let (start, end) = (self.now, self.now.mono.after(time));
        let mut ticks = 0;
        while let Some(due) = self.client.poll_timeout().filter(|due| *due <= end) {
            let mono = due.max(self.now.mono);
            self.now = Now { mono, wall: start.wall.after(mono.since(start.mono)) };
            self.input(Input::Tick);
            ticks += 1;
            assert!(ticks < 10_000, "it never sleeps");
        }
        self.now = Now { mono: end, wall: start.wall.after(time) };
    }

    fn publish(&mut self, person: &Person, host: &str) {
        let publication = Publication {
            identity: person.identity.clone(),
            signing: person.signing.clone(),
            endpoint: Endpoint::new(host, 4433).unwrap(),
            ttl_seconds: 600,
        };
        self.input(Input::Publish(Box::new(publication)));
    }

    /// What the server says to a question.
    fn ask(&mut self, query: Query) -> Result<Answer, Failure> {
        let ticket = 77;
        self.input(Input::Ask { ticket, query });
        let answers = self.events.extract_if(.., |event| matches!(event, Event::Answer { .. }));
        match &answers.collect::<Vec<_>>()[..] {
            [Event::Answer { ticket: 77, answer }] => answer.clone(),
            other => panic!("{other:?}"),
        }
    }

    fn find(&mut self, target: ContactId) -> Option<String> {
        match self.ask(Query::Peer(target)) {
            Ok(Answer::Peer(found)) => found.map(|found| found.peer.endpoint.to_string()),
            other => panic!("{other:?}"),
        }
    }

    fn take_events(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.events)
    }

    fn seqs(&self) -> Vec<u64> {
        let seq = |message: &Message| match message {
            Message::RegisterRequest(request) => Some(request.seq),
            _ => None,
        };
        self.server.requests.iter().filter_map(seq).collect()
    }

    /// What the server would answer to somebody who asks for this person.
    fn true_answer(&mut self, target: ContactId) -> LookupResponse {
        let request = waypost_sremp::message::LookupRequest {
            target_identity: Some(target),
            list_all: false,
            after: None,
            limit: None,
        };
        match &self.server.answers(self.now, request.into())[..] {
            [Message::LookupResponse(response)] => response.clone(),
            other => panic!("{other:?}"),
        }
    }
}

fn discoverable(seed: u64) -> Person {
    let mut person = Person::new("Somebody", seed);
    let mut draft = IdentityDraft::next(&person.identity, at(0)).unwrap();
    draft.flags.discoverable = Some(true);
    person.identity = draft.sign(&person.signing).unwrap();
    person
}

/// SR-7.1b, SR-7.1c: half of 600 s, give or take a tenth.
#[test]
fn keeps_a_registration_alive_and_a_connection_only_while_it_asks() {
    let (mut world, alice) = (World::new(), Person::new("Alice", 1));
    world.publish(&alice, "192.0.2.7");
    assert!(matches!(&world.take_events()[..], [Event::Registered { .. }]));
    assert!(world.is_connected);
    world.pass(Duration::from_secs(6));
    assert!(!world.is_connected, "it has nothing to ask");
    world.pass(Duration::from_secs(3600));
    let renewals = world.take_events().len();
    assert!((3600 / 330..=3600 / 270).contains(&renewals), "{renewals}");
    assert_eq!(world.server.connections as usize, 1 + renewals);
    assert_eq!(world.find(alice.id()).as_deref(), Some("192.0.2.7:4433"));
    assert!(world.seqs().is_sorted_by(|a, b| a < b));
}

/// SR-7.1b: a clean stop, or the user's wish.
#[test]
fn leaves_when_the_user_wants_it() {
    let (mut world, alice) = (World::new(), Person::new("Alice", 1));
    world.input(Input::Withdraw);
    assert_eq!(world.take_events(), [Event::Left { confirmed: true }], "nobody has to be told");
    assert_eq!(world.server.connections, 0);
    world.publish(&alice, "192.0.2.7");
    world.take_events();
    world.input(Input::Withdraw);
    assert_eq!(world.take_events(), [Event::Left { confirmed: true }]);
    assert_eq!(world.find(alice.id()), None);
    world.pass(Duration::from_secs(7200));
    assert_eq!(world.seqs().len(), 2, "no renewal");
    world.publish(&alice, "192.0.2.8");
    world.pass(Duration::from_secs(10));
    world.take_events();
    world.server.is_up = false;
    world.input(Input::Withdraw);
    assert!(matches!(&world.take_events()[..], [Event::Offline { .. }, Event::Left { confirmed: false }]));
    assert_eq!(world.client.poll_timeout(), None);
}

#[test]
fn asks_for_no_tick_while_a_connection_it_ended_is_not_gone() {
    let (mut world, alice) = (World::new(), Person::new("Alice", 1));
    world.closes_late = true;
    world.server.lie = Some(Message::Unknown { name: "NEWS".into() });
    world.publish(&alice, "192.0.2.7");
    assert!(matches!(&world.take_events()[..], [Event::Offline { fault: Some(_), .. }]));
    assert_eq!(world.client.poll_timeout(), None);
    world.closes_late = false;
    world.input(Input::Closed);
    world.pass(Duration::from_secs(2));
    assert!(matches!(&world.take_events()[..], [Event::Registered { .. }]));
}

/// SR-7.1e
#[test]
fn uses_no_seq_before_it_is_durable_and_none_twice_after_a_restart() {
    let (mut world, alice) = (World::new(), Person::new("Alice", 1));
    world.commits = false;
    world.publish(&alice, "192.0.2.7");
    assert!(world.seqs().is_empty());
    let [save] = world.uncommitted[..] else { panic!() };
    world.input(Input::Saved(save));
    assert_eq!(world.seqs(), [world.now.wall.as_millis()], "it starts at Unix ms");
    world.commits = true;
    // The clock stands still: only the records know that the seq was used.
    world.restart();
    world.publish(&alice, "192.0.2.7");
    assert_eq!(world.seqs(), [world.now.wall.as_millis(), world.now.wall.as_millis() + 1]);
    assert_eq!(world.take_events().len(), 2);
}

#[test]
fn a_new_endpoint_replaces_the_old_one_at_once() {
    let (mut world, alice) = (World::new(), Person::new("Alice", 1));
    world.publish(&alice, "192.0.2.7");
    world.publish(&alice, "192.0.2.8");
    assert_eq!(world.find(alice.id()).as_deref(), Some("192.0.2.8:4433"));
}

/// SR-7.2d, checklist 18: nothing that the peer did not sign, or signed earlier, comes out.
#[test]
fn believes_no_endpoint_that_its_owner_did_not_sign_last() {
    let (mut world, alice, eve) = (World::new(), Person::new("Alice", 1), Person::new("Eve", 2));
    world.publish(&alice, "192.0.2.7");
    let older = world.true_answer(alice.id());
    world.pass(Duration::from_secs(1));
    world.publish(&alice, "192.0.2.8");
    let newest = world.true_answer(alice.id());
    assert_eq!(world.find(alice.id()).as_deref(), Some("192.0.2.8:4433"));
    let altered = |change: &dyn Fn(&mut waypost_sremp::message::PeerInfo)| {
        let mut response = newest.clone();
        change(&mut response.peers[0]);
        response
    };
    let lies = [
        (older, ErrorCode::RegSeq),
        (altered(&|peer| peer.endpoint.host = "203.0.113.9".to_owned()), ErrorCode::RegSig),
        (altered(&|peer| peer.registration.as_mut().unwrap().server = [6; 32]), ErrorCode::RegSig),
        (altered(&|peer| peer.registration = None), ErrorCode::RegSig),
        (altered(&|peer| peer.identity = eve.identity.signed().clone()), ErrorCode::Auth),
        (altered(&|peer| peer.identity.signature.0[0] ^= 1), ErrorCode::IdSig),
    ];
    for (lie, code) in lies {
        world.server.lie = Some(lie.into());
        let answer = world.ask(Query::Peer(alice.id()));
        assert!(matches!(&answer, Err(Failure::Distrusted(error)) if error.code() == code), "{code}: {answer:?}");
    }
    assert_eq!(world.find(alice.id()).as_deref(), Some("192.0.2.8:4433"), "the server is asked on");
    // The highest seq outlives the program.
    world.restart();
    let mut set_back = newest.clone();
    set_back.peers[0].registration.as_mut().unwrap().seq -= 1;
    world.server.lie = Some(set_back.into());
    assert!(matches!(world.ask(Query::Peer(alice.id())), Err(Failure::Distrusted(_))));
    world.pass(Duration::from_secs(3600 + 601));
    world.server.lie = Some(newest.into());
    let late = world.ask(Query::Peer(alice.id()));
    assert!(matches!(&late, Err(Failure::Distrusted(error)) if error.code() == ErrorCode::Expired), "{late:?}");
}

#[test]
fn says_where_a_peer_is_only_after_its_seq_is_durable() {
    let (mut world, alice) = (World::new(), Person::new("Alice", 1));
    world.publish(&alice, "192.0.2.7");
    world.take_events();
    world.commits = false;
    world.input(Input::Ask { ticket: 1, query: Query::Peer(alice.id()) });
    assert_eq!(world.take_events(), []);
    let [save] = world.uncommitted[..] else { panic!() };
    world.input(Input::Saved(save));
    assert!(matches!(&world.take_events()[..], [Event::Answer { ticket: 1, answer: Ok(Answer::Peer(Some(_))) }]));
}

#[test]
fn matches_answers_to_requests_in_order() {
    let (mut world, alice, bob) = (World::new(), Person::new("Alice", 1), Person::new("Bob", 2));
    world.commits = false;
    world.publish(&alice, "192.0.2.7");
    for (ticket, query) in [(1, Query::Peer(bob.id())), (2, Query::Servers), (3, Query::Peer(alice.id()))] {
        world.input(Input::Ask { ticket, query });
    }
    assert!(world.server.requests.is_empty(), "nothing overtakes what is not durable");
    world.commits = true;
    world.input(Input::Saved(world.uncommitted[0]));
    assert_eq!(world.server.requests.len(), 4);
    let events = world.take_events();
    assert!(matches!(&events[0], Event::Registered { .. }));
    assert!(matches!(&events[1], Event::Answer { ticket: 1, answer: Ok(Answer::Peer(None)) }));
    assert!(matches!(&events[2], Event::Answer { ticket: 2, answer: Ok(Answer::Servers(_)) }));
    assert!(matches!(&events[3], Event::Answer { ticket: 3, answer: Ok(Answer::Peer(Some(_))) }));
}

/// SR-7.2c
#[test]
fn lists_page_by_page_who_wants_to_be_listed() {
    let mut world = World::new();
    let mut expected = Vec::new();
    for seed in 0..60 {
        let person = discoverable(seed);
        let mut other = World::new();
        std::mem::swap(&mut other.server, &mut world.server);
        other.publish(&person, "192.0.2.7");
        std::mem::swap(&mut other.server, &mut world.server);
        expected.push(person.id());
    }
    expected.sort();
    let (mut found, mut after, mut pages) = (Vec::new(), None, 0);
    loop {
        let Ok(Answer::List { peers, next }) = world.ask(Query::List { after }) else { panic!() };
        found.extend(peers.iter().map(|found| found.peer.identity.key()));
        pages += 1;
        after = next;
        if next.is_none() {
            break;
        }
    }
    assert!(found == expected && pages > 1, "{pages} pages of {}", found.len());
}

#[test]
fn a_list_holds_nobody_who_does_not_check_or_does_not_want_to_be_there() {
    let (mut world, alice, shy) = (World::new(), discoverable(1), Person::new("Shy", 2));
    world.publish(&shy, "192.0.2.8");
    let shy = world.true_answer(shy.id()).peers.remove(0);
    world.publish(&alice, "192.0.2.7");
    let honest = world.true_answer(alice.id()).peers.remove(0);
    let mut altered = honest.clone();
    altered.endpoint.port = 1;
    let peers = vec![altered, shy, honest.clone(), honest];
    let next = Some(ContactId::from_bytes([0; 32]));
    world.server.lie = Some(LookupResponse { peers, error_message: None, error_code: None, next }.into());
    let Ok(Answer::List { peers, next }) = world.ask(Query::List { after: next }) else { panic!() };
    assert_eq!(peers.len(), 1);
    assert_eq!((peers[0].peer.endpoint.port(), next), (4433, None), "no page comes twice");
}

/// SR-7.3
#[test]
fn shows_other_servers_but_none_in_private_networks() {
    let server = |host: &str, name: Option<&str>| ServerAddress {
        host: host.to_owned(),
        port: 7,
        name: name.map(str::to_owned),
        spki: Some([1; 32]),
    };
    let mut world = World::with(vec![
        server("rdv.example", Some("A server")),
        server("10.0.0.1", None),
        server("Not A Host", None),
        server("rdv.example", None),
        server("192.0.2.1", Some("control\u{7}")),
        server("::1", None),
    ]);
    let Ok(Answer::Servers(shown)) = world.ask(Query::Servers) else { panic!() };
    let shown: Vec<_> = shown.iter().map(|one| (one.server.endpoint.to_string(), one.name.as_deref())).collect();
    assert_eq!(shown, [("rdv.example:7".to_owned(), Some("A server")), ("192.0.2.1:7".to_owned(), None)]);
    let many = (0..100).map(|n| server(&format!("s{n}.example"), None)).collect();
    world.server.lie = Some(ListServersResponse { servers: many, timestamp: at(0) }.into());
    let Ok(Answer::Servers(shown)) = world.ask(Query::Servers) else { panic!() };
    assert_eq!(shown.len(), 32);
}

#[test]
fn backs_off_from_a_server_that_is_down_and_registers_when_it_is_back() {
    let (mut world, alice) = (World::new(), Person::new("Alice", 1));
    world.server.is_up = false;
    world.publish(&alice, "192.0.2.7");
    world.pass(Duration::from_secs(3600));
    let pauses: Vec<_> = world.take_events();
    assert!((20..60).contains(&pauses.len()), "{}", pauses.len());
    for (n, event) in pauses.iter().enumerate() {
        let most = Duration::from_secs((1 << n.min(9)).min(300));
        assert!(matches!(event, Event::Offline { retry, fault: None } if *retry <= most), "{n}: {event:?}");
    }
    let failed = world.ask(Query::Servers);
    assert_eq!(failed, Err(Failure::Unreachable), "a question does not wait for better times");
    world.server.is_up = true;
    world.pass(Duration::from_secs(300));
    assert!(world.take_events().iter().any(|event| matches!(event, Event::Registered { .. })));
    assert!(matches!(world.ask(Query::Servers), Ok(Answer::Servers(_))));
}

#[test]
fn asks_again_once_when_a_connection_in_use_ends() {
    let mut world = World::new();
    assert!(world.ask(Query::Servers).is_ok());
    world.server.is_mute = true;
    world.input(Input::Ask { ticket: 1, query: Query::Servers });
    world.server.is_mute = false;
    world.is_connected = false;
    world.input(Input::Closed);
    assert!(matches!(&world.take_events()[..], [Event::Answer { ticket: 1, answer: Ok(_) }]));
    assert_eq!(world.server.connections, 2);
}

#[test]
fn gives_up_on_a_server_that_does_not_answer_in_time() {
    let mut world = World::new();
    world.server.is_mute = true;
    world.input(Input::Ask { ticket: 1, query: Query::Servers });
    world.pass(Duration::from_millis(9_999));
    assert!(world.is_connected && world.take_events().is_empty());
    world.pass(Duration::from_millis(1));
    assert!(!world.is_connected);
    let events = world.take_events();
    assert!(events.contains(&Event::Answer { ticket: 1, answer: Err(Failure::Unreachable) }), "{events:?}");
    assert!(events.iter().any(|event| matches!(event, Event::Offline { fault: Some(_), .. })), "{events:?}");
}

#[test]
fn ends_a_connection_on_what_is_no_answer() {
    let wrong: [Message; 2] = [
        RegisterResponse {
            success: true,
            expires_at: at(0),
            renewal_interval: 1,
            error_message: None,
            error_code: None,
        }
        .into(),
        ErrorMessage { fatal: true, ..ErrorMessage::new(ErrorCode::Malformed) }.into(),
    ];
    for wrong in wrong {
        let mut world = World::new();
        world.server.lie = Some(wrong);
        assert_eq!(world.ask(Query::Servers), Err(Failure::Unreachable));
        assert!(!world.is_connected);
        assert!(matches!(&world.take_events()[..], [Event::Offline { fault: Some(_), .. }]));
    }
    let mut world = World::new();
    assert!(world.ask(Query::Servers).is_ok());
    world.input(Input::Bytes(&[0, 0, 0, 0]));
    assert!(!world.is_connected);
    let fault = Some(Error::Malformed("a message of this length"));
    assert!(matches!(&world.take_events()[..], [Event::Offline { fault: said, .. }] if *said == fault));
}

#[test]
fn tells_of_refusals_and_waits_where_that_may_help() {
    let (mut world, alice) = (World::new(), Person::new("Alice", 1));
    let refusal = |code: ErrorCode| RegisterResponse {
        success: false,
        expires_at: at(0),
        renewal_interval: 0,
        error_message: None,
        error_code: Some(code.value()),
    };
    world.server.lie = Some(refusal(ErrorCode::Rate).into());
    world.publish(&alice, "192.0.2.7");
    let minute = Duration::from_secs(60);
    assert_eq!(world.take_events(), [Event::NotRegistered { code: Some(ErrorCode::Rate), retry: Some(minute) }]);
    world.pass(minute);
    assert!(matches!(&world.take_events()[..], [Event::Registered { .. }]));
    world.server.lie = Some(refusal(ErrorCode::IdFork).into());
    world.publish(&alice, "192.0.2.9");
    assert_eq!(world.take_events(), [Event::NotRegistered { code: Some(ErrorCode::IdFork), retry: None }]);
    let asked = world.seqs().len();
    world.pass(Duration::from_secs(7200));
    assert_eq!(world.seqs().len(), asked, "the same would be refused again");
    world.server.lie =
        Some(LookupResponse { peers: Vec::new(), error_message: None, error_code: Some(23), next: None }.into());
    let refused = Failure::Refused { code: Some(ErrorCode::Rate), retry: Some(minute) };
    assert_eq!(world.ask(Query::Peer(alice.id())), Err(refused));
}

#[test]
fn takes_a_bounded_number_of_questions() {
    let mut world = World::new();
    world.server.is_mute = true;
    for ticket in 0..65 {
        world.input(Input::Ask { ticket, query: Query::Servers });
    }
    assert_eq!(world.take_events(), [Event::Answer { ticket: 64, answer: Err(Failure::Crowded) }]);
}
