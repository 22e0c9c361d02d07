//! The fuzz targets, one after the other.
//!
//! A target's body is an ordinary function in `fuzz/targets`; `fuzz/` wraps each for libFuzzer. The
//! seeds in `fuzz/corpus/TARGET` are never written to: what a run finds is kept in the target folder,
//! and the next run goes on from there.

use crate::{install, process, table, workspace::Workspace};
use anyhow::{Context, Result, bail};
use clap::Args;
use std::{fs, path::Path};

/// Which and how long.
#[derive(Args)]
pub(crate) struct Options {
    /// Only this target.
    target: Option<String>,
    /// How long each runs.
    #[arg(long, default_value_t = 60)]
    seconds: u32,
    /// Show the targets, run none.
    #[arg(long)]
    list: bool,
}

/// What a run of one target came to.
#[derive(Debug, Default, PartialEq, Eq)]
struct Figures {
    runs: Option<u64>,
    covered: Option<u64>,
    corpus: Option<String>,
}

/// Runs the targets; whether none found a fault.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<bool> {
    let mut targets = targets(&workspace.root.join("fuzz/fuzz_targets"))?;
    if let Some(wanted) = &options.target {
        targets.retain(|target| target == wanted);
        if targets.is_empty() {
            bail!("there is no target {wanted}; cargo xtask fuzz --list shows them");
        }
    }
    if options.list {
        println!("{}", targets.join("\n"));
        return Ok(true);
    }
    install::build_needs()?;
    install::FUZZ.ensure(workspace)?;
    // The same versions of the dependencies as in the workspace.
    fs::copy(workspace.root.join("Cargo.lock"), workspace.root.join("fuzz/Cargo.lock"))?;
    let mut rows = Vec::new();
    let mut all_held = true;
    for target in &targets {
        let (held, figures) = one(workspace, target, options.seconds)?;
        all_held &= held;
        let shown = |figure: Option<u64>| figure.map_or("-".into(), |figure| figure.to_string());
        let result = if held { "ok" } else { "FAILED" };
        rows.push(vec![
            target.clone(),
            result.into(),
            shown(figures.runs),
            shown(figures.covered),
            figures.corpus.unwrap_or("-".into()),
        ]);
    }
    println!("\n{}", table::draw(&["target", "result", "runs", "edges", "corpus"], &rows, &[2, 3, 4]));
    if !all_held {
        println!("The input that failed is in fuzz/artifacts/TARGET: once mended, keep it in fuzz/corpus/TARGET.");
    }
    Ok(all_held)
}

fn one(workspace: &Workspace, target: &str, seconds: u32) -> Result<(bool, Figures)> {
    eprintln!("\n===== fuzz {target}");
    let found_folder = workspace.target.join("fuzz-corpus").join(target);
    fs::create_dir_all(&found_folder)?;
    let mut fuzz = workspace.cargo(["fuzz", "run", "--target-dir"]);
    // Sanitizers and coverage are unstable flags: let the one toolchain take them.
    fuzz.env("RUSTC_BOOTSTRAP", "1").arg(workspace.target.join("fuzz")).arg(target).arg(&found_folder);
    fuzz.arg(workspace.root.join("fuzz/corpus").join(target)).arg("--");
    fuzz.arg(format!("-max_total_time={seconds}")).args(["-timeout=10", "-rss_limit_mb=2048"]);
    let mut figures = Figures::default();
    let status = process::watched(fuzz, |line| figures.read(line))?;
    Ok((status.success(), figures))
}

impl Figures {
    /// Takes what a line of libFuzzer tells; whether a person wants to see it.
    fn read(&mut self, line: &str) -> bool {
        let words: Vec<&str> = line.split_whitespace().collect();
        let after = |name: &str| words.iter().skip_while(|word| **word != name).nth(1).copied();
        if let Some(runs) = line.strip_prefix("Done ").and_then(|rest| rest.split_once(" runs")) {
            self.runs = runs.0.parse().ok();
        }
        if line.starts_with('#') {
            self.covered = after("cov:").and_then(|count| count.parse().ok()).or(self.covered);
            self.corpus = after("corp:").map(str::to_owned).or(self.corpus.take());
        }
        // Each input that reached something new has a line: thousands.
        !(line.starts_with('#') && words.get(1).is_some_and(|what| ["NEW", "REDUCE", "RELOAD"].contains(what)))
    }
}

/// The names of the binaries.
fn targets(folder: &Path) -> Result<Vec<String>> {
    let entries = fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let mut names = Vec::new();
    for entry in entries {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "rs") {
            names.extend(path.file_stem().map(|stem| stem.to_string_lossy().into_owned()));
        }
    }
    names.sort();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_the_fuzzer_tells() {
        let mut figures = Figures::default();
        assert!(!figures.read("#7\tREDUCE cov: 1 ft: 1 corp: 1/1b"));
        figures.read("#1048576\tpulse  cov: 262 ft: 580 corp: 54/1273b lim: 4096 exec/s: 524288 rss: 459Mb");
        assert!(figures.read("Done 2000000 runs in 4 second(s)"));
        let expected = Figures { runs: Some(2_000_000), covered: Some(262), corpus: Some("54/1273b".into()) };
        assert_eq!(figures, expected);
    }
}
