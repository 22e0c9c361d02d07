//! TCP connections, each over a link of its own. Profile, Tool; checklist 20.

use super::proxy::{Fate, Proxy, reset};
use super::{Host, Linking, noise};
use crate::people::DEADLINE;
use std::io::ErrorKind;
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::timeout;

/// A tunnel to a listener of the test.
struct Tunnel {
    host: Host,
    target: TcpListener,
    listening: Linking,
    connecting: Linking,
    /// Where it begins.
    entrance: SocketAddr,
    proxy: Proxy,
}

impl Tunnel {
    async fn new() -> Self {
        let target = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self::to(target.local_addr().unwrap(), target).await
    }

    async fn to(address: SocketAddr, target: TcpListener) -> Self {
        let host = Host::new().await;
        let (listening, at) = host.listen(&["--target", &address.to_string()]).await;
        let proxy = Proxy::before(at, vec![Fate::Pass]).await;
        let mut connecting = host.connect(proxy.address, &["--local", "127.0.0.1:0"]);
        let entrance = connecting.address().await;
        Self { host, target, listening, connecting, entrance, proxy }
    }

    /// Both ends of a connection through it.
    async fn connection(&self) -> (TcpStream, TcpStream) {
        let both = async { tokio::join!(TcpStream::connect(self.entrance), self.target.accept()) };
        let (near, far) = timeout(DEADLINE, both).await.expect("nothing comes through");
        (near.unwrap(), far.unwrap().0)
    }
}

async fn read_all(stream: &mut TcpStream) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    timeout(DEADLINE, stream.read_to_end(&mut bytes)).await.expect("no end comes").map(|_| bytes)
}

/// What came, and that a reset came behind it.
async fn read_until_reset(stream: &mut TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    let end = timeout(DEADLINE, stream.read_to_end(&mut bytes)).await.expect("no end comes");
    assert_eq!(end.expect_err("a clean end").kind(), ErrorKind::ConnectionReset);
    bytes
}

/// FL-7.1
#[tokio::test(flavor = "multi_thread")]
async fn many_connections_at_once_do_not_mix() {
    let mut tunnel = Tunnel::new().await;
    let target = tunnel.target;
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = target.accept().await {
            tokio::spawn(async move {
                let (mut reader, mut writer) = stream.split();
                tokio::io::copy(&mut reader, &mut writer).await
            });
        }
    });
    let mut clients = JoinSet::new();
    for number in 0..60_u64 {
        let entrance = tunnel.entrance;
        clients.spawn(async move {
            let bytes = noise(100_000 + usize::try_from(number).unwrap(), number);
            let mut stream = TcpStream::connect(entrance).await.unwrap();
            let (mut reader, mut writer) = stream.split();
            let write = async {
                writer.write_all(&bytes).await.unwrap();
                writer.shutdown().await.unwrap();
            };
            let mut back = Vec::new();
            let (read, ()) = tokio::join!(reader.read_to_end(&mut back), write);
            read.unwrap();
            assert!(back == bytes, "connection {number} got other bytes back");
        });
    }
    let all = async {
        while let Some(done) = clients.join_next().await {
            done.unwrap()
        }
    };
    timeout(DEADLINE, all).await.expect("some connection hangs");
    for linking in [tunnel.connecting, tunnel.listening] {
        linking.signal("TERM").await;
        let ended = linking.end().await;
        ended.assert(0, "");
        assert_eq!(ended.said.matches(r#""status":"Closed""#).count(), 60, "{ended:?}");
    }
    tunnel.proxy.passed(12_000_000).await;
}

/// Checklist 20, 11
#[tokio::test(flavor = "multi_thread")]
async fn half_close_works_both_ways() {
    let tunnel = Tunnel::new().await;
    let big = noise(2_000_000, 5);
    for near_first in [true, false] {
        let (near, far) = tunnel.connection().await;
        let (mut first, mut second) = if near_first { (near, far) } else { (far, near) };
        first.write_all(b"all I say").await.unwrap();
        first.shutdown().await.unwrap();
        assert_eq!(read_all(&mut second).await.unwrap(), b"all I say");
        let bytes = big.clone();
        let writing = tokio::spawn(async move {
            second.write_all(&bytes).await.unwrap();
            second.shutdown().await.unwrap();
            second
        });
        assert!(read_all(&mut first).await.unwrap() == big);
        writing.await.unwrap();
    }
}

/// Threats: an end that is forged on the way; checklist 20.
#[tokio::test(flavor = "multi_thread")]
async fn a_truncated_link_is_a_reset_behind_what_is_verified() {
    let tunnel = Tunnel::new().await;
    let (mut near, mut far) = tunnel.connection().await;
    near.write_all(b"to the target").await.unwrap();
    far.write_all(b"from the target").await.unwrap();
    let mut buf = [0; 4];
    near.read_exact(&mut buf).await.unwrap();
    far.read_exact(&mut buf).await.unwrap();
    tunnel.proxy.cut.send_replace(true);
    assert_eq!(read_until_reset(&mut near).await, b" the target");
    assert_eq!(read_until_reset(&mut far).await, b"he target");
}

/// A side that is killed can say nothing: what it leaves must not look like an end, here or there.
#[tokio::test(flavor = "multi_thread")]
async fn a_killed_side_is_a_reset_at_both_ends() {
    for kills_listening in [true, false] {
        let tunnel = Tunnel::new().await;
        let (mut near, mut far) = tunnel.connection().await;
        near.write_all(b"hello").await.unwrap();
        far.read_exact(&mut [0; 5]).await.unwrap();
        far.write_all(b"hello").await.unwrap();
        near.read_exact(&mut [0; 5]).await.unwrap();
        let killed = if kills_listening { &tunnel.listening } else { &tunnel.connecting };
        killed.signal("KILL").await;
        assert_eq!(read_until_reset(&mut near).await, b"");
        assert_eq!(read_until_reset(&mut far).await, b"");
    }
}

/// ERROR 5: a reset goes through, in both directions.
#[tokio::test(flavor = "multi_thread")]
async fn a_local_reset_comes_out_as_a_reset() {
    let mut tunnel = Tunnel::new().await;
    for near_resets in [true, false] {
        let (near, far) = tunnel.connection().await;
        let (mut resets, mut sees) = if near_resets { (near, far) } else { (far, near) };
        resets.write_all(b"the beginning").await.unwrap();
        let mut begun = [0; 13];
        sees.read_exact(&mut begun).await.unwrap();
        reset(resets);
        assert_eq!(read_until_reset(&mut sees).await, b"");
        let ended = tunnel.connecting.event("ended").await;
        let status = if near_resets { "Aborted" } else { "PeerError" };
        assert_eq!(ended["status"], status, "{ended}");
        let ended = tunnel.listening.event("ended").await;
        let status = if near_resets { "PeerError" } else { "Aborted" };
        assert_eq!(ended["status"], status, "{ended}");
    }
}

/// A reset after the own CLOSE is a reset of the transport, and comes out as one too.
#[tokio::test(flavor = "multi_thread")]
async fn a_local_reset_after_half_a_close_comes_out_as_a_reset() {
    let mut tunnel = Tunnel::new().await;
    let (mut near, mut far) = tunnel.connection().await;
    near.write_all(b"all I say").await.unwrap();
    near.shutdown().await.unwrap();
    assert_eq!(read_all(&mut far).await.unwrap(), b"all I say");
    reset(near);
    // Whoever writes learns of it.
    let bytes = noise(1 << 20, 1);
    let writing = async { while far.write_all(&bytes).await.is_ok() {} };
    timeout(DEADLINE, writing).await.expect("nobody minds");
    assert_eq!(tunnel.connecting.event("ended").await["status"], "Aborted");
    tunnel.listening.event("ended").await;
}

/// ERROR 6; others go on.
#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_is_not_there_is_a_reset_and_no_end_of_the_tunnel() {
    let target = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = target.local_addr().unwrap();
    drop(target);
    let spare = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut tunnel = Tunnel::to(address, spare).await;
    for _ in 0..2 {
        let mut near = TcpStream::connect(tunnel.entrance).await.unwrap();
        assert_eq!(read_until_reset(&mut near).await, b"");
        let ended = tunnel.connecting.event("ended").await;
        assert!(ended["message"].as_str().unwrap().contains("target cannot be reached"), "{ended}");
        tunnel.listening.event("failed").await;
    }
    tunnel.target = TcpListener::bind(address).await.unwrap();
    let (mut near, mut far) = tunnel.connection().await;
    near.write_all(b"now").await.unwrap();
    near.shutdown().await.unwrap();
    assert_eq!(read_all(&mut far).await.unwrap(), b"now");
}

/// Nobody at the other end of the tunnel: a reset, and the next one may have more luck.
#[tokio::test(flavor = "multi_thread")]
async fn a_tunnel_without_its_other_end_resets_and_waits() {
    let host = Host::new().await;
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let mut connecting = host.connect(nobody, &["--local", "127.0.0.1:0"]);
    let entrance = connecting.address().await;
    let mut near = TcpStream::connect(entrance).await.unwrap();
    assert_eq!(read_until_reset(&mut near).await, b"");
    assert!(connecting.event("failed").await["message"].as_str().unwrap().contains("cannot connect"));
    connecting.signal("TERM").await;
    connecting.end().await.assert(0, "");
}

/// GOING_AWAY to all links, then the end.
#[tokio::test(flavor = "multi_thread")]
async fn a_signal_ends_all_links_by_name() {
    let mut tunnel = Tunnel::new().await;
    let mut connections = Vec::new();
    for _ in 0..5 {
        let (mut near, mut far) = tunnel.connection().await;
        near.write_all(b"x").await.unwrap();
        far.read_exact(&mut [0]).await.unwrap();
        connections.push((near, far));
    }
    tunnel.listening.signal("TERM").await;
    for (near, far) in &mut connections {
        assert_eq!(read_until_reset(near).await, b"");
        assert_eq!(read_until_reset(far).await, b"");
        let ended = tunnel.connecting.event("ended").await;
        assert!(ended["message"].as_str().unwrap().contains("it was stopped"), "{ended}");
    }
    tunnel.listening.end().await.assert(0, "");
    tunnel.connecting.signal("TERM").await;
    tunnel.connecting.end().await.assert(0, "");
    drop(tunnel.host);
}
