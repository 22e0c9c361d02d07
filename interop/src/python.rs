//! The peers written in Python, and their virtual environments.

use std::env;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

const OLD: &str = "import sys; sys.exit(sys.version_info < (3, 11))";

/// Launcher of the Python peer of one protocol.
#[derive(Debug, Clone)]
pub struct PythonProgram {
    python: PathBuf,
    home: PathBuf,
}

impl PythonProgram {
    /// Prepares the peer in `interop/FOLDER`, and its environment under `target`, a folder that outlives a test run.
    ///
    /// # Errors
    /// If there is no Python 3.11 with `venv`, or if pip cannot install what the peer requires.
    pub fn prepare(folder: &str, target: &Path) -> Result<Self> {
        let home = crate::folder()?.join(folder);
        let venv = target.join(format!("interop-venv-{}", folder.replace('/', "-")));
        Ok(Self { python: environment(&venv, &home.join("requirements.txt"))?, home })
    }

    /// Runs the vectors on it: those of `WAYPOST_VECTORS`, or the public ones.
    #[must_use]
    pub fn check_vectors(&self) -> Command {
        self.command(&["check_vectors.py"])
    }

    /// Its interpreter with these arguments, in its folder.
    #[must_use]
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.python);
        command.args(arguments).current_dir(&self.home).env("PYTHONDONTWRITEBYTECODE", "1");
        command
    }
}

/// The interpreter of an environment in `folder` that has `requirements` installed. It is made once; several processes
/// that ask at the same time wait for the first.
///
/// # Errors
/// If there is no Python 3.11 with `venv`, or if pip cannot install the requirements. Then nothing is left that a later
/// call would take for complete.
fn environment(folder: &Path, requirements: &Path) -> Result<PathBuf> {
    let wanted = fs::read_to_string(requirements).with_context(|| requirements.display().to_string())?;
    fs::create_dir_all(folder)?;
    let lock = File::create(folder.join("lock"))?;
    lock.lock().context("lock of the Python environment")?;
    let venv = folder.join("venv");
    let python = venv.join("bin/python");
    let stamp = folder.join("installed.txt");
    if python.exists() && fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(python);
    }
    if stamp.exists() {
        fs::remove_file(&stamp)?;
    }
    let base = env::var_os("WAYPOST_PYTHON").unwrap_or_else(|| "python3".into());
    let needed = "Python 3.11 or newer with venv is needed (Debian: apt-get install python3 python3-venv), \
                  as `python3` or at $WAYPOST_PYTHON";
    run(Command::new(&base).args(["-c", OLD])).context(needed)?;
    run(Command::new(&base).args(["-m", "venv", "--clear"]).arg(&venv)).context(needed)?;
    let pip = ["-m", "pip", "--quiet", "--disable-pip-version-check", "install", "--only-binary", ":all:", "-r"];
    run(Command::new(&python).args(pip).arg(requirements)).context("pip cannot install the requirements")?;
    fs::write(&stamp, wanted)?;
    Ok(python)
}

/// Runs a command to its end and gives its stdout.
///
/// # Errors
/// With everything it printed if it cannot be started or does not end well.
pub fn run(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("cannot start {command:?}"))?;
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() {
        bail!("{command:?} ended with {}\n{stdout}{}", output.status, String::from_utf8_lossy(&output.stderr));
    }
    Ok(stdout)
}
