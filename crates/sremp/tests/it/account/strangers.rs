//! Whom an account lets in, and what strangers may do.

use super::desk::{Desk, LINK};
use super::pair::{HIGH, LOW, Pair, errors};
use super::side::Side;
use waypost_core::{Body, InviteToken, Letter, LetterId, Wall};
use waypost_sremp::{
    ErrorCode, IdentityDraft, Message,
    account::{Event, IdentityNotice, Input, Standing},
    connection::Verdict,
    content::{Content, Text},
    trust::{Trust, TrustRow, VerifiedVia, book},
};

fn text(words: String) -> Content {
    Content::Text(Text { id: 1, sent: Wall::default(), text: words, reply_to: None, letter: None })
}

fn row(me: &Side, of: &Side) -> TrustRow {
    book::row(&me.records, &of.id()).unwrap().expect("a row")
}

/// SR-3.2b
#[test]
fn contacts_are_trusted_strangers_unknown_and_the_blocked_hear_nothing() {
    let (mut me, other) = (Side::new("Ada", 1, true), Side::new("Bob", 2, true));
    me.standing = Standing::Stranger;
    assert_eq!(me.judge(&other.identity), Verdict::Accept { known: false });
    assert_eq!(row(&me, &other).trust, Trust::Unknown);
    me.standing = Standing::Contact;
    assert_eq!(me.judge(&other.identity), Verdict::Accept { known: true });
    assert_eq!(row(&me, &other).trust, Trust::Trusted);
    me.standing = Standing::Blocked;
    assert_eq!(me.judge(&other.identity), Verdict::Silent);
    // The row alone is enough, whatever the standing.
    me.standing = Standing::Contact;
    me.give(Input::Trust { peer: other.id(), trust: Trust::Rejected, verified_via: None });
    assert_eq!(me.judge(&other.identity), Verdict::Silent);
    assert_eq!(row(&me, &other).trust, Trust::Rejected, "a contact that is rejected stays so");
}

/// SR-3.1.5c
#[test]
fn older_identities_and_twins_are_refused_and_the_person_is_told() {
    let (mut me, mut other) = (Side::new("Ada", 1, true), Side::new("Bob", 2, true));
    let first = other.identity.clone();
    me.judge(&first);
    other.rename("Robert");
    let twin = other.twin();
    me.judge(&other.identity.clone());
    assert_eq!(me.judge(&first), Verdict::Refuse(ErrorCode::IdStale));
    assert_eq!(me.judge(&twin), Verdict::Refuse(ErrorCode::IdFork));
    assert_eq!(me.judge(&other.identity.clone()), Verdict::Accept { known: true });
    let told: Vec<_> = me
        .events
        .iter()
        .map(|event| match event {
            Event::Identity { peer, notice } if *peer == other.id() => *notice,
            other => panic!("{other:?}"),
        })
        .collect();
    use IdentityNotice as N;
    assert_eq!(told, [N::New, N::Changed { keys: false }, N::Stale, N::Fork]);
    assert!(row(&me, &other).forked);
    let via = Some(VerifiedVia::Qr);
    me.give(Input::Trust { peer: other.id(), trust: Trust::Trusted, verified_via: via });
    let row = row(&me, &other);
    assert_eq!((row.forked, row.verified_via), (false, via), "verifying clears the warning");
}

/// SR-3.1a: the identity in a session may be newer than that of the connection.
#[test]
fn new_keys_that_a_session_shows_are_told() {
    let mut desk = Desk::new(Standing::Contact);
    let mut draft = IdentityDraft::next(&desk.peer.identity, desk.wall()).unwrap();
    draft.noise_key = waypost_sremp::x25519::PublicKey([9; 32]);
    desk.peer.identity = draft.sign(&desk.peer.signing).unwrap();
    desk.start();
    desk.hear(&Content::Null);
    let peer = desk.peer.id();
    let told = Event::Identity { peer, notice: IdentityNotice::Changed { keys: true } };
    assert!(desk.me.events.contains(&told), "{:?}", desk.me.events);
    let row = book::row(&desk.me.records, &peer).unwrap().unwrap();
    assert_eq!((row.identity.version(), row.noise_changed, row.trust), (2, true, Trust::Trusted));
}

/// Whoever is rejected while connected is cut off at once, and nothing that still comes is confirmed.
#[test]
fn rejecting_somebody_ends_the_connection_without_a_word() {
    let mut desk = Desk::acquainted(Standing::Contact);
    let peer = desk.peer.id();
    let message = desk.seal(&text("too late".into()).encode().unwrap());
    desk.me.give(Input::Trust { peer, trust: Trust::Rejected, verified_via: None });
    assert_eq!(desk.me.closed, [(LINK, None)]);
    assert!(desk.me.events.contains(&Event::Offline(peer)));
    assert_eq!(desk.say(message), []);
    assert_eq!((desk.me.received(), desk.me.account.online().count()), (0, 0));
}

/// SR-3.2b: text of somebody unknown is short, of a trusted contact long.
#[test]
fn long_texts_are_taken_from_contacts_only() {
    for (standing, length, taken) in [
        (Standing::Stranger, 61_000, true),
        (Standing::Stranger, 61_001, false),
        (Standing::Contact, 61_001, true),
        (Standing::Contact, 900_000, true),
        (Standing::Contact, 900_001, false),
    ] {
        let mut desk = Desk::acquainted(standing);
        let answer = desk.hear(&text("x".repeat(length)));
        if taken {
            assert!(matches!(&answer[..], [Message::DeliveryConfirmation(_)]), "{length}");
        } else {
            let [error] = &errors(&answer)[..] else { panic!("{length}: {answer:?}") };
            assert_eq!((error.known_code(), error.fatal), (Some(ErrorCode::TooLarge), false));
        }
        assert_eq!(desk.me.received(), usize::from(taken), "{length}");
    }
}

/// The sender of what is too long learns it.
#[test]
fn a_letter_that_is_too_long_for_a_stranger_fails_with_a_reason() {
    let mut pair = Pair::acquainted(30);
    let high = pair.sides[HIGH].id();
    pair.sides[LOW].give(Input::Trust { peer: high, trust: Trust::Unknown, verified_via: None });
    let letter = pair.write(HIGH, &"x".repeat(61_100));
    pair.run();
    assert!(matches!(pair.sides[HIGH].undeliverable()[..], [(id, _)] if id == letter));
    assert_eq!(pair.sides[HIGH].delivered(), []);
}

/// Letters of strangers have a bound; an invite goes past it, and so does what is no letter.
#[test]
fn strangers_wait_when_the_box_is_full_unless_they_are_invited() {
    let mut desk = Desk::acquainted(Standing::Stranger);
    desk.me.full = true;
    let message = desk.seal(&text("hello?".into()).encode().unwrap());
    let answer = desk.say(message.clone());
    let [error] = &errors(&answer)[..] else { panic!("{answer:?}") };
    assert_eq!((error.known_code(), error.fatal), (Some(ErrorCode::Rate), false));
    assert!(matches!(&desk.hear(&Content::Null)[..], [Message::DeliveryConfirmation(_)]));
    let letter = |token| {
        let body = Body::Text { text: "invited?".into() };
        let letter = Letter { id: LetterId::from_bytes([5; 16]), sent: Wall::default(), body };
        Content::Letter { letter, token }
    };
    for token in [None, Some(InviteToken([8; 16]))] {
        assert_eq!(errors(&desk.hear(&letter(token))).len(), 1);
    }
    assert_eq!(desk.me.received(), 0);
    let invite = desk.me.invite.clone();
    assert!(matches!(&desk.hear(&letter(Some(invite)))[..], [Message::DeliveryConfirmation(_)]));
    assert_eq!(desk.me.texts(), ["invited?"]);
    // Room again: the same bytes are read now.
    desk.me.full = false;
    assert!(matches!(&desk.say(message)[..], [Message::DeliveryConfirmation(_)]));
    assert_eq!(desk.me.received(), 2);
}

/// A first message that is refused leaves no session behind.
#[test]
fn a_refused_first_letter_can_be_the_first_again() {
    let mut desk = Desk::new(Standing::Stranger);
    desk.me.full = true;
    desk.start();
    let first = desk.seal(&text("hello?".into()).encode().unwrap());
    for _ in 0..20 {
        let answer = desk.say(first.clone());
        assert_eq!(errors(&answer)[0].known_code(), Some(ErrorCode::Rate));
    }
    desk.me.full = false;
    assert!(matches!(&desk.say(first)[..], [Message::DeliveryConfirmation(_)]));
    assert_eq!(desk.me.texts(), ["hello?"]);
}

/// SR-3.2b: only rows of people who never wrote make room for others.
#[test]
fn who_has_written_is_not_forgotten() {
    let mut desk = Desk::acquainted(Standing::Stranger);
    let has_messages = |desk: &Desk| book::row(&desk.me.records, &desk.peer.id()).unwrap().unwrap().has_messages;
    assert!(!has_messages(&desk));
    desk.hear(&text("here I am".into()));
    assert!(has_messages(&desk));
}

#[test]
fn an_invite_travels_with_the_first_letter() {
    let mut pair = Pair::new(31);
    pair.sides[HIGH].standing = Standing::Stranger;
    pair.sides[HIGH].full = true;
    let (peer, token) = (pair.sides[HIGH].id(), pair.sides[HIGH].invite.clone());
    let letter =
        Letter { id: LetterId::from_bytes([1; 16]), sent: Wall::default(), body: Body::Text { text: "hi".into() } };
    pair.sides[LOW].give(Input::Queue { peer, letter, token: Some(token.clone()) });
    pair.connect(LOW);
    pair.run();
    let brought = |event: &Event| matches!(event, Event::Received { token: Some(other), .. } if *other == token);
    assert!(pair.sides[HIGH].events.iter().any(brought));
}
