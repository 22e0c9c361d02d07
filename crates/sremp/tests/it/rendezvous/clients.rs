//! A rendezvous server of one or more processes, and people who use it.

use crate::people::{Person, at};
use std::{collections::BTreeMap, net::IpAddr, time::Duration};
use waypost_core::{BatchId, ContactId, MailboxOp, Mono, Now};
use waypost_sremp::{
    IdentityDraft, LinkId, Message,
    endpoint::Endpoint,
    message::{LookupRequest, LookupResponse, RegisterRequest, RegisterResponse},
    rendezvous::{Input, Output, ProbeId, Registry, RegistryLimits, RegistryPolicy, RegistryTiming},
};
use waypost_testkit::mailbox::MemoryMailbox;

pub(super) const SERVER: [u8; 32] = [5; 32];

pub(super) struct World {
    pub(super) processes: Vec<Registry>,
    pub(super) mailbox: MemoryMailbox,
    pub(super) now: Now,
    /// Batches are done at once; else they wait in `waiting`.
    pub(super) commits: bool,
    pub(super) waiting: Vec<(usize, BatchId, Vec<MailboxOp>)>,
    pub(super) probes: Vec<(ProbeId, Endpoint)>,
    links: BTreeMap<(usize, String), LinkId>,
}

pub(super) fn registry(policy: RegistryPolicy, limits: RegistryLimits) -> Registry {
    Registry::new(SERVER, policy, limits, RegistryTiming::default())
}

impl World {
    pub(super) fn new(limits: RegistryLimits) -> Self {
        Self::with_policy(RegistryPolicy::default(), limits)
    }

    pub(super) fn with_policy(policy: RegistryPolicy, limits: RegistryLimits) -> Self {
        Self {
            processes: vec![registry(policy, limits)],
            mailbox: MemoryMailbox::default(),
            now: Now { mono: Mono::from_millis(5), wall: at(0) },
            commits: true,
            waiting: Vec::new(),
            probes: Vec::new(),
            links: BTreeMap::new(),
        }
    }

    pub(super) fn pass(&mut self, time: Duration) {
        self.now = Now { mono: self.now.mono.after(time), wall: self.now.wall.after(time) };
    }

    pub(super) fn take(&mut self, process: usize, input: Input) -> Vec<Message> {
        self.processes[process].handle(self.now, input);
        let mut sent = Vec::new();
        while let Some(output) = self.processes[process].poll() {
            match output {
                Output::Mailbox(id, ops) if self.commits => {
                    let done = self.mailbox.commit(self.now.wall, ops);
                    self.processes[process].handle(self.now, Input::Mailbox(id, done));
                }
                Output::Mailbox(id, ops) => self.waiting.push((process, id, ops)),
                Output::Probe { probe, endpoint } => self.probes.push((probe, endpoint)),
                Output::Send(_, message) => sent.push(message),
                Output::Close(_, error) => sent.push(error.into()),
            }
        }
        sent
    }

    /// Does one of the batches that wait, or lets it fail.
    pub(super) fn finish(&mut self, place: usize, works: bool) -> Vec<Message> {
        let (process, id, ops) = self.waiting.remove(place);
        let input =
            if works { Input::Mailbox(id, self.mailbox.commit(self.now.wall, ops)) } else { Input::MailboxFault(id) };
        self.take(process, input)
    }

    /// A message from an address, by one connection for each.
    pub(super) fn ask(&mut self, from: &str, message: impl Into<Message>) -> Vec<Message> {
        self.ask_at(0, from, message)
    }

    pub(super) fn ask_at(&mut self, process: usize, from: &str, message: impl Into<Message>) -> Vec<Message> {
        let link = self.link(process, from);
        self.take(process, Input::Message { link, message: message.into() })
    }

    pub(super) fn link(&mut self, process: usize, from: &str) -> LinkId {
        let next = LinkId(self.links.len() as u64);
        let link = *self.links.entry((process, from.to_owned())).or_insert(next);
        if link == next {
            let address: IpAddr = from.parse().unwrap();
            let sent = self.take(process, Input::Connected { link, address });
            assert!(sent.is_empty(), "{sent:?}");
        }
        link
    }

    pub(super) fn register(&mut self, person: &Person, seq: u64, ttl: u32) -> RegisterResponse {
        let request = self.request(person, seq, ttl);
        registered(&self.ask("192.0.2.1", request))
    }

    pub(super) fn request(&self, person: &Person, seq: u64, ttl: u32) -> RegisterRequest {
        let endpoint = Endpoint::new("192.0.2.7", 4433).unwrap();
        RegisterRequest::signed(&SERVER, &person.signing, &person.identity, &endpoint, ttl, seq, self.now.wall)
    }

    pub(super) fn lookup(&mut self, from: &str, request: LookupRequest) -> LookupResponse {
        match &self.ask(from, request)[..] {
            [Message::LookupResponse(response)] => response.clone(),
            other => panic!("{other:?}"),
        }
    }
}

pub(super) fn registered(answers: &[Message]) -> RegisterResponse {
    match answers {
        [Message::RegisterResponse(response)] => response.clone(),
        other => panic!("{other:?}"),
    }
}

pub(super) fn target(person: &Person) -> LookupRequest {
    LookupRequest { target_identity: Some(person.id()), list_all: false, after: None, limit: None }
}

pub(super) fn list(after: Option<ContactId>, limit: Option<u16>) -> LookupRequest {
    LookupRequest { target_identity: None, list_all: true, after, limit }
}

pub(super) fn discoverable(seed: u64) -> Person {
    let mut person = Person::new("Somebody", seed);
    let mut draft = IdentityDraft::next(&person.identity, at(0)).unwrap();
    draft.flags.discoverable = Some(true);
    person.identity = draft.sign(&person.signing).unwrap();
    person
}
