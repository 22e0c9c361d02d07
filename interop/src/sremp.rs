//! The Python peer of `interop/sremp`, and a conversation that any two SREMP peers must be able to hold.

use std::path::Path;
use std::process::Command;

use anyhow::{Result, ensure};
use serde_json::json;

use crate::python::PythonProgram;
use crate::speak::seed_text;
use crate::{Event, Peer, Transcript};

/// The largest text an Unknown peer may send.
const LARGE_TEXT: usize = 61_000;

/// Launcher of the Python peer.
#[derive(Debug, Clone)]
pub struct PythonPeer(PythonProgram);

impl PythonPeer {
    /// Prepares it as [`PythonProgram::prepare`] says.
    ///
    /// # Errors
    /// As there.
    pub fn prepare(target: &Path) -> Result<Self> {
        PythonProgram::prepare("sremp", target).map(Self)
    }

    /// Runs the vectors on it.
    #[must_use]
    pub fn check_vectors(&self) -> Command {
        self.0.check_vectors()
    }

    /// `listen` on a free port of loopback.
    #[must_use]
    pub fn listen(&self, seed: u8) -> Command {
        self.0.command(&["-m", "peer", "listen", "127.0.0.1:0", "--seed", &seed_text(seed)])
    }

    /// `dial` to where the event `ready` of a listener says.
    ///
    /// # Errors
    /// If `ready` lacks `bound`, `identity_key` or `noise_key`.
    pub fn dial(&self, seed: u8, ready: &Event) -> Result<Command> {
        let [bound, key, noise] = ["bound", "identity_key", "noise_key"].map(|field| ready.text(field));
        let seed = seed_text(seed);
        Ok(self.0.command(&["-m", "peer", "dial", bound?, "--key", key?, "--noise", noise?, "--seed", &seed]))
    }

    /// A client of the relay whose `ready` is given.
    ///
    /// # Errors
    /// If `ready` lacks `bound`, `identity_key` or `noise_key`.
    pub fn relay(&self, seed: u8, ready: &Event) -> Result<Command> {
        let [bound, key, noise] = ["bound", "identity_key", "noise_key"].map(|field| ready.text(field));
        let seed = seed_text(seed);
        Ok(self.0.command(&["-m", "peer", "relay", bound?, "--key", key?, "--noise", noise?, "--seed", &seed]))
    }

    /// A client of the rendezvous server at an `sremp-rdv://` address.
    #[must_use]
    pub fn rendezvous(&self, seed: u8, uri: &str, more: &[&str]) -> Command {
        let seed = seed_text(seed);
        self.0.command(&[&["-m", "peer", "rendezvous", uri, "--seed", &seed], more].concat())
    }
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
