use crate::{BOB, KEY, id, insert, letter, outgoing, store, text};
use waypost_core::{Change, ErrorKind, HasKind, Records, Space};
use waypost_store::{Error, Store};

const SPACE: Space = Space("test/things");

fn put(key: &str, value: &str) -> Change {
    Change { space: SPACE, key: key.into(), value: Some(value.into()) }
}

#[test]
fn what_was_committed_is_there_after_opening_again_and_the_rest_is_not() {
    let (mut store, folder) = store();
    store.begin().unwrap();
    insert(&store, &outgoing(BOB, letter(1, 0, text("kept"))));
    store.apply(&[put("a", "1")]).unwrap();
    store.commit().unwrap();
    store.begin().unwrap();
    insert(&store, &outgoing(BOB, letter(2, 0, text("lost"))));
    store.apply(&[put("a", "2"), put("b", "2")]).unwrap();
    assert_eq!(store.record(SPACE, b"a").unwrap(), Some(b"2".to_vec()), "reads see what was written");
    assert_eq!(store.history(BOB, None, 9).unwrap().len(), 2);
    drop(store);

    let store = Store::open(&folder.path().join("letters.db"), &KEY).unwrap();
    assert_eq!(store.record(SPACE, b"a").unwrap(), Some(b"1".to_vec()));
    assert_eq!(store.record(SPACE, b"b").unwrap(), None);
    let history = store.history(BOB, None, 9).unwrap();
    assert_eq!(history.iter().map(|entry| entry.letter.id).collect::<Vec<_>>(), [id(1)]);
    assert!(store.search("lost", None, 9).unwrap().is_empty());
    assert_eq!(store.check().unwrap(), Vec::<String>::new());
}

#[test]
fn one_failed_step_of_a_batch_can_be_taken_back() {
    let (mut store, _folder) = store();
    store.begin().unwrap();
    store.apply(&[put("a", "1")]).unwrap();
    store.savepoint().unwrap();
    store.apply(&[put("b", "1")]).unwrap();
    store.savepoint().unwrap();
    store.apply(&[put("c", "1")]).unwrap();
    store.rollback_to().unwrap();
    store.apply(&[put("d", "1")]).unwrap();
    store.release().unwrap();
    store.savepoint().unwrap();
    store.apply(&[put("a", "9")]).unwrap();
    store.rollback_to().unwrap();
    store.commit().unwrap();
    let keys: Vec<_> = store.records(SPACE, b"", None, 9).unwrap();
    let expected = ["a", "b", "d"].map(|key| (key.as_bytes().to_vec(), b"1".to_vec()));
    assert_eq!(keys, expected);
}

#[test]
fn transactions_that_do_not_match_are_refused() {
    let (mut store, _folder) = store();
    assert!(!store.in_transaction());
    assert!(matches!(store.commit(), Err(Error::Misuse(_))));
    assert!(matches!(store.rollback(), Err(Error::Misuse(_))));
    assert!(matches!(store.savepoint(), Err(Error::Misuse(_))));
    store.begin().unwrap();
    assert!(store.in_transaction());
    assert!(matches!(store.begin(), Err(Error::Misuse(_))));
    assert!(matches!(store.release(), Err(Error::Misuse(_))));
    assert!(matches!(store.rollback_to(), Err(Error::Misuse(_))));
    store.rollback().unwrap();
    assert!(!store.in_transaction());
    store.begin().unwrap();
    store.savepoint().unwrap();
    store.commit().unwrap();
    store.begin().unwrap();
    assert!(matches!(store.release(), Err(Error::Misuse(_))), "a commit ends its savepoints");
}

#[test]
fn a_second_process_is_told_that_the_database_is_in_use() {
    let (store, folder) = store();
    let second = Store::open(&folder.path().join("letters.db"), &KEY).unwrap_err();
    assert!(matches!(second, Error::InUse), "{second}");
    assert_eq!(second.kind(), ErrorKind::Conflict);
    drop(store);
    assert!(Store::open(&folder.path().join("letters.db"), &KEY).is_ok());
}

#[test]
fn settings_are_kept_until_cleared() {
    let (store, _folder) = store();
    assert_eq!(store.setting("card.version").unwrap(), None);
    store.set_setting("card.version", "1").unwrap();
    store.set_setting("card.version", "2").unwrap();
    assert_eq!(store.setting("card.version").unwrap().as_deref(), Some("2"));
    assert!(store.clear_setting("card.version").unwrap());
    assert!(!store.clear_setting("card.version").unwrap());
    assert_eq!(store.setting("card.version").unwrap(), None);
}
