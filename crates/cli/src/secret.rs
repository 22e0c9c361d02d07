//! Where passphrases come from: a file, the environment, or a terminal; never a guess.

use crate::failure::Failure;
use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};
use waypost_core::ErrorKind;
use waypost_node::{Home, KdfCost, Passphrase, Unlocked, setup};
use zeroize::Zeroizing;

/// What sealing a keyring costs.
pub(crate) const COST: KdfCost = KdfCost::DEFAULT;

/// The sources of the passphrase that opens the data folder.
#[derive(Debug)]
pub(crate) struct Secrets {
    file: Option<PathBuf>,
}

/// Which passphrase is meant.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Purpose {
    /// Its name in a prompt.
    pub(crate) prompt: &'static str,
    /// The variable it may be in.
    pub(crate) variable: &'static str,
    /// How to give it without a terminal.
    pub(crate) hint: &'static str,
}

impl Purpose {
    /// It opens the data folder.
    pub(crate) const FOLDER: Self = Self {
        prompt: "Passphrase",
        variable: "WAYPOST_PASSPHRASE",
        hint: "give it with --passphrase-file FILE or in WAYPOST_PASSPHRASE",
    };

    /// It opens a backup.
    pub(crate) const BACKUP: Self = Self {
        prompt: "Passphrase of the backup",
        variable: "WAYPOST_BACKUP_PASSPHRASE",
        hint: "give it with --backup-passphrase-file FILE or in WAYPOST_BACKUP_PASSPHRASE",
    };
}

impl Secrets {
    pub(crate) fn new(file: Option<PathBuf>) -> Self {
        Self { file }
    }

    /// Opens the keyring. A folder made without a passphrase opens by itself.
    pub(crate) fn unlock(&self, home: &Home) -> Result<Unlocked, Failure> {
        if let Some(text) = given(self.file.as_deref(), Purpose::FOLDER)? {
            return Ok(setup::unlock(home, passphrase(&text)?, COST)?);
        }
        match setup::unlock(home, Passphrase::empty(), COST) {
            Err(waypost_node::Error::Locked(_)) => {}
            other => return Ok(other?),
        }
        Ok(setup::unlock(home, passphrase(&ask(Purpose::FOLDER)?)?, COST)?)
    }

    /// A new passphrase for the folder, asked for twice on a terminal.
    pub(crate) fn fresh(&self, none: bool) -> Result<Passphrase, Failure> {
        if none {
            return Ok(Passphrase::empty());
        }
        fresh(self.file.as_deref(), Purpose::FOLDER)
            .map(|text| passphrase(&text))?
            .map_err(|failure| failure.or_hint("or use --no-passphrase if the disk itself is encrypted"))
    }
}

/// A passphrase that exists already.
pub(crate) fn existing(file: Option<&Path>, purpose: Purpose) -> Result<Zeroizing<String>, Failure> {
    match given(file, purpose)? {
        Some(text) => Ok(text),
        None => ask(purpose),
    }
}

/// A passphrase that is chosen now.
pub(crate) fn fresh(file: Option<&Path>, purpose: Purpose) -> Result<Zeroizing<String>, Failure> {
    if let Some(text) = given(file, purpose)? {
        return Ok(text);
    }
    let text = ask(purpose)?;
    let again = prompt("The same again")?;
    if *text != *again {
        return Err(Failure::bad_input("the two passphrases differ").or_hint("try again"));
    }
    Ok(text)
}

/// The checked form.
pub(crate) fn passphrase(text: &str) -> Result<Passphrase, Failure> {
    Passphrase::new(text).map_err(|error| Failure::bad_input(error.to_string()))
}

/// The first line of a file, or `-` for standard input.
pub(crate) fn read_line(path: &Path) -> Result<Zeroizing<String>, Failure> {
    let text = if path == Path::new("-") { io::read_to_string(io::stdin()) } else { std::fs::read_to_string(path) };
    let text = text.map(Zeroizing::new).map_err(|error| Failure::file("read", path, &error))?;
    let line = text.lines().next().unwrap_or_default();
    Ok(Zeroizing::new(line.to_owned()))
}

fn given(file: Option<&Path>, purpose: Purpose) -> Result<Option<Zeroizing<String>>, Failure> {
    let text = match file {
        Some(path) => read_line(path)?,
        None => match std::env::var(purpose.variable) {
            Ok(text) => Zeroizing::new(text),
            Err(_) => return Ok(None),
        },
    };
    if text.is_empty() {
        let source = file.map_or(purpose.variable.to_owned(), |path| path.display().to_string());
        return Err(Failure::new(ErrorKind::Locked, format!("the passphrase in {source} is empty")));
    }
    Ok(Some(text))
}

fn ask(purpose: Purpose) -> Result<Zeroizing<String>, Failure> {
    if !(io::stdin().is_terminal() && io::stderr().is_terminal()) {
        let message = format!("the {} is needed, and there is no terminal to ask on", purpose.prompt.to_lowercase());
        return Err(Failure::new(ErrorKind::Locked, message).or_hint(purpose.hint));
    }
    prompt(purpose.prompt)
}

fn prompt(text: &str) -> Result<Zeroizing<String>, Failure> {
    rpassword::prompt_password(format!("{text}: "))
        .map(Zeroizing::new)
        .map_err(|error| Failure::new(ErrorKind::Environment, format!("cannot read from the terminal: {error}")))
}
