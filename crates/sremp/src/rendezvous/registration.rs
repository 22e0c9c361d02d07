//! What a registration says, signed, and how a client keeps it alive. SREMP 7.1, profile SR-7.1a to SR-7.1e.

use crate::{
    crypto::{
        ed25519::{BadSignature, Signature, SigningKey, verify},
        label,
    },
    endpoint::{DnsEndpoint, Endpoint},
    identity::{Identity, SignedIdentity},
    kdf::sha256,
    message::RegisterRequest,
};
use rand_core::Rng;
use std::time::Duration;
use waypost_core::{ContactId, Wall};

/// Shortest life of a registration in seconds: shorter ones would only make work.
pub const MIN_TTL: u32 = 60;
/// Longest life of a registration in seconds: nobody is shown online much longer than they are.
pub const MAX_TTL: u32 = 3600;

/// What REGISTER_REQUEST signs: bound to the server, the exact identity and endpoint, and its time.
/// Profile SR-7.1d.
pub fn registration_content(
    server: &[u8; 32],
    identity_key: &ContactId,
    verified: &[u8],
    endpoint: &DnsEndpoint,
    ttl_seconds: u32,
    seq: u64,
    issued: Wall,
) -> Vec<u8> {
    let host = endpoint.host.as_bytes();
    [
        label!("registration"),
        server,
        identity_key.as_bytes(),
        &sha256(&[verified]),
        // A message is far below 4 GiB, and so is a host in it.
        &u32::try_from(host.len()).unwrap_or(u32::MAX).to_be_bytes(),
        host,
        &endpoint.port.to_be_bytes(),
        &ttl_seconds.to_be_bytes(),
        &seq.to_be_bytes(),
        &issued.as_millis().to_be_bytes(),
    ]
    .concat()
}

impl RegisterRequest {
    /// A registration at one server. `ttl_seconds` 0 means to leave.
    pub fn signed(
        server: &[u8; 32],
        key: &SigningKey,
        identity: &Identity,
        endpoint: &Endpoint,
        ttl_seconds: u32,
        seq: u64,
        issued: Wall,
    ) -> Self {
        let (identity, owner, endpoint) = (identity.signed().clone(), identity.key(), endpoint.to_wire());
        let content = registration_content(server, &owner, &identity.verified, &endpoint, ttl_seconds, seq, issued);
        Self { identity, endpoint, ttl_seconds, signature: key.sign(&content), seq, issued }
    }
}

/// A registration whose signature is to be checked, whoever brings it.
pub(super) struct Claim<'a> {
    pub(super) server: &'a [u8; 32],
    pub(super) identity: &'a SignedIdentity,
    pub(super) endpoint: &'a DnsEndpoint,
    pub(super) ttl_seconds: u32,
    pub(super) seq: u64,
    pub(super) issued: Wall,
}

impl Claim<'_> {
    pub(super) fn verify(&self, owner: &ContactId, signature: &Signature) -> Result<(), BadSignature> {
        let content = registration_content(
            self.server,
            owner,
            &self.identity.verified,
            self.endpoint,
            self.ttl_seconds,
            self.seq,
            self.issued,
        );
        verify(owner, &content, signature)
    }
}

/// The seq of a client's next registration at a server: above the last one, which the client must have
/// kept, and above whatever it used before it forgot. Profile, Rendezvous, Client.
pub fn next_seq(last: Option<u64>, now: Wall) -> u64 {
    last.map_or(0, |last| last.saturating_add(1)).max(now.as_millis())
}

/// When to renew: at the server's interval, give or take a tenth, so that clients do not come in step.
/// Profile, Rendezvous, Client.
pub fn renew_after(renewal_interval: u32, rng: &mut impl Rng) -> Duration {
    let millis = u64::from(renewal_interval) * 1000;
    let spread = millis / 5;
    let share = rng.next_u64() % spread.saturating_add(1);
    Duration::from_millis((millis - millis / 10).saturating_add(share))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{SeedableRng, rngs::StdRng};

    /// SR-7.1e
    #[test]
    fn never_uses_a_seq_twice_even_after_forgetting() {
        let now = Wall::from_millis(1000);
        assert_eq!(next_seq(None, now), 1000);
        assert_eq!(next_seq(Some(1000), now), 1001);
        assert_eq!(next_seq(Some(5000), now), 5001);
        assert_eq!(next_seq(Some(3), now), 1000);
    }

    /// SR-7.1b
    #[test]
    fn renews_within_a_tenth_of_the_interval() {
        let mut rng = StdRng::seed_from_u64(1);
        let times: Vec<_> = (0..1000).map(|_| renew_after(300, &mut rng)).collect();
        assert!(times.iter().all(|time| (270_000..=330_000).contains(&time.as_millis())));
        assert!(times.iter().any(|time| time.as_millis() < 280_000));
        assert!(times.iter().any(|time| time.as_millis() > 320_000));
        assert_eq!(renew_after(0, &mut rng), Duration::ZERO);
    }
}
