//! The running node: one a folder, locked, restarted, asked how it is.

use crate::people::{PASSPHRASE, Person, ended};
use std::os::unix::fs::PermissionsExt;

#[tokio::test(flavor = "multi_thread")]
async fn one_node_has_a_folder() {
    let alice = Person::new("Alice").await;
    let up = alice.up().await;
    assert_eq!(up.ready["event"], "ready");
    assert_eq!(up.ready["listening"][0], alice.listen.to_string());
    let told = alice.fails(1, &["up"]).await;
    assert!(told.contains("another waypost is running") && told.contains("waypost status"), "{told}");
    let mode = |name: &str| std::fs::metadata(alice.home().join(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(""), mode("api.sock"), mode("keyring")), (0o700, 0o600, 0o600));

    let status = alice.json(&["status"]).await;
    assert_eq!(status["identity"]["name"], "Alice");
    assert!(alice.ok(&["status"]).await.contains(&alice.listen.to_string()));
    assert!(alice.ok(&["doctor"]).await.contains("the node is running"));
    alice.ok(&["stop"]).await;
    // The folder is free as soon as `stop` ends.
    let again = alice.up().await;
    assert_eq!(up.finish().await, 0);
    assert_eq!(again.terminate().await, 0);
    assert!(!alice.home().join("api.sock").exists());
    alice.fails(4, &["stop"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_and_the_transport_key_can_change_but_never_the_id() {
    let alice = Person::new("Alice").await;
    let (before, after) = (alice.json(&["id"]).await, alice.json(&["id", "--rename", "Alice L.", "--rotate"]).await);
    assert_eq!(after["name"], "Alice L.");
    assert_eq!(after["contact"], before["contact"]);
    assert_ne!(after["noise_key"], before["noise_key"]);
    assert!(after["version"].as_u64() > before["version"].as_u64());
    alice.invite().await;
    assert_eq!(alice.json(&["card", "--invites"]).await.as_array().unwrap().len(), 1);
    assert_eq!(alice.ok(&["card", "--invites"]).await.lines().count(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_node_starts_again() {
    let alice = Person::new("Alice").await;
    let id = alice.id().await;
    alice.up().await.kill().await;
    assert!(alice.home().join("api.sock").exists());
    // A dead socket is no daemon.
    assert_eq!(alice.id().await, id);
    let up = alice.up().await;
    assert_eq!(alice.json(&["status"]).await["identity"]["contact"], id);
    assert_eq!(up.terminate().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_passphrase_opens_nothing() {
    let alice = Person::new("Alice").await;
    let with = |passphrase: Option<&str>, args: &[&str]| {
        let mut command = alice.command(args);
        match passphrase {
            Some(text) => command.env("WAYPOST_PASSPHRASE", text),
            None => command.env_remove("WAYPOST_PASSPHRASE"),
        };
        ended(command)
    };
    for args in [["up"], ["id"]] {
        let ran = with(Some("wrong"), &args).await;
        assert_eq!(ran.code, 5, "{ran:?}");
        assert!(ran.stderr.contains("--passphrase-file"), "{ran:?}");
        let ran = with(None, &args).await;
        assert_eq!(ran.code, 5, "{ran:?}");
        assert!(ran.stderr.contains("no terminal"), "{ran:?}");
    }
    let file = alice.file("passphrase");
    std::fs::write(&file, format!("{PASSPHRASE}\nsecond line\n")).unwrap();
    let ran = with(None, &["id", "--passphrase-file", file.to_str().unwrap()]).await;
    assert_eq!(ran.code, 0, "{ran:?}");
    alice.fails(1, &["init", "--name", "Eve"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_without_a_passphrase_opens_by_itself() {
    let alice = Person::nobody("Alice");
    let without = |args: &[&str]| {
        let mut command = alice.command(args);
        command.env_remove("WAYPOST_PASSPHRASE");
        ended(command)
    };
    let ran = without(&["init", "--name", "Alice", "--no-passphrase"]).await;
    assert_eq!(ran.code, 0, "{ran:?}");
    let ran = without(&["id"]).await;
    assert_eq!(ran.code, 0, "{ran:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn words_bring_the_identity_back() {
    let (alice, again) = (Person::nobody("Alice"), Person::nobody("Alice"));
    let words = alice.file("words");
    alice.ok(&["init", "--name", "Alice", "--words-file", words.to_str().unwrap()]).await;
    assert_eq!(std::fs::metadata(&words).unwrap().permissions().mode() & 0o777, 0o600);
    let text = std::fs::read_to_string(&words).unwrap();
    assert_eq!(text.split_whitespace().count(), 24);
    again.ok(&["init", "--name", "Alice", "--from-words", words.to_str().unwrap()]).await;
    assert_eq!(again.id().await, alice.id().await);
    let third = Person::nobody("Alice");
    let ran = third.with_input(&["init", "--name", "A", "--from-words", "-"], "twelve words are not enough").await;
    assert_eq!(ran.code, 2, "{ran:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_has_seen_enough_is_no_failure() {
    let alice = Person::nobody("Alice");
    let mut command = alice.command(&["api", "--openrpc"]);
    let mut child = command.spawn().unwrap();
    drop(child.stdout.take());
    let status = tokio::time::timeout(crate::people::DEADLINE, child.wait()).await.unwrap().unwrap();
    assert_eq!(status.code(), Some(0));
}
