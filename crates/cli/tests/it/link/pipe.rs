//! One link on standard input and output. Profile, Tool; checklist 8, 11, 15, 16, 20.

use super::proxy::{Fate, Proxy};
use super::{Host, Linking, noise};
use crate::people::DEADLINE;
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

/// Both sides of a pipe, the connecting one first.
async fn pair(host: &Host, connect: &[&str], listen: &[&str]) -> (Linking, Linking) {
    let (listening, address) = host.listen(listen).await;
    (host.connect(address, connect), listening)
}

/// The same through a proxy.
async fn pair_through(host: &Host, fate: Fate, more: &[&str]) -> (Linking, Linking, Proxy) {
    let (listening, address) = host.listen(more).await;
    let proxy = Proxy::before(address, vec![fate]).await;
    (host.connect(proxy.address, more), listening, proxy)
}

/// FL-7.1
#[tokio::test(flavor = "multi_thread")]
async fn a_pipe_carries_both_ways_and_ends_well() {
    let host = Host::new().await;
    let (mut connecting, mut listening) = pair(&host, &[], &[]).await;
    connecting.write(b"from the one who connects").await;
    listening.write(b"from the one who listens").await;
    let open = connecting.event("open").await;
    assert_eq!((&open["mode"], &open["key"]), (&"hybrid".into(), &0.into()), "{open}");
    connecting.close();
    listening.close();
    let (connected, listened) = tokio::join!(connecting.end(), listening.end());
    assert_eq!((connected.code, listened.code), (0, 0), "{connected:?} {listened:?}");
    assert_eq!(connected.stdout, b"from the one who listens");
    assert_eq!(listened.stdout, b"from the one who connects");
    connected.assert(0, r#""status":"Closed","sent":25,"received":24"#);
}

/// Checklist 20: half-close works both ways.
#[tokio::test(flavor = "multi_thread")]
async fn each_direction_ends_for_itself() {
    let host = Host::new().await;
    let big = noise(3_000_000, 1);
    for first_is_connecting in [true, false] {
        let (connecting, listening) = pair(&host, &[], &[]).await;
        let (mut first, mut second) =
            if first_is_connecting { (connecting, listening) } else { (listening, connecting) };
        first.write(b"a question").await;
        first.close();
        // Its end is seen while the other direction is open.
        assert_eq!(second.read_all().await, b"a question");
        let (mut input, bytes) = (second.input(), big.clone());
        let writing = tokio::spawn(async move { input.write_all(&bytes).await.unwrap() });
        assert!(first.read_all().await == big, "the answer is another one");
        writing.await.unwrap();
        first.close_output();
        second.close_output();
        let (first, second) = tokio::join!(first.end(), second.end());
        assert_eq!((first.code, second.code), (0, 0), "{first:?} {second:?}");
    }
}

async fn both_ways_at_once(length: usize, connect: &[&str], listen: &[&str]) {
    let host = Host::new().await;
    let (connecting, listening) = pair(&host, connect, listen).await;
    let side = async |mut linking: Linking, mine: &[u8], theirs: &[u8]| {
        let (mut input, mut output) = (linking.input(), linking.output());
        let write = async move {
            input.write_all(mine).await.unwrap();
        };
        let read = async move {
            let mut all = Vec::with_capacity(theirs.len());
            output.read_to_end(&mut all).await.unwrap();
            assert!(all == theirs, "{} bytes came that are not those sent", all.len());
        };
        tokio::join!(write, read);
        linking.end().await.assert(0, "");
    };
    let (a, b) = (noise(length, 1), noise(length, 2));
    let both = async { tokio::join!(side(connecting, &a, &b), side(listening, &b, &a)) };
    timeout(DEADLINE, both).await.expect("both sides wait for each other");
}

/// Checklist 15
#[tokio::test(flavor = "multi_thread")]
async fn both_sides_send_64_mib_at_once() {
    both_ways_at_once(64 << 20, &[], &[]).await;
}

/// Checklist 8, 9: as the options say.
#[tokio::test(flavor = "multi_thread")]
async fn every_option_carries() {
    let same: [&[&str]; 4] =
        [&["--mode", "psk"], &["--align", "stream"], &["--pad", "bucket"], &["--duplex", "strict", "--keepalive", "5"]];
    for options in same {
        both_ways_at_once(1_000_003, options, options).await;
    }
    let listen = ["--mode", "psk,hybrid", "--max-frame", "1024", "--credit", "2K"];
    both_ways_at_once(300_001, &["--credit", "unlimited", "--max-frame", "4M"], &listen).await;
}

/// Checklist 16: raw, and its warning.
#[tokio::test(flavor = "multi_thread")]
async fn raw_carries_once_and_warns_at_its_end() {
    for (more, warning) in
        [(&[][..], false), (&["--mac-init", "standard", "--seq-wrap", "1", "--align", "stream"], true)]
    {
        let host = Host::new().await;
        let raw = ["--mode", "raw", "--block-file", "block"];
        let (mut listening, address) = host.listening(&[&["listen", "127.0.0.1:0"], &raw[..], more].concat()).await;
        let mut connecting = host.start(&[&["connect", &address.to_string()], &raw[..], more].concat());
        connecting.write(b"ping").await;
        assert_eq!(listening.read(4).await, b"ping");
        listening.write(b"pong").await;
        assert_eq!(connecting.read(4).await, b"pong");
        connecting.close();
        // No CLOSE: the end of one direction is the end.
        let (connected, listened) = tokio::join!(connecting.end(), listening.end());
        for (ended, role) in [(&connected, "top"), (&listened, "bottom")] {
            ended.assert(0, "nothing proves");
            ended.assert(0, &format!(r#"{{"event":"role","role":"{role}"}}"#));
            assert_eq!(ended.said.contains("--mac-init standard"), warning, "{ended:?}");
        }
    }
}

/// Exit 3: what is verified is delivered, the end is not taken for one.
#[tokio::test(flavor = "multi_thread")]
async fn a_cut_stream_is_no_clean_end() {
    let host = Host::new().await;
    let (mut connecting, mut listening, proxy) = pair_through(&host, Fate::Pass, &[]).await;
    connecting.write(b"verified").await;
    assert_eq!(listening.read(8).await, b"verified");
    proxy.cut.send_replace(true);
    let (connected, listened) = tokio::join!(connecting.end(), listening.end());
    connected.assert(3, "cut before its end");
    listened.assert(3, "cut before its end");
}

/// Exit 4 for who sees the change, exit 6 for who is told.
#[tokio::test(flavor = "multi_thread")]
async fn a_changed_byte_ends_the_link() {
    let host = Host::new().await;
    // Far behind the handshake, whatever its length.
    let (mut connecting, mut listening, _proxy) = pair_through(&host, Fate::Flip(200_000), &[]).await;
    let sent = noise(300_000, 3);
    let mut output = listening.output();
    let reading = tokio::spawn(async move {
        let mut all = Vec::new();
        output.read_to_end(&mut all).await.map(|_| all)
    });
    connecting.write(&sent).await;
    // Neither has said that it is at its end: who sees the change can tell the other.
    tokio::join!(connecting.event("ended"), listening.event("ended"));
    let (connected, listened) = tokio::join!(connecting.end(), listening.end());
    listened.assert(4, "bytes were changed on the way");
    connected.assert(6, "frames that do not hold");
    let verified = reading.await.unwrap().unwrap();
    assert!(verified.len() < 200_000 && sent.starts_with(&verified), "{}", verified.len());
}

/// Exit 5
#[tokio::test(flavor = "multi_thread")]
async fn a_silent_peer_is_given_up() {
    let host = Host::new().await;
    let (mut connecting, mut listening) = pair(&host, &["--keepalive", "1"], &[]).await;
    connecting.event("open").await;
    listening.event("open").await;
    listening.signal("STOP").await;
    // Its own input stays open.
    connecting.event("ended").await;
    connecting.end().await.assert(5, "no sign of life");
    listening.signal("CONT").await;
}

/// Exit 6 on both sides of a stop; and the other one knows why.
#[tokio::test(flavor = "multi_thread")]
async fn a_signal_ends_a_pipe_and_the_other_side_is_told() {
    for signal in ["TERM", "INT"] {
        let host = Host::new().await;
        let (mut connecting, mut listening) = pair(&host, &[], &[]).await;
        connecting.event("open").await;
        listening.event("open").await;
        listening.signal(signal).await;
        connecting.event("ended").await;
        let (connected, listened) = tokio::join!(connecting.end(), listening.end());
        connected.assert(6, "it was stopped");
        listened.assert(6, "stopped");
    }
}

/// Exit 6: who reads our output is gone.
#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_goes_away_is_told_to_the_other_side() {
    let host = Host::new().await;
    let (mut connecting, mut listening) = pair(&host, &[], &[]).await;
    listening.close_output();
    connecting.write(b"for nobody").await;
    connecting.event("ended").await;
    let (connected, listened) = tokio::join!(connecting.end(), listening.end());
    connected.assert(6, "was broken off");
    listened.assert(6, "was broken off");
}

/// Only the first link that proves the key gets in, whoever knocks before or after it.
#[tokio::test(flavor = "multi_thread")]
async fn the_first_link_that_proves_the_key_is_taken() {
    let (host, stranger) = (Host::new().await, Host::new().await);
    let (mut listening, address) = host.listen(&[]).await;
    let refused = stranger.connect(address, &[]).end().await;
    refused.assert(2, "does not know this key");
    let failed = listening.event("failed").await;
    assert!(failed["message"].as_str().unwrap().contains("does not know the key"), "{failed}");
    let mut first = host.connect(address, &[]);
    first.event("open").await;
    listening.event("open").await;
    let late: SocketAddr = address;
    host.connect(late, &[]).end().await.assert(2, "cannot connect");
    let (first, listened) = tokio::join!(first.end(), listening.end());
    assert_eq!((first.code, listened.code), (0, 0), "{first:?} {listened:?}");
}
