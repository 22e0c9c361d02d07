//! A relay and people who use it.

use crate::people::{Person, at};
use std::time::Duration;
use waypost_core::{ContactId, MemoryRecords, Mono, Now, Records, SaveId, Space};
use waypost_sremp::{
    LinkId, Message,
    ed25519::SigningKey,
    message::{DeliveryConfirmation, MessageBatch, RelayCapabilities, RelayRegister, RetrieveMessages, StoreMessage},
    relay::{Depot, DepotLimits, DepotTiming, Input, Output, Policy, Role, auth_content},
};

pub(super) const HASH: [u8; 32] = [7; 32];

/// All families of records of a relay but the order of time.
pub(super) const SPACES: [Space; 9] = [
    Space("relay/client"),
    Space("relay/identity"),
    Space("relay/queue"),
    Space("relay/blob"),
    Space("relay/triple"),
    Space("relay/usage"),
    Space("relay/confirmation"),
    Space("relay/bundle"),
    Space("relay/one-time"),
];

pub(super) struct World {
    pub(super) depot: Depot,
    pub(super) records: MemoryRecords,
    pub(super) now: Now,
    /// Saves that were asked for are durable at once.
    pub(super) commits: bool,
    pub(super) unsaved: Vec<SaveId>,
    policy: Policy,
    limits: DepotLimits,
}

pub(super) fn relay_id() -> ContactId {
    SigningKey::from_bytes(&[9; 32]).public()
}

impl World {
    pub(super) fn new(policy: Policy, limits: DepotLimits) -> Self {
        let now = Now { mono: Mono::from_millis(5), wall: at(0) };
        let depot = Depot::new(now, relay_id(), policy.clone(), limits, DepotTiming::default());
        Self { depot, records: MemoryRecords::default(), now, commits: true, unsaved: Vec::new(), policy, limits }
    }

    /// The process ends and starts again over what was committed.
    pub(super) fn restart(&mut self) {
        self.depot = Depot::new(self.now, relay_id(), self.policy.clone(), self.limits, DepotTiming::default());
    }

    pub(super) fn pass(&mut self, time: Duration) {
        self.now = Now { mono: self.now.mono.after(time), wall: self.now.wall.after(time) };
    }

    pub(super) fn take(&mut self, input: Input) -> Vec<(LinkId, Message)> {
        self.depot.handle(self.now, &self.records, input).unwrap();
        let mut sent = Vec::new();
        while let Some(output) = self.depot.poll() {
            match output {
                Output::Save(id, changes) => {
                    self.records.apply(changes);
                    if self.commits {
                        self.depot.handle(self.now, &self.records, Input::Saved(id)).unwrap();
                    } else {
                        self.unsaved.push(id);
                    }
                }
                Output::Send(link, message) => sent.push((link, message)),
                Output::Close(link, error) => sent.push((link, error.into())),
            }
        }
        sent
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
        let message = StoreMessage::signed(&relay_id(), &from.signing, to.id(), id, blob.to_vec());
        match self.ask(link, message).first() {
            Some((_, Message::StoreResponse(response))) if response.success => Ok(response.stored_at.as_millis()),
            Some((_, Message::StoreResponse(response))) => Err(response.error_code.unwrap()),
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn retrieve(&mut self, link: u64, person: &Person, after: u64) -> MessageBatch {
        match self.answer(link, RetrieveMessages::after(after, &person.signing, &HASH, &relay_id())) {
            Message::MessageBatch(batch) => batch,
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn confirm(&mut self, link: u64, person: &Person, sender: &Person, id: u64) -> Vec<(LinkId, Message)> {
        let confirmation = DeliveryConfirmation::signed(&person.signing, sender.id(), id, self.now.wall);
        self.ask(link, confirmation)
    }

    /// Ticks until nothing is due at once.
    pub(super) fn tidy(&mut self) {
        for _ in 0..10_000 {
            let due = self.depot.poll_timeout().unwrap();
            let wait = due.since(self.now.mono);
            if wait > Duration::from_secs(1) {
                return;
            }
            self.pass(wait);
            self.take(Input::Tick);
        }
        panic!("never done");
    }

    pub(super) fn counts(&self) -> [u64; 9] {
        SPACES.map(|space| self.records.count(space, &[]).unwrap())
    }
}

pub(super) fn register(person: &Person, storage: u32, push: bool) -> RelayRegister {
    let content = auth_content(&HASH, &relay_id(), &person.id(), Role::Register);
    RelayRegister {
        identity: person.id(),
        auth_signature: person.signing.sign(&content),
        capabilities: RelayCapabilities { max_message_size: u32::MAX, max_storage_duration: storage },
        mailbox: None,
        push: Some(push),
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
