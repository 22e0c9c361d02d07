//! A process is killed while it commits; what it had reported must be there.

use crate::{BOB, KEY, at, id, insert, letter, outgoing, text};
use std::{
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Command, Stdio},
};
use waypost_core::{Change, Records, Space};
use waypost_store::{Direction, OutboxRow, Store};

const FOLDER: &str = "WAYPOST_TEST_CRASH_FOLDER";
const SPACE: Space = Space("test/crash");
/// How many letters there are of each transaction.
const EACH: u64 = 3;

#[test]
fn what_was_reported_before_a_kill_is_there_after_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("letters.db");
    let mut done = 0;
    // The last ones are long enough for the log to be copied into the database meanwhile.
    for reports in [1, 2, 30, 5, 400, 700] {
        let reported = kill_after(reports, folder.path());
        assert!(reported.len() >= reports, "the child stopped early");
        assert!(reported.iter().copied().eq(done..done + reported.len() as u64), "{reported:?}");
        let store = Store::open(&path, &KEY).unwrap();
        let last = committed(&store);
        let missing = (done + reported.len() as u64).saturating_sub(last);
        assert_eq!(missing, 0, "{missing} reported transactions are lost");
        assert!(last <= done + reported.len() as u64 + 1, "only the one in flight may be there too");
        for number in done..last {
            for part in 0..EACH {
                let letter = id(number * EACH + part);
                assert!(store.letter(BOB, Direction::Out, letter).unwrap().is_some(), "a part of {number} is lost");
                assert!(store.outbox_row(BOB, letter).unwrap().is_some(), "a part of {number} is lost");
            }
        }
        assert_eq!(store.letter(BOB, Direction::Out, id(last * EACH)).unwrap(), None, "a part of {last} is there");
        assert_eq!(store.letter_len().unwrap(), last * EACH);
        assert_eq!(store.outbox_len().unwrap(), last * EACH);
        assert_eq!(store.check().unwrap(), Vec::<String>::new());
        done = last;
    }
}

/// Starts this program as a child, kills it after so many reports, and gives all it had reported.
fn kill_after(reports: usize, folder: &Path) -> Vec<u64> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "crash::child_commits_and_reports", "--ignored", "--nocapture", "--test-threads=1"])
        .env(FOLDER, folder)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut reported = Vec::new();
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        if let Some(number) = line.unwrap().strip_prefix("committed ") {
            reported.push(number.parse().unwrap());
        }
        if reported.len() == reports {
            child.kill().unwrap();
        }
    }
    assert!(!child.wait().unwrap().success(), "it was killed, it did not end");
    reported
}

fn committed(store: &Store) -> u64 {
    let record = store.record(SPACE, b"committed").unwrap();
    record.map_or(0, |bytes| u64::from_be_bytes(bytes.try_into().unwrap()))
}

#[test]
#[ignore = "the other end of the test above, which starts it"]
fn child_commits_and_reports() {
    let Some(folder) = std::env::var_os(FOLDER) else {
        return;
    };
    let mut store = Store::open(&Path::new(&folder).join("letters.db"), &KEY).unwrap();
    let mut out = std::io::stdout();
    for number in committed(&store).. {
        store.begin().unwrap();
        for letter_id in number * EACH..(number + 1) * EACH {
            insert(&store, &outgoing(BOB, letter(letter_id, number, text("what was said before the crash"))));
            let row =
                OutboxRow { contact: BOB, letter: id(letter_id), attempts: 0, next_try: at(number), created: at(0) };
            store.put_outbox(&row).unwrap();
        }
        let value = Some((number + 1).to_be_bytes().to_vec());
        store.apply(&[Change { space: SPACE, key: b"committed".to_vec(), value }]).unwrap();
        store.commit().unwrap();
        writeln!(out, "\ncommitted {number}").unwrap();
        out.flush().unwrap();
    }
}
