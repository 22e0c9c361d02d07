//! The own prekeys at the own relays. Profile, Prekeys.

use crate::account::{Account, Step};
use crate::kdf::sha256;
use crate::message::{PrekeysPublished, PublishPrekeys};
use crate::msgpack::{self, record};
use crate::relay::Request;
use crate::{Error, LinkId};
use rand_core::CryptoRng;
use std::time::Duration;
use waypost_core::{Mono, Records, Space};

/// By own relay: what was published there.
pub(in crate::account) const PUBLISHED: Space = Space("sremp/relay-published");

/// One-time items of one publication.
const ITEMS: usize = 100;
/// More are published when fewer are left.
const FEW: u32 = 25;
/// How often the relay is asked how many are left.
const PAUSE: Duration = Duration::from_secs(3600);

record! {
    struct Published {
        /// SHA-256 of the bundle.
        bundle: [u8; 32],
    }
}

/// How it stands with prekeys on one connection.
#[derive(Default)]
pub(super) struct Publishing {
    /// When to look again.
    due: Option<Mono>,
    /// The bundle that was sent and not acknowledged yet, and whether one-time items were with it.
    sent: Option<([u8; 32], bool)>,
}

impl Publishing {
    pub(super) const fn due(&self) -> Option<Mono> {
        if self.sent.is_some() { None } else { self.due }
    }

    /// The relay did not take them: not again before the next look.
    pub(super) fn refused(&mut self, now: Mono) {
        (self.sent, self.due) = (None, Some(now.after(PAUSE)));
    }
}

impl Account {
    /// Publishes what an own relay needs: a bundle that is new, and one-time items when few are left. When
    /// it is not known how many are, an empty publication asks.
    pub(super) fn publish_prekeys<R: Records>(
        &mut self,
        step: &mut Step<'_, R>,
        rng: &mut impl CryptoRng,
        id: LinkId,
        left: Option<u32>,
    ) -> Result<(), Error> {
        let now = step.now;
        let own = self.own();
        let Some(link) = self.relays.links.get(&id).filter(|link| link.own && link.session.policy().is_some()) else {
            return Ok(());
        };
        let is_due = link.prekeys.due.is_some_and(|due| due <= now.mono);
        // The relay checks them against the identity of the connection.
        if (left.is_none() && !is_due) || link.prekeys.sent.is_some() || link.shown != own.identity.version() {
            return Ok(());
        }
        let relay = link.session.relay();
        let bundle = self.vault.bundle(&mut step.batch, own, now.wall, rng)?;
        let hash = sha256(&[&bundle.bundle]);
        let known = step.batch.record(PUBLISHED, relay.as_bytes())?;
        let is_known = known.is_some_and(|bytes| msgpack::decode::<Published>(&bytes).is_ok_and(|p| p.bundle == hash));
        let count = if left.is_some_and(|left| left < FEW) { ITEMS } else { 0 };
        let one_time = self.vault.relay_one_time(&mut step.batch, own, count, now.wall, rng)?;
        let Some(link) = self.relays.links.get_mut(&id) else { return Ok(()) };
        link.prekeys.due = Some(now.mono.after(PAUSE));
        if is_known && one_time.is_empty() && left.is_some() {
            return Ok(());
        }
        link.prekeys.sent = Some((hash, !one_time.is_empty()));
        link.session.ask(now.mono, Request::Publish);
        step.send(id, PublishPrekeys { bundle, one_time }.into());
        Ok(())
    }

    pub(super) fn prekeys_published<R: Records>(
        &mut self,
        step: &mut Step<'_, R>,
        rng: &mut impl CryptoRng,
        id: LinkId,
        answer: &PrekeysPublished,
    ) -> Result<(), Error> {
        let Some(link) = self.relays.links.get_mut(&id) else { return Ok(()) };
        if link.session.answered(|request| request == Request::Publish).is_none() {
            return Ok(());
        }
        let Some((bundle, with_items)) = link.prekeys.sent.take() else { return Ok(()) };
        let relay = link.session.relay();
        step.batch.put(PUBLISHED, *relay.as_bytes(), msgpack::encode(&Published { bundle }));
        // A relay that keeps fewer than it is given is not given more at once.
        if with_items { Ok(()) } else { self.publish_prekeys(step, rng, id, Some(answer.one_time_left)) }
    }
}
