//! A process is killed while it commits; what it had reported must be there.

use futures::{StreamExt, executor::block_on, stream::FuturesOrdered};
use rand::RngExt;
use std::{
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};
use waypost_core::{Change, Fetch, MailboxDone, MailboxId, MailboxOp, Put, Quota, Space, Terms, Wall};
use waypost_mailbox::{Config, Embedded, Mailbox};
use waypost_testkit::{SimRng, sim::Counts, storm};

const FOLDER: &str = "WAYPOST_TEST_CRASH_FOLDER";
const OWNERS: [u8; 2] = [1, 2];
/// Letters the first one keeps; older ones are acknowledged.
const KEPT: u64 = 50;
/// Batches under way at once.
const FLIGHT: usize = 32;

#[test]
fn what_was_reported_before_a_kill_is_there_after_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut done = 0;
    // Contents of up to 8 KiB twice a batch: at the last ones the log has been taken over several times.
    for reports in [1, 2, 30, 5, 400, 5000] {
        done = kill_and_check(folder.path(), done, reports);
    }
}

#[test]
fn storm_of_kills() {
    storm::run("kills of a mailbox engine", 3, |seed| {
        let mut rng = SimRng::new(seed);
        let folder = tempfile::tempdir().unwrap();
        let mut done = 0;
        for _ in 0..2 {
            done = kill_and_check(folder.path(), done, rng.random_range(1..300));
        }
        Counts::from([("kills", 2), ("batches", done)])
    });
}

/// Lets a child commit, kills it after so many reports, and looks at what is there; how many batches it is.
fn kill_and_check(folder: &Path, before: u64, reports: usize) -> u64 {
    let reported = kill_after(reports, folder);
    assert!(reported.len() >= reports, "the child stopped early");
    assert!(reported.iter().copied().eq(before..before + reported.len() as u64), "{reported:?}");
    let engine = open(folder);
    let committed = committed(&engine);
    let missing = (before + reported.len() as u64).saturating_sub(committed);
    assert_eq!(missing, 0, "{missing} reported batches are lost");
    assert!(committed <= before + reported.len() as u64 + FLIGHT as u64 + 1, "more than was under way");
    check(&engine, committed);
    committed
}

/// Each batch up to `committed` is there whole, and nothing else.
pub(crate) fn check(engine: &Embedded, committed: u64) {
    for owner in OWNERS {
        let first = if owner == OWNERS[0] { committed.saturating_sub(KEPT) } else { 0 };
        let mut next = first;
        loop {
            let since = Wall::from_millis(0);
            let (items, bytes) = (500, usize::MAX);
            let fetch = Fetch { mailbox: mailbox(owner), after: next, since, items, bytes, item_cost: 0 };
            let page = block_on(engine.fetch(now(), fetch)).unwrap();
            for item in page.items {
                assert_eq!((item.seq, item.key), (next + 1, next.to_be_bytes().to_vec()));
                assert_eq!(item.value, content(next), "the content of {next}");
                next += 1;
            }
            if !page.has_more {
                break;
            }
        }
        assert_eq!(next, committed, "letters of {owner}");
        let usage = block_on(engine.usage(now(), mailbox(owner))).unwrap();
        assert_eq!((usage.letters, usage.last_seq), (committed - first, committed));
    }
    let size = block_on(engine.size()).unwrap();
    assert_eq!(size.items, committed + committed.min(KEPT));
}

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

#[test]
#[ignore = "the other end of the tests above, which start it"]
fn child_commits_and_reports() {
    let Some(folder) = std::env::var_os(FOLDER) else {
        return;
    };
    let engine = open(Path::new(&folder));
    let mut out = std::io::stdout();
    let mut next = committed(&engine);
    let (mut reported, mut under_way) = (next, FuturesOrdered::new());
    loop {
        while under_way.len() < FLIGHT {
            under_way.push_back(engine.commit(now(), batch(next)));
            next += 1;
        }
        let done = block_on(under_way.next()).unwrap().unwrap();
        assert!(!matches!(done.last(), Some(MailboxDone::Refused(_))), "{done:?}");
        writeln!(out, "\ncommitted {reported}").unwrap();
        out.flush().unwrap();
        reported += 1;
    }
}

/// The engine with the mailboxes open.
pub(crate) fn open(folder: &Path) -> Embedded {
    let engine = Embedded::open(&folder.join("mailboxes.db"), Config::default()).unwrap();
    let terms = Terms { item_bytes: 1 << 20, keep: Duration::MAX, until: Wall::from_millis(u64::MAX) };
    let opens = OWNERS.map(|owner| MailboxOp::Open { mailbox: mailbox(owner), terms });
    block_on(engine.commit(now(), opens.to_vec())).unwrap();
    engine
}

pub(crate) fn committed(engine: &Embedded) -> u64 {
    let read = MailboxOp::Read { space: Space("test/crash"), key: b"committed".to_vec() };
    match block_on(engine.commit(now(), vec![read])).unwrap().remove(0) {
        MailboxDone::Record(record) => record.map_or(0, |bytes| u64::from_be_bytes(bytes.try_into().unwrap())),
        done => panic!("{done:?}"),
    }
}

/// A letter in each mailbox, an old one acknowledged, and the count.
pub(crate) fn batch(number: u64) -> Vec<MailboxOp> {
    let quota =
        Quota { item_bytes: 1 << 20, items: u64::MAX, bytes: u64::MAX, from_items: u64::MAX, from_bytes: u64::MAX };
    let letters = OWNERS.map(|owner| {
        let (digest, from, value) = ([1; 32], b"bob".to_vec(), content(number));
        let (mailbox, key, remember) = (mailbox(owner), number.to_be_bytes().to_vec(), Duration::MAX);
        MailboxOp::Put(Put { mailbox, key, digest, from, value, quota, remember })
    });
    let value = Some((number + 1).to_be_bytes().to_vec());
    let change = Change { space: Space("test/crash"), key: b"committed".to_vec(), value };
    let old = number.checked_sub(KEPT).map(|old| old.to_be_bytes().to_vec());
    let acks = old.map(|key| MailboxOp::Ack { mailbox: mailbox(OWNERS[0]), key });
    [letters.to_vec(), Vec::from_iter(acks), vec![MailboxOp::Write { change, expires: None }]].concat()
}

fn content(number: u64) -> Vec<u8> {
    vec![number as u8; (number * 997 % 8192) as usize]
}

fn mailbox(owner: u8) -> MailboxId {
    MailboxId { space: Space("test/crash"), owner: vec![owner] }
}

pub(crate) fn now() -> Wall {
    Wall::from_millis(1_790_000_000_000)
}
