//! `noise.json`: headers, the handshake from fixed keys, frames and the binding of identities.

use super::{code, identity::signed};
use waypost_core::ContactId;
use waypost_sremp::{
    Error,
    frame::{FrameReader, MAX_FRAME},
    noise::{AwaitingMsg3, Initiator, NoiseKeys, Proven, Responder, Transport},
    version::{HEADER_LEN, OWN_HEADER, VersionHeader},
    x25519::{PublicKey, Secret},
};
use waypost_testkit::vectors::{self, Case, Outcome, Part};

/// SR-4.1a, SR-4.1c, SR-4.1d, SR-4.1.1a, SR-4.1.1b, SR-10.2a, SR-10.2b, SR-10.2c
#[test]
fn connections_are_made_as_stated() {
    for case in vectors::load("sremp", "noise.json") {
        let input = case.input();
        if input.has("plaintexts") {
            transcript(&case);
        } else if input.has("initiator_header") {
            headers(&case);
        } else if input.has("stream") {
            stream(&case);
        } else if input.has("handshake_static") {
            binding(&case);
        } else if input.has("role") && input.at("receive").value().is_string() {
            header(&case);
        } else if input.has("role") && input.str("role") == "responder" {
            responder(&case);
        } else if input.has("role") && input.str("role") == "initiator" {
            initiator(&case);
        } else {
            case.unknown_shape();
        }
    }
}

fn keys(part: &Part<'_>, name: &str) -> NoiseKeys {
    NoiseKeys::new(secret(part, name))
}

fn secret(part: &Part<'_>, name: &str) -> Secret {
    Secret::from_bytes(part.array(name))
}

/// SR-4.1a, SR-4.1c, SR-4.1d: every byte of a connection.
fn transcript(case: &Case) {
    let input = case.input();
    input.only(&["i_static", "i_ephemeral", "r_static", "r_ephemeral", "plaintexts"]);
    let expect = case.expect();
    expect.only(&[
        "header",
        "prologue",
        "msg1",
        "msg2",
        "msg3",
        "handshake_hash",
        "initiator_to_responder_key",
        "responder_to_initiator_key",
        "initiator_stream",
        "responder_stream",
    ]);
    let header = OWN_HEADER.to_bytes();
    assert_eq!(header[..], expect.hex("header"), "{case}");
    assert_eq!([b"SREMP/1 noise\0", &header[..]].concat(), expect.hex("prologue"), "{case}");
    let shake = handshake(&input, &header, &header);
    assert_eq!(shake.msg1[..], expect.hex("msg1"), "{case}");
    assert_eq!(shake.msg2[..], expect.hex("msg2"), "{case}");
    assert_eq!(shake.msg3[..], expect.hex("msg3"), "{case}");
    assert_eq!(*shake.initiator.handshake_hash(), expect.array("handshake_hash"), "{case}");
    assert_eq!(*shake.responder.handshake_hash(), expect.array("handshake_hash"), "{case}");

    let plaintexts = input.at("plaintexts");
    plaintexts.only(&["initiator", "responder"]);
    let mut streams = [[&header[..], &framed(&shake.msg1)].concat(), [&header[..], &framed(&shake.msg2)].concat()];
    streams[0].extend_from_slice(&framed(&shake.msg3));
    let mut ends = [shake.initiator, shake.responder];
    for (from, name) in [(0, "initiator"), (1, "responder")] {
        for (counter, plaintext) in plaintexts.list(name).iter().enumerate() {
            let plaintext = plaintext.hex("");
            let start = streams[from].len();
            ends[from].seal(&plaintext, &mut streams[from]).unwrap();
            let sealed = streams[from][start + 2..].to_vec();
            let mut opened = Vec::new();
            ends[1 - from].open(&sealed, &mut opened).unwrap();
            assert_eq!(opened, plaintext, "{case}");
            let key = ["initiator_to_responder_key", "responder_to_initiator_key"][from];
            assert_eq!(raw_open(expect.array(key), counter as u64, &sealed), plaintext, "{case}");
        }
    }
    assert_eq!(streams[0], expect.hex("initiator_stream"), "{case}");
    assert_eq!(streams[1], expect.hex("responder_stream"), "{case}");
}

/// SR-10.2b, SR-10.2c: the headers are part of what both sides hash.
fn headers(case: &Case) {
    let input = case.input();
    input.only(&["i_static", "i_ephemeral", "r_static", "r_ephemeral", "initiator_header", "responder_header"]);
    let (ours, theirs) = (input.array("initiator_header"), input.array("responder_header"));
    let shake = handshake(&input, &ours, &theirs);
    let expect = case.expect();
    expect.only(&["msg1", "msg2", "msg3", "handshake_hash", "minor"]);
    assert_eq!(shake.msg1[..], expect.hex("msg1"), "{case}");
    assert_eq!(shake.msg2[..], expect.hex("msg2"), "{case}");
    assert_eq!(shake.msg3[..], expect.hex("msg3"), "{case}");
    assert_eq!(*shake.initiator.handshake_hash(), expect.array("handshake_hash"), "{case}");
    assert_eq!(*shake.responder.handshake_hash(), expect.array("handshake_hash"), "{case}");
    let minor = VersionHeader::decode(&ours).unwrap().agree(VersionHeader::decode(&theirs).unwrap());
    assert_eq!(minor.map(u64::from), Ok(expect.u64("minor")), "{case}");
}

struct Shake {
    msg1: [u8; 32],
    msg2: [u8; 103],
    msg3: [u8; 64],
    initiator: Transport,
    responder: Transport,
}

fn handshake(input: &Part<'_>, ours: &[u8; HEADER_LEN], theirs: &[u8; HEADER_LEN]) -> Shake {
    let (i, r) = (keys(input, "i_static"), keys(input, "r_static"));
    let (initiator, msg1) = Initiator::start(&i, secret(input, "i_ephemeral"), ours).unwrap();
    let responder = Responder::start(&r, secret(input, "r_ephemeral"), ours).unwrap();
    let (responder, msg2) = responder.read_msg1(&msg1, theirs).unwrap();
    let proven = initiator.read_msg2(&msg2, theirs).unwrap();
    assert_eq!(proven.theirs(), r.public());
    let (msg3, initiator) = proven.finish(Some(&r.public())).unwrap();
    let responder = responder.read_msg3(&msg3).unwrap();
    assert_eq!(responder.theirs(), i.public());
    Shake { msg1, msg2, msg3, initiator, responder }
}

fn framed(message: &[u8]) -> Vec<u8> {
    [&u16::try_from(message.len()).unwrap().to_be_bytes()[..], message].concat()
}

/// ChaCha20-Poly1305 as the profile writes it down, by other code than the transport's.
fn raw_open(key: [u8; 32], counter: u64, sealed: &[u8]) -> Vec<u8> {
    use chacha20poly1305::{ChaCha20Poly1305, KeyInit, aead::Aead};
    let mut nonce = [0; 12];
    nonce[4..].copy_from_slice(&counter.to_le_bytes());
    ChaCha20Poly1305::new(&key.into()).decrypt(&nonce.into(), sealed).unwrap()
}

/// SR-10.2a, SR-10.2b
fn header(case: &Case) {
    let input = case.input();
    input.only(&["role", "receive"]);
    let received = input.hex("receive");
    let minor = code(match received.first_chunk() {
        Some(header) => VersionHeader::decode(header).and_then(|theirs| OWN_HEADER.agree(theirs)),
        None => Err(Error::Malformed("a header cut short")),
    });
    match case.outcome() {
        Outcome::Error(error) => assert_eq!(minor.unwrap_err(), error, "{case}"),
        Outcome::Expect(expect) => {
            assert_eq!(minor.map(u64::from), Ok(expect.only(&["minor"]).u64("minor")), "{case}");
        }
    }
}

/// SR-4.1d, SR-A1, SR-A2: what a responder makes of what it is given after its header.
fn responder(case: &Case) {
    let input = case.input();
    input.only(&["role", "r_static", "r_ephemeral", "receive"]);
    let received: Vec<_> = input.list("receive").iter().map(|message| message.hex("")).collect();
    let plaintexts = code(respond(&input, &received));
    match case.outcome() {
        Outcome::Error(error) => assert_eq!(plaintexts.unwrap_err(), error, "{case}"),
        Outcome::Expect(expect) => {
            let expected = expect.only(&["plaintexts"]).list("plaintexts");
            let expected: Vec<_> = expected.iter().map(|plaintext| plaintext.hex("")).collect();
            assert_eq!(plaintexts, Ok(expected), "{case}");
        }
    }
}

fn respond(input: &Part<'_>, received: &[Vec<u8>]) -> Result<Vec<Vec<u8>>, Error> {
    let header = OWN_HEADER.to_bytes();
    let responder = Responder::start(&keys(input, "r_static"), secret(input, "r_ephemeral"), &header)?;
    let Some((msg1, received)) = received.split_first() else { return Ok(Vec::new()) };
    let (waiting, _): (AwaitingMsg3, _) = responder.read_msg1(msg1, &header)?;
    let Some((msg3, received)) = received.split_first() else { return Ok(Vec::new()) };
    let mut transport = waiting.read_msg3(msg3)?;
    let open = |frame: &Vec<u8>| {
        let mut plaintext = Vec::new();
        transport.open(frame, &mut plaintext).map(|()| plaintext)
    };
    received.iter().map(open).collect()
}

/// SR-4.1.1b, SR-10.2c: what an initiator makes of msg2. Only when all is right msg3 leaves.
fn initiator(case: &Case) {
    let input = case.input();
    input.only(&["role", "i_static", "i_ephemeral", "responder_header", "receive", "pinned_noise_key"]);
    let header = OWN_HEADER.to_bytes();
    let [msg2] = &input.list("receive")[..] else { case.unknown_shape() };
    let (initiator, _) = Initiator::start(&keys(&input, "i_static"), secret(&input, "i_ephemeral"), &header).unwrap();
    let pin = input.opt_array("pinned_noise_key").map(PublicKey);
    let proven = initiator.read_msg2(&msg2.hex(""), &input.array("responder_header"));
    let msg3 = code(proven.and_then(|proven: Proven| proven.finish(pin.as_ref())).map(|(msg3, _)| msg3.to_vec()));
    match case.outcome() {
        Outcome::Error(error) => assert_eq!(msg3.unwrap_err(), error, "{case}"),
        Outcome::Expect(expect) => assert_eq!(msg3, Ok(expect.only(&["msg3"]).hex("msg3")), "{case}"),
    }
}

/// SR-4.1.1a, SR-4.1.1b
fn binding(case: &Case) {
    let input = case.input();
    input.only(&["handshake_static", "identity", "own_identity", "dialled_identity"]);
    let own = ContactId::from_bytes(input.array("own_identity"));
    let dialled = input.opt_array("dialled_identity").map(ContactId::from_bytes);
    let noise_static = PublicKey(input.array("handshake_static"));
    let peer = code(signed(&input.at("identity")).verify().and_then(|identity| {
        identity.check_peer(&noise_static, &own, dialled.as_ref())?;
        Ok(identity.key())
    }));
    match case.outcome() {
        Outcome::Error(error) => assert_eq!(peer.unwrap_err(), error, "{case}"),
        Outcome::Expect(expect) => {
            let expected = ContactId::from_bytes(expect.only(&["peer"]).array("peer"));
            assert_eq!(peer, Ok(expected), "{case}");
        }
    }
}

/// SR-4.1d: one frame is read from a stream that ends.
fn stream(case: &Case) {
    let stream = case.input().only(&["stream"]).hex("stream");
    let frame = code(first_frame(&stream));
    match case.outcome() {
        Outcome::Error(error) => assert_eq!(frame.unwrap_err(), error, "{case}"),
        Outcome::Expect(expect) => assert_eq!(frame, Ok(expect.only(&["frame"]).hex("frame")), "{case}"),
    }
}

fn first_frame(mut stream: &[u8]) -> Result<Vec<u8>, Error> {
    let mut reader = FrameReader::default();
    match reader.next(&mut stream, MAX_FRAME)? {
        Some(frame) => Ok(frame.as_ref().to_vec()),
        None => reader.finish().map(|()| Vec::new()),
    }
}
