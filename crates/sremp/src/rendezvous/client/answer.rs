//! What a client believes of an answer. SREMP 7.2 and 7.3, profile SR-7.2b to SR-7.3.

use super::{Query, requests::Question};
use crate::{
    Error, ErrorCode, Message,
    endpoint::{AddressFilter, Learned},
    message::{ListServersResponse, LookupResponse, PeerInfo, ServerAddress},
    rendezvous::{FreshPeer, ServerUri, check_peer_info},
};
use std::time::Duration;
use waypost_core::{Batch, ContactId, Now, Records, Space, Wall};

/// The highest seq of a peer at a server.
const SEEN: Space = Space("rendezvous-client/seen");
/// Most servers that are shown.
const MAX_SERVERS: usize = 32;
/// Longest name of a server that is shown, in characters.
const MAX_NAME: usize = 64;

/// The next thing a server has to say.
#[derive(Clone, Copy, Debug)]
pub(super) enum Expected {
    Registration { seq: u64 },
    Answer(Question),
}

/// What a server knows, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Where the peer is, if it is known there.
    Peer(Option<Box<FoundPeer>>),
    /// Some of those who want to be listed.
    List {
        /// Who, in the order of their keys; those that do not check are left out.
        peers: Vec<FoundPeer>,
        /// Where this page ends, if more follow.
        next: Option<ContactId>,
    },
    /// Other servers: to be shown to the user, and used only if the user says so.
    Servers(Vec<Suggestion>),
}

/// A peer that a server knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundPeer {
    /// Who and where, by its own signature.
    pub peer: FreshPeer,
    /// Whether the server believes so; it may lie.
    pub online: bool,
    /// When it registered last, by the server's word.
    pub last_seen: Wall,
}

/// A server that another one named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suggestion {
    /// Where it is.
    pub server: ServerUri,
    /// What it is called, if that can be shown.
    pub name: Option<String>,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Failure {
    /// The server cannot be reached now, or did not answer.
    Unreachable,
    /// The server does not want to.
    Refused {
        /// Why, if that is known.
        code: Option<ErrorCode>,
        /// When to ask again, if that may help.
        retry: Option<Duration>,
    },
    /// The server's answer is not what the peer signed, or an old one. It is not used.
    Distrusted(Error),
    /// Too many questions at once.
    Crowded,
}

/// Checks what came for a question. None if it is no answer to it at all.
pub(super) fn check<R: Records>(
    batch: &mut Batch<'_, R>,
    now: Now,
    server_id: &[u8; 32],
    query: Query,
    message: Message,
) -> Result<Option<Result<Answer, Failure>>, Error> {
    let answer = match (query, message) {
        (_, Message::Error(error)) => Err(refused(error.code, error.retry_after_s)),
        (_, Message::LookupResponse(LookupResponse { error_code: Some(code), .. })) => Err(refused(code, None)),
        (Query::Peer(target), Message::LookupResponse(response)) => match response.peers.first() {
            None => Ok(Answer::Peer(None)),
            Some(info) => peer(batch, now, server_id, &target, info)?,
        },
        (Query::List { after }, Message::LookupResponse(response)) => {
            Ok(list(batch, now, server_id, after, &response)?)
        }
        (Query::Servers, Message::ListServersResponse(response)) => Ok(Answer::Servers(servers(&response))),
        _ => return Ok(None),
    };
    Ok(Some(answer))
}

fn refused(code: u16, retry_after_s: Option<u32>) -> Failure {
    let code = ErrorCode::from_value(code);
    // Servers count by the minute.
    let minute = (code == Some(ErrorCode::Rate)).then_some(60);
    Failure::Refused { code, retry: retry_after_s.or(minute).map(|seconds| Duration::from_secs(seconds.into())) }
}

/// Checks a peer that was asked for, and remembers its seq.
fn peer<R: Records>(
    batch: &mut Batch<'_, R>,
    now: Now,
    server_id: &[u8; 32],
    target: &ContactId,
    info: &PeerInfo,
) -> Result<Result<Answer, Failure>, Error> {
    let highest = highest(batch, server_id, target)?;
    let peer = match check_peer_info(info, target, server_id, now.wall, highest.unwrap_or(0)) {
        Ok(peer) => peer,
        Err(error) => return Ok(Err(Failure::Distrusted(error))),
    };
    if highest.is_none_or(|highest| peer.seq > highest) {
        batch.put(SEEN, seen_key(server_id, target), peer.seq.to_be_bytes());
    }
    Ok(Ok(Answer::Peer(Some(Box::new(FoundPeer { peer, online: info.online, last_seen: info.last_seen })))))
}

/// Checks a page. Nothing of it is remembered: a server could make up as many people as it likes.
fn list<R: Records>(
    batch: &Batch<'_, R>,
    now: Now,
    server_id: &[u8; 32],
    mut after: Option<ContactId>,
    response: &LookupResponse,
) -> Result<Answer, Error> {
    let start = after;
    let mut peers = Vec::new();
    for info in &response.peers {
        let Ok(identity) = info.identity.verify() else { continue };
        let key = identity.key();
        if !identity.flags().is_discoverable() || after.is_some_and(|after| key <= after) {
            continue;
        }
        let highest = highest(batch, server_id, &key)?.unwrap_or(0);
        if let Ok(peer) = check_peer_info(info, &key, server_id, now.wall, highest) {
            peers.push(FoundPeer { peer, online: info.online, last_seen: info.last_seen });
            after = Some(key);
        }
    }
    // A server that leads in circles is not followed.
    let next = response.next.filter(|next| start.is_none_or(|start| *next > start));
    Ok(Answer::List { peers, next })
}

fn highest(records: &impl Records, server_id: &[u8; 32], peer: &ContactId) -> Result<Option<u64>, Error> {
    let kept = records.record(SEEN, &seen_key(server_id, peer))?;
    let kept = kept.map(|bytes| bytes.as_slice().try_into().map(u64::from_be_bytes));
    kept.transpose().map_err(|_| Error::Internal("a damaged seq"))
}

fn seen_key(server_id: &[u8; 32], peer: &ContactId) -> Vec<u8> {
    [&server_id[..], peer.as_bytes()].concat()
}

fn servers(response: &ListServersResponse) -> Vec<Suggestion> {
    let mut suggestions: Vec<Suggestion> = Vec::new();
    for address in &response.servers {
        if suggestions.len() == MAX_SERVERS {
            break;
        }
        if let Some(suggestion) = suggestion(address)
            && !suggestions.iter().any(|other| other.server == suggestion.server)
        {
            suggestions.push(suggestion);
        }
    }
    suggestions
}

fn suggestion(address: &ServerAddress) -> Option<Suggestion> {
    let server = ServerUri::try_from(address).ok()?;
    let is_private =
        server.endpoint.host().ip().is_some_and(|ip| !AddressFilter::default().permits(ip, Learned::FromOthers));
    let can_be_shown =
        |name: &&String| (1..=MAX_NAME).contains(&name.chars().count()) && !name.chars().any(char::is_control);
    let name = address.name.as_ref().filter(can_be_shown).cloned();
    (!is_private).then_some(Suggestion { server, name })
}
