//! What is kept over a restart: keys with their locks and pins, tokens that were seen.

use crate::net::{Net, Node, forge, people};
use waypost_proofpeer::{Drop, Settings};

/// PP-9.2b, PP-X1
#[test]
fn keys_come_back_with_lock_pin_and_capabilities() {
    let mut net = Net::new(1, people(2));
    net.meet();
    let id = net.id(1);
    net.nodes[0].peer.book_mut().set_pinned(&id, true);
    let stored = net.nodes[0].peer.book().store(&id).unwrap();
    let mut peer = net.nodes[0].again(5, Settings::default());
    let now = net.now(0);
    assert_eq!(peer.book_mut().restore(now.mono, &stored), Ok(id));
    assert_eq!(peer.book().store(&id), Some(stored.clone()));
    let known = peer.book().get(&id).unwrap();
    assert!(known.is_locked() && known.is_pinned() && known.caps() == ["d1", "a1"]);
    let mut broken = stored;
    broken.spki.pop();
    assert_eq!(peer.book_mut().restore(now.mono, &broken), Err(Drop::BadKey));
    // A stored key is enough to write to.
    net.restart(0, peer);
    net.run(100);
    net.send(0, 1, 1, b"you do not see me", true);
    net.run(1000);
    assert_eq!(net.nodes[1].texts(), ["you do not see me"]);
    // And its lock holds.
    let stripped = forge::signed(net.nodes[1].peer.identity(), net.secs(), "1", None);
    let own = net.nodes[0].peer.inbox().to_string();
    assert_eq!(net.inject(0, &own, &stripped).dropped, Some("downgrade"));
}

/// PP-X7
#[test]
fn a_token_that_was_seen_before_the_restart_is_a_duplicate_after_it() {
    for saved in [true, false] {
        let mut net = Net::new(1, people(2));
        net.meet();
        net.broadcast(1, "lobby", "once").unwrap();
        let message = net.log.last().unwrap().clone();
        net.run(100);
        let seen = net.nodes[0].peer.seen_tokens(net.now(0));
        let peer = net.nodes[0].again(5, Settings::default());
        net.restart(0, peer);
        net.join(0, "lobby", None);
        net.run(30_000);
        if saved {
            let now = net.now(0);
            net.nodes[0].peer.restore_seen_tokens(now, seen);
        }
        let outcome = net.inject(0, &message.topic, &message.payload);
        assert_eq!(outcome.dropped, saved.then_some("duplicate"));
    }
}

#[test]
fn restored_tokens_are_forgotten_in_time() {
    let mut net = Net::new(1, people(2));
    net.meet();
    let now = net.now(0);
    let seen = net.nodes[0].peer.seen_tokens(now);
    assert!(!seen.is_empty());
    let mut peer = net.nodes[0].again(5, Settings::default());
    peer.restore_seen_tokens(now, seen.clone());
    assert_eq!(peer.seen_tokens(now).len(), seen.len());
    net.millis += 125_000;
    assert!(peer.seen_tokens(net.now(0)).is_empty());
    let mut late = Node::new(9, Settings::default()).peer;
    late.restore_seen_tokens(net.now(0), seen);
    assert!(late.seen_tokens(net.now(0)).is_empty());
}
