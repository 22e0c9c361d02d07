//! No file too long, no file without a noun.

use crate::{parts::Findings, workspace::Workspace};
use anyhow::{Context, Result};
use std::{fs, path::Path};

/// Lines of a file from which on it smells, and above which it fails.
const FILE: (usize, usize) = (600, 1000);
/// Lines of a function above which it smells.
const FUNCTION: usize = 100;
/// Lines of the whole vocabulary.
const CORE: usize = 1500;
/// Names that say nothing about what is inside.
const NAMELESS: [&str; 8] = ["mod", "util", "utils", "common", "helper", "helpers", "misc", "shared"];

/// Looks at every source.
pub(crate) fn check(workspace: &Workspace) -> Result<(Findings, String)> {
    let mut findings = Findings::default();
    let (mut files, mut total, mut core) = (0, 0, 0);
    for path in workspace.sources()? {
        let file = workspace.root.join(&path);
        let text = fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
        let lines = look(&path, &text, &mut findings);
        files += 1;
        total += lines;
        if path.starts_with("crates/core/src") {
            core += lines;
        }
    }
    if core > CORE {
        findings.error(format!("crates/core has {core} lines, {CORE} are the most"));
    }
    Ok((findings, format!("{files} files, {total} lines, {core} of them in core")))
}

/// The lines of one file.
fn look(path: &Path, text: &str, findings: &mut Findings) -> usize {
    let lines = text.lines().count();
    let shown = path.display();
    if lines > FILE.1 {
        findings.error(format!("{shown} has {lines} lines, {} are the most: split it by noun", FILE.1));
    } else if lines > FILE.0 {
        findings.warn(format!("{shown} has {lines} lines: more than {} smell", FILE.0));
    }
    let stems = path.components().filter_map(|part| Path::new(part.as_os_str()).file_stem()?.to_str());
    for stem in stems.filter(|stem| NAMELESS.contains(stem)) {
        findings.error(format!("{shown}: `{stem}` says nothing; name the noun it holds"));
    }
    for (line, length) in functions(text).into_iter().filter(|(_, length)| *length > FUNCTION) {
        findings.warn(format!("{shown}:{line}: a function of {length} lines"));
    }
    lines
}

/// Line and length of every function, in a file that rustfmt has formatted: it ends at the first
/// closing brace as deep as it began.
fn functions(text: &str) -> Vec<(usize, usize)> {
    let lines: Vec<&str> = text.lines().collect();
    let starts = lines.iter().enumerate().filter(|(_, line)| {
        let mut words = line.split_whitespace().take_while(|word| !word.starts_with("//"));
        words.find(|word| !MODIFIERS.contains(word) && !word.starts_with("pub")) == Some("fn")
    });
    let ended = starts.filter_map(|(start, line)| {
        let indent = line.len() - line.trim_start().len();
        let end = format!("{}}}", " ".repeat(indent));
        let length = lines.iter().skip(start).position(|line| *line == end)? + 1;
        Some((start + 1, length))
    });
    ended.collect()
}

/// What may stand before `fn`, besides `pub`.
const MODIFIERS: [&str; 4] = ["const", "async", "crate)", "super)"];

#[cfg(test)]
mod tests {
    use super::*;

    fn look_at(path: &str, text: &str) -> Findings {
        let mut findings = Findings::default();
        look(Path::new(path), text, &mut findings);
        findings
    }

    #[test]
    fn warns_of_a_long_file_and_refuses_a_longer_one() {
        assert!(look_at("src/a.rs", &"x\n".repeat(600)).warnings.is_empty());
        assert_eq!(look_at("src/a.rs", &"x\n".repeat(601)).warnings.len(), 1);
        assert_eq!(look_at("src/a.rs", &"x\n".repeat(1001)).errors.len(), 1);
    }

    #[test]
    fn refuses_names_that_say_nothing() {
        assert_eq!(look_at("crates/core/src/mod.rs", "").errors.len(), 1);
        assert_eq!(look_at("crates/net/src/util/bytes.rs", "").errors.len(), 1);
        assert!(look_at("crates/net/src/model.rs", "").errors.is_empty());
    }

    #[test]
    fn warns_of_a_long_function() {
        let long = format!("impl A {{\n    pub(crate) async fn b() {{\n{}    }}\n}}\n", "        x;\n".repeat(99));
        assert_eq!(functions(&long), [(2, 101)]);
        assert_eq!(look_at("a.rs", &long).warnings.len(), 1);
        assert!(look_at("a.rs", "fn a() {\n}\n// fn b() {\n").warnings.is_empty());
    }
}
