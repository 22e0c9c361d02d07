//! Peers that go wrong before they are somebody.

use super::node::{Node, Pair, direct, keys, listening};
use super::raw::{Raw, framed};
use tokio::io::AsyncWriteExt;
use waypost_net::sremp::DriverEvent;
use waypost_sremp::connection::Verdict;
use waypost_sremp::{CloseReason, ErrorCode, Message};

const HEADER: &[u8; 7] = b"SREMP\x01\x00";

/// A listener that an honest peer talks with, before and after everything.
async fn pair() -> Pair {
    let mut pair = Pair::connect().await;
    pair.talk(1).await;
    pair
}

#[tokio::test]
async fn answers_what_is_not_sremp_with_silence() {
    let mut pair = pair().await;
    let garbage =
        [&b"X"[..], b"GET / HTTP/1.1\r\n\r\n", b"srempX\0", b"SREMQ", &[0; 4096], &[0xff; 100_000], b"\x16\x03\x01"];
    for bytes in garbage {
        let mut raw = Raw::connect(3, &pair.listener.address()).await;
        // The other side may close before it has read everything.
        let _ = raw.stream.write_all(bytes).await;
        assert_eq!(raw.read_to_end().await, b"", "{:?}", &bytes[..bytes.len().min(10)]);
    }
    pair.talk(2).await;
    assert_eq!(pair.listener.dropped(7).await, [("malformed", 7)]);
}

#[tokio::test]
async fn shows_its_own_version_to_another_major_one_and_closes() {
    let mut pair = pair().await;
    for version in [[2, 0], [0, 9], [255, 255]] {
        let mut raw = Raw::connect(3, &pair.listener.address()).await;
        raw.write(&[&b"SREMP"[..], &version].concat()).await;
        assert_eq!(raw.read_to_end().await, HEADER);
    }
    pair.talk(2).await;
    assert_eq!(pair.listener.dropped(3).await, [("version", 3)]);
}

#[tokio::test]
async fn closes_on_handshake_frames_of_another_length_or_content() {
    let mut pair = pair().await;
    let frames = [framed(&[]), framed(&[1; 31]), framed(&[1; 33]), framed(&[0; 32]), vec![0xff, 0xff]];
    for frame in &frames {
        let mut raw = Raw::connect(3, &pair.listener.address()).await;
        raw.write(&[&HEADER[..], frame].concat()).await;
        assert_eq!(raw.read_to_end().await, HEADER, "{frame:02x?}");
    }
    let mut raw = Raw::connect(3, &pair.listener.address()).await;
    raw.write(&[&HEADER[..], &framed(&[9; 32])].concat()).await;
    raw.write(&framed(&[1; 64])).await;
    assert_eq!(raw.read_to_end().await.len(), 7 + 2 + 103, "no word after msg2");
    pair.talk(2).await;
}

#[tokio::test]
async fn an_end_of_the_stream_in_any_state_closes_and_the_next_is_served() {
    let mut pair = pair().await;
    let partial: [&[u8]; 6] =
        [b"", b"S", HEADER, b"SREMP\x01\x00\x00", b"SREMP\x01\x00\x00\x20", b"SREMP\x01\x00\x00\x20\x01"];
    for bytes in partial {
        let mut raw = Raw::connect(3, &pair.listener.address()).await;
        raw.write(bytes).await;
        raw.stream.shutdown().await.unwrap();
        let answer = raw.read_to_end().await;
        assert_eq!(answer, if bytes.len() < 7 { &b""[..] } else { HEADER });
    }
    let mut raw = Raw::connect(3, &pair.listener.address()).await;
    raw.handshake().await;
    raw.stream.shutdown().await.unwrap();
    assert_eq!(raw.read_to_end().await, b"");
    let mut raw = Raw::connect(3, &pair.listener.address()).await;
    raw.handshake().await;
    let identity = keys(3).identity().signed().clone();
    let frame = raw.seal(&Message::Identity(identity).encode());
    raw.write(&frame[..frame.len() / 2]).await;
    raw.stream.shutdown().await.unwrap();
    assert_eq!(raw.messages().await, [], "nothing is said to somebody unknown");
    pair.talk(2).await;
}

#[tokio::test]
async fn a_peer_that_ends_its_half_still_gets_what_was_on_its_way() {
    let mut listener = Node::start(2, listening()).await;
    let mut raw = Raw::connect(3, &listener.address()).await;
    raw.identify().await;
    let link = listener.ready().await;
    raw.send(&direct(1, 10)).await;
    assert_eq!(listener.message(link).await, direct(1, 10));
    listener.send(link, direct(2, 900_000));
    listener.close(link, None);
    raw.stream.shutdown().await.unwrap();
    let messages = raw.messages().await;
    assert!(matches!(messages[0], Message::Identity(_)));
    assert_eq!(messages.len(), 16, "the identity and fifteen chunks");
    assert!(matches!(listener.closed(link).await, CloseReason::Stopped | CloseReason::Eof));
}

#[tokio::test]
async fn tells_a_peer_that_breaks_the_protocol_and_goes_on_with_others() {
    let mut pair = pair().await;
    let garbage: [&[u8]; 5] =
        [b"\xc1", b"\x81\xa4PING\x81\xa5nonce\xca\0\0\0\0", &[0x91; 100], b"\x80", b"\x81\xa4PING\x80\x00"];
    for plaintext in garbage {
        let mut raw = Raw::connect(3, &pair.listener.address()).await;
        raw.identify().await;
        let link = pair.listener.ready().await;
        let frame = raw.seal(plaintext);
        raw.write(&frame).await;
        match &raw.messages().await[..] {
            [Message::Identity(_), Message::Error(error)] => {
                assert_eq!((error.code, error.fatal), (ErrorCode::Malformed.value(), true));
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(pair.listener.closed(link).await, CloseReason::Local(ErrorCode::Malformed));
    }
    pair.talk(2).await;
}

#[tokio::test]
async fn an_identity_that_is_not_the_keys_own_is_refused_with_its_code() {
    let mut pair = pair().await;
    let mut raw = Raw::connect(3, &pair.listener.address()).await;
    raw.handshake().await;
    raw.send(&Message::Identity(keys(4).identity().signed().clone())).await;
    match &raw.messages().await[..] {
        [Message::Error(error)] => assert_eq!(error.known_code(), Some(ErrorCode::NoiseKeyMismatch)),
        other => panic!("{other:?}"),
    }
    pair.talk(2).await;
}

#[tokio::test]
async fn a_silent_verdict_sends_no_byte_after_the_handshake() {
    let mut listener = Node::start(2, listening()).await;
    let mut raw = Raw::connect(3, &listener.address()).await;
    raw.identify().await;
    let DriverEvent::Identified { link, .. } = listener.next().await else { panic!("not identified") };
    listener.judge(link, Verdict::Silent);
    assert_eq!(raw.read_to_end().await, b"");
}
