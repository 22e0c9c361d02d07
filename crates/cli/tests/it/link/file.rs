//! Files over links that break. `docs/manual/link.md`, How files travel.

use super::proxy::{Fate, Proxy};
use super::{Ended, Host, Linking, noise};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;

const KEY: [&str; 2] = ["--psk-file", "key"];

/// Starts a receiver that listens, for files in `in`.
pub(super) async fn receiver(host: &Host, more: &[&str]) -> (Linking, SocketAddr) {
    fs::create_dir_all(host.file("in")).unwrap();
    host.listening(&[&["receive", "in", "--listen", "127.0.0.1:0"], &KEY[..], more].concat()).await
}

pub(super) fn sender(host: &Host, file: &str, to: SocketAddr) -> Linking {
    host.start(&[&["send", file, "--connect", &to.to_string()], &KEY[..]].concat())
}

fn sha256(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

/// That both are done with these bytes under this name.
fn assert_arrived(host: &Host, sent: &Ended, received: &Ended, name: &str, bytes: &[u8]) {
    for ended in [sent, received] {
        assert_eq!(ended.code, 0, "{ended:?}");
        let result: Value = serde_json::from_slice(&ended.stdout).unwrap();
        assert_eq!((&result["bytes"], &result["sha256"]), (&bytes.len().into(), &sha256(bytes).into()), "{result}");
    }
    let result: Value = serde_json::from_slice(&received.stdout).unwrap();
    assert_eq!(result["file"], format!("in/{name}"));
    assert!(fs::read(host.file("in").join(name)).unwrap() == bytes, "other bytes are in {name}");
    assert_eq!(fs::read_dir(host.file("in")).unwrap().count(), 1, "something else is left");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_travels_whichever_side_listens() {
    for (length, name) in [(0, "empty"), (1, "Zoë – one byte.txt"), (3_000_001, "film.mkv")] {
        let bytes = noise(length, 1);
        let host = Host::new().await;
        fs::write(host.file(name), &bytes).unwrap();
        let (receiving, address) = receiver(&host, &[]).await;
        let (sent, received) = tokio::join!(sender(&host, name, address).end(), receiving.end());
        assert_arrived(&host, &sent, &received, name, &bytes);

        fs::remove_file(host.file("in").join(name)).unwrap();
        let (sending, address) = host.listening(&[&["send", name, "--listen", "127.0.0.1:0"], &KEY[..]].concat()).await;
        let to = address.to_string();
        let receiving = host.start(&[&["receive", "in", "--connect", &to], &KEY[..]].concat());
        let (sent, received) = tokio::join!(sending.end(), receiving.end());
        assert_arrived(&host, &sent, &received, name, &bytes);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_gets_the_access_that_the_umask_leaves() {
    for (umask, mode) in [("022", 0o644), ("077", 0o600), ("002", 0o664)] {
        let host = Host::new().await;
        fs::write(host.file("f"), b"x").unwrap();
        fs::create_dir(host.file("in")).unwrap();
        let mut shell = tokio::process::Command::new("sh");
        let program = env!("CARGO_BIN_EXE_waypost");
        let script =
            format!("umask {umask}; exec {program} link receive in --listen 127.0.0.1:0 --psk-file key --json");
        shell.args(["-c", &script]).current_dir(host.file(".")).env("HOME", host.file(".")).kill_on_drop(true);
        shell.stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped());
        let mut receiving = Linking::start({
            shell.stderr(std::process::Stdio::piped());
            shell
        });
        let address = receiving.address().await;
        let (sent, received) = tokio::join!(sender(&host, "f", address).end(), receiving.end());
        assert_arrived(&host, &sent, &received, "f", b"x");
        assert_eq!(host.file("in/f").metadata().unwrap().permissions().mode() & 0o777, mode);
    }
}

/// The connection is cut twice in the middle: both go on by themselves.
#[tokio::test(flavor = "multi_thread")]
async fn a_file_goes_on_after_each_broken_connection() {
    let host = Host::new().await;
    let bytes = noise(12 << 20, 2);
    fs::write(host.file("film.mkv"), &bytes).unwrap();
    let (receiving, address) = receiver(&host, &[]).await;
    let proxy = Proxy::before(address, vec![Fate::Cut(5 << 20), Fate::Cut(4 << 20)]).await;
    let (sent, received) = tokio::join!(sender(&host, "film.mkv", proxy.address).end(), receiving.end());
    assert_arrived(&host, &sent, &received, "film.mkv", &bytes);
    for ended in [&sent, &received] {
        assert_eq!(ended.said.matches(r#""event":"broken""#).count(), 2, "{ended:?}");
        let offsets: Vec<u64> = ended
            .said
            .lines()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok())
            .filter(|event| event["event"] == "started")
            .map(|event| event["offset"].as_u64().unwrap())
            .collect();
        assert!(matches!(offsets[..], [0, a, b] if a > 4 << 20 && b > 8 << 20), "{offsets:?}");
    }
}

/// The same where the sender listens.
#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_connects_comes_back() {
    let host = Host::new().await;
    let bytes = noise(6 << 20, 3);
    fs::write(host.file("f"), &bytes).unwrap();
    fs::create_dir(host.file("in")).unwrap();
    let (sending, address) = host.listening(&[&["send", "f", "--listen", "127.0.0.1:0"], &KEY[..]].concat()).await;
    let mut proxy = Proxy::before(address, vec![]).await;
    let to = proxy.address.to_string();
    let receiving = host.start(&[&["receive", "in", "--connect", &to], &KEY[..]].concat());
    proxy.passed(2 << 20).await;
    proxy.cut.send_replace(true);
    proxy.cut.send_replace(false);
    let (sent, received) = tokio::join!(sending.end(), receiving.end());
    assert_arrived(&host, &sent, &received, "f", &bytes);
}

/// Killed and started anew, with what is on disk.
#[tokio::test(flavor = "multi_thread")]
async fn a_killed_receiver_goes_on_where_its_disk_is() {
    let host = Host::new().await;
    let bytes = noise(8 << 20, 4);
    fs::write(host.file("f"), &bytes).unwrap();
    let (receiving, address) = receiver(&host, &[]).await;
    let mut proxy = Proxy::before(address, vec![]).await;
    let sending = sender(&host, "f", proxy.address);
    proxy.passed(3 << 20).await;
    receiving.signal("KILL").await;
    receiving.end().await;
    sending.signal("KILL").await;
    sending.end().await;
    let partial = host.file("in/.f.waypost-part");
    assert_eq!(partial.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    assert!(partial.metadata().unwrap().len() > 0 && !host.file("in/f").exists());

    let (receiving, address) = receiver(&host, &[]).await;
    let (sent, received) = tokio::join!(sender(&host, "f", address).end(), receiving.end());
    assert_arrived(&host, &sent, &received, "f", &bytes);
    assert!(!sent.said.contains(r#""offset":0"#), "{sent:?}");
}

/// What is there is the beginning of another file, or longer than this one.
#[tokio::test(flavor = "multi_thread")]
async fn the_rest_of_another_file_is_not_taken_for_a_beginning() {
    let host = Host::new().await;
    let bytes = noise(1 << 20, 5);
    fs::write(host.file("f"), &bytes).unwrap();
    fs::create_dir(host.file("in")).unwrap();
    for left in [noise(300_000, 6), noise(2 << 20, 7), bytes[..500_000].to_vec(), bytes.clone()] {
        fs::write(host.file("in/.f.waypost-part"), &left).unwrap();
        let (receiving, address) = receiver(&host, &[]).await;
        let (sent, received) = tokio::join!(sender(&host, "f", address).end(), receiving.end());
        assert_arrived(&host, &sent, &received, "f", &bytes);
        let another = left.len() < bytes.len() && !bytes.starts_with(&left);
        assert_eq!(received.said.contains("the beginning of another file"), another, "{received:?}");
        fs::remove_file(host.file("in/f")).unwrap();
    }
}

/// Nothing is overwritten without being told to, nothing larger than told is taken.
#[tokio::test(flavor = "multi_thread")]
async fn files_are_only_replaced_by_force() {
    let host = Host::new().await;
    fs::write(host.file("f"), b"the new one").unwrap();
    fs::create_dir(host.file("in")).unwrap();
    fs::write(host.file("in/f"), b"the old one").unwrap();
    let (receiving, address) = receiver(&host, &[]).await;
    let (sent, received) = tokio::join!(sender(&host, "f", address).end(), receiving.end());
    sent.assert(6, "there is a f already");
    received.assert(1, "there is a f already");
    assert_eq!(fs::read(host.file("in/f")).unwrap(), b"the old one");

    let (receiving, address) = receiver(&host, &["--force", "--max-size", "10"]).await;
    let (sent, received) = tokio::join!(sender(&host, "f", address).end(), receiving.end());
    sent.assert(6, "more than --max-size");
    received.assert(1, "more than --max-size");

    let (receiving, address) = receiver(&host, &["--force"]).await;
    let (sent, received) = tokio::join!(sender(&host, "f", address).end(), receiving.end());
    assert_arrived(&host, &sent, &received, "f", b"the new one");
}

/// A pipe at the other end: neither takes the other for its like.
#[tokio::test(flavor = "multi_thread")]
async fn a_file_does_not_go_into_a_pipe() {
    let host = Host::new().await;
    fs::write(host.file("f"), b"x").unwrap();
    let (mut listening, address) = host.listen(&[]).await;
    let sending = sender(&host, "f", address);
    listening.event("ended").await;
    let (sent, listened) = tokio::join!(sending.end(), listening.end());
    sent.assert(6, "does not understand");
    listened.assert(6, "something else than a stream");
    assert_eq!(listened.stdout, b"");
}

/// A signal: the other side is told, and what is there stays.
#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_transfer_says_that_it_can_go_on() {
    let host = Host::new().await;
    fs::write(host.file("f"), noise(64 << 20, 8)).unwrap();
    let (receiving, address) = receiver(&host, &[]).await;
    let mut proxy = Proxy::before(address, vec![]).await;
    let sending = sender(&host, "f", proxy.address);
    proxy.passed(1 << 20).await;
    sending.signal("INT").await;
    let (sent, received) = tokio::join!(sending.end(), receiving.end());
    sent.assert(6, "goes on where it was");
    received.assert(6, "it was stopped");
    assert!(host.file("in/.f.waypost-part").exists());
}

/// Both processes keep below 32 MiB, whatever the file.
#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn a_large_file_takes_little_memory() {
    const LENGTH: u64 = 256 << 20;
    let host = Host::new().await;
    // Zeros of a file with a hole are bytes like others, on the way and to the receiver.
    fs::File::create(host.file("f")).unwrap().set_len(LENGTH).unwrap();
    let (receiving, address) = receiver(&host, &[]).await;
    let mut proxy = Proxy::before(address, vec![]).await;
    let sending = sender(&host, "f", proxy.address);
    let (mut most, mut passed) = (0, 0);
    while passed < LENGTH - (8 << 20) {
        passed += 4 << 20;
        proxy.passed(passed).await;
        most = most.max(peak_of(sending.pid())).max(peak_of(receiving.pid()));
    }
    let (sent, received) = tokio::join!(sending.end(), receiving.end());
    assert_eq!((sent.code, received.code), (0, 0), "{sent:?} {received:?}");
    assert_eq!(host.file("in/f").metadata().unwrap().len(), LENGTH);
    assert!(most < 32 << 10, "{most} KiB");
}

/// The most memory a process ever had, in KiB.
#[cfg(target_os = "linux")]
fn peak_of(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}
