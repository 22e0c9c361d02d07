//! REGISTER_REQUEST at the server. SREMP 7.1, profile SR-7.1a to SR-7.1e, SR-3.1.5c.

use super::{
    records::{Row, read},
    registration::{Claim, MAX_TTL, MIN_TTL},
    registry::{Ask, Job, Next, Registry},
};
use crate::{
    Error, ErrorCode, Identity,
    docket::{Done, Failure, Step, add, answers},
    endpoint::Endpoint,
    message::{RegisterRequest, RegisterResponse},
};
use waypost_core::{MailboxDone, Now, Refusal, Wall};

/// One REGISTER_REQUEST under way.
pub(super) struct Registering {
    identity: Identity,
    endpoint: Endpoint,
    request: RegisterRequest,
    /// It took a use of its identity's rate.
    is_counted: bool,
    /// Somebody was found at the endpoint.
    is_probed: bool,
    tries: u32,
    stage: Stage,
}

enum Stage {
    /// What is known of the identity is read.
    Read,
    /// The endpoint is dialled.
    Probed,
    /// The registration is being written.
    Written(RegisterResponse),
}

impl Registry {
    pub(super) fn register(&self, now: Now, request: RegisterRequest) -> Next {
        match self.check(&request, now.wall) {
            Ok((identity, endpoint)) => look_up(Registering {
                identity,
                endpoint,
                request,
                is_counted: false,
                is_probed: false,
                tries: 0,
                stage: Stage::Read,
            }),
            Err(error) => refused(now, error.code()),
        }
    }

    /// The checks that need no record, in the profile's order.
    fn check(&self, request: &RegisterRequest, now: Wall) -> Result<(Identity, Endpoint), Error> {
        let identity = request.identity.verify()?;
        let endpoint = request.endpoint.check()?;
        let claim = Claim {
            server: &self.server_id,
            identity: &request.identity,
            endpoint: &request.endpoint,
            ttl_seconds: request.ttl_seconds,
            seq: request.seq,
            issued: request.issued,
        };
        claim.verify(&identity.key(), &request.signature).map_err(|_| Error::Proof(ErrorCode::RegSig))?;
        if now.since(request.issued).max(request.issued.since(now)) > self.timing.issued {
            return Err(Error::Refused(ErrorCode::Expired));
        }
        Ok((identity, endpoint))
    }

    pub(super) fn registered(&mut self, now: Now, job: Registering, done: Done) -> Next {
        match (&job.stage, done) {
            (Stage::Read, done) => match answers(done) {
                Ok([MailboxDone::Record(before)]) => {
                    self.decide(now, job, before).unwrap_or_else(|_| refused(now, ErrorCode::Internal))
                }
                _ => refused(now, ErrorCode::Internal),
            },
            (Stage::Written(response), Ok(_)) => {
                add(&mut self.counts.stored, 1);
                Step::answer(response.clone())
            }
            (Stage::Written(_), Err(Failure::Refused(Refusal::Changed))) if job.tries < self.limits.tries => {
                look_up(Registering { tries: job.tries + 1, ..job })
            }
            _ => refused(now, ErrorCode::Internal),
        }
    }

    /// Whether somebody who speaks SREMP was found at the endpoint.
    pub(super) fn probed(&self, now: Now, job: Registering, is_there: bool) -> Next {
        match (&job.stage, is_there) {
            (Stage::Probed, true) => look_up(Registering { is_probed: true, ..job }),
            _ => refused(now, ErrorCode::EndpointUnreachable),
        }
    }

    fn decide(&mut self, now: Now, mut job: Registering, before: Option<Vec<u8>>) -> Result<Next, Failure> {
        let known = before.as_deref().map(Row::of).transpose()?;
        let request = &job.request;
        if let Some(known) = &known {
            let is_repeated = known.seq == request.seq && known.signature == request.signature;
            if is_repeated && known.granted > 0 {
                return Ok(Step::answer(known.response()));
            }
            if request.seq <= known.seq {
                return Ok(refused(now, ErrorCode::RegSeq));
            }
            if job.identity.version() < known.version {
                return Ok(refused(now, ErrorCode::IdStale));
            }
            if job.identity.version() == known.version && request.identity.verified != known.identity.verified {
                return Ok(refused(now, ErrorCode::IdFork));
            }
        }
        let owner = job.identity.key();
        // Only what its owner alone can make counts: PeerInfo lets anybody repeat an older registration.
        if !job.is_counted && self.registrations.take(now.mono, owner).is_err() {
            return Ok(refused(now, ErrorCode::Rate));
        }
        job.is_counted = true;
        let is_news = known.is_none_or(|known| known.endpoint != request.endpoint);
        if self.policy.dials_back && is_news && !job.is_probed && request.ttl_seconds > 0 {
            let endpoint = job.endpoint.clone();
            let job = Registering { stage: Stage::Probed, ..job };
            return Ok(Step::Ask(Ask::Probe(endpoint), Job::Register(Box::new(job))));
        }
        let row = Row {
            endpoint: request.endpoint.clone(),
            ttl_seconds: request.ttl_seconds,
            signature: request.signature,
            seq: request.seq,
            issued: request.issued,
            version: job.identity.version(),
            seen: now.wall,
            granted: if request.ttl_seconds == 0 { 0 } else { request.ttl_seconds.clamp(MIN_TTL, MAX_TTL) },
            identity: request.identity.clone(),
        };
        let ops = row.replace(&owner, before, job.identity.flags().is_discoverable(), self.timing.remembered);
        let stage = Stage::Written(row.response());
        Ok(Step::Ask(Ask::Mailbox(ops), Job::Register(Box::new(Registering { stage, ..job }))))
    }
}

fn look_up(job: Registering) -> Next {
    let ops = vec![read(&job.identity.key())];
    Step::Ask(Ask::Mailbox(ops), Job::Register(Box::new(Registering { stage: Stage::Read, ..job })))
}

fn refused(now: Now, code: ErrorCode) -> Next {
    Step::answer(RegisterResponse {
        success: false,
        expires_at: now.wall,
        renewal_interval: 0,
        error_message: Some(code.name().to_uppercase()),
        error_code: Some(code.value()),
    })
}
