//! Crowds that connect and say nothing.

use super::node::{Node, Pair, listening};
use super::raw::Raw;
use std::net::Ipv4Addr;
use tokio::io::AsyncReadExt;
use waypost_net::sremp::{DriverConfig, DriverLimits};

#[tokio::test]
async fn half_open_connections_are_bounded_by_network_and_in_all_while_others_talk() {
    let mut limits = DriverLimits::default();
    limits.connections.half_open = 200;
    let listener = Node::start(2, DriverConfig { limits, ..listening() }).await;
    let mut pair = Pair::of(Node::start(1, DriverConfig::default()).await, listener).await;
    let address = pair.listener.address();
    let mut flood = Vec::new();
    // Five networks with 70 connections each, from 7 addresses.
    for network in 0..5u8 {
        for n in 0..70u8 {
            let from = Ipv4Addr::new(127, 9, network, 1 + n % 7);
            flood.push(Raw::connect_from(3, from, &address).await.unwrap());
        }
        pair.talk(u64::from(network)).await;
    }
    let dropped = pair.listener.dropped(350 - 200).await;
    assert_eq!(dropped, [("crowded", 150)], "64 of a network, 200 in all");
    // Who was turned away was closed without a byte; who is inside is not closed.
    let mut closed = 0;
    for raw in &mut flood {
        if let Ok(end) = tokio::time::timeout(std::time::Duration::ZERO, raw.stream.read(&mut [0])).await {
            assert!(!matches!(end, Ok(1..)));
            closed += 1;
        }
    }
    assert_eq!(closed, 150);
    // When the flood ends there is room again.
    drop(flood);
    let gone = pair.listener.dropped(200).await;
    assert_eq!(gone, [("eof", 200)]);
    let mut late = Node::start(5, DriverConfig::default()).await;
    late.dial(&pair.listener);
    tokio::join!(late.ready(), pair.listener.ready());
    pair.talk(99).await;
}
