//! The rendezvous server of `waypost-sremp`, to which clients send what they like.

use crate::{
    peer::{put, step},
    people::{NOW, Person},
};
use std::{
    collections::VecDeque,
    net::{IpAddr, Ipv4Addr},
    sync::OnceLock,
    time::Duration,
};
use waypost_core::{BatchId, MailboxOp, Mono, Now};
use waypost_sremp::{
    LinkId, Message,
    message::RegisterRequest,
    rendezvous::{
        Framing, Input, Output, ProbeId, Registry, RegistryLimits, RegistryPolicy, RegistryTiming, registration_content,
    },
    version::OWN_HEADER,
};
use waypost_testkit::mailbox::MemoryMailbox;

/// Steps of an input: more teach nothing new.
const STEPS: usize = 48;
/// The server's id.
pub const SERVER: [u8; 32] = [5; 32];
const LINKS: [LinkId; 2] = [LinkId(1), LinkId(3)];

/// Steps as in [`connection`](crate::connection()): the first byte of the content names the client, the rest are
/// bytes of its stream, or a message to be framed, as it stands or signed by somebody; connections that come
/// and go, a storage that is held up or fails, probes, time.
///
/// Whatever clients send: no panic, no answer that cannot be framed, no more than one answer a request and
/// none missing when the storage has answered.
pub fn rendezvous(mut data: &[u8]) {
    let Some(mut server) = Server::new() else { return };
    for _ in 0..STEPS {
        let Some((kind, content)) = step(&mut data) else { break };
        let (who, content) = content.split_first().map_or((0, content), |(who, rest)| (usize::from(*who), rest));
        match kind % 9 {
            0 => server.bytes(who, content),
            1 | 2 => server.message(who, content, true),
            3 => server.message(who, content, false),
            4 => server.wait(who),
            5 => server.connect(who),
            6 => server.holds = !server.holds,
            7 => server.fail(),
            _ => server.probe(who.is_multiple_of(2)),
        }
        server.settle();
    }
    server.end();
}

/// One connection.
struct Client {
    framing: Framing,
    is_open: bool,
    /// Requests without an answer.
    asked: usize,
}

struct Server {
    registry: Registry,
    people: &'static [Person],
    clients: Vec<Client>,
    mailbox: MemoryMailbox,
    waiting: VecDeque<(BatchId, Vec<MailboxOp>)>,
    probes: VecDeque<ProbeId>,
    /// Batches wait.
    holds: bool,
    now: Now,
}

impl Server {
    fn new() -> Option<Self> {
        static PEOPLE: OnceLock<Option<Vec<Person>>> = OnceLock::new();
        let people = PEOPLE.get_or_init(|| [1, 2].into_iter().map(Person::of).collect()).as_ref()?;
        let policy = RegistryPolicy { dials_back: true, ..RegistryPolicy::default() };
        let mut server = Self {
            registry: Registry::new(SERVER, policy, RegistryLimits::default(), RegistryTiming::default()),
            people,
            clients: LINKS.map(|_| Client { framing: Framing::server(), is_open: false, asked: 0 }).into(),
            mailbox: MemoryMailbox::default(),
            waiting: VecDeque::new(),
            probes: VecDeque::new(),
            holds: false,
            now: Now { mono: Mono::default(), wall: NOW },
        };
        (0..LINKS.len()).for_each(|who| server.connect(who));
        Some(server)
    }

    /// Anew, if it was connected.
    fn connect(&mut self, who: usize) {
        let who = who % LINKS.len();
        let (Some(client), Some(link)) = (self.clients.get_mut(who), LINKS.get(who).copied()) else { return };
        *client = Client { framing: Framing::server(), is_open: true, asked: 0 };
        self.registry.handle(self.now, Input::Disconnected(link));
        let address = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
        self.registry.handle(self.now, Input::Connected { link, address });
        self.bytes(who, &OWN_HEADER.to_bytes());
    }

    fn bytes(&mut self, who: usize, mut input: &[u8]) {
        let who = who % LINKS.len();
        let (Some(client), Some(link)) = (self.clients.get_mut(who), LINKS.get(who).copied()) else { return };
        while client.is_open && self.registry.wants_input(link) {
            let told = match client.framing.read(&mut input) {
                Ok(None) => return,
                Ok(Some(message)) => {
                    client.asked += usize::from(!matches!(message, Message::Error(_)));
                    Input::Message { link, message }
                }
                Err(error) => {
                    client.is_open = false;
                    client.asked += 1;
                    Input::Fault { link, error }
                }
            };
            self.registry.handle(self.now, told);
        }
    }

    fn message(&mut self, who: usize, content: &[u8], is_signed: bool) {
        let (Ok(message), Some(person)) = (Message::decode(content), self.people.get(who / 2 % self.people.len()))
        else {
            return;
        };
        let message = if is_signed { signed(person, message, self.now) } else { message };
        let mut client = Framing::client();
        client.take_output();
        if client.send(&message).is_ok() {
            self.bytes(who, &client.take_output());
        }
    }

    fn wait(&mut self, who: usize) {
        let pause = Duration::from_secs((who as u64).pow(2));
        self.now = Now { mono: self.now.mono.after(pause), wall: self.now.wall.after(pause) };
    }

    fn fail(&mut self) {
        if let Some((id, _)) = self.waiting.pop_front() {
            self.registry.handle(self.now, Input::MailboxFault(id));
        }
    }

    fn probe(&mut self, is_there: bool) {
        if let Some(probe) = self.probes.pop_front() {
            self.registry.handle(self.now, Input::Probed { probe, is_there });
        }
    }

    fn settle(&mut self) {
        loop {
            while let Some(output) = self.registry.poll() {
                match output {
                    Output::Mailbox(id, ops) => self.waiting.push_back((id, ops)),
                    Output::Probe { probe, .. } => self.probes.push_back(probe),
                    Output::Send(link, message) => self.answer(link, &message),
                    Output::Close(link, error) => self.answer(link, &error.into()),
                }
            }
            if self.holds {
                return;
            }
            let Some((id, ops)) = self.waiting.pop_front() else { return };
            let done = self.mailbox.commit(self.now.wall, ops);
            self.registry.handle(self.now, Input::Mailbox(id, done));
        }
    }

    fn answer(&mut self, link: LinkId, message: &Message) {
        let Some(who) = LINKS.iter().position(|known| *known == link) else { return };
        let Some(client) = self.clients.get_mut(who) else { return };
        assert!(client.framing.send(message).is_ok(), "an answer that cannot be sent");
        client.framing.take_output();
        assert!(client.asked > 0, "an answer nobody waits for");
        client.asked -= 1;
    }

    fn end(&mut self) {
        self.holds = false;
        self.settle();
        while !self.probes.is_empty() {
            self.probe(true);
            self.settle();
        }
        assert!(self.clients.iter().all(|client| client.asked == 0), "everything is answered");
        assert!(self.waiting.is_empty());
    }
}

/// The same message as somebody would sign it now.
fn signed(person: &Person, message: Message, now: Now) -> Message {
    let Message::RegisterRequest(request) = message else { return message };
    let RegisterRequest { endpoint, ttl_seconds, seq, .. } = request;
    let (identity, owner) = (person.identity.signed().clone(), person.identity.key());
    let issued = now.wall;
    let content = registration_content(&SERVER, &owner, &identity.verified, &endpoint, ttl_seconds, seq, issued);
    let signature = person.signing.sign(&content);
    RegisterRequest { identity, endpoint, ttl_seconds, signature, seq, issued }.into()
}

/// Conversations in the form of the steps.
pub fn seeds(messages: &[Message]) -> Option<Vec<Vec<u8>>> {
    let say = |kind: u8, who: u8, message: &Message| put(kind, &[&[who][..], &message.encode()].concat());
    let mut seeds = Vec::new();
    for message in messages {
        let mut seed = Vec::new();
        for who in [0u8, 3] {
            seed.extend([put(6, &[])?, say(1, who, message)?, put(7, &[])?, put(6, &[])?].concat());
            seed.extend([say(2, who, message)?, put(8, &[who])?, put(4, &[30])?].concat());
        }
        let framed = [&u32::try_from(message.encode().len()).ok()?.to_be_bytes()[..], &message.encode()].concat();
        seed.extend([put(5, &[0])?, put(0, &[&[0][..], &framed, &[0, 0, 0, 0]].concat())?].concat());
        seeds.push(seed);
    }
    Some(seeds)
}
