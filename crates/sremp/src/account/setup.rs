//! Setting up a session with a peer that is online, and doing so anew when messages cannot be read.
//! Profile, Sessions.

use super::{Account, Step};
use crate::content::Content;
use crate::message::{DirectMessage, ErrorMessage, FetchPrekeys, Message, Prekeys};
use crate::session::SessionNeed;
use crate::trust::book;
use crate::{Error, ErrorCode, LinkId};
use rand_core::CryptoRng;
use std::time::Duration;
use waypost_core::{ContactId, Mono, Records};

/// A session that is wanted with a peer.
pub(super) struct Setup {
    stage: Stage,
    /// When to go on; none as long as no way leads to the peer.
    due: Option<Mono>,
    /// The reason is that messages could not be read: letters not confirmed are sealed again.
    restart: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// No connection leads to the peer or to a relay of it.
    NoWay,
    /// The other side is given time to do it, or this side a pause.
    Waiting,
    /// FETCH_PREKEYS was sent.
    Asked(LinkId),
}

impl Setup {
    pub(super) const fn due(&self) -> Option<Mono> {
        self.due
    }

    /// Whether its reason is that messages could not be read.
    pub(super) const fn is_restart(&self) -> bool {
        self.restart
    }

    /// Whether it goes on although a connection is gone, because another one is meant.
    pub(super) fn outlives(&self, link: LinkId) -> bool {
        matches!(self.stage, Stage::Asked(asked) if asked != link)
    }

    /// Whether it waits for a way to the peer.
    pub(super) fn has_no_way(&self) -> bool {
        self.stage == Stage::NoWay
    }

    /// Whether what goes to a relay waits for the new session, because nobody can say there that it
    /// cannot be read on the old one.
    pub(super) const fn holds_lanes(&self) -> bool {
        self.restart && !matches!(self.stage, Stage::Waiting)
    }
}

impl Account {
    fn can_seal<R: Records>(&self, step: &Step<'_, R>, peer: &ContactId) -> Result<bool, Error> {
        Ok(self.vault.need(&step.batch, *peer, step.now.wall)? != SessionNeed::Required)
    }

    /// The connection by which a session with a peer can be had: its own, or one to a relay of it.
    fn way_to(&self, peer: &ContactId) -> Option<LinkId> {
        self.by_peer.get(peer).copied().or_else(|| self.relays.way_to(peer))
    }

    /// Does what can be done now for a peer: hand over letters, or get a session or a connection.
    pub(super) fn settle<R: Records>(
        &mut self,
        step: &mut Step<'_, R>,
        rng: &mut impl CryptoRng,
        peer: ContactId,
    ) -> Result<(), Error> {
        if self.way_to(&peer).is_none() {
            if super::outbox::has_items(&step.batch, &peer)? && !self.relays.expects(&peer) {
                step.event(super::Event::NeedLink(peer));
            }
            return Ok(());
        }
        if self.setups.get(&peer).is_some_and(|setup| setup.has_no_way()) {
            let restart = self.setups.remove(&peer).is_some_and(|setup| setup.restart);
            self.ask_for_prekeys(step, peer, restart);
        }
        // At a relay there is nobody to wait for, and only what is not sealed yet needs a session.
        if !self.by_peer.contains_key(&peer) || self.can_seal(step, &peer)? {
            return self.flush(step, rng, peer);
        }
        if self.setups.contains_key(&peer) {
            return Ok(());
        }
        if self.id() < peer {
            self.ask_for_prekeys(step, peer, false);
        } else {
            let due = Some(step.now.mono.after(self.timing.higher_side_waits));
            self.setups.insert(peer, Setup { stage: Stage::Waiting, due, restart: false });
        }
        Ok(())
    }

    /// Gets a new session because the active one is used up.
    pub(super) fn begin_setup<R: Records>(&mut self, step: &mut Step<'_, R>, peer: ContactId) {
        if self.way_to(&peer).is_some() && !self.setups.contains_key(&peer) {
            self.ask_for_prekeys(step, peer, false);
        }
    }

    /// Gets a new session because one side cannot read the other; at most one per peer and hour. Whether
    /// that begins now.
    pub(super) fn restart<R: Records>(&mut self, step: &mut Step<'_, R>, peer: ContactId) -> Result<bool, Error> {
        let now = step.now.mono;
        if self.restarted.len() >= self.limits.peers {
            self.restarted.retain(|_, at| now.since(*at) < self.timing.restart);
        }
        let too_soon = self.restarted.get(&peer).is_some_and(|at| now.since(*at) < self.timing.restart);
        if too_soon || self.restarted.len() >= self.limits.peers || self.setups.get(&peer).is_some_and(|s| s.restart) {
            return Ok(false);
        }
        self.ask_for_prekeys(step, peer, true);
        if !self.by_peer.contains_key(&peer) {
            // Something has to bring the new session to the peer.
            self.enqueue_null(step, peer)?;
        }
        Ok(true)
    }

    fn ask_for_prekeys<R: Records>(&mut self, step: &mut Step<'_, R>, peer: ContactId, restart: bool) {
        let Some(link) = self.way_to(&peer) else {
            if restart {
                self.setups.insert(peer, Setup { stage: Stage::NoWay, due: None, restart });
            }
            return;
        };
        let now = step.now.mono;
        self.relays.asked(now, link, peer);
        let due = Some(now.after(self.timing.prekeys_answer));
        self.setups.insert(peer, Setup { stage: Stage::Asked(link), due, restart });
        step.send(link, Message::FetchPrekeys(FetchPrekeys { target: peer }));
    }

    /// A connection is gone on which prekeys were asked for: restarts wait for the next one.
    pub(super) fn setups_lost(&mut self, link: LinkId) {
        self.setups.retain(|_, setup| setup.stage != Stage::Asked(link) || setup.restart);
        for setup in self.setups.values_mut().filter(|setup| setup.stage == Stage::Asked(link)) {
            (setup.stage, setup.due) = (Stage::NoWay, None);
        }
    }

    /// A relay gives no prekeys of a peer.
    pub(super) fn fetch_refused<R: Records>(
        &mut self,
        step: &mut Step<'_, R>,
        link: LinkId,
        peer: ContactId,
        code: ErrorCode,
        retry_after_s: Option<u32>,
    ) {
        let Some(setup) = self.setups.get_mut(&peer).filter(|setup| setup.stage == Stage::Asked(link)) else { return };
        if code == ErrorCode::Rate {
            let pause = retry_after_s.map_or(self.timing.prekeys_retry, |wait| Duration::from_secs(wait.into()));
            (setup.stage, setup.due) = (Stage::Waiting, Some(step.now.mono.after(pause)));
            self.lane_waits(step, peer, code, pause);
            return;
        }
        if setup.restart {
            (setup.stage, setup.due) = (Stage::NoWay, None);
        } else {
            self.setups.remove(&peer);
        }
        self.end_lane(step, peer, None, code);
    }

    /// Answers a peer that wants to start a session with us. Profile, Sessions and Prekeys.
    pub(super) fn give_prekeys<R: Records>(
        &mut self,
        step: &mut Step<'_, R>,
        rng: &mut impl CryptoRng,
        link: LinkId,
        peer: ContactId,
        request: &FetchPrekeys,
    ) -> Result<(), Error> {
        if request.target != self.id() {
            let refusal = ErrorMessage::new(ErrorCode::NotFound).answering(&Message::FetchPrekeys(*request));
            step.send(link, Message::Error(refusal));
            return Ok(());
        }
        let bundle = self.vault.bundle(&mut step.batch, self.own(), step.now.wall, rng)?;
        let one_time = match self.prekeys_given.has(step.now.mono, &peer) {
            true => self.vault.direct_one_time(&mut step.batch, self.own(), step.now.wall, rng)?,
            false => None,
        };
        if one_time.is_some() {
            self.prekeys_given.take(step.now.mono, peer);
        }
        let identity = None;
        let prekeys = Prekeys { target: self.id(), identity, bundle, one_time };
        step.send(link, Message::Prekeys(prekeys));
        Ok(())
    }

    /// Takes the prekeys it asked for, and starts the session with the first thing that waits.
    pub(super) fn take_prekeys<R: Records>(
        &mut self,
        step: &mut Step<'_, R>,
        rng: &mut impl CryptoRng,
        link: LinkId,
        peer: ContactId,
        prekeys: &Prekeys,
    ) -> Result<(), Error> {
        let Some(setup) = self.setups.get(&peer).filter(|setup| setup.stage == Stage::Asked(link)) else {
            return Ok(());
        };
        let restart = setup.restart;
        let before = book::row(&step.batch, &peer)?;
        let known = before.as_ref().map(|row| row.identity.clone());
        let batch = &mut step.batch;
        let checked = self.vault.check_prekeys(batch, peer, known.as_ref(), prekeys, step.now.wall);
        let started = checked.and_then(|verified| {
            // Signed keys may still be bad ones.
            self.vault.start_session(batch, self.own(), &verified, step.now.wall, rng)
        });
        self.tell_change(step, peer, before)?;
        let session = match started {
            Ok(session) => session,
            Err(error @ (Error::Records(_) | Error::Internal(_) | Error::BadInput(_))) => return Err(error),
            Err(error) if self.relays.has(link) => {
                // The relay passes on what is not good: another one may have better.
                step.event(super::Event::Refused { code: error.code() });
                self.fetch_refused(step, link, peer, error.code(), None);
                return Ok(());
            }
            Err(error) => {
                self.setup_failed(step, peer);
                self.refuse(step, link, ErrorMessage::new(error.code()));
                return Ok(());
            }
        };
        self.setups.remove(&peer);
        if restart {
            // Counted only now: what failed on the way is no new session.
            self.restarted.insert(peer, step.now.mono);
            self.unseal_items(step, &peer, |item| item.is_on_another(session))?;
        }
        self.flush(step, rng, peer)?;
        let sessions = self.vault.sessions(&step.batch, peer, step.now.wall)?;
        if sessions.iter().any(|status| status.id == session && status.sent == 0) {
            self.send_null(step, rng, link, &peer)?;
        }
        Ok(())
    }

    /// The peer would not or could not give prekeys.
    pub(super) fn setup_failed<R: Records>(&mut self, step: &mut Step<'_, R>, peer: ContactId) {
        if let Some(setup) = self.setups.get_mut(&peer) {
            setup.stage = Stage::Waiting;
            setup.due = Some(step.now.mono.after(self.timing.prekeys_retry));
        }
    }

    pub(super) fn setups_due<R: Records>(
        &mut self,
        step: &mut Step<'_, R>,
        rng: &mut impl CryptoRng,
    ) -> Result<(), Error> {
        let now = step.now.mono;
        let due: Vec<_> = self
            .setups
            .iter()
            .filter(|(_, s)| s.due.is_some_and(|due| due <= now))
            .map(|(p, s)| (*p, s.stage, s.restart))
            .collect();
        for (peer, stage, restart) in due {
            let ready = !restart && self.can_seal(step, &peer)?;
            match stage {
                _ if ready => {
                    self.setups.remove(&peer);
                    self.flush(step, rng, peer)?;
                }
                Stage::NoWay | Stage::Waiting => {
                    self.setups.remove(&peer);
                    self.ask_for_prekeys(step, peer, restart);
                }
                Stage::Asked(_) => self.setup_failed(step, peer),
            }
        }
        Ok(())
    }

    /// A session that the peer started is answered, so that it may drop the long form of its messages
    /// and send what is too long for it.
    pub(super) fn answer_due<R: Records>(
        &mut self,
        step: &mut Step<'_, R>,
        rng: &mut impl CryptoRng,
    ) -> Result<(), Error> {
        let now = step.now.mono;
        let due: Vec<_> = self.answers_due.iter().filter(|(_, at)| **at <= now).map(|(peer, _)| *peer).collect();
        for peer in due {
            self.answers_due.remove(&peer);
            if let Some(&link) = self.by_peer.get(&peer) {
                self.send_null(step, rng, link, &peer)?;
            } else if self.is_contact(step, &peer)? {
                self.enqueue_null(step, peer)?;
                self.settle(step, rng, peer)?;
            }
        }
        Ok(())
    }

    pub(super) fn send_null<R: Records>(
        &mut self,
        step: &mut Step<'_, R>,
        rng: &mut impl CryptoRng,
        link: LinkId,
        peer: &ContactId,
    ) -> Result<(), Error> {
        let message_id = rng.next_u64();
        let content = Content::Null.encode()?;
        match self.vault.seal(&mut step.batch, *peer, message_id, &content, step.now.wall, rng) {
            Ok(sealed) if self.relays.has(link) => {
                self.send_store(step, link, *peer, message_id, sealed.blob);
                Ok(())
            }
            Ok(sealed) => {
                let message = DirectMessage { message_id, encrypted_blob: sealed.blob.into() };
                step.send(link, Message::DirectMessage(message));
                Ok(())
            }
            Err(Error::Crypto(ErrorCode::NoSession)) => Ok(()),
            Err(error) => Err(error),
        }
    }
}
