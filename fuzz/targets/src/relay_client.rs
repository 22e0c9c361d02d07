//! The account of `waypost-sremp` as a client of relays that do what they like.

mod seeds;
mod town;

pub use seeds::seeds;

use crate::{
    peer::step as next_step,
    people::NOW,
    vault::{sealed, step},
};
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};
use std::{
    collections::{BTreeSet, VecDeque},
    time::Duration,
};
use town::{Opinions, Town, town};
use waypost_core::{Body, ContactId, Letter, LetterId, MemoryRecords, Mono, Now, SaveId};
use waypost_sremp::{
    Account, AccountKeys, Identity, IdentityDraft, LinkId, Message, Vault,
    account::{AccountLimits, AccountTiming, Event, Input, Output, OwnRelay, Standing},
    message::{
        DeliveryConfirmation, DirectMessage, ErrorMessage, MAX_MESSAGE, MessageBatch, PrekeysPublished,
        RelayRegistered, StoreResponse, StoredMessage,
    },
    relay::Policy,
};

/// Steps of an input: more teach nothing new.
const STEPS: usize = 48;
/// The connections to the own relay and to one of others.
const RELAYS: [LinkId; 2] = [LinkId(5), LinkId(7)];
/// The direct connection with Alice.
const DIRECT: LinkId = LinkId(1);
/// Outputs for which one input may be the reason, beside those for each item it brings.
const OUTPUTS: usize = 256;

/// Steps as in [`connection`](crate::connection()): the first byte of the content names the relay. Its answers and
/// refusals, true and false, what it hands over from anybody, connections that come and go, own letters, saves that
/// are held up, restarts that lose them, time.
///
/// Whatever a relay does: every call succeeds, nothing leaves before what it depends on is kept, outputs are
/// bounded, nothing counts as delivered without the recipient's signature, and no timer stays in the past.
pub fn relay_client(mut data: &[u8]) {
    let Some(mut bob) = town().and_then(Bob::new) else { return };
    for _ in 0..STEPS {
        let Some((kind, content)) = next_step(&mut data) else { break };
        let (who, content) = content.split_first().map_or((0, content), |(who, rest)| (usize::from(*who), rest));
        let relay = who % RELAYS.len();
        match kind % 16 {
            0 => bob.decoded(relay, content),
            1 => bob.answer(relay, content),
            2 => bob.refuse(relay, content),
            3 => bob.sealed_by_alice(content),
            4 => bob.stored(who, content.to_vec()),
            5 => sealed(content).into_iter().for_each(|blob| bob.stored(1, blob)),
            6 => bob.confirm(relay, content),
            7 => bob.batch(relay, content),
            8 => bob.wait(Duration::from_secs(60 * (who as u64).pow(2))),
            9 => bob.write(who, content),
            10 => bob.visit(relay),
            11 => bob.choose(who, content),
            12 => bob.hold(),
            13 => bob.restart(),
            14 => bob.meet(who.is_multiple_of(2)),
            _ => bob.decide(who, content),
        }
    }
    bob.end();
}

/// Bob's side, and what the relays know.
struct Bob {
    town: &'static Town,
    account: Account,
    records: MemoryRecords,
    of_alice: MemoryRecords,
    opinions: Opinions,
    now: Now,
    rng: ChaCha20Rng,
    /// While saves are held up: what was durable before.
    durable: Option<MemoryRecords>,
    last_save: Option<SaveId>,
    /// What was asked of each relay.
    asked: [VecDeque<Message>; 2],
    /// To be handed over next.
    waiting: (Vec<StoredMessage>, Vec<DeliveryConfirmation>),
    /// Message ids of what left.
    left: Vec<u64>,
    ids: u64,
    confirmed: BTreeSet<(ContactId, u64)>,
    delivered: BTreeSet<LetterId>,
    outputs: usize,
    allowed: usize,
}

impl Bob {
    fn new(town: &'static Town) -> Option<Self> {
        let now = Now { mono: Mono::default(), wall: NOW };
        let [alice, _] = &town.world.senders;
        let opinions =
            Opinions { contact: alice.identity.key(), blocked: ContactId::from_bytes([1; 32]), is_full: false };
        let mut bob = Self {
            town,
            account: account(town, town.world.bob.identity.clone(), now),
            records: town.world.records.clone(),
            of_alice: town.world.of_alice.clone(),
            opinions,
            now,
            rng: ChaCha20Rng::from_seed([7; 32]),
            durable: None,
            last_save: None,
            asked: [VecDeque::new(), VecDeque::new()],
            waiting: (Vec::new(), Vec::new()),
            left: Vec::new(),
            ids: 100,
            confirmed: BTreeSet::new(),
            delivered: BTreeSet::new(),
            outputs: 0,
            allowed: 0,
        };
        let own = OwnRelay { relay: town.relays.first()?.key(), token: Some(b"token".to_vec()) };
        bob.give(Input::OwnRelays(vec![own]));
        let (link, identity, standing) = (DIRECT, town.alice.clone(), Standing::Contact);
        bob.give(Input::Judge { link, identity, standing });
        bob.visit(0);
        bob.visit(1);
        Some(bob)
    }

    /// What no relay may bring to fail.
    fn give(&mut self, input: Input<'_>) {
        self.allowed += OUTPUTS + items(&input) * 4;
        let done = self.account.handle(self.now, &mut self.rng, &self.records, input);
        assert_eq!(done, Ok(()));
        self.drain();
    }

    fn drain(&mut self) {
        let mut closed = Vec::new();
        loop {
            while let Some(output) = self.account.poll() {
                self.outputs += 1;
                assert!(self.outputs <= self.allowed, "outputs without end");
                match output {
                    Output::Save(id, changes) => {
                        self.records.apply(changes);
                        assert!(self.last_save.is_none_or(|last| last < id));
                        self.last_save = Some(id);
                    }
                    Output::Event(event) => self.event(event),
                    other => {
                        assert_eq!(self.last_save, None, "something leaves before it is kept");
                        match other {
                            Output::Send(link, message) => self.sent(link, message),
                            Output::Close(link, _) => closed.push(link),
                            _ => {}
                        }
                    }
                }
            }
            if self.durable.is_some() {
                break;
            }
            let Some(id) = self.last_save.take() else { break };
            assert_eq!(self.account.handle(self.now, &mut self.rng, &self.records, Input::Saved(id)), Ok(()));
        }
        for link in closed {
            self.down(link);
        }
    }

    fn event(&mut self, event: Event) {
        if let Event::Delivered { letter, .. } = event {
            self.delivered.insert(letter);
            assert!(self.delivered.len() <= self.confirmed.len(), "delivered without a signature");
        }
    }

    fn sent(&mut self, link: LinkId, message: Message) {
        let bytes = message.encode();
        assert!(bytes.len() <= MAX_MESSAGE);
        assert_eq!(Message::decode(&bytes).as_ref(), Ok(&message));
        if let Message::StoreMessage(_) | Message::DirectMessage(_) = message {
            self.left.extend(message.message_id());
        }
        let wants_answer = matches!(
            message,
            Message::RelayRegister(_)
                | Message::StoreMessage(_)
                | Message::RetrieveMessages(_)
                | Message::PublishPrekeys(_)
                | Message::FetchPrekeys(_)
        );
        let relay = RELAYS.iter().position(|relay| *relay == link).filter(|_| wants_answer);
        if let Some(asked) = relay.and_then(|at| self.asked.get_mut(at)) {
            asked.push_back(message);
        }
    }

    fn message(&mut self, link: LinkId, message: Message) {
        let owner = self.account.id();
        let confirmations: &[DeliveryConfirmation] = match &message {
            Message::DeliveryConfirmation(confirmation) => std::slice::from_ref(confirmation),
            Message::MessageBatch(batch) => batch.confirmations.as_deref().unwrap_or_default(),
            _ => &[],
        };
        let hold = confirmations.iter().filter(|confirmation| confirmation.verify(&owner).is_ok());
        self.confirmed.extend(hold.map(|confirmation| (confirmation.delivered_to, confirmation.message_id)));
        let people =
            Opinions { contact: self.opinions.contact, blocked: self.opinions.blocked, is_full: self.opinions.is_full };
        self.give(Input::Message { link, message, people: &people });
    }

    fn by(&mut self, relay: usize, message: Message) {
        if let Some(link) = RELAYS.get(relay) {
            self.message(*link, message);
        }
    }

    fn decoded(&mut self, relay: usize, content: &[u8]) {
        if let Ok(message) = Message::decode(content) {
            self.by(relay, message);
        }
    }

    fn next_asked(&mut self, relay: usize) -> Option<Message> {
        self.asked.get_mut(relay)?.pop_front()
    }

    /// The answer to the oldest question, with numbers of the relay's choice.
    fn answer(&mut self, relay: usize, content: &[u8]) {
        let (now, number) = (self.now.wall, |at: usize| u32::from(content.get(at).copied().unwrap_or(30)));
        let answer: Option<Message> = self.next_asked(relay).and_then(|asked| match asked {
            Message::RelayRegister(_) => {
                let policy =
                    Policy { max_message_size: number(2) << 12, rate_retrieve: number(3), ..Policy::default() };
                let (policy, pending, one_time_left) = (policy.to_wire(), number(0), number(1));
                Some(RelayRegistered { policy, pending, one_time_left, relay_time: now }.into())
            }
            Message::StoreMessage(asked) => {
                let recipient = Some(asked.recipient).filter(|_| number(0) != 0);
                let (message_id, error_code, retry_after_s) = (asked.message_id, None, None);
                let stored_at = now;
                Some(
                    StoreResponse { success: true, stored_at, message_id, recipient, error_code, retry_after_s }.into(),
                )
            }
            Message::RetrieveMessages(asked) => {
                let (messages, confirmations) = std::mem::take(&mut self.waiting);
                let next = Some(asked.after.unwrap_or(0).saturating_add(u64::from(number(0))));
                let (has_more, confirmations) = (number(1) == 0, Some(confirmations));
                Some(MessageBatch { messages, has_more, next, confirmations }.into())
            }
            Message::PublishPrekeys(_) => Some(PrekeysPublished { one_time_left: number(0) }.into()),
            Message::FetchPrekeys(asked) => {
                let known = self.town.prekeys.iter().find(|prekeys| prekeys.target == asked.target);
                known.cloned().map(Into::into)
            }
            _ => None,
        });
        if let Some(answer) = answer {
            self.by(relay, answer);
        }
    }

    /// Refuses the oldest question: code, weight, pause.
    fn refuse(&mut self, relay: usize, content: &[u8]) {
        let Some(asked) = self.next_asked(relay) else { return };
        let byte = |at: usize| content.get(at).copied();
        let (code, fatal) = (u16::from_be_bytes([byte(0).unwrap_or(0), byte(1).unwrap_or(0)]), byte(2) == Some(1));
        let retry_after_s = byte(3).map(|bits| 1u32 << (bits % 32));
        let refusal = match asked {
            Message::StoreMessage(asked) if byte(2) == Some(2) => {
                let (message_id, recipient) = (asked.message_id, Some(asked.recipient));
                let (stored_at, error_code) = (self.now.wall, Some(code));
                StoreResponse { success: false, stored_at, message_id, recipient, error_code, retry_after_s }.into()
            }
            asked => {
                let (request, message_id) = (Some(asked.name().to_owned()), asked.message_id());
                Message::from(ErrorMessage { code, fatal, retry_after_s, detail: None, message_id, request })
            }
        };
        self.by(relay, refusal);
    }

    /// Something from somebody, for the next batch.
    fn stored(&mut self, from: usize, blob: Vec<u8>) {
        let [alice, carol] = &self.town.world.senders;
        let sender = match from % 5 {
            0 => alice.identity.key(),
            1 => carol.identity.key(),
            2 => self.account.id(),
            byte => ContactId::from_bytes([u8::from(byte == 3); 32]),
        };
        self.ids += 1;
        let (message_id, timestamp, encrypted_blob) = (self.ids, self.now.wall, blob.into());
        self.waiting.0.push(StoredMessage { message_id, sender, timestamp, encrypted_blob, seq: None });
    }

    /// Any content, on the session that Alice has.
    fn sealed_by_alice(&mut self, content: &[u8]) {
        let (to, id, rng, wall) = (self.account.id(), self.ids + 1, &mut self.rng, self.now.wall);
        let sealed = step(&mut self.of_alice, |batch| Vault::default().seal(batch, to, id, content, wall, rng));
        if let Some(sealed) = sealed {
            self.stored(0, sealed.blob);
        }
    }

    /// What waits, as an answer or as a push: flags, seq of the first, next.
    fn batch(&mut self, relay: usize, content: &[u8]) {
        let byte = |at: usize| u64::from(content.get(at).copied().unwrap_or_default());
        let (flags, first) = (byte(0), byte(1));
        let (mut messages, mut confirmations) =
            if flags & 1 == 0 { std::mem::take(&mut self.waiting) } else { self.waiting.clone() };
        if flags & 2 == 0 {
            messages.iter_mut().zip(first..).for_each(|(message, seq)| message.seq = Some(seq));
            confirmations.iter_mut().zip(first..).for_each(|(confirmation, seq)| confirmation.seq = Some(seq));
        }
        let next = (flags & 4 != 0).then(|| byte(2));
        let (has_more, confirmations) = (flags & 8 != 0, Some(confirmations).filter(|all| !all.is_empty()));
        self.by(relay, MessageBatch { messages, has_more, next, confirmations }.into());
    }

    /// Alice or Carol confirms something that left: which, how it comes, seq.
    fn confirm(&mut self, relay: usize, content: &[u8]) {
        let byte = |at: usize| content.get(at).copied().unwrap_or_default();
        let [alice, carol] = &self.town.world.senders;
        let person = if byte(1) & 4 == 0 { alice } else { carol };
        let Some(message_id) = self.left.get(usize::from(byte(0)) % self.left.len().max(1)).copied() else { return };
        let mut confirmation =
            DeliveryConfirmation::signed(&person.signing, self.account.id(), message_id, self.now.wall);
        match byte(1) % 4 {
            0 => self.waiting.1.push(confirmation),
            1 => self.message(DIRECT, confirmation.into()),
            _ => {
                confirmation.seq = Some(byte(2).into());
                self.by(relay, confirmation.into());
            }
        }
    }

    fn wait(&mut self, pause: Duration) {
        self.now = Now { mono: self.now.mono.after(pause), wall: self.now.wall.after(pause) };
        self.give(Input::Tick);
        let mut rounds = 0;
        while self.account.poll_timeout().is_some_and(|due| due <= self.now.mono) {
            self.give(Input::Tick);
            rounds += 1;
            assert!(rounds < 8, "a timer stays in the past");
        }
    }

    /// A letter to one of them, perhaps a long one.
    fn write(&mut self, who: usize, content: &[u8]) {
        let Some(peer) = self.town.world.senders.get(who % 2) else { return };
        self.ids += 1;
        let id = LetterId::from_bytes(u128::from(self.ids).to_be_bytes());
        let text = "a letter ".repeat(1 + usize::from(content.first().copied().unwrap_or_default()).pow(2));
        let letter = Letter { id, sent: self.now.wall, body: Body::Text { text } };
        self.give(Input::Queue { peer: peer.identity.key(), letter, token: None });
    }

    fn down(&mut self, link: LinkId) {
        if let Some(asked) = RELAYS.iter().position(|relay| *relay == link).and_then(|at| self.asked.get_mut(at)) {
            asked.clear();
        }
        self.give(Input::LinkDown(link));
    }

    /// Dials a relay, anew if it was connected.
    fn visit(&mut self, relay: usize) {
        let (Some(link), Some(identity)) = (RELAYS.get(relay).copied(), self.town.relays.get(relay)) else { return };
        self.down(link);
        self.give(Input::Judge { link, identity: identity.clone(), standing: Standing::Stranger });
        let (handshake_hash, own) = ([7; 32], relay == 0);
        self.give(Input::RelayUp { link, relay: identity.key(), handshake_hash, own });
    }

    fn meet(&mut self, is_there: bool) {
        self.give(Input::LinkDown(DIRECT));
        if is_there {
            let (link, identity, standing) = (DIRECT, self.town.alice.clone(), Standing::Contact);
            let peer = identity.key();
            self.give(Input::Judge { link, identity, standing });
            self.give(Input::LinkUp { link, peer, we_dialled: true });
        }
    }

    /// Which way somebody's letters go.
    fn choose(&mut self, who: usize, content: &[u8]) {
        let (Some(peer), Some(link)) = (self.town.world.senders.get(who / 2 % 2), RELAYS.get(who % 2)) else { return };
        let peer = peer.identity.key();
        self.give(if content.is_empty() { Input::StoreBy { peer, link: *link } } else { Input::StoreStop { peer } });
    }

    fn hold(&mut self) {
        match self.durable.take() {
            None => self.durable = Some(self.records.clone()),
            Some(_) => self.drain(),
        }
    }

    /// The program ends, with whatever was not kept.
    fn restart(&mut self) {
        if let Some(durable) = self.durable.take() {
            self.records = durable;
        }
        self.account = account(self.town, self.account.identity().clone(), self.now);
        self.last_save = None;
        self.asked.iter_mut().for_each(VecDeque::clear);
        self.decide(0, &[1]);
    }

    /// What the person decides.
    fn decide(&mut self, who: usize, content: &[u8]) {
        let [alice, carol] = &self.town.world.senders;
        let peer = if who.is_multiple_of(2) { alice } else { carol }.identity.key();
        let Some(relay) = self.town.relays.get(who % 2).map(Identity::key) else { return };
        match content.first() {
            Some(0) => self.opinions.is_full = !self.opinions.is_full,
            Some(1) => self.give(Input::OwnRelays(vec![OwnRelay { relay, token: None }])),
            Some(2) => self.give(Input::RelayUnreachable { relay }),
            Some(3) => self.give(Input::Withdraw(peer)),
            Some(4) => self.give(Input::Announce(peer)),
            Some(5) => {
                let next = IdentityDraft::next(self.account.identity(), self.now.wall);
                if let Ok(identity) = next.and_then(|draft| draft.sign(&self.town.world.bob.signing)) {
                    self.account.set_identity(identity);
                }
            }
            Some(6) => {
                self.message(DIRECT, DirectMessage { message_id: 1, encrypted_blob: vec![2; 400].into() }.into())
            }
            _ => self.give(Input::OwnRelays(Vec::new())),
        }
    }

    /// All connections end, and then a month goes by.
    fn end(&mut self) {
        if self.durable.is_some() {
            self.hold();
        }
        for link in [RELAYS[0], RELAYS[1], DIRECT] {
            self.down(link);
        }
        for _ in 0..4 {
            self.wait(Duration::from_secs(10 * 86400));
        }
        assert_eq!(self.account.online().count(), 0);
    }
}

fn account(town: &Town, identity: Identity, now: Now) -> Account {
    let bob = &town.world.bob;
    let keys = AccountKeys { identity, signing: bob.signing.clone(), dr: bob.dr.clone() };
    Account::new(now, keys, AccountLimits::default(), AccountTiming::default())
}

/// What a message brings, each of which may have consequences.
fn items(input: &Input<'_>) -> usize {
    match input {
        Input::Message { message: Message::MessageBatch(batch), .. } => {
            batch.messages.len() + batch.confirmations.as_ref().map_or(0, Vec::len)
        }
        _ => 1,
    }
}
