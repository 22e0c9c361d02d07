//! Key and block files, and the ledger. Profile, PSK file; Raw block file; Ledger; checklist 17, 18.

use super::Host;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use tokio::net::TcpListener;
use tokio::time::timeout;

fn mode(host: &Host, file: &str) -> u32 {
    host.file(file).metadata().unwrap().permissions().mode() & 0o777
}

/// FL-5.1, FL-7.2: for the owner alone, and never over another.
#[tokio::test]
async fn files_are_private_and_never_overwritten() {
    let host = Host::new().await;
    for (command, file, size) in [("keygen", "key", 81), ("genblock", "block", 256)] {
        assert_eq!((mode(&host, file), fs::read(host.file(file)).unwrap().len()), (0o600, size));
        let before = fs::read(host.file(file)).unwrap();
        host.run(&[command, file]).await.assert(7, "nothing was changed");
        assert_eq!(fs::read(host.file(file)).unwrap(), before);
        host.run(&[command, "no/such/folder/file"]).await.assert(7, "there is no");
    }
    let mut command = host.command(&["keygen", "another"]);
    let told = command.output().await.unwrap();
    assert!(told.stdout.is_empty());
    let told = String::from_utf8(told.stderr).unwrap();
    assert!(told.contains("next: copy it") && !told.contains("FRAMELINK-PSK"), "{told}");
    let made = host.run(&["keygen", "third"]).await;
    assert_eq!(made.stdout, b"{\"file\":\"third\",\"kind\":\"psk\"}\n");
    assert_ne!(fs::read(host.file("another")).unwrap(), fs::read(host.file("third")).unwrap());
}

/// Exit 7, each with its reason, before anything is opened.
#[tokio::test]
async fn files_that_cannot_be_used_are_explained() {
    let host = Host::new().await;
    let write = |name: &str, bytes: &[u8]| {
        fs::write(host.file(name), bytes).unwrap();
        fs::set_permissions(host.file(name), Permissions::from_mode(0o600)).unwrap();
    };
    let key = fs::read(host.file("key")).unwrap();
    let mut typo = key.clone();
    typo[20] = if typo[20] == b'A' { b'B' } else { b'A' };
    write("typo", &typo);
    write("text", b"my password");
    write("short", &[1; 255]);
    write("weak", &[7; 256]);
    write("open", &key);
    fs::set_permissions(host.file("open"), Permissions::from_mode(0o644)).unwrap();
    let keys = [
        ("typo", "has a typing error"),
        ("text", "is not a key file"),
        ("open", "others can read"),
        ("nowhere", "there is no"),
    ];
    for (file, words) in keys {
        for command in [["connect", "127.0.0.1:9"], ["listen", "127.0.0.1:0"]] {
            host.run(&[&command[..], &["--psk-file", file]].concat()).await.assert(7, words);
        }
    }
    for (file, words) in [("short", "256 bytes"), ("weak", "one key"), ("nowhere", "there is no")] {
        let args = ["connect", "127.0.0.1:9", "--mode", "raw", "--block-file", file];
        host.run(&args).await.assert(7, words);
    }
    // As it is, by request: it gets as far as finding nobody.
    host.run(&["connect", "127.0.0.1:9", "--psk-file", "open", "--insecure-perms"]).await.assert(2, "cannot connect");
}

/// Checklist 17: once in each role, refused before any connection.
#[tokio::test(flavor = "multi_thread")]
async fn a_block_works_once_in_each_role() {
    let host = Host::new().await;
    let raw = ["--mode", "raw", "--block-file", "block", "--state-dir", "state"];
    let (listening, address) = host.listening(&[&["listen", "127.0.0.1:0"], &raw[..]].concat()).await;
    let connecting = host.start(&[&["connect", &address.to_string()], &raw[..]].concat());
    let (connected, listened) = tokio::join!(connecting.end(), listening.end());
    assert_eq!((connected.code, listened.code), (0, 0), "{connected:?} {listened:?}");

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let to = listener.local_addr().unwrap().to_string();
    for role in ["top", "bottom"] {
        let args = [&["connect", &to, "--role", role], &raw[..]].concat();
        host.run(&args).await.assert(7, "was used in this role before");
        let args = [&["listen", "127.0.0.1:0", "--role", role], &raw[..]].concat();
        let ended = host.run(&args).await;
        ended.assert(7, "was used in this role before");
        assert!(!ended.said.contains("listening"), "{ended:?}");
    }
    let nobody = timeout(std::time::Duration::from_millis(1), listener.accept()).await;
    assert!(nobody.is_err(), "somebody connected");
    let used = host.file("state/framelink/used-blocks");
    assert_eq!(used.metadata().unwrap().permissions().mode() & 0o777, 0o700);
    assert_eq!(fs::read_dir(used).unwrap().count(), 2);
}

/// Threats, block reuse: killed after the ledger and before a connection, the block counts as used.
#[tokio::test(flavor = "multi_thread")]
async fn a_block_is_used_up_by_a_crash_before_its_connection() {
    let host = Host::new().await;
    let raw = ["--mode", "raw", "--block-file", "block"];
    let args = [&["connect", "127.0.0.1:9", "--local", "127.0.0.1:0"], &raw[..]].concat();
    let (waiting, _) = host.listening(&args).await;
    waiting.signal("KILL").await;
    waiting.end().await;
    host.run(&args).await.assert(7, "was used in this role before");
    // By default it is remembered in the user's folder for state.
    assert_eq!(fs::read_dir(host.file(".local/state/waypost/framelink/used-blocks")).unwrap().count(), 1);
    let mut elsewhere = host.command(&[&args[..], &["--json"]].concat());
    elsewhere.env("XDG_STATE_HOME", host.file("xdg"));
    let mut waiting = super::Linking::start(elsewhere);
    waiting.address().await;
    assert_eq!(fs::read_dir(host.file("xdg/waypost/framelink/used-blocks")).unwrap().count(), 1);
}
