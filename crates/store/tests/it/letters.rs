use crate::{BOB, CAROL, at, id, incoming, insert, letter, outgoing, store, text};
use waypost_core::{Body, ContactId, Letter, Protection, ReceiptKind, Wall, Wire};
use waypost_store::{Direction, Error, Inserted, LetterRow, State, Unread};

fn failed(reason: &str) -> State {
    State::Failed { reason: reason.to_owned() }
}

#[test]
fn every_kind_comes_back_as_it_went_in() {
    let (store, _folder) = store();
    let bodies = [
        text("line\nand \u{1f600} and \0"),
        Body::Reply { to: id(9), text: "yes".into() },
        Body::Reaction { to: id(9), emoji: "\u{1f44d}".into() },
        Body::Edit { to: id(9), text: "new".into() },
        Body::Delete { to: id(9) },
        Body::Receipt { receipt: ReceiptKind::Read, letters: vec![id(1), id(2)] },
        Body::Profile { name: "Bob".into(), card: Some("waypost:x".into()) },
        Body::File { name: "a.png".into(), size: u64::MAX, media_type: "image/png".into(), sha256: "00".repeat(32) },
        Body::Unknown { name: "poll".into(), bytes: "ff".into() },
    ];
    let protection = Protection { end_to_end: true, forward_secret: true, post_quantum: false, verified: true };
    for (number, body) in (100..).zip(bodies) {
        let mut row = LetterRow::incoming(BOB, letter(number, number, body), at(5), protection, Wire::Sremp);
        row.from_request = true;
        row.seq = insert(&store, &row);
        assert_eq!(store.letter(BOB, Direction::In, row.letter.id).unwrap(), Some(row));
    }
    assert_eq!(store.letter_len().unwrap(), 9);
}

#[test]
fn a_letter_is_there_once_a_contact_and_direction() {
    let (store, _folder) = store();
    let first = insert(&store, &outgoing(BOB, letter(1, 0, text("to Bob"))));
    assert_eq!(store.insert_letter(&outgoing(BOB, letter(1, 9, text("again")))).unwrap(), Inserted::Duplicate);
    let second = insert(&store, &outgoing(CAROL, letter(1, 0, text("to Carol"))));
    let third = insert(&store, &incoming(BOB, letter(1, 0, text("from Bob"))));
    assert!(first < second && second < third);
    let texts: Vec<_> =
        store.letters_by_id(id(1)).unwrap().into_iter().map(|row| row.letter.body.text().unwrap().to_owned()).collect();
    assert_eq!(texts, ["to Bob", "to Carol", "from Bob"]);
    assert_eq!(store.entry(BOB, id(1)).unwrap().len(), 2);
    assert_eq!(store.letter(CAROL, Direction::In, id(1)).unwrap(), None);
    assert!(store.search("again", None, 9).unwrap().is_empty());
}

#[test]
fn numbers_are_never_given_twice() {
    let (store, _folder) = store();
    let seq = insert(&store, &outgoing(BOB, letter(1, 0, text("a"))));
    assert!(store.remove_contact(BOB, true).unwrap());
    assert!(insert(&store, &outgoing(BOB, letter(1, 0, text("b")))) > seq);
}

#[test]
fn a_state_only_moves_forward() {
    let all = [State::Queued, State::Sent, State::Stored, State::Delivered, State::Read, failed("expired")];
    let (store, _folder) = store();
    let mut number = 0;
    for (from_rank, from) in all.iter().enumerate() {
        for (to_rank, to) in all.iter().enumerate() {
            number += 1;
            let mut row = outgoing(BOB, letter(number, 0, text("a")));
            row.state = from.clone();
            insert(&store, &row);
            let moves = match (from, to) {
                (State::Failed { .. }, State::Delivered | State::Read) => true,
                (State::Failed { .. }, _) => false,
                (State::Delivered | State::Read, State::Failed { .. }) => false,
                _ => to_rank > from_rank,
            };
            assert_eq!(store.set_letter_state(BOB, id(number), to).unwrap(), moves, "{from:?} to {to:?}");
            let now = store.letter(BOB, Direction::Out, id(number)).unwrap().unwrap().state;
            assert_eq!(&now, if moves { to } else { from });
        }
    }
}

#[test]
fn the_state_of_others_letters_cannot_be_set() {
    let (store, _folder) = store();
    insert(&store, &incoming(BOB, letter(1, 0, text("a"))));
    assert!(!store.set_letter_state(BOB, id(1), &State::Delivered).unwrap());
    assert!(!store.set_letter_state(BOB, id(2), &State::Delivered).unwrap());
    assert!(!store.set_letter_state(CAROL, id(1), &State::Delivered).unwrap());
    assert_eq!(store.letter(BOB, Direction::In, id(1)).unwrap().unwrap().state, State::Received);
}

#[test]
fn the_wire_of_an_own_letter_is_noted() {
    let (store, _folder) = store();
    insert(&store, &outgoing(BOB, letter(1, 0, text("a"))));
    let protection = Protection { end_to_end: true, ..Protection::default() };
    assert!(store.set_letter_wire(BOB, id(1), Wire::Sremp, protection).unwrap());
    let entry = store.entry(BOB, id(1)).unwrap().remove(0);
    assert_eq!((entry.wire, entry.protection), (Some(Wire::Sremp), protection));
}

#[test]
fn reading_marks_each_letter_once() {
    let (store, _folder) = store();
    for number in 1..=4 {
        insert(&store, &incoming(BOB, letter(number, 0, text("a"))));
    }
    insert(&store, &incoming(CAROL, letter(5, 0, text("a"))));
    insert(&store, &incoming(CAROL, letter(6, 0, Body::Reaction { to: id(5), emoji: "x".into() })));
    insert(&store, &outgoing(BOB, letter(7, 0, text("a"))));
    assert_eq!(store.unread_of(BOB).unwrap(), 4);
    let mut unread = store.unread().unwrap();
    unread.sort();
    assert_eq!(unread, [(BOB, 4), (CAROL, 1)]);

    let second = store.letter(BOB, Direction::In, id(2)).unwrap().unwrap().seq;
    assert_eq!(store.mark_read(BOB, Unread::UpTo(second), at(1)).unwrap(), [id(1), id(2)]);
    assert_eq!(store.mark_read(BOB, Unread::These(&[id(2), id(4), id(5), id(7), id(4)]), at(2)).unwrap(), [id(4)]);
    assert_eq!(store.mark_read(BOB, Unread::All, at(3)).unwrap(), [id(3)]);
    assert_eq!(store.mark_read(BOB, Unread::All, at(4)).unwrap(), []);
    assert_eq!(store.mark_read(ContactId::from_bytes([1; 32]), Unread::All, at(4)).unwrap(), []);
    assert_eq!(store.unread().unwrap(), [(CAROL, 1)]);
    let row = store.letter(BOB, Direction::In, id(4)).unwrap().unwrap();
    assert_eq!((row.read, row.state), (Some(at(2)), State::Read));
}

#[test]
fn a_clock_beyond_all_times_does_no_harm() {
    let (store, _folder) = store();
    let end = Wall::from_millis(u64::MAX);
    let mut row = incoming(BOB, Letter { id: id(1), sent: end, body: text("from the end of time") });
    row.stored = end;
    insert(&store, &row);
    let read = store.letter(BOB, Direction::In, id(1)).unwrap().unwrap();
    assert_eq!(read.letter.sent, Wall::from_millis(i64::MAX as u64));
}

#[test]
fn a_name_of_a_foreign_kind_means_nothing_here() {
    let (store, _folder) = store();
    insert(&store, &incoming(BOB, letter(1, 0, Body::Unknown { name: "delete".into(), bytes: String::new() })));
    assert_eq!(store.history(BOB, None, 9).unwrap().len(), 1);
}

#[test]
fn what_belongs_to_a_letter_needs_the_letter() {
    let (store, _folder) = store();
    insert(&store, &incoming(BOB, letter(1, 0, text("not ours to send"))));
    let row = waypost_store::OutboxRow { contact: BOB, letter: id(1), attempts: 0, next_try: at(0), created: at(0) };
    assert!(matches!(store.put_outbox(&row), Err(Error::NotFound("letter"))));
}
