use crate::{BOB, CAROL, case, id, incoming, insert, letter, outgoing, store, text};
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
    let (mut store, _folder) = store();
    store.begin().unwrap();
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
        case(|store| {
            insert(store, &incoming(BOB, letter(1, 0, text("NOT a text: NEAR (you) AND me"))));
            prop_assert!(store.search(&query, None, 10).is_ok(), "{}", query);
            prop_assert!(store.search(&query, Some(BOB), 10).is_ok(), "{}", query);
            Ok(())
        })?;
    }
}

#[test]
#[allow(clippy::disallowed_types, reason = "the time it takes is what is tested")]
fn stays_quick_among_a_hundred_thousand_letters() {
    let (mut store, _folder) = store();
    let words = ["alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa", "lambda"];
    store.begin().unwrap();
    for number in 0..100_000_u64 {
        let pick = |step: u64| words[usize::try_from((number / step + number) % 11).unwrap()];
        let say = format!("{} {} {} number{number}", pick(1), pick(11), pick(121));
        insert(
            &store,
            &incoming(if number.is_multiple_of(2) { BOB } else { CAROL }, letter(number, number, text(&say))),
        );
    }
    store.commit().unwrap();
    assert_eq!(found(&store, "number77777"), [id(77_777)]);
    // Words that are in a third of all letters, and a letter that a fifth of all words begin with.
    for query in ["alpha", "alpha beta gamma", "e", "number"] {
        let start = std::time::Instant::now();
        let all = store.search(query, None, 50).unwrap();
        let of_bob = store.search(query, Some(BOB), 50).unwrap();
        assert_eq!((all.len(), of_bob.len()), (50, 50), "{query}");
        assert!(all.windows(2).all(|pair| pair[0].seq > pair[1].seq));
        // Tens of milliseconds on a slow machine; the bound only tells a scan of everything from a search.
        assert!(start.elapsed().as_secs() < 5, "{query} took {:?}", start.elapsed());
    }
}
