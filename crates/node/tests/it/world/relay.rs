//! A relay as a host of the simulator: the real machine, on mailboxes that outlive crashes.

use super::links::Links;
use super::{Told, User};
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};
use waypost_core::{BatchId, MailboxDone, MailboxId, MailboxOp, Mono, Now, RelayAddress, Space, SrempAddress, Wall};
use waypost_net::sremp::{DriverCommand, DriverEvent};
use waypost_sremp::connection::ConnectionKeys;
use waypost_sremp::ed25519::SigningKey;
use waypost_sremp::identity::Flags;
use waypost_sremp::relay::{Depot, DepotLimits, DepotTiming, Input, Output, Policy};
use waypost_sremp::x25519::Secret;
use waypost_sremp::{Identity, IdentityDraft, LinkId};
use waypost_testkit::SimRng;
use waypost_testkit::mailbox::MemoryMailbox;
use waypost_testkit::sim::{Host, HostInput, HostOutput};

/// A relay's disk and keys: what outlives a crash.
#[derive(Clone)]
pub(crate) struct RelayDisk {
    mailboxes: Arc<Mutex<MemoryMailbox>>,
    identity: Identity,
    noise: Secret,
    at: SrempAddress,
    pub(crate) policy: Policy,
}

impl RelayDisk {
    pub(crate) fn new(rng: &mut SimRng, at: &str, policy: Policy) -> Self {
        let (mut seed, mut noise) = ([0; 32], [0; 32]);
        rand_core::Rng::fill_bytes(rng, &mut seed);
        rand_core::Rng::fill_bytes(rng, &mut noise);
        let (signing, noise) = (SigningKey::from_bytes(&seed), Secret::from_bytes(noise));
        let draft = IdentityDraft {
            username: "relay".into(),
            noise_key: noise.public(),
            dr_key: None,
            flags: Flags { is_relay_server: true, ..Flags::default() },
            relays: Vec::new(),
            picture: None,
            metadata: Vec::new(),
            version: 1,
            created: Wall::from_millis(1_790_000_000_000),
        };
        let identity = draft.sign(&signing).unwrap();
        Self { mailboxes: Arc::default(), identity, noise, at: at.parse().unwrap(), policy }
    }

    /// As a person adds it.
    pub(crate) fn uri(&self) -> String {
        let address = RelayAddress { at: self.at.clone(), identity: self.identity.key() };
        format!("sremp-relay://{address}")
    }

    /// Letters that wait there for somebody.
    pub(crate) fn letters(&self, owner: &str) -> u64 {
        let mailbox = MailboxId { space: Space("relay/mailbox"), owner: hex::decode(owner).unwrap() };
        let now = Wall::from_millis(1_767_225_600_000);
        match &self.mailboxes.lock().unwrap().commit(now, vec![MailboxOp::Usage { mailbox }])[..] {
            [MailboxDone::Usage(usage)] => usage.letters,
            other => panic!("{other:?}"),
        }
    }

    /// As after the loss of the machine: nothing is left.
    pub(crate) fn wipe(&self) {
        *self.mailboxes.lock().unwrap() = MemoryMailbox::default();
    }
}

/// One relay.
pub(crate) struct RelayHost {
    depot: Depot,
    disk: RelayDisk,
    links: Links,
    identified: BTreeMap<LinkId, Identity>,
    waiting: VecDeque<(LinkId, waypost_sremp::Message)>,
    /// Batches for the next commit, by its number.
    batches: BTreeMap<u64, (BatchId, Vec<MailboxOp>)>,
    answers: BTreeMap<u64, (BatchId, Vec<MailboxDone>)>,
    watched: Vec<MailboxId>,
    next_commit: u64,
    now: Now,
    rng: SimRng,
}

impl RelayHost {
    pub(crate) fn start(disk: &RelayDisk, now: Now, rng: &mut SimRng) -> Self {
        let keys = ConnectionKeys::new(disk.noise.clone(), disk.identity.clone()).unwrap();
        let (limits, timing) = (DepotLimits::default(), DepotTiming::default());
        Self {
            depot: Depot::new(disk.identity.key(), disk.policy.clone(), limits, timing),
            disk: disk.clone(),
            links: Links::new(keys),
            identified: BTreeMap::new(),
            waiting: VecDeque::new(),
            batches: BTreeMap::new(),
            answers: BTreeMap::new(),
            watched: Vec::new(),
            next_commit: 0,
            now,
            rng: rng.fork(&format!("relay {}", now.wall.as_millis())),
        }
    }

    fn work(&mut self) {
        while let Some(event) = self.links.news.pop_front() {
            match event {
                DriverEvent::Identified { link, identity } => {
                    self.identified.insert(link, identity.clone());
                    self.depot(Input::Judge { link, identity });
                }
                DriverEvent::Ready { link, handshake_hash, .. } => {
                    let identity = self.identified.remove(&link).unwrap();
                    self.depot(Input::Connected { link, identity, handshake_hash });
                }
                DriverEvent::Message { link, message, .. } => self.waiting.push_back((link, message)),
                DriverEvent::Closed { link, .. } => {
                    self.identified.remove(&link);
                    self.depot(Input::Disconnected(link));
                }
                _ => {}
            }
        }
        for (link, message) in std::mem::take(&mut self.waiting) {
            match self.depot.wants_input(link) {
                true => self.depot(Input::Message { link, message }),
                false => self.waiting.push_back((link, message)),
            }
        }
    }

    fn depot(&mut self, input: Input) {
        self.depot.handle(self.now, input);
        while let Some(output) = self.depot.poll() {
            let command = match output {
                Output::Mailbox(id, batch) => {
                    self.next_commit += 1;
                    self.batches.insert(self.next_commit, (id, batch));
                    self.links.out.push_back(HostOutput::Commit(self.next_commit));
                    continue;
                }
                Output::Watch(mailbox) => {
                    self.watched.push(mailbox);
                    continue;
                }
                Output::Unwatch(mailbox) => {
                    self.watched.retain(|watched| *watched != mailbox);
                    continue;
                }
                Output::Judged(link, verdict) => DriverCommand::Judge(link, verdict),
                Output::Send(link, message) => {
                    if self.depot.is_registered(link) {
                        self.links.command(self.now, &mut self.rng, DriverCommand::Known(link));
                    }
                    DriverCommand::Send(link, message)
                }
                Output::Close(link, error) => {
                    self.waiting.retain(|(from, _)| *from != link);
                    DriverCommand::Close(link, Some(error))
                }
            };
            self.links.command(self.now, &mut self.rng, command);
        }
    }
}

impl Host for RelayHost {
    type User = User;
    type Event = Told;

    fn handle(&mut self, now: Now, _: &mut SimRng, input: HostInput<User>) {
        self.now = now;
        match input {
            HostInput::Committed(commit) => {
                let (id, answers) = self.answers.remove(&commit).unwrap();
                let news = self.disk.mailboxes.lock().unwrap().take_news();
                self.depot(Input::Mailbox(id, answers));
                for mailbox in news.into_iter().filter(|mailbox| self.watched.contains(mailbox)).collect::<Vec<_>>() {
                    self.depot(Input::Hint(mailbox));
                }
            }
            HostInput::Tick => {
                self.links.input(now, &mut self.rng, HostInput::<User>::Tick);
                self.depot(Input::Tick);
                self.disk.mailboxes.lock().unwrap().expire(now.wall, 1000);
            }
            other => self.links.input(now, &mut self.rng, other),
        }
        self.work();
    }

    fn poll(&mut self) -> Option<HostOutput<Told>> {
        self.links.out.pop_front()
    }

    fn poll_timeout(&self) -> Option<Mono> {
        self.links.poll_timeout().into_iter().chain(self.depot.poll_timeout()).min()
    }

    fn make_durable(&mut self, commit: u64) {
        let (id, batch) = self.batches.remove(&commit).unwrap();
        let answers = self.disk.mailboxes.lock().unwrap().commit(self.now.wall, batch);
        self.answers.insert(commit, (id, answers));
    }
}
