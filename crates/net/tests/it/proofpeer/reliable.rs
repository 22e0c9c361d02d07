//! Messages that must arrive, whatever the broker keeps.

use super::*;
use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinSet};
use waypost_net::proofpeer::{Acknowledge, MessageStatus};

const MANY: u32 = 3000;

/// Carries bytes to a port; without it nobody gets there.
async fn carry(listener: TcpListener, to: u16) {
    let mut connections = JoinSet::new();
    while let Ok((mut from, _)) = listener.accept().await {
        connections.spawn(async move {
            if let Ok(mut to) = TcpStream::connect((Ipv4Addr::LOCALHOST, to)).await {
                let _ = copy_bidirectional(&mut from, &mut to).await;
            }
        });
    }
}

async fn open(at: u16, to: u16) -> (AbortHandle, u16) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, at)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    (tokio::spawn(carry(listener, to)).abort_handle(), port)
}

/// A default broker keeps a thousand messages for somebody who is away, and none with a clean session.
#[tokio::test]
async fn three_thousand_messages_wait_for_a_peer_that_is_away() {
    let mosquitto = Mosquitto::start();
    let (way, port) = open(0, mosquitto.port()).await;
    let mut sender = config(&[mosquitto.url("mqtt")]);
    sender.settings.limits.outbox = (MANY as usize + 1, 64 << 20);
    let mut alice = ProofPeer::start(sender).unwrap();
    let mut bob = start(&[format!("mqtt://127.0.0.1:{port}")]);
    join(&mut alice, "lobby", 1).await;
    join(&mut bob, "lobby", 1).await;
    meet(&mut alice).await;
    meet(&mut bob).await;
    alice.send(bob.fingerprint(), b"first", true).await.unwrap();
    wait(&mut bob, told).await;

    way.abort();
    wait(&mut bob, |event| matches!(event, Event::Disconnected { .. }).then_some(())).await;
    let mut open_messages = BTreeSet::new();
    for number in 0..MANY {
        open_messages.insert(alice.send(bob.fingerprint(), &number.to_be_bytes(), true).await.unwrap());
    }
    let (_way, _) = open(port, mosquitto.port()).await;
    let arrive = async {
        let mut arrived = BTreeSet::new();
        while arrived.len() < MANY as usize {
            let number = wait(&mut bob, told).await;
            assert!(arrived.insert(number), "delivered twice");
        }
        bob
    };
    let confirmed = wait(&mut alice, |event| {
        if let Event::Status { id, status: MessageStatus::Delivered } = event {
            open_messages.remove(&id);
        }
        open_messages.is_empty().then_some(())
    });
    let (_bob, ()) = tokio::join!(arrive, confirmed);
}

#[tokio::test]
async fn a_receipt_leaves_when_the_application_says_so() {
    let mosquitto = Mosquitto::start();
    let brokers = [mosquitto.url("mqtt")];
    let mut careful = config(&brokers);
    careful.acknowledge = Acknowledge::Explicitly;
    let (mut alice, mut bob) = (start(&brokers), ProofPeer::start(careful).unwrap());
    join(&mut alice, "lobby", 1).await;
    join(&mut bob, "lobby", 1).await;
    meet(&mut alice).await;
    alice.send(bob.fingerprint(), b"keep this", true).await.unwrap();
    let delivery = wait(&mut bob, |event| match event {
        Event::Deliver(message) => message.delivery,
        _ => None,
    });
    let delivery = delivery.await;
    bob.broadcast("lobby", r#""I have it, but not on disk""#, true).await.unwrap();
    wait(&mut alice, |event| {
        assert!(!matches!(event, Event::Status { status: MessageStatus::Delivered, .. }), "too early");
        said(event)
    })
    .await;
    bob.acknowledge(delivery);
    let delivered = |event| matches!(event, Event::Status { status: MessageStatus::Delivered, .. }).then_some(());
    wait(&mut alice, delivered).await;
}

/// Conformance 18.
#[tokio::test]
async fn a_large_message_crosses_in_parts() {
    let mosquitto = Mosquitto::start();
    let (alice, mut bob) = pair(&mosquitto).await;
    let large: Vec<u8> = (0..1_u32 << 20).map(|at| at.to_le_bytes()[0]).collect();
    alice.send(bob.fingerprint(), &large, true).await.unwrap();
    assert!(wait(&mut bob, told).await == large);
}
