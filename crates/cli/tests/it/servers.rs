//! Relays and rendezvous servers: run by `serve`, used by people who are away.

use crate::people::{Person, Ran, Running, ended};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use tempfile::TempDir;
use tokio::process::Command;
use waypost_node::Event;

/// The folder of somebody who runs servers.
struct Operator(TempDir);

impl Operator {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn data(&self) -> PathBuf {
        self.0.path().join("data")
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_waypost"));
        command
            .arg("serve")
            .args(args)
            .env("WAYPOST_HOME", self.0.path().join("home"))
            .env("NO_COLOR", "1")
            .env_remove("WAYPOST_LOG")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command
    }

    /// Command-line arguments, with a file of these settings.
    fn args(&self, listen: &Value, roles: &[&str], relay: &str) -> Vec<String> {
        let config = self.0.path().join("server.toml");
        let rendezvous = "[rendezvous]\nlisten = [\"127.0.0.1:0\"]";
        std::fs::write(&config, format!("[relay]\ndisk_percent = 100\nlisten = [{listen}]\n{relay}\n{rendezvous}\n"))
            .unwrap();
        let (config, data) = (config.display().to_string(), self.data().display().to_string());
        let options = ["--config", &config, "--data", &data, "--advertise", "127.0.0.1"];
        roles.iter().chain(&options).map(|&arg| arg.to_owned()).collect()
    }

    /// Serves and waits until all roles listen.
    async fn serve(&self, roles: &[&str], relay: &str) -> Running {
        self.serve_at(&"127.0.0.1:0".into(), roles, relay).await
    }

    async fn serve_at(&self, listen: &Value, roles: &[&str], relay: &str) -> Running {
        let args = self.args(listen, roles, relay);
        let args: Vec<&str> = args.iter().map(String::as_str).chain(["--json"]).collect();
        let mut running = Running::start(self.command(&args));
        running.ready = serde_json::from_str(&running.line().await).unwrap();
        assert_eq!(running.ready["event"], "ready");
        running
    }

    /// Tries to serve, which must end by itself.
    async fn fails(&self, code: i32, roles: &[&str]) -> Ran {
        let args = self.args(&"127.0.0.1:0".into(), roles, "");
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let ran = ended(self.command(&args)).await;
        assert_eq!(ran.code, code, "{ran:?}");
        ran
    }
}

fn address(server: &Running, role: &str) -> String {
    server.ready[role]["address"].as_str().unwrap().to_owned()
}

/// The `host:port` of a server's address.
fn place(address: &str) -> &str {
    address.split("://").nth(1).unwrap().split('?').next().unwrap()
}

/// Somebody who dials into this machine because others say so: all servers here are on it.
async fn local(name: &'static str) -> Person {
    let person = Person::new(name).await;
    person.ok(&["config", "set", "sremp.allow_private_endpoints", "true"]).await;
    person
}

async fn befriend(alice: &Person, bob: &Person) {
    bob.ok(&["contact", "add", &alice.invite().await]).await;
    alice.ok(&["contact", "add", &bob.invite().await]).await;
}

fn reaches(state: &'static str) -> impl Fn(Event) -> Option<()> {
    move |event| match event {
        Event::State { state: now, .. } => (now == state).then_some(()),
        _ => None,
    }
}

/// Files that others than their owner can read.
fn readable_by_others(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.metadata().unwrap().permissions().mode() & 0o077 != 0 {
            found.push(path.clone());
        }
        if path.is_dir() {
            found.extend(readable_by_others(&path));
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn both_roles_serve_from_a_fresh_folder_and_are_added_tested_and_removed() {
    let operator = Operator::new();
    let server = operator.serve(&["relay", "rendezvous"], "").await;
    let (relay, rendezvous) = (address(&server, "relay"), address(&server, "rendezvous"));
    assert_eq!(operator.data().metadata().unwrap().permissions().mode() & 0o777, 0o700);
    assert_eq!(readable_by_others(&operator.data()), Vec::<PathBuf>::new());

    let alice = local("Alice").await;
    let up = alice.up().await;
    for (kind, address) in [("relay", &relay), ("rendezvous", &rendezvous)] {
        let added = alice.json(&["server", "add", address]).await;
        assert_eq!((&added["kind"], &added["state"]), (&kind.into(), &"ready".into()), "{added}");
        let test = alice.json(&["server", "test", place(address)]).await;
        assert_eq!((&test["works"], &test["took_ms"].is_u64()), (&true.into(), &true), "{test}");
    }
    let list = alice.ok(&["server", "list"]).await;
    assert!(list.contains(&relay) && list.contains(&rendezvous), "{list}");
    assert_eq!(list.lines().filter(|line| line.contains(" ready ")).count(), 2, "{list}");
    assert!(alice.ok(&["server", "list", "--suggested"]).await.contains("named no others"));
    let doctor = alice.ok(&["doctor"]).await;
    assert!(doctor.contains(place(&relay)) && doctor.contains(place(&rendezvous)), "{doctor}");
    let netcheck = alice.json(&["netcheck"]).await;
    assert!(netcheck["servers"].as_array().unwrap().iter().all(|test| test["works"] == true), "{netcheck}");
    assert_eq!(netcheck["servers"].as_array().unwrap().len(), 2);
    // Her card names the relay now.
    let netcheck = alice.ok(&["netcheck"]).await;
    assert!(netcheck.contains("Your card says: sremp-relay://") && netcheck.contains(place(&relay)), "{netcheck}");

    assert_eq!(server.terminate().await, 0);
    let told = alice.run(&["server", "test", place(&relay)]).await;
    assert_eq!(told.code, 4, "{told:?}");
    assert!(told.stdout.contains("->"), "{told:?}");
    assert_eq!(alice.run(&["doctor"]).await.code, 1);
    for address in [&relay, &rendezvous] {
        alice.ok(&["server", "remove", place(address)]).await;
    }
    assert!(alice.ok(&["server", "list"]).await.contains("no servers"));
    alice.fails(3, &["server", "remove", place(&relay)]).await;
    alice.fails(2, &["server", "add", "relay.example:7310"]).await;
    assert_eq!(up.terminate().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn letters_wait_at_a_relay_and_a_ping_names_the_path() {
    let operator = Operator::new();
    let server = operator.serve(&["relay"], "").await;
    let relay = address(&server, "relay");
    let (alice, bob) = (local("Alice").await, local("Bob").await);
    let (_alice_up, bob_up) = (alice.up().await, bob.up().await);
    bob.ok(&["server", "add", &relay]).await;
    befriend(&alice, &bob).await;
    alice.ok(&["send", "Bob", "are you there?"]).await;
    assert_eq!(alice.json(&["ping", "Bob"]).await["path"], "direct");

    assert_eq!(bob_up.terminate().await, 0);
    let mut listener = alice.listen().await;
    let told = alice.run(&["send", "Bob", "for later", "--wait", "0", "--json"]).await;
    let id = serde_json::from_str::<Value>(&told.stdout).unwrap()["id"].as_str().unwrap().to_owned();
    listener.wait(reaches("stored")).await;
    let pong = alice.json(&["ping", "Bob"]).await;
    assert_eq!((&pong["path"], &pong["via"]), (&"relay".into(), &place(&relay).into()), "{pong}");
    assert!(alice.ok(&["netcheck"]).await.contains(" relay "));

    let _bob_up = bob.up().await;
    listener.wait(reaches("delivered")).await;
    let inbox = bob.json(&["inbox"]).await;
    assert_eq!(inbox["entries"][1]["body"]["text"], "for later");
    assert_eq!(inbox["entries"].as_array().unwrap().len(), 2);
    let trace = alice.ok(&["trace", &id]).await;
    assert!(trace.contains(&format!("stored at relay {}", place(&relay))), "{trace}");
    assert_eq!(server.terminate().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn letters_at_a_relay_outlive_its_death() {
    let operator = Operator::new();
    let server = operator.serve(&["relay"], "").await;
    let (listening, before) = (server.ready["relay"]["listening"][0].clone(), address(&server, "relay"));
    let (alice, bob) = (local("Alice").await, local("Bob").await);
    let (alice_up, bob_up) = (alice.up().await, bob.up().await);
    bob.ok(&["server", "add", &before]).await;
    befriend(&alice, &bob).await;
    alice.ok(&["send", "Bob", "first"]).await;
    assert_eq!(bob_up.terminate().await, 0);
    let mut listener = alice.listen().await;
    alice.run(&["send", "Bob", "second", "--wait", "0"]).await;
    listener.wait(reaches("stored")).await;
    // From here on nobody has the letter but the relay's disk and Alice, who is off.
    assert_eq!(alice_up.terminate().await, 0);
    server.kill().await;
    let again = operator.serve_at(&listening, &["relay"], "").await;
    assert_eq!(address(&again, "relay"), before);
    let _bob_up = bob.up().await;
    let mut listener = bob.listen().await;
    let second = |event| matches!(event, Event::Letter { entry, new: true } if entry.body.text() == Some("second"));
    if bob.json(&["inbox"]).await["entries"].as_array().unwrap().len() < 2 {
        listener.wait(|event| second(event).then_some(())).await;
    }
    assert_eq!(again.terminate().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_else_at_a_relays_address_gets_nothing() {
    let operator = Operator::new();
    let server = operator.serve(&["relay"], "").await;
    let relay = address(&server, "relay");
    let alice = local("Alice").await;
    let _up = alice.up().await;
    let other = Person::new("Other").await.id().await;
    let wrong = format!("sremp-relay://{}?k={other}", place(&relay));
    let told = alice.run(&["server", "add", &wrong]).await;
    assert_eq!(told.code, 1, "{told:?}");
    assert!(told.stdout.contains("somebody else answers") && told.stdout.contains("nothing was sent"), "{told:?}");
    let test = alice.run(&["server", "test", place(&relay)]).await;
    assert_eq!(test.code, 4, "{test:?}");
    assert!(test.stdout.contains("somebody else answers"), "{test:?}");
    alice.ok(&["server", "remove", place(&relay)]).await;
    assert_eq!(alice.json(&["server", "add", &relay]).await["state"], "ready");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_for_members_admits_them_alone() {
    let operator = Operator::new();
    let (member, stranger) = (local("Alice").await, local("Bob").await);
    let access = format!("access = \"list\"\nmembers = [\"{}\"]", member.id().await);
    let server = operator.serve(&["relay"], &access).await;
    let relay = address(&server, "relay");
    let (_member_up, _stranger_up) = (member.up().await, stranger.up().await);
    assert_eq!(member.json(&["server", "add", &relay]).await["state"], "ready");
    let told = stranger.run(&["server", "add", &relay]).await;
    assert_eq!(told.code, 1, "{told:?}");
    assert!(told.stdout.contains("does not admit you"), "{told:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_with_tokens_admits_who_brings_one() {
    let operator = Operator::new();
    let token = rand::random::<[u8; 16]>();
    let access = format!("access = \"token\"\ntoken_hashes = [\"{}\"]", hex::encode(Sha256::digest(token)));
    let server = operator.serve(&["relay"], &access).await;
    let relay = address(&server, "relay");
    let alice = local("Alice").await;
    let _up = alice.up().await;
    for wrong in [relay.clone(), format!("{relay}&t=00ff")] {
        let told = alice.run(&["server", "add", &wrong]).await;
        assert_eq!(told.code, 1, "{told:?}");
        assert!(told.stdout.contains("ask its operator for a token"), "{told:?}");
    }
    let token = hex::encode(token);
    assert_eq!(alice.json(&["server", "add", &format!("{relay}&t={token}")]).await["state"], "ready");
    assert!(!alice.ok(&["server", "list", "--json"]).await.contains(&token), "a token is a secret");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_process_has_a_data_folder_and_keeps_its_keys() {
    let operator = Operator::new();
    let server = operator.serve(&["relay", "rendezvous"], "").await;
    let key = |text: &str| text.split('?').nth(1).unwrap().to_owned();
    let before = (key(&address(&server, "relay")), key(&address(&server, "rendezvous")));
    let ran = operator.fails(1, &["relay"]).await;
    assert!(ran.stderr.contains("another `waypost serve` running with the same data folder"), "{ran:?}");
    assert_eq!(server.terminate().await, 0);
    let again = operator.serve(&["relay", "rendezvous"], "").await;
    assert_eq!((key(&address(&again, "relay")), key(&address(&again, "rendezvous"))), before);
    again.kill().await;
    let third = operator.serve(&["relay"], "").await;
    assert_eq!(key(&address(&third, "relay")), before.0);
    assert_eq!(third.terminate().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_printed_settings_can_be_used_and_wrong_ones_are_explained() {
    let operator = Operator::new();
    let printed = ended(operator.command(&["--print-config"])).await;
    assert_eq!(printed.code, 0, "{printed:?}");
    let file = operator.0.path().join("printed.toml");
    let listening =
        printed.stdout.replace("\"0.0.0.0:7310\"", "\"127.0.0.1:0\"").replace("\"0.0.0.0:7320\"", "\"127.0.0.1:0\"");
    std::fs::write(&file, listening).unwrap();
    let (path, data) = (file.to_str().unwrap(), operator.data().display().to_string());
    let args = ["--config", path, "--data", &data, "--json"];
    let mut running = Running::start(operator.command(&args));
    let ready: Value = serde_json::from_str(&running.line().await).unwrap();
    assert!(ready["relay"]["address"].is_string() && ready["rendezvous"]["address"].is_string(), "{ready}");
    assert_eq!(running.terminate().await, 0);

    std::fs::write(&file, "[relay]\nquota = 1\n").unwrap();
    let ran = ended(operator.command(&args)).await;
    assert_eq!(ran.code, 2, "{ran:?}");
    assert!(ran.stderr.contains("quota") && ran.stderr.contains("--print-config"), "{ran:?}");
    let ran = ended(operator.command(&["postman"])).await;
    assert_eq!(ran.code, 2, "{ran:?}");
    std::fs::write(&file, "").unwrap();
    let ran = ended(operator.command(&args)).await;
    assert_eq!(ran.code, 2, "{ran:?}");
    assert!(ran.stderr.contains("no role"), "{ran:?}");
}
