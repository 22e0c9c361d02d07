//! Peers whose software knows TEXT and RECEIPT only, and contents this version does not know.

use super::desk::{Desk, only_sealed};
use waypost_core::{Body, LetterId, ReceiptKind, Wall};
use waypost_sremp::{
    Message,
    account::{Event, Standing},
    content::{Content, Receipt, Text},
};

fn text(id: u64, words: &str, reply_to: Option<u64>) -> Content {
    Content::Text(Text { id, sent: Wall::from_millis(5), text: words.into(), reply_to, letter: None })
}

/// The one letter that a content becomes.
fn heard(desk: &mut Desk, content: &Content) -> waypost_core::Letter {
    let before = desk.me.events.len();
    let answer = desk.hear(content);
    assert!(matches!(&answer[..], [Message::DeliveryConfirmation(_)]), "{answer:?}");
    let letters: Vec<_> = desk.me.events[before..]
        .iter()
        .filter_map(|event| match event {
            Event::Received { letter, protection, .. } => {
                assert!(protection.end_to_end && protection.forward_secret && protection.post_quantum);
                Some(letter.clone())
            }
            _ => None,
        })
        .collect();
    let [letter] = &letters[..] else { panic!("{letters:?}") };
    letter.clone()
}

#[test]
fn texts_become_letters_whose_ids_are_the_same_whenever_they_come() {
    let mut desk = Desk::acquainted(Standing::Contact);
    let first = heard(&mut desk, &text(70, "hello", None));
    assert_eq!((first.sent, &first.body), (Wall::from_millis(5), &Body::Text { text: "hello".into() }));
    let again = heard(&mut desk, &text(70, "hello", None));
    assert_eq!(again.id, first.id, "sealed again under another message id");
    assert_ne!(heard(&mut desk, &text(71, "hello", None)).id, first.id);
    let mut another = Desk::acquainted(Standing::Contact);
    another.peer = crate::people::Person::new("Other", 4000);
    another.connect();
    another.start();
    assert_ne!(heard(&mut another, &text(70, "hello", None)).id, first.id, "another sender");
    let named = LetterId::from_bytes([9; 16]);
    let content = Content::Text(Text {
        id: 72,
        sent: Wall::default(),
        text: "named".into(),
        reply_to: Some(70),
        letter: Some(named),
    });
    let letter = heard(&mut desk, &content);
    assert_eq!((letter.id, letter.body), (named, Body::Reply { to: first.id, text: "named".into() }));
}

#[test]
fn replies_find_the_texts_they_answer_both_ways() {
    let mut desk = Desk::acquainted(Standing::Contact);
    let peer = desk.peer.id();
    let mine = desk.me.write(peer, "a question");
    let Some(Content::Text(asked)) = desk.me.take_sent().first().and_then(|message| desk.read(message)) else {
        panic!()
    };
    assert_eq!((asked.text.as_str(), asked.letter, asked.reply_to), ("a question", Some(mine), None));
    let answer = heard(&mut desk, &text(80, "an answer", Some(asked.id)));
    assert_eq!(answer.body, Body::Reply { to: mine, text: "an answer".into() });
    desk.me.queue(peer, Body::Reply { to: answer.id, text: "thanks".into() });
    let sent = only_sealed(&desk.me.take_sent());
    let Some(Content::Text(thanks)) = desk.read(&sent.clone().into()) else { panic!() };
    assert_eq!((thanks.id, thanks.reply_to), (sent.message_id, Some(80)), "TEXT.id is that of the first sending");
    desk.me.queue(peer, Body::Reply { to: LetterId::from_bytes([1; 16]), text: "to what?".into() });
    let sent = only_sealed(&desk.me.take_sent());
    let Some(Content::Text(lost)) = desk.read(&sent.into()) else { panic!() };
    assert_eq!(lost.reply_to, None);
}

#[test]
fn receipts_name_texts_by_the_ids_of_the_other_side() {
    let mut desk = Desk::acquainted(Standing::Contact);
    let peer = desk.peer.id();
    let mine = desk.me.write(peer, "seen?");
    let sent = only_sealed(&desk.me.take_sent());
    let Some(Content::Text(asked)) = desk.read(&sent.into()) else { panic!() };
    let receipt = Content::Receipt(Receipt { kind: ReceiptKind::Read, message_ids: vec![asked.id] });
    let letter = heard(&mut desk, &receipt);
    assert_eq!(letter.body, Body::Receipt { receipt: ReceiptKind::Read, letters: vec![mine] });
    let theirs = heard(&mut desk, &text(90, "and mine?", None)).id;
    let unknown = LetterId::from_bytes([2; 16]);
    desk.me.queue(peer, Body::Receipt { receipt: ReceiptKind::Delivered, letters: vec![theirs, unknown] });
    let sent = only_sealed(&desk.me.take_sent());
    let Some(Content::Receipt(receipt)) = desk.read(&sent.into()) else { panic!() };
    assert_eq!((receipt.kind, receipt.message_ids), (ReceiptKind::Delivered, vec![90]));
}

#[test]
fn edits_go_as_text_and_what_is_no_text_is_undeliverable() {
    let mut desk = Desk::acquainted(Standing::Contact);
    let peer = desk.peer.id();
    let to = LetterId::from_bytes([1; 16]);
    desk.me.queue(peer, Body::Edit { to, text: "hullo".into() });
    let sent = only_sealed(&desk.me.take_sent());
    let Some(Content::Text(edit)) = desk.read(&sent.into()) else { panic!() };
    assert_eq!(edit.text, "* hullo");
    let bodies = [
        Body::Reaction { to, emoji: "👍".into() },
        Body::Delete { to },
        Body::Profile { name: "Bob".into(), card: None },
        Body::File { name: "a".into(), size: 1, media_type: "a/b".into(), sha256: "00".repeat(32) },
    ];
    for body in bodies {
        let letter = desk.me.queue(peer, body);
        assert_eq!(desk.me.take_sent(), []);
        let given_up = desk.me.undeliverable();
        assert!(matches!(given_up.last(), Some((id, reason)) if *id == letter && reason.contains("text only")));
    }
    desk.me.write(peer, "goes on");
    only_sealed(&desk.me.take_sent());
}

/// Profile, Content: shown as a kind that is not supported, never an error.
#[test]
fn a_content_of_an_unknown_name_is_shown_as_such() {
    let mut desk = Desk::acquainted(Standing::Contact);
    let message = desk.seal(b"\x81\xa4POLL\x81\xa1q\x01");
    let answer = desk.say(message);
    assert!(matches!(&answer[..], [Message::DeliveryConfirmation(_)]), "{answer:?}");
    let letter = desk.me.inbox.values().next().expect("a letter");
    assert_eq!(letter.body, Body::Unknown { name: "POLL".into(), bytes: String::new() });
}

/// It must not come back for ever.
#[test]
fn malformed_content_is_confirmed_and_not_shown() {
    let mut desk = Desk::acquainted(Standing::Contact);
    let long = [b"\x81\xa4TEXT".as_slice(), &[0x80]].concat();
    for content in [&b""[..], b"no map", b"\x81\xa4NULL\x01", b"\x81\xa4NULL\x80\x80", &long] {
        let message = desk.seal(content);
        let answer = desk.say(message.clone());
        assert!(matches!(&answer[..], [Message::DeliveryConfirmation(_)]), "{answer:?}");
        assert!(matches!(&desk.say(message)[..], [Message::DeliveryConfirmation(_)]), "and again");
    }
    assert_eq!((desk.me.received(), desk.me.inbox.len()), (0, 0));
}
