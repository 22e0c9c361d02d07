//! The program that is measured.

use crate::progress;
use anyhow::{Context, Result, ensure};
use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// The program that was given; else one built for release as its users do: by itself, so that nothing of this
/// crate changes it.
pub(crate) fn given_or_built(binary: Option<&Path>) -> Result<PathBuf> {
    if let Some(binary) = binary {
        return Ok(binary.to_owned());
    }
    progress("building the program");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut build = Command::new(cargo);
    build.args(["build", "--quiet", "--release", "--package", "waypost"]).stdout(Stdio::null());
    build.current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    ensure!(build.status()?.success(), "the program does not build; give one with --binary FILE");
    let this = std::env::current_exe()?;
    let target = this.ancestors().nth(2).context("this program is in no build folder")?;
    let binary = target.join("release/waypost");
    ensure!(binary.is_file(), "no program at {}; give one with --binary FILE", binary.display());
    Ok(binary)
}
