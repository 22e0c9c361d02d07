//! Everything goes wrong at random around a relay of two processes: batches are late, out of order, fail before
//! or after they were done, hints are lost, connections break, processes end.

use super::clients::{LINKS, World, confirmation, register, retrieve, store};
use crate::people::Person;
use rand::{RngExt, SeedableRng, rngs::StdRng};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;
use waypost_core::{BatchId, ContactId, MailboxDone, MailboxId};
use waypost_sremp::{
    LinkId, Message,
    message::{DeliveryConfirmation, StoredMessage},
    relay::{DepotLimits, Input, Policy},
};
use waypost_testkit::{sim::Counts, storm};

const STEPS: u32 = 600;
const LETTERS: u64 = 25;
/// Requests of one connection without an answer.
const OUTSTANDING: usize = 6;

#[test]
fn storm_two_processes_lose_no_message_and_double_none() {
    storm::run("a relay of two processes", 30, |seed| Storm::new(seed).run());
}

/// A request whose answer has not come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    Register,
    Store(u64),
    Retrieve,
    /// Answered only if it goes wrong.
    Confirm,
}

struct Client {
    person: Person,
    link: Option<LinkId>,
    is_registered: bool,
    asked: VecDeque<Asked>,
    /// To whom, and not known to be stored.
    unsent: BTreeMap<u64, usize>,
    cursor: u64,
    pushed: u64,
    /// Messages got, by sender; what their recipients confirmed of the own.
    got: BTreeMap<(ContactId, u64), u64>,
    confirmed: BTreeSet<(ContactId, u64)>,
}

struct Storm {
    rng: StdRng,
    world: World,
    clients: Vec<Client>,
    done: Vec<(usize, BatchId, Vec<MailboxDone>)>,
    hints: Vec<(usize, MailboxId)>,
    next_link: u64,
    is_calm: bool,
    counts: Counts,
}

impl Storm {
    fn new(seed: u64) -> Self {
        let policy = Policy { rate_store: 9999, rate_retrieve: 9999, sender_messages: 9999, ..Policy::default() };
        let limits = DepotLimits { push_items: 2, batch_default: 3, ..DepotLimits::default() };
        let mut world = World::new(policy, limits);
        world.start_process();
        world.commits = false;
        let clients = (0..3u64).map(|who| Client {
            person: Person::new("Somebody", seed * 10 + who),
            link: None,
            is_registered: false,
            asked: VecDeque::new(),
            unsent: (0..LETTERS).map(|letter| (who * 1000 + letter, ((who + 1 + letter % 2) % 3) as usize)).collect(),
            cursor: 0,
            pushed: 0,
            got: BTreeMap::new(),
            confirmed: BTreeSet::new(),
        });
        Self {
            rng: StdRng::seed_from_u64(seed),
            world,
            clients: clients.collect(),
            done: Vec::new(),
            hints: Vec::new(),
            next_link: 1,
            is_calm: false,
            counts: Counts::new(),
        }
    }

    fn run(mut self) -> Counts {
        for _ in 0..STEPS {
            self.step();
        }
        self.is_calm = true;
        for _ in 0..200 {
            for _ in 0..30 {
                self.step();
            }
            if self.clients.iter().all(|client| client.unsent.is_empty() && client.confirmed.len() as u64 == LETTERS) {
                self.check();
                return self.counts;
            }
        }
        panic!("never calm");
    }

    fn step(&mut self) {
        let who = self.rng.random_range(0..3);
        match self.rng.random_range(0..100) {
            0..40 => self.storage(),
            40..50 => self.tell(),
            50..60 => self.hint(),
            60..80 => self.send(who),
            80..90 => self.read(who),
            90..95 => self.pass(),
            95..97 if !self.is_calm => self.hang_up(who),
            97 if !self.is_calm => self.crash(),
            _ => {}
        }
    }

    /// A batch is done or fails; which of both its process may never learn.
    fn storage(&mut self) {
        if self.world.waiting.is_empty() {
            return self.tell();
        }
        let place = self.rng.random_range(0..self.world.waiting.len());
        let fails = !self.is_calm && self.rng.random_bool(0.05);
        let is_done = !fails || self.rng.random_bool(0.5);
        let (process, id, ops) = self.world.waiting.remove(place);
        if is_done {
            let done = self.world.mailbox.commit(self.world.now.wall, ops);
            for news in self.world.mailbox.take_news() {
                for at in (0..2).filter(|at| self.world.processes[*at].watched.contains(&news)) {
                    let times = if self.rng.random_bool(0.3) { 0 } else { self.rng.random_range(1..3) };
                    self.hints.extend(vec![(at, news.clone()); times]);
                }
            }
            if !fails {
                self.done.push((process, id, done));
            }
        }
        if fails {
            *self.counts.entry("faults").or_default() += 1;
            let sent = self.world.take_at(process, Input::MailboxFault(id));
            self.receive(sent);
        }
    }

    fn tell(&mut self) {
        if !self.done.is_empty() {
            let (process, id, done) = self.done.swap_remove(self.rng.random_range(0..self.done.len()));
            let sent = self.world.take_at(process, Input::Mailbox(id, done));
            self.receive(sent);
        }
    }

    fn hint(&mut self) {
        if !self.hints.is_empty() {
            let (process, news) = self.hints.swap_remove(self.rng.random_range(0..self.hints.len()));
            let sent = self.world.take_at(process, Input::Hint(news));
            self.receive(sent);
        }
    }

    fn pass(&mut self) {
        self.world.pass(Duration::from_secs(self.rng.random_range(0..40)));
        let sent = self.world.tick();
        self.receive(sent);
    }

    fn ask(&mut self, who: usize, asked: Asked, message: impl Into<Message>) {
        let client = &mut self.clients[who];
        let Some(link) = client.link else { return };
        client.asked.push_back(asked);
        let sent = self.world.take(Input::Message { link, message: message.into() });
        self.receive(sent);
    }

    /// A message, or first a connection to one of the processes.
    fn send(&mut self, who: usize) {
        if self.clients[who].link.is_none() {
            self.next_link += 1;
            let process = self.rng.random_range(0..2);
            // Links of a process are told from those of the other by their number.
            let link = LinkId(process * LINKS + self.next_link % LINKS);
            if self.clients.iter().any(|client| client.link == Some(link)) {
                return;
            }
            let client = &mut self.clients[who];
            (client.link, client.pushed, client.is_registered) = (Some(link), 0, false);
            client.asked.clear();
            let person = client.person.clone();
            self.world.connect(link.0, &person);
            return self.ask(who, Asked::Register, register(&person, 86400, true));
        }
        let client = &self.clients[who];
        if client.is_registered
            && client.waits_for() < OUTSTANDING
            && let Some((&id, &to)) = client.unsent.iter().nth(self.rng.random_range(0..4))
        {
            let message = store(&client.person, &self.clients[to].person, id, &id.to_be_bytes());
            self.ask(who, Asked::Store(id), message);
        }
    }

    fn read(&mut self, who: usize) {
        let client = &self.clients[who];
        if client.is_registered && client.waits_for() < OUTSTANDING && !client.asked.contains(&Asked::Retrieve) {
            // What was read may have been lost with the connection that brought it.
            let after = if self.rng.random_bool(0.2) { 0 } else { client.cursor };
            let message = retrieve(&client.person, after);
            self.ask(who, Asked::Retrieve, message);
        }
    }

    fn hang_up(&mut self, who: usize) {
        let client = &mut self.clients[who];
        client.is_registered = false;
        if let Some(link) = client.link.take() {
            *self.counts.entry("broken connections").or_default() += 1;
            let sent = self.world.take(Input::Disconnected(link));
            self.receive(sent);
        }
    }

    /// A process ends: what it asked for may still be done, and nobody hears of it.
    fn crash(&mut self) {
        *self.counts.entry("crashes").or_default() += 1;
        let process = self.rng.random_range(0..2);
        self.done.retain(|(at, ..)| *at != process);
        self.hints.retain(|(at, _)| *at != process);
        for (at, id, ops) in std::mem::take(&mut self.world.waiting) {
            if at != process {
                self.world.waiting.push((at, id, ops));
            } else if self.rng.random_bool(0.5) {
                self.world.mailbox.commit(self.world.now.wall, ops);
            }
        }
        for client in &mut self.clients {
            if client.link.is_some_and(|link| (link.0 / LINKS) as usize == process) {
                (client.link, client.is_registered) = (None, false);
            }
        }
        self.world.start_process();
        let fresh = self.world.processes.pop().unwrap();
        self.world.processes[process] = fresh;
    }

    fn receive(&mut self, sent: Vec<(LinkId, Message)>) {
        for (link, message) in sent {
            let who = self.clients.iter().position(|client| client.link == Some(link));
            let Some(who) = who else { continue };
            self.message(who, message);
        }
    }

    fn message(&mut self, who: usize, message: Message) {
        let client = &mut self.clients[who];
        match message {
            Message::RelayRegistered(_) => {
                assert_eq!(client.asked.pop_front(), Some(Asked::Register));
                client.is_registered = true;
            }
            Message::StoreResponse(answer) => {
                client.skip_confirmations();
                assert_eq!(client.asked.pop_front(), Some(Asked::Store(answer.message_id)), "answers in order");
                match answer.error_code {
                    None => drop(client.unsent.remove(&answer.message_id)),
                    // Of a fault, or of somebody who is not there yet.
                    Some(code) => assert!([5, 24].contains(&code), "{code}"),
                }
            }
            Message::MessageBatch(batch) => {
                if let Some(next) = batch.next {
                    client.skip_confirmations();
                    assert_eq!(client.asked.pop_front(), Some(Asked::Retrieve));
                    client.cursor = client.cursor.max(next);
                } else {
                    client.note_push(batch.messages[0].seq);
                }
                for confirmation in batch.confirmations.into_iter().flatten() {
                    client.note_confirmation(&confirmation);
                }
                for message in batch.messages {
                    self.got(who, &message);
                }
            }
            Message::DeliveryConfirmation(confirmation) => {
                client.note_push(confirmation.seq);
                client.note_confirmation(&confirmation);
            }
            Message::Error(error) if error.fatal => {
                assert_eq!(error.code, 5, "{error:?}");
                self.hang_up(who);
            }
            Message::Error(error) => {
                assert_eq!((error.code, error.request.as_deref()), (33, Some("DELIVERY_CONFIRMATION")))
            }
            other => panic!("{other:?}"),
        }
    }

    fn got(&mut self, who: usize, message: &StoredMessage) {
        *self.counts.entry("messages").or_default() += 1;
        let client = &mut self.clients[who];
        assert_eq!(*message.encrypted_blob, message.message_id.to_be_bytes());
        let seq = message.seq.unwrap();
        let first = *client.got.entry((message.sender, message.message_id)).or_insert(seq);
        assert_eq!(first, seq, "stored twice");
        let sender = self.clients.iter().find(|client| client.person.id() == message.sender).unwrap();
        let word = confirmation(&self.clients[who].person, &sender.person, message.message_id, self.world.now);
        self.ask(who, Asked::Confirm, word);
    }

    /// All is confirmed, and each message was in one place only.
    fn check(&self) {
        for (place, client) in self.clients.iter().enumerate() {
            assert_eq!(client.got.len() as u64, {
                let to_it = |other: usize| {
                    (0..LETTERS).filter(move |letter| (other as u64 + 1 + letter % 2) % 3 == place as u64)
                };
                (0..3).map(|other| to_it(other).count() as u64).sum::<u64>()
            });
            let places: BTreeSet<u64> = client.got.values().copied().collect();
            assert_eq!(places.len(), client.got.len());
        }
    }
}

impl Client {
    /// Requests that will be answered whatever they come to.
    fn waits_for(&self) -> usize {
        self.asked.iter().filter(|asked| **asked != Asked::Confirm).count()
    }

    /// Those that went well are not answered.
    fn skip_confirmations(&mut self) {
        while self.asked.front() == Some(&Asked::Confirm) {
            self.asked.pop_front();
        }
    }

    fn note_push(&mut self, seq: Option<u64>) {
        let seq = seq.unwrap();
        assert!(self.pushed < seq, "pushed again or out of order");
        self.pushed = seq;
    }

    fn note_confirmation(&mut self, confirmation: &DeliveryConfirmation) {
        assert_eq!(confirmation.verify(&self.person.id()), Ok(()));
        self.confirmed.insert((confirmation.delivered_to, confirmation.message_id));
    }
}
