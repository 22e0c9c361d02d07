//! JSON lines on standard input and output.

use crate::output::clean_json;
use serde::{Serialize, Serializer, de::DeserializeOwned};
use serde_json::{Map, Value};
use std::borrow::Cow;
use std::io::{self, BufRead, Read, Write};
use std::thread;
use tokio::sync::mpsc;

/// Longest line: the longest text, every character written as an escape.
const MAX_LINE: u64 = 8 << 20;
/// Commands that wait. The one who writes more of them waits too.
const QUEUE: usize = 64;

/// Commands from stdin, each with the reason if it is none. The channel ends with stdin.
pub(super) fn commands<C: DeserializeOwned + Send + 'static>() -> mpsc::Receiver<Result<C, String>> {
    let (sender, receiver) = mpsc::channel(QUEUE);
    // A thread of its own: a read from a terminal cannot be called off.
    thread::spawn(move || {
        let mut input = io::stdin().lock();
        while let Some(line) = line(&mut input) {
            let Ok(line) = line else { break };
            if line.trim_ascii().is_empty() {
                continue;
            }
            let command = serde_json::from_slice(&line).map_err(|error| error.to_string());
            if sender.blocking_send(command).is_err() {
                break;
            }
        }
    });
    receiver
}

fn line(input: &mut impl BufRead) -> Option<io::Result<Vec<u8>>> {
    let mut line = Vec::new();
    match input.by_ref().take(MAX_LINE).read_until(b'\n', &mut line) {
        Ok(0) => None,
        Ok(_) if line.len() as u64 == MAX_LINE && !line.ends_with(b"\n") => {
            Some(Err(io::Error::new(io::ErrorKind::InvalidData, "a line is too long")))
        }
        Ok(_) => Some(Ok(line)),
        Err(error) => Some(Err(error)),
    }
}

/// One event, its fields in the order they were given.
#[derive(Debug)]
pub(super) struct Event(Vec<(Cow<'static, str>, Value)>);

impl Event {
    pub(super) fn new(name: impl Into<Value>) -> Self {
        Self(vec![("event".into(), name.into())])
    }

    pub(super) fn with(mut self, field: &'static str, value: impl Into<Value>) -> Self {
        self.0.push((field.into(), value.into()));
        self
    }

    /// All fields of an object.
    pub(super) fn with_all(mut self, fields: Map<String, Value>) -> Self {
        self.0.extend(fields.into_iter().map(|(field, value)| (field.into(), value)));
        self
    }

    /// A field that is left out if it is not there.
    pub(super) fn with_some(self, field: &'static str, value: Option<impl Into<Value>>) -> Self {
        match value {
            Some(value) => self.with(field, value),
            None => self,
        }
    }

    /// Prints it at once.
    ///
    /// # Errors
    /// Nobody reads any more.
    pub(super) fn print(self) -> io::Result<()> {
        let mut line = clean_json(&serde_json::to_string(&self)?);
        line.push('\n');
        let mut out = io::stdout().lock();
        out.write_all(line.as_bytes())?;
        out.flush()
    }
}

impl Serialize for Event {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(field, value)| (field, value)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_lines_and_refuses_one_without_end() {
        let mut input = io::Cursor::new(b"{}\n[1]".to_vec());
        assert_eq!(line(&mut input).unwrap().unwrap(), b"{}\n");
        assert_eq!(line(&mut input).unwrap().unwrap(), b"[1]");
        assert!(line(&mut input).is_none());
        let mut endless = io::BufReader::new(io::repeat(b' '));
        assert!(line(&mut endless).unwrap().is_err());
    }

    #[test]
    fn an_event_is_one_line_in_order() {
        let event = Event::new("text").with("text", "a\nb").with_some("reply_to", None::<String>).with("id", "7");
        assert_eq!(serde_json::to_string(&event).unwrap(), r#"{"event":"text","text":"a\nb","id":"7"}"#);
    }
}
