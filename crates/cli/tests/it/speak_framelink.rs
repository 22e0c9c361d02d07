//! `waypost speak framelink`: two of it talk, and how it ends.

use crate::speak::Speaker;
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

const PSK: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
const OTHER: &str = "200102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

fn start(args: &[&str]) -> Speaker {
    Speaker::start_as("framelink", args)
}

/// A listener, and where it is.
async fn listen(args: &[&str]) -> (Speaker, String) {
    let mut listener = start(&[&["listen", "127.0.0.1:0"], args].concat());
    let at = listener.until("ready").await["bound"].as_str().unwrap().to_owned();
    (listener, at)
}

fn connect(at: &str, args: &[&str]) -> Speaker {
    start(&[&["connect", at], args].concat())
}

/// Two with the same key, both established: who listens and who connected.
async fn pair(listener: &[&str], connector: &[&str]) -> (Speaker, Speaker) {
    let (mut bottom, at) = listen(&[&["--psk", PSK], listener].concat()).await;
    let mut top = connect(&at, &[&["--psk", PSK], connector].concat());
    top.until("open").await;
    bottom.until("open").await;
    (bottom, top)
}

/// The profile's read: n, status, and all of it.
async fn reads(speaker: &mut Speaker, n: usize, timeout_ms: u64) -> (u64, String, Value) {
    speaker.say(json!({"cmd": "recv", "n": n, "timeout_ms": timeout_ms})).await;
    let read = speaker.until("reads").await;
    (read["n"].as_u64().unwrap(), read["status"].as_str().unwrap().to_owned(), read)
}

fn block() -> String {
    (0..=255u8).map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test]
async fn messages_go_both_ways_and_the_end_is_confirmed() {
    let (mut bottom, mut top) = pair(&[], &[]).await;
    top.say(json!({"cmd": "send", "payload": "00ff"})).await;
    let frame = bottom.until("frame").await;
    assert_eq!((&frame["payload"], &frame["code"], &frame["seq"]), (&json!("00ff"), &json!(0), &json!(2)));
    top.say(json!({"cmd": "send_pattern", "bytes": 200_000, "seed": 7})).await;
    let message = bottom.until("message").await;
    assert_eq!(message["len"], 2);
    let message = bottom.until("message").await;
    assert_eq!((&message["len"], &message["frames"]), (&json!(200_000), &json!(4)));
    assert!(message["payload"].as_str().unwrap().starts_with("0726456483"));
    bottom.say(json!({"cmd": "send_text", "text": "an answer", "code": "7"})).await;
    let answer = top.until("message").await;
    assert_eq!((&answer["code"], &answer["payload"]), (&json!(7), &json!(hex::encode("an answer"))));
    top.say(json!({"cmd": "ping", "payload": "0a0b"})).await;
    assert_eq!(top.until("pong").await["payload"], "0a0b");
    bottom.say(json!({"cmd": "rekey"})).await;
    top.say(json!({"cmd": "close"})).await;
    bottom.until("peer_closed").await;
    // The other direction goes on, under its new key.
    bottom.say(json!({"cmd": "send_pattern", "bytes": 1_000_000})).await;
    assert_eq!(top.until("message").await["len"], 1_000_000);
    bottom.say(json!({"cmd": "status"})).await;
    let status = bottom.until("status").await;
    assert_eq!((&status["received"]["bytes"], &status["link"]), (&json!(200_002), &json!(1)));
    bottom.say(json!({"cmd": "close"})).await;
    assert!(top.until("peer_closed").await["received"].as_u64().unwrap() > 1);
    for side in [&mut top, &mut bottom] {
        assert_eq!(side.until("ended").await["status"], "Closed");
    }
    assert_eq!((top.end().await, bottom.end().await), (0, 0));
}

#[tokio::test]
async fn what_was_asked_for_is_sent_though_stdin_ends_at_once() {
    let (mut bottom, at) = listen(&["--psk", PSK]).await;
    let mut top = connect(&at, &["--psk", PSK]);
    for n in 0..100 {
        top.say(json!({"cmd": "send_text", "text": n.to_string()})).await;
    }
    let ended = tokio::spawn(top.end());
    for n in 0..100 {
        assert_eq!(bottom.until("message").await["payload"], hex::encode(n.to_string()));
    }
    bottom.until("peer_closed").await;
    assert_eq!(bottom.end().await, 0);
    assert_eq!(ended.await.unwrap(), 0);
}

#[tokio::test]
async fn a_listener_serves_several_links_and_answers_each_by_its_number() {
    let (mut bottom, at) = listen(&["--psk", OTHER, "--psk", PSK, "--mode", "hybrid,psk"]).await;
    let mut tops = Vec::new();
    for mode in ["psk", "hybrid"] {
        let mut top = connect(&at, &["--psk", PSK, "--mode", mode]);
        assert_eq!(top.until("open").await["mode"], mode);
        let open = bottom.until("open").await;
        assert_eq!((&open["mode"], &open["psk"]), (&json!(mode), &json!(1)));
        tops.push((top, open["link"].clone()));
    }
    for (top, number) in &mut tops {
        bottom.say(json!({"cmd": "send_text", "text": number.to_string(), "link": number})).await;
        assert_eq!(top.until("message").await["payload"], hex::encode(number.to_string()));
    }
    bottom.say(json!({"cmd": "ping", "link": 9})).await;
    let refused = bottom.until("refused").await;
    assert_eq!((&refused["kind"], &refused["cmd"], &refused["link"]), (&json!("no-link"), &json!("ping"), &json!(9)));
    // A listener that ends waits until its peers have closed too.
    let ended = tokio::spawn(bottom.end());
    for (mut top, _) in tops {
        top.until("peer_closed").await;
        assert_eq!(top.end().await, 0);
    }
    assert_eq!(ended.await.unwrap(), 0);
}

#[tokio::test]
async fn the_read_of_the_profile_tells_why_it_ended() {
    let (mut bottom, mut top) = pair(&["--manual"], &[]).await;
    assert_eq!(reads(&mut bottom, 10, 10).await.1, "Slow");
    for payload in ["616263", "", "6465"] {
        top.say(json!({"cmd": "send", "payload": payload, "code": 5})).await;
    }
    let (n, status, read) = reads(&mut bottom, 2, 10_000).await;
    assert_eq!((n, status.as_str(), &read["len"]), (0, "TooSmall", &json!(3)));
    let (n, status, read) = reads(&mut bottom, 4, 10_000).await;
    assert_eq!((n, status.as_str(), &read["payload"]), (3, "Boundary", &json!("616263")));
    assert_eq!(read["frames"], json!([{"code": 5, "seq": 2, "len": 3}, {"code": 5, "seq": 3, "len": 0}]));
    let (n, status, _) = reads(&mut bottom, 2, 10_000).await;
    assert_eq!((n, status.as_str()), (2, "Full"));
    top.say(json!({"cmd": "close"})).await;
    bottom.until("peer_closed").await;
    assert_eq!(reads(&mut bottom, 2, 10_000).await.1, "Closed");
    top.say(json!({"cmd": "recv", "n": 1})).await;
    assert_eq!(top.until("refused").await["kind"], "not-manual");
    assert_eq!(bottom.end().await, 0);
    assert_eq!(top.end().await, 0);
}

#[tokio::test]
async fn an_abort_and_a_refusal_show_on_both_sides() {
    let (mut bottom, mut top) = pair(&[], &[]).await;
    top.say(json!({"cmd": "abort", "code": 5, "text": "gone"})).await;
    let ended = bottom.until("ended").await;
    assert_eq!((&ended["status"], &ended["code"], &ended["text"]), (&json!("PeerError"), &json!(5), &json!("gone")));
    assert_eq!(top.until("ended").await["status"], "Aborted");
    assert_eq!(top.end().await, 0);
    bottom.say(json!({"cmd": "status"})).await;
    assert_eq!(bottom.until("refused").await["kind"], "no-link");
    // What ends a link of a listener does not make it fail.
    assert_eq!(bottom.end().await, 0);

    let (mut bottom, at) = listen(&["--psk", PSK]).await;
    for (args, kind, reason) in [
        (&["--psk", OTHER][..], "bad-key", 4),
        (&["--psk", PSK, "--mode", "psk"], "bad-mode", 2),
        (&["--psk", PSK, "--align", "stream"], "bad-options", 3),
    ] {
        let mut top = connect(&at, args);
        let ended = top.until("ended").await;
        assert_eq!((&ended["kind"], &ended["reason"]), (&json!("rejected"), &json!(reason)));
        assert_eq!((&ended["name"], &ended["in_handshake"]), (&json!(kind), &json!(true)));
        assert_eq!(top.end().await, 1);
        let ended = bottom.until("ended").await;
        assert_eq!((&ended["status"], &ended["kind"]), (&json!("Violation"), &json!(kind)));
    }
    assert_eq!(bottom.end().await, 0);
}

#[tokio::test]
async fn commands_that_cannot_be_done_are_refused_and_the_next_one_works() {
    let (mut bottom, mut top) = pair(&["--credit", "1000", "--max-frame", "1024"], &[]).await;
    for (command, kind) in [
        (json!({"cmd": "send", "payload": "00".repeat(501), "code": 2}), "too-large"),
        (json!({"cmd": "send", "code": "80000004"}), "unknown-control"),
        (json!({"cmd": "ping", "payload": "00".repeat(65)}), "too-large"),
    ] {
        let name = command["cmd"].clone();
        top.say(command).await;
        let refused = top.until("refused").await;
        assert_eq!((&refused["kind"], &refused["cmd"]), (&json!(kind), &name));
    }
    top.say(json!({"cmd": "send", "payload": "00".repeat(500), "code": 2})).await;
    assert_eq!(bottom.until("frame").await["len"], 500);
    top.say(json!({"cmd": "close"})).await;
    top.say(json!({"cmd": "send"})).await;
    assert_eq!(top.until("refused").await["kind"], "closed");
    for bad in [json!({"cmd": "dance"}), json!({"cmd": "send_pattern", "bytes": 1u64 << 40})] {
        top.say(bad).await;
        assert!(top.until("bad_command").await["why"].is_string());
    }
    assert_eq!(bottom.end().await, 0);
    top.until("ended").await;
    assert_eq!(top.end().await, 1);
}

#[tokio::test]
async fn a_raw_block_serves_one_link_in_each_role() {
    let folder = tempfile::tempdir().unwrap();
    let (file, state) = (folder.path().join("block"), folder.path().join("state"));
    std::fs::write(&file, (0..=255u8).collect::<Vec<_>>()).unwrap();
    let path = |path: &Path| path.to_str().unwrap().to_owned();
    let (file_path, state) = (path(&file), path(&state));
    let args = ["--mode", "raw", "--block-file", &file_path, "--state-dir", &state];
    std::fs::set_permissions(&file, PermissionsExt::from_mode(0o644)).unwrap();
    assert_eq!(start(&[&["listen", "127.0.0.1:0"][..], &args].concat()).end().await, 2);
    std::fs::set_permissions(&file, PermissionsExt::from_mode(0o600)).unwrap();

    let (mut bottom, at) = listen(&[&args[..], &["--start-seq", "0xffffffff", "--seq-wrap", "1"]].concat()).await;
    let same = ["--start-seq", "4294967295", "--seq-wrap", "1"];
    // The same block as hex is the same block.
    let hex = block();
    let args_top = ["--mode", "raw", "--block", hex.as_str(), "--state-dir", &state];
    let mut top = connect(&at, &[&args_top[..], &same].concat());
    assert_eq!(top.until("ready").await["role"], "top");
    for seq in [0xffff_ffff_u32, 1] {
        top.say(json!({"cmd": "send", "payload": "00", "code": "80000003"})).await;
        let frame = bottom.until("frame").await;
        assert_eq!((&frame["seq"], &frame["code"]), (&json!(seq), &json!(0x8000_0003_u32)));
    }
    top.say(json!({"cmd": "ping"})).await;
    assert_eq!(top.until("refused").await["kind"], "closed");
    top.say(json!({"cmd": "close"})).await;
    assert_eq!(bottom.until("ended").await["status"], "Ended");
    // Both roles are used up now, before anything is opened.
    for used in [["listen", "127.0.0.1:0"], ["connect", &at]] {
        assert_eq!(start(&[&used[..], &args].concat()).end().await, 2);
    }
    let no_ledger = ["listen", "127.0.0.1:0", "--mode", "raw", "--block", hex.as_str(), "--no-ledger"];
    assert_eq!(start(&no_ledger).end().await, 0);
}

#[tokio::test]
async fn options_that_do_not_go_together_are_refused() {
    let hex = block();
    for args in [
        &["listen", "127.0.0.1:0"][..],
        &["listen", "127.0.0.1:0", "--psk", "00"],
        &["listen", "127.0.0.1:0", "--psk", &"00".repeat(32)],
        &["listen", "127.0.0.1:0", "--psk", PSK, "--mode", "raw"],
        &["listen", "127.0.0.1:0", "--psk", PSK, "--mode", "hybrid,raw"],
        &["listen", "127.0.0.1:0", "--psk", PSK, "--mac-init", "standard"],
        &["listen", "127.0.0.1:0", "--psk", PSK, "--start-seq", "2"],
        &["listen", "127.0.0.1:0", "--psk", PSK, "--max-frame", "1023"],
        &["listen", "127.0.0.1:0", "--psk", PSK, "--credit", "0"],
        &["listen", "127.0.0.1:0", "--psk", PSK, "--keepalive", "-1"],
        &["listen", "127.0.0.1:0", "--mode", "raw", "--block", &hex],
        &["listen", "127.0.0.1:0", "--mode", "raw", "--no-ledger"],
        &["connect", "127.0.0.1:1", "--psk", PSK, "--psk", OTHER],
        &["connect", "127.0.0.1:1", "--psk", PSK, "--mode", "psk,hybrid"],
    ] {
        assert_eq!(start(args).end().await, 2, "{args:?}");
    }
}

#[tokio::test]
async fn a_warning_comes_with_a_chain_that_is_not_secret() {
    let hex = block();
    let args = ["--mode", "raw", "--block", &hex, "--no-ledger", "--mac-init", "standard"];
    let mut listener = start(&[&["listen", "127.0.0.1:0"][..], &args].concat());
    let ready: Value = listener.until("ready").await;
    assert!(ready["warning"].is_string(), "{ready}");
    assert_eq!(listener.end().await, 0);
}
