//! Databases in real files.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test stops where it fails"
)]

mod contacts;
mod crash;
mod golden;
mod history;
mod letters;
mod model;
mod outbox;
mod records;
mod search;
mod secrecy;
mod transactions;

use std::cell::RefCell;
use tempfile::TempDir;
use waypost_core::{Body, ContactId, Letter, LetterId, Protection, Wall, Wire};
use waypost_store::{Inserted, LetterRow, Store};

const KEY: [u8; 32] = [7; 32];
const T0: u64 = 1_790_000_000_000;
const BOB: ContactId = ContactId::from_bytes([0xb0; 32]);
const CAROL: ContactId = ContactId::from_bytes([0xca; 32]);

/// A new database in a folder that goes with the test.
fn store() -> (Store, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("letters.db"), &KEY).unwrap();
    (store, folder)
}

/// An empty store for one of many cases: all share one database, and what a case does is taken back by the next.
fn case<T>(run: impl FnOnce(&mut Store) -> T) -> T {
    thread_local! {
        static SHARED: RefCell<(Store, TempDir)> = RefCell::new(store());
    }
    SHARED.with_borrow_mut(|(store, _)| {
        if store.in_transaction() {
            store.rollback().unwrap();
        }
        store.begin().unwrap();
        run(store)
    })
}

fn id(number: u64) -> LetterId {
    let mut bytes = [0; 16];
    bytes[8..].copy_from_slice(&number.to_be_bytes());
    LetterId::from_bytes(bytes)
}

fn at(millis: u64) -> Wall {
    Wall::from_millis(T0 + millis)
}

fn text(text: &str) -> Body {
    Body::Text { text: text.to_owned() }
}

fn letter(number: u64, sent: u64, body: Body) -> Letter {
    Letter { id: id(number), sent: at(sent), body }
}

fn incoming(contact: ContactId, letter: Letter) -> LetterRow {
    LetterRow::incoming(contact, letter, at(0), Protection::default(), Wire::Sremp)
}

fn outgoing(contact: ContactId, letter: Letter) -> LetterRow {
    LetterRow::outgoing(contact, letter, at(0))
}

/// Inserts a letter that must be new.
fn insert(store: &Store, row: &LetterRow) -> i64 {
    match store.insert_letter(row).unwrap() {
        Inserted::New(seq) => seq,
        Inserted::Duplicate => panic!("{:?} is there already", row.letter.id),
    }
}
