//! What a relay hands over: opened as a direct message is, kept with the cursor, and then confirmed.
//! Profile, Relay and Sessions.

use super::note_standing;
use crate::account::direct::Receipt;
use crate::account::{Account, Event, IdentityNotice, People, Standing, Step};
use crate::message::{DiscardMessage, MessageBatch, StoredMessage};
use crate::msgpack::{self, record};
use crate::trust::{Trust, book};
use crate::{Error, ErrorCode, LinkId};
use rand_core::CryptoRng;
use waypost_core::{ContactId, Records, Space, Wall};

/// Messages that could not be read, by sender and message id.
pub(in crate::account) const UNREADABLE: Space = Space("sremp/relay-unreadable");

record! {
    /// A message that could not be read.
    pub(in crate::account) struct Unreadable {
        /// When that was tried first.
        pub(in crate::account) first: Wall,
    }
}

/// Whether something that could not be read is kept for another try.
pub(super) fn has_unread(records: &impl Records) -> Result<bool, Error> {
    Ok(!records.records(UNREADABLE, b"", None, 1)?.is_empty())
}

/// What becomes of a message at the relay.
enum Fate {
    /// Confirmed or discarded.
    Done,
    /// Confirmed, and new.
    News,
    /// Left there for another try.
    Left,
}

impl Account {
    pub(super) fn mailbox_batch<R: Records>(
        &mut self,
        step: &mut Step<'_, R>,
        rng: &mut impl CryptoRng,
        id: LinkId,
        batch: &MessageBatch,
        people: &dyn People,
    ) -> Result<(), Error> {
        let (mut is_left, mut is_news) = (false, false);
        for message in &batch.messages {
            match self.stored_message(step, rng, id, message, people)? {
                Fate::Done => {}
                Fate::News => is_news = true,
                Fate::Left => is_left = true,
            }
        }
        for confirmation in batch.confirmations.iter().flatten() {
            is_news |= self.confirmed(step, rng, confirmation)?;
        }
        let now = step.now.mono;
        self.moves_cursor(step, id, |session| {
            session.took(now, batch, is_news);
            if is_left {
                session.leave(now);
            }
        });
        Ok(())
    }

    fn stored_message<R: Records>(
        &mut self,
        step: &mut Step<'_, R>,
        rng: &mut impl CryptoRng,
        id: LinkId,
        message: &StoredMessage,
        people: &dyn People,
    ) -> Result<Fate, Error> {
        let (sender, message_id) = (message.sender, message.message_id);
        let before = book::row(&step.batch, &sender)?;
        let rejected = before.as_ref().is_some_and(|row| row.trust == Trust::Rejected);
        if rejected || sender == self.id() || people.standing(&sender)? == Standing::Blocked {
            step.send(id, DiscardMessage { sender, message_id }.into());
            return Ok(Fate::Done);
        }
        let key = [&sender.as_bytes()[..], &message_id.to_be_bytes()].concat();
        match self.receive(step, rng, sender, message_id, &message.encrypted_blob, people)? {
            Receipt::Again => {
                self.confirm(step, id, &sender, message_id);
                Ok(Fate::Done)
            }
            Receipt::Taken => {
                if before.is_none() && book::row(&step.batch, &sender)?.is_some() {
                    step.event(Event::Identity { peer: sender, notice: IdentityNotice::New });
                }
                note_standing(step, &sender, people)?;
                if step.batch.record(UNREADABLE, &key)?.is_some() {
                    step.batch.remove(UNREADABLE, key);
                }
                self.confirm(step, id, &sender, message_id);
                Ok(Fate::News)
            }
            // No room for strangers, or too many new sessions: that passes.
            Receipt::Refused(ErrorCode::Rate) => {
                step.event(Event::Refused { code: ErrorCode::Rate });
                Ok(Fate::Left)
            }
            Receipt::Refused(code) => self.stays_unread(step, rng, id, message, key, code),
        }
    }

    /// It may be read later, for a day. Profile, Sessions: an undecryptable stored message leads to a new
    /// session, by which alone its sender learns of it.
    fn stays_unread<R: Records>(
        &mut self,
        step: &mut Step<'_, R>,
        rng: &mut impl CryptoRng,
        id: LinkId,
        message: &StoredMessage,
        key: Vec<u8>,
        code: ErrorCode,
    ) -> Result<Fate, Error> {
        let (sender, now) = (message.sender, step.now.wall);
        let known = step.batch.record(UNREADABLE, &key)?;
        let first = match &known {
            Some(bytes) => msgpack::decode::<Unreadable>(bytes)?.first,
            None => {
                step.event(Event::Refused { code });
                step.batch.put(UNREADABLE, key.clone(), msgpack::encode(&Unreadable { first: now }));
                now
            }
        };
        if now.since(first) >= self.timing.unreadable {
            step.batch.remove(UNREADABLE, key);
            step.send(id, DiscardMessage { sender, message_id: message.message_id }.into());
            return Ok(Fate::Done);
        }
        if code.wants_session() && self.is_contact(step, &sender)? {
            let sessions = self.vault.sessions(&step.batch, sender, now)?;
            // One that began since then answers it. What the sender had sealed less than a minute before
            // it heard of that one is not sealed again, so there is a second chance, and no third.
            let pause = self.timing.restart;
            let answers = |began: Wall| began >= first && (now.since(began) < pause || began.since(first) >= pause / 2);
            let is_answered = sessions.first().is_some_and(|active| answers(active.started));
            if !is_answered && self.restart(step, sender)? {
                self.settle(step, rng, sender)?;
            }
        }
        Ok(Fate::Left)
    }

    /// Whether the person added this peer: nobody else is written to unasked.
    pub(in crate::account) fn is_contact<R: Records>(
        &self,
        step: &Step<'_, R>,
        peer: &ContactId,
    ) -> Result<bool, Error> {
        Ok(book::row(&step.batch, peer)?.is_some_and(|row| row.trust == Trust::Trusted))
    }
}
