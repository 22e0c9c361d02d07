//! The client's side of one relay connection: what was asked and not answered yet, and how far the mailbox
//! was read. SREMP 8.2, profile SR-8.1a to SR-8.2e and Relay.
//!
//! ```text
//! RELAY_REGISTER ──> RELAY_REGISTERED ──> drain from the cursor ──(more pending than it gave)──> drain from 0
//!                                              │
//!          pushed: seq = cursor + 1 moves it, anything else drains again; so does time, gently
//! ```

use super::signature::{Role, auth_content};
use crate::ed25519::SigningKey;
use crate::message::{
    ErrorMessage, Message, MessageBatch, RelayCapabilities, RelayPolicy, RelayRegister, RelayRegistered,
    RetrieveMessages, StoreResponse,
};
use crate::msgpack::Blob;
use std::collections::VecDeque;
use std::time::Duration;
use waypost_core::{ContactId, Mono, Wall};

/// Requests that may wait for their answers. Profile, Relay.
const OUTSTANDING: usize = 32;
/// Of these, kept free for what is not a STORE.
const RESERVED: usize = 8;
/// Items asked for at once, the most a relay gives; its bound on bytes is reached first.
const BATCH: u16 = 256;
/// In what time a relay counts RETRIEVE_MESSAGES.
const MINUTE: Duration = Duration::from_secs(60);
/// Wishes for the own mailbox: whatever the relay's policy allows.
const CAPABILITIES: RelayCapabilities =
    RelayCapabilities { max_message_size: 1 << 20, max_storage_duration: 30 * 86_400 };

/// Times of a relay's client.
#[derive(Clone, Copy, Debug)]
pub struct ClientTiming {
    /// How long an answer may take.
    pub answer: Duration,
    /// Pause between two looks into the mailbox while everything is pushed: heals a lost push.
    pub drain: Duration,
    /// Pause between two looks at messages that were left in the mailbox for another try.
    pub left: Duration,
    /// Pause after a refusal that does not say how long.
    pub retry: Duration,
}

impl Default for ClientTiming {
    fn default() -> Self {
        Self {
            answer: Duration::from_secs(60),
            drain: Duration::from_secs(300),
            left: Duration::from_secs(3600),
            retry: Duration::from_secs(30),
        }
    }
}

/// A request that has an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Request {
    Register,
    Retrieve,
    Store { recipient: ContactId, message_id: u64 },
    Publish,
    Fetch { target: ContactId },
}

impl Request {
    const fn name(self) -> &'static str {
        match self {
            Self::Register => "RELAY_REGISTER",
            Self::Retrieve => "RETRIEVE_MESSAGES",
            Self::Store { .. } => "STORE_MESSAGE",
            Self::Publish => "PUBLISH_PREKEYS",
            Self::Fetch { .. } => "FETCH_PREKEYS",
        }
    }
}

/// One connection to one relay.
pub(crate) struct ClientSession {
    relay: ContactId,
    handshake_hash: [u8; 32],
    timing: ClientTiming,
    policy: Option<RelayPolicy>,
    outstanding: VecDeque<(Request, Mono)>,
    cursor: u64,
    drain: Option<Drain>,
    /// Messages the mailbox held at registration, and when that was, until the first drain is over.
    pending: Option<(u32, Wall)>,
    /// Highest seq that was pushed during a drain.
    pushed: u64,
    /// When the last minute's RETRIEVE_MESSAGES left.
    asked: VecDeque<Mono>,
    /// No RETRIEVE_MESSAGES before.
    not_before: Mono,
    next_drain: Mono,
    /// When to look at everything again, because something was left there.
    next_whole: Option<Mono>,
}

/// Reading the mailbox to its end.
struct Drain {
    /// From its beginning.
    whole: bool,
    after: u64,
    given: usize,
}

impl ClientSession {
    pub(crate) fn new(
        now: Mono,
        relay: ContactId,
        handshake_hash: [u8; 32],
        cursor: u64,
        timing: ClientTiming,
    ) -> Self {
        Self {
            relay,
            handshake_hash,
            timing,
            policy: None,
            outstanding: VecDeque::new(),
            cursor,
            drain: None,
            pending: None,
            pushed: 0,
            asked: VecDeque::new(),
            not_before: now,
            next_drain: now,
            next_whole: None,
        }
    }

    pub(crate) const fn relay(&self) -> ContactId {
        self.relay
    }

    /// What the relay allows, once it took us.
    pub(crate) const fn policy(&self) -> Option<&RelayPolicy> {
        self.policy.as_ref()
    }

    /// Everything up to this seq is done with.
    pub(crate) const fn cursor(&self) -> u64 {
        self.cursor
    }

    /// Whether another STORE_MESSAGE may wait for its answer.
    pub(crate) fn has_room(&self) -> bool {
        self.policy.is_some() && self.outstanding.len() < OUTSTANDING - RESERVED
    }

    /// Notes a request that leaves.
    pub(crate) fn ask(&mut self, now: Mono, request: Request) {
        self.outstanding.push_back((request, now.after(self.timing.answer)));
    }

    /// Whether a request of this kind waits for its answer.
    pub(crate) fn waits_for(&self, request: Request) -> bool {
        self.outstanding.iter().any(|(asked, _)| *asked == request)
    }

    /// Takes the request off that an answer belongs to. Answers come in the order of the requests.
    pub(crate) fn answered(&mut self, is_it: impl Fn(Request) -> bool) -> Option<Request> {
        let place = self.outstanding.iter().position(|(request, _)| is_it(*request))?;
        self.outstanding.remove(place).map(|(request, _)| request)
    }

    /// The request that a STORE_RESPONSE belongs to. Literal relays leave the recipient out.
    pub(crate) fn store_answered(&mut self, response: &StoreResponse) -> Option<(ContactId, u64)> {
        let request = self.answered(|request| match request {
            Request::Store { recipient, message_id } => {
                message_id == response.message_id && response.recipient.is_none_or(|named| named == recipient)
            }
            _ => false,
        })?;
        match request {
            Request::Store { recipient, message_id } => Some((recipient, message_id)),
            _ => None,
        }
    }

    /// The request that was refused.
    pub(crate) fn refused(&mut self, now: Mono, error: &ErrorMessage) -> Option<Request> {
        let name = error.request.as_deref()?;
        let request = self.answered(|request| match request {
            Request::Store { message_id, .. } => name == request.name() && error.message_id == Some(message_id),
            _ => name == request.name(),
        })?;
        if request == Request::Retrieve {
            self.not_before = now.after(self.pause(error.retry_after_s));
        }
        Some(request)
    }

    /// How long to wait after a refusal.
    pub(crate) fn pause(&self, retry_after_s: Option<u32>) -> Duration {
        retry_after_s.map_or(self.timing.retry, |seconds| Duration::from_secs(seconds.clamp(1, 86_400).into()))
    }

    /// Whether an answer takes too long.
    pub(crate) fn is_silent(&self, now: Mono) -> bool {
        self.outstanding.front().is_some_and(|(_, due)| *due <= now)
    }

    /// RELAY_REGISTER. SREMP 8.1, profile SR-8.1b. Without a mailbox, pushes bring confirmations live.
    pub(crate) fn register(&mut self, now: Mono, key: &SigningKey, own: bool, token: Option<Vec<u8>>) -> RelayRegister {
        self.ask(now, Request::Register);
        let identity = key.public();
        let content = auth_content(&self.handshake_hash, &self.relay, &identity, Role::Register);
        RelayRegister {
            identity,
            auth_signature: key.sign(&content),
            capabilities: CAPABILITIES,
            mailbox: Some(own),
            push: Some(true),
            token: token.map(Blob),
        }
    }

    /// The relay took us: the mailbox is read from the cursor on. False if nobody asked for it.
    pub(crate) fn registered(&mut self, answer: &RelayRegistered) -> bool {
        if self.answered(|request| request == Request::Register).is_none() {
            return false;
        }
        self.policy = Some(answer.policy.clone());
        self.pending = Some((answer.pending, answer.relay_time));
        self.begin(false);
        true
    }

    /// Reads the mailbox once more, if that is not under way.
    pub(crate) fn drain_again(&mut self) {
        if self.policy.is_some() && self.drain.is_none() {
            self.begin(false);
        }
    }

    /// Something was left in the mailbox for another try.
    pub(crate) fn leave(&mut self, now: Mono) {
        self.next_whole.get_or_insert(now.after(self.timing.left));
    }

    fn begin(&mut self, whole: bool) {
        self.drain = Some(Drain { whole, after: if whole { 0 } else { self.cursor }, given: 0 });
    }

    /// What the passing of time asks for.
    pub(crate) fn tick(&mut self, now: Mono) {
        if self.policy.is_none() || self.drain.is_some() {
            return;
        }
        if self.next_whole.is_some_and(|at| at <= now) {
            self.next_whole = None;
            self.begin(true);
        } else if self.next_drain <= now {
            self.begin(false);
        }
    }

    /// The next RETRIEVE_MESSAGES, if one is wanted and the relay's rate allows it.
    pub(crate) fn retrieve(&mut self, now: Mono, key: &SigningKey) -> Option<Message> {
        let rate = self.policy.as_ref()?.rate_retrieve;
        let after = self.drain.as_ref()?.after;
        if self.waits_for(Request::Retrieve) || self.outstanding.len() >= OUTSTANDING || now < self.not_before {
            return None;
        }
        while self.asked.front().is_some_and(|at| now.since(*at) >= MINUTE) {
            self.asked.pop_front();
        }
        // Clocks and ways differ: a little below what the relay allows.
        let most = usize::try_from(rate - rate / 8).unwrap_or(usize::MAX).max(1);
        if let (true, Some(first)) = (self.asked.len() >= most, self.asked.front()) {
            self.not_before = first.after(MINUTE);
            return None;
        }
        self.asked.push_back(now);
        self.ask(now, Request::Retrieve);
        let mut request = RetrieveMessages::after(after, key, &self.handshake_hash, &self.relay);
        request.limit = Some(BATCH);
        Some(request.into())
    }

    /// Takes note of a batch whose items were dealt with; whether one of them was news.
    pub(crate) fn took(&mut self, now: Mono, batch: &MessageBatch, is_news: bool) {
        let Some(next) = batch.next else {
            let messages = batch.messages.iter().map(|message| message.seq);
            let confirmations = batch.confirmations.iter().flatten().map(|confirmation| confirmation.seq);
            return messages.chain(confirmations).for_each(|seq| self.pushed(seq, is_news));
        };
        if self.answered(|request| request == Request::Retrieve).is_none() {
            return;
        }
        let Some(drain) = &mut self.drain else { return };
        // What was stored since, or at that very moment, does not count: one look too many does no harm.
        let counts = |at: Wall| self.pending.is_none_or(|(_, counted)| at < counted);
        let given = batch.messages.iter().filter(|message| counts(message.timestamp)).count();
        drain.given = drain.given.saturating_add(given);
        let goes_on = batch.has_more && next > drain.after;
        drain.after = next;
        if !drain.whole {
            self.cursor = self.cursor.max(next);
        }
        if goes_on {
            return;
        }
        let (whole, given) = (drain.whole, drain.given);
        self.drain = None;
        self.next_drain = now.after(self.timing.drain);
        if whole {
            // Lower than before if the relay was set back: what it stores from now on is above this.
            self.cursor = next;
        }
        let pending = self.pending.take().map_or(0, |(pending, _)| usize::try_from(pending).unwrap_or(usize::MAX));
        let pushed = std::mem::take(&mut self.pushed);
        if pending > given && !whole {
            self.begin(true);
        } else if pushed > self.cursor {
            self.begin(false);
        }
    }

    /// Something came unasked. Profile, Relay: it moves the cursor only if it is the next and no
    /// RETRIEVE_MESSAGES is outstanding.
    pub(crate) fn pushed(&mut self, seq: Option<u64>, is_news: bool) {
        let Some(seq) = seq else { return };
        if self.drain.is_some() {
            self.pushed = self.pushed.max(seq);
        } else if seq == self.cursor.saturating_add(1) {
            self.cursor = seq;
        } else if seq > self.cursor {
            // Something is missing.
            self.begin(false);
        } else if is_news {
            // What is below the cursor and yet new is of a relay that was set back.
            self.begin(true);
        }
    }

    /// When something is due.
    pub(crate) fn poll_timeout(&self) -> Option<Mono> {
        let silent = self.outstanding.front().map(|(_, due)| *due);
        let drain = match (&self.policy, &self.drain) {
            (None, _) => None,
            (Some(_), None) => Some(self.next_whole.map_or(self.next_drain, |at| at.min(self.next_drain))),
            (Some(_), Some(_)) if self.waits_for(Request::Retrieve) || self.outstanding.len() >= OUTSTANDING => None,
            (Some(_), Some(_)) => Some(self.not_before),
        };
        silent.into_iter().chain(drain).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::StoredMessage;
    use crate::{ErrorCode, relay::Policy};

    const RELAY: ContactId = ContactId::from_bytes([7; 32]);

    fn key() -> SigningKey {
        SigningKey::from_bytes(&[1; 32])
    }

    fn at(seconds: u64) -> Mono {
        Mono::from_millis(seconds * 1000)
    }

    /// Registered at second 0 with this many messages in the mailbox.
    fn registered(cursor: u64, pending: u32) -> ClientSession {
        let mut session = ClientSession::new(at(0), RELAY, [9; 32], cursor, ClientTiming::default());
        assert!(session.retrieve(at(0), &key()).is_none() && !session.has_room(), "not before the relay took us");
        let _register = session.register(at(0), &key(), true, None);
        let policy = Policy::default().to_wire();
        let answer = RelayRegistered { policy, pending, one_time_left: 0, relay_time: Wall::from_millis(1000) };
        assert!(session.registered(&answer) && !session.registered(&answer), "once");
        session
    }

    /// Where the next RETRIEVE_MESSAGES reads on.
    fn asks(session: &mut ClientSession, now: Mono) -> Option<u64> {
        match session.retrieve(now, &key())? {
            Message::RetrieveMessages(request) => request.after,
            other => panic!("{other:?}"),
        }
    }

    fn batch(seqs: &[u64], next: Option<u64>, has_more: bool) -> MessageBatch {
        let message = |seq: &u64| StoredMessage {
            message_id: *seq,
            sender: RELAY,
            timestamp: Wall::from_millis(*seq),
            encrypted_blob: Blob(vec![1]),
            seq: Some(*seq),
        };
        MessageBatch { messages: seqs.iter().map(message).collect(), has_more, next, confirmations: None }
    }

    /// SR-8.2e
    #[test]
    fn a_push_moves_the_cursor_only_if_it_is_the_next_and_nothing_is_asked() {
        let mut session = registered(4, 0);
        assert_eq!(asks(&mut session, at(0)), Some(4));
        session.took(at(0), &batch(&[5], None, false), true);
        assert_eq!(session.cursor(), 4, "an answer is under way");
        session.took(at(0), &batch(&[], Some(4), false), false);
        assert_eq!(asks(&mut session, at(0)), Some(4), "it had come without what was pushed");
        session.took(at(0), &batch(&[5], Some(5), false), false);
        assert_eq!((session.cursor(), asks(&mut session, at(0))), (5, None));
        session.took(at(1), &batch(&[6], None, false), true);
        assert_eq!((session.cursor(), asks(&mut session, at(1))), (6, None));
        session.took(at(1), &batch(&[6], None, false), false);
        assert_eq!(asks(&mut session, at(1)), None, "the same again");
        session.took(at(1), &batch(&[9], None, false), true);
        assert_eq!((session.cursor(), asks(&mut session, at(1))), (6, Some(6)), "something is missing");
    }

    /// SR-8.2c
    #[test]
    fn everything_is_read_once_more_when_more_was_pending_than_came() {
        let mut session = registered(4, 3);
        assert_eq!(asks(&mut session, at(0)), Some(4));
        session.took(at(0), &batch(&[5], Some(5), true), true);
        assert_eq!(asks(&mut session, at(0)), Some(5), "more");
        session.took(at(0), &batch(&[6], Some(6), false), true);
        assert_eq!(asks(&mut session, at(0)), Some(0), "one of three did not come");
        session.took(at(0), &batch(&[2], Some(6), false), false);
        assert_eq!((session.cursor(), asks(&mut session, at(0))), (6, None));
        session.pushed(Some(3), true);
        assert_eq!(asks(&mut session, at(1)), Some(0), "new below the cursor: the relay was set back");
        session.took(at(1), &batch(&[1, 3], Some(3), false), false);
        assert_eq!(session.cursor(), 3);
    }

    #[test]
    fn asks_no_oftener_than_the_relay_allows_and_waits_as_it_is_told() {
        let mut session = registered(0, 0);
        let mut asked = 0;
        for second in 0..60 {
            while asks(&mut session, at(second)).is_some() {
                asked += 1;
                session.took(at(second), &batch(&[asked], Some(asked), true), true);
            }
        }
        assert!((20..=30).contains(&asked), "{asked}");
        let next = session.poll_timeout().unwrap();
        assert_eq!(next, at(60));
        assert!(asks(&mut session, next).is_some());
        let request = RetrieveMessages::after(0, &key(), &[9; 32], &RELAY).into();
        let refusal = ErrorMessage::new(ErrorCode::Rate).retry_after(40).answering(&request);
        assert_eq!(session.refused(next, &refusal), Some(Request::Retrieve));
        assert_eq!((session.poll_timeout(), asks(&mut session, at(99))), (Some(at(100)), None));
        assert!(asks(&mut session, at(100)).is_some());
    }

    #[test]
    fn answers_are_taken_only_for_what_was_asked_and_silence_has_an_end() {
        let mut session = registered(0, 0);
        let mut response = StoreResponse {
            success: true,
            stored_at: Wall::default(),
            message_id: 5,
            recipient: Some(RELAY),
            error_code: None,
            retry_after_s: None,
        };
        assert_eq!(session.store_answered(&response), None);
        session.ask(at(0), Request::Store { recipient: RELAY, message_id: 5 });
        response.recipient = Some(ContactId::from_bytes([8; 32]));
        assert_eq!(session.store_answered(&response), None, "of somebody else");
        assert!(!session.is_silent(at(59)) && session.is_silent(at(60)));
        response.recipient = None;
        assert_eq!(session.store_answered(&response), Some((RELAY, 5)), "as a literal relay says it");
        assert!(!session.is_silent(at(60)));
        for message_id in 0..64 {
            if session.has_room() {
                session.ask(at(0), Request::Store { recipient: RELAY, message_id });
            }
        }
        assert_eq!(session.outstanding.len(), OUTSTANDING - RESERVED);
        assert!(asks(&mut session, at(1)).is_some(), "the mailbox is read all the same");
    }
}
