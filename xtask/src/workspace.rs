//! The workspace as cargo sees it.

use crate::process;
use anyhow::{Context, Result};
use serde_json::Value;
use std::{
    env,
    ffi::OsString,
    path::{Path, PathBuf},
    process::Command,
};

/// The workspace as cargo sees it.
pub(crate) struct Workspace {
    /// The folder of the root `Cargo.toml`.
    pub(crate) root: PathBuf,
    /// Where cargo builds, and where our tools and caches are kept.
    pub(crate) target: PathBuf,
    /// The members.
    pub(crate) packages: Vec<Package>,
}

/// One member of the workspace.
pub(crate) struct Package {
    /// Its name for cargo, like `waypost-core`.
    pub(crate) name: String,
    /// Its folder from the root, without `crates/`: `core`, `xtask`, `fuzz/targets`.
    pub(crate) folder: String,
    /// Its folder.
    pub(crate) path: PathBuf,
    /// What it names in its manifest.
    pub(crate) dependencies: Vec<Dependency>,
}

/// One line of a manifest's dependencies.
pub(crate) struct Dependency {
    /// The package's name.
    pub(crate) name: String,
    /// Whether only tests, examples and benchmarks use it.
    pub(crate) dev: bool,
}

impl Workspace {
    /// Asks cargo.
    pub(crate) fn load() -> Result<Self> {
        // As cargo says now: the program may have been built in another checkout.
        let here = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").context("run it by `cargo xtask`")?);
        let mut command = cargo(here.parent().context("xtask has no folder above it")?);
        command.args(["metadata", "--no-deps", "--format-version", "1"]);
        let metadata: Value = serde_json::from_str(&process::output(&mut command)?)?;
        let root = PathBuf::from(text(&metadata, "workspace_root")?);
        let target = PathBuf::from(text(&metadata, "target_directory")?);
        let packages = list(&metadata, "packages")?.iter().map(|package| Package::read(package, &root));
        Ok(Self { packages: packages.collect::<Result<_>>()?, root, target })
    }

    /// Cargo in the root folder, with the tools we installed in its path.
    pub(crate) fn cargo<const N: usize>(&self, arguments: [&str; N]) -> Command {
        let mut command = cargo(&self.root);
        command.args(arguments).env("PATH", self.search_path());
        command
    }

    /// Where the tools are that we installed ourselves.
    pub(crate) fn tools(&self) -> PathBuf {
        self.target.join("tools")
    }

    /// The search path with our tools in front.
    pub(crate) fn search_path(&self) -> OsString {
        let old = env::var_os("PATH").unwrap_or_default();
        let folders = std::iter::once(self.tools().join("bin")).chain(env::split_paths(&old));
        env::join_paths(folders).unwrap_or(old)
    }

    /// The package called `name`.
    pub(crate) fn package(&self, name: &str) -> Option<&Package> {
        self.packages.iter().find(|package| package.name == name)
    }

    /// The Rust sources that belong to the project, from the root, tracked or about to be.
    pub(crate) fn sources(&self) -> Result<Vec<PathBuf>> {
        let mut git = Command::new("git");
        git.current_dir(&self.root).args(["ls-files", "--cached", "--others", "--exclude-standard", "*.rs"]);
        let listed = process::output(&mut git)?;
        let mut files: Vec<PathBuf> = listed.lines().map(PathBuf::from).collect();
        files.retain(|file| self.root.join(file).is_file());
        files.sort();
        files.dedup();
        Ok(files)
    }
}

impl Package {
    fn read(package: &Value, root: &Path) -> Result<Self> {
        let manifest = PathBuf::from(text(package, "manifest_path")?);
        let path = manifest.parent().context("a manifest without a folder")?.to_path_buf();
        let folder = path.strip_prefix(root)?.to_string_lossy().into_owned();
        let dependencies = list(package, "dependencies")?.iter().map(|dependency| {
            let dev = dependency.get("kind").and_then(Value::as_str) == Some("dev");
            Ok(Dependency { name: text(dependency, "name")?.to_owned(), dev })
        });
        Ok(Self {
            name: text(package, "name")?.to_owned(),
            folder: folder.strip_prefix("crates/").unwrap_or(&folder).to_owned(),
            dependencies: dependencies.collect::<Result<_>>()?,
            path,
        })
    }
}

/// Cargo in `folder`, without what the outer cargo told us about our own package: build scripts
/// that watch such variables would run again at each turn.
fn cargo(folder: &Path) -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(folder);
    for (name, _) in env::vars_os() {
        let name_text = name.to_string_lossy();
        if name_text.starts_with("CARGO_PKG_") || name_text.starts_with("CARGO_MANIFEST_") {
            command.env_remove(&name);
        }
    }
    command
}

fn text<'v>(value: &'v Value, name: &str) -> Result<&'v str> {
    value.get(name).and_then(Value::as_str).with_context(|| format!("cargo metadata gave no {name}"))
}

fn list<'v>(value: &'v Value, name: &str) -> Result<&'v Vec<Value>> {
    value.get(name).and_then(Value::as_array).with_context(|| format!("cargo metadata gave no {name}"))
}
