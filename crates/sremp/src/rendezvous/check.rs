//! What a client believes of a LOOKUP_RESPONSE. SREMP 7.2, profile SR-7.2d.

use super::registration::{Claim, MAX_TTL};
use crate::{Error, ErrorCode, Identity, endpoint::Endpoint, message::PeerInfo};
use std::time::Duration;
use waypost_core::{ContactId, Wall};

/// How far a clock may be off, and how long an expired registration is still tried.
const SLACK: Duration = Duration::from_secs(600);

/// Where a peer says it is: may be dialled without asking the user, if the address filter permits it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FreshPeer {
    /// Who it is. The trust rules still have to judge it.
    pub identity: Identity,
    /// Where it is.
    pub endpoint: Endpoint,
    /// The highest seq seen from now on; to be kept.
    pub seq: u64,
}

/// Checks one entry against what was asked, the server's own id, and the highest seq seen of this peer at
/// this server.
///
/// # Errors
/// In this order: the identity's own errors; AUTH if it is somebody else; REG_SIG without the peer's
/// signature for this endpoint at this server; EXPIRED; REG_SEQ if a later registration was seen;
/// MALFORMED if the endpoint cannot be dialled.
pub fn check_peer_info(
    info: &PeerInfo,
    target: &ContactId,
    server: &[u8; 32],
    now: Wall,
    highest_seq: u64,
) -> Result<FreshPeer, Error> {
    let identity = info.identity.verify()?;
    if identity.key() != *target {
        return Err(Error::Proof(ErrorCode::Auth));
    }
    let registration = info.registration.as_ref().ok_or(Error::Proof(ErrorCode::RegSig))?;
    let claim = Claim {
        server,
        identity: &info.identity,
        endpoint: &info.endpoint,
        ttl_seconds: registration.ttl_seconds,
        seq: registration.seq,
        issued: registration.issued,
    };
    if registration.server != *server || claim.verify(target, &registration.signature).is_err() {
        return Err(Error::Proof(ErrorCode::RegSig));
    }
    let life = Duration::from_secs(registration.ttl_seconds.min(MAX_TTL).into());
    if registration.issued > now.after(SLACK) || now > registration.issued.after(life).after(SLACK) {
        return Err(Error::Refused(ErrorCode::Expired));
    }
    if registration.seq < highest_seq {
        return Err(Error::Proof(ErrorCode::RegSeq));
    }
    Ok(FreshPeer { identity, endpoint: info.endpoint.check()?, seq: registration.seq })
}
