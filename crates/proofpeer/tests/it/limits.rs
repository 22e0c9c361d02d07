//! Memory and numbers that have a bound, whoever fills them.

use crate::net::{Net, Node, ed25519, forge, people};
use waypost_codec::base64;
use waypost_core::Mono;
use waypost_proofpeer::{
    CarriedKey, Drop, Error, Frame, FrameKind, MessageId, MessageStatus, Refusal, Settings, probe,
};

fn small() -> Settings {
    let mut settings = Settings::default();
    settings.limits.peers = 8;
    settings
}

/// Keys beyond the bound: offline ones go first, pinned ones never.
#[test]
fn a_flood_of_keys_displaces_the_absent_and_never_the_pinned() {
    let mut net = Net::pair(Node::new(1, small()), Node::new(2, Settings::default()));
    let pinned = net.id(1);
    net.nodes[0].peer.book_mut().set_pinned(&pinned, true);
    let topic = forge::channel("lobby");
    for number in 0..50 {
        let claim = forge::claim(topic, number);
        let stranger = forge::signed(&ed25519(100 + number), net.secs(), "1", Some(&claim));
        assert_eq!(net.inject(0, &topic.to_string(), &stranger).dropped, None);
        assert!(net.nodes[0].peer.book().all().count() <= 8);
        let newest = ed25519(100 + number).public().fingerprint();
        assert!(net.nodes[0].peer.book().get(&newest).is_some() && net.nodes[0].peer.is_online(&newest));
    }
    assert!(net.nodes[0].peer.book().get(&pinned).is_some());
    let gone = ed25519(100).public().fingerprint();
    assert!(!net.nodes[0].peer.is_online(&gone), "what is forgotten is forgotten whole");
}

#[test]
fn a_book_full_of_pins_takes_nobody_else() {
    let mut net = Net::new(1, vec![Node::new(1, small())]);
    net.meet();
    let topic = forge::channel("lobby");
    for number in 0..9 {
        let claim = forge::claim(topic, number);
        let stranger = ed25519(100 + number);
        let outcome = net.inject(0, &topic.to_string(), &forge::signed(&stranger, net.secs(), "1", Some(&claim)));
        assert_eq!(outcome.dropped, (number == 8).then_some("overload"));
        net.nodes[0].peer.book_mut().set_pinned(&stranger.public().fingerprint(), true);
    }
}

#[test]
fn messages_to_a_key_that_was_forgotten_fail() {
    let mut net = Net::pair(Node::new(1, small()), Node::new(2, Settings::default()));
    net.discard = Box::new(|message, _| message.from == 1);
    net.send(0, 1, 1, b"waits", true);
    net.run(70_000);
    let topic = forge::channel("lobby");
    for number in 0..8 {
        let claim = forge::claim(topic, number);
        let stranger = forge::signed(&ed25519(100 + number), net.secs(), "1", Some(&claim));
        net.inject(0, &topic.to_string(), &stranger);
    }
    assert_eq!(net.statuses(0, 1).last(), Some(&MessageStatus::Failed));
    assert_eq!(net.try_send(0, 1, 2, b"to whom?", true), Err(Error::UnknownPeer));
}

/// PP-7.5c: eight keys of one uid; known ones stay.
#[test]
fn a_uid_has_so_many_keys_and_no_more() {
    let mut net = Net::new(1, people(1));
    let now = net.now(0);
    let book = net.nodes[0].peer.book_mut();
    let mut stored = Vec::new();
    for seed in 0..9 {
        let key = ed25519(seed + 50).public().clone();
        book.meet(now.mono, &CarriedKey { key: key.clone(), uid: key.uid() });
        let mut kept = book.store(&key.fingerprint()).unwrap();
        kept.uids = vec![4711];
        stored.push(kept);
    }
    let mut other = net.nodes[0].again(3, Settings::default());
    let results: Vec<_> = stored.iter().map(|kept| other.book_mut().restore(now.mono, kept).err()).collect();
    assert_eq!(results[..8], [None; 8]);
    assert_eq!(results[8], Some(Drop::Overload));
    assert_eq!(other.book().of_uid(4711).len(), 8);
}

#[test]
fn so_many_handshakes_are_under_way_and_no_more() {
    let mut settings = Settings::default();
    settings.limits.pending = 2;
    let mut nodes = people(3);
    nodes.insert(0, Node::new(9, settings));
    let mut net = Net::new(1, nodes);
    net.meet();
    net.discard = Box::new(|_, _| true);
    for to in 1..3 {
        net.send(0, to, to as u64, b"x", false);
    }
    assert_eq!(net.try_send(0, 3, 3, b"x", false), Err(Error::QueueFull));
    net.run(12_000);
    net.discard = Box::new(|_, _| false);
    assert_eq!(net.statuses(0, 3), [], "what was refused is not sent later");
    net.send(0, 3, 4, b"y", false);
    net.run(1000);
    assert_eq!(net.nodes[3].texts(), ["y"]);
}

fn part(mid: u64, idx: u16, count: u16, body: Vec<u8>) -> Vec<u8> {
    let kind = FrameKind::Data { receipt: true, idx, count, body };
    Frame { mid: MessageId((mid + 1).to_be_bytes()), kind }.encode()
}

fn refused(outcomes: &[probe::FrameOutcome]) -> bool {
    let is_refusal = |bytes: &[u8]| {
        Frame::decode(bytes).is_ok_and(|frame| matches!(frame.kind, FrameKind::Refused(Refusal::TooLarge)))
    };
    outcomes.iter().any(|outcome| matches!(outcome, probe::FrameOutcome::Reply(bytes) if is_refusal(bytes)))
}

/// Parts cost what they take in memory, not only what they say.
#[test]
fn parts_that_say_nothing_fill_the_reassembly_too() {
    let mut frames = probe::Frames::default();
    let now = Mono::from_millis(1);
    let most = (32 << 20) / 64;
    let mut taken = 0_usize;
    for mid in 0..20 {
        for idx in 0..65_534 {
            if refused(&frames.take(now, &part(mid, idx, u16::MAX, Vec::new()))) {
                assert!(taken <= most && taken + 70_000 > most, "{taken} of {most}");
                return;
            }
            taken += 1;
        }
    }
    panic!("no end to it");
}

#[test]
fn a_message_that_would_be_too_large_is_refused_at_its_first_part() {
    let mut frames = probe::Frames::default();
    let now = Mono::from_millis(1);
    assert!(refused(&frames.take(now, &part(1, 0, 600, vec![0; 32_768]))));
    assert!(refused(&frames.take(now, &part(1, 1, 600, vec![0; 32_768]))), "and at every other");
    assert!(!refused(&frames.take(now, &part(2, 0, 512, vec![0; 32_768]))), "16 MiB are taken");
}

#[test]
fn parts_that_do_not_go_together_are_no_frames() {
    let mut frames = probe::Frames::default();
    let now = Mono::from_millis(1);
    frames.take(now, &part(1, 1, 4, vec![0; 10]));
    let bad = [probe::FrameOutcome::Drop(Drop::BadFrame)];
    assert_eq!(frames.take(now, &part(1, 2, 4, vec![0; 11])), bad);
    assert_eq!(frames.take(now, &part(1, 3, 4, vec![0; 11])), bad);
    assert_eq!(frames.take(now, &part(1, 0, 5, vec![0; 10])), bad);
    assert!(frames.take(now, &part(1, 3, 4, vec![1; 3])).len() == 1);
    assert!(frames.take(now, &part(1, 0, 4, vec![2; 10])).len() == 1);
    let whole = frames.take(now, &part(1, 2, 4, vec![3; 10]));
    let expected = [vec![2; 10], vec![0; 10], vec![3; 10], vec![1; 3]].concat();
    assert_eq!(whole[0], probe::FrameOutcome::Deliver(expected));
}

#[test]
fn secrets_are_not_shown() {
    let identity = ed25519(1);
    let shown = format!("{identity:?}");
    let secret = identity.to_pkcs8();
    assert!(!shown.contains(&hex::encode(&secret[16..])) && !shown.contains(&base64::encode(secret)));
    assert_eq!(format!("{:?}", waypost_proofpeer::ChannelKey::from_bytes([7; 32])), "ChannelKey(..)");
}
