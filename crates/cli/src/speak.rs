//! `waypost speak`: a bare protocol without a node, for debugging and for tests against other software.
//!
//! Every protocol speaks alike: commands as JSON objects on stdin, one a line; events the same way on
//! stdout, the first one `ready`.

mod lines;
mod sremp;

use crate::failure::{Exit, Failure};
use clap::Subcommand;
use std::{fmt, io};
use waypost_core::ErrorKind;

/// Which protocol.
#[derive(Debug, Subcommand)]
pub(crate) enum Speak {
    /// Speak SREMP with one peer or with all that connect
    #[command(subcommand)]
    Sremp(sremp::Role),
}

/// Speaks until stdin or the conversation ends.
pub(crate) async fn run(speak: Speak) -> Result<(), Failure> {
    let well = match speak {
        Speak::Sremp(role) => sremp::run(role).await,
    };
    match well {
        Ok(true) => Ok(()),
        Ok(false) => Err(Failure::Told(Exit::Failed)),
        Err(error) => Err(failure(&error)),
    }
}

fn failure(error: &anyhow::Error) -> Failure {
    let io = error.chain().find_map(|cause| cause.downcast_ref::<io::Error>());
    if io.is_some_and(|io| io.kind() == io::ErrorKind::BrokenPipe) {
        return Failure::Pipe;
    }
    let bad_input = error.chain().any(|cause| cause.is::<BadInput>());
    let kind = if bad_input { ErrorKind::BadInput } else { ErrorKind::Environment };
    Failure::new(kind, format!("{error:#}"))
}

/// What was given on the command line cannot be right.
#[derive(Debug)]
struct BadInput(&'static str);

impl std::error::Error for BadInput {}

impl fmt::Display for BadInput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}
