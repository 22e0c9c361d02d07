//! An engine goes without a word, and another comes to its storage.

use super::{Bench, LARGE, Subject, TERMS, ack, change, letter, notice, recall};
use crate::Mailbox;
use waypost_core::{Known, MailboxDone, MailboxOp, Put, Quota, Refusal, Usage};

/// After every single answer.
pub fn lose_nothing_that_was_answered<S: Subject>() {
    let mut bench = Bench::<S>::opened([1]);
    for key in 0..10_u8 {
        bench = bench.crash();
        assert_eq!(bench.put(1, letter(1, &[key])).seq, u64::from(key) + 1);
        bench = bench.crash();
        bench.one(1, change(&[key], b"value"));
    }
    bench = bench.crash();
    assert_eq!(bench.keys(2, 1).concat(), (0..10).collect::<Vec<_>>());
    assert!((0..10_u8).all(|key| bench.record(2, &[key]).is_some()));
}

/// And what is remembered, and what is counted.
pub fn keep_counters_and_quotas<S: Subject>() {
    let bench = Bench::<S>::opened([1]);
    let quota = Quota { from_items: 2, ..LARGE };
    bench.put(1, Put { quota, ..letter(1, b"a") });
    let second = bench.put(1, Put { quota, ..letter(1, b"b") });
    bench.one(1, MailboxOp::Notice(notice(1, b"word")));
    bench.one(2, ack(1, b"b"));
    let size = bench.size();
    let bench = bench.crash();
    assert_eq!(bench.usage(2, 1), Usage { open: true, letters: 1, bytes: 12, notices: 1, last_seq: 3 });
    assert_eq!((bench.size(), size), (size, (2, 16)));
    let known = Known { digest: [1; 32], stamp: second.stamp, seq: None };
    assert_eq!(bench.one(2, recall(1, b"b")), MailboxDone::Known(Some(known)));
    let third = bench.put(0, Put { quota, ..letter(1, b"c") });
    assert_eq!((third.seq, third.stamp > second.stamp), (4, true));
    assert_eq!(bench.refused(2, MailboxOp::Put(Put { quota, ..letter(1, b"d") })), Refusal::MailboxFull);
}

/// What was on its way and not answered has happened whole, or not, and in order.
pub fn between_any_two_batches_keep_whole_ones<S: Subject>() {
    let mut bench = Bench::<S>::opened([1, 2]);
    let mut next = 0_u64;
    for answered in [0, 1, 3, 10, 30] {
        let before = next;
        let calls: Vec<_> = (next..next + 40)
            .map(|key| {
                let put = |owner| MailboxOp::Put(letter(owner, &key.to_be_bytes()));
                bench.engine.commit(super::at(1), vec![put(1), put(2), change(b"last", &key.to_be_bytes())])
            })
            .collect();
        for call in calls.into_iter().take(answered) {
            bench.subject.block_on(call).unwrap();
            next += 1;
        }
        bench = bench.crash();
        let keys = bench.keys(2, 1);
        assert_eq!(keys, bench.keys(2, 2), "half a batch");
        assert!(keys.len() as u64 >= next, "an answered one is lost");
        let expected: Vec<_> = (0..keys.len() as u64).map(|key| key.to_be_bytes().to_vec()).collect();
        assert_eq!(keys, expected, "one is left out");
        assert_eq!(bench.record(2, b"last"), keys.last().cloned());
        next = keys.len() as u64;
        assert!(next <= before + 40);
        bench.open(2, 1, TERMS);
    }
}
