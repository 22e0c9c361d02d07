//! Measures durable commits: `cargo run --release -p waypost-store --example commits [folder]`.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::disallowed_types,
    reason = "a measurement takes time, talks, and stops where it fails"
)]

use std::time::{Duration, Instant};
use waypost_core::{Body, Change, ContactId, Letter, LetterId, Protection, RouteId, Space, Wall, Wire};
use waypost_store::{LetterRow, OutboxRow, RouteRow, State, Store, TraceRow, Unread};

const BOB: ContactId = ContactId::from_bytes([2; 32]);
const FOR: Duration = Duration::from_secs(3);

fn main() {
    let folder = std::env::args().nth(1).map_or_else(std::env::temp_dir, Into::into);
    let folder = tempfile::tempdir_in(folder).unwrap();
    let mut store = Store::open(&folder.path().join("letters.db"), &[7; 32]).unwrap();
    let mut number = 0;
    println!("letters/s, each with 3 records of 300 bytes and a text of 60:");
    for in_one in [1, 8, 64, 512] {
        let (letters, took) = run(&mut store, in_one, &mut number, |_, _| {});
        println!("  {in_one:>4} a transaction: {letters:>7.0}/s, {:>6.2} ms a commit", took);
    }
    println!("letters/s with outbox row, route, two steps and delivery too:");
    for in_one in [1, 64] {
        let (letters, took) = run(&mut store, in_one, &mut number, way);
        println!("  {in_one:>4} a transaction: {letters:>7.0}/s, {:>6.2} ms a commit", took);
    }
    store.begin().unwrap();
    while number < 100_000 {
        step(&store, number);
        number += 1;
    }
    store.commit().unwrap();
    println!("among {number} letters:");
    time("search of a rare word", || assert_eq!(store.search("number77777", None, 50).unwrap().len(), 1));
    time("search of a word in every letter", || assert_eq!(store.search("quick", None, 50).unwrap().len(), 50));
    time("search of three such words", || assert_eq!(store.search("quick fox lazy", None, 50).unwrap().len(), 50));
    time("a page of 50 of the history", || assert_eq!(store.history(BOB, None, 50).unwrap().len(), 50));
    time("a page of 50 of the inbox", || assert_eq!(store.inbox(Some(50_000), 50, true).unwrap().len(), 50));
    time("unread letters of all contacts", || assert_eq!(store.unread().unwrap().len(), 1));
    time("marking all as read", || {
        assert!(!store.mark_read(BOB, Unread::All, Wall::from_millis(1)).unwrap().is_empty())
    });
    let (letters, took) = run(&mut store, 64, &mut number, way);
    println!("  64 a transaction, whole way: {letters:.0}/s, {took:.2} ms a commit");
    println!(
        "  size of the database: {} MiB",
        std::fs::metadata(folder.path().join("letters.db")).unwrap().len() >> 20
    );
}

/// Letters a second and milliseconds a commit.
fn run(store: &mut Store, in_one: u64, number: &mut u64, more: impl Fn(&Store, u64)) -> (f64, f64) {
    let start = Instant::now();
    let first = *number;
    while start.elapsed() < FOR {
        store.begin().unwrap();
        for _ in 0..in_one {
            step(store, *number);
            more(store, *number);
            *number += 1;
        }
        store.commit().unwrap();
    }
    #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
    let letters = (*number - first) as f64;
    let took = start.elapsed().as_secs_f64();
    (letters / took, took * 1000.0 * f64::from(u32::try_from(in_one).unwrap()) / letters)
}

/// A letter comes in and moves its session forward.
fn step(store: &Store, number: u64) {
    let text = format!("the quick brown fox jumps over the lazy dog number{number}");
    let letter = Letter { id: id(number), sent: Wall::from_millis(number), body: Body::Text { text } };
    let row = if number.is_multiple_of(2) {
        LetterRow::outgoing(BOB, letter, Wall::from_millis(number))
    } else {
        LetterRow::incoming(BOB, letter, Wall::from_millis(number), Protection::default(), Wire::Sremp)
    };
    store.insert_letter(&row).unwrap();
    let record = |space, key: &[u8]| Change { space: Space(space), key: key.to_vec(), value: Some(vec![7; 300]) };
    store
        .apply(&[
            record("sremp/session", BOB.as_bytes()),
            record("sremp/skipped", &(number % 1000).to_be_bytes()),
            record("sremp/counter", b"0"),
        ])
        .unwrap();
}

/// It goes into the outbox, by a route, and is delivered.
fn way(store: &Store, number: u64) {
    if number % 2 == 1 {
        return;
    }
    let (letter, now) = (id(number), Wall::from_millis(number));
    let step = |what: &str, route| {
        store.add_trace(&TraceRow { contact: BOB, letter, at: now, what: what.into(), route }).unwrap();
    };
    store.put_outbox(&OutboxRow { contact: BOB, letter, attempts: 0, next_try: now, created: now }).unwrap();
    step("queued", None);
    let route = RouteRow {
        route: RouteId(0),
        contact: BOB,
        letter,
        wire: Wire::Sremp,
        via: "sremp://192.0.2.1:7300".into(),
        started: now,
        ended: None,
        outcome: None,
        protection: Protection::default(),
    };
    let route = store.add_route(&route).unwrap();
    store.set_letter_state(BOB, letter, &State::Sent).unwrap();
    store.end_route(route, "delivered", now).unwrap();
    step("delivered", Some(route));
    store.set_letter_state(BOB, letter, &State::Delivered).unwrap();
    store.remove_outbox(BOB, letter).unwrap();
}

/// As scattered as random ones.
fn id(number: u64) -> LetterId {
    let mixed = u128::from(number + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
    LetterId::from_bytes(mixed.to_be_bytes())
}

fn time(what: &str, run: impl FnOnce()) {
    let start = Instant::now();
    run();
    println!("  {what}: {:.2} ms", start.elapsed().as_secs_f64() * 1000.0);
}
