//! Framelink beside what it is made of, TLS 1.3, spiped and stunnel.

mod directions;
mod frames;
mod links;
mod machines;
mod tunnel;
mod wire;

use crate::{machine::Machine, report::Report};
use anyhow::Result;
use clap::{Args, ValueEnum};
use std::path::PathBuf;

/// Options of `framelink`.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Only these parts; all without
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<Part>,
    /// The program to start [default: built from this workspace, for release]
    #[arg(long, value_name = "FILE")]
    binary: Option<PathBuf>,
}

/// Part of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Part {
    Frames,
    Links,
    Handshakes,
    Directions,
    Tunnel,
    Wire,
}

const KIB: usize = 1024;

/// Runs the parts one after the other.
pub(crate) fn run(options: &Options) -> Result<Report> {
    let parts = if options.only.is_empty() { Part::value_variants() } else { &options.only };
    let folder = tempfile::Builder::new().prefix("waypost-bench-").tempdir()?;
    let (mut rows, mut notes) = (Vec::new(), Vec::new());
    for part in Part::value_variants().iter().filter(|part| parts.contains(part)) {
        match part {
            Part::Frames => rows.extend(frames::rows()?),
            Part::Links => rows.extend(links::messages()?),
            Part::Handshakes => rows.extend(links::handshakes()?),
            Part::Directions => rows.extend(directions::rows()?),
            Part::Tunnel => rows.extend(tunnel::rows(folder.path(), options.binary.as_deref(), &mut notes)?),
            Part::Wire => rows.extend(wire::rows()?),
        }
    }
    Ok(Report { benchmark: "framelink", machine: Machine::look(folder.path()), rows, notes })
}

/// A number of bytes as people say it.
fn size_name(bytes: usize) -> String {
    match bytes {
        ..KIB => format!("{bytes} B"),
        _ if bytes < KIB * KIB => format!("{} KiB", bytes / KIB),
        _ => format!("{} MiB", bytes / KIB / KIB),
    }
}
