//! Sealed messages of `waypost-sremp`, given to a vault with prekeys and a session; and its records.

use crate::people::{NOW, Person};
use chacha20poly1305::{ChaCha20Poly1305, KeyInit, aead::AeadInOut};
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};
use std::{sync::OnceLock, time::Duration};
use waypost_core::{Batch, Change, MemoryRecords, Records, Space};
use waypost_sremp::{
    Error, KemSeed, Vault, message::Prekeys, msgpack::Blob, prekeys::PrekeyBundleData, probe, vault::Arrival,
    x25519::Secret,
};

/// Bob, to whom everything is sent, and two who send.
pub struct World {
    pub(crate) bob: Person,
    /// Alice, who has a session with Bob, and Carol, who has none.
    pub(crate) senders: [Person; 2],
    /// Bob's, after his answer to Alice.
    pub(crate) records: MemoryRecords,
    /// Alice's, after his answer.
    pub(crate) of_alice: MemoryRecords,
    /// Blobs that Bob can open: the number of the sender, the message id, the bytes.
    pub blobs: Vec<(u8, u64, Vec<u8>)>,
    /// InitialMessages as Carol would send them, not yet sealed.
    pub initial_messages: Vec<Vec<u8>>,
}

const SPK_ID: u32 = 7;
/// The secret of Bob's signed prekey.
const SPK: [u8; 32] = [0x51; 32];
/// The secret under which [`initial_message`] is sealed.
const SEAL: [u8; 32] = [0x52; 32];

/// The one world of all targets here; nothing if its people cannot talk, which the tests would show.
pub fn world() -> Option<&'static World> {
    static WORLD: OnceLock<Option<World>> = OnceLock::new();
    WORLD.get_or_init(World::new).as_ref()
}

impl World {
    fn new() -> Option<Self> {
        let (bob, alice, carol) = (Person::of(1)?, Person::of(2)?, Person::of(3)?);
        let mut rng = ChaCha20Rng::from_seed([4; 32]);
        let vault = Vault::default();
        let [mut of_bob, mut of_alice] = [MemoryRecords::default(), MemoryRecords::default()];

        let (spk, lr_kem) = (Secret::from_bytes(SPK), KemSeed::from_bytes([0x53; 64]));
        let bundle = PrekeyBundleData {
            identity_key: bob.identity.key(),
            dr_key: bob.dr.public(),
            spk_id: SPK_ID,
            spk: spk.public(),
            lr_kem_id: 8,
            lr_kem: lr_kem.public(),
            issued: NOW,
            not_after: NOW.after(Duration::from_secs(14 * 86400)),
        };
        let bundle = bundle.sign(&bob.signing);
        let mut prekeys = |records: &mut MemoryRecords, with_item: bool| {
            step(records, |batch| {
                probe::put_bundle(batch, &bundle, &spk, &lr_kem, &bob.dr)?;
                let one_time = if with_item { vault.direct_one_time(batch, bob.own(), NOW, &mut rng)? } else { None };
                let identity = Some(bob.identity.signed().clone());
                Ok(Prekeys { target: bob.identity.key(), identity, bundle: bundle.clone(), one_time })
            })
        };
        let for_alice = prekeys(&mut of_bob, true)?;
        let for_carol = [prekeys(&mut of_bob, true)?, prekeys(&mut of_bob, false)?];

        // Alice starts, Bob answers, Alice sends on.
        let (to_bob, to_alice) = (bob.identity.key(), alice.identity.key());
        let first = step(&mut of_alice, |batch| {
            let verified = vault.check_prekeys(batch, to_bob, None, &for_alice, NOW)?;
            vault.start_session(batch, alice.own(), &verified, NOW, &mut rng)?;
            vault.seal(batch, to_bob, 1, b"first", NOW, &mut rng)
        })?;
        let arrival = |blob| Arrival { peer: to_alice, message_id: 1, blob, may_start: true };
        let answer = step(&mut of_bob, |batch| {
            vault.open(batch, bob.own(), arrival(&first.blob), NOW, &mut rng)?;
            vault.seal(batch, to_alice, 1, b"answer", NOW, &mut rng)
        })?;
        let later = step(&mut of_alice, |batch| {
            let arrival = Arrival { peer: to_bob, message_id: 1, blob: &answer.blob, may_start: true };
            vault.open(batch, alice.own(), arrival, NOW, &mut rng)?;
            vault.seal(batch, to_bob, 2, b"on a session", NOW, &mut rng)
        })?;
        let mut blobs = vec![(0, 2, later.blob)];

        let mut initial_messages = Vec::new();
        for (id, prekeys) in (3..).zip(&for_carol) {
            let mut records = MemoryRecords::default();
            let verified = step(&mut records, |batch| vault.check_prekeys(batch, to_bob, None, prekeys, NOW))?;
            let epoch = NOW.as_secs();
            let values =
                probe::start_values(&carol.identity, &carol.dr, &verified, (epoch, id, b"hello"), &mut rng).ok()?;
            let value = |wanted| values.iter().find(|(name, _)| *name == wanted).map(|(_, value)| value.clone());
            initial_messages.push(value("initial_message")?);
            blobs.push((1, id, value("encrypted_blob")?));
        }
        Some(Self { bob, senders: [alice, carol], records: of_bob, of_alice, blobs, initial_messages })
    }

    /// Whether Bob takes a blob, and that a refused one leaves all secrets as they are.
    pub fn open(&self, sender: u8, message_id: u64, blob: &[u8]) -> bool {
        let sender = self.senders.get(usize::from(sender % 2)).unwrap_or(&self.bob);
        let mut batch = Batch::new(&self.records);
        let arrival = Arrival { peer: sender.identity.key(), message_id, blob, may_start: true };
        let mut rng = ChaCha20Rng::from_seed([5; 32]);
        let taken = Vault::default().open(&mut batch, self.bob.own(), arrival, NOW, &mut rng).is_ok();
        let changed = batch.into_changes().iter().any(|change| SPACES.contains(&change.space));
        assert_eq!(taken, changed);
        taken
    }
}

/// One committed step.
pub(crate) fn step<T>(
    records: &mut MemoryRecords,
    work: impl FnOnce(&mut Batch<'_, MemoryRecords>) -> Result<T, Error>,
) -> Option<T> {
    let mut batch = Batch::new(&*records);
    let done = work(&mut batch).ok()?;
    let changes = batch.into_changes();
    records.apply(changes);
    Some(done)
}

/// The number of a sender, eight bytes of message id, a blob of either type.
pub fn sealed_blob(data: &[u8]) {
    let (Some(world), Some(([sender, id @ ..], blob))) = (world(), data.split_first_chunk::<9>()) else { return };
    world.open(*sender, u64::from_be_bytes(*id), blob);
}

/// What is inside a first message, by somebody who knows how to seal it to Bob.
pub fn initial_message(data: &[u8]) {
    let Some(world) = world() else { return };
    if let Some(blob) = sealed(data) {
        world.open(1, 3, &blob);
        world.open(1, 4, &blob);
    }
}

/// Profile, PQXDH: a type-1 blob.
pub(crate) fn sealed(inner: &[u8]) -> Option<Vec<u8>> {
    let (seal, spk) = (Secret::from_bytes(SEAL), Secret::from_bytes(SPK));
    let key = probe::seal_key_of(&seal, &spk).ok()?;
    let front = [&[1, 1][..], &SPK_ID.to_be_bytes(), seal.public().as_bytes()].concat();
    let mut text = [inner, &[0x80]].concat();
    text.resize(text.len().next_multiple_of(1024), 0);
    let cipher = ChaCha20Poly1305::new((&key).into());
    let tag = cipher.encrypt_inout_detached(&[0; 12].into(), &front, text.as_mut_slice().into()).ok()?;
    Some([&front[..], &text, &tag].concat())
}

/// All families of the vault's records.
const SPACES: [Space; 8] = [
    Space("sremp/bundle"),
    Space("sremp/one-time"),
    Space("sremp/used"),
    Space("sremp/replay"),
    Space("sremp/session"),
    Space("sremp/skipped"),
    Space("sremp/epoch"),
    Space("sremp/due"),
];

/// The number of a family, then the content of each of its records: whatever is on disk, no call panics.
pub fn vault_records(data: &[u8]) {
    let (Some(world), Some((number, value))) = (world(), data.split_first()) else { return };
    let Some(space) = SPACES.get(usize::from(*number) % SPACES.len()) else { return };
    let Some(records) = world.damaged(*space, value) else { return };
    let (vault, own) = (Vault::default(), world.bob.own());
    let mut rng = ChaCha20Rng::from_seed([6; 32]);
    // What a call says does not matter here, only that it comes back.
    for sender in &world.senders {
        let peer = sender.identity.key();
        let _ = vault.sessions(&records, peer, NOW);
        let _ = vault.need(&records, peer, NOW);
        let _ = vault.seal(&mut Batch::new(&records), peer, 9, b"on", NOW, &mut rng);
        for (_, message_id, blob) in &world.blobs {
            let arrival = Arrival { peer, message_id: *message_id, blob, may_start: true };
            let _ = vault.open(&mut Batch::new(&records), own, arrival, NOW, &mut rng);
        }
    }
    let mut batch = Batch::new(&records);
    let _ = vault.bundle(&mut batch, own, NOW, &mut rng);
    let _ = vault.direct_one_time(&mut batch, own, NOW, &mut rng);
    let _ = vault.sweep(&mut batch, NOW.after(Duration::from_secs(400 * 86400)), 64);
    let _ = probe::one_time_ids(&batch);
}

impl World {
    /// Bob's records with this content in all of one family, and one more if it has none.
    fn damaged(&self, space: Space, value: &[u8]) -> Option<MemoryRecords> {
        let mut records = self.records.clone();
        let keys = records.records(space, &[], None, 16).ok()?.into_iter().map(|(key, _)| key);
        let mut keys: Vec<Vec<u8>> = keys.collect();
        if space == Space("sremp/due") {
            // There the key is the content.
            keys = vec![value.to_vec()];
        } else if keys.is_empty() {
            keys = vec![self.key(space)?];
        }
        records.apply(keys.into_iter().map(|key| Change { space, key, value: Some(value.to_vec()) }).collect());
        Some(records)
    }

    /// The key of a record that is not there yet.
    fn key(&self, space: Space) -> Option<Vec<u8>> {
        let sessions = self.records.records(Space("sremp/session"), &[], None, 1).ok()?;
        match space {
            Space("sremp/skipped") => sessions.into_iter().map(|(key, _)| key).next(),
            Space("sremp/epoch") => Some(self.senders.first()?.identity.key().as_bytes().to_vec()),
            _ => Some(SPK_ID.to_be_bytes().to_vec()),
        }
    }

    /// What is in the families now, as inputs of [`vault_records`].
    pub fn record_seeds(&self) -> Vec<Vec<u8>> {
        let mut seeds = Vec::new();
        for (number, space) in (0u8..).zip(SPACES) {
            let found = self.records.records(space, &[], None, 16).unwrap_or_default();
            for (key, value) in found {
                let content = if space == Space("sremp/due") { key } else { value };
                seeds.push([&[number][..], &content].concat());
            }
        }
        seeds
    }
}

/// Signed prekeys: the first byte says whether of a bundle or of an item, the rest is what Bob signed.
pub fn prekeys(data: &[u8]) {
    let (Some(world), Some((kind, signed))) = (world(), data.split_first()) else { return };
    let (bob, content) = (&world.bob, Blob(signed.to_vec()));
    let sign = |label: &[u8]| bob.signing.sign(&[label, signed].concat());
    if kind % 2 == 0 {
        let signature = sign(b"SREMP/1 prekeys\0");
        let bundle = waypost_sremp::message::SignedBundle { bundle: content, signature };
        if let Ok(data) = bundle.verify(&bob.identity, NOW) {
            assert_eq!(data.sign(&bob.signing).verify(&bob.identity, NOW), Ok(data));
        }
    } else {
        let item = waypost_sremp::message::SignedOneTime { item: content, signature: sign(b"SREMP/1 one-time\0") };
        if let Ok(data) = item.verify(&bob.identity.key()) {
            assert_eq!(data.sign(&bob.signing).verify(&bob.identity.key()), Ok(data));
        }
    }
}

impl World {
    /// What Bob signed, as inputs of [`prekeys`].
    pub fn prekey_seeds(&self) -> Option<Vec<Vec<u8>>> {
        let mut batch = Batch::new(&self.records);
        let mut rng = ChaCha20Rng::from_seed([7; 32]);
        let bundle = Vault::default().bundle(&mut batch, self.bob.own(), NOW, &mut rng).ok()?;
        let item = Vault::default().direct_one_time(&mut batch, self.bob.own(), NOW, &mut rng).ok()??;
        Some(vec![[&[0][..], &bundle.bundle].concat(), [&[1][..], &item.item].concat()])
    }
}
