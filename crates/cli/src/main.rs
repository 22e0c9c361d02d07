//! The one program of Waypost: a person's node, and the commands to use it.
//!
//! Arguments as typed ([`args`]) become a checked [`context::Context`]; a command opens a
//! [`session::Session`] with the folder's node if it needs one, and prints through [`output::Output`].

mod args;
mod command;
mod context;
mod failure;
mod output;
mod secret;
mod session;
mod speak;

use args::{Args, Command};
use clap::Parser;
use context::Context;
use output::Output;
use std::process::ExitCode;
use tracing_subscriber::EnvFilter;

fn main() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => {
            let _ = error.print();
            return if error.exit_code() == 0 { ExitCode::SUCCESS } else { Args::usage_exit().into() };
        }
    };
    log(args.global.verbose);
    let output = Output::new(args.global.json);
    let ended = match args.command {
        // It works without a data folder, and where there can be none.
        Command::Link(link) => command::link(output, link),
        command => Context::new(&args.global).and_then(|context| command::run(&context, command)),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            output.failure(&failure);
            failure.exit().into()
        }
    }
}

/// Logs go to stderr: warnings, more with `-v`, or as `WAYPOST_LOG` says.
fn log(verbose: u8) {
    let level = match verbose {
        0 => "warn",
        1 => "info",
        _ => "debug",
    };
    let filter = EnvFilter::try_from_env("WAYPOST_LOG").unwrap_or_else(|_| EnvFilter::new(level));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(false).init();
}
