//! The clause tables of the profiles and the ledgers beside them.

use crate::table;
use anyhow::{Context, Result, bail};
use std::collections::BTreeMap;
use toml::{Table, Value};

/// What a ledger says about a clause.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Entry {
    /// These tests prove it, each as the test runner shows it: `package::binary module::test`.
    Tests(Vec<String>),
    /// It comes later, for this reason.
    Later(String),
}

/// The ids in the first column of a profile's tables, in order.
pub(crate) fn of_profile(text: &str) -> Vec<String> {
    let first = text.lines().filter_map(table::cells).filter_map(|cells| cells.into_iter().next());
    first.filter(|cell| is_clause(cell)).collect()
}

/// The rows of a ledger: `"SR-1.1" = ["test", ..]` or `"SR-1.1" = { later = "reason" }`.
pub(crate) fn of_ledger(text: &str) -> Result<BTreeMap<String, Entry>> {
    let table: Table = text.parse()?;
    table.into_iter().map(|(clause, value)| Ok((clause.clone(), entry(value).with_context(|| clause)?))).collect()
}

fn entry(value: Value) -> Result<Entry> {
    const FORM: &str = "a row is a list of tests or { later = \"reason\" }";
    match value {
        Value::Array(tests) => {
            let tests = tests.into_iter().map(|test| test.as_str().map(str::to_owned).context(FORM));
            Ok(Entry::Tests(tests.collect::<Result<_>>()?))
        }
        Value::Table(table) if table.len() == 1 => {
            let reason = table.get("later").and_then(Value::as_str).context(FORM)?;
            Ok(Entry::Later(reason.trim().to_owned()))
        }
        _ => bail!(FORM),
    }
}

/// `SR-1.1`: two or more capitals, a hyphen, and a number or letter.
fn is_clause(cell: &str) -> bool {
    cell.split_once('-').is_some_and(|(protocol, number)| {
        protocol.len() >= 2
            && protocol.chars().all(|letter| letter.is_ascii_uppercase())
            && number.starts_with(|letter: char| letter.is_ascii_alphanumeric())
            && number.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '.')
            && number.chars().any(|letter| letter.is_ascii_digit())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_clauses_of_a_profile() {
        let text = "| id | the seed asks |\n|---|---|\n| SR-3.1.2a | x |\n| SR-A1 | y |\n| TEXT | z |\ntext SR-9.9\n";
        assert_eq!(of_profile(text), ["SR-3.1.2a", "SR-A1"]);
    }

    #[test]
    fn reads_both_forms_of_a_row() {
        let rows = of_ledger("\"SR-1.1\" = [\"core a::b\"]\n\"SR-7.1\" = { later = \" relay \" }\n").unwrap();
        assert_eq!(rows.get("SR-1.1"), Some(&Entry::Tests(vec!["core a::b".into()])));
        assert_eq!(rows.get("SR-7.1"), Some(&Entry::Later("relay".into())));
    }

    #[test]
    fn refuses_any_other_form() {
        for row in ["1", "\"done\"", "[1]", "{ done = \"yes\" }", "{ later = \"x\", tests = [] }"] {
            assert!(of_ledger(&format!("\"SR-1.1\" = {row}\n")).is_err(), "{row}");
        }
    }
}
