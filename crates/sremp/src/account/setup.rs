//! Setting up a session with a peer that is online, and doing so anew when messages cannot be read.
//! Profile, Sessions.

use super::{Account, Step};
use crate::content::Content;
use crate::message::{DirectMessage, ErrorMessage, FetchPrekeys, Message, Prekeys};
use crate::session::SessionNeed;
use crate::trust::book;
use crate::{Error, ErrorCode, LinkId};
use rand_core::CryptoRng;
use waypost_core::{ContactId, Mono, Records};

/// A session that is wanted with an online peer.
pub(super) struct Setup {
    stage: Stage,
    due: Mono,
    /// The reason is that messages could not be read: letters not confirmed are sealed again.
    restart: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// The other side is given time to do it.
    Waiting,
    /// FETCH_PREKEYS was sent.
    Asked,
}

impl Setup {
    pub(super) fn due(&self) -> Mono {
        self.due
    }

    /// Whether its reason is that messages could not be read.
    pub(super) fn is_restart(&self) -> bool {
        self.restart
    }
}

impl Account {
    fn can_seal<R: Records>(&self, step: &Step<'_, R>, peer: &ContactId) -> Result<bool, Error> {
        Ok(self.vault.need(&step.batch, *peer, step.now.wall)? != SessionNeed::Required)
    }

    /// Does what can be done now for a peer: hand over letters, or get a session or a connection.
    pub(super) fn settle<R: Records>(
        &mut self,
        step: &mut Step<'_, R>,
        rng: &mut impl CryptoRng,
        peer: ContactId,
    ) -> Result<(), Error> {
        if !self.by_peer.contains_key(&peer) {
            if super::outbox::has_items(&step.batch, &peer)? {
                step.event(super::Event::NeedLink(peer));
            }
            return Ok(());
        }
        if self.can_seal(step, &peer)? {
            return self.flush(step, rng, peer);
        }
        if self.setups.contains_key(&peer) {
            return Ok(());
        }
        if self.id() < peer {
            self.ask_for_prekeys(step, peer, false);
        } else {
            let due = step.now.mono.after(self.timing.higher_side_waits);
            self.setups.insert(peer, Setup { stage: Stage::Waiting, due, restart: false });
        }
        Ok(())
    }

    /// Gets a new session because the active one is used up.
    pub(super) fn begin_setup<R: Records>(&mut self, step: &mut Step<'_, R>, peer: ContactId) {
        if self.by_peer.contains_key(&peer) && !self.setups.contains_key(&peer) {
            self.ask_for_prekeys(step, peer, false);
        }
    }

    /// Gets a new session because one side cannot read the other; at most one per peer and hour.
    pub(super) fn restart<R: Records>(&mut self, step: &mut Step<'_, R>, peer: ContactId) {
        let now = step.now.mono;
        if self.restarted.len() >= self.limits.peers {
            self.restarted.retain(|_, at| now.since(*at) < self.timing.restart);
        }
        let too_soon = self.restarted.get(&peer).is_some_and(|at| now.since(*at) < self.timing.restart);
        if too_soon || self.restarted.len() >= self.limits.peers || self.setups.get(&peer).is_some_and(|s| s.restart) {
            return;
        }
        self.ask_for_prekeys(step, peer, true);
    }

    fn ask_for_prekeys<R: Records>(&mut self, step: &mut Step<'_, R>, peer: ContactId, restart: bool) {
        let Some(&link) = self.by_peer.get(&peer) else { return };
        let due = step.now.mono.after(self.timing.prekeys_answer);
        self.setups.insert(peer, Setup { stage: Stage::Asked, due, restart });
        step.send(link, Message::FetchPrekeys(FetchPrekeys { target: peer }));
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
        let Some(setup) = self.setups.get(&peer).filter(|setup| setup.stage == Stage::Asked) else { return Ok(()) };
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
            setup.due = step.now.mono.after(self.timing.prekeys_retry);
        }
    }

    pub(super) fn setups_due<R: Records>(
        &mut self,
        step: &mut Step<'_, R>,
        rng: &mut impl CryptoRng,
    ) -> Result<(), Error> {
        let now = step.now.mono;
        let due: Vec<_> =
            self.setups.iter().filter(|(_, s)| s.due <= now).map(|(p, s)| (*p, s.stage, s.restart)).collect();
        for (peer, stage, restart) in due {
            let ready = !restart && self.can_seal(step, &peer)?;
            match stage {
                _ if ready => {
                    self.setups.remove(&peer);
                    self.flush(step, rng, peer)?;
                }
                Stage::Waiting => self.ask_for_prekeys(step, peer, restart),
                Stage::Asked => self.setup_failed(step, peer),
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
