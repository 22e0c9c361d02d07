//! What a hostile crowd can make a node hold. The node runs in a process of its own, so that only its
//! memory is measured, and judges nobody a contact.

use super::node::{Node, Pair, listening};
use super::raw::Raw;
use std::io::{BufRead, BufReader, Read};
use std::net::Ipv4Addr;
use std::process::{Child, Command, Stdio};
use tokio::io::AsyncWriteExt;
use tokio::sync::mpsc;
use waypost_core::SrempAddress;
use waypost_net::sremp::{DriverConfig, DriverEvent};
use waypost_sremp::Message;
use waypost_sremp::connection::Verdict;
use waypost_sremp::message::{ChunkHeader, ChunkedMessage, Ping};
use waypost_sremp::msgpack::Blob;

/// What the issue of a hostile peer may cost above an idle node.
const ALLOWED: u64 = 64 << 20;
/// Set in the process that is attacked.
pub(crate) const VICTIM: &str = "WAYPOST_TEST_VICTIM";

/// The test of the attacked process.
const NAME: &str = "memory::a_hostile_crowd_cannot_make_a_node_hold_64_mib_and_an_honest_peer_talks_on";

/// What one of the crowd sends.
type Attack = fn(&mut Raw, u8) -> Vec<u8>;

#[tokio::test]
async fn a_hostile_crowd_cannot_make_a_node_hold_64_mib_and_an_honest_peer_talks_on() {
    if std::env::var_os(VICTIM).is_some() {
        return victim().await;
    }
    let (mut child, address) = start(NAME);
    let mut honest = Node::start(200, DriverConfig::default()).await;
    let link = honest.dial_to(address.clone(), Default::default());
    assert_eq!(honest.ready().await, link);
    let attacks: [(&str, u8, Attack); 7] = [
        ("chunks that never end", 110, chunk_bomb),
        ("frames that never end", 110, endless_frame),
        ("claims of huge arrays and maps", 10, huge_claims),
        ("deep nesting", 10, deep_nesting),
        ("large messages for nobody", 20, large_messages),
        ("requests whose answers are not read", 3, pings),
        ("messages of unknown names whose answers are not read", 3, unknown_names),
    ];
    let mut crowds = Vec::new();
    for (n, (name, peers, attack)) in attacks.into_iter().enumerate() {
        let mut crowd = Vec::new();
        for peer in 0..peers {
            let from = Ipv4Addr::new(127, 20 + n as u8, peer / 10, 1 + peer % 10);
            let mut raw = Raw::connect_from(1 + peer, from, &address).await.unwrap();
            raw.identify().await;
            let bytes = attack(&mut raw, peer);
            crowd.push((raw, bytes));
        }
        // Who is closed meanwhile, or not read any more, is no failure.
        for (raw, bytes) in &mut crowd {
            let _ = tokio::time::timeout(std::time::Duration::from_millis(50), raw.stream.write_all(bytes)).await;
        }
        honest.send(link, super::node::direct(n as u64, 100));
        assert_eq!(honest.message(link).await, super::node::direct(n as u64, 100), "after {name}");
        crowds.push(crowd);
    }
    drop(child.stdin.take());
    let mut report = String::new();
    child.stdout.take().unwrap().read_to_string(&mut report).unwrap();
    assert!(child.wait().unwrap().success(), "{report}");
    let grown: u64 = report.lines().find_map(|line| line.strip_prefix("grown ")).unwrap().parse().unwrap();
    assert!(grown > 4 << 20, "the attacks did not even arrive: {grown}");
    assert!(grown < ALLOWED, "{} MiB above idle", grown >> 20);
}

fn chunk_bomb(raw: &mut Raw, peer: u8) -> Vec<u8> {
    let chunk = |chunk_index, length: u16| {
        let header = ChunkHeader { message_id: u64::from(peer), chunk_index, total_chunks: 64, chunk_size: length };
        Message::ChunkedMessage(ChunkedMessage { header, payload: Blob(vec![7; usize::from(length)]) })
    };
    [chunk(0, 61440), chunk(1, 4000)].map(|chunk| raw.seal(&chunk.encode())).concat()
}

fn endless_frame(raw: &mut Raw, _: u8) -> Vec<u8> {
    let mut frame = raw.seal(&[0x91; 65_000]);
    frame.pop();
    frame
}

fn huge_claims(raw: &mut Raw, peer: u8) -> Vec<u8> {
    let claims: [&[u8]; 4] = [
        b"\xdd\xff\xff\xff\xff",
        b"\xdf\xff\xff\xff\xff",
        b"\x81\xa4PING\xc6\xff\xff\xff\xff",
        b"\x81\xdb\xff\xff\xff\xff",
    ];
    raw.seal(claims[usize::from(peer) % claims.len()])
}

fn deep_nesting(raw: &mut Raw, _: u8) -> Vec<u8> {
    raw.seal(&[0x91; 65_000])
}

fn large_messages(raw: &mut Raw, _: u8) -> Vec<u8> {
    (0..20).flat_map(|id| raw.seal(&super::node::direct(id, 61_000).encode())).collect()
}

fn pings(raw: &mut Raw, _: u8) -> Vec<u8> {
    (0..30_000).flat_map(|nonce| raw.seal(&Message::Ping(Ping { nonce }).encode())).collect()
}

fn unknown_names(raw: &mut Raw, _: u8) -> Vec<u8> {
    (0..30_000).flat_map(|_| raw.seal(b"\x81\xa1X\x80")).collect()
}

/// Runs a test in a process of its own, up to where it says where it listens.
pub(crate) fn start(name: &str) -> (Child, SrempAddress) {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", name, "--nocapture", "--test-threads=1"]).env(VICTIM, "1");
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    let address = loop {
        line.clear();
        assert!(lines.read_line(&mut line).unwrap() > 0, "the victim ended");
        if let Some(address) = line.split("listening ").nth(1) {
            break address.trim().parse().unwrap();
        }
    };
    child.stdout = Some(lines.into_inner());
    (child, address)
}

/// Accepts everybody as a stranger and sends their short messages back, until stdin ends.
async fn victim() {
    let mut node = Node::start(250, listening()).await;
    // One connection first, so that everything is loaded that a node has when idle.
    Pair::of(Node::start(251, DriverConfig::default()).await, node).await;
    node = Node::with_inbox(250, listening(), 1024).await;
    let idle = status("VmRSS:");
    say(&format!("listening {}", node.address()));
    let mut asked = until_stdin_ends();
    loop {
        let event = tokio::select! {
            event = node.news.recv() => event.unwrap(),
            _ = asked.recv() => break,
        };
        match event {
            DriverEvent::Identified { link, .. } => node.judge(link, Verdict::Accept { known: false }),
            DriverEvent::Message { link, message, .. } if message.encode().len() < 1000 => node.send(link, message),
            _ => {}
        }
    }
    let grown = status("VmHWM:").saturating_sub(idle);
    say(&format!("\ngrown {grown}"));
}

/// The lines of stdin; they end when it does.
pub(crate) fn until_stdin_ends() -> mpsc::Receiver<String> {
    let (sender, lines) = mpsc::channel(1);
    std::thread::spawn(move || {
        for line in std::io::stdin().lines() {
            let _ = sender.blocking_send(line.unwrap());
        }
    });
    lines
}

#[expect(clippy::print_stdout, reason = "the attacked process reports to the test")]
pub(crate) fn say(line: &str) {
    println!("{line}");
}

/// A line of /proc/self/status, in bytes. VmHWM is the most that VmRSS ever was.
pub(crate) fn status(name: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with(name)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() << 10
}
