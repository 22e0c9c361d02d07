//! The file itself: whose it is, and what a torn one still has.

use crate::crash;
use futures::executor::block_on;
use rand::RngExt;
use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
};
use waypost_core::{ErrorKind, HasKind, Lane, MailboxDone, MailboxId, MailboxOp, Wall};
use waypost_mailbox::{
    Config, Embedded, Error, Mailbox,
    conformance::replay::{self, Step},
};
use waypost_testkit::SimRng;

#[test]
fn is_its_owners_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("new/mailboxes.db");
    let engine = Embedded::open(&path, Config::default()).unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(path.parent().unwrap()), 0o700);
    for ending in ["", "-wal", "-shm", ".lock"] {
        assert_eq!(mode(&folder.path().join(format!("new/mailboxes.db{ending}"))), 0o600, "{ending}");
    }
    engine.close().unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    let _engine = Embedded::open(&path, Config::default()).unwrap();
    assert_eq!(mode(&path), 0o600);
}

#[test]
fn is_one_engines_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mailboxes.db");
    let engine = Embedded::open(&path, Config::default()).unwrap();
    let refused = Embedded::open(&path, Config::default()).unwrap_err();
    assert!(matches!(refused, Error::InUse(_)), "{refused}");
    assert_eq!(refused.kind(), ErrorKind::Conflict);
    let other = engine.clone();
    drop(engine);
    assert!(Embedded::open(&path, Config::default()).is_err(), "a clone still has it");
    drop(other);
    Embedded::open(&path, Config::default()).unwrap();
}

#[test]
fn closes_after_what_was_submitted() {
    let folder = tempfile::tempdir().unwrap();
    let engine = crash::open(folder.path());
    let under_way: Vec<_> = (0..50).map(|number| engine.commit(crash::now(), crash::batch(number))).collect();
    engine.close().unwrap();
    for done in under_way {
        assert_eq!(block_on(done).unwrap().len(), 3);
    }
    let late = block_on(engine.commit(crash::now(), crash::batch(50)));
    assert!(matches!(late, Err(Error::Closed)), "{late:?}");
    let late = block_on(engine.commit(crash::now(), vec![]));
    assert!(matches!(late, Err(Error::Closed)), "{late:?}");
    engine.close().unwrap();
    drop(engine);
    assert!(!folder.path().join("mailboxes.db-wal").exists(), "the log was taken over");
    crash::check(&crash::open(folder.path()), 50);
}

#[test]
fn says_how_much_it_takes() {
    let folder = tempfile::tempdir().unwrap();
    let engine = crash::open(folder.path());
    let before = block_on(engine.size()).unwrap();
    for number in 0..20 {
        block_on(engine.commit(crash::now(), crash::batch(number))).unwrap();
    }
    let after = block_on(engine.size()).unwrap();
    assert!(after.bytes > 100_000 && after.stored_bytes.unwrap() > before.stored_bytes.unwrap() + after.bytes);
    let disk = after.disk.unwrap();
    assert!(disk.free <= disk.total && disk.total > 0);
}

/// However many read meanwhile.
#[test]
fn the_log_does_not_grow_without_end() {
    const BATCHES: u64 = 7000;
    let folder = tempfile::tempdir().unwrap();
    let engine = crash::open(folder.path());
    let is_done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while !is_done.load(Ordering::Relaxed) {
                    crash::committed(&engine);
                }
            });
        }
        let mut longest = 0;
        // About twice as much as the bound below.
        for first in (0..BATCHES).step_by(100) {
            let batches = (first..first + 100).map(|number| engine.commit(crash::now(), crash::batch(number)));
            for done in batches.collect::<Vec<_>>() {
                block_on(done).unwrap();
            }
            longest = longest.max(fs::metadata(folder.path().join("mailboxes.db-wal")).unwrap().len());
        }
        is_done.store(true, Ordering::Relaxed);
        assert!((12 << 20..24 << 20).contains(&longest), "{longest} bytes of log");
    });
    crash::check(&engine, BATCHES);
}

/// A client that asks again and again costs no sync of the disk.
#[test]
fn what_changes_nothing_is_not_written() {
    let folder = tempfile::tempdir().unwrap();
    let engine = crash::open(folder.path());
    let batch = crash::batch(0);
    let MailboxOp::Put(put) = batch[0].clone() else { panic!() };
    let stored_bytes = || block_on(engine.size()).unwrap().stored_bytes.unwrap();
    block_on(engine.commit(crash::now(), batch)).unwrap();
    let before = stored_bytes();
    let (mailbox, lane, seq) = (put.mailbox.clone(), Lane::Notices, 7);
    let mut under_way = Vec::new();
    for _ in 0..20 {
        let asks = [
            MailboxOp::AckUpTo { mailbox: mailbox.clone(), lane, seq },
            MailboxOp::Put(put.clone()),
            MailboxOp::Purge { mailbox: MailboxId { owner: b"nobody".to_vec(), ..mailbox.clone() } },
            MailboxOp::Usage { mailbox: mailbox.clone() },
        ];
        under_way.push(engine.commit(crash::now(), asks.to_vec()));
    }
    for done in under_way {
        assert!(matches!(block_on(done).unwrap()[1], MailboxDone::Put { again: true, .. }));
    }
    assert_eq!(block_on(engine.expire(crash::now(), 10)).unwrap(), 0);
    assert_eq!(stored_bytes(), before);
}

#[test]
fn refuses_what_is_no_file_of_mailboxes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mailboxes.db");
    fs::write(&path, vec![7; 10_000]).unwrap();
    let refused = Embedded::open(&path, Config::default()).unwrap_err();
    assert!(matches!(refused, Error::Damaged(_)), "{refused}");
    assert_eq!(fs::read(&path).unwrap(), vec![7; 10_000], "it is left as it was");
}

#[test]
fn refuses_keys_that_are_too_long() {
    let folder = tempfile::tempdir().unwrap();
    let engine = crash::open(folder.path());
    let long = crash::batch(0).into_iter().map(|op| match op {
        MailboxOp::Put(mut put) => {
            put.key = vec![7; 129];
            MailboxOp::Put(put)
        }
        op => op,
    });
    let refused = block_on(engine.commit(crash::now(), long.collect())).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Internal);
}

/// A power loss can leave any end of the log unwritten, or written as something else.
#[test]
fn a_torn_end_costs_what_was_in_it_and_nothing_before() {
    let folder = tempfile::tempdir().unwrap();
    let log = |folder: &Path| folder.join("mailboxes.db-wal");
    let engine = crash::open(folder.path());
    let mut ends = Vec::new();
    for number in 0..40 {
        block_on(engine.commit(crash::now(), crash::batch(number))).unwrap();
        ends.push(fs::metadata(log(folder.path())).unwrap().len());
    }
    assert!(ends.is_sorted_by(|a, b| a < b), "the log was not taken over meanwhile: {ends:?}");
    let mut rng = SimRng::new(7);
    for round in 0..45 {
        let torn = tempfile::tempdir().unwrap();
        for ending in ["", "-wal"] {
            let name = format!("mailboxes.db{ending}");
            fs::copy(folder.path().join(&name), torn.path().join(&name)).unwrap();
        }
        let mut bytes = fs::read(log(torn.path())).unwrap();
        let tear = rng.random_range(0..bytes.len());
        match round % 3 {
            0 => bytes.truncate(tear),
            1 => bytes[tear] ^= 1 << rng.random_range(0..8),
            _ => rng.fill(&mut bytes[tear..]),
        }
        fs::write(log(torn.path()), &bytes).unwrap();
        let whole = ends.iter().filter(|end| **end <= tear as u64).count() as u64;
        let engine = Embedded::open(&torn.path().join("mailboxes.db"), Config::default()).unwrap();
        let committed = crash::committed(&engine);
        assert!(committed >= whole, "torn at {tear}: {committed} of {whole}");
        assert!(committed <= 40);
        drop(engine);
        if committed > 0 {
            crash::check(&crash::open(torn.path()), committed);
        }
    }
}

/// What nobody can see any more must not fill the file.
#[test]
fn nothing_is_left_of_what_has_gone() {
    for seed in 0..10 {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mailboxes.db");
        let engine = Embedded::open(&path, Config::default()).unwrap();
        let (mut rng, mut now) = (SimRng::new(seed), 0);
        let bytes: Vec<u8> = (0..3000).map(|_| rng.random()).collect();
        let expire = |now| while block_on(engine.expire(now, 10)).unwrap() >= 10 {};
        for step in replay::steps(&bytes) {
            let moment = crash::now().after(std::time::Duration::from_millis(now));
            match step {
                Step::Batch(later, batch) => {
                    block_on(engine.commit(moment, batch)).unwrap();
                    now += later;
                }
                _ => expire(moment),
            }
        }
        expire(Wall::from_millis(u64::MAX - 1));
        engine.close().unwrap();
        let file = rusqlite::Connection::open(&path).unwrap();
        for table in ["item", "known", "sender", "due", "content"] {
            let rows =
                file.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get::<_, i64>(0)).unwrap();
            assert_eq!(rows, 0, "rows left in {table}, seed {seed}");
        }
        let sql = "SELECT count(*) FROM record WHERE hex(substr(v, 1, 8)) <> 'FFFFFFFFFFFFFFFF'";
        let rows = file.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
        assert_eq!(rows, 0, "records that were over");
        let check = file.query_row("PRAGMA integrity_check", [], |row| row.get::<_, String>(0)).unwrap();
        assert_eq!(check, "ok");
    }
}
