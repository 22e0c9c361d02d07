//! What a connection that was used and is idle costs the side that accepted it. That side runs in a process of its own, so that
//! only its memory is measured.

use super::memory::{say, start, status, until_stdin_ends};
use super::node::{Node, direct, listening};
use super::raw::Raw;
use std::io::{BufRead, BufReader, Write};
use std::net::Ipv4Addr;
use waypost_core::SrempAddress;
use waypost_net::ConnectionLimits;
use waypost_net::sremp::{DriverConfig, DriverEvent, DriverLimits};
use waypost_sremp::connection::Verdict;

/// Connections that are opened before anything is measured: what is there once is there for all.
const FIRST: usize = 100;
/// Connections that are measured.
const MEASURED: usize = 800;
/// Bytes for each, all told. What a relay is to hold 10,000 of.
const ALLOWED: u64 = 10 << 10;

#[tokio::test]
async fn an_idle_connection_costs_less_than_10_kib() {
    if std::env::var_os(super::memory::VICTIM).is_some() {
        return hold().await;
    }
    let (mut child, address) = start("idle::an_idle_connection_costs_less_than_10_kib");
    let mut stdin = child.stdin.take().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut figure = |count: usize| -> u64 {
        writeln!(stdin, "{count}").unwrap();
        let mut figures = lines.by_ref().map_while(|line| line.unwrap().strip_prefix("held ").map(str::to_owned));
        figures.next().unwrap().parse().unwrap()
    };
    let mut peers = open(FIRST, 0, &address).await;
    let before = figure(FIRST);
    peers.extend(open(MEASURED, FIRST, &address).await);
    let after = figure(FIRST + MEASURED);
    let each = after.saturating_sub(before) / MEASURED as u64;
    say(&format!("{each} bytes for each idle connection"));
    drop(stdin);
    assert!(child.wait().unwrap().success());
    assert!(each > 256, "it holds something for each: {each}");
    assert!(each <= ALLOWED, "{each}");
}

async fn open(count: usize, start: usize, to: &SrempAddress) -> Vec<Raw> {
    let mut peers = Vec::new();
    for n in start..start + count {
        let from = Ipv4Addr::new(127, 30, (n / 50) as u8, 1);
        let mut raw = Raw::connect_from((n % 200) as u8, from, to).await.unwrap();
        raw.identify().await;
        raw.send(&direct(n as u64, 4096)).await;
        peers.push(raw);
    }
    peers
}

/// Accepts everybody, sends everybody's message back, and tells what it holds when so many have talked.
async fn hold() {
    let connections = ConnectionLimits { half_open_per_network: 10_000, ..ConnectionLimits::default() };
    let limits = DriverLimits { connections, ..DriverLimits::default() };
    let mut node = Node::with_inbox(250, DriverConfig { limits, ..listening() }, 64).await;
    say(&format!("listening {}", node.address()));
    let mut asked = until_stdin_ends();
    let (mut talked, mut wanted) = (0, None);
    loop {
        let event = tokio::select! {
            event = node.news.recv() => event.unwrap(),
            line = asked.recv() => match line {
                Some(line) => {
                    wanted = Some(line.parse::<usize>().unwrap());
                    DriverEvent::Traffic { bytes_in: 0, bytes_out: 0 }
                }
                None => return,
            },
        };
        match event {
            DriverEvent::Identified { link, .. } => node.judge(link, Verdict::Accept { known: true }),
            DriverEvent::Message { link, message, .. } => {
                node.send(link, message);
                talked += 1;
            }
            DriverEvent::Closed { reason, .. } => panic!("{reason}"),
            _ => {}
        }
        if wanted == Some(talked) {
            wanted = None;
            say(&format!("held {}", status("VmRSS:")));
        }
    }
}
