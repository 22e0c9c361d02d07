//! What a command prints: data on stdout, talk on stderr, never a peer's control characters.

mod clean;
mod letter;
mod qr;
mod table;
mod time;

use crate::failure::Failure;
pub(crate) use clean::{clean_json, clean_line, clean_text, is_harmful};
pub(crate) use letter::LetterLine;
pub(crate) use qr::Qr;
use serde::Serialize;
use std::io::{self, IsTerminal, Write};
pub(crate) use table::Table;
pub(crate) use time::{day_and_time, duration, time_of_day};
use waypost_core::ErrorKind;

/// Where and how to print.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Output {
    json: bool,
    color: bool,
}

impl Output {
    pub(crate) fn new(json: bool) -> Self {
        let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
            || std::env::var_os("TERM").is_some_and(|value| value == "dumb");
        Self { json, color: !plain && !json && io::stdout().is_terminal() }
    }

    /// Whether `--json` was given.
    pub(crate) fn is_json(self) -> bool {
        self.json
    }

    /// Prints the result: as one line of JSON, or as the text that `text` makes of it.
    pub(crate) fn result<T: Serialize>(self, value: &T, text: impl FnOnce(&T) -> String) -> Result<(), Failure> {
        if self.json { self.json(value) } else { self.text(&text(value)) }
    }

    /// Prints one line of JSON.
    pub(crate) fn json(self, value: &impl Serialize) -> Result<(), Failure> {
        let text = serde_json::to_string(value)
            .map_err(|error| Failure::new(ErrorKind::Internal, format!("cannot write this as JSON: {error}")))?;
        self.text(&clean_json(&text))
    }

    /// Prints text that was cleaned where it came from others. Ends the line if the text does not.
    pub(crate) fn text(self, text: &str) -> Result<(), Failure> {
        if text.is_empty() {
            return Ok(());
        }
        let mut out = io::stdout().lock();
        let end = if text.ends_with('\n') { "" } else { "\n" };
        write!(out, "{text}{end}").and_then(|()| out.flush()).map_err(|error| match error.kind() {
            io::ErrorKind::BrokenPipe => Failure::Pipe,
            _ => Failure::new(ErrorKind::Environment, format!("cannot write the output: {error}")),
        })
    }

    /// Tells a person something that is not data. Says nothing with `--json`.
    pub(crate) fn talk(self, text: &str) {
        if !self.json {
            let _ = writeln!(io::stderr().lock(), "{text}");
        }
    }

    /// Tells how the command ended.
    pub(crate) fn failure(self, failure: &Failure) {
        let Failure::Error { kind, message, hint, .. } = failure else { return };
        let message = clean_text(message, "  ");
        let mut err = io::stderr().lock();
        let _ = if self.json {
            let error = serde_json::json!({ "error": { "kind": kind, "message": message, "hint": hint } });
            writeln!(err, "{}", clean_json(&error.to_string()))
        } else {
            match hint {
                Some(hint) => writeln!(err, "waypost: {message}; {hint}"),
                None => writeln!(err, "waypost: {message}"),
            }
        };
    }

    /// Less important text.
    pub(crate) fn dim(self, text: &str) -> String {
        self.style("2", text)
    }

    /// More important text.
    pub(crate) fn bold(self, text: &str) -> String {
        self.style("1", text)
    }

    /// Text that should worry.
    pub(crate) fn alarm(self, text: &str) -> String {
        self.style("1;31", text)
    }

    fn style(self, code: &str, text: &str) -> String {
        if self.color && !text.is_empty() { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    /// Whether stdout is a terminal that shows colors.
    pub(crate) fn has_color(self) -> bool {
        self.color
    }
}
