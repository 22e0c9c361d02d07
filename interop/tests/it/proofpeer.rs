//! ProofPeer: `waypost speak proofpeer` and the independent peers in Python and in Node meet by Debian's mosquitto.

use std::path::Path;
use std::process::Command;

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use waypost_interop::node::NodeProgram;
use waypost_interop::python::{PythonProgram, run};
use waypost_interop::{Event, Peer, Transcript};
use waypost_testkit::mosquitto::Mosquitto;

use crate::framelink::speak;

const TARGET: &str = env!("CARGO_TARGET_TMPDIR");
const KEYS: [&str; 2] = ["ed25519", "rsa"];

#[derive(Clone, Copy)]
enum Language {
    Python,
    Node,
}

impl Language {
    fn command(self, arguments: &[&str]) -> Result<Command> {
        Ok(match self {
            Self::Python => python()?.command(&[&["-m", "peer"], arguments].concat()),
            Self::Node => {
                NodeProgram::prepare("proofpeer", Path::new(TARGET))?.command(&[&["peer.mjs"], arguments].concat())
            }
        })
    }
}

fn python() -> Result<PythonProgram> {
    PythonProgram::prepare("proofpeer/python", Path::new(TARGET))
}

/// Both, who know of each other.
struct Pair {
    ours: Peer,
    theirs: Peer,
    our_key: Value,
    their_key: Value,
    transcript: Transcript,
}

impl Pair {
    fn meet(broker: &Mosquitto, language: Language, ours: &[&str], theirs: &[&str]) -> Result<Self> {
        let (transcript, url) = (Transcript::new(), broker.url("mqtt"));
        let common = ["--broker", url.as_str(), "--app", "interop", "--channel", "lobby"];
        let command = speak()?.proofpeer(&[&common[..], ours].concat());
        let mut ours = Peer::spawn("ours", command, &transcript)?;
        let our_key = ours.expect("ready")?.field("fingerprint").clone();
        let command = language.command(&[&common[..], theirs].concat())?;
        let mut theirs = Peer::spawn("theirs", command, &transcript)?;
        let their_key = theirs.expect("ready")?.field("fingerprint").clone();
        let online = |key: &Value, event: &Event| {
            event.is("presence") && event.field("peer") == key && event.field("state") == "online"
        };
        ours.expect_that("their presence", |event| online(&their_key, event))?;
        theirs.expect_that("our presence", |event| online(&our_key, event))?;
        Ok(Self { ours, theirs, our_key, their_key, transcript })
    }

    /// Broadcasts and private messages both ways; those that want a receipt get it if both know what that is.
    fn talk(&mut self, extended: bool) -> Result<()> {
        let broadcast = json!({"cmd": "broadcast", "channel": "lobby", "data": {"n": 1}, "reliable": true});
        self.ours.send(&broadcast)?;
        self.theirs_hear("data", &json!({"n": 1}))?;
        self.theirs.send(&broadcast)?;
        self.ours_hear("data", &json!({"n": 1}))?;
        for words in ["first", "zweite \u{e4}\u{65e5}\u{1f426}", "third"] {
            self.ours.send(&json!({"cmd": "send", "to": self.their_key, "text": words, "reliable": true}))?;
            self.theirs_hear("text", &json!(words))?;
            self.theirs.send(&json!({"cmd": "send", "to": self.our_key, "text": words, "reliable": true}))?;
            let heard = self.ours_hear("text", &json!(words))?;
            let protected = ["proven", "bound", "forward_secret"].map(|field| heard.field(field) == true);
            ensure!(!extended || protected == [true; 3], "{heard}\n{}", self.transcript);
            if extended {
                for side in [&mut self.ours, &mut self.theirs] {
                    side.expect_that("a receipt", |event| event.is("status") && event.field("status") == "delivered")?;
                }
            }
        }
        Ok(())
    }

    fn ours_hear(&mut self, field: &str, what: &Value) -> Result<Event> {
        let heard = self.ours.expect("deliver")?;
        let same = heard.field("from") == &self.their_key && heard.field(field) == what;
        ensure!(same, "{heard}, not {what}\n{}", self.transcript);
        Ok(heard)
    }

    fn theirs_hear(&mut self, field: &str, what: &Value) -> Result<Event> {
        let heard = self.theirs.expect("deliver")?;
        let same = heard.field("peer") == &self.our_key && heard.field(field) == what;
        ensure!(same, "{heard}, not {what}\n{}", self.transcript);
        Ok(heard)
    }

    /// Ours says goodbye, which the other one hears.
    fn part(mut self) -> Result<()> {
        self.ours.send(&json!({"cmd": "shutdown"}))?;
        self.theirs.expect_that("our goodbye", |event| {
            event.is("presence") && event.field("peer") == &self.our_key && event.field("state") == "offline"
        })?;
        self.ours.finish_well()?;
        self.theirs.send(&json!({"cmd": "shutdown"}))?;
        self.theirs.finish_well()
    }
}

fn all_keys_talk(language: Language, we_are_literal: bool, they_are_literal: bool) -> Result<()> {
    let broker = Mosquitto::start();
    let mode = |literal: bool| if literal { &["--literal"][..] } else { &[] };
    for ours in KEYS {
        for theirs in KEYS {
            let ours = [&["--key-type", ours], mode(we_are_literal)].concat();
            let theirs = [&["--key-type", theirs], mode(they_are_literal)].concat();
            let mut pair = Pair::meet(&broker, language, &ours, &theirs)?;
            let extended = !we_are_literal && !they_are_literal;
            pair.talk(extended)?;
            // The first draft knows no goodbye between peers.
            if extended {
                pair.part()?;
            }
        }
    }
    Ok(())
}

#[test]
fn both_peers_pass_the_vectors() -> Result<()> {
    run(&mut python()?.check_vectors())?;
    run(&mut NodeProgram::prepare("proofpeer", Path::new(TARGET))?.check_vectors()?)?;
    Ok(())
}

#[test]
fn we_talk_with_the_python_peer() -> Result<()> {
    all_keys_talk(Language::Python, false, false)
}

#[test]
fn we_talk_with_the_node_peer() -> Result<()> {
    all_keys_talk(Language::Node, false, false)
}

#[test]
fn we_talk_with_a_literal_python_peer() -> Result<()> {
    all_keys_talk(Language::Python, false, true)
}

#[test]
fn we_talk_with_a_literal_node_peer() -> Result<()> {
    all_keys_talk(Language::Node, false, true)
}

#[test]
fn as_a_literal_peer_we_talk_with_the_python_peer() -> Result<()> {
    all_keys_talk(Language::Python, true, false)?;
    all_keys_talk(Language::Python, true, true)
}

#[test]
fn as_a_literal_peer_we_talk_with_the_node_peer() -> Result<()> {
    all_keys_talk(Language::Node, true, false)?;
    all_keys_talk(Language::Node, true, true)
}
