use std::fmt;

use anyhow::{Context, Result};
use serde_json::Value;

/// One event of a peer.
#[derive(Debug, Clone)]
pub struct Event(Value);

impl Event {
    pub(crate) fn new(value: Value) -> Self {
        Self(value)
    }

    /// A field, null if it is not there.
    #[must_use]
    pub fn field(&self, name: &str) -> &Value {
        self.0.get(name).unwrap_or(&Value::Null)
    }

    /// Whether this is the event of that name.
    #[must_use]
    pub fn is(&self, event: &str) -> bool {
        self.field("event") == event
    }

    /// A field that holds text.
    ///
    /// # Errors
    /// If it does not.
    pub fn text(&self, name: &str) -> Result<&str> {
        self.field(name).as_str().with_context(|| format!("no text `{name}` in {self}"))
    }

    /// A field that holds a 64-bit id, as decimal text or as a number.
    ///
    /// # Errors
    /// If it does not.
    pub fn id(&self, name: &str) -> Result<u64> {
        let value = self.field(name);
        let read = value.as_u64().or_else(|| value.as_str().and_then(|text| text.parse().ok()));
        read.with_context(|| format!("no id `{name}` in {self}"))
    }

    /// The same event with another value in one field.
    #[must_use]
    pub fn with(mut self, name: &str, value: Value) -> Self {
        if let Some(fields) = self.0.as_object_mut() {
            fields.insert(name.to_owned(), value);
        }
        self
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
