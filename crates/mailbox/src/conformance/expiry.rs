//! What is past its time is not found, and goes.

use super::{Bench, DAY, SPACE, Subject, TERMS, ack, all_of, at, letter, mailbox, notice, recall};
use crate::{Capacity, Mailbox};
use std::time::Duration;
use waypost_core::{Change, Known, MailboxDone, MailboxOp, Notice, Put, Refusal, Terms, Usage};

const HOUR: u64 = 3_600_000;
const DAY_MS: u64 = 24 * HOUR;

/// To the millisecond, before anything was removed.
pub fn hides_letters_at_their_time<S: Subject>() {
    let bench = Bench::<S>::opened([1]);
    bench.put(0, letter(1, b"a"));
    bench.put(10, letter(1, b"b"));
    assert_eq!(bench.seqs(DAY_MS - 1, 1), [1, 2]);
    assert_eq!(bench.seqs(DAY_MS, 1), [2]);
    assert_eq!(bench.usage(DAY_MS, 1), Usage { open: true, letters: 1, bytes: 12, notices: 0, last_seq: 2 });
    assert_eq!(bench.refused(DAY_MS, ack(1, b"a")), Refusal::NotFound);
    assert_eq!(bench.seqs(DAY_MS + 10, 1), [0; 0]);
    bench.expire(DAY_MS + 10);
    assert_eq!(bench.size(), (0, 0));
}

/// What lies in a mailbox goes by its terms of now.
pub fn follows_terms_that_change<S: Subject>() {
    let bench = Bench::<S>::opened([1]);
    bench.put(0, letter(1, b"a"));
    bench.open(HOUR, 1, Terms { keep: 2 * DAY, ..TERMS });
    assert_eq!(bench.seqs(2 * DAY_MS - 1, 1), [1]);
    bench.expire(2 * DAY_MS - 1);
    bench.open(2 * DAY_MS - 1, 1, Terms { keep: 3 * DAY, ..TERMS });
    assert_eq!(bench.seqs(2 * DAY_MS, 1), [1]);
    bench.open(2 * DAY_MS, 1, Terms { keep: DAY, ..TERMS });
    assert_eq!(bench.seqs(2 * DAY_MS, 1), [0; 0]);
    bench.open(2 * DAY_MS, 1, Terms { keep: 9 * DAY, ..TERMS });
    assert_eq!(bench.seqs(2 * DAY_MS, 1), [0; 0], "gone is gone");
}

/// Longer terms come too late for what was past its time.
pub fn brings_nothing_back<S: Subject>() {
    let bench = Bench::<S>::opened([1]);
    bench.put(0, letter(1, b"a"));
    bench.put(5, letter(1, b"b"));
    bench.open(DAY_MS, 1, Terms { keep: 9 * DAY, ..TERMS });
    assert_eq!(bench.seqs(DAY_MS, 1), [2]);
    assert_eq!(bench.put(DAY_MS, letter(1, b"a")).seq, 1, "its key is still known");
}

/// As long as was promised, and as long as its letter is kept.
pub fn forgets_a_key_in_its_time<S: Subject>() {
    let bench = Bench::<S>::opened([1]);
    let known = |now, key: &[u8]| match bench.one(now, recall(1, key)) {
        MailboxDone::Known(known) => known.map(|Known { seq, .. }| seq),
        done => panic!("{done:?}"),
    };
    let hour = Duration::from_millis(HOUR);
    bench.put(0, Put { remember: hour, ..letter(1, b"short") });
    bench.put(0, letter(1, b"long"));
    bench.put(0, Put { remember: hour, ..letter(1, b"taken") });
    bench.one(1, ack(1, b"taken"));
    assert_eq!([known(HOUR - 1, b"taken"), known(HOUR, b"taken")], [Some(None), None]);
    for (now, short, long) in [
        (HOUR, Some(Some(1)), Some(Some(2))),
        (DAY_MS - 1, Some(Some(1)), Some(Some(2))),
        (DAY_MS, None, Some(Some(2))),
        (DAY_MS + 1, None, Some(None)),
        (2 * DAY_MS - 1, None, Some(None)),
        (2 * DAY_MS, None, None),
    ] {
        assert_eq!([known(now, b"short"), known(now, b"long")], [short, long], "{now}");
        bench.expire(now);
        assert_eq!([known(now, b"short"), known(now, b"long")], [short, long], "{now}, expired");
    }
    assert_eq!(bench.put(2 * DAY_MS, letter(1, b"long")).seq, 4, "a forgotten key is a new one");
}

/// Then it is as if it had been purged.
pub fn ends_a_mailbox_that_is_not_opened_again<S: Subject>() {
    let bench = Bench::<S>::opened([1, 2]);
    let terms = Terms { until: at(HOUR), ..TERMS };
    for owner in [1, 2] {
        bench.open(0, owner, terms);
    }
    for owner in [1, 2] {
        bench.put(0, letter(owner, b"a"));
    }
    bench.one(0, MailboxOp::Notice(notice(1, b"word")));
    bench.open(HOUR - 1, 2, TERMS);
    assert_eq!((bench.seqs(HOUR - 1, 1), bench.usage(HOUR - 1, 1).open), (vec![1, 2], true));
    assert_eq!(bench.seqs(HOUR, 1), [0; 0]);
    assert_eq!(bench.usage(HOUR, 1), Usage { last_seq: 2, ..Usage::default() });
    assert_eq!(bench.refused(HOUR, MailboxOp::Put(letter(1, b"b"))), Refusal::NoMailbox);
    bench.one(HOUR, MailboxOp::Notice(notice(1, b"later")));
    assert_eq!(bench.seqs(HOUR, 1), [3], "a notice needs no open mailbox");
    bench.expire(HOUR);
    assert_eq!((bench.seqs(HOUR, 1), bench.seqs(HOUR, 2), bench.size().0), (vec![3], vec![1], 2));
    bench.open(HOUR, 1, TERMS);
    assert_eq!(bench.put(HOUR, letter(1, b"a")).seq, 1, "its keys are still known");
    assert_eq!(bench.put(HOUR, letter(1, b"c")).seq, 4);
}

/// The term of a notice is its own.
pub fn takes_each_notice_at_its_own_time<S: Subject>() {
    let bench = Bench::<S>::new();
    for keep in [30, 10, 20, 10] {
        bench.one(0, MailboxOp::Notice(Notice { keep: Duration::from_millis(keep), most: 4, ..notice(1, b"word") }));
    }
    for (now, seqs) in [(9, vec![1, 2, 3, 4]), (10, vec![1, 3]), (20, vec![1]), (30, vec![])] {
        assert_eq!((bench.seqs(now, 1), bench.usage(now, 1).notices), (seqs.clone(), seqs.len() as u64));
        if now == 10 {
            let keep = Duration::from_millis(100);
            bench.one(10, MailboxOp::Notice(Notice { keep, most: 3, ..notice(2, b"other") }));
        }
    }
    // What is past its time does not push out what is not.
    bench.one(10, MailboxOp::Notice(Notice { keep: Duration::from_millis(1), most: 3, ..notice(2, b"brief") }));
    for now in [12, 12] {
        bench.one(now, MailboxOp::Notice(Notice { most: 3, ..notice(2, b"more") }));
    }
    assert_eq!(bench.seqs(12, 2), [1, 3, 4]);
    bench.expire(30);
    assert_eq!(bench.size().0, 3);
}

/// A record that is over is not there, for whoever asks.
pub fn takes_records_at_their_time<S: Subject>() {
    let bench = Bench::<S>::new();
    let write = |key: &[u8], expires| {
        let change = Change { space: SPACE, key: key.to_vec(), value: Some(b"value".to_vec()) };
        MailboxOp::Write { change, expires }
    };
    bench.run(
        0,
        vec![write(b"a", Some(at(10))), write(b"b", Some(at(20))), write(b"c", None), write(b"d", Some(at(0)))],
    );
    bench.one(0, write(b"b", None));
    bench.one(0, write(b"c", Some(at(10))));
    let there = |now| [b"a", b"b", b"c", b"d"].map(|key| bench.record(now, key).is_some());
    assert_eq!(there(9), [true, true, true, false]);
    assert_eq!(there(10), [false, true, false, false]);
    let scan = MailboxOp::Scan { space: SPACE, prefix: vec![], after: None, limit: 1 };
    assert_eq!(bench.one(10, scan), MailboxDone::Records(vec![(b"b".to_vec(), b"value".to_vec())]));
    let expect = MailboxOp::Expect { space: SPACE, key: b"a".to_vec(), value: None };
    assert_eq!(bench.one(10, expect), MailboxDone::Done);
    bench.expire(30);
    assert_eq!(there(30), [false, true, false, false]);
}

/// A call does a bounded piece of work, and one that does less says that it was the last.
pub fn removes_a_bounded_number_and_ends<S: Subject>() {
    let bench = Bench::<S>::opened([1, 2]);
    for key in 0..100_u8 {
        for owner in [1, 2] {
            bench.put(0, Put { remember: Duration::ZERO, ..letter(owner, &[key]) });
        }
    }
    let expire = |now, limit| bench.subject.block_on(bench.engine.expire(at(now), limit)).unwrap();
    let (mut left, mut calls) = (200, 0);
    while expire(2 * DAY_MS, 30) >= 30 {
        let now_left = bench.size().0;
        assert!(left - now_left <= 30, "{left} -> {now_left}");
        left = now_left;
        calls += 1;
        assert!(calls < 100, "it does not end");
    }
    assert_eq!(bench.size(), (0, 0));
    assert_eq!(expire(2 * DAY_MS, 30), 0);
    assert_eq!(expire(2 * DAY_MS, 0), 0);
    assert!(bench.usage(2 * DAY_MS, 1).open);
}

/// Room that was taken by what is past its time can be had again.
pub fn frees_the_storage<S: Subject>() {
    let bench = Bench::<S>::with_capacity(Capacity { items: 2, bytes: 1000 });
    for owner in [1, 2] {
        bench.open(0, owner, TERMS);
    }
    for owner in [1, 2] {
        bench.put(0, letter(owner, b"a"));
    }
    bench.expire(DAY_MS);
    assert_eq!(bench.size(), (0, 0));
    bench.put(DAY_MS, letter(1, b"b"));
    assert_eq!(bench.fetch(DAY_MS, all_of(1)).0.len(), 1);
    assert_eq!(bench.one(DAY_MS, MailboxOp::Purge { mailbox: mailbox(1) }), MailboxDone::Done);
    assert_eq!(bench.size(), (0, 0));
}
