//! Every clause of every profile has a living test.

use crate::{
    clauses::{self, Entry},
    install,
    parts::{Findings, TESTS},
    process,
    workspace::Workspace,
};
use anyhow::{Context, Result};
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
};

/// Compares `docs/protocols/NAME.md` with `docs/protocols/ledger/NAME.toml`, and that with the tests there are.
pub(crate) fn check(workspace: &Workspace) -> Result<(Findings, String)> {
    let living = tests(workspace)?;
    let mut findings = Findings::default();
    let (mut proven, mut later) = (0, 0);
    for (name, profile) in profiles(workspace)? {
        let clauses = clauses::of_profile(&profile);
        let ledger = format!("docs/protocols/ledger/{name}.toml");
        let rows = fs::read_to_string(workspace.root.join(&ledger)).with_context(|| format!("cannot read {ledger}"))?;
        let rows = clauses::of_ledger(&rows).with_context(|| ledger.clone())?;
        let counts = compare(&clauses, &rows, &living, &mut findings);
        proven += counts.0;
        later += counts.1;
    }
    Ok((findings, format!("{proven} clauses proven, {later} later")))
}

/// How many clauses of a profile are proven and how many come later.
fn compare(
    clauses: &[String],
    rows: &BTreeMap<String, Entry>,
    living: &BTreeSet<String>,
    findings: &mut Findings,
) -> (usize, usize) {
    let (mut proven, mut later) = (0, 0);
    let mut seen = BTreeSet::new();
    for clause in clauses {
        if !seen.insert(clause) {
            findings.error(format!("{clause} stands twice in its profile"));
            continue;
        }
        match rows.get(clause) {
            None => findings.error(format!("{clause} has no row in its ledger")),
            Some(Entry::Tests(tests)) if tests.is_empty() => findings.error(format!("{clause} has no test")),
            Some(Entry::Later(reason)) if reason.is_empty() => findings.error(format!("{clause}: later, but why?")),
            Some(Entry::Later(_)) => later += 1,
            Some(Entry::Tests(tests)) => {
                let dead: Vec<&String> = tests.iter().filter(|test| !living.contains(*test)).collect();
                for test in &dead {
                    findings.error(format!("{clause}: there is no test `{test}`"));
                }
                proven += usize::from(dead.is_empty());
            }
        }
    }
    for row in rows.keys().filter(|row| !seen.contains(row)) {
        findings.error(format!("{row} stands in the ledger, but not in the profile"));
    }
    (proven, later)
}

/// The profiles that have clauses, by name.
fn profiles(workspace: &Workspace) -> Result<BTreeMap<String, String>> {
    let folder = workspace.root.join("docs/protocols");
    let mut profiles = BTreeMap::new();
    for entry in fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))? {
        let path = entry?.path();
        let Some(name) = path.file_stem().and_then(|stem| stem.to_str()) else { continue };
        if path.extension().is_some_and(|extension| extension == "md") && name != "README" {
            profiles.insert(name.to_owned(), fs::read_to_string(&path)?);
        }
    }
    Ok(profiles)
}

/// All tests of the workspace, as the test runner shows them.
fn tests(workspace: &Workspace) -> Result<BTreeSet<String>> {
    install::build_needs()?;
    install::NEXTEST.ensure(workspace)?;
    let mut list = workspace.cargo(["nextest", "list", "--message-format", "json"]);
    let list: Value = serde_json::from_str(&process::output(list.args(TESTS))?)?;
    names(&list).context("the test runner's list has another form than known")
}

fn names(list: &Value) -> Option<BTreeSet<String>> {
    let mut names = BTreeSet::new();
    for (binary, suite) in list.get("rust-suites")?.as_object()? {
        for test in suite.get("testcases")?.as_object()?.keys() {
            names.insert(format!("{binary} {test}"));
        }
    }
    Some(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The errors of a profile with `SR-1` and `SR-2` against a ledger; `core::it alive` is the only test.
    fn errors(ledger: &str) -> Vec<String> {
        let clauses = ["SR-1".into(), "SR-2".into()];
        let living = BTreeSet::from(["core::it alive".into()]);
        let mut findings = Findings::default();
        compare(&clauses, &clauses::of_ledger(ledger).unwrap(), &living, &mut findings);
        findings.errors
    }

    #[test]
    fn is_content_when_every_clause_has_a_living_test_or_a_reason() {
        assert!(errors("SR-1 = ['core::it alive']\nSR-2 = { later = 'with the relay' }\n").is_empty());
    }

    #[test]
    fn names_what_is_missing() {
        assert_eq!(errors("SR-1 = ['core::it alive']\n"), ["SR-2 has no row in its ledger"]);
        assert_eq!(errors("SR-1 = ['core::it alive']\nSR-2 = []\n"), ["SR-2 has no test"]);
        assert_eq!(errors("SR-1 = ['core::it alive']\nSR-2 = { later = '' }\n"), ["SR-2: later, but why?"]);
    }

    #[test]
    fn names_what_is_dead() {
        let ledger = "SR-1 = ['core::it alive', 'core::it dead']\nSR-2 = { later = 'x' }\nSR-3 = ['core::it alive']\n";
        let expected = ["SR-1: there is no test `core::it dead`", "SR-3 stands in the ledger, but not in the profile"];
        assert_eq!(errors(ledger), expected);
    }

    #[test]
    fn reads_the_list_of_the_test_runner() {
        let list = serde_json::json!({"rust-suites": {"core::it": {"testcases": {"vectors::a": {}, "b": {}}}}});
        assert_eq!(names(&list), Some(["core::it b".into(), "core::it vectors::a".into()].into()));
    }
}
