//! The parts of `cargo xtask test`.

use crate::{install, layers, process, size, spec, workspace::Workspace};
use anyhow::{Context, Result};
use std::{ffi::OsStr, fmt, fs, io::ErrorKind, path::Path, process::Command, time::Duration};

/// One part of `cargo xtask test`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Fmt,
    Layers,
    Size,
    Clippy,
    Nextest,
    Doctest,
    Spec,
    Doc,
    Deny,
}

/// How a part went.
pub(crate) struct Outcome {
    /// Whether everything is in order.
    pub(crate) ok: bool,
    /// A few words for the table.
    pub(crate) note: String,
    /// The tests it ran.
    pub(crate) tests: Tests,
}

/// How many tests passed and failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tests {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
}

/// What a check of our own found.
#[derive(Default)]
pub(crate) struct Findings {
    /// What must be mended.
    pub(crate) errors: Vec<String>,
    /// What should be.
    pub(crate) warnings: Vec<String>,
}

impl Part {
    /// In the order they run: the quick ones first, `Spec` after the tests are built.
    pub(crate) const ALL: [Self; 9] = [
        Self::Fmt,
        Self::Layers,
        Self::Size,
        Self::Clippy,
        Self::Nextest,
        Self::Doctest,
        Self::Spec,
        Self::Doc,
        Self::Deny,
    ];

    /// Runs it.
    pub(crate) fn run(self, workspace: &Workspace) -> Result<Outcome> {
        match self {
            Self::Fmt => {
                let here = process::succeeds(&mut workspace.cargo(["fmt", "--all", "--check"]))?;
                // The fuzz targets' binaries are a workspace of their own.
                let fuzz = workspace.root.join("fuzz/Cargo.toml");
                let there = process::succeeds(workspace.cargo(["fmt", "--check", "--manifest-path"]).arg(fuzz))?;
                Ok(plain(here && there))
            }
            Self::Layers => layers::check(workspace).map(|(findings, note)| findings.outcome(note)),
            Self::Size => size::check(workspace).map(|(findings, note)| findings.outcome(note)),
            Self::Spec => spec::check(workspace).map(|(findings, note)| findings.outcome(note)),
            Self::Clippy => {
                install::build_needs()?;
                let arguments = ["clippy", "--workspace", "--all-targets", "--all-features", "--", "-D", "warnings"];
                Ok(plain(process::succeeds(&mut workspace.cargo(arguments))?))
            }
            Self::Nextest => nextest(workspace),
            Self::Doctest => doctest(workspace),
            Self::Doc => {
                install::build_needs()?;
                let arguments = ["doc", "--workspace", "--no-deps", "--all-features"];
                Ok(plain(process::succeeds(workspace.cargo(arguments).env("RUSTDOCFLAGS", "-D warnings"))?))
            }
            Self::Deny => deny(workspace),
        }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&format!("{self:?}").to_lowercase())
    }
}

impl Findings {
    /// Adds what must be mended.
    pub(crate) fn error(&mut self, text: impl Into<String>) {
        self.errors.push(text.into());
    }

    /// Adds what should be.
    pub(crate) fn warn(&mut self, text: impl Into<String>) {
        self.warnings.push(text.into());
    }

    /// Shows all of it; in order if there is no error.
    fn outcome(self, note: String) -> Outcome {
        for warning in &self.warnings {
            eprintln!("warning: {warning}");
        }
        for error in &self.errors {
            eprintln!("error: {error}");
        }
        let note = match (self.errors.len(), self.warnings.len()) {
            (0, 0) => note,
            (0, warnings) => format!("{note}; {warnings} warnings"),
            (errors, _) => format!("{note}; {errors} errors"),
        };
        Outcome { ok: self.errors.is_empty(), note, tests: Tests::default() }
    }
}

/// The flags of every build of tests: the same everywhere, so that nothing is built twice.
pub(crate) const TESTS: [&str; 2] = ["--workspace", "--all-features"];

fn plain(ok: bool) -> Outcome {
    Outcome { ok, note: String::new(), tests: Tests::default() }
}

fn nextest(workspace: &Workspace) -> Result<Outcome> {
    install::build_needs()?;
    install::peers(workspace)?;
    install::networks()?;
    install::brokers()?;
    install::NEXTEST.ensure(workspace)?;
    // The runner keeps its files below the root, wherever cargo builds.
    let junit = workspace.root.join("target/nextest/default/junit.xml");
    remove_if_there(&junit)?;
    let mut run = workspace.cargo(["nextest", "run", "--no-fail-fast"]);
    run.args(TESTS);
    let ok = process::succeeds(&mut run)?;
    let tests = match fs::read_to_string(&junit) {
        Ok(text) => read_junit(&text).context("the test runner's junit.xml has another form than known")?,
        Err(error) if error.kind() == ErrorKind::NotFound => Tests::default(),
        Err(error) => return Err(error.into()),
    };
    let note = if tests == Tests::default() { "no test ran".into() } else { counted(tests) };
    Ok(Outcome { ok: ok && tests.passed > 0, note, tests })
}

fn doctest(workspace: &Workspace) -> Result<Outcome> {
    install::build_needs()?;
    let mut tests = Tests::default();
    let mut run = workspace.cargo(["test", "--doc", "--no-fail-fast"]);
    run.args(TESTS);
    let status = process::watched(run, |line| {
        if let Some(some) = read_result_line(line) {
            tests.passed += some.passed;
            tests.failed += some.failed;
        }
        true
    })?;
    Ok(Outcome { ok: status.success(), note: counted(tests), tests })
}

fn deny(workspace: &Workspace) -> Result<Outcome> {
    install::DENY.ensure(workspace)?;
    let checks = ["deny", "--all-features", "--log-level", "error", "check", "--hide-inclusion-graph"];
    let ok = process::succeeds(workspace.cargo(checks).args(["licenses", "bans", "sources"]))?;
    eprintln!("      advisories: fetching the database");
    let advisories = process::quiet(workspace.cargo(checks).arg("advisories"), Duration::from_secs(180))?;
    let reached = !advisories.said.contains("failed to fetch advisory database");
    let (ok, note) = match advisories.success {
        Some(true) => (ok, "licences, bans, sources, advisories"),
        Some(false) if reached => {
            eprint!("{}", advisories.said);
            (false, "licences, bans, sources, advisories")
        }
        _ => {
            eprintln!("warning: advisories not checked: their database could not be reached");
            (ok, "licences, bans, sources; advisories NOT checked (database not reached)")
        }
    };
    Ok(Outcome { ok, note: note.into(), tests: Tests::default() })
}

fn counted(tests: Tests) -> String {
    format!("{} passed, {} failed", tests.passed, tests.failed)
}

/// The totals in the head of the runner's junit.xml.
fn read_junit(text: &str) -> Option<Tests> {
    let head = text.split_once("<testsuites ")?.1.split_once('>')?.0;
    let number =
        |name: &str| -> Option<u64> { head.split_once(&format!("{name}=\""))?.1.split_once('"')?.0.parse().ok() };
    let failed = number("failures")? + number("errors")?;
    Some(Tests { passed: number("tests")?.checked_sub(failed)?, failed })
}

/// `test result: ok. 3 passed; 0 failed; ..`
fn read_result_line(line: &str) -> Option<Tests> {
    let counts = line.strip_prefix("test result: ")?.split_once(". ")?.1;
    let number = |what: &str| -> Option<u64> {
        counts.split("; ").find_map(|count| count.strip_suffix(what))?.trim().parse().ok()
    };
    Some(Tests { passed: number("passed")?, failed: number("failed")? })
}

fn remove_if_there(file: &Path) -> Result<()> {
    match fs::remove_file(file) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error.into()),
        _ => Ok(()),
    }
}

/// Whether `program` is in the search path of `command`'s environment.
pub(crate) fn found(program: impl AsRef<OsStr>) -> bool {
    process::answers(Command::new("sh").arg("-c").arg("command -v \"$0\"").arg(program))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_totals_of_a_run() {
        let text = "<?xml version=\"1.0\"?>\n<testsuites name=\"nextest-run\" tests=\"12\" failures=\"1\" errors=\"2\" uuid=\"x\">\n<testsuite tests=\"5\"";
        assert_eq!(read_junit(text), Some(Tests { passed: 9, failed: 3 }));
        assert_eq!(read_junit("<testsuites name=\"x\">"), None);
    }

    #[test]
    fn reads_the_totals_of_doc_tests() {
        let line = "test result: FAILED. 3 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.1s";
        assert_eq!(read_result_line(line), Some(Tests { passed: 3, failed: 1 }));
        assert_eq!(read_result_line("running 3 tests"), None);
    }

    #[test]
    fn names_a_part_as_its_command() {
        assert_eq!(Part::Nextest.to_string(), "nextest");
    }
}
