//! What a hostile crowd can make a relay hold. The relay runs in a process of its own, so that only its memory is
//! measured.

use crate::client::{Client, Honest};
use crate::servers::Running;
use std::io::{BufRead, BufReader, Read};
use std::net::Ipv4Addr;
use std::process::{Command, Stdio};
use std::time::Duration;
use tokio::time::timeout;
use waypost_server::RoleFacts;
use waypost_sremp::Message;
use waypost_sremp::message::{ChunkHeader, ChunkedMessage, Ping};
use waypost_sremp::msgpack::Blob;

/// What the crowd may cost above an idle relay, 54 MiB when it was measured: the driver's bounds (inbox, chunks,
/// answers), 2 MiB of requests under way for each of 30 registered members, and what waits behind them.
const ALLOWED: u64 = 192 << 20;
/// Set in the process that is attacked.
const VICTIM: &str = "WAYPOST_TEST_VICTIM";
/// The test that runs in it too.
const NAME: &str = "memory::a_hostile_crowd_makes_a_relay_hold_little_and_two_people_talk_on";

/// What one of the crowd sends.
type Attack = fn(&mut Client) -> Vec<u8>;

#[tokio::test(flavor = "multi_thread")]
async fn a_hostile_crowd_makes_a_relay_hold_little_and_two_people_talk_on() {
    if std::env::var_os(VICTIM).is_some() {
        return victim().await;
    }
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", NAME, "--nocapture", "--test-threads=1"]).env(VICTIM, "1");
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap());
    let server = Running::elsewhere(told(&mut lines));
    let mut honest = Honest::start(&server).await;
    let attacks: [(&str, Attack); 4] = [
        ("letters without end", letters),
        ("chunks that never end", chunks),
        ("pings whose answers are not read", pings),
        ("frames that never end", endless_frame),
    ];
    let mut crowds = Vec::new();
    for (n, (name, attack)) in (0u8..).zip(attacks) {
        let mut crowd = Vec::new();
        for member in 0..30u8 {
            let from = Ipv4Addr::new(127, 20 + n, member / 15, 1);
            let mut client = Client::connect_from(100 + member, from, &server).await.unwrap();
            client.register(true).await;
            let bytes = attack(&mut client);
            crowd.push((client, bytes));
        }
        // Who is closed meanwhile, or not read any more, is no failure.
        for (client, bytes) in &mut crowd {
            let _ = timeout(Duration::from_millis(50), client.write(bytes)).await;
            bytes.clear();
        }
        honest.talk().await;
        assert!(child.try_wait().unwrap().is_none(), "it ended after {name}");
        crowds.push(crowd);
    }
    drop(child.stdin.take());
    let mut report = String::new();
    lines.read_to_string(&mut report).unwrap();
    assert!(child.wait().unwrap().success(), "{report}");
    let grown: u64 = report.lines().find_map(|line| line.strip_prefix("grown ")).unwrap().parse().unwrap();
    assert!(grown > 4 << 20, "the attacks did not even arrive: {grown}");
    assert!(grown < ALLOWED, "{} MiB above idle", grown >> 20);
}

/// Three times what a client may have under way.
fn letters(client: &mut Client) -> Vec<u8> {
    let letter = |id| Message::from(client.letter(100, id, vec![1; 60_000]));
    let letters: Vec<Message> = (0..96).map(letter).collect();
    letters.iter().flat_map(|letter| client.seal(&letter.encode())).collect()
}

fn chunks(client: &mut Client) -> Vec<u8> {
    let mut bytes = Vec::new();
    for message_id in 0..4 {
        for chunk_index in 0..16 {
            let header = ChunkHeader { message_id, chunk_index, total_chunks: 64, chunk_size: 61_440 };
            let chunk = ChunkedMessage { header, payload: Blob(vec![7; 61_440]) };
            bytes.extend(client.seal(&Message::ChunkedMessage(chunk).encode()));
        }
    }
    bytes
}

fn pings(client: &mut Client) -> Vec<u8> {
    (0..5_000).flat_map(|nonce| client.seal(&Message::Ping(Ping { nonce }).encode())).collect()
}

fn endless_frame(client: &mut Client) -> Vec<u8> {
    let mut frame = client.seal(&[0x91; 65_000]);
    frame.pop();
    frame
}

/// Where the victim says it is.
fn told(lines: &mut impl BufRead) -> RoleFacts {
    let mut line = String::new();
    loop {
        line.clear();
        assert!(lines.read_line(&mut line).unwrap() > 0, "the victim ended");
        if let Some(facts) = line.split("listening ").nth(1) {
            let (at, address) = facts.trim().split_once(' ').unwrap();
            return RoleFacts { listening: vec![at.parse().unwrap()], address: address.to_owned() };
        }
    }
}

/// A relay, until stdin ends.
#[expect(clippy::print_stdout, reason = "the attacked process reports to the test")]
async fn victim() {
    let server = Running::start().await;
    // One letter first, so that everything is loaded that an idle relay has.
    let mut first = Honest::start(&server).await;
    first.next = 1_000_000;
    first.talk().await;
    drop(first);
    let idle = status("VmRSS:");
    println!("listening {} {}", server.relay(), server.relay_facts().address);
    let end = tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new()));
    end.await.unwrap().unwrap();
    println!("\ngrown {}", status("VmHWM:").saturating_sub(idle));
}

/// A line of /proc/self/status, in bytes. VmHWM is the most that VmRSS ever was.
fn status(name: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with(name)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() << 10
}
