//! A relay of one or more processes, and people who use it.

use crate::people::{Person, at};
use std::collections::BTreeSet;
use std::time::Duration;
use waypost_core::{BatchId, ContactId, MailboxId, MailboxOp, Mono, Now};
use waypost_sremp::{
    LinkId, Message,
    connection::Verdict,
    ed25519::SigningKey,
    message::{DeliveryConfirmation, MessageBatch, RelayCapabilities, RelayRegister, RetrieveMessages, StoreMessage},
    relay::{Depot, DepotLimits, DepotTiming, Input, Output, Policy, Role, auth_content},
};
use waypost_testkit::mailbox::MemoryMailbox;

pub(super) const HASH: [u8; 32] = [7; 32];

/// Links of one process: those of the next begin here.
pub(super) const LINKS: u64 = 100;

pub(super) struct World {
    pub(super) processes: Vec<Process>,
    pub(super) mailbox: MemoryMailbox,
    pub(super) now: Now,
    /// Batches are done at once; else they wait in `waiting`.
    pub(super) commits: bool,
    pub(super) waiting: Vec<(usize, BatchId, Vec<MailboxOp>)>,
    pub(super) loses_hints: bool,
    pub(super) judged: Vec<(LinkId, Verdict)>,
    policy: Policy,
    limits: DepotLimits,
}

pub(super) struct Process {
    pub(super) depot: Depot,
    pub(super) watched: BTreeSet<MailboxId>,
}

pub(super) fn relay_id() -> ContactId {
    SigningKey::from_bytes(&[9; 32]).public()
}

impl World {
    pub(super) fn new(policy: Policy, limits: DepotLimits) -> Self {
        let now = Now { mono: Mono::from_millis(5), wall: at(0) };
        let mut world = Self {
            processes: Vec::new(),
            mailbox: MemoryMailbox::default(),
            now,
            commits: true,
            waiting: Vec::new(),
            loses_hints: false,
            judged: Vec::new(),
            policy,
            limits,
        };
        world.start_process();
        world
    }

    pub(super) fn start_process(&mut self) {
        let depot = Depot::new(relay_id(), self.policy.clone(), self.limits, DepotTiming::default());
        self.processes.push(Process { depot, watched: BTreeSet::new() });
    }

    /// All processes end, and one starts again over what was committed.
    pub(super) fn restart(&mut self) {
        self.processes.clear();
        self.waiting.clear();
        self.start_process();
    }

    pub(super) fn depot(&self) -> &Depot {
        &self.processes[0].depot
    }

    pub(super) fn pass(&mut self, time: Duration) {
        self.now = Now { mono: self.now.mono.after(time), wall: self.now.wall.after(time) };
    }

    /// Gives it to the process of its link, or to the first.
    pub(super) fn take(&mut self, input: Input) -> Vec<(LinkId, Message)> {
        let link = match &input {
            Input::Judge { link, .. }
            | Input::Connected { link, .. }
            | Input::Message { link, .. }
            | Input::Held { link, .. }
            | Input::Disconnected(link) => link.0,
            _ => 0,
        };
        self.take_at((link / LINKS) as usize, input)
    }

    pub(super) fn take_at(&mut self, process: usize, input: Input) -> Vec<(LinkId, Message)> {
        self.processes[process].depot.handle(self.now, input);
        self.settle()
    }

    /// Carries out what all processes want.
    pub(super) fn settle(&mut self) -> Vec<(LinkId, Message)> {
        let mut sent = Vec::new();
        while let Some((process, output)) = self.next_output() {
            match output {
                Output::Mailbox(id, ops) if self.commits => self.commit(process, id, ops),
                Output::Mailbox(id, ops) => self.waiting.push((process, id, ops)),
                Output::Watch(mailbox) => assert!(self.processes[process].watched.insert(mailbox)),
                Output::Unwatch(mailbox) => assert!(self.processes[process].watched.remove(&mailbox)),
                Output::Judged(link, verdict) => self.judged.push((link, verdict)),
                Output::Send(link, message) => sent.push((link, message)),
                Output::Close(link, error) => sent.push((link, error.into())),
            }
        }
        sent
    }

    fn next_output(&mut self) -> Option<(usize, Output)> {
        self.processes.iter_mut().enumerate().find_map(|(place, process)| Some((place, process.depot.poll()?)))
    }

    fn commit(&mut self, process: usize, id: BatchId, ops: Vec<MailboxOp>) {
        let done = self.mailbox.commit(self.now.wall, ops);
        self.processes[process].depot.handle(self.now, Input::Mailbox(id, done));
        for news in self.mailbox.take_news() {
            for process in &mut self.processes {
                if process.watched.contains(&news) && !self.loses_hints {
                    process.depot.handle(self.now, Input::Hint(news.clone()));
                }
            }
        }
    }

    /// Does one of the batches that wait, or lets it fail.
    pub(super) fn finish(&mut self, place: usize, works: bool) -> Vec<(LinkId, Message)> {
        let (process, id, ops) = self.waiting.remove(place);
        if works {
            self.commit(process, id, ops);
        } else {
            self.processes[process].depot.handle(self.now, Input::MailboxFault(id));
        }
        self.settle()
    }

    pub(super) fn tick(&mut self) -> Vec<(LinkId, Message)> {
        for process in &mut self.processes {
            process.depot.handle(self.now, Input::Tick);
        }
        self.settle()
    }

    pub(super) fn ask(&mut self, link: u64, message: impl Into<Message>) -> Vec<(LinkId, Message)> {
        self.take(Input::Message { link: LinkId(link), message: message.into() })
    }

    pub(super) fn answer(&mut self, link: u64, message: impl Into<Message>) -> Message {
        let sent = self.ask(link, message);
        let [(to, answer)] = &sent[..] else { panic!("{sent:?}") };
        assert_eq!(*to, LinkId(link));
        answer.clone()
    }

    pub(super) fn connect(&mut self, link: u64, person: &Person) {
        let identity = person.identity.clone();
        let sent = self.take(Input::Connected { link: LinkId(link), identity, handshake_hash: HASH });
        assert!(sent.is_empty(), "{sent:?}");
    }

    pub(super) fn join(&mut self, link: u64, person: &Person, push: bool) -> u32 {
        self.connect(link, person);
        match self.answer(link, register(person, 30 * 86400, push)) {
            Message::RelayRegistered(registered) => registered.pending,
            other => panic!("{other:?}"),
        }
    }

    /// Gives the stamp, or the code of the refusal.
    pub(super) fn store(&mut self, link: u64, from: &Person, to: &Person, id: u64, blob: &[u8]) -> Result<u64, u16> {
        let sent = self.ask(link, store(from, to, id, blob));
        let answer = sent.iter().find_map(|(_, message)| match message {
            Message::StoreResponse(response) => Some(response),
            _ => None,
        });
        match answer {
            Some(response) if response.success => Ok(response.stored_at.as_millis()),
            Some(response) => Err(response.error_code.unwrap()),
            None => panic!("{sent:?}"),
        }
    }

    pub(super) fn retrieve(&mut self, link: u64, person: &Person, after: u64) -> MessageBatch {
        match self.answer(link, retrieve(person, after)) {
            Message::MessageBatch(batch) => batch,
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn confirm(&mut self, link: u64, person: &Person, sender: &Person, id: u64) -> Vec<(LinkId, Message)> {
        self.ask(link, confirmation(person, sender, id, self.now))
    }

    /// What the verdict on an identity is.
    pub(super) fn judge(&mut self, person: &Person) -> &'static str {
        let sent = self.take(Input::Judge { link: LinkId(99), identity: person.identity.clone() });
        assert!(sent.is_empty(), "{sent:?}");
        match self.judged.pop() {
            Some((LinkId(99), Verdict::Refuse(code))) => code.name(),
            Some((LinkId(99), Verdict::Accept { known: false })) => "accepted",
            other => panic!("{other:?}"),
        }
    }

    /// The engine removes what is past its time.
    pub(super) fn tidy(&mut self) {
        while self.mailbox.expire(self.now.wall, 7) > 0 {}
    }
}

pub(super) fn store(from: &Person, to: &Person, id: u64, blob: &[u8]) -> StoreMessage {
    StoreMessage::signed(&relay_id(), &from.signing, to.id(), id, blob.to_vec())
}

pub(super) fn retrieve(person: &Person, after: u64) -> RetrieveMessages {
    RetrieveMessages::after(after, &person.signing, &HASH, &relay_id())
}

pub(super) fn confirmation(person: &Person, sender: &Person, id: u64, now: Now) -> DeliveryConfirmation {
    DeliveryConfirmation::signed(&person.signing, sender.id(), id, now.wall)
}

pub(super) fn register(person: &Person, storage: u32, push: bool) -> RelayRegister {
    let content = auth_content(&HASH, &relay_id(), &person.id(), Role::Register);
    RelayRegister {
        identity: person.id(),
        auth_signature: person.signing.sign(&content),
        capabilities: RelayCapabilities { max_message_size: u32::MAX, max_storage_duration: storage },
        mailbox: None,
        push: Some(push),
        token: None,
    }
}

pub(super) fn code(message: &Message) -> (u16, bool) {
    match message {
        Message::Error(error) => (error.code, error.fatal),
        other => panic!("{other:?}"),
    }
}

pub(super) fn seqs(batch: &MessageBatch) -> Vec<u64> {
    batch.messages.iter().map(|message| message.seq.unwrap()).collect()
}
