//! Connections as the account sees them: who is online, and which of two connections stays.

use super::{Account, Event, IdentityNotice, Output, Standing, Step};
use crate::connection::Verdict;
use crate::message::ErrorMessage;
use crate::select::{Completed, Stays, stays};
use crate::trust::{Offer, Trust, TrustRow, VerifiedVia, book};
use crate::{Error, ErrorCode, Identity, LinkId};
use rand_core::CryptoRng;
use std::collections::BTreeMap;
use waypost_core::{ContactId, Mono, Records};

/// A ready connection.
pub(super) struct Link {
    pub(super) peer: ContactId,
    we_dialled: bool,
    ready: Mono,
    /// Letters sent and not confirmed, by message id.
    pub(super) in_flight: BTreeMap<u64, InFlight>,
    pub(super) in_flight_bytes: usize,
    /// The order of the last item that was handed to this connection.
    pub(super) sent_to: u64,
    /// Something short was sent because what waits is too long for a session the peer has not answered.
    pub(super) asked_for_answer: bool,
}

/// A letter on its way over one connection.
pub(super) struct InFlight {
    pub(super) order: u64,
    pub(super) bytes: usize,
    /// When to act on the missing confirmation.
    pub(super) due: Mono,
    /// How often it was sent on this connection.
    pub(super) sent: u32,
}

impl Link {
    /// Whether a message waits here for its confirmation longer than it should.
    pub(super) fn is_late(&self, message_id: u64) -> bool {
        self.in_flight.get(&message_id).is_some_and(|letter| letter.sent > 1)
    }

    /// When something is due on it.
    pub(super) fn due(&self) -> Option<Mono> {
        self.in_flight.values().map(|letter| letter.due).min()
    }
}

impl Account {
    /// Judges who connected by what is known of it. Profile, Trust.
    pub(super) fn judge<R: Records>(
        &mut self,
        step: &mut Step<'_, R>,
        link: LinkId,
        identity: &Identity,
        standing: Standing,
    ) -> Result<(), Error> {
        let rejected = book::row(&step.batch, &identity.key())?.is_some_and(|row| row.trust == Trust::Rejected);
        if standing == Standing::Blocked || rejected {
            step.then.push(Output::Judged(link, Verdict::Silent));
            return Ok(());
        }
        let verdict = match self.offer(step, identity)? {
            Err(code) => Verdict::Refuse(code),
            Ok(mut row) => {
                if standing == Standing::Contact && row.trust == Trust::Unknown {
                    row.trust = Trust::Trusted;
                    book::put(&mut step.batch, &row)?;
                }
                // The user's own relay hands over what is long too. Profile, Limits.
                Verdict::Accept { known: row.trust == Trust::Trusted || self.relays.is_own(&identity.key()) }
            }
        };
        step.then.push(Output::Judged(link, verdict));
        Ok(())
    }

    /// Offers an identity to the trust table and tells the person what is new about it.
    /// The inner error is the peer's: its code.
    pub(super) fn offer<R: Records>(
        &mut self,
        step: &mut Step<'_, R>,
        identity: &Identity,
    ) -> Result<Result<TrustRow, ErrorCode>, Error> {
        let offer = book::take(&mut step.batch, identity, step.now.wall, false)?;
        let notice = match &offer {
            Offer::New(_) => Some(IdentityNotice::New),
            Offer::Updated { noise_changed, dr_changed, .. } => {
                Some(IdentityNotice::Changed { keys: *noise_changed || *dr_changed })
            }
            Offer::Forked(_) => Some(IdentityNotice::Fork),
            Offer::Stale => Some(IdentityNotice::Stale),
            Offer::Same(_) | Offer::Carrier(_) => None,
        };
        if let Some(notice) = notice {
            step.event(Event::Identity { peer: identity.key(), notice });
        }
        Ok(offer.accepted().cloned())
    }

    pub(super) fn link_up<R: Records>(
        &mut self,
        step: &mut Step<'_, R>,
        rng: &mut impl CryptoRng,
        id: LinkId,
        peer: ContactId,
        we_dialled: bool,
    ) -> Result<(), Error> {
        let link = Link {
            peer,
            we_dialled,
            ready: step.now.mono,
            in_flight: BTreeMap::new(),
            in_flight_bytes: 0,
            sent_to: 0,
            asked_for_answer: false,
        };
        if let Some(&old) = self.by_peer.get(&peer) {
            let loser = if self.newer_stays(&link, old) { old } else { id };
            step.then.push(Output::Close(loser, Some(ErrorMessage::new(ErrorCode::Duplicate))));
            if loser == id {
                return Ok(());
            }
            self.links.remove(&old);
            // What was asked on it is not answered any more.
            self.setups.remove(&peer);
        }
        self.links.insert(id, link);
        self.by_peer.insert(peer, id);
        // From now on letters go directly.
        self.store_stop(&peer);
        step.event(Event::Online { peer, link: id });
        self.settle(step, rng, peer)
    }

    pub(super) fn link_down<R: Records>(&mut self, step: &mut Step<'_, R>, id: LinkId) {
        let Some(link) = self.links.remove(&id) else { return };
        self.by_peer.remove(&link.peer);
        self.setups.retain(|peer, setup| *peer != link.peer || setup.outlives(id));
        self.answers_due.remove(&link.peer);
        step.event(Event::Offline(link.peer));
    }

    pub(super) fn set_trust<R: Records>(
        &mut self,
        step: &mut Step<'_, R>,
        peer: ContactId,
        trust: Trust,
        verified_via: Option<VerifiedVia>,
    ) -> Result<(), Error> {
        if let Some(mut row) = book::row(&step.batch, &peer)? {
            row.trust = trust;
            row.verified_via = verified_via;
            if verified_via.is_some() {
                row.clear_warnings();
            }
            book::put(&mut step.batch, &row)?;
        }
        if trust == Trust::Rejected {
            self.store_stop(&peer);
        }
        if trust == Trust::Rejected
            && let Some(&link) = self.by_peer.get(&peer)
        {
            step.then.push(Output::Close(link, None));
            // At once: what still comes by it is not taken.
            self.link_down(step, link);
        }
        Ok(())
    }

    /// Tells the person what an identity inside a message or prekeys changed: the row follows it by itself.
    pub(super) fn tell_change<R: Records>(
        &self,
        step: &mut Step<'_, R>,
        peer: ContactId,
        before: Option<TrustRow>,
    ) -> Result<(), Error> {
        let (Some(before), Some(after)) = (before, book::row(&step.batch, &peer)?) else { return Ok(()) };
        if after.forked && !before.forked {
            step.event(Event::Identity { peer, notice: IdentityNotice::Fork });
        }
        if after.identity.version() > before.identity.version() {
            let keys = (after.identity.noise_key(), after.identity.dr_key())
                != (before.identity.noise_key(), before.identity.dr_key());
            step.event(Event::Identity { peer, notice: IdentityNotice::Changed { keys } });
        }
        Ok(())
    }

    /// Of two connections of one pair: whether the one that came now replaces the one that stands.
    fn newer_stays(&self, newer: &Link, old: LinkId) -> bool {
        let Some(older) = self.links.get(&old) else { return true };
        let completed =
            |link: &Link| Completed { initiator: if link.we_dialled { self.id() } else { link.peer }, at: link.ready };
        stays(&completed(older), &completed(newer), self.timing.simultaneous) == Stays::Newer
    }
}
