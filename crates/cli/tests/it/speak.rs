//! `waypost speak sremp`: two of it talk, and how it ends.

use serde_json::{Value, json};
use std::process::Stdio;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

use crate::people::DEADLINE;

pub(crate) struct Speaker {
    child: Child,
    stdin: Option<ChildStdin>,
    events: Lines<BufReader<ChildStdout>>,
}

impl Speaker {
    fn start(args: &[&str]) -> Self {
        Self::start_as("sremp", args)
    }

    pub(crate) fn start_as(protocol: &str, args: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_waypost"));
        command.args(["speak", protocol]).args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().unwrap();
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take().unwrap());
        Self { child, stdin, events: BufReader::new(stdout).lines() }
    }

    pub(crate) async fn say(&mut self, command: Value) {
        self.line(&command.to_string()).await;
    }

    async fn line(&mut self, line: &str) {
        self.stdin.as_mut().unwrap().write_all(format!("{line}\n").as_bytes()).await.unwrap();
    }

    /// The next event of this name; others before it are passed over.
    pub(crate) async fn until(&mut self, name: &str) -> Value {
        loop {
            let line = timeout(DEADLINE, self.events.next_line()).await.expect("it hangs").unwrap();
            let line = line.unwrap_or_else(|| panic!("it ended without `{name}`"));
            let event: Value = serde_json::from_str(&line).unwrap();
            if event["event"] == name {
                return event;
            }
        }
    }

    /// Closes stdin and waits for the end.
    pub(crate) async fn end(mut self) -> i32 {
        drop(self.stdin.take());
        timeout(DEADLINE, async { while self.events.next_line().await.unwrap().is_some() {} }).await.expect("it hangs");
        timeout(DEADLINE, self.child.wait()).await.expect("it hangs").unwrap().code().unwrap()
    }
}

fn dial<'a>(ready: &'a Value, more: &[&'a str]) -> Speaker {
    let [bound, key, noise] = ["bound", "identity_key", "noise_key"].map(|field| ready[field].as_str().unwrap());
    Speaker::start(&[&["dial", bound, "--key", key, "--noise", noise], more].concat())
}

#[tokio::test]
async fn two_speakers_talk_and_end_well() {
    let mut listener = Speaker::start(&["listen", "127.0.0.1:0", "--trust"]);
    let ready = listener.until("ready").await;
    let mut dialler = dial(&ready, &["--trust", "--username", "Ann"]);
    let here = dialler.until("ready").await;
    let connected = listener.until("connected").await;
    assert_eq!((&connected["identity_key"], &connected["username"]), (&here["identity_key"], &json!("Ann")));
    assert_eq!(dialler.until("connected").await["handshake_hash"], connected["handshake_hash"]);
    assert_eq!(dialler.until("session").await["session_id"], listener.until("session").await["session_id"]);

    dialler.say(json!({"cmd": "send", "text": "hello"})).await;
    let hello = listener.until("text").await;
    assert_eq!((&hello["text"], &hello["from"]), (&json!("hello"), &here["identity_key"]));
    assert_eq!(dialler.until("confirmed").await["message_id"], hello["message_id"]);
    listener.say(json!({"cmd": "receipt", "kind": "read", "message_ids": [hello["id"]]})).await;
    assert_eq!(dialler.until("receipt").await["message_ids"], json!([hello["id"]]));
    listener.say(json!({"cmd": "send", "text": "x".repeat(900_000), "reply_to": hello["id"]})).await;
    let reply = dialler.until("text").await;
    assert_eq!((reply["text"].as_str().unwrap().len(), &reply["reply_to"]), (900_000, &hello["id"]));
    for n in 0..100 {
        dialler.say(json!({"cmd": "send", "text": n.to_string()})).await;
    }
    // Closing stdin at once: what was asked for is sent and confirmed all the same.
    assert_eq!(dialler.end().await, 0);
    for n in 0..100 {
        assert_eq!(listener.until("text").await["text"], n.to_string());
    }
    assert_eq!(listener.until("closed").await["identity_key"], here["identity_key"]);
    listener.say(json!({"cmd": "close"})).await;
    assert_eq!(listener.end().await, 0);
}

#[tokio::test]
async fn a_listener_serves_several_peers_at_once_and_answers_each_by_its_key() {
    let mut listener = Speaker::start(&["listen", "127.0.0.1:0"]);
    let ready = listener.until("ready").await;
    let mut peers = [dial(&ready, &[]), dial(&ready, &[])];
    let mut keys = Vec::new();
    for peer in &mut peers {
        keys.push(peer.until("ready").await["identity_key"].clone());
        peer.say(json!({"cmd": "send", "text": "here"})).await;
    }
    for _ in 0..2 {
        let text = listener.until("text").await;
        listener.say(json!({"cmd": "send", "to": text["from"], "text": text["from"]})).await;
    }
    for (peer, key) in peers.iter_mut().zip(&keys) {
        assert_eq!(peer.until("text").await["text"], *key);
    }
    for peer in peers {
        assert_eq!(peer.end().await, 0);
    }
    assert_eq!(listener.end().await, 0);
}

#[tokio::test]
async fn keys_come_from_a_seed_or_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("seed");
    std::fs::write(&file, "07".repeat(32)).unwrap();
    let seed = "07".repeat(32);
    let mut readies = Vec::new();
    for args in [["--seed", &seed], ["--identity", file.to_str().unwrap()]] {
        let mut speaker = Speaker::start(&[&["listen", "127.0.0.1:0", "--version", "7"][..], &args].concat());
        let mut ready = speaker.until("ready").await;
        ready["bound"].take();
        assert_eq!(ready["version"], "7");
        readies.push(ready);
        assert_eq!(speaker.end().await, 0);
    }
    assert_eq!(readies[0], readies[1]);
    std::fs::write(&file, "07").unwrap();
    let wrong = Speaker::start(&["listen", "127.0.0.1:0", "--identity", file.to_str().unwrap()]);
    assert_eq!(wrong.end().await, 2);
}

#[tokio::test]
async fn a_refusal_shows_in_events_and_exit_codes() {
    let mut listener = Speaker::start(&["listen", "127.0.0.1:0"]);
    let ready = listener.until("ready").await;
    for (field, code, told) in [("noise_key", "noise_key_mismatch", false), ("identity_key", "auth", true)] {
        let mut wrong = ready.clone();
        wrong[field] = json!("11".repeat(32));
        let mut dialler = dial(&wrong, &[]);
        let error = dialler.until("error").await;
        assert_eq!((&error["code"], &error["by"], &error["fatal"]), (&json!(code), &json!("us"), &json!(true)));
        assert_eq!(dialler.until("closed").await["reason"], code);
        assert_eq!(dialler.end().await, 1);
        if told {
            let error = listener.until("error").await;
            assert_eq!((&error["code"], &error["by"]), (&json!(code), &json!("peer")));
        }
    }
    // A listener's own work is not touched by what peers do.
    assert_eq!(listener.end().await, 0);
    let mut nobody = dial(&ready, &[]);
    assert_eq!(nobody.until("closed").await["reason"], "unreachable");
    assert_eq!(nobody.end().await, 1);
}

#[tokio::test]
async fn a_line_that_is_no_command_is_told_and_the_next_one_works() {
    let mut listener = Speaker::start(&["listen", "127.0.0.1:0"]);
    listener.until("ready").await;
    for line in ["dance", r#"{"cmd":"dance"}"#, r#"{"cmd":"send"}"#, "[1"] {
        listener.line(line).await;
        assert!(listener.until("bad_command").await["why"].is_string());
    }
    listener.say(json!({"cmd": "close"})).await;
    assert_eq!(listener.end().await, 1);
}
