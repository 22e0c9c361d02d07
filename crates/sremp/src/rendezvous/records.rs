//! A registration as a rendezvous server keeps it.

use crate::{
    crypto::ed25519::Signature,
    docket::Failure,
    endpoint::DnsEndpoint,
    identity::SignedIdentity,
    message::{PeerInfo, RegisterResponse, Registration},
    msgpack::{decode, encode, record},
};
use std::time::Duration;
use waypost_core::{Change, ContactId, MailboxOp, Space, Wall};

/// Who is where, by identity, until it is forgotten.
const REGISTRATIONS: Space = Space("rendezvous/registration");
/// The same of those who want to be listed, until it is over.
const LISTED: Space = Space("rendezvous/listed");

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
    pub(super) fn of(bytes: &[u8]) -> Result<Self, Failure> {
        decode(bytes).map_err(|_| Failure::Fault)
    }

    pub(super) fn expires(&self) -> Wall {
        self.seen.after(Duration::from_secs(self.granted.into()))
    }

    pub(super) fn response(&self) -> RegisterResponse {
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

    /// Puts it in the place of what was read before, if that is still there.
    pub(super) fn replace(
        &self,
        owner: &ContactId,
        before: Option<Vec<u8>>,
        is_listed: bool,
        remembered: Duration,
    ) -> Vec<MailboxOp> {
        let (key, value) = (owner.as_bytes().to_vec(), encode(self));
        let write = |space, value, expires| {
            let change = Change { space, key: owner.as_bytes().to_vec(), value };
            MailboxOp::Write { change, expires }
        };
        let listed = (is_listed && self.granted > 0).then(|| value.clone());
        vec![
            MailboxOp::Expect { space: REGISTRATIONS, key, value: before },
            write(REGISTRATIONS, Some(value), Some(self.expires().after(remembered))),
            write(LISTED, listed, Some(self.expires())),
        ]
    }
}

pub(super) fn read(owner: &ContactId) -> MailboxOp {
    MailboxOp::Read { space: REGISTRATIONS, key: owner.as_bytes().to_vec() }
}

/// Those who want to be listed, by key.
pub(super) fn scan_listed(after: Option<ContactId>, limit: usize) -> MailboxOp {
    let after = after.map(|key| key.as_bytes().to_vec());
    MailboxOp::Scan { space: LISTED, prefix: Vec::new(), after, limit }
}
