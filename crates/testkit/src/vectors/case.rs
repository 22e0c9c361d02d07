//! One case of a vector file and typed access to its parts.

use serde_json::Value;
use std::fmt;

/// One test case. Its helpers take a path from the case's root, like `input.steps.0.blob`.
#[derive(Clone, Debug)]
pub struct Case {
    file: String,
    id: String,
    value: Value,
}

/// What must come of a case.
#[derive(Clone, Debug)]
pub enum Outcome<'a> {
    /// These values.
    Expect(Part<'a>),
    /// This error, as the vectors call it.
    Error(&'a str),
}

impl Case {
    pub(super) fn new(file: &str, index: usize, value: Value) -> Self {
        let id = value.get("id").and_then(Value::as_str);
        let id = id.unwrap_or_else(|| panic!("vectors {file}: case {index} has no `id`")).to_owned();
        let case = Self { file: file.to_owned(), id, value };
        case.str("clause");
        case.str("status");
        case.at("input");
        assert!(
            case.has("expect") != case.has("error"),
            "vectors {case}: needs exactly one of `expect` and `error`, has {}",
            case.root().keys()
        );
        if case.has("error") {
            case.str("error");
        }
        case
    }

    /// Its name within the file.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// What it is given.
    pub fn input(&self) -> Part<'_> {
        self.at("input")
    }

    /// What must come of it.
    pub fn outcome(&self) -> Outcome<'_> {
        match self.error() {
            Some(error) => Outcome::Error(error),
            None => Outcome::Expect(self.at("expect")),
        }
    }

    /// The values that must come of it; panics if an error must.
    pub fn expect(&self) -> Part<'_> {
        self.at("expect")
    }

    /// The error that must come of it, if one must.
    pub fn error(&self) -> Option<&str> {
        self.value.get("error").and_then(Value::as_str)
    }

    /// The whole case.
    pub fn root(&self) -> Part<'_> {
        Part { case: self, path: String::new(), value: &self.value }
    }

    /// The part at `path`, which must be there.
    pub fn at(&self, path: &str) -> Part<'_> {
        self.root().at(path)
    }

    /// Whether there is a part at `path`.
    pub fn has(&self, path: &str) -> bool {
        self.root().has(path)
    }

    /// The bytes at `path`.
    pub fn hex(&self, path: &str) -> Vec<u8> {
        self.root().hex(path)
    }

    /// The text at `path`.
    pub fn str(&self, path: &str) -> &str {
        self.root().str(path)
    }

    /// The number at `path`.
    pub fn u64(&self, path: &str) -> u64 {
        self.root().u64(path)
    }

    /// For the last arm of a runner: the case looks like nothing the runner knows.
    pub fn unknown_shape(&self) -> ! {
        let expected = self.root().opt("expect").map(|part| part.keys());
        panic!("vectors {self}: unknown shape, input {}, expect {expected:?}", self.input().keys())
    }
}

/// `file, case id`.
impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, case {}", self.file, self.id)
    }
}

/// A value within a case; its helpers take a path from here (`""` is the value itself) and panic with
/// the file, the case and the full path if the value there is not of the kind asked for. The `opt_`
/// forms take an absent or null value for `None`, never one of another kind.
#[derive(Clone, Debug)]
pub struct Part<'a> {
    case: &'a Case,
    path: String,
    value: &'a Value,
}

impl<'a> Part<'a> {
    /// The JSON value.
    pub fn value(&self) -> &'a Value {
        self.value
    }

    /// The part at `path`, which must be there.
    pub fn at(&self, path: &str) -> Part<'a> {
        self.opt(path).unwrap_or_else(|| panic!("vectors {}: no `{}` in {}", self.case, self.join(path), self.keys()))
    }

    /// The part at `path`, if it is there and not null.
    pub fn opt(&self, path: &str) -> Option<Part<'a>> {
        let mut value = self.value;
        for step in path.split('.').filter(|step| !step.is_empty()) {
            value = match value {
                Value::Object(map) => map.get(step)?,
                Value::Array(list) => list.get(step.parse::<usize>().ok()?)?,
                _ => return None,
            };
        }
        (!value.is_null()).then(|| Part { case: self.case, path: self.join(path), value })
    }

    /// Whether there is a part at `path` that is not null.
    pub fn has(&self, path: &str) -> bool {
        self.opt(path).is_some()
    }

    /// The bytes at `path`.
    pub fn hex(&self, path: &str) -> Vec<u8> {
        let part = self.at(path);
        let text = part.value.as_str().unwrap_or_else(|| part.is_not("hex"));
        hex::decode(text).unwrap_or_else(|_| part.is_not("hex"))
    }

    /// The bytes at `path`, if there.
    pub fn opt_hex(&self, path: &str) -> Option<Vec<u8>> {
        self.opt(path).map(|part| part.hex(""))
    }

    /// The `N` bytes at `path`: a key, an id.
    pub fn array<const N: usize>(&self, path: &str) -> [u8; N] {
        let bytes = self.hex(path);
        bytes.try_into().unwrap_or_else(|_| self.at(path).is_not(&format!("{N} bytes in hex")))
    }

    /// The `N` bytes at `path`, if there.
    pub fn opt_array<const N: usize>(&self, path: &str) -> Option<[u8; N]> {
        self.opt(path).map(|part| part.array(""))
    }

    /// The text at `path`.
    pub fn str(&self, path: &str) -> &'a str {
        let part = self.at(path);
        part.value.as_str().unwrap_or_else(|| part.is_not("text"))
    }

    /// The text at `path`, if there.
    pub fn opt_str(&self, path: &str) -> Option<&'a str> {
        self.opt(path).map(|part| part.str(""))
    }

    /// The number at `path`: an integer, or its decimal digits in a string as ids are written.
    pub fn u64(&self, path: &str) -> u64 {
        let part = self.at(path);
        let number = match part.value {
            Value::String(digits) => digits.parse().ok(),
            other => other.as_u64(),
        };
        number.unwrap_or_else(|| part.is_not("a u64"))
    }

    /// The number at `path`, if there.
    pub fn opt_u64(&self, path: &str) -> Option<u64> {
        self.opt(path).map(|part| part.u64(""))
    }

    /// The number at `path`, which may have a fraction: seconds, a load.
    pub fn f64(&self, path: &str) -> f64 {
        let part = self.at(path);
        part.value.as_f64().unwrap_or_else(|| part.is_not("a number"))
    }

    /// The number at `path`, if there.
    pub fn opt_f64(&self, path: &str) -> Option<f64> {
        self.opt(path).map(|part| part.f64(""))
    }

    /// The truth value at `path`.
    pub fn bool(&self, path: &str) -> bool {
        let part = self.at(path);
        part.value.as_bool().unwrap_or_else(|| part.is_not("true or false"))
    }

    /// The truth value at `path`, if there.
    pub fn opt_bool(&self, path: &str) -> Option<bool> {
        self.opt(path).map(|part| part.bool(""))
    }

    /// The elements of the list at `path`.
    pub fn list(&self, path: &str) -> Vec<Part<'a>> {
        let part = self.at(path);
        let elements = part.value.as_array().unwrap_or_else(|| part.is_not("a list"));
        elements.iter().enumerate().map(|(index, value)| part.child(&index.to_string(), value)).collect()
    }

    /// The elements of the list at `path`, if there.
    pub fn opt_list(&self, path: &str) -> Option<Vec<Part<'a>>> {
        self.opt(path).map(|part| part.list(""))
    }

    /// The named values of the object at `path`, sorted by name.
    pub fn entries(&self, path: &str) -> Vec<(&'a str, Part<'a>)> {
        let part = self.at(path);
        let map = part.value.as_object().unwrap_or_else(|| part.is_not("an object"));
        map.iter().map(|(name, value)| (name.as_str(), part.child(name, value))).collect()
    }

    /// Checks that this object has no names but these, so that nothing a case says goes unread.
    ///
    /// # Panics
    /// With the unknown name.
    pub fn only(&self, names: &[&str]) -> &Self {
        for (name, part) in self.entries("") {
            assert!(names.contains(&name), "vectors {}: `{}` is not known here", self.case, part.path);
        }
        self
    }

    /// For the last arm of a match on a part: it is none of the forms the runner knows.
    pub fn unknown_shape(&self) -> ! {
        panic!("vectors {}: unknown shape of `{}`, {}", self.case, self.path, self.keys())
    }

    fn is_not(&self, what: &str) -> ! {
        panic!("vectors {}: `{}` is not {what}: {}", self.case, self.path, self.keys())
    }

    fn child(&self, name: &str, value: &'a Value) -> Part<'a> {
        Part { case: self.case, path: self.join(name), value }
    }

    fn join(&self, path: &str) -> String {
        match (self.path.is_empty(), path.is_empty()) {
            (true, _) => path.to_owned(),
            (_, true) => self.path.clone(),
            _ => format!("{}.{path}", self.path),
        }
    }

    /// What is here, short enough for a message.
    pub(super) fn keys(&self) -> String {
        match self.value {
            Value::Object(map) => format!("an object of {:?}", map.keys().collect::<Vec<_>>()),
            Value::Array(list) => format!("a list of {}", list.len()),
            other => other.to_string().chars().take(80).collect(),
        }
    }
}

/// `file, case id, path`.
impl fmt::Display for Part<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, `{}`", self.case, self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::panic::{AssertUnwindSafe, catch_unwind};

    fn case() -> Case {
        let value = json!({
            "id": "one", "clause": "C-1", "status": "ours",
            "input": { "key": "00ff", "big": u64::MAX, "id": "18446744073709551615", "t": 0.5, "none": null,
                       "steps": [{ "flag": true }, null] },
            "expect": { "text": "hi" },
        });
        Case::new("test/file.json", 0, value)
    }

    fn message<T>(run: impl FnOnce(&Case) -> T) -> String {
        let case = case();
        let Err(panic) = catch_unwind(AssertUnwindSafe(|| drop(run(&case)))) else { panic!("nothing went wrong") };
        *panic.downcast::<String>().expect("a message")
    }

    #[test]
    fn gives_typed_values_by_path() {
        let case = case();
        assert_eq!(case.hex("input.key"), [0, 255]);
        assert_eq!(case.input().array("key"), [0, 255]);
        assert_eq!((case.u64("input.big"), case.u64("input.id")), (u64::MAX, u64::MAX));
        assert_eq!(case.input().f64("t"), 0.5);
        assert!(case.input().bool("steps.0.flag"));
        assert_eq!(case.input().list("steps").len(), 2);
        assert_eq!(case.expect().opt_str("text"), Some("hi"));
        assert_eq!(case.input().opt_hex("none"), None);
        assert!(matches!(case.outcome(), Outcome::Expect(part) if part.str("text") == "hi"));
    }

    #[test]
    fn names_file_case_and_path_of_what_does_not_fit() {
        assert!(message(|case| case.hex("expect.text")).contains("test/file.json, case one: `expect.text` is not hex"));
        assert!(message(|case| case.input().array::<3>("key")).contains("`input.key` is not 3 bytes"));
        assert!(message(|case| case.input().opt_u64("t")).contains("`input.t` is not a u64"));
        assert!(message(|case| case.str("input.no").len()).contains("no `input.no`"));
        assert!(
            message(|case| {
                case.expect().only(&["other"]);
            })
            .contains("`expect.text` is not known here")
        );
        assert!(message(|case| -> () { case.unknown_shape() }).contains("\"steps\""));
    }
}
