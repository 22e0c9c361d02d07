//! Letters as the person writes, reads, finds and follows them.

use super::Engine;
use crate::Error;
use crate::method::{
    ContactRef, Done, HistoryParams, InboxParams, Page, ReadLetters, Route, SearchParams, SendLetter, SentLetter, Step,
    Trace,
};
use rand_core::CryptoRng;
use waypost_core::{Body, ContactId, Letter, LetterId, Now, Protection, ReceiptKind};
use waypost_store::{ContactStatus, Direction, LetterRow, State, TraceRow, Unread};

/// Longest text that every trusting peer takes (SREMP profile, Content: 900000 bytes).
const MAX_TEXT: usize = 900_000;
const MAX_EMOJI: usize = 64;
const MAX_PAGE: u32 = 500;
const PAGE: u32 = 50;

impl Engine {
    pub(super) fn send_letter(
        &mut self,
        now: Now,
        rng: &mut dyn CryptoRng,
        params: SendLetter,
    ) -> Result<SentLetter, Error> {
        let contact = self.resolve(&params.to)?;
        if contact.status != ContactStatus::Contact {
            return Err(Error::Refused(format!("\"{}\" is no contact: accept or unblock it first", contact.name)));
        }
        let id = params.id.unwrap_or_else(|| fresh_id(rng));
        if let Some(known) = self.store.letter(contact.id, Direction::Out, id)? {
            return match known.letter.body == params.body {
                true => Ok(SentLetter { id, contact: contact.id, state: known.state.name().to_owned() }),
                false => Err(Error::Conflict(format!("another letter has the id {id} already"))),
            };
        }
        self.check_body(contact.id, &params.body)?;
        if self.store.outbox_len()? >= u64::from(self.config.letters.outbox_letters) {
            return Err(Error::Limit("too many letters wait to be sent; wait until some have left".into()));
        }
        self.introduce(now, rng, contact.id)?;
        let letter = Letter { id, sent: now.wall, body: params.body };
        // Every wire of today seals; what a wire really did is noted when the letter leaves by it.
        let protection = Protection {
            end_to_end: true,
            forward_secret: true,
            post_quantum: true,
            verified: contact.verified.is_some(),
        };
        let row = LetterRow { protection, ..LetterRow::outgoing(contact.id, letter.clone(), now.wall) };
        self.store.insert_letter(&row)?;
        let what = State::Queued.name().to_owned();
        self.store.add_trace(&TraceRow { contact: contact.id, letter: id, at: now.wall, what, route: None })?;
        self.dispatch(now, rng, contact.id, &letter)?;
        Ok(SentLetter { id, contact: contact.id, state: State::Queued.name().to_owned() })
    }

    pub(super) fn inbox(&self, params: &InboxParams) -> Result<Page, Error> {
        let found = self.store.inbox(params.after, limit(params.limit)?, params.unread)?;
        Ok(Page { entries: self.entries(&found)? })
    }

    pub(super) fn history(&self, params: &HistoryParams) -> Result<Page, Error> {
        let contact = self.resolve(&params.contact)?;
        let found = self.store.history(contact.id, params.before, limit(params.limit)?)?;
        Ok(Page { entries: self.entries(&found)? })
    }

    pub(super) fn search(&self, params: &SearchParams) -> Result<Page, Error> {
        let contact = params.contact.as_ref().map(|contact| self.resolve(contact)).transpose()?;
        let found = self.store.search(&params.query, contact.map(|row| row.id), limit(params.limit)?)?;
        Ok(Page { entries: self.entries(&found)? })
    }

    pub(super) fn read_letters(
        &mut self,
        now: Now,
        rng: &mut dyn CryptoRng,
        params: &ReadLetters,
    ) -> Result<Done, Error> {
        let contact = self.resolve(&params.contact)?;
        let which = params.letters.as_deref().map_or(Unread::All, Unread::These);
        let read = self.store.mark_read(contact.id, which, now.wall)?;
        let receipts = contact.read_receipts.unwrap_or(self.config.letters.read_receipts);
        if receipts && contact.status == ContactStatus::Contact {
            // A receipt may name many letters, but it must fit the smallest content bucket of a session
            // that has not been answered.
            for some in read.chunks(200) {
                let body = Body::Receipt { receipt: ReceiptKind::Read, letters: some.to_vec() };
                let letter = Letter { id: fresh_id(rng), sent: now.wall, body };
                self.carry_quietly(now, rng, contact.id, &letter)?;
            }
        }
        Ok(Done { changed: read.len() as u64 })
    }

    pub(super) fn trace(&self, letter: &LetterId) -> Result<Trace, Error> {
        if self.store.letters_by_id(*letter)?.is_empty() {
            return Err(Error::NotFound { what: "letter", name: letter.to_string() });
        }
        let steps = self.store.trace(*letter)?.into_iter().map(|row| Step {
            at: row.at,
            what: row.what,
            route: row.route.map(|route| route.0),
        });
        let routes = self.store.routes(None, *letter)?.into_iter().map(|row| Route {
            route: row.route.0,
            wire: row.wire,
            via: row.via,
            started: row.started,
            ended: row.ended,
            outcome: row.outcome.unwrap_or_else(|| "open".to_owned()),
            protection: row.protection,
        });
        Ok(Trace { letter: *letter, steps: steps.collect(), routes: routes.collect() })
    }

    fn check_body(&self, contact: ContactId, body: &Body) -> Result<(), Error> {
        let own = |id: &LetterId| match self.store.letter(contact, Direction::Out, *id)? {
            Some(_) => Ok(()),
            None => Err(Error::NotFound { what: "own letter", name: id.to_string() }),
        };
        match body {
            Body::Text { text } => check_text(text),
            Body::Reply { to, text } => {
                self.check_known(contact, to)?;
                check_text(text)
            }
            Body::Reaction { to, emoji } if emoji.len() <= MAX_EMOJI => self.check_known(contact, to),
            Body::Reaction { .. } => Err(Error::BadInput(format!("a reaction has at most {MAX_EMOJI} bytes"))),
            Body::Edit { to, text } => {
                own(to)?;
                check_text(text)
            }
            Body::Delete { to } => own(to),
            other => Err(Error::BadInput(format!("a letter of the kind \"{}\" cannot be sent by hand", other.kind()))),
        }
    }

    fn check_known(&self, contact: ContactId, id: &LetterId) -> Result<(), Error> {
        match self.store.entry(contact, *id)?.is_empty() {
            true => Err(Error::NotFound { what: "letter", name: id.to_string() }),
            false => Ok(()),
        }
    }

    /// Finds a contact by its id, the beginning of its id (8 digits or more), or its name.
    pub(super) fn resolve(&self, contact: &ContactRef) -> Result<waypost_store::ContactRow, Error> {
        let text = contact.0.trim();
        let unknown = || Error::NotFound { what: "contact", name: text.to_owned() };
        if let Ok(id) = text.parse::<ContactId>() {
            return self.store.contact(id)?.ok_or_else(unknown);
        }
        let mut found = self.store.find_contacts(text)?;
        if found.is_empty() && text.len() >= 8 && text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            let start = text.to_ascii_lowercase();
            found = self.store.contacts()?;
            found.retain(|row| row.id.to_string().starts_with(&start));
        }
        match (found.pop(), found.is_empty()) {
            (Some(row), true) => Ok(row),
            (Some(_), false) => Err(Error::Conflict(format!("several contacts are called \"{text}\"; use the id"))),
            (None, _) => Err(unknown()),
        }
    }
}

pub(super) fn fresh_id(rng: &mut dyn CryptoRng) -> LetterId {
    let mut id = [0; 16];
    rng.fill_bytes(&mut id);
    LetterId::from_bytes(id)
}

fn check_text(text: &str) -> Result<(), Error> {
    match text.len() {
        0 => Err(Error::BadInput("the text is empty".into())),
        length if length > MAX_TEXT => {
            Err(Error::BadInput(format!("the text has {length} bytes; at most {MAX_TEXT} fit a letter")))
        }
        _ => Ok(()),
    }
}

fn limit(limit: Option<u32>) -> Result<usize, Error> {
    match limit.unwrap_or(PAGE) {
        limit @ 1..=MAX_PAGE => Ok(limit as usize),
        _ => Err(Error::BadInput(format!("limit must be from 1 to {MAX_PAGE}"))),
    }
}
