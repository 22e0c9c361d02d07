//! When to ask at which relay what became of letters that were left there. Profile SR-8.2g: after 1 min,
//! 5 min, 30 min, then each 6 h, for 30 d; what is not delivered by then is gone there and waits again.

use super::{on_the_clock, outbox, relays_of};
use crate::account::{Account, Event, Step};
use crate::msgpack::{self, record};
use crate::{Error, identity::RelayRef};
use outbox::{Item, KEPT, PAGE, order_of};
use rand_core::CryptoRng;
use std::collections::BTreeSet;
use std::time::Duration;
use waypost_core::{ContactId, Records, Space, Wall};

/// By peer and relay.
pub(super) const CHECKS: Space = Space("sremp/relay-check");

const FIRST: [Duration; 3] = [Duration::from_secs(60), Duration::from_secs(300), Duration::from_secs(1800)];
const LATER: Duration = Duration::from_secs(6 * 3600);
/// Questions without a confirmation after which a letter may be lost.
const LOST: u32 = 2;
/// How long a relay keeps what is not fetched.
const KEPT_FOR: Duration = Duration::from_secs(30 * 86_400);
/// Entries read at once.
const ROUND: usize = 256;

record! {
    struct Check {
        /// When to ask.
        due: Wall,
        /// How often it was asked since the last letter was left there.
        asked: u32,
        /// Letters that were left there and are not confirmed.
        letters: u32,
        /// When the last one was.
        last: Wall,
    }
}

fn key(peer: &ContactId, relay: &ContactId) -> Vec<u8> {
    [&peer.as_bytes()[..], relay.as_bytes()].concat()
}

fn names(key: &[u8]) -> Result<(ContactId, ContactId), Error> {
    let name = |bytes: Option<&[u8; 32]>| bytes.map(|bytes| ContactId::from_bytes(*bytes));
    let names = name(key.first_chunk()).zip(name(key.last_chunk())).filter(|_| key.len() == 64);
    names.ok_or(Error::Internal("an entry of the timetable without names"))
}

fn pause(asked: u32) -> Duration {
    usize::try_from(asked).ok().and_then(|asked| FIRST.get(asked)).copied().unwrap_or(LATER)
}

impl Account {
    /// One letter more is kept at a relay.
    pub(super) fn note_kept<R: Records>(
        &mut self,
        step: &mut Step<'_, R>,
        peer: &ContactId,
        relay: &ContactId,
    ) -> Result<(), Error> {
        let (key, now) = (key(peer, relay), step.now.wall);
        let known = step.batch.record(CHECKS, &key)?;
        let letters = known.map_or(Ok(0), |bytes| msgpack::decode::<Check>(&bytes).map(|check| check.letters))?;
        let due = now.after(pause(0));
        let check = Check { due, asked: 0, letters: letters.saturating_add(1), last: now };
        step.batch.put(CHECKS, key, msgpack::encode(&check));
        self.relays.checks_at = self.relays.checks_at.min(on_the_clock(step, due));
        Ok(())
    }

    /// An item is confirmed, withdrawn or sealed anew: no relay has to be asked for it.
    pub(in crate::account) fn kept_no_more<R: Records>(
        step: &mut Step<'_, R>,
        peer: &ContactId,
        item: &Item,
    ) -> Result<(), Error> {
        for relay in item.kept_by() {
            let key = key(peer, relay);
            let Some(bytes) = step.batch.record(CHECKS, &key)? else { continue };
            let mut check: Check = msgpack::decode(&bytes)?;
            check.letters = check.letters.saturating_sub(1);
            if check.letters == 0 {
                step.batch.remove(CHECKS, key);
            } else {
                step.batch.put(CHECKS, key, msgpack::encode(&check));
            }
        }
        Ok(())
    }

    /// Asks where it is time to.
    pub(super) fn checks_due<R: Records>(
        &mut self,
        step: &mut Step<'_, R>,
        rng: &mut impl CryptoRng,
    ) -> Result<(), Error> {
        if step.now.mono < self.relays.checks_at {
            return Ok(());
        }
        let mut next = step.now.wall.after(LATER);
        let mut after: Option<Vec<u8>> = None;
        loop {
            let page = step.batch.records(CHECKS, b"", after.as_deref(), ROUND)?;
            let Some((last, _)) = page.last() else { break };
            after = Some(last.clone());
            for (key, bytes) in page {
                let mut check: Check = msgpack::decode(&bytes)?;
                let (peer, relay) = names(&key)?;
                if check.due <= step.now.wall {
                    let is_over = check.last.after(KEPT_FOR) <= step.now.wall;
                    if is_over || self.may_be_lost(&peer, &check) {
                        let alone = if is_over { Item::expire } else { |_: &mut Item| {} };
                        self.count_no_more_on(step, &peer, &relay, alone)?;
                        self.settle(step, rng, peer)?;
                        continue;
                    }
                    self.ask_about(step, peer, relay);
                    check.asked = check.asked.saturating_add(1);
                    check.due = step.now.wall.after(pause(check.asked));
                    step.batch.put(CHECKS, key, msgpack::encode(&check));
                }
                next = next.min(check.due);
            }
        }
        self.relays.checks_at = on_the_clock(step, next);
        Ok(())
    }

    /// A relay that lost everything says nothing either. To a peer that is connected, and had the time to fetch
    /// it, a letter goes once more; if it has it already, nothing changes.
    fn may_be_lost(&self, peer: &ContactId, check: &Check) -> bool {
        check.asked >= LOST && self.by_peer.contains_key(peer)
    }

    fn ask_about<R: Records>(&mut self, step: &mut Step<'_, R>, peer: ContactId, relay: ContactId) {
        let ready = self.relays.ready(&relay);
        match ready.and_then(|id| self.relays.links.get_mut(&id)) {
            // What is pushed may be lost: one look.
            Some(link) => link.session.drain_again(),
            None => step.event(Event::NeedRelay { relay, peer }),
        }
        if let Some(id) = ready {
            self.retrieve_next(step, id);
        }
    }

    /// A relay that was wanted cannot be reached: what it keeps goes to the peer's next one too.
    pub(in crate::account) fn relay_unreachable<R: Records>(
        &mut self,
        step: &mut Step<'_, R>,
        rng: &mut impl CryptoRng,
        relay: ContactId,
    ) -> Result<(), Error> {
        let mut peers = self.relays.wanted.remove(&relay).unwrap_or_default();
        if self.relays.ready(&relay).is_none() {
            peers.extend(self.kept_at(step, &relay)?);
        }
        for peer in peers {
            self.count_no_more_on(step, &peer, &relay, |_| {})?;
            if self.by_peer.contains_key(&peer) || self.relays.lanes.contains_key(&peer) {
                self.settle(step, rng, peer)?;
            } else if outbox::has_items(&step.batch, &peer)? {
                self.another_relay(step, rng, peer, &relay)?;
            }
        }
        Ok(())
    }

    /// Whose letters a relay keeps.
    fn kept_at<R: Records>(&self, step: &Step<'_, R>, relay: &ContactId) -> Result<BTreeSet<ContactId>, Error> {
        let mut found = BTreeSet::new();
        let mut after: Option<Vec<u8>> = None;
        loop {
            let page = step.batch.records(CHECKS, b"", after.as_deref(), ROUND)?;
            let Some((last, _)) = page.last() else { return Ok(found) };
            after = Some(last.clone());
            for (key, _) in &page {
                let (peer, keeper) = names(key)?;
                if keeper == *relay {
                    found.insert(peer);
                }
            }
        }
    }

    /// Letters that only this relay keeps wait for a way again, with what `alone` makes of them.
    fn count_no_more_on<R: Records>(
        &mut self,
        step: &mut Step<'_, R>,
        peer: &ContactId,
        relay: &ContactId,
        alone: impl Fn(&mut Item),
    ) -> Result<(), Error> {
        step.batch.remove(CHECKS, key(peer, relay));
        let mut after: Option<Vec<u8>> = None;
        loop {
            let page = step.batch.records(KEPT, peer.as_bytes(), after.as_deref(), PAGE)?;
            let Some((last, _)) = page.last() else { return Ok(()) };
            after = Some(last.clone());
            for (key, value) in page {
                let mut item: Item = msgpack::decode(&value)?;
                if !item.kept_by().contains(relay) {
                    continue;
                }
                item.leave(relay);
                let order = order_of(&key)?;
                if !item.is_kept() {
                    alone(&mut item);
                    self.hand_over_again(peer, order, &item);
                }
                Self::put_item(step, peer, order, KEPT, &item);
            }
        }
    }

    /// The peer's relay behind this one; behind the last one all ways are looked at anew.
    fn another_relay<R: Records>(
        &mut self,
        step: &mut Step<'_, R>,
        rng: &mut impl CryptoRng,
        peer: ContactId,
        relay: &ContactId,
    ) -> Result<(), Error> {
        let all = relays_of(&step.batch, &peer)?;
        let is_it = |other: &RelayRef| other.relay_identity == *relay;
        let behind = all.iter().position(is_it).map_or(0, |place| place + 1);
        let Some(next) = all.get(behind).map(|next| next.relay_identity) else {
            step.event(Event::NeedLink(peer));
            return Ok(());
        };
        if let Some(link) = self.relays.ready(&next) {
            return self.store_by(step, rng, peer, link);
        }
        self.relays.wanted.entry(next).or_default().insert(peer);
        step.event(Event::NeedRelay { relay: next, peer });
        Ok(())
    }
}
