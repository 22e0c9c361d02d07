//! One person's dealings with one rendezvous server. SREMP 7, profile Rendezvous, Client.
//!
//! ```text
//! Publish ──> REGISTER_REQUEST, renewed ──> Event::Registered      Withdraw ──> ttl 0 ──> Event::Left
//! Ask(Peer | List | Servers) ──────────────> Event::Answer          each exactly once
//! ```
//! There is a connection only while there is something to ask. What the server says is checked here: an
//! [`Answer`] holds nothing that its peers did not sign. A registration is tried again until it is withdrawn;
//! a question is answered or has failed within [`ClientTiming::answer`] of the connection.
//!
//! ```text
//! rendezvous-client/seq    server               the last seq used there, before it is used
//! rendezvous-client/seen   server | identity    the highest seq of a peer that was asked for
//! ```

mod answer;
mod publication;
mod requests;
mod save_queue;

pub use answer::{Answer, Failure, FoundPeer, Suggestion};
pub use publication::Publication;

use crate::{Error, ErrorCode, Message, message::ErrorMessage};
use answer::Expected;
use publication::Publishing;
use rand_core::CryptoRng;
use requests::{Held, Question, Session};
use save_queue::SaveQueue;
use std::{collections::VecDeque, time::Duration};
use waypost_core::{Batch, Change, ContactId, Mono, Now, Records, SaveId, Wall};

/// What happens to a client.
#[derive(Debug)]
pub enum Input<'a> {
    /// The user wants to be found by this server, like so, until [`Input::Withdraw`]. Replaces what was there.
    Publish(Box<Publication>),
    /// The user does not want that any more, or the program ends. [`Event::Left`] follows.
    Withdraw,
    /// A question. [`Event::Answer`] follows.
    Ask {
        /// Names the question.
        ticket: u64,
        /// What is asked.
        query: Query,
    },
    /// The connection that [`Output::Connect`] asked for is there, with the server of this id.
    Connected {
        /// SHA-256 of its public key.
        server_id: [u8; 32],
    },
    /// Bytes came.
    Bytes(&'a [u8]),
    /// The connection ended, whoever ended it, or could not be made.
    Closed,
    /// All saves up to this one are durable.
    Saved(SaveId),
    /// The moment of [`Client::poll_timeout`] came.
    Tick,
}

/// A question to a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Query {
    /// Where somebody is.
    Peer(ContactId),
    /// Who wants to be listed.
    List {
        /// Where the last page ended.
        after: Option<ContactId>,
    },
    /// Which other servers there are.
    Servers,
}

/// What a client wants done. Call [`Client::poll`] until there is none.
#[derive(Debug, PartialEq, Eq)]
pub enum Output {
    /// Open a connection to the server; say [`Input::Connected`] or [`Input::Closed`].
    Connect,
    /// Send bytes.
    Send(Vec<u8>),
    /// Send what waits and close the connection; say [`Input::Closed`].
    Close,
    /// Commit these, then say [`Input::Saved`]. Inputs given before that must see them in the records.
    Save(SaveId, Vec<Change>),
    /// Something to know.
    Event(Event),
}

/// What the engine is told.
#[derive(Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// The server shows the user's endpoint.
    Registered {
        /// Until when, by its clock.
        expires_at: Wall,
    },
    /// The server does not want to.
    NotRegistered {
        /// Why, if that is known.
        code: Option<ErrorCode>,
        /// When it is tried again; never, unless the publication changes.
        retry: Option<Duration>,
    },
    /// After [`Input::Withdraw`]: nothing is published any more.
    Left {
        /// Whether the server knows; else the registration runs out by itself.
        confirmed: bool,
    },
    /// The answer to a question.
    Answer {
        /// Which question.
        ticket: u64,
        /// The answer.
        answer: Result<Answer, Failure>,
    },
    /// The server cannot be reached, or does not speak the protocol.
    Offline {
        /// No try before that much time passed.
        retry: Duration,
        /// What it did wrong, if it did.
        fault: Option<Error>,
    },
}

/// Times and bounds of a client. Defaults are the profile's where it gives one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientTiming {
    /// Until the oldest request must be answered.
    pub answer: Duration,
    /// How long a connection stays open with nothing to ask.
    pub linger: Duration,
    /// Pause after the first failed connection; doubles. A random share of it is waited.
    pub backoff: Duration,
    /// The longest pause.
    pub backoff_most: Duration,
    /// Pause after a refused registration.
    pub refused: Duration,
    /// Questions that may wait at once.
    pub questions: usize,
}

impl Default for ClientTiming {
    fn default() -> Self {
        Self {
            answer: Duration::from_secs(10),
            linger: Duration::from_secs(5),
            backoff: Duration::from_secs(1),
            backoff_most: Duration::from_secs(300),
            refused: Duration::from_secs(300),
            questions: 64,
        }
    }
}

/// One person's dealings with one rendezvous server.
pub struct Client {
    timing: ClientTiming,
    publishing: Option<Publishing>,
    /// Questions for which there is no connection yet.
    questions: VecDeque<Question>,
    session: Session,
    /// Counts connections, so that what was held back for one does not get onto another.
    connection: u64,
    /// Connections that failed one after the other.
    failures: u32,
    not_before: Mono,
    queue: SaveQueue<Held>,
    out: VecDeque<Output>,
}

impl Client {
    /// Knows nothing to ask yet. What it must remember is in the records that each call is given.
    pub fn new(timing: ClientTiming) -> Self {
        Self {
            timing,
            publishing: None,
            questions: VecDeque::new(),
            session: Session::None,
            connection: 0,
            failures: 0,
            not_before: Mono::default(),
            queue: SaveQueue::default(),
            out: VecDeque::new(),
        }
    }

    /// Acts on what happened.
    ///
    /// # Errors
    /// Only failures of this side: the records, a bug. What the server does wrong is an event.
    pub fn handle(
        &mut self,
        now: Now,
        rng: &mut impl CryptoRng,
        records: &impl Records,
        input: Input<'_>,
    ) -> Result<(), Error> {
        match input {
            Input::Publish(publication) => {
                let was_there = self.publishing.take().is_some_and(|publishing| publishing.may_be_registered());
                self.publishing = Some(Publishing::new(*publication, was_there));
            }
            Input::Withdraw => self.withdraw(),
            Input::Ask { ticket, query } => self.ask(ticket, query),
            Input::Connected { server_id } => self.connected(now, server_id),
            Input::Bytes(bytes) => self.bytes(now, rng, records, bytes)?,
            Input::Closed => self.lost(now, rng, None),
            Input::Saved(id) => {
                let free = self.queue.saved(id);
                self.release(now, free)?;
            }
            Input::Tick => self.tick(now, rng),
        }
        self.request(now, records)
    }

    /// The next thing to do.
    pub fn poll(&mut self) -> Option<Output> {
        self.out.pop_front()
    }

    /// When to come back with [`Input::Tick`].
    pub fn poll_timeout(&self) -> Option<Mono> {
        let due = self.publishing.as_ref().and_then(|publishing| publishing.due()).map(|due| match self.session {
            Session::None => due.max(self.not_before),
            _ => due,
        });
        // While a connection is in the making or at its end, the word of the shell is what comes next.
        let due = due.filter(|_| !matches!(self.session, Session::Connecting | Session::Closing));
        let session = match &self.session {
            Session::Open(open) => Some(open.deadline(&self.timing)),
            _ => None,
        };
        due.into_iter().chain(session).min()
    }

    fn withdraw(&mut self) {
        match &mut self.publishing {
            Some(publishing) if publishing.may_be_registered() => publishing.leave(),
            _ => {
                self.publishing = None;
                self.out.push_back(Output::Event(Event::Left { confirmed: true }));
            }
        }
    }

    fn ask(&mut self, ticket: u64, query: Query) {
        if self.questions.len() + self.session.waiting() >= self.timing.questions {
            return self.fail(ticket, Failure::Crowded);
        }
        self.questions.push_back(Question { ticket, query, is_repeated: false });
    }

    fn tick(&mut self, now: Now, rng: &mut impl CryptoRng) {
        if let Some(publishing) = &mut self.publishing {
            publishing.tick(now.mono);
        }
        let Session::Open(open) = &self.session else { return };
        if now.mono < open.deadline(&self.timing) {
            return;
        }
        if open.waiting() > 0 {
            self.lost(now, rng, Some(Error::Misbehaved(ErrorCode::Timeout)));
        } else if !self.has_something_to_ask() {
            self.close();
        }
    }

    fn has_something_to_ask(&self) -> bool {
        !self.questions.is_empty() || self.publishing.as_ref().is_some_and(Publishing::is_due)
    }

    fn close(&mut self) {
        self.session = Session::Closing;
        self.out.push_back(Output::Close);
    }

    fn fail(&mut self, ticket: u64, failure: Failure) {
        self.out.push_back(Output::Event(Event::Answer { ticket, answer: Err(failure) }));
    }

    /// Acts on whatever the server sent.
    fn bytes(
        &mut self,
        now: Now,
        rng: &mut impl CryptoRng,
        records: &impl Records,
        mut bytes: &[u8],
    ) -> Result<(), Error> {
        loop {
            let Session::Open(open) = &mut self.session else { return Ok(()) };
            match open.framing.read(&mut bytes) {
                Ok(Some(message)) => self.message(now, rng, records, message)?,
                Ok(None) => return Ok(()),
                Err(error) => {
                    self.lost(now, rng, Some(error));
                    return Ok(());
                }
            }
        }
    }

    fn message(
        &mut self,
        now: Now,
        rng: &mut impl CryptoRng,
        records: &impl Records,
        message: Message,
    ) -> Result<(), Error> {
        let Session::Open(open) = &mut self.session else { return Ok(()) };
        if let Message::Error(ErrorMessage { fatal: true, code, .. }) = message {
            let code = ErrorCode::from_value(code).unwrap_or(ErrorCode::Internal);
            self.lost(now, rng, Some(Error::Refused(code)));
            return Ok(());
        }
        let server_id = open.server_id;
        let Some(expected) = open.answered(now.mono) else {
            self.lost(now, rng, Some(Error::Misbehaved(ErrorCode::Malformed)));
            return Ok(());
        };
        let mut batch = Batch::new(records);
        let event = match expected {
            Expected::Registration { seq } => {
                let publishing = self.publishing.as_mut().filter(|publishing| publishing.is_asked(seq));
                // It was replaced meanwhile: the answer is to something that is no longer wanted.
                let Some(publishing) = publishing else { return Ok(()) };
                let event = publishing.answered(now, rng, message, &self.timing);
                if event.is_none() {
                    publishing.unanswered(seq);
                }
                event
            }
            Expected::Answer(question) => {
                let answer = answer::check(&mut batch, now, &server_id, question.query, message)?;
                if answer.is_none() {
                    self.fail(question.ticket, Failure::Unreachable);
                }
                answer.map(|answer| Event::Answer { ticket: question.ticket, answer })
            }
        };
        let Some(event) = event else {
            self.lost(now, rng, Some(Error::Misbehaved(ErrorCode::Malformed)));
            return Ok(());
        };
        self.failures = 0;
        if matches!(event, Event::Left { .. }) {
            self.publishing = None;
        }
        let (save, free) = self.queue.step(batch.into_changes(), vec![Held::Event(event)]);
        self.out.extend(save.map(|(id, changes)| Output::Save(id, changes)));
        self.release(now, free)
    }

    /// The connection is over, or never was.
    fn lost(&mut self, now: Now, rng: &mut impl CryptoRng, fault: Option<Error>) {
        let session = std::mem::replace(&mut self.session, Session::None);
        let had_answers = match session {
            Session::None => return,
            // We ended it; what was asked meanwhile has its own connection.
            Session::Closing => return,
            Session::Connecting => false,
            Session::Open(open) => {
                if fault.is_some() {
                    self.out.push_back(Output::Close);
                    self.session = Session::Closing;
                }
                let had_answers = open.had_answers;
                self.back(open.into_waiting(), had_answers && fault.is_none());
                had_answers
            }
        };
        if had_answers && fault.is_none() {
            // It worked until the server had enough of it: that is no failure.
            return;
        }
        let share = self.timing.backoff.saturating_mul(2u32.saturating_pow(self.failures.min(16)));
        let most = u64::try_from(share.min(self.timing.backoff_most).as_millis()).unwrap_or(u64::MAX);
        let retry = Duration::from_millis(rng.next_u64() % most.saturating_add(1));
        self.failures = self.failures.saturating_add(1);
        self.not_before = now.mono.after(retry);
        self.out.push_back(Output::Event(Event::Offline { retry, fault }));
        self.give_up();
    }

    /// Questions do not outlive a failed connection, nor does leaving; a registration does.
    fn give_up(&mut self) {
        while let Some(question) = self.questions.pop_front() {
            self.fail(question.ticket, Failure::Unreachable);
        }
        if self.publishing.as_ref().is_some_and(Publishing::is_leaving) {
            self.publishing = None;
            self.out.push_back(Output::Event(Event::Left { confirmed: false }));
        }
    }
}
