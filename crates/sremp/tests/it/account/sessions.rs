//! Setting up sessions, and which of several connections and sessions counts.

use super::desk::{Desk, LINK, only_sealed};
use super::pair::{HIGH, LOW, Pair, errors};
use super::side::Side;
use std::time::Duration;
use waypost_core::ContactId;
use waypost_sremp::{
    ErrorCode, Message,
    account::{Event, Input, Standing},
    content::Content,
    message::{DirectMessage, FetchPrekeys},
};

const SECOND: Duration = Duration::from_secs(1);

fn said(who: usize, what: &str) -> (usize, String) {
    (who, what.to_owned())
}

/// SR-5e SR-5f: one round trip after the identities, and both can send; NULL when nothing waits.
#[test]
fn the_side_with_the_lower_key_sets_up_the_session_at_once() {
    for dialler in [LOW, HIGH] {
        let mut pair = Pair::new(1);
        pair.connect(dialler);
        pair.run();
        let first = [
            said(LOW, "FETCH_PREKEYS"),
            said(HIGH, "PREKEYS"),
            said(LOW, "DIRECT_MESSAGE"),
            said(HIGH, "DELIVERY_CONFIRMATION"),
        ];
        assert_eq!(pair.story(), first);
        // The answer ends the long form.
        pair.wait(5 * SECOND);
        assert_eq!(pair.story(), [said(HIGH, "DIRECT_MESSAGE"), said(LOW, "DELIVERY_CONFIRMATION")]);
        assert!(pair.sides.iter().all(|side| side.received() == 0), "nothing of it is shown");
        let letters = [pair.write(HIGH, "from the higher"), pair.write(LOW, "from the lower")];
        pair.run();
        assert_eq!(pair.sides[HIGH].delivered(), letters[..1]);
        assert_eq!(pair.sides[LOW].delivered(), letters[1..]);
        assert_eq!(pair.count(LOW, "FETCH_PREKEYS") + pair.count(HIGH, "FETCH_PREKEYS"), 0);
    }
}

/// SR-5f: the first thing that waits starts the session.
#[test]
fn letters_that_wait_start_the_session_themselves() {
    let mut pair = Pair::new(2);
    let low = pair.write(LOW, "one");
    let high = pair.write(HIGH, "two");
    assert!(pair.sides[LOW].events.iter().any(|event| matches!(event, Event::NeedLink(_))));
    pair.connect(HIGH);
    pair.run();
    assert_eq!(pair.count(LOW, "DIRECT_MESSAGE"), 1, "no NULL beside the letter");
    assert_eq!((pair.sides[LOW].delivered(), pair.sides[HIGH].delivered()), (vec![low], vec![high]));
}

#[test]
fn the_side_with_the_higher_key_waits_three_seconds_and_then_asks_itself() {
    let mut desk = Desk::new(Standing::Contact);
    desk.me.wait(Duration::from_millis(2999));
    assert_eq!(desk.me.take_sent(), []);
    desk.me.wait(Duration::from_millis(1));
    let target = desk.peer.id();
    let fetch = [Message::FetchPrekeys(FetchPrekeys { target })];
    assert_eq!(desk.me.take_sent(), fetch);
    // Silence: given up after ten seconds, asked again after a minute more.
    desk.me.wait(69 * SECOND);
    assert_eq!(desk.me.take_sent(), []);
    desk.me.wait(SECOND);
    assert_eq!(desk.me.take_sent(), fetch);
    let now = desk.wall();
    let mut prekeys = desk.peer.prekeys(true, now);
    prekeys.identity = None;
    let sent = desk.say(prekeys.clone());
    assert_eq!(desk.read(&only_sealed(&sent).into()), Some(Content::Null));
    assert_eq!(desk.say(prekeys), [], "prekeys nobody asked for start nothing");
}

#[test]
fn sessions_survive_reconnects_and_restarts() {
    let mut pair = Pair::acquainted(3);
    for round in 0..3 {
        pair.cut();
        pair.sides[round % 2].crash();
        pair.connect(round % 2);
        pair.wait(10 * SECOND);
        pair.write(round % 2, "again");
        pair.run();
    }
    let kinds: std::collections::BTreeSet<_> = pair.story().into_iter().map(|(_, what)| what).collect();
    assert_eq!(kinds.into_iter().collect::<Vec<_>>(), ["DELIVERY_CONFIRMATION", "DIRECT_MESSAGE"]);
}

/// Profile, Relay: what a listener without a relay answers.
#[test]
fn prekeys_are_given_for_the_own_key_only_and_relay_messages_are_not_known() {
    let mut desk = Desk::new(Standing::Stranger);
    let answer = desk.say(FetchPrekeys { target: ContactId::from_bytes([3; 32]) });
    let [error] = &errors(&answer)[..] else { panic!("{answer:?}") };
    assert_eq!((error.code, error.fatal, error.request.as_deref()), (33, false, Some("FETCH_PREKEYS")));
    let discard = waypost_sremp::message::DiscardMessage { sender: desk.peer.id(), message_id: 5 };
    assert_eq!(desk.say(waypost_sremp::message::Pong { nonce: 5 }), [], "an answer is not answered");
    let unknown = Message::Unknown { name: "PARTY".into() };
    for (message, name) in [(Message::from(discard), "DISCARD_MESSAGE"), (unknown, "PARTY")] {
        let answer = desk.say(message);
        let [error] = &errors(&answer)[..] else { panic!("{answer:?}") };
        assert_eq!((error.code, error.fatal, error.request.as_deref()), (6, false, Some(name)));
    }
}

#[test]
fn a_peer_is_given_five_one_time_keys_an_hour_and_then_the_last_resort() {
    let mut desk = Desk::new(Standing::Contact);
    let given: Vec<_> = (0..7).map(|_| desk.fetch()).collect();
    assert_eq!(given.iter().filter(|prekeys| prekeys.one_time.is_some()).count(), 5);
    assert!(given[5..].iter().all(|prekeys| prekeys.one_time.is_none()));
    let ids: std::collections::BTreeSet<_> = given[..5].iter().map(|p| p.one_time.clone().unwrap().item.0).collect();
    assert_eq!(ids.len(), 5, "each is given once");
    desk.me.wait(Duration::from_secs(3600));
    desk.me.take_sent();
    assert!(desk.fetch().one_time.is_some());
}

/// SR-3.2b: new sessions by a peer, ten an hour; stored blobs wait.
#[test]
fn a_peer_starts_ten_sessions_an_hour_and_what_waited_comes_later() {
    let mut desk = Desk::new(Standing::Contact);
    for _ in 0..10 {
        desk.start();
        assert_eq!(errors(&desk.hear(&Content::Null)), Vec::<&_>::new());
    }
    desk.start();
    let eleventh = desk.seal(&Content::Null.encode().unwrap());
    let answer = desk.say(eleventh.clone());
    let [error] = &errors(&answer)[..] else { panic!("{answer:?}") };
    assert_eq!((error.code, error.fatal), (23, false));
    desk.me.wait(Duration::from_secs(3600));
    desk.me.take_sent();
    let later = desk.say(eleventh);
    assert!(matches!(&later[..], [Message::DeliveryConfirmation(_)]), "{later:?}");
}

#[test]
fn a_long_letter_waits_for_the_first_answer() {
    let mut pair = Pair::new(4);
    let long = pair.write(LOW, &"long ".repeat(10_000));
    pair.connect(LOW);
    pair.run();
    assert_eq!(pair.sides[LOW].delivered(), []);
    pair.wait(2 * SECOND);
    assert_eq!(pair.sides[LOW].delivered(), [long]);
}

/// The question for the answer was lost with the connection.
#[test]
fn a_long_letter_does_not_wait_for_an_answer_to_what_was_lost() {
    for crashed in [LOW, HIGH] {
        let mut pair = Pair::new(5);
        let long = pair.write(LOW, &"long ".repeat(10_000));
        pair.connect(LOW);
        while pair.count(HIGH, "PREKEYS") == 0 {
            pair.collect();
            let (to, link, message) = pair.wire.pop_front().unwrap();
            pair.deliver(to, link, message);
        }
        pair.crash(crashed);
        pair.connect(HIGH);
        pair.wait(2 * SECOND);
        assert_eq!(pair.sides[LOW].delivered(), [long]);
    }
}

/// Signed by its owner and still of no use.
#[test]
fn prekeys_that_are_refused_leave_the_account_as_it_was() {
    let mut desk = Desk::new(Standing::Contact);
    desk.me.wait(3 * SECOND);
    let now = desk.wall();
    let mut good = desk.peer.prekeys(true, now);
    good.identity = None;
    let letter = desk.me.write(desk.peer.id(), "waits");
    let mut of_another = good.clone();
    of_another.target = ContactId::from_bytes([4; 32]);
    let mut bad_signature = good.clone();
    bad_signature.bundle.bundle.0[40] ^= 1;
    let mut bad_point = good.clone();
    let spk = spk_at(&bad_point.bundle.bundle.0);
    bad_point.bundle.bundle.0[spk..spk + 32].fill(0);
    let content = [b"SREMP/1 prekeys\0".as_slice(), &bad_point.bundle.bundle.0].concat();
    bad_point.bundle.signature = desk.peer.signing.sign(&content);
    for (prekeys, code) in
        [(of_another, ErrorCode::Auth), (bad_signature, ErrorCode::Auth), (bad_point, ErrorCode::Decrypt)]
    {
        desk.connect();
        desk.me.wait(3 * SECOND);
        desk.me.take_sent();
        let answer = desk.say(prekeys);
        assert_eq!(errors(&answer).iter().map(|error| error.code).collect::<Vec<_>>(), [code.value()]);
        assert!(!answer.iter().any(|message| matches!(message, Message::DirectMessage(_))));
    }
    desk.connect();
    desk.me.wait(3 * SECOND);
    desk.me.take_sent();
    let sent = desk.say(good);
    let Some(Content::Text(text)) = desk.read(&only_sealed(&sent).into()) else { panic!("{sent:?}") };
    assert_eq!((text.text.as_str(), text.letter), ("waits", Some(letter)));
}

/// Where the signed prekey lies in an encoded bundle: behind its name.
fn spk_at(bundle: &[u8]) -> usize {
    let name = b"\xa3spk\xc4\x20";
    bundle.windows(name.len()).position(|window| window == name).unwrap() + name.len()
}

/// SR-5h: both started at once.
#[test]
fn two_who_start_at_once_lose_nothing_and_end_on_one_session() {
    let mut pair = Pair::new(6);
    pair.connect(LOW);
    pair.sides[LOW].take_sent();
    // The lower one's question is lost: both ask after a while, and each starts a session.
    for side in &mut pair.sides {
        side.wait(Duration::from_secs(70));
    }
    let (a, b) = (pair.write(LOW, "a"), pair.write(HIGH, "b"));
    pair.run();
    assert_eq!((pair.count(LOW, "FETCH_PREKEYS"), pair.count(HIGH, "FETCH_PREKEYS")), (1, 1));
    assert_eq!((pair.sides[LOW].delivered(), pair.sides[HIGH].delivered()), (vec![a], vec![b]));
    pair.wait(5 * SECOND);
    pair.story();
    for from in [LOW, HIGH, LOW, HIGH] {
        pair.write(from, "more");
        pair.run();
    }
    assert_eq!(pair.story().len(), 8, "a message and a confirmation each");
}

/// SR-6f: of two connections within ten seconds the one that the lower key opened stays.
#[test]
fn of_two_connections_made_at_once_one_stays_and_nothing_is_lost() {
    for first in [LOW, HIGH] {
        let mut pair = Pair::acquainted(7);
        pair.cut();
        let one = pair.connect(first);
        let letter = pair.write(HIGH, "sent by the first");
        pair.sides[HIGH].take_sent();
        let two = pair.open(1 - first);
        let (stays, goes) = if first == LOW { (one, two) } else { (two, one) };
        for side in &mut pair.sides {
            let closed: Vec<_> = side.closed.drain(..).collect();
            let [(link, Some(error))] = &closed[..] else { panic!("{closed:?}") };
            assert_eq!((*link, error.known_code()), (goes, Some(ErrorCode::Duplicate)));
            side.give(Input::LinkDown(goes));
            assert_eq!(side.account.online().count(), 1);
            assert_eq!(side.account.link_of(&side.account.online().next().unwrap()), Some(stays));
        }
        // What was lost with the other goes again: by the new connection at once, else when it is late.
        pair.wait(Duration::from_secs(80));
        assert_eq!(pair.sides[HIGH].delivered(), [letter]);
    }
}

#[test]
fn a_connection_made_later_replaces_the_one_that_stands() {
    let mut pair = Pair::acquainted(8);
    pair.wait(Duration::from_secs(11));
    let old = pair.link.unwrap();
    let new = pair.open(HIGH);
    for side in &mut pair.sides {
        assert_eq!(side.closed.drain(..).map(|(link, _)| link).collect::<Vec<_>>(), [old]);
        side.give(Input::LinkDown(old));
        assert_eq!(side.account.peer_of(new), side.account.online().next());
    }
}

#[test]
fn prekeys_asked_for_on_a_replaced_connection_are_asked_for_again_at_once() {
    let mut pair = Pair::new(9);
    pair.connect(HIGH);
    for side in &mut pair.sides {
        side.take_sent();
    }
    pair.link = Some(pair.open(LOW));
    pair.run();
    assert_eq!(pair.count(LOW, "FETCH_PREKEYS"), 1);
    let letter = pair.write(LOW, "quick");
    pair.run();
    assert_eq!(pair.sides[LOW].delivered(), [letter]);
}

/// SR-5i: a new session of the peer shows that it could not read the old one.
#[test]
fn a_higher_session_of_the_peer_has_old_letters_sealed_again_once() {
    let mut desk = Desk::acquainted(Standing::Contact);
    let peer = desk.peer.id();
    let old = desk.me.write(peer, "old");
    let first = only_sealed(&desk.me.take_sent());
    desk.me.wait(Duration::from_secs(61));
    let young = desk.me.write(peer, "young");
    let second = only_sealed(&desk.me.take_sent());
    desk.start();
    let answer = desk.hear(&Content::Null);
    let again = only_sealed(&answer);
    assert_ne!(again.message_id, first.message_id);
    let Some(Content::Text(text)) = desk.read(&again.clone().into()) else { panic!() };
    assert_eq!((text.id, text.letter), (first.message_id, Some(old)), "the same TEXT.id");
    // Once: not for the next session, and the young one not at all.
    desk.me.wait(Duration::from_secs(30));
    desk.me.take_sent();
    desk.start();
    let answer = desk.hear(&Content::Null);
    assert!(!answer.iter().any(|message| matches!(message, Message::DirectMessage(_))), "{answer:?}");
    // Every id it ever had may be confirmed.
    let (first, second) = (desk.confirmation(first.message_id), desk.confirmation(second.message_id));
    desk.say(first);
    desk.say(second);
    assert_eq!(desk.me.delivered(), [old, young]);
}

/// The other side deletes the session: nothing is answered, and the next letter sets up a new one.
#[test]
fn end_deletes_the_session() {
    let mut desk = Desk::acquainted(Standing::Contact);
    let answer = desk.hear(&Content::End);
    assert!(matches!(&answer[..], [Message::DeliveryConfirmation(_)]), "{answer:?}");
    let peer = desk.peer.id();
    desk.me.write(peer, "after the end");
    assert_eq!(desk.me.take_sent(), [], "the other side's turn");
    desk.me.wait(3 * SECOND);
    assert!(matches!(&desk.me.take_sent()[..], [Message::FetchPrekeys(_)]));
    assert_eq!(desk.me.received(), 0);
}

#[test]
fn messages_of_a_connection_that_is_gone_do_nothing() {
    let mut desk = Desk::acquainted(Standing::Contact);
    let message = desk.seal(&Content::Null.encode().unwrap());
    desk.me.give(Input::LinkDown(LINK));
    assert_eq!(desk.say(message), []);
    assert_eq!(desk.say(DirectMessage { message_id: 1, encrypted_blob: vec![0; 400].into() }), []);
    assert_eq!(desk.me.account.online().count(), 0);
}

/// SR-1.2: content exists only inside sealed blobs, on direct connections too.
#[test]
fn what_an_account_sends_shows_no_content() {
    let mut pair = Pair::new(10);
    let words = "words that must not be seen";
    pair.write(LOW, words);
    pair.connect(LOW);
    let mut seen = 0;
    loop {
        pair.collect();
        let Some((to, link, message)) = pair.wire.pop_front() else { break };
        let bytes = message.encode();
        let has = |words: &[u8]| bytes.windows(words.len()).any(|window| window == words);
        assert!(!has(words.as_bytes()) && !has(b"LETTER") && !has(b"TEXT"));
        seen += 1;
        pair.deliver(to, link, message);
    }
    assert!(seen >= 4);
    assert_eq!(Side::texts(&pair.sides[HIGH]), [words]);
}
