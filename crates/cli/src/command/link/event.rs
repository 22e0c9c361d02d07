//! What is told while links run: on stderr, for stdout may be the stream.

use crate::output::{Output, clean_json, clean_line};
use serde::Serialize;
use std::io::Write;
use std::net::SocketAddr;

/// Tells events: as lines of text, or with `--json` as JSON objects.
#[derive(Clone, Copy, Debug)]
pub(super) struct Teller {
    pub(super) output: Output,
    quiet: bool,
}

/// Something that happened.
#[derive(Debug, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub(super) enum Event<'a> {
    /// Others can connect.
    Listening { address: SocketAddr },
    /// A raw link is about to be.
    Role { role: &'static str },
    /// A link is established.
    Open { link: u64, peer: String, mode: &'static str, key: usize },
    /// One is over.
    Ended {
        link: u64,
        status: &'static str,
        sent: u64,
        received: u64,
        #[serde(skip_serializing_if = "Option::is_none")]
        message: Option<&'a str>,
    },
    /// A file begins to travel, or goes on.
    Started { name: &'a str, size: u64, offset: u64 },
    /// A link broke; the file goes on with the next.
    Broken { message: &'a str },
    /// No link came to be.
    Failed { peer: String, message: &'a str },
    /// The user should know.
    Warning { message: &'a str },
}

impl Teller {
    pub(super) fn new(output: Output, quiet: bool) -> Self {
        Self { output, quiet }
    }

    /// Whether a person watches.
    pub(super) fn talks(self) -> bool {
        !self.quiet && !self.output.is_json()
    }

    /// Tells it. Nobody has to listen.
    pub(super) fn tell(self, event: &Event<'_>) {
        if self.quiet {
            return;
        }
        let text = if self.output.is_json() {
            serde_json::to_string(event).map(|json| clean_json(&json)).unwrap_or_default()
        } else {
            event.text()
        };
        if !text.is_empty() {
            let _ = writeln!(std::io::stderr().lock(), "{text}");
        }
    }

    /// A line for persons only.
    pub(super) fn talk(self, text: &str) {
        if !self.quiet {
            self.output.talk(text);
        }
    }
}

impl Event<'_> {
    fn text(&self) -> String {
        match self {
            Self::Listening { address } => format!("listening on {address}"),
            Self::Role { role } => {
                format!("raw: this side is {}; the other one must not be", role.to_uppercase())
            }
            Self::Open { link, peer, mode, .. } => format!("link {link}: open with {peer} ({mode})"),
            Self::Ended { link, sent, received, message: None, .. } => {
                format!("link {link}: closed; {sent} bytes sent, {received} received")
            }
            Self::Ended { link, message: Some(message), .. } => format!("link {link}: {}", clean_line(message)),
            Self::Started { name, size, offset: 0 } => format!("{}: {size} bytes", clean_line(name)),
            Self::Started { name, size, offset } => {
                format!("{}: {size} bytes, going on at {offset}", clean_line(name))
            }
            Self::Broken { message } => format!("{}; trying again", clean_line(message)),
            Self::Failed { peer, message } => format!("{peer}: {}", clean_line(message)),
            Self::Warning { message } => format!("warning: {message}"),
        }
    }
}
