//! Tasks of the workshop: `cargo xtask test` and its parts.
//!
//! Each part is one module with one `run`; [`report`] times them, goes on after a failed one and
//! draws the table at the end.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command line talks to its user")]

mod clauses;
mod fuzz;
mod install;
mod layers;
mod parts;
mod process;
mod report;
mod size;
mod spec;
mod storm;
mod table;
mod workspace;

use clap::{Parser, Subcommand};
use parts::Part;
use std::process::ExitCode;
use workspace::Workspace;

/// Tasks of the workshop.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Everything that must hold before a change lands: all the parts below, one after the other.
    Test,
    /// The format of the sources.
    Fmt,
    /// Clippy over all targets and features, warnings are errors.
    Clippy,
    /// All tests but those in the docs.
    Nextest,
    /// The examples in the docs.
    Doctest,
    /// The docs, without a warning.
    Doc,
    /// Licences, bans and sources of the dependencies; advisories where the network allows.
    Deny,
    /// Arrows between the crates point down, and each crate bans what its floor bans.
    Layers {
        /// Write the clippy.toml of each crate anew from the templates in xtask/clippy.
        #[arg(long)]
        write: bool,
    },
    /// Every clause of every profile has a living test.
    Spec,
    /// No file too long, no file without a noun.
    Size,
    /// The long random runs, in full.
    Storm(storm::Options),
    /// The fuzz targets, one after the other.
    Fuzz(fuzz::Options),
    /// The benchmarks beside real peers; without a name, it lists them.
    Bench {
        /// Which one, and its options.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
}

fn main() -> ExitCode {
    match run(Arguments::parse().task) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Whether the task found everything in order.
fn run(task: Task) -> anyhow::Result<bool> {
    let workspace = Workspace::load()?;
    let part = match task {
        Task::Test => return report::all(&workspace),
        Task::Layers { write: true } => return layers::write(&workspace).map(|()| true),
        Task::Storm(options) => return storm::run(&workspace, &options),
        Task::Fuzz(options) => return fuzz::run(&workspace, &options),
        Task::Bench { arguments } => {
            install::benchmark(&arguments);
            let mut bench = workspace.cargo(["run", "--release", "--package", "waypost-bench", "--"]);
            return process::succeeds(bench.args(arguments));
        }
        Task::Fmt => Part::Fmt,
        Task::Clippy => Part::Clippy,
        Task::Nextest => Part::Nextest,
        Task::Doctest => Part::Doctest,
        Task::Doc => Part::Doc,
        Task::Deny => Part::Deny,
        Task::Layers { write: false } => Part::Layers,
        Task::Spec => Part::Spec,
        Task::Size => Part::Size,
    };
    report::one(&workspace, part)
}
