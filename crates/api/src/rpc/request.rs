//! What a client may write.

use super::Fault;
use crate::limits::IN_FLIGHT;
use serde_json::{Map, Value};

/// One text of a client: a request, or several at once.
#[derive(Debug)]
pub(crate) enum Incoming {
    /// One request, or why it is none.
    Single(Result<Request, Rejected>),
    /// A batch (JSON-RPC 2.0, 6), not empty.
    Batch(Vec<Result<Request, Rejected>>),
}

/// A request (JSON-RPC 2.0, 4).
#[derive(Debug, PartialEq)]
pub(crate) struct Request {
    /// What the answer is marked with; none if no answer is wanted.
    pub(crate) id: Option<Value>,
    /// The method's name.
    pub(crate) method: String,
    /// An object, or null where none were given.
    pub(crate) params: Value,
}

/// Something that is no request, with the id it may have had.
#[derive(Debug, PartialEq)]
pub(crate) struct Rejected {
    pub(crate) id: Value,
    pub(crate) fault: Fault,
}

impl Incoming {
    pub(crate) fn parse(text: &[u8]) -> Self {
        match serde_json::from_slice(text) {
            Err(error) => Self::Single(Err(Rejected { id: Value::Null, fault: Fault::parse(error) })),
            Ok(Value::Array(items)) if items.is_empty() => Self::Single(Err(rejected("the batch is empty"))),
            Ok(Value::Array(items)) if items.len() > IN_FLIGHT => {
                let fault = Fault::too_long(format!("a batch has at most {IN_FLIGHT} requests, not {}", items.len()));
                Self::Single(Err(Rejected { id: Value::Null, fault }))
            }
            Ok(Value::Array(items)) => Self::Batch(items.into_iter().map(Request::read).collect()),
            Ok(value) => Self::Single(Request::read(value)),
        }
    }
}

impl Request {
    fn read(value: Value) -> Result<Self, Rejected> {
        let Value::Object(mut object) = value else { return Err(rejected("it is not an object")) };
        let id = object.remove("id");
        if id.as_ref().is_some_and(|id| !matches!(id, Value::String(_) | Value::Number(_) | Value::Null)) {
            return Err(rejected("\"id\" is not a text, a number or null"));
        }
        match Self::read_rest(object) {
            Ok((method, params)) => Ok(Self { id, method, params }),
            Err(reason) => Err(Rejected { id: id.unwrap_or_default(), fault: Fault::invalid(reason) }),
        }
    }

    fn read_rest(mut object: Map<String, Value>) -> Result<(String, Value), &'static str> {
        if object.get("jsonrpc").and_then(Value::as_str) != Some("2.0") {
            return Err("\"jsonrpc\" is not \"2.0\"");
        }
        let Some(Value::String(method)) = object.remove("method") else { return Err("\"method\" is not a text") };
        match object.remove("params") {
            None => Ok((method, Value::Null)),
            Some(params @ (Value::Object(_) | Value::Array(_))) => Ok((method, params)),
            Some(_) => Err("\"params\" is not an object"),
        }
    }
}

fn rejected(reason: &str) -> Rejected {
    Rejected { id: Value::Null, fault: Fault::invalid(reason) }
}
