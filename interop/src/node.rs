//! The peers written for Node.js.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::python::run;

/// Launcher of the Node peer of one protocol.
#[derive(Debug, Clone)]
pub struct NodeProgram {
    home: PathBuf,
}

impl NodeProgram {
    /// Copies `interop/PROTOCOL/node` under `target`, a folder that outlives a test run, and installs what it needs
    /// there. Several processes that ask at the same time wait for the first.
    ///
    /// # Errors
    /// If there is no Node.js 20 with `npm`, or if npm cannot install what the peer requires.
    pub fn prepare(protocol: &str, target: &Path) -> Result<Self> {
        let from = crate::folder()?.join(protocol).join("node");
        let home = target.join(format!("interop-node-{protocol}"));
        fs::create_dir_all(&home)?;
        let lock = File::create(home.join("lock"))?;
        lock.lock().context("lock of the Node environment")?;
        copy(&from, &home)?;
        let stamp = home.join("installed.json");
        let wanted = fs::read_to_string(home.join("package-lock.json"))?;
        if !fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
            let install = ["ci", "--no-audit", "--no-fund", "--ignore-scripts"];
            let needed = "Node.js 20 or newer with npm is needed";
            run(Command::new("npm").args(install).current_dir(&home)).context(needed)?;
            fs::write(&stamp, wanted)?;
        }
        Ok(Self { home })
    }

    /// Runs the vectors on it: those of `WAYPOST_VECTORS`, or the public ones.
    ///
    /// # Errors
    /// As [`crate::folder`].
    pub fn check_vectors(&self) -> Result<Command> {
        let mut command = self.command(&["check_vectors.mjs"]);
        if std::env::var_os("WAYPOST_VECTORS").is_none() {
            command.env("WAYPOST_VECTORS", crate::folder()?.join("../vectors"));
        }
        Ok(command)
    }

    /// Node with these arguments, in its folder.
    #[must_use]
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("node");
        command.arg("--no-warnings").args(arguments).current_dir(&self.home);
        command
    }
}

/// All files and folders, but for what npm installed. Files that are the same are left as they are: they may be in use.
fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (here, there) = (entry.path(), to.join(entry.file_name()));
        if entry.file_name() == "node_modules" {
            continue;
        }
        if entry.file_type()?.is_dir() {
            copy(&here, &there)?;
        } else {
            let content = fs::read(&here)?;
            if !fs::read(&there).is_ok_and(|old| old == content) {
                fs::write(&there, content)?;
            }
        }
    }
    Ok(())
}
