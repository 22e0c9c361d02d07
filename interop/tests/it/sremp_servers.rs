//! Our relay and our rendezvous server against the independent peer, and a node that talks with it by them.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use waypost_interop::python::run;
use waypost_interop::speak::Speak;
use waypost_interop::{Event, Peer, Transcript};

use crate::sremp::python;

/// A relay of ours, its `ready`, and two Python clients of it with their identity keys.
struct AtRelay {
    relay: Peer,
    ready: Event,
    alice: Peer,
    alice_key: String,
    bob: Peer,
    bob_key: String,
    transcript: Transcript,
}

impl AtRelay {
    fn start(settings: &[&str]) -> Result<Self> {
        let (python, transcript) = (python()?, Transcript::new());
        let mut relay = Peer::spawn("relay", Speak::prepare()?.relay(settings), &transcript)?;
        let ready = relay.expect("ready")?;
        let mut alice = Peer::spawn("alice", python.relay(1, &ready)?, &transcript)?;
        let mut bob = Peer::spawn("bob", python.relay(2, &ready)?, &transcript)?;
        let mut keys = Vec::new();
        for client in [&mut alice, &mut bob] {
            keys.push(client.expect("ready")?.text("identity_key")?.to_owned());
            client.expect("connected")?;
        }
        let [alice_key, bob_key] = keys.try_into().ok().context("two keys")?;
        Ok(Self { relay, ready, alice, alice_key, bob, bob_key, transcript })
    }

    fn end(mut self) -> Result<()> {
        for mut client in [self.alice, self.bob] {
            client.send(&json!({"cmd": "close"}))?;
            client.expect("closed")?;
            client.finish_well()?;
        }
        self.relay.send(&json!({"cmd": "close"}))?;
        self.relay.finish_well()
    }
}

/// SR-8.1a to SR-8.2f: what the profile says a client may rely on.
#[test]
fn python_stores_retrieves_in_pages_and_discards_at_our_relay() -> Result<()> {
    let mut at = AtRelay::start(&["sender_messages=3"])?;
    let (alice, bob) = (at.alice_key.as_str(), at.bob_key.as_str());
    at.bob.send(&json!({"cmd": "register", "mailbox": false}))?;
    at.bob.expect("registered")?;
    at.bob.send(&json!({"cmd": "store", "recipient": alice, "blob": "00", "message_id": "1"}))?;
    ensure!(at.bob.expect("refused")?.field("code") == "no_mailbox", "{}", at.transcript);
    at.alice.send(&json!({"cmd": "register"}))?;
    ensure!(at.alice.expect("registered")?.field("pending") == 0, "{}", at.transcript);
    for id in 1..=3 {
        at.bob.send(&json!({"cmd": "store", "recipient": alice, "blob": "0102", "message_id": id.to_string()}))?;
        at.bob.expect("stored")?;
    }
    // Once more is the same; with other content it is a contradiction; a fourth is too much of one sender.
    for (id, blob, code) in [(3, "0102", None), (3, "0103", Some("conflict")), (4, "01", Some("quota"))] {
        at.bob.send(&json!({"cmd": "store", "recipient": alice, "blob": blob, "message_id": id.to_string()}))?;
        let answer = at.bob.expect(if code.is_some() { "refused" } else { "stored" })?;
        ensure!(answer.field("code").as_str() == code, "{answer}\n{}", at.transcript);
    }
    for (page, more) in [(1, true), (2, true), (3, false)] {
        at.alice.send(&json!({"cmd": "retrieve", "limit": 1}))?;
        let batch = at.alice.expect("batch")?;
        ensure!(batch.field("messages") == 1 && batch.field("has_more") == more, "{page}: {batch}\n{}", at.transcript);
    }
    for id in 1..=3 {
        at.alice.send(&json!({"cmd": "discard", "sender": bob, "message_id": id.to_string()}))?;
        at.relay.expect("discarded")?;
    }
    at.alice.send(&json!({"cmd": "retrieve", "after": 0}))?;
    ensure!(at.alice.expect("batch")?.field("messages") == 0, "{}", at.transcript);
    at.alice.send(&json!({"cmd": "ping"}))?;
    at.alice.expect("pong")?;
    at.end()
}

/// SR-5f, SR-8.2d, SR-8.2e: a first letter by prekeys of the relay, its answer, and both confirmations.
#[test]
fn python_writes_to_python_by_our_relay() -> Result<()> {
    let mut at = AtRelay::start(&[])?;
    at.alice.send(&json!({"cmd": "register", "push": true}))?;
    at.alice.expect("registered")?;
    at.alice.send(&json!({"cmd": "publish", "one_time": 2}))?;
    ensure!(at.alice.expect("published")?.field("one_time_left") == 2, "{}", at.transcript);
    at.bob.send(&json!({"cmd": "register"}))?;
    at.bob.expect("registered")?;

    at.bob.send(&json!({"cmd": "send", "to": at.alice_key, "text": "first"}))?;
    ensure!(at.bob.expect("session")?.field("one_time") == true, "{}", at.transcript);
    at.bob.expect("stored")?;
    let heard = at.alice.expect("text")?;
    ensure!(heard.field("text") == "first" && heard.text("sender")? == at.bob_key, "{heard}");
    at.relay.expect("delivered")?;
    at.alice.send(&json!({"cmd": "send", "to": at.bob_key, "text": "answer"}))?;
    at.alice.expect("stored")?;
    // Bob asks: the confirmation of his letter and the answer come in one batch.
    at.bob.send(&json!({"cmd": "retrieve"}))?;
    ensure!(at.bob.expect("text")?.field("text") == "answer", "{}", at.transcript);
    ensure!(at.bob.expect("confirmed")?.text("by")? == at.alice_key, "{}", at.transcript);
    ensure!(at.alice.expect("confirmed")?.text("by")? == at.bob_key, "{}", at.transcript);

    // The second item, then none, and nothing at all of somebody who published nothing.
    for one_time in [true, false] {
        at.bob.send(&json!({"cmd": "fetch", "target": at.alice_key}))?;
        let prekeys = at.bob.expect("prekeys")?;
        ensure!(prekeys.field("one_time_id").is_number() == one_time, "{prekeys}\n{}", at.transcript);
    }
    at.alice.send(&json!({"cmd": "fetch", "target": at.bob_key}))?;
    ensure!(at.alice.expect("error")?.field("code") == "not_found", "{}", at.transcript);
    at.end()
}

#[test]
fn our_relay_refuses_python_before_it_registers_and_by_its_list() -> Result<()> {
    let mut at = AtRelay::start(&["access=list"])?;
    at.alice.send(&json!({"cmd": "register"}))?;
    ensure!(at.alice.expect("error")?.field("code") == "forbidden", "{}", at.transcript);
    at.bob.send(&json!({"cmd": "fetch", "target": at.alice_key}))?;
    let error = at.bob.expect("error")?;
    ensure!(error.field("code") == "auth" && error.field("fatal") == true, "{error}\n{}", at.transcript);
    let wrong = at.ready.with("identity_key", json!("11".repeat(32)));
    let mut carol = Peer::spawn("carol", python()?.relay(3, &wrong)?, &at.transcript)?;
    ensure!(carol.expect("error")?.field("code") == "auth", "{}", at.transcript);
    Ok(())
}

/// SR-6d, SR-6e, SR-8.2g: a node is off while an independent peer writes its first letter; both sides only ever meet the relay.
#[test]
fn a_node_that_was_away_reads_a_first_letter_of_python_and_answers_by_the_relay() -> Result<()> {
    let (python, ours, transcript) = (python()?, Speak::prepare()?, Transcript::new());
    let mut relay = Peer::spawn("relay", ours.relay(&[]), &transcript)?;
    let ready = relay.expect("ready")?;
    let folder = tempfile::tempdir()?;
    let home = folder.path().join("home");
    let run = |arguments: &[&str]| run(&mut ours.node(&home, arguments));
    let made: Value = serde_json::from_str(&run(&["init", "--name", "Nora", "--no-passphrase"])?)?;
    let node_key = made.get("contact").and_then(Value::as_str).context("no id")?;
    run(&["config", "set", "sremp.listen", "[]"])?;
    run(&["config", "set", "sremp.allow_private_endpoints", "true"])?;
    run(&["server", "add", ready.text("address")?])?;
    // The node runs until its prekeys are at the relay, then it is away.
    {
        let mut node = Peer::spawn("node", ours.node(&home, &["up"]), &transcript)?;
        node.expect("ready")?;
        // It may have been done by `server add` already.
        relay.expect("published")?;
        run(&["stop"])?;
        node.finish_well()?;
    }

    let mut ann = Peer::spawn("ann", python.relay(1, &ready)?, &transcript)?;
    let here = ann.expect("ready")?;
    for (command, done) in [
        (json!({"cmd": "register", "push": true}), "registered"),
        (json!({"cmd": "publish", "one_time": 1}), "published"),
        (json!({"cmd": "send", "to": node_key, "text": "are you there?"}), "stored"),
    ] {
        ann.send(&command)?;
        ann.expect(done)?;
    }

    run(&["contact", "add", here.text("invitation")?])?;
    let mut chat = Peer::spawn("chat", ours.node(&home, &["chat", here.text("identity_key")?]), &transcript)?;
    chat.expect_that("the letter", |line| line.to_string().contains("are you there?"))?;
    ann.expect("confirmed")?;
    chat.line("I was away")?;
    let answer = ann.expect("text")?;
    ensure!(answer.field("text") == "I was away" && answer.field("sender") == node_key, "{answer}");
    chat.expect_that("delivered", |line| line.field("state") == "delivered")?;
    chat.finish_well()?;
    ann.send(&json!({"cmd": "close"}))?;
    ann.finish_well()?;
    relay.finish_well()
}

/// SR-7.1a to SR-7.2d: each side checks the other's signatures.
#[test]
fn python_registers_looks_up_and_lists_at_our_rendezvous_server() -> Result<()> {
    let (python, ours, transcript) = (python()?, Speak::prepare()?, Transcript::new());
    let mut server = Peer::spawn("server", ours.rendezvous(), &transcript)?;
    let ready = server.expect("ready")?;
    let uri = ready.text("address")?;
    let mut ann = Peer::spawn("ann", python.rendezvous(1, uri, &["--discoverable"]), &transcript)?;
    let mut eve = Peer::spawn("eve", python.rendezvous(2, uri, &[]), &transcript)?;
    let mut own = Peer::spawn("own", ours.rendezvous_client(3, uri), &transcript)?;
    let mut keys = Vec::new();
    for client in [&mut ann, &mut eve, &mut own] {
        keys.push(client.expect("ready")?.text("identity_key")?.to_owned());
        ensure!(client.expect("connected")?.field("server_id") == ready.field("spki"), "{transcript}");
    }
    let [ann_key, eve_key, own_key] = keys.try_into().ok().context("three keys")?;

    ann.send(&json!({"cmd": "register", "host": "ann.example", "port": 7300, "ttl_seconds": 90000, "seq": 5}))?;
    let granted = ann.expect("registered")?;
    ensure!(granted.field("renewal_interval") == 1800, "{granted}");
    eve.send(&json!({"cmd": "register", "host": "2001:db8::5", "port": 1}))?;
    eve.expect("registered")?;
    own.send(&json!({"cmd": "register", "endpoint": "192.0.2.9:7300"}))?;
    own.expect("register_response")?;
    for (more, code) in [
        (json!({"seq": 6, "spoil": true}), "reg_sig"),
        (json!({"seq": 4}), "reg_seq"),
        (json!({"seq": 6, "issued": 1}), "expired"),
        (json!({"seq": 6, "host": "127.0.0.01"}), "malformed"),
    ] {
        let mut command = json!({"cmd": "register", "host": "ann.example", "port": 7300});
        if let (Some(command), Some(more)) = (command.as_object_mut(), more.as_object()) {
            command.extend(more.clone());
        }
        ann.send(&command)?;
        let refused = ann.expect("refused")?;
        ensure!(refused.field("code") == code, "{refused} is not {code}\n{transcript}");
    }

    // Python checks what our client registered, our client what Python registered.
    eve.send(&json!({"cmd": "lookup", "target": own_key}))?;
    let found = eve.expect("found")?;
    ensure!(found.field("peers")[0]["endpoint"] == "192.0.2.9:7300", "{found}");
    own.send(&json!({"cmd": "lookup", "target": eve_key}))?;
    let found = own.expect("lookup_response")?;
    ensure!(found.field("checks")[0]["result"] == "ok", "{found}");
    ensure!(found.field("checks")[0]["endpoint"] == "[2001:db8::5]:1", "{found}");
    // Eve did not ask to be listed.
    let mut listed = [ann_key, own_key.clone()];
    listed.sort();
    let mut after = Value::Null;
    for key in &listed {
        eve.send(&json!({"cmd": "list", "limit": 1, "after": after}))?;
        let page = eve.expect("found")?;
        ensure!(page.field("peers")[0]["identity_key"] == *key, "{page}\n{transcript}");
        after = page.field("next").clone();
    }
    ensure!(after.is_null(), "a page too many\n{transcript}");
    own.send(&json!({"cmd": "register", "endpoint": "192.0.2.9:7300", "ttl_seconds": 0}))?;
    own.expect("register_response")?;
    eve.send(&json!({"cmd": "lookup", "target": own_key}))?;
    ensure!(eve.expect("found")?.field("peers") == &json!([]), "{transcript}");
    eve.send(&json!({"cmd": "servers"}))?;
    ensure!(eve.expect("servers")?.field("servers") == &json!([]), "{transcript}");
    for client in [ann, eve, own, server] {
        client.finish_well()?;
    }
    Ok(())
}

/// SR-4.2a.
#[test]
fn our_rendezvous_server_refuses_other_tls_and_python_another_key() -> Result<()> {
    let (python, transcript) = (python()?, Transcript::new());
    let mut server = Peer::spawn("server", Speak::prepare()?.rendezvous(), &transcript)?;
    let ready = server.expect("ready")?;
    let uri = ready.text("address")?;
    for more in [&["--tls12"][..], &["--alpn", "h2"]] {
        let mut client = Peer::spawn("client", python.rendezvous(1, uri, more), &transcript)?;
        client.expect("closed")?;
        ensure!(!client.finish()?.success(), "{more:?} was served\n{transcript}");
    }
    let other = format!("{}?spki={}", uri.split('?').next().unwrap_or(uri), "A".repeat(43));
    let mut client = Peer::spawn("client", python.rendezvous(1, &other, &[]), &transcript)?;
    ensure!(client.expect("error")?.field("code") == "auth", "{transcript}");
    ensure!(!client.finish()?.success(), "{transcript}");
    let mut client = Peer::spawn("client", python.rendezvous(1, uri, &[]), &transcript)?;
    client.expect("connected")?;
    client.finish_well()?;
    server.finish_well()
}
