//! How a command can end other than well.

use std::io;
use std::process::ExitCode;
use waypost_api::ClientError;
use waypost_core::{ErrorKind, HasKind};

/// Why a command did not do what it was asked.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Whoever read the output has seen enough. That is success.
    Pipe,
    /// The output has said it already; only the exit code is left.
    Told(Exit),
    /// Something to tell.
    Error {
        /// What sort it is.
        kind: ErrorKind,
        /// Follows from the kind, unless the command counts otherwise.
        exit: Exit,
        /// What went wrong.
        message: String,
        /// The next step.
        hint: Option<String>,
    },
}

impl Failure {
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self::Error { kind, exit: Exit::of(kind), message: message.into(), hint: None }
    }

    pub(crate) fn bad_input(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::BadInput, message)
    }

    /// What sort it is.
    pub(crate) fn kind(&self) -> Option<ErrorKind> {
        match self {
            Self::Error { kind, .. } => Some(*kind),
            Self::Pipe | Self::Told(_) => None,
        }
    }

    /// What went wrong.
    pub(crate) fn message(&self) -> Option<&str> {
        match self {
            Self::Error { message, .. } => Some(message),
            Self::Pipe | Self::Told(_) => None,
        }
    }

    /// Says what to do next, unless something said so before.
    pub(crate) fn or_hint(self, text: &str) -> Self {
        match self {
            Self::Error { kind, exit, message, hint: None } => {
                Self::Error { kind, exit, message, hint: Some(text.to_owned()) }
            }
            other => other,
        }
    }

    /// Ends with this code instead of the one of its kind.
    pub(crate) fn exiting(self, exit: Exit) -> Self {
        match self {
            Self::Error { kind, message, hint, .. } => Self::Error { kind, exit, message, hint },
            other => other,
        }
    }

    /// An operating system's error about a file.
    pub(crate) fn file(what: &str, path: &std::path::Path, error: &io::Error) -> Self {
        let kind = match error.kind() {
            io::ErrorKind::NotFound => ErrorKind::NotFound,
            io::ErrorKind::AlreadyExists => ErrorKind::Conflict,
            _ => ErrorKind::Environment,
        };
        Self::new(kind, format!("cannot {what} {}: {error}", path.display()))
    }

    pub(crate) fn exit(&self) -> Exit {
        match self {
            Self::Pipe => Exit::Ok,
            Self::Told(exit) => *exit,
            Self::Error { exit, .. } => *exit,
        }
    }
}

/// The exit codes of the manual.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    Ok,
    Failed,
    BadInput,
    NotFound,
    Unreachable,
    Locked,
    Security,
    Limit,
    /// `link` counts by the profile of its protocol.
    Link(LinkExit),
}

/// The exit codes of `link`. Framelink profile, Tool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LinkExit {
    /// Wrong usage, or this machine does not let it.
    Usage,
    /// No link came to be.
    Handshake,
    Truncated,
    Violation,
    Timeout,
    /// The other side ended it, or this one did.
    Aborted,
    /// A key or block file cannot be used.
    KeyFile,
}

impl Exit {
    fn of(kind: ErrorKind) -> Self {
        match kind {
            ErrorKind::BadInput => Self::BadInput,
            ErrorKind::NotFound => Self::NotFound,
            ErrorKind::Unreachable => Self::Unreachable,
            ErrorKind::Locked => Self::Locked,
            ErrorKind::Security => Self::Security,
            ErrorKind::Limit => Self::Limit,
            _ => Self::Failed,
        }
    }
}

impl Exit {
    /// As the system is told.
    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::Failed | Self::Link(LinkExit::Usage) => 1,
            Self::BadInput | Self::Link(LinkExit::Handshake) => 2,
            Self::NotFound | Self::Link(LinkExit::Truncated) => 3,
            Self::Unreachable | Self::Link(LinkExit::Violation) => 4,
            Self::Locked | Self::Link(LinkExit::Timeout) => 5,
            Self::Security | Self::Link(LinkExit::Aborted) => 6,
            Self::Limit | Self::Link(LinkExit::KeyFile) => 7,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

impl From<waypost_node::Error> for Failure {
    fn from(error: waypost_node::Error) -> Self {
        with_command_hint(error.kind(), error.to_string())
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        with_command_hint(error.kind(), error.to_string())
    }
}

impl From<waypost_api::Error> for Failure {
    fn from(error: waypost_api::Error) -> Self {
        let failure = with_command_hint(error.kind(), error.to_string());
        match error {
            waypost_api::Error::Socket { source, .. } if source.kind() == io::ErrorKind::InvalidInput => {
                failure.or_hint("choose a data folder with a shorter path")
            }
            waypost_api::Error::Http { .. } => failure.or_hint("choose another address with --http"),
            _ => failure,
        }
    }
}

/// The next step as a command, for what the node tells in its own words.
fn with_command_hint(kind: ErrorKind, message: String) -> Failure {
    let hint = match kind {
        ErrorKind::NotFound if message.starts_with("contact") => Some("`waypost contact list` shows all contacts"),
        ErrorKind::NotFound if message.starts_with("letter") => {
            Some("`waypost history CONTACT` shows letters with their ids")
        }
        ErrorKind::Locked => Some("give the passphrase with --passphrase-file or in WAYPOST_PASSPHRASE"),
        ErrorKind::Unreachable => Some("start the node with `waypost up` and try again"),
        ErrorKind::PeerFault => Some("restart `waypost up` after an update, so that both have the same version"),
        ErrorKind::Internal => Some("please report this, with the output of `waypost doctor`"),
        _ => None,
    };
    Failure::Error { kind, exit: Exit::of(kind), message, hint: hint.map(str::to_owned) }
}
