//! Our own side: `waypost speak`.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::{Event, python};

/// Launcher of `waypost speak` and of whole nodes.
#[derive(Debug, Clone)]
pub struct Speak {
    program: PathBuf,
}

impl Speak {
    /// Builds the program, unless `WAYPOST_PROGRAM` names one.
    ///
    /// # Errors
    /// If it cannot be built.
    pub fn prepare() -> Result<Self> {
        if let Some(program) = env::var_os("WAYPOST_PROGRAM") {
            return Ok(Self { program: program.into() });
        }
        let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let build = ["build", "--quiet", "--package", "waypost", "--message-format", "json"];
        let output = python::run(Command::new(cargo).args(build).current_dir(crate::folder()?))?;
        let messages = output.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let mut programs = messages.filter_map(|message| Some(PathBuf::from(message.get("executable")?.as_str()?)));
        Ok(Self { program: programs.next_back().context("cargo names no program")? })
    }

    /// `listen` on a free port of loopback.
    #[must_use]
    pub fn listen(&self, seed: u8) -> Command {
        self.command("sremp", &["listen", "127.0.0.1:0", "--seed", &seed_text(seed)])
    }

    /// `dial` to where the event `ready` of a listener says.
    ///
    /// # Errors
    /// If `ready` lacks `bound`, `identity_key` or `noise_key`.
    pub fn dial(&self, seed: u8, ready: &Event) -> Result<Command> {
        let [bound, key, noise] = ["bound", "identity_key", "noise_key"].map(|field| ready.text(field));
        Ok(self.command("sremp", &["dial", bound?, "--key", key?, "--noise", noise?, "--seed", &seed_text(seed)]))
    }

    /// A relay on a free port of loopback, with these settings.
    #[must_use]
    pub fn relay(&self, settings: &[&str]) -> Command {
        // The machine's disk may be as full as it likes.
        let mut command = self.command("sremp-relay", &["listen", "127.0.0.1:0", "--set", "disk_percent=100"]);
        for setting in settings {
            command.args(["--set", setting]);
        }
        command
    }

    /// A rendezvous server on a free port of loopback.
    #[must_use]
    pub fn rendezvous(&self) -> Command {
        self.command("sremp-rendezvous", &["listen", "127.0.0.1:0"])
    }

    /// A bare client of the rendezvous server at an address.
    #[must_use]
    pub fn rendezvous_client(&self, seed: u8, uri: &str) -> Command {
        self.command("sremp-rendezvous", &["dial", uri, "--seed", &seed_text(seed), "--discoverable"])
    }

    /// A bare framelink with these arguments.
    #[must_use]
    pub fn framelink(&self, arguments: &[&str]) -> Command {
        self.command("framelink", arguments)
    }

    /// A peer of ProofPeer with these arguments.
    #[must_use]
    pub fn proofpeer(&self, arguments: &[&str]) -> Command {
        self.command("proofpeer", arguments)
    }

    /// A command of the node whose data folder is `home`.
    #[must_use]
    pub fn node(&self, home: &Path, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.arg("--home").arg(home).arg("--json").args(arguments).env_remove("WAYPOST_LOG");
        command
    }

    fn command(&self, protocol: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.args(["speak", protocol]).args(arguments);
        command
    }
}

/// A seed of 32 equal bytes, in hex.
pub(crate) fn seed_text(seed: u8) -> String {
    format!("{seed:02x}").repeat(32)
}
