//! What the parts need and a bare machine lacks: cargo's tools and Debian's packages.

use crate::{parts::found, process, workspace::Workspace};
use anyhow::{Context, Result, bail};
use std::{fs, process::Command, sync::Mutex};

/// A tool that cargo installs.
pub(crate) struct Tool {
    /// Its package and binary.
    name: &'static str,
    /// What makes it print `name version`.
    ask: &'static [&'static str],
    /// The version we install, and the oldest one we take.
    version: &'static str,
}

/// The test runner.
pub(crate) const NEXTEST: Tool = Tool { name: "cargo-nextest", ask: &["nextest", "--version"], version: "0.9.143" };
/// Licences, sources and advisories of the dependencies.
pub(crate) const DENY: Tool = Tool { name: "cargo-deny", ask: &["--version"], version: "0.20.2" };
/// Builds and runs fuzz targets.
pub(crate) const FUZZ: Tool = Tool { name: "cargo-fuzz", ask: &["--version"], version: "0.13.2" };

/// Something to find on the machine, and Debian's package that brings it.
type Need = (&'static str, &'static str);

/// For building: OpenSSL below SQLCipher wants the last two.
const BUILD: [Need; 4] = [("cc", "gcc"), ("c++", "g++"), ("make", "make"), ("perl", "perl")];
/// For tests between networks of their own.
const NETWORKS: [Need; 1] = [("ip", "iproute2")];
/// The broker that peers of ProofPeer meet by in tests.
const BROKERS: [Need; 1] = [("mosquitto", "mosquitto")];
/// Servers that the relay is measured beside.
const SERVERS: [Need; 2] = [("mosquitto", "mosquitto"), ("prosody", "prosody")];
/// Tunnels that a framelink is measured beside.
const TUNNELS: [Need; 2] = [("spiped", "spiped"), ("stunnel4", "stunnel4")];
/// For the independent peers.
const PEERS: [Need; 1] = [("python3", "python3")];

impl Tool {
    /// Installs it where neither the machine nor we have it, or only an older one.
    pub(crate) fn ensure(&self, workspace: &Workspace) -> Result<()> {
        let mut ask = Command::new(self.name);
        ask.args(self.ask).env("PATH", workspace.search_path());
        let there = ask.output().ok().and_then(|output| version(&String::from_utf8_lossy(&output.stdout)));
        if there >= version(self.version) {
            return Ok(());
        }
        build_needs()?;
        eprintln!("      installing {} {} (some minutes, once)", self.name, self.version);
        let mut install = workspace.cargo(["install", "--locked", "--force", "--root"]);
        install.arg(workspace.tools()).arg(format!("{}@{}", self.name, self.version));
        // It runs for seconds: an optimised build would cost more than it gives back.
        install.env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "1").env("CARGO_PROFILE_RELEASE_LTO", "off");
        install.env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16").env("CARGO_PROFILE_RELEASE_DEBUG", "false");
        install.env("CARGO_TARGET_DIR", workspace.tools().join("build")).env_remove("RUSTFLAGS");
        process::must(&mut install)?;
        fs::remove_dir_all(workspace.tools().join("build")).context("cannot clear the build of a tool")
    }
}

/// Compilers and the like.
pub(crate) fn build_needs() -> Result<()> {
    debian(&BUILD)
}

/// What makes and removes network namespaces.
pub(crate) fn networks() -> Result<()> {
    debian(&NETWORKS)
}

/// What some tests talk by.
pub(crate) fn brokers() -> Result<()> {
    debian(&BROKERS)
}

/// What the independent peers in `interop/` are started with; their tests install the rest themselves.
pub(crate) fn peers(workspace: &Workspace) -> Result<()> {
    if !workspace.root.join("interop").is_dir() {
        return Ok(());
    }
    debian(&PEERS)?;
    // Debian's Python comes without what makes a working environment.
    if process::answers(Command::new("python3").args(["-c", "import ensurepip, venv"])) {
        return Ok(());
    }
    apt(&["python3-venv"])
}

/// What a benchmark measures beside; it goes on without what is missing, and says so.
pub(crate) fn benchmark(arguments: &[String]) {
    let needs = match arguments.first().map(String::as_str) {
        Some("relay") => SERVERS,
        Some("framelink") => TUNNELS,
        _ => return,
    };
    if let Err(error) = debian(&needs) {
        eprintln!("warning: {error:#}");
    }
}

/// Installs the packages of the needs that the machine lacks.
fn debian(needs: &[Need]) -> Result<()> {
    let missing: Vec<&str> = needs.iter().filter(|(program, _)| !found(program)).map(|(_, package)| *package).collect();
    if missing.is_empty() { Ok(()) } else { apt(&missing) }
}

fn apt(packages: &[&str]) -> Result<()> {
    static UPDATED: Mutex<bool> = Mutex::new(false);

    let by_hand = format!("install by hand: {}", packages.join(" "));
    if !found("apt-get") {
        bail!("no apt-get here; {by_hand}");
    }
    eprintln!("      installing Debian's {}", packages.join(", "));
    let mut updated = UPDATED.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    if !*updated {
        process::must(Command::new("apt-get").args(["update", "--quiet"])).with_context(|| by_hand.clone())?;
        *updated = true;
    }
    let mut install = Command::new("apt-get");
    install.env("DEBIAN_FRONTEND", "noninteractive").args(["install", "--quiet", "--yes", "--no-install-recommends"]);
    process::must(install.args(packages)).context(by_hand)
}

/// The first word that looks like `1.2.3`, as numbers.
fn version(text: &str) -> Option<Vec<u64>> {
    text.split_whitespace().find_map(|word| {
        let numbers = word.split('.').map(|number| number.parse().ok()).collect::<Option<Vec<u64>>>()?;
        (numbers.len() == 3).then_some(numbers)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compares_versions_as_numbers() {
        assert!(version("cargo-nextest 0.9.143 (60fa45f63 2026-08-04)") > version("0.9.99"));
        assert!(version("cargo-deny 0.20.2") >= version("0.20.2"));
        assert!(version("no such thing") < version("0.0.0"));
    }
}
