use crate::{BOB, CAROL, at, id, incoming, insert, letter, outgoing, store, text};
use waypost_core::{Body, ContactId, ReceiptKind};
use waypost_store::{ContactRow, ContactStatus, Direction, HistoryEntry, Reaction, Store, Unread};

fn ids(entries: &[HistoryEntry]) -> Vec<u8> {
    entries.iter().map(|entry| entry.letter.id.as_bytes()[15]).collect()
}

fn edit(to: u64, text: &str) -> Body {
    Body::Edit { to: id(to), text: text.to_owned() }
}

fn react(to: u64, emoji: &str) -> Body {
    Body::Reaction { to: id(to), emoji: emoji.to_owned() }
}

fn only(store: &Store, number: u64) -> HistoryEntry {
    let mut entries = store.entry(BOB, id(number)).unwrap();
    assert_eq!(entries.len(), 1);
    entries.remove(0)
}

#[test]
fn pages_go_back_from_the_newest() {
    let (store, _folder) = store();
    for number in 1..=7 {
        let row = if number % 2 == 0 { incoming } else { outgoing };
        insert(&store, &row(BOB, letter(number, number, text("a"))));
        insert(&store, &row(CAROL, letter(number + 100, number, text("a"))));
    }
    let page = store.history(BOB, None, 3).unwrap();
    assert_eq!(ids(&page), [5, 6, 7]);
    let page = store.history(BOB, Some(page[0].seq), 3).unwrap();
    assert_eq!(ids(&page), [2, 3, 4]);
    assert_eq!(ids(&store.history(BOB, Some(page[0].seq), 3).unwrap()), [1]);
    assert!(store.history(ContactId::from_bytes([1; 32]), None, 3).unwrap().is_empty());
}

#[test]
fn letters_about_letters_are_no_entries() {
    let (store, _folder) = store();
    insert(&store, &incoming(BOB, letter(1, 0, text("a"))));
    let others = [
        edit(1, "b"),
        react(1, "x"),
        Body::Receipt { receipt: ReceiptKind::Delivered, letters: vec![id(1)] },
        Body::Profile { name: "Bob".into(), card: None },
        Body::Delete { to: id(1) },
    ];
    for (number, body) in (2..).zip(others) {
        insert(&store, &incoming(BOB, letter(number, 1, body)));
        assert!(store.entry(BOB, id(number)).unwrap().is_empty());
    }
    assert_eq!(ids(&store.history(BOB, None, 9).unwrap()), [1]);
    assert_eq!(ids(&store.inbox(None, 9, false).unwrap()), [1]);
    assert_eq!(store.unread_of(BOB).unwrap(), 1);
}

#[test]
fn the_edit_sent_last_counts_and_only_its_authors() {
    let (store, _folder) = store();
    insert(&store, &incoming(BOB, letter(1, 0, text("first"))));
    insert(&store, &incoming(BOB, letter(2, 20, edit(1, "third"))));
    insert(&store, &incoming(BOB, letter(3, 10, edit(1, "second"))));
    insert(&store, &outgoing(BOB, letter(4, 30, edit(1, "not mine"))));
    insert(&store, &incoming(CAROL, letter(5, 40, edit(1, "of another conversation"))));
    let entry = only(&store, 1);
    assert_eq!(entry.letter.body, text("first"));
    assert_eq!(entry.edited.as_deref(), Some("third"));
    assert_eq!(entry.text(), Some("third"));
}

#[test]
fn what_comes_before_its_letter_waits_for_it() {
    let (store, _folder) = store();
    insert(&store, &incoming(BOB, letter(2, 20, edit(1, "second"))));
    insert(&store, &incoming(BOB, letter(3, 20, react(1, "x"))));
    insert(&store, &incoming(BOB, letter(5, 20, edit(4, "never shown"))));
    insert(&store, &incoming(BOB, letter(6, 20, Body::Delete { to: id(4) })));
    insert(&store, &incoming(BOB, letter(1, 0, text("first"))));
    insert(&store, &incoming(BOB, letter(4, 0, text("gone"))));
    let entry = only(&store, 1);
    assert_eq!(entry.edited.as_deref(), Some("second"));
    assert_eq!(entry.reactions, [Reaction { own: false, emoji: "x".into() }]);
    let entry = only(&store, 4);
    assert!(entry.deleted);
    assert_eq!((entry.letter.body.text(), entry.text()), (Some(""), None));
    assert!(store.search("gone", None, 9).unwrap().is_empty());
}

#[test]
fn each_person_has_one_reaction_and_can_take_it_back() {
    let (store, _folder) = store();
    insert(&store, &outgoing(BOB, letter(1, 0, text("a"))));
    insert(&store, &incoming(BOB, letter(2, 5, react(1, "new"))));
    insert(&store, &incoming(BOB, letter(3, 4, react(1, "old"))));
    insert(&store, &outgoing(BOB, letter(4, 1, react(1, "own"))));
    let reaction = |own, emoji: &str| Reaction { own, emoji: emoji.to_owned() };
    assert_eq!(only(&store, 1).reactions, [reaction(true, "own"), reaction(false, "new")]);
    insert(&store, &incoming(BOB, letter(5, 9, react(1, ""))));
    assert_eq!(only(&store, 1).reactions, [reaction(true, "own")]);
}

#[test]
fn a_deletion_counts_for_ever_and_takes_the_text_along() {
    let (store, _folder) = store();
    insert(&store, &outgoing(BOB, letter(1, 0, text("secret one"))));
    insert(&store, &outgoing(BOB, letter(2, 1, edit(1, "secret two"))));
    insert(&store, &incoming(BOB, letter(3, 2, Body::Delete { to: id(1) })));
    assert!(!only(&store, 1).deleted, "only its author deletes a letter");
    insert(&store, &outgoing(BOB, letter(4, 3, Body::Delete { to: id(1) })));
    insert(&store, &outgoing(BOB, letter(5, 4, edit(1, "secret three"))));
    let entry = only(&store, 1);
    assert!(entry.deleted);
    assert_eq!((entry.letter.body, entry.edited), (text(""), None));
    assert!(store.search("secret", None, 9).unwrap().is_empty());
    for number in [1, 2, 5] {
        let row = store.letter(BOB, Direction::Out, id(number)).unwrap().unwrap();
        assert_eq!(row.letter.body.text(), Some(""), "the text of letter {number} is gone");
    }
    assert_eq!(store.letter(BOB, Direction::Out, id(2)).unwrap().unwrap().letter.body, edit(1, ""));
}

#[test]
fn only_text_can_be_edited() {
    let (store, _folder) = store();
    let file = Body::File { name: "a".into(), size: 1, media_type: "b".into(), sha256: "c".into() };
    insert(&store, &incoming(BOB, letter(1, 0, file.clone())));
    insert(&store, &incoming(BOB, letter(2, 1, edit(1, "words"))));
    insert(&store, &incoming(BOB, letter(3, 2, edit(2, "an edit of an edit"))));
    let entry = only(&store, 1);
    assert_eq!((entry.letter.body, entry.edited), (file, None));
    assert!(store.search("words", None, 9).unwrap().is_empty());
}

#[test]
fn the_inbox_leaves_out_strangers_and_the_blocked() {
    let (store, _folder) = store();
    let contact = |id, status| ContactRow {
        id,
        name: "somebody".into(),
        status,
        card: None,
        addresses: Vec::new(),
        added: at(0),
        read_receipts: None,
        muted: false,
        last_seen: None,
        invite_token: None,
        verified: None,
    };
    let people = [1, 2, 3, 4].map(|number| ContactId::from_bytes([number; 32]));
    let statuses = [Some(ContactStatus::Contact), Some(ContactStatus::Request), Some(ContactStatus::Blocked), None];
    for (person, status) in people.into_iter().zip(statuses) {
        if let Some(status) = status {
            store.put_contact(&contact(person, status)).unwrap();
        }
        let number = u64::from(person.as_bytes()[0]);
        insert(&store, &incoming(person, letter(number, 0, text("a"))));
        insert(&store, &incoming(person, letter(number + 10, 0, text("b"))));
    }
    assert_eq!(ids(&store.inbox(None, 9, false).unwrap()), [1, 11, 4, 14]);
    assert_eq!(ids(&store.inbox(None, 9, true).unwrap()), [1, 11, 4, 14]);
    store.mark_read(people[0], Unread::These(&[id(1)]), at(1)).unwrap();
    assert_eq!(ids(&store.inbox(None, 2, true).unwrap()), [11, 4]);
    let cursor = store.inbox(None, 1, false).unwrap()[0].seq;
    assert_eq!(ids(&store.inbox(Some(cursor), 9, false).unwrap()), [11, 4, 14]);
    store.put_contact(&contact(people[1], ContactStatus::Contact)).unwrap();
    assert_eq!(ids(&store.inbox(None, 9, false).unwrap()), [1, 11, 2, 12, 4, 14]);
}
