//! The error object of an answer.

use serde::{Deserialize, Serialize};
use std::fmt;
use waypost_core::{ErrorKind, HasKind};
use waypost_node::Error;

/// Why a request failed (JSON-RPC 2.0, 5.1).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// A number programs can rely on: those of JSON-RPC, and -32001 and below for our own kinds.
    pub code: i32,
    /// For people.
    pub message: String,
    /// For programs that know Waypost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<FaultData>,
}

/// The part of a [`Fault`] that only Waypost gives.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FaultData {
    /// Decides whether to try again.
    pub kind: ErrorKind,
    /// The next step, if one is known.
    pub hint: Option<String>,
}

impl Fault {
    /// The text is not JSON.
    pub(crate) fn parse(reason: impl fmt::Display) -> Self {
        Self::new(-32700, format!("this is not JSON: {reason}"), ErrorKind::BadInput, None)
    }

    /// It is JSON, but not a request.
    pub(crate) fn invalid(reason: &str) -> Self {
        let hint = r#"a request looks like {"jsonrpc":"2.0","id":1,"method":"node.status"}"#;
        Self::new(-32600, format!("this is not a request: {reason}"), ErrorKind::BadInput, Some(hint))
    }

    /// A request or a batch is too long.
    pub(crate) fn too_long(reason: String) -> Self {
        Self::new(-32600, reason, ErrorKind::Limit, Some("send less at once"))
    }

    /// No method has that name.
    pub(crate) fn no_method(name: &str) -> Self {
        let shown: String = name.chars().take(64).collect();
        let hint = "rpc.discover lists all methods";
        Self::new(-32601, format!("there is no method \"{shown}\""), ErrorKind::NotFound, Some(hint))
    }

    /// The parameters do not fit the method.
    pub(crate) fn bad_params(reason: String) -> Self {
        Self::new(-32602, reason, ErrorKind::BadInput, Some("rpc.discover describes the parameters of every method"))
    }

    /// Events of HTTP have their own address.
    pub(crate) fn over_http() -> Self {
        let message = "events over HTTP are a stream of their own".to_owned();
        Self::new(-32601, message, ErrorKind::NotFound, Some("read GET /events"))
    }

    fn new(code: i32, message: String, kind: ErrorKind, hint: Option<&str>) -> Self {
        Self { code, message, data: Some(FaultData { kind, hint: hint.map(str::to_owned) }) }
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        let hint = match &error {
            Error::NotFound { what: "method", name } => return Self::no_method(name),
            Error::BadInput(reason) => return Self::bad_params(reason.clone()),
            Error::NotFound { what: "contact", .. } => Some("contacts.list lists all contacts"),
            Error::NotFound { what: "letter", .. } => {
                Some("letters.history and letters.search show the ids of letters")
            }
            Error::Stopping => Some("start the node again and repeat the request with the same id"),
            Error::Internal(_) => Some("please report this, with the log"),
            _ => None,
        };
        let kind = error.kind();
        Self::new(code(kind), error.to_string(), kind, hint)
    }
}

impl HasKind for Fault {
    fn kind(&self) -> ErrorKind {
        self.data.as_ref().map_or(ErrorKind::Internal, |data| data.kind)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

fn code(kind: ErrorKind) -> i32 {
    match kind {
        ErrorKind::BadInput => -32602,
        ErrorKind::NotFound => -32001,
        ErrorKind::Conflict => -32002,
        ErrorKind::Refused => -32003,
        ErrorKind::PeerFault => -32004,
        ErrorKind::Limit => -32005,
        ErrorKind::Unreachable => -32006,
        ErrorKind::Locked => -32007,
        ErrorKind::Security => -32008,
        ErrorKind::Environment => -32009,
        _ => -32603,
    }
}
