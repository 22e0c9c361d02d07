//! One account with records that can crash.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeMap;
use std::time::Duration;
use waypost_core::{
    Batch, Body, ContactId, InviteToken, Letter, LetterId, MemoryRecords, Mono, Now, RecordFault, SaveId, Wall,
};
use waypost_sremp::{
    Account, AccountKeys, Identity, IdentityDraft, LinkId, Message, WAYPOST,
    account::{AccountLimits, AccountTiming, Event, Input, Output, People, Standing},
    connection::Verdict,
    ed25519::SigningKey,
    forget_sessions,
    identity::RelayRef,
    message::ErrorMessage,
    x25519::Secret,
};

/// When the tests begin.
pub(crate) const START: u64 = 1_790_000_000_000;

pub(crate) fn at(millis: u64) -> Now {
    Now { mono: Mono::from_millis(millis), wall: Wall::from_millis(START + millis) }
}

pub(crate) struct Side {
    pub(crate) account: Account,
    pub(crate) identity: Identity,
    signing: SigningKey,
    dr: Secret,
    /// What the account reads: with what is not durable yet.
    pub(crate) records: MemoryRecords,
    /// What a crash leaves.
    disk: MemoryRecords,
    pub(crate) rng: ChaCha8Rng,
    pub(crate) now: Now,
    /// What the person thinks of the peer.
    pub(crate) standing: Standing,
    /// No room for letters of strangers; the only invite that is good.
    pub(crate) full: bool,
    pub(crate) invite: InviteToken,
    /// Saves become durable at once.
    pub(crate) saves: bool,
    last_save: Option<SaveId>,
    /// Messages to send, in order.
    pub(crate) sent: Vec<(LinkId, Message)>,
    pub(crate) closed: Vec<(LinkId, Option<ErrorMessage>)>,
    pub(crate) judged: Vec<Verdict>,
    /// All events, as they came.
    pub(crate) events: Vec<Event>,
    /// Letters that came and are on disk, by id, as the house keeps them: once.
    pub(crate) inbox: BTreeMap<LetterId, Letter>,
    fresh: Vec<Letter>,
}

impl Side {
    pub(crate) fn new(name: &str, seed: u64, knows_letters: bool) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let signing = SigningKey::generate(&mut rng);
        let (noise, dr) = (Secret::generate(&mut rng), Secret::generate(&mut rng));
        let mut draft = IdentityDraft::new(name, noise.public(), dr.public(), 1, at(0).wall);
        if knows_letters {
            draft.metadata.push((WAYPOST.to_owned(), vec![1]));
        }
        let identity = draft.sign(&signing).unwrap();
        Self {
            account: account(at(0), &identity, &signing, &dr),
            identity,
            signing,
            dr,
            records: MemoryRecords::default(),
            disk: MemoryRecords::default(),
            rng,
            now: at(0),
            standing: Standing::Contact,
            full: false,
            invite: InviteToken([7; 16]),
            saves: true,
            last_save: None,
            sent: Vec::new(),
            closed: Vec::new(),
            judged: Vec::new(),
            events: Vec::new(),
            inbox: BTreeMap::new(),
            fresh: Vec::new(),
        }
    }

    pub(crate) fn id(&self) -> ContactId {
        self.identity.key()
    }

    pub(crate) fn give(&mut self, input: Input<'_>) {
        self.account.handle(self.now, &mut self.rng, &self.records, input).unwrap();
        self.drain();
        if self.saves {
            self.save();
        }
    }

    fn drain(&mut self) {
        while let Some(output) = self.account.poll() {
            match output {
                Output::Save(id, changes) => {
                    self.records.apply(changes);
                    self.last_save = Some(id);
                }
                Output::Event(event) => {
                    if let Event::Received { letter, .. } = &event {
                        self.fresh.push(letter.clone());
                    }
                    self.events.push(event);
                }
                Output::Judged(_, verdict) => self.judged.push(verdict),
                Output::Send(link, message) => self.sent.push((link, message)),
                Output::Close(link, error) => self.closed.push((link, error)),
            }
        }
    }

    /// Makes everything so far durable.
    pub(crate) fn save(&mut self) {
        let Some(id) = self.last_save.take() else { return };
        self.disk = self.records.clone();
        for letter in self.fresh.drain(..) {
            self.inbox.entry(letter.id).or_insert(letter);
        }
        self.give_saved(id);
    }

    fn give_saved(&mut self, id: SaveId) {
        self.account.handle(self.now, &mut self.rng, &self.records, Input::Saved(id)).unwrap();
        self.drain();
    }

    /// Everything that is not on disk is lost, and the account begins anew from there.
    pub(crate) fn crash(&mut self) {
        self.records = self.disk.clone();
        self.fresh.clear();
        self.sent.clear();
        self.last_save = None;
        self.account = account(self.now, &self.identity, &self.signing, &self.dr);
    }

    /// As after restoring a backup: crashed, without sessions and prekeys.
    pub(crate) fn restore(&mut self) {
        let mut batch = Batch::new(&self.disk);
        forget_sessions(&mut batch).unwrap();
        let changes = batch.into_changes();
        self.disk.apply(changes);
        self.crash();
    }

    /// A new version of the own identity.
    pub(crate) fn rename(&mut self, name: &str) {
        let mut draft = IdentityDraft::next(&self.identity, self.now.wall).unwrap();
        draft.username = name.to_owned();
        self.identity = draft.sign(&self.signing).unwrap();
        self.account.set_identity(self.identity.clone());
    }

    /// Mailboxes of one's own, as the identity says.
    pub(crate) fn lives_at(&mut self, relays: Vec<RelayRef>) {
        let mut draft = IdentityDraft::next(&self.identity, self.now.wall).unwrap();
        draft.flags.uses_relay = !relays.is_empty();
        draft.relays = relays;
        self.identity = draft.sign(&self.signing).unwrap();
        self.account.set_identity(self.identity.clone());
    }

    /// Another identity of the version shown now: nobody honest has one.
    pub(crate) fn twin(&self) -> Identity {
        let mut draft = IdentityDraft::next(&self.identity, self.now.wall).unwrap();
        (draft.username, draft.version) = ("Twin".into(), self.identity.version());
        draft.sign(&self.signing).unwrap()
    }

    pub(crate) fn judge(&mut self, identity: &Identity) -> Verdict {
        let standing = self.standing;
        self.give(Input::Judge { link: LinkId(99), identity: identity.clone(), standing });
        self.save();
        self.judged.pop().expect("a verdict")
    }

    pub(crate) fn message(&mut self, link: LinkId, message: Message) {
        let people = Door { standing: self.standing, full: self.full, invite: self.invite.clone() };
        self.give(Input::Message { link, message, people: &people });
    }

    pub(crate) fn queue(&mut self, peer: ContactId, body: Body) -> LetterId {
        let id = LetterId::from_bytes(self.rng.random());
        let letter = Letter { id, sent: self.now.wall, body };
        self.give(Input::Queue { peer, letter, token: None });
        id
    }

    pub(crate) fn write(&mut self, peer: ContactId, text: &str) -> LetterId {
        self.queue(peer, Body::Text { text: text.into() })
    }

    /// The messages to send since the last call.
    pub(crate) fn take_sent(&mut self) -> Vec<Message> {
        self.sent.drain(..).map(|(_, message)| message).collect()
    }

    pub(crate) fn delivered(&self) -> Vec<LetterId> {
        let ids = self.events.iter().filter_map(|event| match event {
            Event::Delivered { letter, .. } => Some(*letter),
            _ => None,
        });
        ids.collect()
    }

    pub(crate) fn undeliverable(&self) -> Vec<(LetterId, &'static str)> {
        let found = self.events.iter().filter_map(|event| match event {
            Event::Undeliverable { letter, reason, .. } => Some((*letter, *reason)),
            _ => None,
        });
        found.collect()
    }

    /// How often the account said that a letter came.
    pub(crate) fn received(&self) -> usize {
        self.events.iter().filter(|event| matches!(event, Event::Received { .. })).count()
    }

    pub(crate) fn texts(&self) -> Vec<&str> {
        let mut letters: Vec<_> = self.inbox.values().collect();
        letters.sort_by_key(|letter| letter.sent);
        letters.iter().filter_map(|letter| letter.body.text()).collect()
    }

    /// Lets time pass up to a moment, with all timers on the way.
    pub(crate) fn wait_until(&mut self, end: Mono) {
        while let Some(due) = self.account.poll_timeout().filter(|due| *due <= end) {
            self.now = at(due.as_millis().max(self.now.mono.as_millis()));
            self.give(Input::Tick);
            let next = self.account.poll_timeout();
            assert!(next.is_none_or(|next| next > self.now.mono), "a timer that stays due");
        }
        self.now = at(end.as_millis());
    }

    pub(crate) fn wait(&mut self, duration: Duration) {
        self.wait_until(self.now.mono.after(duration));
    }
}

/// What the person thinks of everybody.
struct Door {
    standing: Standing,
    full: bool,
    invite: InviteToken,
}

impl People for Door {
    fn standing(&self, _: &ContactId) -> Result<Standing, RecordFault> {
        Ok(self.standing)
    }

    fn is_full(&self, _: &ContactId) -> Result<bool, RecordFault> {
        Ok(self.full)
    }

    fn is_invited(&self, token: &InviteToken) -> bool {
        *token == self.invite
    }
}

fn account(now: Now, identity: &Identity, signing: &SigningKey, dr: &Secret) -> Account {
    let keys = AccountKeys { identity: identity.clone(), signing: signing.clone(), dr: dr.clone() };
    Account::new(now, keys, AccountLimits::default(), AccountTiming::default())
}
