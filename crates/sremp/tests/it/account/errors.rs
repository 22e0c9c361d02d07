//! What each ERROR of a peer does, and which ones an account sends.

use super::desk::{Desk, LINK, only_sealed};
use super::pair::errors;
use std::time::Duration;
use waypost_sremp::{
    ErrorCode, Message,
    account::{Input, Standing},
    content::{Content, Text},
    message::DirectMessage,
};

/// A letter on its way, and the message it is in.
fn on_its_way() -> (Desk, waypost_core::LetterId, DirectMessage) {
    let mut desk = Desk::acquainted(Standing::Contact);
    let letter = desk.me.write(desk.peer.id(), "hello");
    let sent = only_sealed(&desk.me.take_sent());
    (desk, letter, sent)
}

fn asks_for_prekeys(messages: &[Message]) -> bool {
    messages.iter().any(|message| matches!(message, Message::FetchPrekeys(_)))
}

/// Answers FETCH_PREKEYS as the peer.
fn give_prekeys(desk: &mut Desk) -> Vec<Message> {
    let now = desk.wall();
    let mut prekeys = desk.peer.prekeys(true, now);
    prekeys.identity = None;
    desk.say(prekeys)
}

/// SR-5i: 40 to 43, and an identity too old: a new session, at most one an hour, and the letter goes again on it.
#[test]
fn messages_a_peer_cannot_read_go_again_on_a_new_session_once_an_hour() {
    use ErrorCode as C;
    for code in [C::NoSession, C::Decrypt, C::SkipLimit, C::PrekeyUnknown, C::IdStale] {
        let (mut desk, letter, first) = on_its_way();
        let asked = desk.complain(first.message_id, code);
        assert!(asks_for_prekeys(&asked), "{code}");
        assert_eq!(desk.complain(first.message_id, code), [], "{code}: asked already");
        let again = only_sealed(&give_prekeys(&mut desk));
        assert_ne!(again.message_id, first.message_id);
        let Some(Content::Text(text)) = desk.read(&again.clone().into()) else { panic!() };
        assert_eq!((text.id, text.letter), (first.message_id, Some(letter)), "{code}");
        // Within the hour nothing more happens, after it once more.
        assert_eq!(desk.complain(again.message_id, code), [], "{code}");
        assert_eq!(desk.complain(first.message_id, code), [], "{code}: what was sealed again since");
        desk.me.wait(Duration::from_secs(3600));
        desk.me.take_sent();
        assert!(asks_for_prekeys(&desk.complain(again.message_id, code)), "{code}");
        let confirmation = desk.confirmation(first.message_id);
        desk.say(confirmation);
        assert_eq!(desk.me.delivered(), [letter]);
    }
}

/// Empty contents are no letters, and yet nothing comes through on a session the peer does not have.
#[test]
fn an_unreadable_answer_leads_to_a_new_session_too() {
    let mut desk = Desk::acquainted(Standing::Contact);
    assert!(asks_for_prekeys(&desk.complain(4711, ErrorCode::NoSession)));
    let sent = give_prekeys(&mut desk);
    assert_eq!(desk.read(&only_sealed(&sent).into()), Some(Content::Null));
}

/// What was lost with a connection was no new session.
#[test]
fn a_restart_that_a_connection_took_with_it_does_not_count() {
    let (mut desk, _, first) = on_its_way();
    assert!(asks_for_prekeys(&desk.complain(first.message_id, ErrorCode::NoSession)));
    desk.connect();
    assert_eq!(only_sealed(&desk.me.take_sent()), first);
    assert!(asks_for_prekeys(&desk.complain(first.message_id, ErrorCode::NoSession)));
    only_sealed(&give_prekeys(&mut desk));
}

#[test]
fn refused_prekeys_are_asked_for_again_after_a_minute() {
    let (mut desk, _, first) = on_its_way();
    desk.complain(first.message_id, ErrorCode::Decrypt);
    let refusal = waypost_sremp::message::ErrorMessage::new(ErrorCode::Rate)
        .answering(&waypost_sremp::message::FetchPrekeys { target: desk.peer.id() }.into());
    assert_eq!(desk.say(refusal), []);
    desk.me.wait(Duration::from_secs(59));
    assert!(!asks_for_prekeys(&desk.me.take_sent()));
    desk.me.wait(Duration::from_secs(1));
    assert!(asks_for_prekeys(&desk.me.take_sent()));
}

/// 44 never restarts: the one letter is sealed again, once.
#[test]
fn a_replay_never_leads_to_a_new_session() {
    let (mut desk, letter, first) = on_its_way();
    let again = only_sealed(&desk.complain(first.message_id, ErrorCode::Replay));
    let Some(Content::Text(text)) = desk.read(&again.clone().into()) else { panic!() };
    assert_eq!((text.id, text.letter), (first.message_id, Some(letter)));
    for id in [first.message_id, again.message_id, 4711] {
        assert_eq!(desk.complain(id, ErrorCode::Replay), []);
    }
    desk.me.wait(Duration::from_secs(3600));
    assert!(!asks_for_prekeys(&desk.me.take_sent()));
}

#[test]
fn what_a_peer_will_never_take_is_given_up_with_a_reason() {
    use ErrorCode as C;
    let cases = [
        (C::Malformed, "software"),
        (C::Limit, "software"),
        (C::Unsupported, "software"),
        (C::TooLarge, "software"),
        (C::Rejected, "letters from you"),
        (C::Forbidden, "letters from you"),
    ];
    for (code, words) in cases {
        let (mut desk, letter, first) = on_its_way();
        assert_eq!(desk.complain(first.message_id, code), []);
        let given_up = desk.me.undeliverable();
        let [(id, reason)] = given_up[..] else { panic!("{code}: {given_up:?}") };
        assert!(id == letter && reason.contains(words), "{code}: {reason}");
        desk.me.wait(Duration::from_secs(300));
        assert_eq!(desk.me.take_sent(), []);
    }
}

/// RATE and the like pass; security errors are no reason to drop a letter.
#[test]
fn errors_that_pass_leave_the_letter_to_be_repeated() {
    use ErrorCode as C;
    for code in [C::Rate, C::Quota, C::Internal, C::IdFork, C::Auth] {
        let (mut desk, letter, first) = on_its_way();
        assert_eq!(desk.complain(first.message_id, code), []);
        desk.me.wait(Duration::from_secs(70));
        assert_eq!(only_sealed(&desk.me.take_sent()), first, "{code}");
        let confirmation = desk.confirmation(first.message_id);
        desk.say(confirmation);
        assert_eq!(desk.me.delivered(), [letter]);
    }
}

#[test]
fn errors_about_nothing_are_ignored() {
    let (mut desk, letter, first) = on_its_way();
    let without_id = waypost_sremp::message::ErrorMessage::new(ErrorCode::NoSession);
    assert_eq!(desk.say(without_id), []);
    let mut of_the_future = waypost_sremp::message::ErrorMessage::new(ErrorCode::Rate);
    (of_the_future.code, of_the_future.message_id) = (4000, Some(first.message_id));
    assert_eq!(desk.say(of_the_future), []);
    assert_eq!(desk.complain(4711, ErrorCode::TooLarge), []);
    assert!(desk.me.account.waits_for(&desk.me.records, &desk.peer.id()).unwrap());
    assert!(desk.me.undeliverable().is_empty() && !desk.me.delivered().contains(&letter));
}

/// A peer that does not trust us ends the connection over a letter that is too long for it.
#[test]
fn a_letter_over_which_a_connection_ended_is_not_tried_for_ever() {
    let (mut desk, short, _) = on_its_way();
    let long = desk.me.write(desk.peer.id(), &"x".repeat(70_000));
    desk.me.take_sent();
    desk.me.give(Input::LinkRefused { link: LINK, code: ErrorCode::Limit });
    let given_up = desk.me.undeliverable();
    let [(id, reason)] = given_up[..] else { panic!("{given_up:?}") };
    assert!(id == long && reason.contains("too long"), "{reason}");
    desk.connect();
    let again = only_sealed(&desk.me.take_sent());
    let confirmation = desk.confirmation(again.message_id);
    desk.say(confirmation);
    assert_eq!(desk.me.delivered(), [short]);
    // Any other end says nothing about letters.
    let waits = desk.me.write(desk.peer.id(), &"x".repeat(70_000));
    desk.me.take_sent();
    desk.me.give(Input::LinkRefused { link: LINK, code: ErrorCode::Timeout });
    desk.connect();
    only_sealed(&desk.me.take_sent());
    assert!(!desk.me.undeliverable().iter().any(|(id, _)| *id == waits));
}

/// In DIRECT_MESSAGE every error of the blob is answered with its message id, and the connection goes on.
#[test]
fn what_an_account_cannot_read_is_answered_and_changes_nothing() {
    let mut desk = Desk::acquainted(Standing::Contact);
    let good = desk.seal(&text("good").encode().unwrap());
    let mut flipped = good.clone();
    *flipped.encrypted_blob.0.last_mut().unwrap() ^= 1;
    let cases: [(Vec<u8>, ErrorCode); 4] = [
        (flipped.encrypted_blob.0, ErrorCode::Decrypt),
        (vec![2; 20], ErrorCode::Malformed),
        (vec![2; 400], ErrorCode::NoSession),
        ([vec![1, 1], vec![9; 1100]].concat(), ErrorCode::PrekeyUnknown),
    ];
    for (blob, code) in cases {
        let answer = desk.say(DirectMessage { message_id: good.message_id, encrypted_blob: blob.into() });
        let [error] = &errors(&answer)[..] else { panic!("{answer:?}") };
        assert_eq!((error.code, error.fatal, error.message_id), (code.value(), false, Some(good.message_id)));
        assert_eq!(error.request.as_deref(), Some("DIRECT_MESSAGE"));
    }
    assert_eq!(desk.me.received(), 0);
    assert!(matches!(&desk.say(good)[..], [Message::DeliveryConfirmation(_)]));
    assert_eq!(desk.me.texts(), ["good"]);
}

fn text(words: &str) -> Content {
    Content::Text(Text { id: 1, sent: super::side::at(0).wall, text: words.into(), reply_to: None, letter: None })
}

/// Garbage of a peer makes us ask for nothing: whoever cannot read does not restart, the sender does.
#[test]
fn a_hundred_garbage_messages_start_no_session() {
    let mut desk = Desk::acquainted(Standing::Contact);
    for number in 1000..1100 {
        let answer = desk.say(DirectMessage { message_id: number, encrypted_blob: vec![2; 400].into() });
        assert!(matches!(&answer[..], [Message::Error(_)]));
    }
    // And a hundred complaints one.
    let asked = (0..100).filter(|number| asks_for_prekeys(&desk.complain(*number, ErrorCode::Decrypt))).count();
    assert_eq!(asked, 1);
}
