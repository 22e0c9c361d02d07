//! Messages that want a receipt: once, whatever the brokers do; in parts; to their deadline; durable before receipted.

use crate::net::{Faults, Net, Node, people};
use waypost_proofpeer::{Error, Event, Input, MessageStatus, Settings};

fn big(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at * 7 + at / 251) as u8).collect()
}

/// PP-X6
#[test]
fn messages_cross_once_when_a_third_of_everything_is_lost() {
    let mut net = Net::new(1, people(2));
    net.meet();
    net.set_faults(Faults { loss: 33, twice: 20, jitter: 400 });
    for id in 0..40 {
        net.send(0, 1, id, format!("{id}").as_bytes(), true);
        net.run(200);
    }
    net.run(600_000);
    let mut texts: Vec<u64> = net.nodes[1].texts().iter().map(|text| text.parse().unwrap()).collect();
    texts.sort_unstable();
    assert_eq!(texts, (0..40).collect::<Vec<_>>());
    for id in 0..40 {
        assert_eq!(net.statuses(0, id).last(), Some(&MessageStatus::Delivered));
    }
}

/// `delivered` only after frame 3.
#[test]
fn a_message_is_told_delivered_only_when_the_receipt_comes() {
    let mut net = Net::new(1, people(2));
    net.meet();
    net.send(0, 1, 1, b"first", true);
    net.run(1000);
    net.discard = Box::new(|message, _| message.from == 1 && message.kind() == "session");
    net.send(0, 1, 2, b"second", true);
    net.run(20_000);
    assert_eq!(net.nodes[1].texts(), ["first", "second"]);
    assert_eq!(net.statuses(0, 2), [MessageStatus::Sent]);
    net.discard = Box::new(|_, _| false);
    net.run(60_000);
    assert_eq!(net.statuses(0, 2), [MessageStatus::Sent, MessageStatus::Delivered]);
    assert_eq!(net.nodes[1].texts(), ["first", "second"], "not delivered twice");
}

/// A receipt says that the delivery is durable, also when the message is repeated meanwhile.
#[test]
fn no_receipt_leaves_before_the_delivery_is_durable() {
    for length in [10, 100_000] {
        let mut net = Net::new(1, people(2));
        net.meet();
        net.nodes[1].confirms = false;
        net.send(0, 1, 1, &big(length), true);
        net.run(30_000);
        assert_eq!(net.nodes[1].messages().len(), 1);
        assert_eq!(net.statuses(0, 1), [MessageStatus::Queued, MessageStatus::Sent]);
        let delivery = net.nodes[1].events.iter().find_map(|(_, event)| match event {
            Event::Deliver { delivery, .. } => *delivery,
            _ => None,
        });
        net.input(1, Input::Delivered(delivery.unwrap())).unwrap();
        net.run(1000);
        assert_eq!(net.statuses(0, 1).last(), Some(&MessageStatus::Delivered));
    }
}

/// PP-4.7a, PP-4.7b
#[test]
fn a_mebibyte_crosses_in_parts_under_the_envelope_limit() {
    for loss in [0, 20] {
        let mut net = Net::new(1, people(2));
        net.meet();
        net.set_faults(Faults { loss, twice: loss / 2, jitter: 50 });
        let message = big(1 << 20);
        net.send(0, 1, 1, &message, true);
        net.run(300_000);
        assert_eq!(net.nodes[1].messages().len(), 1);
        assert!(net.nodes[1].messages()[0].0 == message);
        assert_eq!(net.statuses(0, 1).last(), Some(&MessageStatus::Delivered));
        assert!(net.log.iter().all(|message| message.payload.len() <= 65_536));
    }
}

#[test]
fn a_message_without_receipt_crosses_in_parts_too() {
    let mut net = Net::new(1, people(2));
    net.meet();
    let message = big(200_000);
    net.send(0, 1, 1, &message, false);
    net.run(1000);
    assert!(net.nodes[1].messages()[0].0 == message);
    assert!(net.published(0, "session").iter().all(|message| !message.reliable));
}

/// MQTT 5 Maximum Packet Size.
#[test]
fn parts_are_as_small_as_the_smallest_broker_asks() {
    let mut net = Net::new(2, Vec::new());
    net.set_max_packet(1, 5000);
    net.nodes = people(2);
    net.connect_all(0);
    net.connect_all(1);
    net.meet();
    let message = big(50_000);
    net.send(0, 1, 1, &message, true);
    net.run(10_000);
    assert!(net.nodes[1].messages()[0].0 == message);
    assert!(net.published(0, "session").len() > 15);
}

/// PP-4.7b
#[test]
fn a_large_message_to_a_literal_peer_is_too_large() {
    let mut net = Net::pair(Node::new(1, Settings::default()), Node::literal(2));
    net.send(0, 1, 1, &big(1 << 20), true);
    net.run(1000);
    assert_eq!(net.statuses(0, 1), [MessageStatus::Queued, MessageStatus::Failed]);
    assert_eq!(net.try_send(0, 1, 2, &big(1 << 20), true), Err(Error::TooLarge));
    net.send(0, 1, 3, b"small", true);
    net.run(1000);
    assert_eq!(net.nodes[1].texts(), ["small"]);
    assert_eq!(net.try_send(0, 1, 4, &big((16 << 20) + 1), true), Err(Error::TooLarge));
}

#[test]
fn parts_that_were_not_sent_yet_go_after_a_new_session() {
    let mut net = Net::new(1, people(2));
    net.meet();
    // After the first parts the other side's process is another.
    let mut parts = 0;
    net.discard = Box::new(move |message, to| {
        parts += u32::from(to == 1 && message.kind() == "session");
        parts > 20 && to == 1
    });
    let message = big(1 << 20);
    net.send(0, 1, 1, &message, true);
    net.run(40_000);
    assert!(net.nodes[1].messages().is_empty());
    net.discard = Box::new(|_, _| false);
    net.run(120_000);
    assert!(net.nodes[1].messages().len() == 1 && net.nodes[1].messages()[0].0 == message);
    assert_eq!(net.statuses(0, 1).last(), Some(&MessageStatus::Delivered));
}

#[test]
fn repetitions_pause_while_the_peer_is_away_and_messages_expire_after_a_day() {
    let mut net = Net::new(1, people(2));
    net.meet();
    net.send(0, 1, 1, b"first", true);
    net.run(1000);
    net.kill(0);
    net.revive(0);
    net.discard = Box::new(|message, _| message.from == 1);
    net.send(0, 1, 2, b"never receipted", true);
    net.run(100_000);
    let before = net.published(0, "session").len();
    assert!(before > 3);
    net.run(3_600_000);
    assert_eq!(net.published(0, "session").len(), before);
    net.run(24 * 3_600_000);
    assert_eq!(net.statuses(0, 2).last(), Some(&MessageStatus::Expired));
}

#[test]
fn what_waits_for_a_session_expires_after_a_day() {
    let mut net = Net::new(1, people(2));
    net.meet();
    net.discard = Box::new(|message, _| message.from == 1);
    net.send(0, 1, 1, b"no session", true);
    net.run(25 * 3_600_000);
    assert_eq!(net.statuses(0, 1), [MessageStatus::Queued, MessageStatus::Expired]);
}

/// A dead session: its receipts do not come.
#[test]
fn a_session_whose_receipts_stay_out_is_renewed() {
    let mut net = Net::new(1, people(2));
    net.meet();
    net.send(0, 1, 1, b"first", true);
    net.run(15_000);
    net.discard = Box::new(|message, to| to == 1 && message.kind() == "session");
    net.send(0, 1, 2, b"second", true);
    net.run(60_000);
    assert!(net.published(0, "handshake").len() >= 2);
}

#[test]
fn queue_and_outbox_have_their_limits() {
    let mut settings = Settings::default();
    settings.limits.outbox = (5, 1000);
    let mut net = Net::new(1, vec![Node::new(1, settings), Node::new(2, Settings::default())]);
    net.meet();
    net.discard = Box::new(|message, _| message.from == 1);
    for id in 0..64 {
        net.send(0, 1, id, b"waits", false);
    }
    assert_eq!(net.try_send(0, 1, 64, b"one too many", false), Err(Error::QueueFull));
    net.run(11_000);
    assert!((0..64).all(|id| net.statuses(0, id).last() == Some(&MessageStatus::Failed)));
    net.discard = Box::new(|_, _| false);
    net.send(0, 1, 100, b"a session", true);
    net.run(1000);
    net.discard = Box::new(|message, _| message.from == 1);
    for id in 0..5 {
        net.send(0, 1, 200 + id, b"waits", true);
    }
    assert_eq!(net.try_send(0, 1, 300, b"one too many", true), Err(Error::OutboxFull));
    net.discard = Box::new(|_, _| false);
    net.run(30_000);
    assert_eq!(net.try_send(0, 1, 301, &[0; 1001], true), Err(Error::OutboxFull));
    assert_eq!(net.try_send(0, 1, 302, &[0; 1000], true), Ok(()));
    assert_eq!(net.try_send(0, 0, 303, b"to oneself", true), Err(Error::UnknownPeer));
}

/// Its parts were receipted, but nobody has them any more.
#[test]
fn a_message_whose_parts_the_peer_has_forgotten_is_sent_again_whole() {
    let mut net = Net::new(1, people(2));
    net.meet();
    let mut parts = 0;
    net.discard = Box::new(move |message, to| {
        parts += u32::from(to == 1 && message.payload.len() > 30_000);
        parts > 2 && to == 1 && message.payload.len() > 2000
    });
    let message = big(150_000);
    net.send(0, 1, 1, &message, true);
    net.run(240_000);
    assert!(net.nodes[1].messages().is_empty());
    net.discard = Box::new(|_, _| false);
    net.run(120_000);
    assert!(net.nodes[1].messages().len() == 1 && net.nodes[1].messages()[0].0 == message);
    assert_eq!(net.statuses(0, 1).last(), Some(&MessageStatus::Delivered));
}
