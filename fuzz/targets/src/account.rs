//! The account of `waypost-sremp`, to which two peers send what they like.

use crate::{
    people::NOW,
    vault::{World, sealed, step, world},
};
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};
use std::time::Duration;
use waypost_core::{Body, Letter, LetterId, MemoryRecords, Mono, Now, SaveId};
use waypost_sremp::{
    Account, AccountKeys, LinkId, Message, Vault,
    account::{AccountLimits, AccountTiming, Input, Output, Standing},
    message::DirectMessage,
};

/// Steps of an input: more teach nothing new.
const STEPS: usize = 32;

/// Alice, a contact with a session, and Carol, a stranger, by their connections.
const LINKS: [LinkId; 2] = [LinkId(1), LinkId(3)];

/// Steps as in [`connection`](crate::connection()): messages and sealed contents of Alice, messages and first
/// messages of Carol, own letters, connections that come and go, and time.
///
/// Whatever a peer sends: the call succeeds, and every change is offered to be kept before anything follows from it.
pub fn account(mut data: &[u8]) {
    let Some(mut bob) = world().and_then(Bob::new) else { return };
    for _ in 0..STEPS {
        let Some((kind, content)) = crate::peer::step(&mut data) else { break };
        match kind % 10 {
            0 | 1 => bob.sealed_by_alice(content),
            2 => bob.decoded(0, content),
            3 => bob.decoded(1, content),
            4 => bob.blob(0, content),
            5 => {
                if let Some(blob) = sealed(content) {
                    bob.blob(1, &blob);
                }
            }
            6 => bob.wait(content),
            7 => bob.write(content),
            8 => bob.reconnect(usize::from(content.first().copied().unwrap_or_default() % 2)),
            _ => bob.holds_saves = !bob.holds_saves,
        }
    }
    bob.holds_saves = false;
    bob.wait(&[255]);
}

/// Bob's side, and the keys of Alice's.
struct Bob<'w> {
    world: &'w World,
    account: Account,
    records: MemoryRecords,
    of_alice: MemoryRecords,
    now: Now,
    rng: ChaCha20Rng,
    message_id: u64,
    /// Whether what is to be kept waits, as on a slow disk.
    holds_saves: bool,
    last_save: Option<SaveId>,
}

impl<'w> Bob<'w> {
    fn new(world: &'w World) -> Option<Self> {
        let bob = &world.bob;
        let keys = AccountKeys { identity: bob.identity.clone(), signing: bob.signing.clone(), dr: bob.dr.clone() };
        let now = Now { mono: Mono::default(), wall: NOW };
        let mut this = Self {
            world,
            account: Account::new(now, keys, AccountLimits::default(), AccountTiming::default()),
            records: world.records.clone(),
            of_alice: world.of_alice.clone(),
            now,
            rng: ChaCha20Rng::from_seed([7; 32]),
            message_id: 100,
            holds_saves: false,
            last_save: None,
        };
        this.reconnect(0);
        this.reconnect(1);
        Some(this)
    }

    /// What no peer may bring to fail.
    fn give(&mut self, input: Input<'_>) {
        let done = self.account.handle(self.now, &mut self.rng, &self.records, input);
        assert_eq!(done, Ok(()));
        while let Some(output) = self.account.poll() {
            if let Output::Save(id, changes) = output {
                self.records.apply(changes);
                assert!(self.last_save.is_none_or(|last| last < id));
                self.last_save = Some(id);
            }
        }
        if !self.holds_saves
            && let Some(id) = self.last_save.take()
        {
            self.give(Input::Saved(id));
        }
    }

    fn message(&mut self, from: usize, message: Message) {
        let Some(link) = LINKS.get(from) else { return };
        let people = if from == 1 { Standing::Stranger } else { Standing::Contact };
        self.give(Input::Message { link: *link, message, people: &people });
    }

    fn decoded(&mut self, from: usize, content: &[u8]) {
        if let Ok(message) = Message::decode(content) {
            self.message(from, message);
        }
    }

    fn blob(&mut self, from: usize, blob: &[u8]) {
        self.message_id += 1;
        let message = DirectMessage { message_id: self.message_id, encrypted_blob: blob.to_vec().into() };
        self.message(from, message.into());
    }

    /// Any content, on the session that Alice has.
    fn sealed_by_alice(&mut self, content: &[u8]) {
        let (to, id, rng) = (self.world.bob.identity.key(), self.message_id + 1, &mut self.rng);
        let wall = self.now.wall;
        let sealed = step(&mut self.of_alice, |batch| Vault::default().seal(batch, to, id, content, wall, rng));
        if let Some(sealed) = sealed {
            self.blob(0, &sealed.blob);
        }
    }

    fn wait(&mut self, content: &[u8]) {
        let seconds = Duration::from_secs(u64::from(content.first().copied().unwrap_or(10)));
        self.now = Now { mono: self.now.mono.after(seconds), wall: self.now.wall.after(seconds) };
        self.give(Input::Tick);
    }

    /// A letter to one of them.
    fn write(&mut self, content: &[u8]) {
        let Some(peer) = self.world.senders.get(usize::from(content.first().copied().unwrap_or_default() % 2)) else {
            return;
        };
        self.message_id += 1;
        let id = LetterId::from_bytes(u128::from(self.message_id).to_be_bytes());
        let letter = Letter { id, sent: self.now.wall, body: Body::Text { text: "a letter".into() } };
        self.give(Input::Queue { peer: peer.identity.key(), letter, token: None });
    }

    fn reconnect(&mut self, with: usize) {
        let (Some(link), Some(peer)) = (LINKS.get(with), self.world.senders.get(with)) else { return };
        let standing = if with == 0 { Standing::Contact } else { Standing::Stranger };
        self.give(Input::LinkDown(*link));
        self.give(Input::Judge { link: *link, identity: peer.identity.clone(), standing });
        self.give(Input::LinkUp { link: *link, peer: peer.identity.key(), we_dialled: false });
    }
}

/// Contents and messages in the form of the steps.
pub fn seeds(contents: &[Vec<u8>], messages: &[Vec<u8>]) -> Option<Vec<Vec<u8>>> {
    use crate::peer::put;

    let mut seeds = Vec::new();
    for content in contents {
        seeds.push([put(0, content)?, put(6, &[20])?].concat());
    }
    for message in messages {
        seeds.push([put(7, &[0])?, put(2, message)?, put(3, message)?, put(6, &[61])?].concat());
    }
    for initial in &world()?.initial_messages {
        seeds.push([put(5, initial)?, put(7, &[1])?, put(8, &[1])?, put(9, &[])?, put(6, &[2])?].concat());
    }
    Some(seeds)
}
