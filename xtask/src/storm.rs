//! The long random runs, in full.
//!
//! They are ordinary tests with `storm` in their path. They read `WAYPOST_STORM_COUNT` and
//! `WAYPOST_STORM_SEED`, print their figures, and print the seed of a run that failed.

use crate::{install, process, workspace::Workspace};
use anyhow::Result;
use clap::Args;

/// How long and which.
#[derive(Args)]
pub(crate) struct Options {
    /// Only those of this protocol, like `sremp`.
    #[arg(long)]
    protocol: Option<String>,
    /// How many random runs each test makes.
    #[arg(long, default_value_t = 10_000)]
    count: u64,
    /// The seed of the first run; without it, each test takes its own.
    #[arg(long)]
    seed: Option<u64>,
}

/// Runs the storms in a release build; whether all held.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<bool> {
    install::build_needs()?;
    install::NEXTEST.ensure(workspace)?;
    let mut storms = workspace.cargo(["nextest", "run", "--release", "--workspace", "--all-features"]);
    storms.args(["--profile", "storm", "--no-capture", "--no-fail-fast"]);
    storms.args(["--filterset", &filter(options.protocol.as_deref())]);
    storms.env("WAYPOST_STORM_COUNT", options.count.to_string());
    if let Some(seed) = options.seed {
        storms.env("WAYPOST_STORM_SEED", seed.to_string());
    }
    process::succeeds(&mut storms)
}

/// All of them; tests about storms are none.
const STORMS: &str = "test(storm) - package(xtask) - package(waypost-testkit)";

/// The storms of a protocol are those in its crate, those of the engine, and those elsewhere that name it.
fn filter(protocol: Option<&str>) -> String {
    match protocol {
        Some(name) => format!("({STORMS}) & (package(waypost-{name}) | package(waypost-node) | test({name}))"),
        None => STORMS.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chooses_the_runs_of_one_protocol() {
        assert_eq!(filter(None), STORMS);
        let expected = format!("({STORMS}) & (package(waypost-sremp) | package(waypost-node) | test(sremp))");
        assert_eq!(filter(Some("sremp")), expected);
    }
}
