//! Messages of a peer on a ready connection: opened, remembered, and only then confirmed.

use super::{Account, Event, People, Standing, Step};
use crate::content::{Content, MAX_TEXT, MAX_TEXT_TRUSTED};
use crate::message::{DeliveryConfirmation, DirectMessage, ErrorMessage, Message};
use crate::msgpack::record;
use crate::trust::{Trust, book};
use crate::vault::{Arrival, Opened};
use crate::{Error, ErrorCode, LinkId, msgpack};
use rand_core::CryptoRng;
use waypost_core::{Batch, ContactId, Records, Space, Wall};

/// Messages that were taken: sender and message id. Profile, Sessions (dedup rows).
pub(super) const SEEN: Space = Space("sremp/seen");

record! {
    /// A message that was taken.
    pub(super) struct Seen {
        /// When.
        pub(super) at: Wall,
    }
}

/// What became of a message that came.
pub(super) enum Receipt {
    /// It is kept: to be confirmed.
    Taken,
    /// It was kept before: to be confirmed again.
    Again,
    /// Nothing of it is kept.
    Refused(ErrorCode),
}

impl Account {
    pub(super) fn message<R: Records>(
        &mut self,
        step: &mut Step<'_, R>,
        rng: &mut impl CryptoRng,
        link: LinkId,
        message: Message,
        people: &dyn People,
    ) -> Result<(), Error> {
        // A sign of life is the connection's own business.
        if matches!(message, Message::Pong(_)) {
            return Ok(());
        }
        if self.relays.has(link) {
            return self.relay_message(step, rng, link, message, people);
        }
        let Some(peer) = self.links.get(&link).map(|link| link.peer) else { return Ok(()) };
        match message {
            Message::DirectMessage(message) => self.direct(step, rng, link, peer, &message, people),
            Message::DeliveryConfirmation(confirmation) => self.confirmed(step, rng, &confirmation).map(|_| ()),
            Message::FetchPrekeys(request) => self.give_prekeys(step, rng, link, peer, &request),
            Message::Prekeys(prekeys) => self.take_prekeys(step, rng, link, peer, &prekeys),
            Message::Error(error) => self.peer_error(step, rng, peer, &error),
            // A node without a relay knows no relay messages. Profile, Relay.
            other => {
                self.refuse(step, link, ErrorMessage::new(ErrorCode::Unsupported).answering(&other));
                Ok(())
            }
        }
    }

    fn direct<R: Records>(
        &mut self,
        step: &mut Step<'_, R>,
        rng: &mut impl CryptoRng,
        link: LinkId,
        peer: ContactId,
        message: &DirectMessage,
        people: &dyn People,
    ) -> Result<(), Error> {
        match self.receive(step, rng, peer, message.message_id, &message.encrypted_blob, people)? {
            Receipt::Taken | Receipt::Again => self.confirm(step, link, &peer, message.message_id),
            Receipt::Refused(code) => self.unreadable(step, link, message.message_id, code),
        }
        Ok(())
    }

    /// Opens a message, by whatever way it came, and keeps what it brings; one that was taken before is
    /// not opened again.
    pub(super) fn receive<R: Records>(
        &mut self,
        step: &mut Step<'_, R>,
        rng: &mut impl CryptoRng,
        peer: ContactId,
        message_id: u64,
        blob: &[u8],
        people: &dyn People,
    ) -> Result<Receipt, Error> {
        let key = [&peer.as_bytes()[..], &message_id.to_be_bytes()].concat();
        if step.batch.record(SEEN, &key)?.is_some() {
            return Ok(Receipt::Again);
        }
        let may_start = self.sessions_started.has(step.now.mono, &peer);
        // Only the long form carries an identity.
        let before = if blob.first() == Some(&1) { book::row(&step.batch, &peer)? } else { None };
        // Tried apart: a message that is refused in the end leaves no trace.
        let mut trial = Batch::new(&step.batch);
        let arrival = Arrival { peer, message_id, blob, may_start };
        let opened = self.vault.open(&mut trial, self.own(), arrival, step.now.wall, rng);
        let opened = match opened {
            Ok(opened) => opened,
            Err(error @ (Error::Records(_) | Error::Internal(_))) => return Err(error),
            Err(error) => {
                // A carried identity may have shown something about its owner all the same.
                let learned = trial.into_changes();
                step.batch.absorb(learned);
                self.tell_change(step, peer, before)?;
                return Ok(Receipt::Refused(error.code()));
            }
        };
        let content = Content::decode(&opened.content);
        if !is_admitted(&content, &peer, people)? {
            return Ok(Receipt::Refused(ErrorCode::Rate));
        }
        let trusted = book::row(&step.batch, &peer)?.is_some_and(|row| row.trust == Trust::Trusted);
        // Refused instead of dropped: the sender's person is to know.
        if content.text_len() > if trusted { MAX_TEXT_TRUSTED } else { MAX_TEXT } {
            return Ok(Receipt::Refused(ErrorCode::TooLarge));
        }
        let changes = trial.into_changes();
        step.batch.absorb(changes);
        self.tell_change(step, peer, before)?;
        step.batch.put(SEEN, key, msgpack::encode(&Seen { at: step.now.wall }));
        self.opened(step, rng, &peer, &opened, blob.first() == Some(&1))?;
        self.take_content(step, peer, message_id, content, &opened)?;
        Ok(Receipt::Taken)
    }

    /// What a message that was opened says about sessions.
    fn opened<R: Records>(
        &mut self,
        step: &mut Step<'_, R>,
        rng: &mut impl CryptoRng,
        peer: &ContactId,
        opened: &Opened,
        in_long_form: bool,
    ) -> Result<(), Error> {
        if opened.is_new {
            self.sessions_started.take(step.now.mono, *peer);
            // A session of the peer's serves as well, unless it may be what cannot be read.
            if self.setups.get(peer).is_some_and(|setup| !setup.is_restart() || setup.has_no_way()) {
                self.setups.remove(peer);
            }
            if opened.is_higher {
                // The peer could not read an older session, or started this one at the same time as we
                // did: what it has not confirmed for a while goes again, once.
                let recent = step.now.wall.before(self.timing.reseal_older_than);
                let long_past = step.now.wall.before(self.timing.restart);
                self.unseal_items(step, peer, |item| item.reseal_for(opened.session, recent, long_past))?;
            }
        }
        if in_long_form {
            let wait = if opened.is_new { self.timing.answer } else { std::time::Duration::ZERO };
            let due = step.now.mono.after(wait);
            let entry = self.answers_due.entry(*peer).or_insert(due);
            *entry = due.min(*entry);
        }
        if opened.is_new || opened.is_first_answer {
            self.flush(step, rng, *peer)?;
        }
        Ok(())
    }

    fn take_content<R: Records>(
        &mut self,
        step: &mut Step<'_, R>,
        peer: ContactId,
        message_id: u64,
        content: Content,
        opened: &Opened,
    ) -> Result<(), Error> {
        let protection = opened.protection;
        let received = |letter, token| Event::Received { peer, letter, token, protection };
        match content {
            Content::Null | Content::Malformed => {}
            Content::End => self.vault.drop_session(&mut step.batch, peer, opened.session),
            // Another key than the peer's is ignored; what is wrong with it is told to the person only.
            Content::Identity(signed) => {
                let known = book::row(&step.batch, &peer)?.map_or(0, |row| row.identity.version());
                // One that waited while newer ones were shown says nothing.
                if let Ok(identity) = signed.verify()
                    && identity.key() == peer
                    && identity.version() >= known
                {
                    let _refused = self.offer(step, &identity)?;
                }
            }
            Content::Letter { letter, token } => {
                note_message(step, &peer)?;
                step.event(received(letter, token));
            }
            foreign => {
                if let Some(letter) = self.letter_of(step, &peer, message_id, foreign)? {
                    note_message(step, &peer)?;
                    step.event(received(letter, None));
                }
            }
        }
        Ok(())
    }

    pub(super) fn confirm<R: Records>(
        &mut self,
        step: &mut Step<'_, R>,
        link: LinkId,
        sender: &ContactId,
        message_id: u64,
    ) {
        let timestamp = step.now.wall;
        let signature = self.sign_confirmation(sender, message_id, timestamp);
        let confirmation = DeliveryConfirmation {
            message_id,
            delivered_to: self.id(),
            timestamp,
            signature,
            sender: Some(*sender),
            seq: None,
        };
        step.send(link, Message::DeliveryConfirmation(confirmation));
    }

    fn unreadable<R: Records>(&mut self, step: &mut Step<'_, R>, link: LinkId, message_id: u64, code: ErrorCode) {
        let error = ErrorMessage {
            request: Some("DIRECT_MESSAGE".to_owned()),
            message_id: Some(message_id),
            ..ErrorMessage::new(code).not_fatal()
        };
        self.refuse(step, link, error);
    }

    /// Tells a peer that something is not taken; the connection goes on.
    pub(super) fn refuse<R: Records>(&mut self, step: &mut Step<'_, R>, link: LinkId, error: ErrorMessage) {
        if let Some(code) = ErrorCode::from_value(error.code) {
            step.event(Event::Refused { code });
        }
        step.send(link, Message::Error(error));
    }

    /// A peer says that something of ours was not taken.
    fn peer_error<R: Records>(
        &mut self,
        step: &mut Step<'_, R>,
        rng: &mut impl CryptoRng,
        peer: ContactId,
        error: &ErrorMessage,
    ) -> Result<(), Error> {
        if error.request.as_deref() == Some("FETCH_PREKEYS") {
            self.setup_failed(step, peer);
            return Ok(());
        }
        let Some(message_id) = error.message_id else { return Ok(()) };
        let Some(code) = ErrorCode::from_value(error.code) else { return Ok(()) };
        let found = self.item_of(step, &peer, message_id)?;
        // An identity in our session that is too old for the peer: a new session carries the new one.
        if code.wants_session() || code == ErrorCode::IdStale {
            // What is no item is an empty content: nothing would come through on its session either.
            if found.is_none_or(|(_, item)| item.is_sealed_as(message_id)) {
                self.restart(step, peer)?;
            }
            return Ok(());
        }
        let Some((order, item)) = found else { return Ok(()) };
        match code {
            ErrorCode::Malformed | ErrorCode::Unsupported | ErrorCode::TooLarge | ErrorCode::Limit => {
                self.give_up(step, &peer, order, &item, "the contact's software refuses it")?;
            }
            ErrorCode::Rejected | ErrorCode::Forbidden => {
                self.give_up(step, &peer, order, &item, "the contact refuses letters from you")?;
            }
            // Read before under another id: sealed once more, the letter's own id prevents a double.
            ErrorCode::Replay => self.reseal(step, rng, &peer, order, item)?,
            // RATE and the like pass: the same bytes go again when their time comes.
            _ => {}
        }
        Ok(())
    }
}

/// Notes that a person has written: its row does not make room for those who never did. Profile, Trust.
fn note_message<R: Records>(step: &mut Step<'_, R>, peer: &ContactId) -> Result<(), Error> {
    if let Some(mut row) = book::row(&step.batch, peer)?.filter(|row| !row.has_messages) {
        row.has_messages = true;
        book::put(&mut step.batch, &row)?;
    }
    Ok(())
}

/// Whether there is room for it: letters of strangers have a bound, invites and what is no letter have none.
fn is_admitted(content: &Content, peer: &ContactId, people: &dyn People) -> Result<bool, Error> {
    if people.standing(peer)? == Standing::Contact || !people.is_full(peer)? {
        return Ok(true);
    }
    Ok(match content {
        Content::Letter { token: Some(token), .. } => people.is_invited(token),
        Content::Letter { .. } | Content::Text(_) | Content::Unknown { .. } => false,
        _ => true,
    })
}
