//! Two drivers that mean well.

use super::node::{Node, Pair, direct, listening};
use std::collections::BTreeSet;
use waypost_net::sremp::{DriverCommand, DriverConfig, DriverEvent};
use waypost_sremp::connection::{Dialled, Verdict};
use waypost_sremp::message::ErrorMessage;
use waypost_sremp::{CloseReason, ErrorCode, x25519::PublicKey};

#[tokio::test]
async fn two_drivers_see_each_other_and_converse() {
    let (mut dialler, mut listener) =
        (Node::start(1, DriverConfig::default()).await, Node::start(2, listening()).await);
    let out = dialler.dial(&listener);
    let DriverEvent::Identified { link: into, identity } = listener.next().await else { panic!("not identified") };
    assert_eq!(identity.key(), dialler.id());
    assert!(into.0 % 2 == 1, "accepted links are odd");
    listener.judge(into, Verdict::Accept { known: true });
    let DriverEvent::Identified { link, identity } = dialler.next().await else { panic!("not identified") };
    assert_eq!((link, identity.key()), (out, listener.id()));
    dialler.judge(out, Verdict::Accept { known: true });
    let DriverEvent::Ready { link, peer, we_dialled, remote, handshake_hash } = dialler.next().await else {
        panic!("not ready")
    };
    assert_eq!((link, peer, we_dialled), (out, listener.id(), true));
    assert_eq!(remote, listener.address().to_string());
    match listener.next().await {
        DriverEvent::Ready { link, peer, we_dialled, handshake_hash: theirs, .. } => {
            assert_eq!((link, peer, we_dialled, theirs), (into, dialler.id(), false, handshake_hash));
        }
        other => panic!("not ready: {other:?}"),
    }
    let mut pair = Pair { dialler, listener, out, into };
    for id in 0..100 {
        pair.talk(id).await;
    }
    // Larger than a frame: in chunks.
    pair.dialler.send(pair.out, direct(7, 900_000));
    assert_eq!(pair.listener.message(pair.into).await, direct(7, 900_000));
    pair.dialler.close(pair.out, Some(ErrorMessage::new(ErrorCode::Duplicate)));
    assert_eq!(pair.listener.closed(pair.into).await, CloseReason::Peer(ErrorCode::Duplicate));
    assert_eq!(pair.dialler.closed(pair.out).await, CloseReason::Local(ErrorCode::Duplicate));
}

#[tokio::test]
async fn both_sides_can_write_much_at_once_and_nothing_is_lost_or_reordered() {
    let mut pair = Pair::connect().await;
    // 10 MB each way, far beyond what sockets hold, through inboxes of 64 events.
    let (rounds, window, length) = (5, 200, 10_000);
    for round in 0..rounds {
        let ids = round * window..(round + 1) * window;
        for id in ids.clone() {
            pair.dialler.send(pair.out, direct(id, length));
            pair.listener.send(pair.into, direct(id, length));
        }
        for id in ids {
            let (there, here) = tokio::join!(pair.listener.message(pair.into), pair.dialler.message(pair.out));
            assert_eq!((&there, &here), (&direct(id, length), &direct(id, length)));
        }
    }
}

#[tokio::test]
async fn two_peers_that_only_write_for_a_while_do_not_wait_for_each_other() {
    let mut pair = Pair::connect().await;
    let (count, length) = (100, 100_000);
    for id in 0..count {
        pair.dialler.send(pair.out, direct(id, length));
        pair.listener.send(pair.into, direct(id, length));
    }
    let read = async |node: &mut Node, link| {
        for id in 0..count {
            assert_eq!(node.message(link).await, direct(id, length));
        }
    };
    tokio::join!(read(&mut pair.listener, pair.into), read(&mut pair.dialler, pair.out));
}

#[tokio::test]
async fn an_engine_that_falls_behind_loses_nothing() {
    let listener = Node::with_inbox(2, listening(), 1).await;
    let mut pair = Pair::of(Node::start(1, DriverConfig::default()).await, listener).await;
    for round in 0..5 {
        for id in 0..200 {
            pair.dialler.send(pair.out, direct(round * 200 + id, 10_000));
        }
        for id in 0..200 {
            assert_eq!(pair.listener.message(pair.into).await, direct(round * 200 + id, 10_000));
        }
    }
}

#[tokio::test]
async fn a_refused_peer_is_told_and_a_rejected_one_is_not() {
    let mut listener = Node::start(2, listening()).await;
    for (verdict, here, there) in [
        (Verdict::Refuse(ErrorCode::IdStale), ErrorCode::IdStale, CloseReason::Peer(ErrorCode::IdStale)),
        (Verdict::Silent, ErrorCode::Rejected, CloseReason::Eof),
    ] {
        let mut dialler = Node::start(1, DriverConfig::default()).await;
        let out = dialler.dial(&listener);
        let DriverEvent::Identified { link, .. } = listener.next().await else { panic!("not identified") };
        listener.judge(link, verdict);
        assert_eq!(listener.closed(link).await, CloseReason::Local(here));
        assert_eq!(dialler.closed(out).await, there);
    }
}

#[tokio::test]
async fn a_dialler_refuses_another_key_or_identity_than_it_dialled() {
    let mut listener = Node::start(2, listening()).await;
    let mut dialler = Node::start(1, DriverConfig::default()).await;
    let wrong_pin = Dialled { identity: None, pin: Some(PublicKey([9; 32])) };
    let out = dialler.dial_as(&listener, wrong_pin);
    assert_eq!(dialler.closed(out).await, CloseReason::Local(ErrorCode::NoiseKeyMismatch));
    let wrong_identity = Dialled { identity: Some(dialler_id(3)), pin: None };
    let out = dialler.dial_as(&listener, wrong_identity);
    let DriverEvent::Identified { link, .. } = listener.next().await else { panic!("not identified") };
    listener.judge(link, Verdict::Accept { known: false });
    assert!(matches!(listener.next().await, DriverEvent::Ready { .. }));
    assert_eq!(listener.closed(link).await, CloseReason::Peer(ErrorCode::Auth));
    assert_eq!(dialler.closed(out).await, CloseReason::Local(ErrorCode::Auth));
}

fn dialler_id(seed: u8) -> waypost_core::ContactId {
    super::node::keys(seed).identity().key()
}

#[tokio::test]
async fn new_keys_are_shown_on_new_connections() {
    let mut pair = Pair::connect().await;
    let other = super::node::keys(9);
    pair.listener.driver.command(DriverCommand::Keys(Box::new(other.clone())));
    pair.talk(1).await;
    let dialled = Dialled { identity: Some(other.identity().key()), pin: Some(other.identity().noise_key()) };
    let second = pair.dialler.dial_as(&pair.listener, dialled);
    let (out, _) = tokio::join!(pair.dialler.ready(), pair.listener.ready());
    assert_eq!(out, second);
}

#[tokio::test]
async fn nobody_there_is_unreachable_and_a_dial_can_be_called_off() {
    let mut dialler = Node::start(1, DriverConfig::default()).await;
    let listener = Node::start(2, listening()).await;
    let address = listener.address();
    listener.driver.stop().await;
    let out = dialler.dial_to(address, Dialled::default());
    assert_eq!(dialler.closed(out).await, CloseReason::Unreachable);
    let nowhere = "nowhere.invalid:7300".parse().unwrap();
    let out = dialler.dial_to(nowhere, Dialled::default());
    dialler.close(out, None);
    assert!(matches!(dialler.closed(out).await, CloseReason::Stopped | CloseReason::Unreachable));
}

#[tokio::test]
async fn a_stopped_driver_sends_what_waits_and_is_gone() {
    let mut pair = Pair::connect().await;
    for id in 0..20 {
        pair.dialler.send(pair.out, direct(id, 20_000));
    }
    let (stopped, ()) = tokio::join!(pair.dialler.driver.stop(), async {
        for id in 0..20 {
            assert_eq!(pair.listener.message(pair.into).await, direct(id, 20_000));
        }
        assert_eq!(pair.listener.closed(pair.into).await, CloseReason::Eof);
    });
    let () = stopped;
    // The news end, so all tasks are gone.
    while let Some(event) = pair.dialler.news.recv().await {
        assert!(matches!(event, DriverEvent::Traffic { .. }), "{event:?}");
    }
    let address = pair.listener.address().to_string();
    pair.listener.driver.stop().await;
    assert!(tokio::net::TcpStream::connect(address).await.is_err(), "nobody listens");
}

#[tokio::test]
async fn traffic_is_counted() {
    let mut pair = Pair::connect().await;
    pair.dialler.send(pair.out, direct(1, 50_000));
    pair.listener.message(pair.into).await;
    let mut seen = BTreeSet::new();
    let mut total = 0;
    while total < 50_000 {
        if let Some(DriverEvent::Traffic { bytes_in, bytes_out }) = pair.listener.news.recv().await {
            seen.insert((bytes_in, bytes_out));
            total += bytes_in;
        }
    }
    assert!(seen.len() <= 2, "at most once a second: {seen:?}");
}
