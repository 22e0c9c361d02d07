//! The people and relays around Bob.

use crate::{
    people::{NOW, Person},
    vault::{World, step, world},
};
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};
use std::sync::OnceLock;
use waypost_core::{ContactId, InviteToken, MemoryRecords, RecordFault};
use waypost_sremp::{
    Identity, IdentityDraft, Vault,
    account::{People, Standing},
    endpoint::Endpoint,
    identity::RelayRef,
    message::Prekeys,
};

/// Who is there beside Bob.
pub(super) struct Town {
    pub(super) world: &'static World,
    /// Two relays.
    pub(super) relays: Vec<Identity>,
    /// Alice as one with mailboxes at both relays.
    pub(super) alice: Identity,
    /// What a relay has of Alice and of Carol.
    pub(super) prekeys: Vec<Prekeys>,
}

pub(super) fn town() -> Option<&'static Town> {
    static TOWN: OnceLock<Option<Town>> = OnceLock::new();
    TOWN.get_or_init(Town::new).as_ref()
}

impl Town {
    fn new() -> Option<Self> {
        let world = world()?;
        let mut relays = Vec::new();
        for byte in [9, 10] {
            let person = Person::of(byte)?;
            let mut draft = IdentityDraft::next(&person.identity, NOW).ok()?;
            draft.flags.is_relay_server = true;
            relays.push(draft.sign(&person.signing).ok()?);
        }
        let endpoint = Endpoint::new("192.0.2.7", 4433).ok()?;
        let [alice, carol] = &world.senders;
        let mut draft = IdentityDraft::next(&alice.identity, NOW).ok()?;
        let reference = |relay: &Identity| {
            let noise_key = Some(relay.noise_key());
            RelayRef { endpoint: endpoint.clone(), relay_identity: relay.key(), noise_key }
        };
        draft.relays = relays.iter().map(reference).collect();
        draft.flags.uses_relay = true;
        let alice_there = draft.sign(&alice.signing).ok()?;
        let mut rng = ChaCha20Rng::from_seed([8; 32]);
        let mut prekeys = Vec::new();
        for (person, mut records) in [(alice, world.of_alice.clone()), (carol, MemoryRecords::default())] {
            let identity = if prekeys.is_empty() { &alice_there } else { &person.identity };
            let bundle = step(&mut records, |batch| Vault::default().bundle(batch, person.own(), NOW, &mut rng))?;
            let identity = Some(identity.signed().clone());
            prekeys.push(Prekeys { target: person.identity.key(), identity, bundle, one_time: None });
        }
        Some(Self { world, relays, alice: alice_there, prekeys })
    }
}

/// What Bob thinks of people.
pub(super) struct Opinions {
    pub(super) contact: ContactId,
    pub(super) blocked: ContactId,
    pub(super) is_full: bool,
}

impl People for Opinions {
    fn standing(&self, peer: &ContactId) -> Result<Standing, RecordFault> {
        Ok(match peer {
            peer if *peer == self.contact => Standing::Contact,
            peer if *peer == self.blocked => Standing::Blocked,
            _ => Standing::Stranger,
        })
    }

    fn is_full(&self, _: &ContactId) -> Result<bool, RecordFault> {
        Ok(self.is_full)
    }

    fn is_invited(&self, token: &InviteToken) -> bool {
        token.0 == [3; 16]
    }
}
