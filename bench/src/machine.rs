//! Where and with what it was measured.

use serde::Serialize;
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

/// Libraries whose versions matter to the figures.
const NAMED: [&str; 11] = [
    "aws-lc-rs",
    "blake2",
    "chacha20poly1305",
    "libsqlite3-sys",
    "ring",
    "rusqlite",
    "rustls",
    "sha2",
    "snow",
    "tokio",
    "vodozemac",
];

/// The machine of one run.
#[derive(Debug, Serialize)]
pub(crate) struct Machine {
    processor: String,
    cores: usize,
    /// Processes that wanted to run in the last minute: above the cores, figures by the wall clock suffer.
    load: Option<f64>,
    system: String,
    /// File system of the folder that the databases were in.
    disk: String,
    date: String,
    waypost: &'static str,
    rustc: String,
    libraries: BTreeMap<String, String>,
}

impl Machine {
    pub(crate) fn look(folder: &Path) -> Self {
        Self {
            processor: processor().unwrap_or_else(|| "unknown".into()),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            load: read("/proc/loadavg").split(' ').next().and_then(|load| load.parse().ok()),
            system: format!("{} {}", std::env::consts::ARCH, read("/proc/sys/kernel/osrelease").trim()),
            disk: file_system(folder).unwrap_or_else(|| "unknown".into()),
            date: jiff::Timestamp::now().strftime("%Y-%m-%d %H:%M UTC").to_string(),
            waypost: env!("CARGO_PKG_VERSION"),
            rustc: rustc().unwrap_or_else(|| "unknown".into()),
            libraries: libraries(),
        }
    }

    pub(crate) fn to_text(&self) -> String {
        let load = self.load.map(|load| format!(", load {load:.1} at the end")).unwrap_or_default();
        let libraries: Vec<_> = self.libraries.iter().map(|(name, version)| format!("{name} {version}")).collect();
        format!(
            "{} cores of {}{load}; {}; databases on {}\n{}; waypost {}; {}\n{}",
            self.cores,
            self.processor,
            self.system,
            self.disk,
            self.date,
            self.waypost,
            self.rustc,
            libraries.join(", ")
        )
    }
}

fn read(path: &str) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}

fn processor() -> Option<String> {
    let text = read("/proc/cpuinfo");
    let line = text.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

fn rustc() -> Option<String> {
    let output = Command::new("rustc").arg("--version").output().ok()?;
    Some(String::from_utf8(output.stdout).ok()?.trim().to_owned())
}

/// The type of the mount with the longest path that leads to the folder.
fn file_system(folder: &Path) -> Option<String> {
    let folder = folder.canonicalize().ok()?;
    let mounts = read("/proc/self/mounts");
    let fields = mounts.lines().filter_map(|line| {
        let mut fields = line.split(' ').skip(1);
        Some((fields.next()?, fields.next()?))
    });
    let deepest = fields.filter(|(at, _)| folder.starts_with(at)).max_by_key(|(at, _)| at.len());
    deepest.map(|(_, kind)| kind.to_owned())
}

/// The versions that this program was built with.
fn libraries() -> BTreeMap<String, String> {
    let lock: toml::Table = toml::from_str(include_str!("../../Cargo.lock")).unwrap_or_default();
    let mut found: BTreeMap<String, String> = BTreeMap::new();
    let packages = lock.get("package").and_then(toml::Value::as_array).into_iter().flatten();
    for package in packages {
        let field = |name| package.get(name).and_then(toml::Value::as_str).unwrap_or_default();
        if NAMED.contains(&field("name")) {
            let versions = found.entry(field("name").to_owned()).or_default();
            // Some are there twice: the peer's is another generation than ours.
            let and = if versions.is_empty() { "" } else { " and " };
            versions.push_str(and);
            versions.push_str(field("version"));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_the_versions_of_all_it_names() {
        let libraries = libraries();
        assert_eq!(NAMED.map(|name| libraries.contains_key(name)), [true; NAMED.len()]);
    }
}
