//! What a bare client of a rendezvous server can be told to send.

use crate::speak::keys::Keys;
use crate::speak::values::Hex;
use serde::Deserialize;
use waypost_core::{ContactId, Now, Wall};
use waypost_sremp::endpoint::Endpoint;
use waypost_sremp::message::{ListServersRequest, LookupRequest, Message, RegisterRequest};
use waypost_sremp::rendezvous::next_seq;

/// Seconds a registration holds unless it is said.
const TTL: u32 = 600;

/// One line of stdin.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(tag = "cmd", rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum Command {
    /// REGISTER_REQUEST, signed for this server.
    Register {
        /// `host:port`.
        endpoint: String,
        #[serde(default)]
        ttl_seconds: Option<u32>,
        /// Above the last one, if it is not said.
        #[serde(default)]
        seq: Option<u64>,
        /// Unix milliseconds; now, if it is not said.
        #[serde(default)]
        issued: Option<u64>,
    },
    /// LOOKUP_REQUEST for one.
    Lookup { target: ContactId },
    /// LOOKUP_REQUEST for all who want to be listed.
    List {
        #[serde(default)]
        after: Option<ContactId>,
        #[serde(default)]
        limit: Option<u16>,
    },
    /// LIST_SERVERS_REQUEST.
    Servers {},
    /// The bytes of a message as they are, their length before them.
    Raw { bytes: Hex },
    /// Close and end.
    Close {},
}

impl Command {
    /// The message it stands for; none for those that send none. `last` is the highest seq used.
    ///
    /// # Errors
    /// The endpoint is none.
    pub(super) fn message(
        self,
        keys: &Keys,
        server_id: &[u8; 32],
        now: Now,
        last: &mut Option<u64>,
    ) -> Result<Option<Message>, String> {
        Ok(Some(match self {
            Self::Register { endpoint, ttl_seconds, seq, issued } => {
                let endpoint: Endpoint = endpoint.parse().map_err(|_| format!("{endpoint} is no host:port"))?;
                let seq = seq.unwrap_or_else(|| next_seq(*last, now.wall));
                *last = (*last).max(Some(seq));
                let issued = issued.map_or(now.wall, Wall::from_millis);
                let (ttl, identity) = (ttl_seconds.unwrap_or(TTL), &keys.identity);
                RegisterRequest::signed(server_id, &keys.signing, identity, &endpoint, ttl, seq, issued).into()
            }
            Self::Lookup { target } => {
                LookupRequest { target_identity: Some(target), list_all: false, after: None, limit: None }.into()
            }
            Self::List { after, limit } => LookupRequest { target_identity: None, list_all: true, after, limit }.into(),
            Self::Servers {} => ListServersRequest {}.into(),
            Self::Raw { .. } | Self::Close {} => return Ok(None),
        }))
    }
}
