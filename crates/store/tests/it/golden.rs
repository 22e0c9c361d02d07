//! A database as the first version left it: `tests/golden/0001.db`, made of `0001.sql` by the example `golden`.

use crate::{BOB, CAROL, KEY, at, id, incoming, insert, letter, text};
use rusqlite::Connection;
use std::{fs, path::Path};
use tempfile::TempDir;
use waypost_core::{Body, ErrorKind, HasKind, InviteToken, LetterId, Protection, Records, RouteId, Space, Wire};
use waypost_store::{ContactStatus, Error, Reaction, State, Store};

fn golden() -> (TempDir, std::path::PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("letters.db");
    fs::copy(Path::new(&std::env::var_os("CARGO_MANIFEST_DIR").unwrap()).join("tests/golden/0001.db"), &path).unwrap();
    (folder, path)
}

/// Another program that has the key.
fn raw(path: &Path) -> Connection {
    let conn = Connection::open(path).unwrap();
    conn.execute_batch(&format!("PRAGMA key = \"x'{}'\"", "07".repeat(32))).unwrap();
    conn
}

fn version(path: &Path) -> i64 {
    raw(path).pragma_query_value(None, "user_version", |row| row.get(0)).unwrap()
}

/// The version of a database made now.
fn newest() -> i64 {
    let (store, folder) = crate::store();
    drop(store);
    version(&folder.path().join("letters.db"))
}

fn found(store: &Store, query: &str) -> Vec<LetterId> {
    store.search(query, None, 9).unwrap().into_iter().map(|entry| entry.letter.id).collect()
}

#[test]
fn an_old_database_is_brought_up_to_date_with_all_that_is_in_it() {
    let (_folder, path) = golden();
    assert_eq!(version(&path), 1);
    let store = Store::open(&path, &KEY).unwrap();
    assert_eq!(store.check().unwrap(), Vec::<String>::new());

    let bob = store.find_contacts("BOB").unwrap().remove(0);
    assert_eq!((bob.id, bob.status, bob.muted, bob.read_receipts), (BOB, ContactStatus::Contact, true, Some(false)));
    assert_eq!((bob.card.unwrap().version, bob.addresses.len(), bob.last_seen), (5, 1, Some(at(2))));
    assert_eq!(bob.invite_token, Some(InviteToken([9; 16])));

    let history = store.history(BOB, None, 9).unwrap();
    assert_eq!(history.iter().map(|entry| entry.letter.id).collect::<Vec<_>>(), [id(1), id(2), id(3), id(4)]);
    let all = Protection { end_to_end: true, forward_secret: true, post_quantum: true, verified: true };
    assert_eq!((&history[0].state, history[1].protection, history[1].wire), (&State::Read, all, Some(Wire::Sremp)));
    assert_eq!(history[1].letter.body, Body::Reply { to: id(1), text: "yes, the Ferry".into() });
    assert!(history[2].deleted);
    assert_eq!(history[3].text(), Some("at ten, ferry two"));
    assert_eq!(history[3].reactions, [Reaction { own: false, emoji: "ok".into() }]);
    assert_eq!(history[3].state, State::Failed { reason: "expired".into() });

    assert_eq!(store.outbox_due(at(100), 9).unwrap()[0].letter, id(5));
    assert_eq!(store.trace(id(1)).unwrap()[1].route, Some(RouteId(1)));
    assert_eq!(store.routes(None, id(1)).unwrap()[0].outcome.as_deref(), Some("delivered"));
    assert_eq!(store.invites().unwrap()[0].note, "for Dan");
    assert_eq!(store.warnings_of(BOB).unwrap()[0].kind, "identity_fork");
    assert_eq!(store.setting("card.version").unwrap().as_deref(), Some("3"));
    assert_eq!(store.record(Space("sremp/session"), &[0xb0]).unwrap(), Some(vec![1, 2]));
    assert_eq!(store.inbox(None, 9, false).unwrap().len(), 4);
    assert_eq!(store.unread_of(CAROL).unwrap(), 2);
}

#[test]
fn old_letters_are_found_edited_and_deleted_like_new_ones() {
    let (_folder, path) = golden();
    let store = Store::open(&path, &KEY).unwrap();
    assert_eq!(found(&store, "ferry"), [id(8), id(4), id(2), id(1)]);
    assert_eq!(found(&store, "nine"), [], "it was edited away");
    insert(&store, &incoming(BOB, letter(20, 99, Body::Edit { to: id(2), text: "no".into() })));
    insert(&store, &incoming(CAROL, letter(21, 99, Body::Delete { to: id(8) })));
    insert(&store, &incoming(BOB, letter(22, 99, text("the ferry is gone"))));
    assert_eq!(found(&store, "ferry"), [id(22), id(4), id(1)]);
    assert_eq!(found(&store, "zero"), [], "its words are the same that were indexed");
    assert_eq!(store.check().unwrap(), Vec::<String>::new());
    drop(store);
    assert_eq!(version(&path), newest());
    let store = Store::open(&path, &KEY).unwrap();
    assert_eq!(found(&store, "ferry").len(), 3);
}

#[test]
fn an_updated_database_has_the_schema_of_a_new_one() {
    let (_folder, path) = golden();
    drop(Store::open(&path, &KEY).unwrap());
    let (store, folder) = crate::store();
    drop(store);
    let schema = |path: &Path| {
        let conn = raw(path);
        let mut statement = conn.prepare("SELECT name, coalesce(sql, '') FROM sqlite_schema ORDER BY name").unwrap();
        let rows = statement.query_map((), |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
        rows.map(Result::unwrap).collect::<Vec<(String, String)>>()
    };
    let fresh = schema(&folder.path().join("letters.db"));
    assert!(fresh.len() > 20);
    assert_eq!(schema(&path), fresh);
}

#[test]
fn a_newer_database_is_left_alone() {
    let (_folder, path) = golden();
    raw(&path).pragma_update(None, "user_version", 99).unwrap();
    let error = Store::open(&path, &KEY).unwrap_err();
    assert!(matches!(error, Error::Newer { found: 99, known } if known == newest()), "{error}");
    assert_eq!(error.kind(), ErrorKind::BadInput);
    assert_eq!(version(&path), 99);
}

#[test]
fn a_database_of_another_program_is_left_alone() {
    let (_folder, path) = golden();
    raw(&path).pragma_update(None, "application_id", 7).unwrap();
    assert!(matches!(Store::open(&path, &KEY), Err(Error::WrongKey)));
    assert_eq!(version(&path), 1);
}
