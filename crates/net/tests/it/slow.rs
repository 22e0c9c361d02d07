//! Peers that take their time, with timers short enough for a test.

use super::node::{Node, Pair, direct, listening};
use super::raw::Raw;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;
use waypost_net::sremp::{DriverCommand, DriverConfig, DriverEvent, DriverLimits, DriverTiming};
use waypost_sremp::connection::{Timing, Verdict};
use waypost_sremp::{CloseReason, ErrorCode};

/// A missing event is a failure, a slow machine is not.
const PATIENCE: Duration = Duration::from_secs(30);
const SHORT: Duration = Duration::from_millis(200);

fn impatient() -> DriverConfig {
    let connection = Timing { header: SHORT, handshake: 2 * SHORT, identity: SHORT, ..Timing::default() };
    let timing = DriverTiming { connection, write: SHORT, ..DriverTiming::default() };
    DriverConfig { timing, ..listening() }
}

#[tokio::test]
async fn closes_who_sends_no_header_or_no_handshake_or_no_identity_in_time() {
    let listener = Node::start(2, impatient()).await;
    let mut pair = Pair::of(Node::start(1, DriverConfig::default()).await, listener).await;
    let started = Instant::now();
    let mut silent = Raw::connect(3, &pair.listener.address()).await;
    let mut stalled = Raw::connect(4, &pair.listener.address()).await;
    stalled.write(b"SREMP\x01\x00\x00\x20\x01\x02").await;
    let mut nameless = Raw::connect(5, &pair.listener.address()).await;
    nameless.handshake().await;
    pair.talk(1).await;
    let (header, handshake, identity) = tokio::join!(
        async { (silent.read_to_end().await.len(), started.elapsed()) },
        async { (stalled.read_to_end().await.len(), started.elapsed()) },
        async { (nameless.messages().await.len(), started.elapsed()) },
    );
    assert_eq!((header.0, handshake.0, identity.0), (0, 7, 0));
    assert!(header.1 >= SHORT && handshake.1 >= 2 * SHORT && identity.1 >= SHORT);
    pair.talk(2).await;
    assert_eq!(pair.listener.dropped(3).await, [("timeout", 3)]);
}

#[tokio::test]
async fn a_drip_of_bytes_does_not_extend_the_time() {
    let mut listener = Node::start(2, impatient()).await;
    let mut raw = Raw::connect(3, &listener.address()).await;
    let mut ticks = tokio::time::interval(SHORT / 8);
    let handshake = b"SREMP\x01\x00\x00\x20".iter().chain([&7; 32]);
    let mut dripped = 0;
    for byte in handshake {
        ticks.tick().await;
        if raw.stream.write_all(&[*byte]).await.is_err() {
            break;
        }
        dripped += 1;
    }
    assert!(dripped < 41, "all bytes were taken, however slow");
    assert_eq!(listener.dropped(1).await, [("timeout", 1)]);
}

#[tokio::test]
async fn closes_who_does_not_read_what_is_sent() {
    let mut listener = Node::start(2, impatient()).await;
    let mut raw = Raw::connect(3, &listener.address()).await;
    raw.identify().await;
    let link = listener.ready().await;
    // More than the sockets of both sides hold.
    for id in 0..40 {
        listener.send(link, direct(id, 900_000));
    }
    assert_eq!(listener.closed(link).await, CloseReason::Timeout);
}

#[tokio::test]
async fn says_when_much_waits_for_a_socket_and_when_little_does_again() {
    let mut listener = Node::start(2, listening()).await;
    let mut raw = Raw::connect(3, &listener.address()).await;
    raw.identify().await;
    let link = listener.ready().await;
    let mut held = async || loop {
        match listener.news.recv().await.unwrap() {
            DriverEvent::Held { link: on, is_held } if on == link => return is_held,
            DriverEvent::Traffic { .. } => {}
            other => panic!("{other:?}"),
        }
    };
    // More than the sockets of both sides hold.
    for id in 0..400 {
        listener.driver.command(DriverCommand::Send(link, direct(id, 60_000)));
    }
    assert!(timeout(PATIENCE, held()).await.unwrap());
    let reading = tokio::spawn(async move { raw.stream.read_to_end(&mut Vec::new()).await });
    let at_last = async { while held().await {} };
    timeout(PATIENCE, at_last).await.unwrap();
    reading.abort();
}

#[tokio::test]
async fn closes_a_link_whose_queue_runs_over() {
    let limits = DriverLimits { commands: 8, unsent: 1, ..DriverLimits::default() };
    let mut listener = Node::start(2, DriverConfig { limits, ..listening() }).await;
    let mut raw = Raw::connect(3, &listener.address()).await;
    raw.identify().await;
    let link = listener.ready().await;
    for id in 0..100 {
        listener.send(link, direct(id, 900_000));
    }
    assert_eq!(listener.closed(link).await, CloseReason::Local(ErrorCode::Limit));
}

#[tokio::test]
async fn strangers_find_no_room_beyond_their_bound_and_contacts_do() {
    let mut limits = DriverLimits::default();
    limits.connections.strangers = 1;
    let mut listener = Node::start(9, DriverConfig { limits, ..listening() }).await;
    let mut peers = Vec::new();
    for (seed, known, room) in [(1, false, true), (2, false, false), (3, true, true)] {
        let mut peer = Node::start(seed, DriverConfig::default()).await;
        let out = peer.dial(&listener);
        let link = match listener.next().await {
            waypost_net::sremp::DriverEvent::Identified { link, .. } => link,
            other => panic!("{other:?}"),
        };
        listener.judge(link, Verdict::Accept { known });
        if room {
            assert!(matches!(listener.next().await, waypost_net::sremp::DriverEvent::Ready { .. }));
        } else {
            assert_eq!(listener.closed(link).await, CloseReason::Local(ErrorCode::Limit));
            assert_eq!(peer.closed(out).await, CloseReason::Peer(ErrorCode::Limit));
        }
        peers.push(peer);
    }
}
