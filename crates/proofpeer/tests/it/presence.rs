//! Who is there: announcements, introductions, heartbeats, silence, goodbyes.

use crate::net::{Net, Node, forge, people};
use serde_json::json;
use waypost_proofpeer::{PresenceReason, PresenceState, Settings, murmur3};

/// PP-6.1, PP-8.3a, PP-8.3b, PP-4.2f, PP-6.2a
#[test]
fn subscribes_to_its_inbox_and_its_channels_and_announces_itself_after_that() {
    let mut net = Net::new(1, people(2));
    net.run(100);
    assert!(net.log.is_empty(), "nothing is said without a channel");
    net.join(0, "lobby", None);
    assert!(net.log.is_empty(), "nothing is said before the subscription is confirmed");
    net.run(100);
    assert_eq!(net.published(0, "join").len(), 1);
    let own = net.nodes[0].peer.inbox().to_string();
    assert_eq!(net.nodes[0].topics, [own, forge::channel("lobby").to_string()].into());
    assert!(!net.log[0].reliable);
}

/// PP-6.2b, PP-X11
#[test]
fn a_newcomer_is_introduced_to_within_two_seconds_and_introductions_are_not_answered() {
    let mut net = Net::new(1, people(2));
    net.join(0, "lobby", None);
    net.run(500);
    net.join(1, "lobby", None);
    let joined = net.millis;
    net.run(20_000);
    let introductions = net.published(0, "introduce");
    assert_eq!(introductions.len(), 1);
    assert!(introductions[0].at <= joined + 2000 + 20);
    assert_eq!(introductions[0].topic, net.nodes[1].peer.inbox().to_string());
    let data = &forge::payload_of(&introductions[0].json())["data"];
    assert_eq!(data["channel"], json!(murmur3(b"lobby")));
    assert_eq!(net.published(1, "introduce").len(), 0, "never in reply to an introduction");
    for node in &net.nodes {
        let states: Vec<_> = node.presence().iter().map(|(_, state, _)| *state).collect();
        assert_eq!(states, [PresenceState::Online, PresenceState::Joined(murmur3(b"lobby"))]);
    }
}

/// PP-6.4a
#[test]
fn heartbeats_are_27_to_30_seconds_apart() {
    let mut net = Net::pair(Node::new(1, Settings::default()), Node::literal(2));
    net.run(600_000);
    for node in 0..2 {
        let beats = net.published(node, "heartbeat");
        assert!(beats.len() >= 20);
        let gaps: Vec<u64> = beats.windows(2).map(|pair| pair[1].at - pair[0].at).collect();
        assert!(gaps.iter().all(|gap| (27_000..=30_000).contains(gap)), "{gaps:?}");
        assert!(gaps.windows(2).any(|pair| pair[0] != pair[1]), "drawn anew each time");
        assert!(beats.iter().all(|beat| !beat.reliable));
    }
    assert_eq!(net.nodes[0].presence().len(), 2, "nobody went away");
}

/// PP-6.4b, PP-6.4c
#[test]
fn somebody_silent_is_offline_after_more_than_a_minute_and_its_sessions_are_gone() {
    let mut net = Net::pair(Node::new(1, Settings::default()), Node::new(2, Settings::default()));
    net.send(0, 1, 1, b"hello", true);
    net.run(1000);
    assert_eq!(net.nodes[0].opened().len(), 1);
    net.discard = Box::new(|message, _| message.from == 1);
    net.run(200_000);
    let last = net.log.iter().filter(|message| message.from == 1 && message.at < 4500).map(|message| message.at).max();
    let gone = net.nodes[0].presence();
    let (at, state, reason) = *gone.last().unwrap();
    assert_eq!((state, reason), (PresenceState::Offline, PresenceReason::Timeout));
    let silence = at - (last.unwrap() + 5);
    assert!((60_001..60_100).contains(&silence), "{silence}");
    assert_eq!(net.nodes[0].closed(), ["offline"]);
    // The next message makes another session.
    net.discard = Box::new(|_, _| false);
    net.send(0, 1, 2, b"again", true);
    net.run(1000);
    assert_eq!(net.nodes[1].texts(), ["hello", "again"]);
}

/// PP-6.4a: also to the inbox of somebody with whom there is a session and no channel.
#[test]
fn a_session_without_a_common_channel_is_kept_alive_by_heartbeats_to_the_inbox() {
    let mut net = Net::pair(Node::new(1, Settings::default()), Node::new(2, Settings::default()));
    net.send(0, 1, 1, b"hello", true);
    net.run(1000);
    net.leave(0, "lobby");
    net.leave(1, "lobby");
    net.run(400_000);
    assert!(net.nodes.iter().all(|node| node.closed().is_empty()), "{:?}", net.nodes[0].closed());
    let to_inbox = net.published(0, "heartbeat");
    assert!(to_inbox.iter().filter(|beat| beat.topic == net.nodes[1].peer.inbox().to_string()).count() >= 12);
    let id = net.id(1);
    assert!(net.nodes[0].peer.is_online(&id));
}

#[test]
fn leaving_a_channel_is_told_and_its_members_are_forgotten() {
    let mut net = Net::pair(Node::new(1, Settings::default()), Node::new(2, Settings::default()));
    net.leave(0, "lobby");
    net.run(100);
    let lobby = murmur3(b"lobby");
    for node in &net.nodes {
        let (_, state, reason) = *node.presence().last().unwrap();
        assert_eq!((state, reason), (PresenceState::Left(lobby), PresenceReason::Leave));
    }
    assert!(net.broadcast(0, "lobby", "nobody hears this").is_err());
    let id = net.id(0);
    assert!(net.nodes[1].peer.is_online(&id), "a leave of a channel is not the end");
}

/// PP-6.4c
#[test]
fn a_shutdown_says_goodbye_and_erases_sessions() {
    let mut net = Net::pair(Node::new(1, Settings::default()), Node::new(2, Settings::default()));
    net.send(0, 1, 1, b"hello", true);
    net.run(1000);
    net.input(0, waypost_proofpeer::Input::Shutdown).unwrap();
    net.run(1000);
    let leaves = net.published(0, "leave");
    assert_eq!(leaves.len(), 2, "to the channel and to the inbox of the other side of the session");
    let states: Vec<_> = net.nodes[1].presence().iter().map(|(_, state, reason)| (*state, *reason)).collect();
    assert_eq!(states.last(), Some(&(PresenceState::Offline, PresenceReason::Leave)));
    assert_eq!(net.nodes[1].closed(), ["offline"]);
    // Whatever comes now finds nobody.
    let before = net.log.len();
    net.send(1, 0, 2, b"too late", false);
    net.run(200_000);
    assert_eq!(net.log[before..].iter().filter(|message| message.from == 0).count(), 0);
    assert_eq!(net.nodes[0].peer.poll_timeout(), None);
    assert_eq!(net.try_send(0, 1, 3, b"no more", true), Err(waypost_proofpeer::Error::NotConnected));
}

/// PP-7.5a: a leave that is older than the newest sign is nothing; a copy of it in the inbox neither.
#[test]
fn an_old_leave_and_a_copied_one_close_nothing() {
    let mut net = Net::pair(Node::new(1, Settings::default()), Node::literal(2));
    net.send(0, 1, 1, b"hello", false);
    net.run(1000);
    let leave = r#"{"type":"announce","action":"leave"}"#;
    let lobby = forge::channel("lobby").to_string();
    let old = forge::signed(net.nodes[1].peer.identity(), net.secs() - 20, leave, None);
    assert_eq!(net.inject(0, &lobby, &old).dropped, None);
    let own = net.nodes[0].peer.inbox().to_string();
    let fresh = forge::signed(net.nodes[1].peer.identity(), net.secs(), leave, None);
    assert_eq!(net.inject(0, &own, &fresh).dropped, None);
    assert!(net.nodes[0].closed().is_empty());
    let states: Vec<_> = net.nodes[0].presence().iter().map(|(_, state, _)| *state).collect();
    assert_eq!(states, [PresenceState::Online, PresenceState::Joined(murmur3(b"lobby"))], "still a member");
}

#[test]
fn the_clocks_of_others_tell_how_far_the_own_one_is_off() {
    let mut nodes = people(4);
    nodes[0].skew = -25_000;
    let mut net = Net::new(1, nodes);
    net.meet();
    assert!((24..=26).contains(&net.nodes[0].peer.skew_estimate().unwrap()));
    assert!((-1..=1).contains(&net.nodes[1].peer.skew_estimate().unwrap()));
}
