//! Runs the parts, goes on after a failed one, and says at the end how each went.

use crate::{
    parts::{Outcome, Part, Tests},
    table,
    workspace::Workspace,
};
use anyhow::Result;
use std::time::{Duration, Instant};

/// One part and how it went.
struct Row {
    part: Part,
    ok: bool,
    note: String,
    tests: Tests,
    time: Duration,
}

/// All parts, then the table; whether all are in order.
pub(crate) fn all(workspace: &Workspace) -> Result<bool> {
    let rows: Vec<Row> = Part::ALL.into_iter().map(|part| timed(workspace, part)).collect();
    println!("\n{}", drawn(&rows));
    println!("{}", closing(&rows));
    Ok(rows.iter().all(|row| row.ok))
}

/// One part; whether it is in order.
pub(crate) fn one(workspace: &Workspace, part: Part) -> Result<bool> {
    let row = timed(workspace, part);
    println!("\n{}", drawn(std::slice::from_ref(&row)));
    Ok(row.ok)
}

fn timed(workspace: &Workspace, part: Part) -> Row {
    eprintln!("\n===== {part}");
    let start = Instant::now();
    let outcome = part.run(workspace).unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        Outcome { ok: false, note: "could not be run to its end".into(), tests: Tests::default() }
    });
    Row { part, ok: outcome.ok, note: outcome.note, tests: outcome.tests, time: start.elapsed() }
}

fn drawn(rows: &[Row]) -> String {
    let cells: Vec<Vec<String>> = rows
        .iter()
        .map(|row| {
            let result = if row.ok { "ok" } else { "FAILED" };
            vec![row.part.to_string(), result.into(), format!("{:.1}", row.time.as_secs_f64()), row.note.clone()]
        })
        .collect();
    table::draw(&["part", "result", "seconds", ""], &cells, &[2])
}

/// `N passed, N failed`: the tests, and one for each failed part without a failed test of its own.
fn closing(rows: &[Row]) -> String {
    let passed: u64 = rows.iter().map(|row| row.tests.passed).sum();
    let failed: u64 = rows.iter().map(|row| row.tests.failed.max(u64::from(!row.ok))).sum();
    format!("{passed} passed, {failed} failed")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(part: Part, ok: bool, passed: u64, failed: u64) -> Row {
        Row { part, ok, note: String::new(), tests: Tests { passed, failed }, time: Duration::from_millis(1500) }
    }

    #[test]
    fn closes_with_the_count_of_the_tests() {
        let rows = [row(Part::Fmt, true, 0, 0), row(Part::Nextest, true, 40, 0), row(Part::Doctest, true, 2, 0)];
        assert_eq!(closing(&rows), "42 passed, 0 failed");
    }

    #[test]
    fn counts_a_failed_part_even_if_no_test_failed() {
        let rows = [row(Part::Clippy, false, 0, 0), row(Part::Nextest, false, 40, 3)];
        assert_eq!(closing(&rows), "40 passed, 4 failed");
    }
}
