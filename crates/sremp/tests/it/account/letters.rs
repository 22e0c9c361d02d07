//! Letters on their way: kept, repeated, confirmed.

use super::desk::{Desk, LINK, confirmation, only_sealed};
use super::pair::{HIGH, LOW, Pair};
use std::time::Duration;
use waypost_core::Body;
use waypost_sremp::{
    Message,
    account::{Event, Input, Standing},
    content::Content,
    ed25519::SigningKey,
};

#[test]
fn a_letter_is_sealed_once_and_the_same_bytes_go_until_they_are_confirmed() {
    let mut desk = Desk::acquainted(Standing::Contact);
    let peer = desk.peer.id();
    let letter = desk.me.write(peer, "once");
    let first = only_sealed(&desk.me.take_sent());
    let unconfirmed = |desk: &Desk| {
        let late = |event: &&Event| matches!(event, Event::Unconfirmed { letter: id, .. } if *id == letter);
        desk.me.events.iter().filter(late).count()
    };
    desk.me.wait(Duration::from_millis(9_999));
    assert_eq!(unconfirmed(&desk), 0);
    desk.me.wait(Duration::from_millis(1));
    assert_eq!((unconfirmed(&desk), desk.me.take_sent()), (1, vec![]), "the router first");
    for (seconds, step) in [(60, "after a minute"), (120, "then more rarely")] {
        desk.me.wait(Duration::from_secs(seconds - 1));
        assert_eq!(desk.me.take_sent(), [], "{step}");
        desk.me.wait(Duration::from_secs(1));
        assert_eq!(only_sealed(&desk.me.take_sent()), first, "{step}");
    }
    assert_eq!(unconfirmed(&desk), 1, "once");
    desk.connect();
    assert_eq!(only_sealed(&desk.me.take_sent()), first, "by another connection");
    desk.me.crash();
    assert_eq!(desk.me.account.recipients(&desk.me.records).unwrap(), [peer]);
    assert!(desk.me.account.waits_for(&desk.me.records, &peer).unwrap());
    desk.connect();
    assert_eq!(only_sealed(&desk.me.take_sent()), first, "after a crash");
    let confirmation = desk.confirmation(first.message_id);
    desk.say(confirmation);
    assert_eq!(desk.me.delivered(), [letter]);
    assert!(desk.me.account.recipients(&desk.me.records).unwrap().is_empty());
    desk.connect();
    assert_eq!(desk.me.take_sent(), []);
}

/// SR-5c: commit before the network.
#[test]
fn nothing_leaves_before_it_is_on_disk() {
    let mut pair = Pair::acquainted(20);
    pair.sides[LOW].saves = false;
    pair.write(LOW, "first");
    pair.write(LOW, "second");
    assert_eq!(pair.sides[LOW].sent, []);
    pair.sides[LOW].save();
    assert_eq!(pair.sides[LOW].sent.len(), 2);
    pair.sides[LOW].saves = true;
    pair.sides[HIGH].saves = false;
    pair.run();
    assert_eq!(pair.sides[HIGH].received(), 2);
    assert_eq!(pair.count(HIGH, "DELIVERY_CONFIRMATION"), 0, "not confirmed before it is on disk");
    assert_eq!(pair.sides[LOW].delivered(), []);
    pair.sides[HIGH].save();
    pair.run();
    assert_eq!(pair.sides[LOW].delivered().len(), 2);
}

#[test]
fn a_letter_whose_recipient_crashed_before_keeping_it_comes_again() {
    let mut pair = Pair::acquainted(21);
    let letter = pair.write(LOW, "again");
    pair.sides[HIGH].saves = false;
    pair.run();
    pair.crash(HIGH);
    pair.sides[HIGH].saves = true;
    assert!(pair.sides[HIGH].inbox.is_empty());
    pair.connect(HIGH);
    pair.run();
    assert_eq!(pair.sides[HIGH].texts(), ["again"]);
    assert_eq!(pair.sides[LOW].delivered(), [letter]);
}

/// SR-5i: a repeat is confirmed again by the way it came and not decrypted.
#[test]
fn a_repeated_message_is_confirmed_again_and_not_opened() {
    let mut desk = Desk::acquainted(Standing::Contact);
    let message = desk.seal(&[0x81, 0xa2, b'H', b'I', 0x80]);
    let first = desk.say(message.clone());
    let mut other = message.clone();
    other.encrypted_blob.0.fill(0);
    for repeat in [message, other] {
        desk.me.wait(Duration::from_secs(1));
        let again = desk.say(repeat);
        let [Message::DeliveryConfirmation(one)] = &first[..] else { panic!("{first:?}") };
        let [Message::DeliveryConfirmation(two)] = &again[..] else { panic!("{again:?}") };
        assert_eq!((one.message_id, one.delivered_to, one.sender), (two.message_id, two.delivered_to, two.sender));
    }
    assert_eq!(desk.me.received(), 1);
}

/// SR-9.2b: a confirmation counts only with the recipient's signature over a message of ours.
#[test]
fn confirmations_of_anybody_else_are_ignored() {
    let mut desk = Desk::acquainted(Standing::Contact);
    let peer = desk.peer.id();
    let letter = desk.me.write(peer, "mine");
    let id = only_sealed(&desk.me.take_sent()).message_id;
    let good = desk.confirmation(id);
    let now = desk.wall();
    let stranger = SigningKey::from_bytes(&[5; 32]);
    let mut forged = confirmation(&stranger, desk.me.id(), id, now);
    forged.delivered_to = peer;
    let mut late = good.clone();
    late.timestamp = now.after(Duration::from_secs(1));
    let mut for_another = good.clone();
    for_another.sender = Some(stranger.public());
    let about_another = confirmation(&desk.peer.signing, stranger.public(), id, now);
    let bad = [
        forged,
        confirmation(&stranger, desk.me.id(), id, now),
        late,
        for_another,
        about_another,
        desk.confirmation(id ^ 1),
    ];
    for bad in bad {
        assert_eq!(desk.say(bad), []);
    }
    assert_eq!(desk.me.delivered(), []);
    let mut without_sender = good;
    without_sender.sender = None;
    desk.say(without_sender);
    assert_eq!(desk.me.delivered(), [letter]);
}

/// Far more letters than may wait for their confirmation, resealed in between: the window never leaks.
#[test]
fn the_window_is_as_wide_after_losses_as_before() {
    let mut desk = Desk::acquainted(Standing::Contact);
    let peer = desk.peer.id();
    let most = waypost_sremp::account::AccountLimits::default().window;
    for _ in 0..most + 50 {
        desk.me.write(peer, &"x".repeat(12_000));
    }
    let sent = desk.me.take_sent();
    assert!(sent.len() < most, "by bytes: {}", sent.len());
    // The peer says of one in the middle that it was read before: it is sealed again, the others are not repeated.
    let Message::DirectMessage(middle) = &sent[20] else { panic!() };
    let again = desk.complain(middle.message_id, waypost_sremp::ErrorCode::Replay);
    only_sealed(&again);
    let mut open: std::collections::VecDeque<Message> = sent.into();
    open.extend(again);
    let mut seen = open.len();
    while let Some(message) = open.pop_front() {
        let Message::DirectMessage(message) = message else { continue };
        let confirmation = desk.confirmation(message.message_id);
        let next = desk.say(confirmation);
        seen += next.len();
        open.extend(next);
    }
    assert_eq!(desk.me.delivered().len(), most + 50);
    assert_eq!(seen, most + 50 + 1, "each once, and the one that was sealed again");
    let fits = |desk: &mut Desk| {
        for _ in 0..300 {
            desk.me.write(peer, "small");
        }
        desk.me.take_sent().len()
    };
    assert_eq!(fits(&mut desk), most, "nothing is counted any more");
}

#[test]
fn letters_that_were_withdrawn_are_sent_no_more_and_leave_room() {
    let mut desk = Desk::acquainted(Standing::Contact);
    let peer = desk.peer.id();
    for _ in 0..300 {
        desk.me.write(peer, "never mind");
    }
    desk.me.take_sent();
    desk.me.give(Input::Withdraw(peer));
    assert!(!desk.me.account.waits_for(&desk.me.records, &peer).unwrap());
    desk.me.wait(Duration::from_secs(300));
    assert_eq!(desk.me.take_sent(), []);
    desk.me.write(peer, "but this");
    only_sealed(&desk.me.take_sent());
}

#[test]
fn letters_too_long_for_anybody_are_not_taken() {
    let mut desk = Desk::acquainted(Standing::Contact);
    let letter = waypost_core::Letter {
        id: waypost_core::LetterId::from_bytes([1; 16]),
        sent: desk.wall(),
        body: Body::Text { text: "x".repeat(950_000) },
    };
    let peer = desk.peer.id();
    let input = Input::Queue { peer, letter, token: None };
    let side = &mut desk.me;
    assert!(side.account.handle(side.now, &mut side.rng, &side.records, input).is_err());
    assert!(!desk.me.account.waits_for(&desk.me.records, &peer).unwrap());
}

/// SR-5c: a restored backup drops all sessions; what waited arrives once all the same.
#[test]
fn after_a_restored_backup_what_waited_arrives_once_on_new_sessions() {
    for restored in [LOW, HIGH] {
        let mut pair = Pair::acquainted(22);
        // Delivered, but the confirmation is lost: the backup does not know.
        let mut known = vec![pair.write(restored, "delivered before")];
        pair.collect();
        let (to, link, message) = pair.wire.pop_front().unwrap();
        pair.deliver(to, link, message);
        pair.cut();
        pair.wait(Duration::from_millis(1));
        known.push(pair.write(restored, "waited"));
        let answer = pair.write(1 - restored, "an answer that waited");
        pair.sides[restored].restore();
        pair.connect(LOW);
        pair.wait(Duration::from_secs(90));
        assert_eq!(pair.sides[1 - restored].texts(), ["delivered before", "waited"]);
        assert_eq!(pair.sides[restored].texts(), ["an answer that waited"]);
        assert_eq!(pair.sides[restored].delivered(), known);
        assert_eq!(pair.sides[1 - restored].delivered(), [answer]);
    }
}

/// SR-3.1.5b: the own identity goes to peers inside the session.
#[test]
fn a_new_identity_is_told_and_one_that_waited_is_the_newest() {
    let mut pair = Pair::acquainted(23);
    let peer = pair.sides[HIGH].id();
    for name in ["Ada II", "Ada III"] {
        pair.cut();
        pair.sides[LOW].rename(name);
        pair.sides[LOW].give(Input::Announce(peer));
    }
    pair.connect(LOW);
    pair.run();
    let low = pair.sides[LOW].id();
    let row = waypost_sremp::trust::book::row(&pair.sides[HIGH].records, &low).unwrap().unwrap();
    assert_eq!((row.identity.username(), row.identity.version()), ("Ada III", 3));
    assert!(!pair.sides[LOW].account.waits_for(&pair.sides[LOW].records, &peer).unwrap());
    let stale =
        |event: &Event| matches!(event, Event::Identity { notice: waypost_sremp::account::IdentityNotice::Stale, .. });
    assert!(!pair.sides[HIGH].events.iter().any(stale));
    assert_eq!(pair.sides[HIGH].received(), 0);
}

#[test]
fn an_identity_in_a_session_counts_for_its_owner_only() {
    let mut desk = Desk::acquainted(Standing::Contact);
    let another = super::side::Side::new("Mallory", 77, false).identity;
    let mut newer = waypost_sremp::IdentityDraft::next(&desk.peer.identity, desk.wall()).unwrap();
    newer.username = "Older".into();
    let newer = newer.sign(&desk.peer.signing).unwrap();
    let older = desk.peer.identity.clone();
    for identity in [&another, &newer, &older] {
        let answer = desk.hear(&Content::Identity(identity.signed().clone()));
        assert!(matches!(&answer[..], [Message::DeliveryConfirmation(_)]), "{answer:?}");
    }
    let row = |id| waypost_sremp::trust::book::row(&desk.me.records, &id).unwrap();
    assert_eq!(row(another.key()), None);
    assert_eq!(row(newer.key()).unwrap().identity.version(), 2);
    let changed = waypost_sremp::account::IdentityNotice::Changed { keys: false };
    assert_eq!(desk.me.events, [Event::Identity { peer: newer.key(), notice: changed }]);
    assert_eq!(desk.me.account.peer_of(LINK), Some(newer.key()));
}
