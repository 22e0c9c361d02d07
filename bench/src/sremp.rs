//! SREMP beside snow, rustls, vodozemac and SQLite.

mod handshake;
mod letters;
mod noise_peers;
mod people;
mod program;
mod ratchet;
mod transport;

use crate::{machine::Machine, report::Report};
use anyhow::{Context, Result};
use clap::{Args, ValueEnum};
use std::path::PathBuf;

/// Options of `sremp`.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Only these parts; all without
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<Part>,
    /// How many letters go through the two nodes
    #[arg(long, default_value_t = 2_000, value_parser = clap::value_parser!(u32).range(1..=20_000))]
    letters: u32,
    /// Where the databases lie; a folder on a real disk [default: beside this program]
    #[arg(long, value_name = "DIR")]
    folder: Option<PathBuf>,
    /// The program to start [default: built from this workspace, for release]
    #[arg(long, value_name = "FILE")]
    binary: Option<PathBuf>,
}

/// Part of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Part {
    Handshakes,
    Transport,
    Ratchet,
    Letters,
    Program,
}

/// Runs the parts one after the other.
pub(crate) fn run(options: &Options) -> Result<Report> {
    let parts = if options.only.is_empty() { Part::value_variants() } else { &options.only };
    // Beside the program, which is in a build folder and so on a disk: a temporary folder may be memory, where
    // nothing is durable and every commit is free.
    let beside = std::env::current_exe()?.parent().context("this program is in no folder")?.to_owned();
    let around = options.folder.clone().unwrap_or(beside);
    let folder = tempfile::Builder::new().prefix("waypost-bench-").tempdir_in(&around)?;
    let (mut rows, mut notes) = (Vec::new(), Vec::new());
    for part in Part::value_variants().iter().filter(|part| parts.contains(part)) {
        match part {
            Part::Handshakes => rows.extend(handshake::rows()?),
            Part::Transport => rows.extend(transport::rows()?),
            Part::Ratchet => rows.extend(ratchet::rows()?),
            Part::Letters => rows.extend(letters::rows(folder.path(), options.letters)?),
            Part::Program => rows.extend(program::rows(folder.path(), options.binary.as_deref(), &mut notes)?),
        }
    }
    Ok(Report { benchmark: "sremp", machine: Machine::look(folder.path()), rows, notes })
}
