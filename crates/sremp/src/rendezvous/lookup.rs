//! LOOKUP_REQUEST at the server. SREMP 7.2, profile SR-7.2b, SR-7.2c.

use super::{
    register::{LISTED, Row},
    registry::{Registry, Step},
};
use crate::{
    Error, ErrorCode,
    message::{LookupRequest, LookupResponse, PeerInfo},
    msgpack::encode,
};
use std::net::IpAddr;
use waypost_core::{ContactId, Records};

/// Whose rate is counted: an IPv4 address, or an IPv6 /64, which is one customer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Network {
    V4([u8; 4]),
    V6(u64),
}

impl From<IpAddr> for Network {
    fn from(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self::V4(address.octets()),
            IpAddr::V6(address) => {
                let [prefix @ .., _, _, _, _, _, _, _, _] = address.octets();
                Self::V6(u64::from_be_bytes(prefix))
            }
        }
    }
}

impl Registry {
    /// A target wins over the wish for a list. Profile SR-7.2b.
    pub(super) fn lookup<R: Records>(
        &mut self,
        step: &Step<'_, R>,
        address: IpAddr,
        request: &LookupRequest,
    ) -> Result<LookupResponse, Error> {
        let now = step.now;
        let network = Network::from(address);
        let found = |peers, next| LookupResponse { peers, error_message: None, error_code: None, next };
        if let Some(target) = request.target_identity {
            if self.lookups.take(now.mono, network).is_err() {
                return Ok(refused(ErrorCode::Rate));
            }
            let row = Row::load(&step.batch, &target)?.filter(|row| row.granted > 0 && self.remembers(row, now.wall));
            return Ok(found(row.map(|row| row.peer_info(self.server_id, now.wall)).into_iter().collect(), None));
        }
        if !request.list_all {
            return Ok(refused(ErrorCode::Malformed));
        }
        if self.lists.take(now.mono, network).is_err() {
            return Ok(refused(ErrorCode::Rate));
        }
        let (peers, next) = self.page(step, request)?;
        Ok(found(peers, next))
    }

    /// Who is online and wants to be listed, by key. Ends early, with `next`, when too many in a row are no
    /// longer there.
    fn page<R: Records>(
        &self,
        step: &Step<'_, R>,
        request: &LookupRequest,
    ) -> Result<(Vec<PeerInfo>, Option<ContactId>), Error> {
        let limit = match request.limit.unwrap_or(0) {
            0 => self.limits.page,
            limit => usize::from(limit).min(self.limits.page),
        };
        let after = request.after.as_ref().map(|key| &key.as_bytes()[..]);
        let listed = step.batch.records(LISTED, &[], after, self.limits.round)?;
        let is_last = listed.len() < self.limits.round;
        let (mut peers, mut bytes) = (Vec::new(), 0usize);
        let (mut shown, mut seen) = (None, None);
        for (key, _) in listed {
            let key = key.as_slice().try_into().map(ContactId::from_bytes);
            let key = key.map_err(|_| Error::Internal("a damaged list"))?;
            let row = Row::load(&step.batch, &key)?.filter(|row| step.now.wall < row.expires());
            if let Some(row) = row {
                let info = row.peer_info(self.server_id, step.now.wall);
                bytes = bytes.saturating_add(encode(&info).len());
                let is_full = peers.len() == limit || (bytes > self.limits.page_bytes && !peers.is_empty());
                if is_full {
                    return Ok((peers, shown));
                }
                peers.push(info);
                shown = Some(key);
            }
            seen = Some(key);
        }
        Ok((peers, seen.filter(|_| !is_last)))
    }
}

fn refused(code: ErrorCode) -> LookupResponse {
    LookupResponse {
        peers: Vec::new(),
        error_message: Some(code.name().to_uppercase()),
        error_code: Some(code.value()),
        next: None,
    }
}
