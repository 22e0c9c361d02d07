//! REGISTER_REQUEST at the server. SREMP 7.1, profile SR-7.1a to SR-7.1e, SR-3.1.5c.

use super::{
    registration::{Claim, MAX_TTL, MIN_TTL},
    registry::{Registry, Step},
};
use crate::{
    Error, ErrorCode, Identity,
    crypto::ed25519::Signature,
    endpoint::DnsEndpoint,
    identity::SignedIdentity,
    message::{PeerInfo, RegisterRequest, RegisterResponse, Registration},
    msgpack::{decode, encode, record},
};
use std::time::Duration;
use waypost_core::{ContactId, Records, Space, Wall};

/// Who is where, by identity.
pub(super) const REGISTRATIONS: Space = Space("rendezvous/registration");
/// Who wants to be listed.
pub(super) const LISTED: Space = Space("rendezvous/listed");
/// What has to be looked at: `time u64 | identity`.
const DUE: Space = Space("rendezvous/due");

record! {
    /// A registration as it came, and what was granted.
    pub(super) struct Row {
        pub(super) identity: SignedIdentity,
        pub(super) endpoint: DnsEndpoint,
        pub(super) ttl_seconds: u32,
        pub(super) signature: Signature,
        pub(super) seq: u64,
        pub(super) issued: Wall,
        pub(super) version: u64,
        pub(super) seen: Wall,
        /// Seconds; 0 after leaving.
        pub(super) granted: u32,
    }
}

impl Row {
    pub(super) fn load(records: &impl Records, key: &ContactId) -> Result<Option<Self>, Error> {
        let found = records.record(REGISTRATIONS, key.as_bytes())?;
        found.map(|bytes| decode(&bytes).map_err(|_| Error::Internal("a damaged registration"))).transpose()
    }

    pub(super) fn expires(&self) -> Wall {
        self.seen.after(Duration::from_secs(self.granted.into()))
    }

    fn response(&self) -> RegisterResponse {
        RegisterResponse {
            success: true,
            expires_at: self.expires(),
            renewal_interval: self.granted / 2,
            error_message: None,
            error_code: None,
        }
    }

    pub(super) fn peer_info(self, server: [u8; 32], now: Wall) -> PeerInfo {
        PeerInfo {
            online: now < self.expires(),
            last_seen: self.seen,
            registration: Some(Registration {
                ttl_seconds: self.ttl_seconds,
                seq: self.seq,
                issued: self.issued,
                server,
                signature: self.signature,
            }),
            identity: self.identity,
            endpoint: self.endpoint,
        }
    }
}

impl Registry {
    pub(super) fn register<R: Records>(
        &mut self,
        step: &mut Step<'_, R>,
        request: RegisterRequest,
    ) -> Result<RegisterResponse, Error> {
        let refused = |code: ErrorCode| RegisterResponse {
            success: false,
            expires_at: step.now.wall,
            renewal_interval: 0,
            error_message: Some(code.name().to_uppercase()),
            error_code: Some(code.value()),
        };
        let identity = match self.check(&request, step.now.wall) {
            Ok(identity) => identity,
            Err(error) => return Ok(refused(error.code())),
        };
        let (owner, now) = (identity.key(), step.now.wall);
        let known = Row::load(&step.batch, &owner)?.filter(|row| self.remembers(row, now));
        if let Some(known) = &known {
            let is_repeated = known.seq == request.seq && known.signature == request.signature;
            if is_repeated && known.granted > 0 {
                return Ok(known.response());
            }
            if request.seq <= known.seq {
                return Ok(refused(ErrorCode::RegSeq));
            }
            if identity.version() < known.version {
                return Ok(refused(ErrorCode::IdStale));
            }
            if identity.version() == known.version && request.identity.verified != known.identity.verified {
                return Ok(refused(ErrorCode::IdFork));
            }
        }
        // Only what its owner alone can make counts: PeerInfo lets anybody repeat an older registration.
        if self.registrations.take(step.now.mono, owner).is_err() {
            return Ok(refused(ErrorCode::Rate));
        }
        let row = Row {
            endpoint: request.endpoint,
            ttl_seconds: request.ttl_seconds,
            signature: request.signature,
            seq: request.seq,
            issued: request.issued,
            version: identity.version(),
            seen: now,
            granted: if request.ttl_seconds == 0 { 0 } else { request.ttl_seconds.clamp(MIN_TTL, MAX_TTL) },
            identity: request.identity,
        };
        self.keep(step, &owner, known.as_ref(), &row, identity.flags().is_discoverable());
        Ok(row.response())
    }

    /// The checks that need no record, in the profile's order.
    fn check(&self, request: &RegisterRequest, now: Wall) -> Result<Identity, Error> {
        let identity = request.identity.verify()?;
        request.endpoint.check()?;
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
        Ok(identity)
    }

    /// Whether a registration still counts: until a day after it is over.
    pub(super) fn remembers(&self, row: &Row, now: Wall) -> bool {
        now < self.forget_at(row)
    }

    fn forget_at(&self, row: &Row) -> Wall {
        row.expires().after(self.timing.remembered)
    }

    fn keep<R: Records>(
        &self,
        step: &mut Step<'_, R>,
        owner: &ContactId,
        known: Option<&Row>,
        row: &Row,
        discoverable: bool,
    ) {
        if let Some(known) = known {
            step.batch.remove(DUE, due_key(known.expires(), owner));
            step.batch.remove(DUE, due_key(self.forget_at(known), owner));
        }
        step.batch.put(DUE, due_key(row.expires(), owner), []);
        if discoverable && row.granted > 0 {
            step.batch.put(LISTED, *owner.as_bytes(), []);
        } else {
            step.batch.remove(LISTED, *owner.as_bytes());
        }
        step.batch.put(REGISTRATIONS, *owner.as_bytes(), encode(row));
    }

    /// One round of tidying up: who is no longer there is not listed, and forgotten a day later.
    pub(super) fn tick<R: Records>(&mut self, step: &mut Step<'_, R>) -> Result<(), Error> {
        if step.now.mono < self.sweep_at {
            return Ok(());
        }
        let now = step.now.wall;
        let mut left = self.limits.round;
        for (entry, _) in step.batch.records(DUE, &[], None, self.limits.round)? {
            let Some((time, owner)) = entry.split_first_chunk::<8>() else {
                return Err(Error::Internal("a damaged entry in the order of time"));
            };
            if u64::from_be_bytes(*time) > now.as_millis() {
                break;
            }
            left = left.saturating_sub(1);
            let owner = owner.try_into().map_err(|_| Error::Internal("a damaged entry in the order of time"))?;
            let owner = ContactId::from_bytes(owner);
            step.batch.remove(DUE, entry);
            let Some(row) = Row::load(&step.batch, &owner)? else { continue };
            if !self.remembers(&row, now) {
                step.batch.remove(LISTED, *owner.as_bytes());
                step.batch.remove(REGISTRATIONS, *owner.as_bytes());
            } else if row.expires() <= now {
                step.batch.remove(LISTED, *owner.as_bytes());
                step.batch.put(DUE, due_key(self.forget_at(&row), &owner), []);
            }
        }
        let pause = if left == 0 { self.timing.sweep_again } else { self.timing.sweep };
        self.sweep_at = step.now.mono.after(pause);
        Ok(())
    }
}

fn due_key(at: Wall, owner: &ContactId) -> Vec<u8> {
    [&at.as_millis().to_be_bytes()[..], owner.as_bytes()].concat()
}
