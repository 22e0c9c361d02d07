use crate::{BOB, CAROL, id, incoming, insert, letter, outgoing, store, text};
use proptest::prelude::*;
use waypost_core::{Body, ContactId, LetterId};
use waypost_store::Store;

fn found(store: &Store, query: &str) -> Vec<LetterId> {
    store.search(query, None, 100).unwrap().into_iter().map(|entry| entry.letter.id).collect()
}

#[test]
fn finds_letters_by_the_beginnings_of_all_words() {
    let (store, _folder) = store();
    insert(&store, &incoming(BOB, letter(1, 0, text("See you at the Café, 8 o'clock"))));
    insert(
        &store,
        &outgoing(
            CAROL,
            letter(2, 0, Body::Reply { to: id(1), text: "cafeteria or \u{43a}\u{430}\u{444}\u{435}?".into() }),
        ),
    );
    assert_eq!(found(&store, "CAFE"), [id(2), id(1)], "newest first");
    assert_eq!(found(&store, "cafe\u{301} you"), [id(1)]);
    assert_eq!(found(&store, "you see"), [id(1)]);
    assert_eq!(found(&store, "o'clock"), [id(1)]);
    assert_eq!(found(&store, "\u{41a}\u{410}\u{424}"), [id(2)]);
    assert_eq!(found(&store, "clo ck"), []);
    assert_eq!(found(&store, "fe"), []);
    let of = |contact| store.search("caf", Some(contact), 100).unwrap().len();
    assert_eq!((of(BOB), of(CAROL), of(ContactId::from_bytes([9; 32]))), (1, 1, 0));
    assert_eq!(store.search("caf", None, 1).unwrap()[0].letter.id, id(2));
}

#[test]
fn finds_the_text_as_it_is_now() {
    let (store, _folder) = store();
    insert(&store, &incoming(BOB, letter(1, 0, text("apples and pears"))));
    insert(&store, &incoming(BOB, letter(2, 1, Body::Edit { to: id(1), text: "plums and pears".into() })));
    assert_eq!(found(&store, "apples"), []);
    assert_eq!(found(&store, "plums"), [id(1)]);
    insert(&store, &incoming(BOB, letter(3, 2, Body::Edit { to: id(1), text: "apples again".into() })));
    assert_eq!(found(&store, "apples"), [id(1)]);
    assert_eq!(found(&store, "pears"), []);
    insert(&store, &incoming(BOB, letter(4, 3, Body::Delete { to: id(1) })));
    assert_eq!(found(&store, "apples"), []);
    assert_eq!(found(&store, "again"), []);
    assert_eq!(store.check().unwrap(), Vec::<String>::new());
}

#[test]
fn forgets_the_words_of_a_forgotten_contact() {
    let (store, _folder) = store();
    for number in 1..=600 {
        insert(&store, &incoming(BOB, letter(number, 0, text("apples"))));
    }
    insert(&store, &incoming(BOB, letter(601, 1, Body::Edit { to: id(1), text: "apples and plums".into() })));
    insert(&store, &incoming(BOB, letter(602, 1, Body::Delete { to: id(2) })));
    insert(&store, &incoming(CAROL, letter(1, 0, text("apples"))));
    assert!(store.remove_contact(BOB, true).unwrap());
    assert_eq!(found(&store, "apples"), [id(1)]);
    assert_eq!(found(&store, "plums"), []);
    assert_eq!(store.letter_len().unwrap(), 1);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn no_query_is_wrong(query in "(\\PC|[\"'*():^{}+\\-\0 ]|AND|OR|NOT|NEAR|text:){0,20}") {
        thread_local! {
            static STORE: (Store, tempfile::TempDir) = store();
        }
        STORE.with(|(store, _)| {
            store.insert_letter(&incoming(BOB, letter(1, 0, text("NOT a text: NEAR (you) AND me")))).unwrap();
            prop_assert!(store.search(&query, None, 10).is_ok(), "{}", query);
            prop_assert!(store.search(&query, Some(BOB), 10).is_ok(), "{}", query);
            Ok(())
        })?;
    }
}
