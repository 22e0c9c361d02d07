//! What every command knows: the data folder, how to print, where secrets come from.

use crate::args::Global;
use crate::failure::Failure;
use crate::output::Output;
use crate::secret::Secrets;
use std::io::Read;
use std::path::PathBuf;
use waypost_core::ErrorKind;
use waypost_node::{Config, Home};

/// The checked global options.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) home: Home,
    pub(crate) output: Output,
    pub(crate) secrets: Secrets,
}

impl Context {
    pub(crate) fn new(global: &Global) -> Result<Self, Failure> {
        Ok(Self {
            home: Home::new(match &global.home {
                Some(folder) => folder.clone(),
                None => default_home()?,
            }),
            output: Output::new(global.json),
            secrets: Secrets::new(global.passphrase_file.clone()),
        })
    }

    /// The settings of the folder.
    pub(crate) fn config(&self) -> Result<Config, Failure> {
        Config::load(&self.home.config())
            .map_err(|error| Failure::from(error).or_hint("`waypost config check` shows where the mistake is"))
    }

    /// Fails if there is no identity in the folder.
    pub(crate) fn check_initialised(&self) -> Result<(), Failure> {
        if self.home.is_initialised() {
            return Ok(());
        }
        let message = format!("there is no identity in {}", self.home.folder().display());
        Err(Failure::new(ErrorKind::NotFound, message).or_hint("run `waypost init` first"))
    }
}

/// All of standard input, as text. A letter or a card is never so long.
pub(crate) fn read_input() -> Result<String, Failure> {
    const MOST: u64 = 1024 * 1024;
    let mut text = String::new();
    std::io::stdin()
        .take(MOST + 1)
        .read_to_string(&mut text)
        .map_err(|error| Failure::bad_input(format!("cannot read standard input: {error}")))?;
    if text.len() as u64 > MOST {
        return Err(Failure::new(ErrorKind::Limit, "standard input is longer than 1 MiB").or_hint("send less at once"));
    }
    Ok(text)
}

/// `waypost` in the user's folder for data (XDG base directories).
fn default_home() -> Result<PathBuf, Failure> {
    let variable = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let data = variable("XDG_DATA_HOME").or_else(|| variable("HOME").map(|home| home.join(".local/share")));
    let data = data.ok_or_else(|| {
        Failure::bad_input("neither XDG_DATA_HOME nor HOME is set").or_hint("name the data folder with --home DIR")
    })?;
    Ok(data.join("waypost"))
}
