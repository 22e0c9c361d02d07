//! LOOKUP_REQUEST at the server. SREMP 7.2, profile SR-7.2b, SR-7.2c.

use super::{
    records::{Row, read, scan_listed},
    registry::{Ask, Job, Next, Registry},
};
use crate::{
    ErrorCode,
    docket::{Done, Failure, Step, answers},
    message::{LookupRequest, LookupResponse},
    msgpack::encode,
};
use std::net::IpAddr;
use waypost_core::{ContactId, MailboxDone, Now, Record, Wall};

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

/// One LOOKUP_REQUEST under way.
pub(super) enum Looking {
    /// For one.
    Target,
    /// For all, so many at most.
    List { limit: usize },
}

impl Registry {
    /// A target wins over the wish for a list. Profile SR-7.2b.
    pub(super) fn lookup(&mut self, now: Now, network: Network, request: &LookupRequest) -> Next {
        if let Some(target) = request.target_identity {
            if self.lookups.take(now.mono, network).is_err() {
                return refused(ErrorCode::Rate);
            }
            return Step::Ask(Ask::Mailbox(vec![read(&target)]), Job::Lookup(Looking::Target));
        }
        if !request.list_all {
            return refused(ErrorCode::Malformed);
        }
        if self.lists.take(now.mono, network).is_err() {
            return refused(ErrorCode::Rate);
        }
        let limit = match request.limit.unwrap_or(0) {
            0 => self.limits.page,
            limit => usize::from(limit).min(self.limits.page),
        };
        // One more tells whether there is one more.
        let scan = scan_listed(request.after, limit.saturating_add(1));
        Step::Ask(Ask::Mailbox(vec![scan]), Job::Lookup(Looking::List { limit }))
    }

    pub(super) fn found(&self, now: Now, job: &Looking, done: Done) -> Next {
        let response = match (job, answers(done)) {
            (Looking::Target, Ok([MailboxDone::Record(found)])) => self.target(now.wall, found.as_deref()),
            (Looking::List { limit }, Ok([MailboxDone::Records(listed)])) => self.page(now.wall, &listed, *limit),
            _ => Err(Failure::Fault),
        };
        response.map_or_else(|_| refused(ErrorCode::Internal), Step::answer)
    }

    /// Who has left is not found.
    fn target(&self, now: Wall, found: Option<&[u8]>) -> Result<LookupResponse, Failure> {
        let row = found.map(Row::of).transpose()?.filter(|row| row.granted > 0);
        let peers = row.map(|row| row.peer_info(self.server_id, now)).into_iter().collect();
        Ok(LookupResponse { peers, error_message: None, error_code: None, next: None })
    }

    /// Who is online and wants to be listed, by key, as many as fit; one always does.
    fn page(&self, now: Wall, listed: &[Record], limit: usize) -> Result<LookupResponse, Failure> {
        let (mut peers, mut bytes, mut last) = (Vec::new(), 0usize, None);
        let mut next = None;
        for (key, row) in listed {
            let info = Row::of(row)?.peer_info(self.server_id, now);
            bytes = bytes.saturating_add(encode(&info).len());
            if peers.len() == limit || (bytes > self.limits.page_bytes && !peers.is_empty()) {
                next = last;
                break;
            }
            peers.push(info);
            last = Some(key.as_slice().try_into().map(ContactId::from_bytes).map_err(|_| Failure::Fault)?);
        }
        Ok(LookupResponse { peers, error_message: None, error_code: None, next })
    }
}

fn refused(code: ErrorCode) -> Next {
    Step::answer(LookupResponse {
        peers: Vec::new(),
        error_message: Some(code.name().to_uppercase()),
        error_code: Some(code.value()),
        next: None,
    })
}
