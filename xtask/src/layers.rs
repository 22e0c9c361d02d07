//! Arrows between the crates point down, and each crate bans what its floor bans.
//!
//! The floors are read from two tables of `ARCHITECTURE.md`: `| floor | crates | bans | .. |` and
//! `| library | only in | .. |`. The `clippy.toml` of a crate is put together from the pieces in
//! `xtask/clippy`, because clippy reads only the nearest one.

use crate::{
    parts::Findings,
    table,
    workspace::{Package, Workspace},
};
use anyhow::{Context, Result, bail};
use std::{collections::BTreeMap, fs, path::PathBuf};

/// Where a crate stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Floor {
    /// A floor of the house; only lower ones are seen.
    House(u32),
    /// A crate that tests use and that sees only floor 0.
    Test,
    /// A crate of the workshop; sees all, is seen by none.
    Workshop,
}

/// The house as `ARCHITECTURE.md` draws it.
#[derive(Debug, Default)]
struct Plan {
    /// Floor and bans of each crate, by folder.
    crates: BTreeMap<String, (Floor, String)>,
    /// Libraries that only some crates name.
    kept: BTreeMap<String, Vec<String>>,
}

/// Checks arrows and bans.
pub(crate) fn check(workspace: &Workspace) -> Result<(Findings, String)> {
    let plan = Plan::load(workspace)?;
    let mut findings = Findings::default();
    let mut arrows = 0;
    for package in &workspace.packages {
        arrows += plan.check(workspace, package, &mut findings);
    }
    for (file, wanted) in plan.bans(workspace)? {
        if fs::read_to_string(workspace.root.join(&file)).ok().as_ref() != Some(&wanted) {
            findings
                .error(format!("{} is not what xtask/clippy makes: run cargo xtask layers --write", file.display()));
        }
    }
    Ok((findings, format!("{} crates, {arrows} arrows", workspace.packages.len())))
}

/// Writes the `clippy.toml` of each crate.
pub(crate) fn write(workspace: &Workspace) -> Result<()> {
    for (file, wanted) in Plan::load(workspace)?.bans(workspace)? {
        fs::write(workspace.root.join(&file), wanted)?;
        println!("wrote {}", file.display());
    }
    Ok(())
}

impl Plan {
    fn load(workspace: &Workspace) -> Result<Self> {
        let file = workspace.root.join("ARCHITECTURE.md");
        Self::read(&fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?)
    }

    fn read(text: &str) -> Result<Self> {
        let mut plan = Self::default();
        let mut head = String::new();
        for line in text.lines() {
            let Some(cells) = table::cells(line) else {
                head.clear();
                continue;
            };
            let [first, second, third, ..] = cells.as_slice() else { continue };
            match head.as_str() {
                "" => head.clone_from(first),
                _ if first.chars().all(|letter| letter == '-') => {}
                "floor" => {
                    let floor = Floor::read(first)?;
                    for name in names(second) {
                        plan.crates.insert(name, (floor, third.clone()));
                    }
                }
                "library" => {
                    plan.kept.insert(first.trim_matches('`').to_owned(), names(second));
                }
                _ => {}
            }
        }
        if plan.crates.is_empty() || plan.kept.is_empty() {
            bail!("ARCHITECTURE.md lacks its table of floors or of libraries");
        }
        Ok(plan)
    }

    /// The arrows of one crate; how many go to other crates of ours.
    fn check(&self, workspace: &Workspace, package: &Package, findings: &mut Findings) -> usize {
        let Some((from, _)) = self.crates.get(&package.folder) else {
            findings.error(format!("{} is on no floor: add it to the table in ARCHITECTURE.md", package.folder));
            return 0;
        };
        let mut arrows = 0;
        for dependency in &package.dependencies {
            if let Some(other) = workspace.package(&dependency.name) {
                arrows += 1;
                let to = self.crates.get(&other.folder).map(|(floor, _)| *floor);
                if to.is_some_and(|to| !from.sees(to, dependency.dev)) {
                    findings.error(format!("{} may not use {}: arrows point down", package.folder, other.folder));
                }
            } else if let Some(homes) = self.kept.get(&dependency.name)
                && matches!(from, Floor::House(_))
                && !dependency.dev
                && !homes.contains(&package.folder)
            {
                let homes = if homes.is_empty() { "tests".into() } else { homes.join(", ") };
                findings.error(format!("{} may not use {}: it is kept in {homes}", package.folder, dependency.name));
            }
        }
        arrows
    }

    /// Each `clippy.toml` from the root, and what it must say.
    fn bans(&self, workspace: &Workspace) -> Result<BTreeMap<PathBuf, String>> {
        let pieces = workspace.root.join("xtask/clippy");
        let piece = |name: &str| {
            let file = pieces.join(name).with_extension("toml");
            fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))
        };
        let made = |bans: &str| -> Result<String> {
            let head = format!("# Made from xtask/clippy/{{all,{bans}}}.toml by `cargo xtask layers --write`.\n");
            Ok(head + &piece("all")? + &piece(bans)?)
        };
        // Clippy takes the nearest file upwards, so the root's is that of every crate without one.
        let mut files = BTreeMap::from([(PathBuf::from("clippy.toml"), made("shell")?)]);
        for package in &workspace.packages {
            if let Some((_, bans)) = self.crates.get(&package.folder)
                && bans != "shell"
            {
                let file = package.path.strip_prefix(&workspace.root)?.join("clippy.toml");
                files.insert(file, made(bans)?);
            }
        }
        Ok(files)
    }
}

impl Floor {
    fn read(text: &str) -> Result<Self> {
        match text {
            "test" => Ok(Self::Test),
            "workshop" => Ok(Self::Workshop),
            number => number.parse().map(Self::House).with_context(|| format!("{text} is no floor")),
        }
    }

    /// Whether a crate here may name one there; `dev`: for its tests alone.
    fn sees(self, other: Self, dev: bool) -> bool {
        match (self, other) {
            (Self::House(from), Self::House(to)) => to < from,
            (Self::House(_), Self::Test) => dev,
            (Self::House(_) | Self::Test, Self::Workshop) | (Self::Test, Self::Test) => false,
            (Self::Test, Self::House(to)) => to == 0,
            (Self::Workshop, _) => true,
        }
    }
}

/// `a, b, c`, each perhaps in backquotes; a cell `tests` names none.
fn names(cell: &str) -> Vec<String> {
    let names = cell.split(',').map(|name| name.trim().trim_matches('`'));
    names.filter(|name| !name.is_empty() && *name != "tests").map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::Dependency;

    const PLAN: &str = "
| floor | crates | bans | what |
|---|---|---|---|
| 2 | `net` | shell | sockets |
| 1 | `sremp`, `store` | pure | machines |
| 0 | `core` | pure | words |
| test | `testkit` | shell | |
| workshop | `xtask` | shell | |

| library | only in | why |
|---|---|---|
| `tokio` | net | the shell |
| `vodozemac` | tests | an oracle |
";

    /// What is wrong with a crate that names these others, the flag says for tests only.
    fn wrong(folder: &str, uses: &[(&str, bool)]) -> Vec<String> {
        let package = |folder: &str, uses: &[(&str, bool)]| Package {
            name: folder.into(),
            folder: folder.into(),
            path: PathBuf::from("/house").join(folder),
            dependencies: uses.iter().map(|&(name, dev)| Dependency { name: name.into(), dev }).collect(),
        };
        let mut packages: Vec<Package> =
            ["net", "sremp", "store", "core", "testkit", "xtask"].map(|folder| package(folder, &[])).into();
        packages.push(package(folder, uses));
        let workspace = Workspace { root: "/house".into(), target: "/house/target".into(), packages };
        let mut findings = Findings::default();
        let checked = workspace.packages.last().unwrap();
        Plan::read(PLAN).unwrap().check(&workspace, checked, &mut findings);
        findings.errors
    }

    #[test]
    fn lets_arrows_point_down() {
        assert!(wrong("net", &[("sremp", false), ("core", false), ("tokio", false)]).is_empty());
        assert!(wrong("sremp", &[("core", false), ("testkit", true), ("vodozemac", true)]).is_empty());
        assert!(wrong("testkit", &[("core", false)]).is_empty());
        assert!(wrong("xtask", &[("net", false), ("testkit", false), ("vodozemac", false)]).is_empty());
    }

    #[test]
    fn refuses_arrows_that_point_up_or_sideways() {
        assert_eq!(wrong("sremp", &[("net", false)]).len(), 1);
        assert_eq!(wrong("sremp", &[("store", true)]).len(), 1);
        assert_eq!(wrong("net", &[("testkit", false)]).len(), 1);
        assert_eq!(wrong("net", &[("xtask", true)]).len(), 1);
        assert_eq!(wrong("testkit", &[("sremp", false)]).len(), 1);
    }

    #[test]
    fn keeps_libraries_where_they_belong() {
        assert_eq!(wrong("sremp", &[("tokio", false)]), ["sremp may not use tokio: it is kept in net"]);
        assert_eq!(wrong("sremp", &[("vodozemac", false)]), ["sremp may not use vodozemac: it is kept in tests"]);
    }

    #[test]
    fn refuses_a_crate_on_no_floor() {
        assert_eq!(wrong("attic", &[]).len(), 1);
    }
}
