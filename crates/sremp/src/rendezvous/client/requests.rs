//! What was asked, and the connection it was asked on.

use super::{Client, ClientTiming, Event, Failure, Output, Query, answer::Expected};
use crate::{
    Error, Message,
    message::{ListServersRequest, LookupRequest},
    rendezvous::{Framing, next_seq},
};
use std::collections::VecDeque;
use waypost_core::{Batch, Change, Mono, Now, Records, Space};

/// The last seq used at a server.
pub(super) const SEQ: Space = Space("rendezvous-client/seq");

/// A question and who asked it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Question {
    pub(super) ticket: u64,
    pub(super) query: Query,
    /// It was on a connection before that ended.
    pub(super) is_repeated: bool,
}

/// What leaves when all before it is durable.
#[expect(clippy::large_enum_variant, reason = "made and taken apart at once; a box for each message costs more")]
pub(super) enum Held {
    /// A request on the connection of this number.
    Request {
        connection: u64,
        expected: Expected,
        message: Message,
    },
    Event(Event),
}

/// The state of the connection.
pub(super) enum Session {
    None,
    Connecting,
    Open(Box<Open>),
    /// We ended it; its end was not reported yet.
    Closing,
}

impl Session {
    /// Requests without an answer.
    pub(super) fn waiting(&self) -> usize {
        match self {
            Self::Open(open) => open.waiting(),
            _ => 0,
        }
    }
}

/// An open connection.
pub(super) struct Open {
    pub(super) server_id: [u8; 32],
    pub(super) framing: Framing,
    /// Requests that were sent, oldest first: answers come in this order.
    asked: VecDeque<Expected>,
    /// Requests held back until they are durable.
    held: usize,
    pub(super) had_answers: bool,
    /// When the oldest request was sent, or the last answer came.
    moved: Mono,
}

impl Open {
    fn new(now: Mono, server_id: [u8; 32]) -> Self {
        let framing = Framing::client();
        Self { server_id, framing, asked: VecDeque::new(), held: 0, had_answers: false, moved: now }
    }

    pub(super) fn waiting(&self) -> usize {
        self.asked.len() + self.held
    }

    /// When it is closed, for silence or for want of anything to ask.
    pub(super) fn deadline(&self, timing: &ClientTiming) -> Mono {
        self.moved.after(if self.waiting() > 0 { timing.answer } else { timing.linger })
    }

    /// An answer came: to this.
    pub(super) fn answered(&mut self, now: Mono) -> Option<Expected> {
        let expected = self.asked.pop_front()?;
        self.had_answers = true;
        self.moved = now;
        Some(expected)
    }

    pub(super) fn into_waiting(self) -> VecDeque<Expected> {
        self.asked
    }
}

impl Client {
    pub(super) fn connected(&mut self, now: Now, server_id: [u8; 32]) {
        if !matches!(self.session, Session::Connecting) {
            return;
        }
        self.connection += 1;
        let mut open = Box::new(Open::new(now.mono, server_id));
        self.out.push_back(Output::Send(open.framing.take_output()));
        self.session = Session::Open(open);
    }

    /// Asks whatever there is to ask, or for a connection to do so.
    pub(super) fn request(&mut self, now: Now, records: &impl Records) -> Result<(), Error> {
        if !self.has_something_to_ask() {
            return Ok(());
        }
        match &mut self.session {
            Session::None if now.mono >= self.not_before => {
                self.session = Session::Connecting;
                self.out.push_back(Output::Connect);
                return Ok(());
            }
            Session::None => {
                self.give_up();
                return Ok(());
            }
            Session::Connecting | Session::Closing => return Ok(()),
            Session::Open(_) => {}
        }
        while let Some((expected, message, batch)) = self.next_request(now, records)? {
            let Session::Open(open) = &mut self.session else { return Ok(()) };
            if open.waiting() == 0 {
                open.moved = now.mono;
            }
            open.held += 1;
            let held = Held::Request { connection: self.connection, expected, message };
            let (save, free) = self.queue.step(batch, vec![held]);
            self.out.extend(save.map(|(id, changes)| Output::Save(id, changes)));
            self.release(now, free)?;
        }
        Ok(())
    }

    fn next_request(
        &mut self,
        now: Now,
        records: &impl Records,
    ) -> Result<Option<(Expected, Message, Vec<Change>)>, Error> {
        let Session::Open(open) = &self.session else { return Ok(None) };
        if let Some(publishing) = self.publishing.as_mut().filter(|publishing| publishing.is_due()) {
            let last = records.record(SEQ, &open.server_id)?;
            let last = last.map(|bytes| bytes.as_slice().try_into().map(u64::from_be_bytes));
            let last = last.transpose().map_err(|_| Error::Internal("a damaged seq"))?;
            let seq = next_seq(last, now.wall);
            let mut batch = Batch::new(records);
            batch.put(SEQ, open.server_id, seq.to_be_bytes());
            let request = publishing.request(&open.server_id, seq, now.wall);
            return Ok(Some((Expected::Registration { seq }, request.into(), batch.into_changes())));
        }
        let Some(question) = self.questions.pop_front() else { return Ok(None) };
        let message = match question.query {
            Query::Peer(target) => {
                LookupRequest { target_identity: Some(target), list_all: false, after: None, limit: None }.into()
            }
            Query::List { after } => LookupRequest { target_identity: None, list_all: true, after, limit: None }.into(),
            Query::Servers => ListServersRequest {}.into(),
        };
        Ok(Some((Expected::Answer(question), message, Vec::new())))
    }

    /// What was held back leaves, unless its connection is gone.
    pub(super) fn release(&mut self, now: Now, free: Vec<Held>) -> Result<(), Error> {
        for held in free {
            match held {
                Held::Event(event) => self.out.push_back(Output::Event(event)),
                Held::Request { connection, expected, message } => match &mut self.session {
                    Session::Open(open) if connection == self.connection => {
                        open.framing.send(&message)?;
                        open.held = open.held.saturating_sub(1);
                        if open.asked.is_empty() {
                            open.moved = now.mono;
                        }
                        open.asked.push_back(expected);
                        self.out.push_back(Output::Send(open.framing.take_output()));
                    }
                    _ => self.back([expected].into(), true),
                },
            }
        }
        Ok(())
    }

    /// What was asked on a connection that is gone: asked again once, if `again`.
    pub(super) fn back(&mut self, waiting: VecDeque<Expected>, again: bool) {
        for expected in waiting.into_iter().rev() {
            match expected {
                Expected::Registration { seq } => {
                    if let Some(publishing) = &mut self.publishing {
                        publishing.unanswered(seq);
                    }
                }
                Expected::Answer(question) if again && !question.is_repeated => {
                    self.questions.push_front(Question { is_repeated: true, ..question });
                }
                Expected::Answer(question) => self.fail(question.ticket, Failure::Unreachable),
            }
        }
    }
}
