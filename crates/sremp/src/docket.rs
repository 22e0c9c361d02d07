//! What the connections of a server ask: worked on as storage allows, answered in the order it came.
//!
//! ```text
//! take() ──> waiting ──start()──> running ──ask()──> a batch, or a probe
//!                                    ^                    |
//!                                    └────answered()──────┘ ──finish()──> answers, those before it first
//! ```
//! A request runs alone on its connection, so it sees what those before it did. Requests that may overlap run
//! beside others of their kind.

use crate::{
    ErrorCode, LinkId, Message,
    message::{ErrorMessage, StoreResponse},
};
use std::collections::{BTreeMap, VecDeque};
use waypost_core::{MailboxDone, Refusal};

/// What a request needs next.
#[expect(clippy::large_enum_variant, reason = "made and taken apart at once; a box for each message costs more")]
pub(crate) enum Step<A, J> {
    /// Something of the shell; the job goes on when it is answered.
    Ask(A, J),
    /// Nothing: this is the answer, if there is one.
    Answer(Option<Message>),
    /// Nothing: it is refused by an ERROR.
    Refuse(ErrorMessage),
}

impl<A, J> Step<A, J> {
    pub(crate) fn answer(message: impl Into<Message>) -> Self {
        Self::Answer(Some(message.into()))
    }

    pub(crate) fn refuse(code: ErrorCode) -> Self {
        Self::Refuse(ErrorMessage::new(code))
    }
}

/// Why a batch gave nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The engine said no, and nothing has happened.
    Refused(Refusal),
    /// The storage failed, or answered something else than it was asked.
    Fault,
}

/// What a batch came to: an answer for each operation, or why not.
pub(crate) type Done = Result<Vec<MailboxDone>, Failure>;

/// Sorts out a batch whose last operation was refused.
pub(crate) fn done(answers: Vec<MailboxDone>) -> Done {
    match answers.last() {
        Some(MailboxDone::Refused(refusal)) => Err(Failure::Refused(*refusal)),
        _ => Ok(answers),
    }
}

/// Exactly so many answers.
pub(crate) fn answers<const N: usize>(done: Done) -> Result<[MailboxDone; N], Failure> {
    done?.try_into().map_err(|_| Failure::Fault)
}

/// Names one request of one connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ticket {
    pub(crate) link: LinkId,
    number: u64,
}

/// Requests of all connections. `R` is a request, `J` what is remembered of one while it waits.
pub(crate) struct Docket<R, J> {
    links: BTreeMap<LinkId, Queue<R>>,
    asked: BTreeMap<u64, (Option<Ticket>, J)>,
    last: u64,
}

struct Queue<R> {
    /// The number of the entry in front.
    first: u64,
    entries: VecDeque<Entry<R>>,
}

impl<R> Default for Queue<R> {
    fn default() -> Self {
        Self { first: 0, entries: VecDeque::new() }
    }
}

struct Entry<R> {
    overlaps: bool,
    /// What an ERROR says of the request.
    name: Option<String>,
    message_id: Option<u64>,
    state: State<R>,
}

enum State<R> {
    Waiting(R),
    Running,
    Done(Option<Box<Message>>),
}

impl<R, J> Default for Docket<R, J> {
    fn default() -> Self {
        Self { links: BTreeMap::new(), asked: BTreeMap::new(), last: 0 }
    }
}

impl<R, J> Docket<R, J> {
    /// A connection is there.
    pub(crate) fn open(&mut self, link: LinkId) {
        self.links.entry(link).or_default();
    }

    /// A connection is gone, and what it asked with it. Jobs that run are still told their answers.
    pub(crate) fn close(&mut self, link: LinkId) {
        self.links.remove(&link);
    }

    /// A connection that is there asks something. What `overlaps` may run beside others that do. An ERROR that
    /// refuses it names what `template` names.
    pub(crate) fn take(&mut self, link: LinkId, request: R, overlaps: bool, template: ErrorMessage) {
        let Some(queue) = self.links.get_mut(&link) else { return };
        let ErrorMessage { request: name, message_id, .. } = template;
        queue.entries.push_back(Entry { overlaps, name, message_id, state: State::Waiting(request) });
    }

    /// The next request of a connection that may run now.
    pub(crate) fn start(&mut self, link: LinkId) -> Option<(Ticket, R)> {
        let queue = self.links.get_mut(&link)?;
        for (entry, number) in queue.entries.iter_mut().zip(queue.first..) {
            let may_run = number == queue.first || entry.overlaps;
            if let State::Waiting(_) = entry.state
                && may_run
            {
                let State::Waiting(request) = std::mem::replace(&mut entry.state, State::Running) else { return None };
                return Some((Ticket { link, number }, request));
            }
            if !entry.overlaps {
                return None;
            }
        }
        None
    }

    /// A number for what is asked of the shell, under which the job is found again.
    pub(crate) fn ask(&mut self, ticket: Option<Ticket>, job: J) -> u64 {
        self.last = self.last.saturating_add(1);
        self.asked.insert(self.last, (ticket, job));
        self.last
    }

    /// The job that asked, once.
    pub(crate) fn answered(&mut self, number: u64) -> Option<(Option<Ticket>, J)> {
        self.asked.remove(&number)
    }

    /// A request is done with. Gives the answers that may leave now, in order. A fatal error is the last one
    /// of its connection: what was asked behind it is dropped.
    pub(crate) fn finish(&mut self, ticket: Ticket, answer: Result<Option<Message>, ErrorMessage>) -> Vec<Message> {
        let Some(queue) = self.links.get_mut(&ticket.link) else { return Vec::new() };
        let place = ticket.number.checked_sub(queue.first).and_then(|place| usize::try_from(place).ok());
        let Some(entry) = place.and_then(|place| queue.entries.get_mut(place)) else { return Vec::new() };
        entry.state = State::Done(
            answer
                .unwrap_or_else(|mut error| {
                    (error.request, error.message_id) = (entry.name.take(), entry.message_id);
                    Some(error.into())
                })
                .map(Box::new),
        );
        let mut free = Vec::new();
        while let Some(Entry { state: State::Done(_), .. }) = queue.entries.front() {
            let Some(Entry { state: State::Done(answer), .. }) = queue.entries.pop_front() else { break };
            queue.first = queue.first.saturating_add(1);
            let answer = answer.map(|answer| *answer);
            let is_last = matches!(&answer, Some(Message::Error(error)) if error.fatal);
            free.extend(answer);
            if is_last {
                queue.first = queue.first.saturating_add(queue.entries.len() as u64);
                queue.entries.clear();
            }
        }
        free
    }

    /// Requests of a connection that are not answered yet.
    pub(crate) fn outstanding(&self, link: LinkId) -> usize {
        self.links.get(&link).map_or(0, |queue| queue.entries.len())
    }
}

/// How many of a server's requests there were, and what became of them: numbers for metrics, no names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Connections that are open now.
    pub connections: u64,
    /// Clients registered on a connection that is open now.
    pub registered: u64,
    /// Requests, by the name of the message; `other` are names that are not served.
    pub requests: BTreeMap<&'static str, u64>,
    /// Errors told to clients, by code.
    pub refusals: BTreeMap<u16, u64>,
    /// Messages stored; registrations granted.
    pub stored: u64,
    /// Messages confirmed by their recipients.
    pub delivered: u64,
    /// Messages and confirmations sent unasked.
    pub pushed: u64,
    /// Batches that storage failed at.
    pub faults: u64,
}

impl Counts {
    pub(crate) fn note_request(&mut self, name: &'static str) {
        add(self.requests.entry(name).or_default(), 1);
    }

    /// Counts the error in an answer, if there is one.
    pub(crate) fn note_answer(&mut self, answer: &Message) {
        let code = match answer {
            Message::Error(error) => Some(error.code),
            Message::StoreResponse(StoreResponse { error_code, .. }) => *error_code,
            Message::RegisterResponse(response) => response.error_code,
            Message::LookupResponse(response) => response.error_code,
            _ => None,
        };
        if let Some(code) = code {
            add(self.refusals.entry(code).or_default(), 1);
        }
    }
}

pub(crate) fn add(count: &mut u64, more: u64) {
    *count = count.saturating_add(more);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{Ping, Pong};

    const LINK: LinkId = LinkId(1);

    fn answer(nonce: u64) -> Message {
        Pong { nonce }.into()
    }

    fn template(nonce: u64) -> ErrorMessage {
        ErrorMessage::new(ErrorCode::Internal).answering(&Ping { nonce }.into())
    }

    fn docket(requests: &[(u64, bool)]) -> Docket<u64, ()> {
        let mut docket = Docket::default();
        docket.open(LINK);
        for (request, overlaps) in requests {
            docket.take(LINK, *request, *overlaps, template(*request));
        }
        docket
    }

    fn started(docket: &mut Docket<u64, ()>) -> Vec<(Ticket, u64)> {
        std::iter::from_fn(|| docket.start(LINK)).collect()
    }

    #[test]
    fn runs_only_what_may_overlap_side_by_side() {
        let mut docket = docket(&[(1, true), (2, true), (3, false), (4, true)]);
        let first = started(&mut docket);
        assert_eq!(first.iter().map(|(_, request)| *request).collect::<Vec<_>>(), [1, 2]);
        // What is done early waits for what came before it.
        assert_eq!(docket.finish(first[1].0, Ok(Some(answer(2)))), []);
        assert_eq!(started(&mut docket), []);
        assert_eq!(docket.finish(first[0].0, Ok(Some(answer(1)))), [answer(1), answer(2)]);
        let third = started(&mut docket);
        assert_eq!((third.len(), third[0].1, docket.outstanding(LINK)), (1, 3, 2));
        assert_eq!(docket.finish(third[0].0, Ok(None)), []);
        assert_eq!(started(&mut docket)[0].1, 4);
    }

    #[test]
    fn a_fatal_error_is_the_last_answer_and_names_its_request() {
        let mut docket = docket(&[(1, true), (2, true), (3, false)]);
        let first = started(&mut docket);
        let freed = docket.finish(first[0].0, Err(ErrorMessage::new(ErrorCode::Auth)));
        assert!(matches!(&freed[..], [Message::Error(error)] if error.request.as_deref() == Some("PING")));
        assert_eq!(docket.outstanding(LINK), 0);
        docket.take(LINK, 4, false, template(4));
        // A job that ran behind it answers nobody.
        assert_eq!(docket.finish(first[1].0, Ok(Some(answer(2)))), []);
        assert_eq!(started(&mut docket)[0].1, 4);
    }

    #[test]
    fn a_gone_connection_is_answered_nothing() {
        let mut docket = docket(&[(1, false)]);
        let (ticket, _) = docket.start(LINK).unwrap();
        let number = docket.ask(Some(ticket), ());
        docket.close(LINK);
        assert_eq!(docket.answered(number), Some((Some(ticket), ())));
        assert_eq!(docket.answered(number), None);
        assert_eq!(docket.finish(ticket, Ok(Some(answer(1)))), []);
    }
}
