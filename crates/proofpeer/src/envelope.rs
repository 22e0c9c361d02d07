//! The JSON around every message: checked up to its shape, before any cryptography. Profile, Envelope; Receive order,
//! steps 2 to 9.

use crate::{Drop, Kind};
use waypost_codec::base64;
use waypost_codec::json::{self, Object, Value};

/// Deepest nesting, the outermost object counted.
pub(crate) const MAX_DEPTH: usize = 32;
/// Seconds a message may be old, or ahead.
pub(crate) const WINDOW: u64 = 60;
/// From here on a time is in milliseconds.
const MILLISECONDS: u64 = 100_000_000_000;
/// The largest integer that every reader of JSON keeps exactly.
const MAX_TIME: u64 = (1 << 53) - 1;
/// Longest session id, in bytes.
const MAX_SID: usize = 64;
/// The shortest sealed value: a nonce and a tag.
const MIN_SEALED: usize = 28;

/// A message that has one of the five shapes; nothing of it is proven.
#[derive(Clone, Debug, PartialEq)]
pub struct Envelope {
    /// Unix seconds.
    pub t: u64,
    /// Whether it asks for reliable delivery.
    pub r: bool,
    /// The rest, by shape.
    pub shape: Shape,
}

/// What a message is.
#[derive(Clone, Debug, PartialEq)]
pub enum Shape {
    /// A signed token on a channel.
    Broadcast {
        /// The token.
        jwt: String,
    },
    /// A signed token in an inbox.
    Introduction {
        /// The token.
        jwt: String,
    },
    /// A key for a session.
    Handshake {
        /// The token.
        jwt: String,
        /// The wrapped key.
        aes_key: Vec<u8>,
        /// The session's id.
        sid: String,
    },
    /// The answer to a handshake.
    Ack {
        /// The uid of the sender.
        sender_id: u32,
        /// The session's id.
        sid: String,
        /// Sealed.
        data: Vec<u8>,
        /// `m.x.d`, sealed.
        x: Option<Vec<u8>>,
    },
    /// A message of a session.
    Session {
        /// The uid of the sender.
        sender_id: u32,
        /// The session's id, if it is named.
        sid: Option<String>,
        /// Sealed.
        data: Vec<u8>,
    },
}

impl Shape {
    /// Its name.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Broadcast { .. } => "broadcast",
            Self::Introduction { .. } => "introduction",
            Self::Handshake { .. } => "handshake",
            Self::Ack { .. } => "ack",
            Self::Session { .. } => "session",
        }
    }
}

impl Envelope {
    /// Reads what came on a topic of this kind (none: one that was not subscribed to) at `now`, in Unix seconds.
    ///
    /// # Errors
    /// The first step that fails.
    pub fn read(payload: &[u8], now: u64, kind: Option<Kind>, limit: usize) -> Result<Self, Drop> {
        if payload.len() > limit {
            return Err(Drop::TooLarge);
        }
        let value = json::parse(payload, MAX_DEPTH).map_err(|_| Drop::BadJson)?;
        let object = value.as_object().ok_or(Drop::BadJson)?;
        if object.get("v").and_then(Value::as_uint) != Some(1) {
            return Err(Drop::BadVersion);
        }
        let t = object.get("t").and_then(Value::as_uint).filter(|t| *t <= MAX_TIME).ok_or(Drop::BadTime)?;
        check_time(t, now)?;
        let r = match object.get("r") {
            None => false,
            Some(r) => r.as_bool().ok_or(Drop::BadEnvelope)?,
        };
        let jwt = typed(object, "jwt", Value::as_str, Drop::BadEnvelope)?;
        let m = typed(object, "m", Value::as_object, Drop::BadEnvelope)?;
        if jwt.is_none() && m.is_none() {
            return Err(Drop::BadEnvelope);
        }
        let shape = match kind {
            Some(Kind::Channel(_)) => on_channel(jwt, m)?,
            Some(Kind::Inbox(_)) => in_inbox(jwt, m)?,
            None => return Err(Drop::Misplaced),
        };
        Ok(Self { t, r, shape })
    }
}

fn check_time(t: u64, now: u64) -> Result<(), Drop> {
    match t {
        MILLISECONDS.. => Err(Drop::MsTime),
        _ if now > t && now - t > WINDOW => Err(Drop::Stale),
        _ if t > now && t - now > WINDOW => Err(Drop::Future),
        _ => Ok(()),
    }
}

fn on_channel(jwt: Option<&str>, m: Option<&Object>) -> Result<Shape, Drop> {
    match (jwt, m.is_some_and(|m| m.has("handshake") || m.has("aes"))) {
        (Some(jwt), false) => Ok(Shape::Broadcast { jwt: jwt.to_owned() }),
        _ => Err(Drop::Misplaced),
    }
}

fn in_inbox(jwt: Option<&str>, m: Option<&Object>) -> Result<Shape, Drop> {
    let member = |name| m.and_then(|m| m.get(name));
    match (jwt, member("handshake"), member("aes"), m) {
        (Some(jwt), None, None, _) => Ok(Shape::Introduction { jwt: jwt.to_owned() }),
        (Some(jwt), Some(handshake), None, _) => {
            let handshake = handshake.as_object().ok_or(Drop::BadShape)?;
            let aes_key = sealed(handshake, "aes_key", 1)?;
            Ok(Shape::Handshake { jwt: jwt.to_owned(), aes_key, sid: sid(handshake)?.ok_or(Drop::BadShape)? })
        }
        (None, None, Some(aes), Some(m)) => {
            let aes = aes.as_object().ok_or(Drop::BadShape)?;
            let sender_id = m.get("sender_id").and_then(Value::as_uint).and_then(|id| u32::try_from(id).ok());
            let sender_id = sender_id.ok_or(Drop::BadShape)?;
            let named = sid(aes)?;
            let data = sealed(aes, "data", MIN_SEALED)?;
            match named {
                Some(sid) => Ok(Shape::Ack { sender_id, sid, data, x: extension(m)? }),
                None => Ok(Shape::Session { sender_id, sid: sid(m)?, data }),
            }
        }
        _ => Err(Drop::BadShape),
    }
}

/// `m.x.d` of an ack.
fn extension(m: &Object) -> Result<Option<Vec<u8>>, Drop> {
    match typed(m, "x", Value::as_object, Drop::BadShape)? {
        Some(x) if x.has("d") => sealed(x, "d", MIN_SEALED).map(Some),
        _ => Ok(None),
    }
}

fn sid(object: &Object) -> Result<Option<String>, Drop> {
    let sid = typed(object, "sid", Value::as_str, Drop::BadShape)?;
    match sid {
        Some(sid) if !is_sid(sid) => Err(Drop::BadShape),
        sid => Ok(sid.map(str::to_owned)),
    }
}

fn is_sid(sid: &str) -> bool {
    (1..=MAX_SID).contains(&sid.len()) && !sid.chars().any(|letter| letter < ' ' || letter == '\x7f')
}

fn sealed(object: &Object, name: &str, least: usize) -> Result<Vec<u8>, Drop> {
    let text = object.get(name).and_then(Value::as_str).ok_or(Drop::BadShape)?;
    base64::decode_any(text).filter(|bytes| bytes.len() >= least).ok_or(Drop::BadShape)
}

/// A member that may be missing but not of another type.
fn typed<'a, T: ?Sized>(
    object: &'a Object,
    name: &str,
    read: impl FnOnce(&'a Value) -> Option<&'a T>,
    drop: Drop,
) -> Result<Option<&'a T>, Drop> {
    object.get(name).map(|value| read(value).ok_or(drop)).transpose()
}
