//! A batch is one thing.

use super::{Bench, LARGE, Subject, ack, change, letter, mailbox, notice, read};
use crate::Mailbox;
use futures::future::join_all;
use waypost_core::{MailboxDone, MailboxOp, Put, Quota, Refusal, Usage};

/// Neither what came before the refusal nor what came after it.
pub fn that_are_refused_change_nothing<S: Subject>() {
    let bench = Bench::<S>::opened([1, 2]);
    bench.put(1, letter(1, b"a"));
    bench.one(1, MailboxOp::Notice(notice(2, b"word")));
    bench.one(1, change(b"key", b"before"));
    let size = bench.size();
    let batch = vec![
        MailboxOp::Put(letter(1, b"b")),
        ack(1, b"a"),
        MailboxOp::Notice(notice(3, b"new mailbox")),
        MailboxOp::Purge { mailbox: mailbox(2) },
        change(b"key", b"after"),
        change(b"other", b"new"),
        ack(1, b"not there"),
        MailboxOp::Put(letter(1, b"c")),
    ];
    let done = bench.run(2, batch);
    assert_eq!(done.len(), 7, "the answers end with the refusal");
    assert_eq!(done.last(), Some(&MailboxDone::Refused(Refusal::NotFound)));
    assert_eq!(bench.keys(3, 1), [b"a"]);
    assert_eq!(bench.usage(3, 1).last_seq, 1);
    assert_eq!(bench.usage(3, 2), Usage { open: true, notices: 1, last_seq: 1, ..Usage::default() });
    assert_eq!(bench.usage(3, 3), Usage::default());
    assert_eq!((bench.record(3, b"key"), bench.record(3, b"other")), (Some(b"before".to_vec()), None));
    assert_eq!(bench.size(), size);
    let bench = bench.crash();
    assert_eq!((bench.keys(3, 1), bench.size()), (vec![b"a".to_vec()], size));
    assert_eq!(bench.put(4, letter(1, b"b")).seq, 2);
}

/// Each operation after those before it.
pub fn see_their_own_changes<S: Subject>() {
    let bench = Bench::<S>::opened([1]);
    let usage = || MailboxOp::Usage { mailbox: mailbox(1) };
    let batch = vec![
        MailboxOp::Put(letter(1, b"a")),
        usage(),
        MailboxOp::Put(letter(1, b"a")),
        ack(1, b"a"),
        usage(),
        change(b"key", b"value"),
        read(b"key"),
    ];
    let done = bench.run(1, batch);
    let used = |letters, bytes| MailboxDone::Usage(Usage { open: true, letters, bytes, notices: 0, last_seq: 1 });
    assert!(matches!(done[0], MailboxDone::Put { seq: 1, again: false, .. }));
    assert_eq!(done[1], used(1, 12));
    assert!(matches!(done[2], MailboxDone::Put { seq: 1, again: true, .. }));
    assert_eq!((&done[3], &done[4]), (&MailboxDone::Done, &used(0, 0)));
    assert_eq!(done[6], MailboxDone::Record(Some(b"value".to_vec())));
}

/// Neither an error nor a wait.
pub fn of_nothing_have_no_answers<S: Subject>() {
    assert_eq!(Bench::<S>::new().run(0, vec![]), []);
}

/// Seq goes on where it was, keys are remembered, nobody can leave letters.
pub fn purge_a_mailbox_but_not_its_counter<S: Subject>() {
    let bench = Bench::<S>::opened([1]);
    bench.put(1, letter(1, b"a"));
    bench.one(1, MailboxOp::Notice(notice(1, b"word")));
    assert_eq!(bench.one(2, MailboxOp::Purge { mailbox: mailbox(1) }), MailboxDone::Done);
    assert_eq!(bench.usage(2, 1), Usage { last_seq: 2, ..Usage::default() });
    assert_eq!(bench.refused(2, MailboxOp::Put(letter(1, b"b"))), Refusal::NoMailbox);
    bench.open(3, 1, super::TERMS);
    assert!(bench.put(3, letter(1, b"a")).again);
    assert_eq!(bench.put(3, letter(1, b"b")).seq, 3);
    assert_eq!(bench.one(4, MailboxOp::Purge { mailbox: mailbox(9) }), MailboxDone::Done, "never there");
}

/// Batches may share a commit, never a fate.
pub fn refused_do_not_hurt_their_neighbours<S: Subject>() {
    let bench = Bench::<S>::opened([1]);
    let calls = (0..200_u8).map(|key| {
        let quota = if key % 3 == 0 { Quota { items: 0, ..LARGE } } else { LARGE };
        let record = change(&[key], b"value");
        bench.engine.commit(super::at(1), vec![record, MailboxOp::Put(Put { quota, ..letter(1, &[key]) })])
    });
    let calls: Vec<_> = calls.collect();
    for (key, done) in (0..200_u8).zip(bench.subject.block_on(join_all(calls))) {
        let is_refused = matches!(done.unwrap().last(), Some(MailboxDone::Refused(Refusal::MailboxFull)));
        assert_eq!(is_refused, key % 3 == 0);
    }
    let stored: Vec<_> = (0..200_u8).filter(|key| key % 3 != 0).collect();
    assert_eq!(bench.keys(2, 1).concat(), stored);
    let kept = (0..200_u8).filter(|key| bench.record(2, &[*key]).is_some());
    assert_eq!(kept.collect::<Vec<_>>(), stored);
    assert_eq!(bench.usage(2, 1).last_seq, stored.len() as u64, "the refused took no seq");
}
