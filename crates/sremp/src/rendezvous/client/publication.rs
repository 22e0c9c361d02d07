//! A registration that is kept alive. SREMP 7.1, profile SR-7.1b, SR-7.1e.

use super::{ClientTiming, Event};
use crate::{
    ErrorCode, Identity, Message,
    crypto::ed25519::SigningKey,
    endpoint::Endpoint,
    message::{RegisterRequest, RegisterResponse},
    rendezvous::{MAX_TTL, MIN_TTL, renew_after},
};
use rand_core::CryptoRng;
use std::{fmt, time::Duration};
use waypost_core::{Mono, Now, Wall};

/// Pause after code RATE: the server counts by the minute.
const A_MINUTE: Duration = Duration::from_secs(60);

/// What a server shall show of the user.
#[derive(Clone)]
pub struct Publication {
    /// Who.
    pub identity: Identity,
    /// The secret of the identity's key.
    pub signing: SigningKey,
    /// Where.
    pub endpoint: Endpoint,
    /// For how many seconds at a time; the server grants 60 to 3600.
    pub ttl_seconds: u32,
}

impl fmt::Debug for Publication {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Publication").field("ttl_seconds", &self.ttl_seconds).finish_non_exhaustive()
    }
}

/// A publication and how far it is.
pub(super) struct Publishing {
    what: Publication,
    state: State,
    leaving: bool,
    /// The server may know of it.
    registered: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// To be asked for.
    Due,
    /// Asked for with this seq.
    Asked(u64),
    /// To be asked for then.
    Later(Mono),
    /// Not to be asked for again as it is.
    Refused,
}

impl Publishing {
    pub(super) const fn new(what: Publication, registered: bool) -> Self {
        Self { what, state: State::Due, leaving: false, registered }
    }

    pub(super) const fn may_be_registered(&self) -> bool {
        self.registered
    }

    pub(super) const fn is_leaving(&self) -> bool {
        self.leaving
    }

    pub(super) fn leave(&mut self) {
        self.leaving = true;
        self.state = State::Due;
    }

    pub(super) fn is_due(&self) -> bool {
        self.state == State::Due
    }

    /// Whether this is the request whose answer counts.
    pub(super) fn is_asked(&self, seq: u64) -> bool {
        self.state == State::Asked(seq)
    }

    /// When to ask.
    pub(super) fn due(&self) -> Option<Mono> {
        match self.state {
            State::Due => Some(Mono::default()),
            State::Later(at) => Some(at),
            State::Asked(_) | State::Refused => None,
        }
    }

    pub(super) fn tick(&mut self, now: Mono) {
        if matches!(self.state, State::Later(at) if at <= now) {
            self.state = State::Due;
        }
    }

    /// The connection ended before the answer.
    pub(super) fn unanswered(&mut self, seq: u64) {
        if self.is_asked(seq) {
            self.state = State::Due;
        }
    }

    pub(super) fn request(&mut self, server_id: &[u8; 32], seq: u64, now: Wall) -> RegisterRequest {
        self.state = State::Asked(seq);
        self.registered = true;
        let Publication { identity, signing, endpoint, ttl_seconds } = &self.what;
        // 0 means to leave, so nobody registers for so long.
        let ttl = if self.leaving { 0 } else { (*ttl_seconds).clamp(MIN_TTL, MAX_TTL) };
        RegisterRequest::signed(server_id, signing, identity, endpoint, ttl, seq, now)
    }

    /// What the server says to it. None if it is no answer to it at all.
    pub(super) fn answered(
        &mut self,
        now: Now,
        rng: &mut impl CryptoRng,
        message: Message,
        timing: &ClientTiming,
    ) -> Option<Event> {
        let (code, retry_after_s) = match message {
            Message::RegisterResponse(RegisterResponse { success: true, .. }) if self.leaving => {
                return Some(Event::Left { confirmed: true });
            }
            Message::RegisterResponse(RegisterResponse { success: true, expires_at, renewal_interval, .. }) => {
                // No server makes us hammer it, or forget to renew.
                let interval = renewal_interval.clamp(MIN_TTL / 2, MAX_TTL / 2);
                self.state = State::Later(now.mono.after(renew_after(interval, rng)));
                return Some(Event::Registered { expires_at });
            }
            Message::RegisterResponse(response) => (response.error_code, None),
            Message::Error(error) => (Some(error.code), error.retry_after_s),
            _ => return None,
        };
        if self.leaving {
            return Some(Event::Left { confirmed: false });
        }
        let code = code.and_then(ErrorCode::from_value);
        let retry = retry(code, timing).map(|pause| pause.max(Duration::from_secs(retry_after_s.unwrap_or(0).into())));
        self.state = retry.map_or(State::Refused, |pause| State::Later(now.mono.after(pause)));
        Some(Event::NotRegistered { code, retry })
    }
}

/// How long to wait after a refusal, if waiting may help.
fn retry(code: Option<ErrorCode>, timing: &ClientTiming) -> Option<Duration> {
    use ErrorCode as C;
    match code {
        Some(C::Rate) => Some(A_MINUTE),
        // The same registration would be refused in the same way.
        Some(C::Malformed | C::Limit | C::IdSig | C::IdStale | C::IdFork | C::RegSig | C::Unsupported) => None,
        _ => Some(timing.refused),
    }
}
