//! The client of a rendezvous server of `waypost-sremp`, whose server does what it likes.

use crate::{
    peer::{put, step},
    people::{NOW, Person},
    rendezvous::SERVER,
};
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};
use std::{
    collections::{BTreeMap, VecDeque},
    sync::OnceLock,
    time::Duration,
};
use waypost_core::{ContactId, MemoryRecords, Mono, Now, Records, SaveId, Space};
use waypost_sremp::{
    IdentityDraft, Message,
    endpoint::Endpoint,
    message::{
        ErrorMessage, ListServersResponse, LookupResponse, PeerInfo, RegisterResponse, Registration, ServerAddress,
    },
    rendezvous::{
        Client, Framing,
        client::{Answer, ClientTiming, Event, Input, Output, Publication, Query},
        registration_content,
    },
    version::OWN_HEADER,
};

/// Steps of an input: more teach nothing new.
const STEPS: usize = 48;
/// Where the client keeps the last seq it used.
const SEQ: Space = Space("rendezvous-client/seq");
/// Outputs for which one input may be the reason: it may end all questions.
const OUTPUTS: usize = 256;

/// Steps as in [`connection`](crate::connection()): bytes and framed messages of the server, true answers and refusals,
/// publications and questions, connections that come, fail and break, saves that are held up, restarts that lose
/// them, time.
///
/// Whatever the server does: every call succeeds, each question is answered once, what was asked for and
/// nothing else; no seq is used twice or before it is kept; nothing is sent without a connection; no timer stays
/// in the past.
pub fn rendezvous_client(mut data: &[u8]) {
    let Some(mut user) = User::new() else { return };
    for _ in 0..STEPS {
        let Some((kind, content)) = step(&mut data) else { break };
        match kind % 13 {
            0 => user.bytes(content),
            1 => user.decoded(content),
            2 | 3 => user.answer(content),
            4 => user.refuse(content),
            5 => user.publish(content),
            6 => user.give(Input::Withdraw),
            7 | 8 => user.ask(content),
            9 => user.wait(Duration::from_secs(u64::from(content.first().copied().unwrap_or(10)).pow(2))),
            10 => user.connect(content.is_empty()),
            11 => user.hold(),
            _ => user.restart(),
        }
    }
    user.end();
}

/// The connection, as the shell knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Link {
    None,
    /// Asked for.
    Wanted,
    Open,
    /// To be closed.
    Ended,
}

struct User {
    client: Client,
    people: &'static [Person],
    endpoint: Endpoint,
    records: MemoryRecords,
    /// While saves are held up: what was durable before.
    durable: Option<MemoryRecords>,
    last_save: Option<SaveId>,
    link: Link,
    /// What the server reads.
    framing: Framing,
    asked: VecDeque<Message>,
    /// Questions without an answer.
    open: BTreeMap<u64, Query>,
    tickets: u64,
    /// The last one the server saw.
    seq: u64,
    /// The highest one shown of each.
    seen: BTreeMap<ContactId, u64>,
    now: Now,
    rng: ChaCha20Rng,
}

impl User {
    fn new() -> Option<Self> {
        static PEOPLE: OnceLock<Option<Vec<Person>>> = OnceLock::new();
        let people = PEOPLE.get_or_init(|| [1, 2, 3].into_iter().map(discoverable).collect()).as_ref()?;
        Some(Self {
            client: Client::new(ClientTiming::default()),
            people,
            endpoint: Endpoint::new("192.0.2.7", 4433).ok()?,
            records: MemoryRecords::default(),
            durable: None,
            last_save: None,
            link: Link::None,
            framing: Framing::server(),
            asked: VecDeque::new(),
            open: BTreeMap::new(),
            tickets: 0,
            seq: 0,
            seen: BTreeMap::new(),
            now: Now { mono: Mono::default(), wall: NOW },
            rng: ChaCha20Rng::from_seed([7; 32]),
        })
    }

    /// What no server may bring to fail.
    fn give(&mut self, input: Input<'_>) {
        let done = self.client.handle(self.now, &mut self.rng, &self.records, input);
        assert_eq!(done, Ok(()));
        self.drain();
    }

    fn drain(&mut self) {
        let mut outputs = 0;
        loop {
            while let Some(output) = self.client.poll() {
                outputs += 1;
                assert!(outputs <= OUTPUTS, "outputs without end");
                self.output(output);
            }
            if self.durable.is_some() {
                return;
            }
            let Some(id) = self.last_save.take() else { return };
            assert_eq!(self.client.handle(self.now, &mut self.rng, &self.records, Input::Saved(id)), Ok(()));
        }
    }

    fn output(&mut self, output: Output) {
        match output {
            Output::Connect => {
                assert_eq!(self.link, Link::None, "a second connection");
                self.link = Link::Wanted;
            }
            Output::Close => {
                assert_eq!(self.link, Link::Open, "nothing to close");
                self.link = Link::Ended;
            }
            Output::Send(bytes) => {
                assert_eq!(self.link, Link::Open, "nobody to send to");
                self.read(&bytes);
            }
            Output::Save(id, changes) => {
                self.records.apply(changes);
                assert!(self.last_save.is_none_or(|last| last < id));
                self.last_save = Some(id);
            }
            Output::Event(Event::Answer { ticket, answer }) => {
                let query = self.open.remove(&ticket);
                assert!(query.is_some(), "a question is answered twice");
                if let (Some(query), Ok(answer)) = (query, answer) {
                    self.check(query, &answer);
                }
            }
            Output::Event(_) => {}
        }
    }

    /// What the client sent: a seq is kept before it is used.
    fn read(&mut self, mut bytes: &[u8]) {
        loop {
            let read = self.framing.read(&mut bytes);
            assert!(read.is_ok(), "the client sends what is no message");
            let Ok(Some(message)) = read else { return };
            if let Message::RegisterRequest(request) = &message {
                assert!(request.seq > self.seq, "a seq is used twice");
                self.seq = request.seq;
                let kept = self.durable.as_ref().unwrap_or(&self.records).record(SEQ, &SERVER);
                let kept = kept.ok().flatten().and_then(|bytes| bytes.try_into().ok()).map(u64::from_be_bytes);
                let is_kept = self.last_save.is_none() && kept >= Some(request.seq);
                assert!(is_kept, "a seq is used before it is kept");
            }
            self.asked.push_back(message);
        }
    }

    fn check(&mut self, query: Query, answer: &Answer) {
        let fits = match (query, answer) {
            (Query::Peer(_), Answer::Peer(None)) => true,
            (Query::Peer(target), Answer::Peer(Some(found))) => {
                let seen = self.seen.insert(target, found.peer.seq);
                found.peer.identity.key() == target && seen <= Some(found.peer.seq)
            }
            (Query::List { after }, Answer::List { peers, next }) => {
                let keys: Vec<_> = peers.iter().map(|found| found.peer.identity.key()).collect();
                let is_behind = |key: &ContactId| after.is_none_or(|after| *key > after);
                keys.is_sorted() && keys.iter().all(is_behind) && next.iter().all(is_behind)
            }
            (Query::Servers, Answer::Servers(servers)) => servers.len() <= 32,
            _ => false,
        };
        assert!(fits, "{query:?}: {answer:?}");
    }

    /// What arrives, if there is a connection.
    fn bytes(&mut self, bytes: &[u8]) {
        if matches!(self.link, Link::Open | Link::Ended) {
            self.give(Input::Bytes(bytes));
        }
    }

    fn message(&mut self, message: &Message) {
        let mut server = Framing::client();
        server.take_output();
        if server.send(message).is_ok() {
            self.bytes(&server.take_output());
        }
    }

    fn decoded(&mut self, content: &[u8]) {
        if let Ok(message) = Message::decode(content) {
            self.message(&message);
        }
    }

    /// The answer to the oldest question, with numbers of the server's choice.
    fn answer(&mut self, content: &[u8]) {
        let Some(asked) = self.asked.pop_front() else { return };
        let (now, byte) = (self.now.wall, |at: usize| content.get(at).copied().unwrap_or_default());
        self.message(&match asked {
            Message::RegisterRequest(_) => {
                let (success, expires_at) = (byte(1) == 0, now.after(Duration::from_secs(600)));
                let renewal_interval = u32::from(byte(0)).pow(3);
                let (error_message, error_code) = (None, None);
                RegisterResponse { success, expires_at, renewal_interval, error_message, error_code }.into()
            }
            Message::LookupRequest(asked) => {
                let wanted = asked.target_identity;
                let about = self.people.iter().filter(|person| wanted.is_none_or(|key| key == person.identity.key()));
                let mut peers: Vec<_> =
                    about.filter_map(|person| Some((person.identity.key(), self.info(person, content)?))).collect();
                if byte(3) & 2 == 0 {
                    peers.sort_by_key(|(key, _)| *key);
                }
                let peers = peers.into_iter().map(|(_, info)| info).collect();
                let next = (byte(3) & 1 != 0).then(|| ContactId::from_bytes([byte(4); 32]));
                LookupResponse { peers, error_message: None, error_code: None, next }.into()
            }
            _ => {
                let name = Some("n".repeat(byte(1).into()));
                let server = ServerAddress { host: "rdv.example".to_owned(), port: byte(0).into(), name, spki: None };
                ListServersResponse { servers: vec![server; 1 + usize::from(byte(2))], timestamp: now }.into()
            }
        });
    }

    /// Somebody's registration: seq, age, for which server.
    fn info(&self, person: &Person, content: &[u8]) -> Option<PeerInfo> {
        let byte = |at: usize| content.get(at).copied().unwrap_or_default();
        let (identity, owner) = (person.identity.signed().clone(), person.identity.key());
        let endpoint = self.endpoint.to_wire();
        let (ttl_seconds, seq) = (600, byte(0).into());
        let issued = self.now.wall.before(Duration::from_secs(u64::from(byte(1)) * 60));
        let server = if byte(2) == 1 { [1; 32] } else { SERVER };
        let signed = registration_content(&server, &owner, &identity.verified, &endpoint, ttl_seconds, seq, issued);
        let signature = person.signing.sign(&signed);
        let registration = Some(Registration { ttl_seconds, seq, issued, server, signature });
        Some(PeerInfo { identity, endpoint, last_seen: issued, online: true, registration })
    }

    /// Refuses the oldest question: code, how, pause.
    fn refuse(&mut self, content: &[u8]) {
        let Some(asked) = self.asked.pop_front() else { return };
        let byte = |at: usize| content.get(at).copied().unwrap_or_default();
        let code = u16::from_be_bytes([byte(0), byte(1)]);
        let (error_message, error_code) = (None, Some(code));
        self.message(&match (asked, byte(2) % 3) {
            (Message::RegisterRequest(_), 0) => {
                let (success, expires_at, renewal_interval) = (false, self.now.wall, 0);
                RegisterResponse { success, expires_at, renewal_interval, error_message, error_code }.into()
            }
            (Message::LookupRequest(_), 0) => {
                LookupResponse { peers: Vec::new(), error_message, error_code, next: None }.into()
            }
            (asked, how) => {
                let retry_after_s = content.get(3).map(|bits| 1u32 << (bits % 32));
                let (request, message_id, detail) = (Some(asked.name().to_owned()), None, None);
                ErrorMessage { code, fatal: how == 2, retry_after_s, detail, message_id, request }.into()
            }
        });
    }

    fn publish(&mut self, content: &[u8]) {
        let Some(person) = self.people.first() else { return };
        let (identity, signing, endpoint) = (person.identity.clone(), person.signing.clone(), self.endpoint.clone());
        let ttl_seconds = u32::from(content.first().copied().unwrap_or(24)) * 25;
        self.give(Input::Publish(Box::new(Publication { identity, signing, endpoint, ttl_seconds })));
    }

    fn ask(&mut self, content: &[u8]) {
        let byte = |at: usize| content.get(at).copied();
        let query = match byte(0).unwrap_or_default() % 4 {
            2 => Query::List { after: byte(1).map(|byte| ContactId::from_bytes([byte; 32])) },
            3 => Query::Servers,
            who => {
                let Some(person) = self.people.get(usize::from(who) + 1) else { return };
                Query::Peer(person.identity.key())
            }
        };
        self.tickets += 1;
        self.open.insert(self.tickets, query);
        self.give(Input::Ask { ticket: self.tickets, query });
    }

    fn wait(&mut self, pause: Duration) {
        self.now = Now { mono: self.now.mono.after(pause), wall: self.now.wall.after(pause) };
        self.tick();
    }

    fn tick(&mut self) {
        self.give(Input::Tick);
        let mut rounds = 0;
        while self.client.poll_timeout().is_some_and(|due| due <= self.now.mono) {
            self.give(Input::Tick);
            rounds += 1;
            assert!(rounds < 4, "a timer stays in the past");
        }
    }

    /// The connection that is wanted comes, or does not; one that is there breaks.
    fn connect(&mut self, is_there: bool) {
        if self.link == Link::None {
            return;
        }
        self.asked.clear();
        if self.link == Link::Wanted && is_there {
            self.link = Link::Open;
            self.framing = Framing::server();
            self.give(Input::Connected { server_id: SERVER });
            self.bytes(&OWN_HEADER.to_bytes());
        } else {
            self.link = Link::None;
            self.give(Input::Closed);
        }
    }

    fn hold(&mut self) {
        match self.durable.take() {
            None => self.durable = Some(self.records.clone()),
            Some(_) => self.drain(),
        }
    }

    /// The program ends, with whatever was not kept; nobody waits for answers any more.
    fn restart(&mut self) {
        if let Some(durable) = self.durable.take() {
            self.records = durable;
        }
        self.client = Client::new(ClientTiming::default());
        self.link = Link::None;
        self.last_save = None;
        self.asked.clear();
        self.open.clear();
    }

    /// The server is gone: all questions have their answers soon.
    fn end(&mut self) {
        if self.durable.is_some() {
            self.hold();
        }
        for _ in 0..8 {
            self.connect(false);
            self.wait(Duration::from_secs(400));
        }
        assert!(self.open.is_empty(), "a question without an answer");
    }
}

/// Somebody who wants to be listed.
fn discoverable(byte: u8) -> Option<Person> {
    let person = Person::of(byte)?;
    let mut draft = IdentityDraft::next(&person.identity, NOW).ok()?;
    draft.flags.discoverable = Some(true);
    Some(Person { identity: draft.sign(&person.signing).ok()?, ..person })
}

/// Conversations in the form of the steps: answers in every order, and messages as they stand.
pub fn seeds(messages: &[Message]) -> Option<Vec<Vec<u8>>> {
    let ask = [put(7, &[0])?, put(7, &[1])?, put(7, &[2])?, put(7, &[2, 3])?, put(7, &[3])?].concat();
    let (open, publish) = (put(10, &[])?, put(5, &[])?);
    let answers = |kind: u8, content: &[u8]| (0..6).map(|_| put(kind, content)).collect::<Option<Vec<_>>>();
    let mut seeds = Vec::new();
    // True, old, of another server, with more behind it.
    for content in [[9, 0, 0, 0, 0], [9, 60, 0, 1, 200], [9, 0, 1, 1, 1], [0, 1, 40, 0, 0]] {
        let later = [put(9, &[20])?, open.clone(), put(7, &[0])?, put(2, &[5])?, put(9, &[3])?].concat();
        seeds.push([publish.clone(), ask.clone(), open.clone(), answers(2, &content)?.concat(), later].concat());
    }
    for refusal in [[0, 23, 0, 3], [0, 33, 1, 20], [1, 0, 1, 0], [0, 23, 2, 0]] {
        let leave = [put(6, &[])?, put(2, &[30])?, put(9, &[30])?].concat();
        seeds.push([publish.clone(), ask.clone(), open.clone(), answers(4, &refusal)?.concat(), leave].concat());
    }
    // Breaks off, late saves, a restart.
    let held = [put(11, &[])?, publish.clone(), ask.clone(), open.clone(), put(2, &[])?, put(10, &[])?];
    let again = [open.clone(), put(11, &[])?, put(2, &[])?, put(12, &[])?, publish.clone(), open.clone()];
    seeds.push([held.concat(), again.concat(), put(2, &[30])?, put(9, &[4])?, ask.clone()].concat());
    for message in messages {
        let bytes = message.encode();
        let framed = [&u32::try_from(bytes.len()).ok()?.to_be_bytes()[..], &bytes, &[0, 0]].concat();
        let first = [publish.clone(), open.clone(), put(1, &bytes)?, open.clone(), put(9, &[20])?].concat();
        seeds.push([first, ask.clone(), open.clone(), put(1, &bytes)?, put(0, &framed)?, put(0, &[0, 9])?].concat());
    }
    Some(seeds)
}
