//! Test vectors: files of cases with an input and what must come of it.
//!
//! They lie in `vectors/<protocol>/<file>` of the repository, or in another folder of the same form
//! that `WAYPOST_VECTORS` names (a relative path counts from the repository's root). Whatever is not
//! understood panics with the file and the case, so that no case is ever passed over in silence.

mod case;

pub use case::{Case, Outcome, Part};

use serde_json::Value;
use std::{collections::BTreeSet, fs, path::PathBuf};

/// All cases of one file, in its order.
///
/// # Panics
/// If the file is missing, holds no case, is not `{protocol, about, source, cases}`, or has a case
/// without exactly one of `expect` and `error`.
pub fn load(protocol: &str, file: &str) -> Vec<Case> {
    let path = folder(protocol).join(file);
    let text = fs::read_to_string(&path).unwrap_or_else(|fault| panic!("vectors {}: {fault}", path.display()));
    parse(&format!("{protocol}/{file}"), &text)
}

/// The names of all `*.json` files of one protocol, sorted.
///
/// # Panics
/// If the folder is missing or holds none.
pub fn files(protocol: &str) -> Vec<String> {
    let folder = folder(protocol);
    let listing = fs::read_dir(&folder).unwrap_or_else(|fault| panic!("vectors {}: {fault}", folder.display()));
    let names = listing.map(|entry| entry.expect("a listed file").file_name().into_string().expect("a UTF-8 name"));
    let mut names: Vec<_> = names.filter(|name| name.ends_with(".json")).collect();
    assert!(!names.is_empty(), "vectors {}: no *.json files", folder.display());
    names.sort();
    names
}

/// Checks that `runners` names every file of the protocol, and only files that are there.
///
/// # Panics
/// With the names that differ.
pub fn assert_all_files_have_runners(protocol: &str, runners: &[&str]) {
    let files: BTreeSet<String> = files(protocol).into_iter().collect();
    let runners: BTreeSet<String> = runners.iter().map(|&name| name.to_owned()).collect();
    let unread: Vec<_> = files.difference(&runners).collect();
    let missing: Vec<_> = runners.difference(&files).collect();
    assert!(
        unread.is_empty() && missing.is_empty(),
        "vectors of {protocol}: files without a runner {unread:?}, runners without a file {missing:?}"
    );
}

/// A file as it is, for those to whom the order of members means something.
///
/// # Panics
/// If it cannot be read.
pub fn raw(protocol: &str, file: &str) -> Vec<u8> {
    let path = folder(protocol).join(file);
    fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Where the vectors of one protocol lie.
pub fn folder(protocol: &str) -> PathBuf {
    // As the test runner says now: a test may have been built in another checkout.
    let package = PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").expect("CARGO_MANIFEST_DIR: run it by cargo"));
    let root = package.ancestors().find(|folder| folder.join("vectors").is_dir()).expect("a folder with vectors");
    match std::env::var_os("WAYPOST_VECTORS") {
        Some(other) => root.join(other).join(protocol),
        None => root.join("vectors").join(protocol),
    }
}

fn parse(file: &str, text: &str) -> Vec<Case> {
    let top: Value = serde_json::from_str(text).unwrap_or_else(|fault| panic!("vectors {file}: {fault}"));
    let Value::Object(mut top) = top else { panic!("vectors {file}: not an object") };
    let cases = top.remove("cases");
    for key in ["protocol", "about", "source"] {
        assert!(matches!(top.remove(key), Some(Value::String(_))), "vectors {file}: `{key}` is not a string");
    }
    assert!(top.is_empty(), "vectors {file}: unknown keys {:?}", top.keys().collect::<Vec<_>>());
    let Some(Value::Array(cases)) = cases else { panic!("vectors {file}: `cases` is not a list") };
    assert!(!cases.is_empty(), "vectors {file}: no cases");
    let cases: Vec<_> = cases.into_iter().enumerate().map(|(index, value)| Case::new(file, index, value)).collect();
    let ids: BTreeSet<_> = cases.iter().map(Case::id).collect();
    assert_eq!(ids.len(), cases.len(), "vectors {file}: two cases of one id");
    cases
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::panic::catch_unwind;

    fn file(cases: &str) -> String {
        format!(r#"{{"protocol":"TEST","about":"a test","source":"by hand","cases":[{cases}]}}"#)
    }

    fn refusal(text: &str) -> String {
        let text = text.to_owned();
        let panic = catch_unwind(|| parse("test/file.json", &text)).expect_err("a refusal");
        *panic.downcast::<String>().expect("a message")
    }

    #[test]
    fn loads_every_file_of_the_repository() {
        for protocol in ["sremp"] {
            for file in files(protocol) {
                assert!(!load(protocol, &file).is_empty());
            }
        }
    }

    #[test]
    fn refuses_what_it_does_not_know_and_names_the_place() {
        let case = r#"{"id":"one","clause":"C-1","status":"ours","input":{}"#;
        assert!(refusal("[]").contains("not an object"));
        assert!(refusal("").contains("test/file.json"));
        assert!(refusal(&file("")).contains("no cases"));
        assert!(refusal(&file("1")).contains("case 0"));
        assert!(refusal(&file(&format!("{case}}}"))).contains("one of `expect` and `error`"));
        assert!(refusal(&file(&format!(r#"{case},"expect":1,"error":"x"}}"#))).contains("test/file.json, case one"));
        assert!(refusal(&file(&format!(r#"{case},"error":7}}"#))).contains("case one"));
        assert!(refusal(&file(&format!(r#"{case},"error":"x"}},{case},"error":"x"}}"#))).contains("two cases"));
        assert!(refusal(&file("").replace(r#""cases""#, r#""more":1,"cases""#)).contains("more"));
        assert!(refusal(&file("").replace("about", "above")).contains("about"));
    }

    #[test]
    fn notices_a_file_without_a_runner() {
        let files = files("sremp");
        let all: Vec<_> = files.iter().map(String::as_str).collect();
        assert_all_files_have_runners("sremp", &all);
        let fewer = catch_unwind(|| assert_all_files_have_runners("sremp", &all[1..]));
        assert!(fewer.expect_err("a refusal").downcast::<String>().expect("a message").contains(&files[0]));
    }
}
