//! Two people with vaults of their own.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use waypost_core::{Batch, ContactId, MemoryRecords, Wall};
use waypost_sremp::{
    Error, ErrorCode, Identity, IdentityDraft, SessionId, Vault,
    ed25519::SigningKey,
    message::Prekeys,
    vault::{Arrival, Opened, Own, Sealed, VaultLimits},
    x25519::Secret,
};

const DAY: u64 = 86_400_000;

pub(crate) fn at(days: u64) -> Wall {
    Wall::from_millis(1_790_000_000_000 + days * DAY)
}

#[derive(Clone)]
pub(crate) struct Person {
    pub(crate) identity: Identity,
    pub(crate) signing: SigningKey,
    pub(crate) dr_secret: Secret,
    pub(crate) records: MemoryRecords,
    pub(crate) vault: Vault,
    pub(crate) rng: ChaCha8Rng,
}

impl Person {
    pub(crate) fn new(name: &str, seed: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let signing = SigningKey::generate(&mut rng);
        let (noise, dr_secret) = (Secret::generate(&mut rng), Secret::generate(&mut rng));
        let draft = IdentityDraft::new(name, noise.public(), dr_secret.public(), 1, at(0));
        let identity = draft.sign(&signing).unwrap();
        Self { identity, signing, dr_secret, records: MemoryRecords::default(), vault: Vault::default(), rng }
    }

    pub(crate) fn with_limits(mut self, limits: VaultLimits) -> Self {
        self.vault = Vault::new(limits);
        self
    }

    pub(crate) fn id(&self) -> ContactId {
        self.identity.key()
    }

    /// Takes a step and commits it; after an error nothing may have changed.
    pub(crate) fn step<T>(
        &mut self,
        step: impl FnOnce(Vault, &mut Batch<'_, MemoryRecords>, Own<'_>, &mut ChaCha8Rng) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let mut batch = Batch::new(&self.records);
        let own = Own { identity: &self.identity, signing: &self.signing, dr_secret: &self.dr_secret };
        let done = step(self.vault, &mut batch, own, &mut self.rng);
        if done.is_err() {
            assert!(batch.is_empty(), "a failed step changed records");
        }
        let changes = batch.into_changes();
        self.records.apply(changes);
        done
    }

    pub(crate) fn prekeys(&mut self, with_one_time: bool, now: Wall) -> Prekeys {
        let bundle = self.step(|vault, batch, own, rng| vault.bundle(batch, own, now, rng)).unwrap();
        let one_time = with_one_time
            .then(|| self.step(|vault, batch, own, rng| vault.direct_one_time(batch, own, now, rng)).unwrap())
            .flatten();
        Prekeys { target: self.id(), identity: Some(self.identity.signed().clone()), bundle, one_time }
    }

    pub(crate) fn start_with(&mut self, prekeys: &Prekeys, now: Wall) -> Result<SessionId, Error> {
        self.step(|vault, batch, own, rng| {
            let verified = vault.check_prekeys(batch, prekeys.target, None, prekeys, now)?;
            vault.start_session(batch, own, &verified, now, rng)
        })
    }

    pub(crate) fn start(&mut self, other: &mut Self, now: Wall) -> SessionId {
        let prekeys = other.prekeys(true, now);
        self.start_with(&prekeys, now).unwrap()
    }

    pub(crate) fn seal(&mut self, to: &Self, message_id: u64, content: &[u8], now: Wall) -> Result<Sealed, Error> {
        self.step(|vault, batch, _, rng| vault.seal(batch, to.id(), message_id, content, now, rng))
    }

    pub(crate) fn open(&mut self, from: &Self, message_id: u64, blob: &[u8], now: Wall) -> Result<Opened, Error> {
        self.open_from(from.id(), message_id, blob, now, true)
    }

    pub(crate) fn open_from(
        &mut self,
        peer: ContactId,
        message_id: u64,
        blob: &[u8],
        now: Wall,
        may_start: bool,
    ) -> Result<Opened, Error> {
        let arrival = Arrival { peer, message_id, blob, may_start };
        self.step(|vault, batch, own, rng| vault.open(batch, own, arrival, now, rng))
    }

    /// Seals and delivers one message.
    pub(crate) fn tell(&mut self, other: &mut Self, message_id: u64, content: &[u8], now: Wall) -> Opened {
        let sealed = self.seal(other, message_id, content, now).unwrap();
        let opened = other.open(self, message_id, &sealed.blob, now).unwrap();
        assert_eq!(opened.content, content);
        assert_eq!(opened.session, sealed.session);
        opened
    }
}

/// Two people and a session between them that both have heard on.
pub(crate) fn acquainted() -> (Person, Person) {
    let (mut alice, mut bob) = (Person::new("Alice", 1), Person::new("Bob", 2));
    alice.start(&mut bob, at(0));
    alice.tell(&mut bob, 1, b"hello", at(0));
    bob.tell(&mut alice, 2, b"hello", at(0));
    (alice, bob)
}

pub(crate) fn code<T: std::fmt::Debug>(result: Result<T, Error>) -> ErrorCode {
    result.expect_err("an error").code()
}
