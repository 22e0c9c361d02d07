//! The relay of `waypost-sremp`, whose clients send what they like, over a storage that is late or fails.

use crate::{
    peer::{put, step},
    people::{NOW, Person},
};
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::OnceLock,
    time::Duration,
};
use waypost_core::{BatchId, ContactId, MailboxId, MailboxOp, Mono, Now};
use waypost_sremp::{
    LinkId, Message,
    ed25519::SigningKey,
    message::{DeliveryConfirmation, MAX_MESSAGE, RelayRegister, RetrieveMessages, StoreMessage},
    relay::{Access, Depot, DepotLimits, DepotTiming, Input, Output, Policy, Role, TokenHash, auth_content},
};
use waypost_testkit::mailbox::MemoryMailbox;

/// Steps of an input: more teach nothing new.
const STEPS: usize = 48;
/// The handshake hash of every connection.
pub const HASH: [u8; 32] = [7; 32];
/// What admits a client.
pub const TOKEN: &[u8] = b"token";
/// Two people; the first has two connections.
const LINKS: [(LinkId, usize); 3] = [(LinkId(1), 0), (LinkId(3), 1), (LinkId(5), 0)];
const POLICY: (u32, u64, u32) = (5, 600, 4);

/// The relay's key.
pub fn relay_id() -> ContactId {
    SigningKey::from_bytes(&[9; 32]).public()
}

/// Steps as in [`connection`](crate::connection()): the first byte of the content names the client, the rest is
/// a message, as it stands or with the client's own signature; connections that come and go, a storage that is
/// held up or fails, hints, time.
///
/// Whatever clients send: no panic, quotas that hold, no answer too long to be sent, nothing left over when
/// the storage has answered.
pub fn relay(mut data: &[u8]) {
    let Some(mut relay) = Relay::new() else { return };
    for _ in 0..STEPS {
        let Some((kind, content)) = step(&mut data) else { break };
        let (who, content) = content.split_first().map_or((0, content), |(who, rest)| (usize::from(*who), rest));
        match kind % 10 {
            0..=2 => relay.message(who, content, true),
            3 => relay.message(who, content, false),
            4 => relay.wait(who),
            5 => relay.reconnect(who),
            6 => relay.holds = !relay.holds,
            7 => relay.fail(),
            8 => relay.hint(who),
            _ => relay.look(who, content),
        }
        relay.settle();
    }
    relay.end();
}

struct Relay {
    depot: Depot,
    people: &'static [Person],
    mailbox: MemoryMailbox,
    watched: BTreeSet<MailboxId>,
    waiting: VecDeque<(BatchId, Vec<MailboxOp>)>,
    /// Batches wait.
    holds: bool,
    now: Now,
}

impl Relay {
    fn new() -> Option<Self> {
        static PEOPLE: OnceLock<Option<Vec<Person>>> = OnceLock::new();
        let people = PEOPLE.get_or_init(|| [1, 2].into_iter().map(Person::of).collect()).as_ref()?;
        let (quota_messages, quota_bytes, sender_messages) = POLICY;
        let access = Access::Token(BTreeSet::from([TokenHash::of(TOKEN)]));
        let policy = Policy { quota_messages, quota_bytes, sender_messages, access, ..Policy::default() };
        let limits = DepotLimits { push_items: 2, batch_default: 2, confirmations: 3, ..DepotLimits::default() };
        let mut relay = Self {
            depot: Depot::new(relay_id(), policy, limits, DepotTiming::default()),
            people,
            mailbox: MemoryMailbox::default(),
            watched: BTreeSet::new(),
            waiting: VecDeque::new(),
            holds: false,
            now: Now { mono: Mono::default(), wall: NOW },
        };
        (0..LINKS.len()).for_each(|who| relay.connect(who));
        Some(relay)
    }

    fn of(&self, who: usize) -> Option<(LinkId, &'static Person)> {
        let (link, person) = LINKS.get(who % LINKS.len())?;
        Some((*link, self.people.get(*person)?))
    }

    fn connect(&mut self, who: usize) {
        let Some((link, person)) = self.of(who) else { return };
        let identity = person.identity.clone();
        self.depot.handle(self.now, Input::Connected { link, identity, handshake_hash: HASH });
    }

    fn reconnect(&mut self, who: usize) {
        let Some((link, _)) = self.of(who) else { return };
        self.depot.handle(self.now, Input::Disconnected(link));
        assert!(!self.depot.is_registered(link));
        self.connect(who);
    }

    fn message(&mut self, who: usize, content: &[u8], is_signed: bool) {
        let Some((link, person)) = self.of(who) else { return };
        let Ok(message) = Message::decode(content) else { return };
        if self.depot.wants_input(link) {
            let message = if is_signed { signed(person, message) } else { message };
            self.depot.handle(self.now, Input::Message { link, message });
        }
    }

    fn wait(&mut self, who: usize) {
        let pause = Duration::from_secs(60 * (who as u64).pow(2));
        self.now = Now { mono: self.now.mono.after(pause), wall: self.now.wall.after(pause) };
        self.depot.handle(self.now, Input::Tick);
        assert!(self.depot.poll_timeout().is_none_or(|due| due > self.now.mono));
    }

    fn fail(&mut self) {
        if let Some((id, _)) = self.waiting.pop_front() {
            self.depot.handle(self.now, Input::MailboxFault(id));
        }
    }

    fn hint(&mut self, who: usize) {
        if let Some(mailbox) = self.watched.iter().nth(who % 3).cloned() {
            self.depot.handle(self.now, Input::Hint(mailbox));
        }
    }

    fn look(&mut self, who: usize, content: &[u8]) {
        let Some((link, person)) = self.of(who) else { return };
        self.depot.handle(
            self.now,
            match content.first() {
                Some(1) => Input::Judge { link, identity: person.identity.clone() },
                Some(2) => Input::DiskFull(who.is_multiple_of(2)),
                _ => Input::Held { link, is_held: who.is_multiple_of(2) },
            },
        );
    }

    fn settle(&mut self) {
        loop {
            while let Some(output) = self.depot.poll() {
                self.output(output);
            }
            if self.holds {
                return;
            }
            let Some((id, ops)) = self.waiting.pop_front() else { return };
            let done = self.mailbox.commit(self.now.wall, ops);
            self.depot.handle(self.now, Input::Mailbox(id, done));
            for news in self.mailbox.take_news() {
                if self.watched.contains(&news) {
                    self.depot.handle(self.now, Input::Hint(news));
                }
            }
        }
    }

    fn output(&mut self, output: Output) {
        match output {
            Output::Mailbox(id, ops) => self.waiting.push_back((id, ops)),
            Output::Watch(mailbox) => assert!(self.watched.insert(mailbox)),
            Output::Unwatch(mailbox) => assert!(self.watched.remove(&mailbox)),
            Output::Judged(..) => {}
            Output::Send(_, message) => {
                let bytes = message.encode();
                assert!(bytes.len() <= MAX_MESSAGE);
                assert_eq!(Message::decode(&bytes).as_ref(), Ok(&message));
            }
            // The shell closes it, and somebody dials again.
            Output::Close(link, error) => {
                assert!(error.fatal);
                if let Some(who) = LINKS.iter().position(|(known, _)| *known == link) {
                    self.reconnect(who);
                }
            }
        }
    }

    fn end(&mut self) {
        self.holds = false;
        self.settle();
        let mut usage = BTreeMap::new();
        for (link, person) in LINKS.iter().filter_map(|(link, place)| Some((*link, self.people.get(*place)?))) {
            assert!(self.depot.wants_input(link), "everything is answered");
            usage.insert(person.identity.key(), ());
            self.depot.handle(self.now, Input::Disconnected(link));
        }
        self.settle();
        assert!(self.watched.is_empty() && self.waiting.is_empty());
        assert_eq!((self.depot.counts().connections, self.depot.counts().registered), (0, 0));
        assert_eq!(self.depot.poll_timeout(), None);
        let (messages, bytes, _) = POLICY;
        let people = usage.len() as u64;
        // Messages, and three confirmations for each of those who sent any: nobody else's signature holds.
        let (items, content) = self.mailbox.size();
        assert!(items <= people * (u64::from(messages) + 3), "{items}");
        assert!(content <= people * (bytes + 3 * 200), "{content}");
    }
}

/// The same message as its sender would sign it.
fn signed(person: &Person, message: Message) -> Message {
    let (key, owner) = (&person.signing, person.identity.key());
    let auth = |role| key.sign(&auth_content(&HASH, &relay_id(), &owner, role));
    match message {
        Message::RelayRegister(request) => {
            RelayRegister { identity: owner, auth_signature: auth(Role::Register), ..request }.into()
        }
        Message::RetrieveMessages(request) => {
            RetrieveMessages { identity: owner, auth_signature: auth(Role::Retrieve), ..request }.into()
        }
        Message::StoreMessage(StoreMessage { recipient, encrypted_blob, message_id, .. }) => {
            StoreMessage::signed(&relay_id(), key, recipient, message_id, encrypted_blob.0).into()
        }
        Message::DeliveryConfirmation(DeliveryConfirmation { message_id, timestamp, sender: Some(sender), .. }) => {
            DeliveryConfirmation::signed(key, sender, message_id, timestamp).into()
        }
        other => other,
    }
}

/// Conversations in the form of the steps: each message from each client, between others.
pub fn seeds(messages: &[Message]) -> Option<Vec<Vec<u8>>> {
    let say = |kind: u8, who: u8, message: &Message| put(kind, &[&[who][..], &message.encode()].concat());
    let (Some(register), Some(store)) = (messages.first(), messages.get(1)) else { return None };
    let begin = [say(0, 0, register)?, say(0, 1, register)?, say(0, 0, store)?].concat();
    let mut seeds = Vec::new();
    for message in messages {
        let mut seed = begin.clone();
        for who in [1u8, 0] {
            seed.extend([put(6, &[])?, say(0, who, message)?, put(7, &[])?, put(6, &[])?].concat());
            seed.extend([say(1, who, message)?, put(4, &[who])?, put(8, &[0])?, put(9, &[who, 1])?].concat());
        }
        seed.extend([say(3, 2, message)?, put(9, &[0])?, say(0, 1, store)?, put(9, &[1])?, put(5, &[0])?].concat());
        seeds.push(seed);
    }
    Some(seeds)
}
