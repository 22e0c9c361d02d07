//! Who gets in, and who gives way.

use super::{PATIENCE, connect, listen, psk};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;
use waypost_framelink::{Fault, Mode, Settings};
use waypost_net::Error;
use waypost_net::framelink::{Link, ListenLimits};

/// FL-5.4: the right reason, and nothing established.
#[tokio::test]
async fn a_wrong_key_is_told_so() {
    let (listener, _stop) = listen(vec![psk(1), psk(2)], Settings::default(), ListenLimits::default());
    let link =
        Link::connect(connect(listener.local_addr(), None).await, psk(3), Mode::Hybrid, Settings::default()).unwrap();
    let Err(Error::Link(end)) = timeout(PATIENCE, link.opened()).await.unwrap() else { panic!("no end") };
    assert_eq!(end.fault, Some(Fault::Rejected(4)));
    assert!(end.in_handshake);
}

/// Threats: connections that say nothing fill the handshake slots.
#[tokio::test]
async fn silent_connections_give_way_to_one_that_knows_the_key() {
    let (mut listener, _stop) = listen(vec![psk(1)], Settings::default(), ListenLimits::default());
    let mut silent = Vec::new();
    for _ in 0..200 {
        silent.push(connect(listener.local_addr(), None).await);
    }
    let link =
        Link::connect(connect(listener.local_addr(), None).await, psk(1), Mode::Hybrid, Settings::default()).unwrap();
    timeout(PATIENCE, link.opened()).await.unwrap().unwrap();
    let accepted = timeout(PATIENCE, listener.accept()).await.unwrap().unwrap();
    assert_eq!(accepted.psk, 0);
    let mut buf = [0; 8];
    // The oldest was closed without a byte, and that is nobody's failure.
    let first = timeout(PATIENCE, silent[0].read(&mut buf)).await.unwrap();
    assert!(matches!(first, Ok(0) | Err(_)), "{first:?}");
    let counts = listener.counts();
    assert_eq!((counts.established, counts.failed, counts.turned_away), (1, 0, 0));
    assert!(counts.evicted >= 136, "{counts:?}");
}

/// Limits: 10 failures of one address a minute.
#[tokio::test]
async fn an_address_that_fails_too_often_is_turned_away() {
    let limits = ListenLimits { failures: 2, window: Duration::from_secs(600), ..ListenLimits::default() };
    let (listener, _stop) = listen(vec![psk(1)], Settings::default(), limits);
    for _ in 0..2 {
        let stream = connect(listener.local_addr(), None).await;
        let link = Link::connect(stream, psk(3), Mode::Psk, Settings::default()).unwrap();
        assert!(timeout(PATIENCE, link.opened()).await.unwrap().is_err());
        timeout(PATIENCE, link.ended()).await.unwrap();
    }
    let turned_away = async {
        loop {
            let stream = connect(listener.local_addr(), None).await;
            let link = Link::connect(stream, psk(1), Mode::Psk, Settings::default()).unwrap();
            if link.opened().await.is_err() {
                break;
            }
        }
    };
    timeout(PATIENCE, turned_away).await.unwrap();
    assert!(listener.counts().turned_away > 0);
}

/// Limits: links at once, then REJECT 6.
#[tokio::test]
async fn one_link_too_many_is_told_that_it_is_crowded() {
    let limits = ListenLimits { links: 1, ..ListenLimits::default() };
    let (mut listener, _stop) = listen(vec![psk(1)], Settings::default(), limits);
    let address = listener.local_addr();
    let dial = async || {
        let stream = connect(address, None).await;
        let link = Link::connect(stream, psk(1), Mode::Psk, Settings::default()).unwrap();
        link.opened().await.map(|_| link)
    };
    let first = timeout(PATIENCE, dial()).await.unwrap().unwrap();
    let second = timeout(PATIENCE, dial()).await.unwrap();
    assert!(matches!(second, Err(Error::Link(end)) if end.fault == Some(Fault::Rejected(6))));
    let accepted = timeout(PATIENCE, listener.accept()).await.unwrap().unwrap();
    // When it has ended, there is room again.
    first.close();
    accepted.link.close();
    timeout(PATIENCE, async { tokio::join!(first.ended(), accepted.link.ended()) }).await.unwrap();
    drop((first, accepted));
    while timeout(PATIENCE, dial()).await.unwrap().is_err() {}
}

/// Profile, Limits: GOING_AWAY.
#[tokio::test]
async fn links_are_told_when_the_listener_shuts_down() {
    let (mut listener, stop) = listen(vec![psk(1)], Settings::default(), ListenLimits::default());
    let stream = connect(listener.local_addr(), None).await;
    let link = Link::connect(stream, psk(1), Mode::Psk, Settings::default()).unwrap();
    link.opened().await.unwrap();
    let _accepted = listener.accept().await.unwrap();
    stop.cancel();
    let end = timeout(PATIENCE, link.ended()).await.unwrap();
    assert_eq!(end.status, waypost_framelink::link::Status::PeerError(waypost_framelink::code::error::GOING_AWAY));
    assert!(listener.accept().await.is_none());
}

/// The reason leaves, though the one who asked has ended its stream already.
#[tokio::test]
async fn who_says_no_more_is_told_why_all_the_same() {
    let limits = ListenLimits { failures: usize::MAX, ..ListenLimits::default() };
    let (listener, _stop) = listen(vec![psk(1)], Settings::default(), limits);
    for _ in 0..50 {
        let mut stream = connect(listener.local_addr(), None).await;
        stream.write_all(b"FLNK\x02\x03\0\0").await.unwrap();
        stream.shutdown().await.unwrap();
        let mut told = Vec::new();
        timeout(PATIENCE, stream.read_to_end(&mut told)).await.unwrap().unwrap();
        assert_eq!(told, b"FLNK\x01\xff\x01\0");
    }
}
