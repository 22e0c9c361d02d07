//! The Python peer of `interop/sremp`, our own `waypost speak sremp`, and a conversation that any two SREMP peers must be able to hold.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::{Event, Peer, Transcript, python};

/// The largest text an Unknown peer may send.
const LARGE_TEXT: usize = 61_000;

/// Launcher of the Python peer.
#[derive(Debug, Clone)]
pub struct PythonPeer {
    python: PathBuf,
    home: PathBuf,
}

impl PythonPeer {
    /// Prepares its environment under `target`, a folder that outlives a test run.
    ///
    /// # Errors
    /// As [`python::environment`].
    pub fn prepare(target: &Path) -> Result<Self> {
        let home = crate::folder()?.join("sremp");
        let python = python::environment(&target.join("interop-venv"), &home.join("requirements.txt"))?;
        Ok(Self { python, home })
    }

    /// Runs the vectors on it: those of `WAYPOST_VECTORS`, or the public ones.
    #[must_use]
    pub fn check_vectors(&self) -> Command {
        self.command(&["check_vectors.py"])
    }

    /// `listen` on a free port of loopback.
    #[must_use]
    pub fn listen(&self, seed: u8) -> Command {
        self.command(&["-m", "peer", "listen", "127.0.0.1:0", "--seed", &seed_text(seed)])
    }

    /// `dial` to where the event `ready` of a listener says.
    ///
    /// # Errors
    /// If `ready` lacks `bound`, `identity_key` or `noise_key`.
    pub fn dial(&self, seed: u8, ready: &Event) -> Result<Command> {
        let [bound, key, noise] = ["bound", "identity_key", "noise_key"].map(|field| ready.text(field));
        let seed = seed_text(seed);
        Ok(self.command(&["-m", "peer", "dial", bound?, "--key", key?, "--noise", noise?, "--seed", &seed]))
    }

    /// A client of the relay whose `ready` is given.
    ///
    /// # Errors
    /// If `ready` lacks `bound`, `identity_key` or `noise_key`.
    pub fn relay(&self, seed: u8, ready: &Event) -> Result<Command> {
        let [bound, key, noise] = ["bound", "identity_key", "noise_key"].map(|field| ready.text(field));
        let seed = seed_text(seed);
        Ok(self.command(&["-m", "peer", "relay", bound?, "--key", key?, "--noise", noise?, "--seed", &seed]))
    }

    /// A client of the rendezvous server at an `sremp-rdv://` address.
    #[must_use]
    pub fn rendezvous(&self, seed: u8, uri: &str, more: &[&str]) -> Command {
        let seed = seed_text(seed);
        self.command(&[&["-m", "peer", "rendezvous", uri, "--seed", &seed], more].concat())
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.python);
        command.args(arguments).current_dir(&self.home).env("PYTHONDONTWRITEBYTECODE", "1");
        command
    }
}

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

fn seed_text(seed: u8) -> String {
    format!("{seed:02x}").repeat(32)
}

/// Two connected peers.
#[derive(Debug)]
pub struct Pair {
    /// The one that listens.
    pub listener: Peer,
    /// The one that dialled.
    pub dialler: Peer,
    /// Whether the listener has the lower identity key, so that it is the one that fetches prekeys.
    pub listener_is_lower: bool,
}

impl Pair {
    /// Starts both and waits until they have a session; `dial` makes the dialler's command from the listener's `ready`.
    ///
    /// # Errors
    /// If they do not see each other as they are.
    pub fn connect(listen: Command, dial: impl FnOnce(&Event) -> Result<Command>) -> Result<Self> {
        let transcript = Transcript::new();
        let mut listener = Peer::spawn("listener", listen, &transcript)?;
        let here = listener.expect("ready")?;
        let mut dialler = Peer::spawn("dialler", dial(&here)?, &transcript)?;
        let there = dialler.expect("ready")?;
        let seen_here = listener.expect("connected")?;
        let seen_there = dialler.expect("connected")?;
        ensure!(
            seen_here.field("identity_key") == there.field("identity_key"),
            "the listener sees another identity\n{transcript}"
        );
        ensure!(
            seen_there.field("identity_key") == here.field("identity_key"),
            "the dialler sees another identity\n{transcript}"
        );
        ensure!(
            seen_here.field("handshake_hash") == seen_there.field("handshake_hash"),
            "two handshake hashes\n{transcript}"
        );
        ensure!(
            seen_here.field("we_dialled") == false && seen_there.field("we_dialled") == true,
            "who dialled?\n{transcript}"
        );
        let (ours, theirs) = (listener.expect("session")?, dialler.expect("session")?);
        ensure!(ours.field("session_id") == theirs.field("session_id"), "two sessions\n{transcript}");
        let listener_is_lower = here.text("identity_key")? < there.text("identity_key")?;
        Ok(Self { listener, dialler, listener_is_lower })
    }

    /// Texts both ways: short, beyond ASCII, and the largest that an Unknown peer may send; each is confirmed.
    ///
    /// # Errors
    /// If one is lost, changed or confirmed wrongly.
    pub fn talk(&mut self) -> Result<()> {
        for words in ["first", "zweite \u{e4}\u{f6}\u{fc} \u{65e5}\u{672c} \u{1f426}", "", "third"] {
            say(&mut self.dialler, &mut self.listener, words)?;
            say(&mut self.listener, &mut self.dialler, words)?;
        }
        let large = "x".repeat(LARGE_TEXT);
        say(&mut self.dialler, &mut self.listener, &large)?;
        say(&mut self.listener, &mut self.dialler, &large)?;
        for round in 0..10 {
            say(&mut self.listener, &mut self.dialler, &format!("one way {round}"))?;
        }
        say(&mut self.dialler, &mut self.listener, "and back")
    }

    /// The dialler closes, the listener sees it, both end well.
    ///
    /// # Errors
    /// If one does not end, or ends with another exit code than 0.
    pub fn part(mut self) -> Result<()> {
        self.dialler.send(&json!({"cmd": "close"}))?;
        self.dialler.finish_well()?;
        self.listener.expect("closed")?;
        self.listener.send(&json!({"cmd": "close"}))?;
        self.listener.finish_well()
    }
}

/// One text from one to the other, and its confirmation.
///
/// # Errors
/// If it is lost, changed or confirmed wrongly.
pub fn say(from: &mut Peer, to: &mut Peer, words: &str) -> Result<()> {
    from.send(&json!({"cmd": "send", "text": words}))?;
    let heard = to.expect("text")?;
    ensure!(heard.field("text") == words, "said {} bytes, heard {heard}", words.len());
    let confirmed = from.expect("confirmed")?;
    ensure!(confirmed.id("message_id")? == heard.id("message_id")?, "{confirmed} confirms another than {heard}");
    Ok(())
}
