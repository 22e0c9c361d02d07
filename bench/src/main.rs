//! Benchmarks beside real peers: one command, one run, one table.
//!
//! Ours and the peers take turns in the same process, so that a busy machine slows all of them; the ratio
//! is the figure to trust. What each row measures stands in `docs/manual/benchmarks.md`.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command line talks to its user")]

mod binary;
mod child;
mod framelink;
mod machine;
mod measure;
mod relay;
mod report;
mod sremp;
mod tls_peer;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Benchmarks beside real peers.
#[derive(Parser)]
#[command(name = "cargo xtask bench", bin_name = "cargo xtask bench", arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    benchmark: Benchmark,
    /// Print the table as JSON
    #[arg(long, global = true)]
    json: bool,
}

/// Which one.
#[derive(Subcommand)]
enum Benchmark {
    /// SREMP: handshakes, transport, ratchet, letters through two nodes, and the program itself
    Sremp(sremp::Options),
    /// Relay and rendezvous server: letters stored and delivered, connections, restarts, lookups
    Relay(relay::Options),
    /// Framelink: frames, links, handshakes, tunnels, and the bytes on the wire
    Framelink(framelink::Options),
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let report = match arguments.benchmark {
        Benchmark::Sremp(options) => sremp::run(&options),
        Benchmark::Relay(options) => relay::run(&options),
        Benchmark::Framelink(options) => framelink::run(&options),
    };
    let printed = report.and_then(|report| {
        println!("{}", if arguments.json { report.to_json()? } else { report.to_text() });
        Ok(())
    });
    match printed {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Says on stderr what is being measured.
fn progress(what: &str) {
    eprintln!("  .. {what}");
}
