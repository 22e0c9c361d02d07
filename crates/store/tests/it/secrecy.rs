use crate::{BOB, KEY, incoming, insert, letter, outgoing, store, text};
use std::{fs, path::Path};
use waypost_core::{Change, ErrorKind, HasKind, Space};
use waypost_store::{Error, Store};

const MARK: &str = "Xylophonquarkstrudel";

fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    fs::read_dir(folder)
        .unwrap()
        .map(|entry| {
            let path = entry.unwrap().path();
            (path.file_name().unwrap().to_str().unwrap().to_owned(), fs::read(&path).unwrap())
        })
        .collect()
}

fn contains(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

#[test]
fn no_text_is_in_the_clear_in_any_file() {
    let (mut store, folder) = store();
    store.begin().unwrap();
    for number in 0..500 {
        insert(&store, &incoming(BOB, letter(number, 0, text(&format!("{MARK} {number}")))));
    }
    store.apply(&[Change { space: Space(MARK), key: MARK.into(), value: Some(MARK.into()) }]).unwrap();
    store.commit().unwrap();
    let while_open = files(folder.path());
    assert!(while_open.iter().any(|(name, bytes)| name == "letters.db-wal" && bytes.len() > 100_000));
    drop(store);
    let after = files(folder.path());
    assert!(after.iter().any(|(name, bytes)| name == "letters.db" && bytes.len() > 100_000));
    for (name, bytes) in while_open.iter().chain(&after) {
        for text in [MARK, &MARK.to_lowercase(), "SQLite format", "CREATE TABLE"] {
            assert!(!contains(bytes, text), "{text} in {name}");
        }
    }
}

#[test]
fn the_wrong_key_is_told_apart() {
    let (store, folder) = store();
    drop(store);
    let path = folder.path().join("letters.db");
    let error = Store::open(&path, &[8; 32]).unwrap_err();
    assert!(matches!(error, Error::WrongKey), "{error}");
    assert_eq!(error.kind(), ErrorKind::Locked);
    assert!(Store::open(&path, &KEY).is_ok(), "and does no harm");
}

#[test]
fn another_file_is_not_taken_for_a_database() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("letters.db");
    let content = "not a database ".repeat(1000);
    fs::write(&path, &content).unwrap();
    assert!(matches!(Store::open(&path, &KEY), Err(Error::WrongKey)));
    assert_eq!(fs::read_to_string(&path).unwrap(), content);
}

#[test]
fn a_damaged_page_is_noticed() {
    let (mut store, folder) = store();
    store.begin().unwrap();
    for number in 0..500 {
        insert(&store, &incoming(BOB, letter(number, 0, text("a text to fill some pages with"))));
    }
    store.commit().unwrap();
    drop(store);
    let path = folder.path().join("letters.db");
    let mut bytes = fs::read(&path).unwrap();
    let middle = bytes.len() - 3 * 4096 + 100;
    bytes[middle] ^= 1;
    fs::write(&path, &bytes).unwrap();
    let store = Store::open(&path, &KEY).unwrap();
    assert!(!store.check().unwrap().is_empty());
}

#[cfg(unix)]
#[test]
fn only_its_owner_reads_it() {
    use std::os::unix::fs::PermissionsExt;
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().join("a/b");
    let path = home.join("letters.db");
    let store = Store::open(&path, &KEY).unwrap();
    insert(&store, &outgoing(BOB, letter(1, 0, text("a"))));
    assert_eq!(mode(&home), 0o700);
    assert!(files(&home).len() >= 2, "the log is there too");
    for (name, _) in files(&home) {
        assert_eq!(mode(&home.join(&name)), 0o600, "{name}");
    }
    drop(store);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    let store = Store::open(&path, &KEY).unwrap();
    insert(&store, &outgoing(BOB, letter(2, 0, text("a"))));
    for (name, _) in files(&home) {
        assert_eq!(mode(&home.join(&name)), 0o600, "{name} is protected again");
    }
}

#[test]
fn a_copy_is_as_secret_and_as_whole() {
    let (mut store, folder) = store();
    store.begin().unwrap();
    for number in 0..200 {
        insert(&store, &incoming(BOB, letter(number, 0, text(&format!("{MARK} {number}")))));
    }
    store.commit().unwrap();
    let copy = folder.path().join("copy.db");
    store.begin().unwrap();
    assert!(matches!(store.copy_to(&copy), Err(Error::Misuse(_))));
    store.rollback().unwrap();
    store.copy_to(&copy).unwrap();
    let again = store.copy_to(&copy).unwrap_err();
    assert!(
        matches!(&again, Error::Io { source, .. } if source.kind() == std::io::ErrorKind::AlreadyExists),
        "{again}"
    );
    insert(&store, &incoming(BOB, letter(200, 0, text("after the copy"))));

    for (name, bytes) in files(folder.path()) {
        for text in [MARK, "SQLite format", "CREATE TABLE"] {
            assert!(!contains(&bytes, text), "{text} in {name}");
        }
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(fs::metadata(&copy).unwrap().permissions().mode() & 0o777, 0o600);
    }
    assert!(matches!(Store::open(&copy, &[8; 32]), Err(Error::WrongKey)));
    let copy = Store::open(&copy, &KEY).unwrap();
    assert_eq!(copy.check().unwrap(), Vec::<String>::new());
    assert_eq!(copy.history(BOB, None, 999).unwrap(), store.history(BOB, None, 200 + 1).unwrap()[..200]);
    assert_eq!(copy.search("199", None, 9).unwrap().len(), 1);
}

#[cfg(unix)]
#[test]
fn a_folder_behind_a_link_is_fine() {
    let (store, folder) = store();
    drop(store);
    let link = folder.path().join("link");
    std::os::unix::fs::symlink(folder.path(), &link).unwrap();
    assert!(Store::open(&link.join("letters.db"), &KEY).is_ok());
}
