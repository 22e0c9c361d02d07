//! Letters come, are read, and go.

use super::{Bench, LARGE, Subject, ack, all_of, at, letter, mailbox, recall};
use crate::{Error, Mailbox, Stored};
use futures::future::{BoxFuture, join_all};
use waypost_core::{Fetch, Known, Lane, MailboxDone, MailboxOp, Put, Refusal};

/// Seq rises by one, and all that was given comes back.
pub fn come_back_in_the_order_of_seq<S: Subject>() {
    let bench = Bench::<S>::opened([1]);
    for (seq, key) in [(1, b"z"), (2, b"a"), (3, b"m")] {
        assert_eq!(bench.put(seq, letter(1, key)), Stored { seq, stamp: at(seq), again: false });
    }
    let (items, has_more) = bench.fetch(9, all_of(1));
    assert_eq!(items.iter().map(|item| item.key.as_slice()).collect::<Vec<_>>(), [b"z", b"a", b"m"]);
    let first = &items[0];
    assert_eq!((first.seq, first.stamp, first.lane), (1, at(1), Lane::Letters));
    assert_eq!((first.from.as_slice(), first.value.as_slice()), (&b"bob"[..], &b"content of z"[..]));
    assert!(!has_more);
    assert_eq!(bench.seqs(9, 2), [0; 0], "a mailbox that never was is empty");
}

/// Stamps rise even if the clock does not.
pub fn of_one_millisecond_have_stamps_of_their_own<S: Subject>() {
    let bench = Bench::<S>::opened([1]);
    let stamps = [(5, b"a"), (5, b"b"), (2, b"c"), (8, b"d")].map(|(now, key)| bench.put(now, letter(1, key)).stamp);
    assert_eq!(stamps, [at(5), at(6), at(7), at(8)]);
}

/// A repeat tells what happened the first time.
pub fn are_stored_once_for_their_key<S: Subject>() {
    let bench = Bench::<S>::opened([1, 2]);
    let first = bench.put(1, letter(1, b"a"));
    assert_eq!(bench.put(7, letter(1, b"a")), Stored { again: true, ..first });
    assert_eq!(bench.usage(7, 1).letters, 1);
    assert!(!bench.put(7, letter(2, b"a")).again, "the key belongs to the mailbox");
    assert_eq!(bench.put(8, letter(1, b"b")).seq, 2, "a repeat takes no seq");
}

/// A key is remembered when its letter has gone.
pub fn are_stored_once_even_after_they_went<S: Subject>() {
    let bench = Bench::<S>::opened([1]);
    let first = bench.put(1, letter(1, b"a"));
    assert_eq!(bench.one(2, ack(1, b"a")), MailboxDone::Done);
    let known = Known { digest: [1; 32], stamp: first.stamp, seq: None };
    assert_eq!(bench.one(3, recall(1, b"a")), MailboxDone::Known(Some(known)));
    assert_eq!(bench.put(4, letter(1, b"a")), Stored { again: true, ..first });
    assert_eq!(bench.seqs(5, 1), [0; 0]);
}

/// A key stands for one content.
pub fn are_not_stored_under_the_key_of_another<S: Subject>() {
    let bench = Bench::<S>::opened([1]);
    bench.put(1, letter(1, b"a"));
    let other = Put { digest: [2; 32], ..letter(1, b"a") };
    assert_eq!(bench.refused(2, MailboxOp::Put(other.clone())), Refusal::Conflict);
    assert_eq!(bench.one(3, ack(1, b"a")), MailboxDone::Done);
    assert_eq!(bench.refused(4, MailboxOp::Put(other)), Refusal::Conflict);
}

/// Only letters that are kept are found, without their content.
pub fn are_found_by_the_start_of_their_key<S: Subject>() {
    let bench = Bench::<S>::opened([1]);
    for key in [&b"ab2"[..], b"ab1", b"ac", b"a", b"ab3", b"ab\xff\xff"] {
        bench.put(1, letter(1, key));
    }
    bench.one(2, ack(1, b"ab3"));
    let find = |prefix: &[u8], limit| {
        let find = MailboxOp::Find { mailbox: mailbox(1), prefix: prefix.to_vec(), limit };
        match bench.one(3, find) {
            MailboxDone::Page { items, has_more } => {
                assert!(items.iter().all(|item| item.value.is_empty() && item.from == b"bob"));
                (items.into_iter().map(|item| (item.seq, item.key)).collect::<Vec<_>>(), has_more)
            }
            done => panic!("{done:?}"),
        }
    };
    let (two, one, last) = ((1, b"ab2".to_vec()), (2, b"ab1".to_vec()), (6, b"ab\xff\xff".to_vec()));
    assert_eq!(find(b"ab", 9), (vec![two.clone(), one.clone(), last.clone()], false));
    assert_eq!(find(b"ab", 2), (vec![two.clone(), one.clone()], true), "the first ones by key");
    assert_eq!(find(b"ab2", 2), (vec![two], false));
    assert_eq!(find(b"ab\xff", 2), (vec![last], false));
    assert_eq!(find(b"ab", 0), (vec![], true));
    assert_eq!(find(b"b", 9), (vec![], false));
}

/// Twice is refused.
pub fn are_acknowledged_once<S: Subject>() {
    let bench = Bench::<S>::opened([1]);
    bench.put(1, letter(1, b"a"));
    bench.put(1, letter(1, b"b"));
    assert_eq!(bench.one(2, ack(1, b"a")), MailboxDone::Done);
    assert_eq!(bench.refused(2, ack(1, b"a")), Refusal::NotFound);
    assert_eq!(bench.refused(2, ack(1, b"c")), Refusal::NotFound);
    assert_eq!(bench.refused(2, ack(2, b"b")), Refusal::NotFound);
    assert_eq!(bench.seqs(3, 1), [2]);
}

/// A lane is emptied from its beginning.
pub fn go_up_to_a_seq<S: Subject>() {
    let bench = Bench::<S>::opened([1]);
    let keys: Vec<_> = (0..150_u8).map(|key| [key]).collect();
    for key in &keys {
        bench.put(1, letter(1, key));
    }
    let up_to = |seq| MailboxOp::AckUpTo { mailbox: mailbox(1), lane: Lane::Letters, seq };
    assert_eq!(bench.one(2, up_to(140)), MailboxDone::Done);
    assert_eq!(bench.seqs(2, 1), (141..=150).collect::<Vec<_>>());
    assert_eq!(bench.one(2, up_to(3)), MailboxDone::Done);
    assert_eq!(bench.one(2, up_to(u64::MAX)), MailboxDone::Done);
    assert_eq!(bench.seqs(2, 1), [0; 0]);
    assert_eq!((bench.usage(2, 1).letters, bench.usage(2, 1).last_seq), (0, 150));
}

/// Pages end by number and by bytes, and one item always fits.
pub fn come_in_pages_by_number_and_bytes<S: Subject>() {
    let bench = Bench::<S>::opened([1]);
    for key in 0..200_u8 {
        bench.put(1, Put { value: vec![key; 100], ..letter(1, &[key]) });
    }
    let page = |after, items, bytes| {
        let (found, has_more) = bench.fetch(2, Fetch { after, items, bytes, item_cost: 10, ..all_of(1) });
        (found.iter().map(|item| item.seq).collect::<Vec<_>>(), has_more)
    };
    assert_eq!(page(0, 3, 9999), (vec![1, 2, 3], true));
    assert_eq!(page(197, 3, 9999), (vec![198, 199, 200], false));
    assert_eq!(page(198, 3, 9999), (vec![199, 200], false));
    assert_eq!(page(200, 3, 9999), (vec![], false));
    assert_eq!(page(u64::MAX, 3, 9999), (vec![], false));
    assert_eq!(page(0, 99, 329), (vec![1, 2], true));
    assert_eq!(page(0, 99, 330), (vec![1, 2, 3], true));
    assert_eq!(page(0, 99, 0), (vec![1], true));
    assert_eq!(page(199, 99, 0), (vec![200], false));
    assert_eq!(page(5, 0, 9999), (vec![], true));
    assert_eq!(page(0, 500, usize::MAX).0.len(), 200);
}

/// Letters stamped earlier are left out, wherever one begins.
pub fn come_since_a_stamp<S: Subject>() {
    let bench = Bench::<S>::opened([1]);
    for key in 0..100_u8 {
        bench.put(u64::from(key) * 10, letter(1, &[key]));
    }
    for gone in [40_u8, 41, 50, 99] {
        bench.one(1000, ack(1, &[gone]));
    }
    let first = |after, since: u64| {
        let (items, _) = bench.fetch(1000, Fetch { after, since: at(since), items: 1, ..all_of(1) });
        items.first().map(|item| item.seq)
    };
    assert_eq!([first(0, 0), first(0, 5), first(0, 10), first(0, 11)], [Some(1), Some(2), Some(2), Some(3)]);
    assert_eq!([first(0, 400), first(0, 401), first(0, 420), first(0, 500)], [Some(43), Some(43), Some(43), Some(52)]);
    assert_eq!([first(60, 400), first(0, 980), first(0, 981), first(98, 0)], [Some(61), Some(99), None, Some(99)]);
}

/// Many calls under way at once keep the order in which they were made.
pub fn take_their_places_in_the_order_of_the_calls<S: Subject>() {
    let bench = Bench::<S>::opened([1]);
    // A call can outlive the borrow it was made by: servers keep many in one place.
    let owned = |call| -> BoxFuture<'static, Result<Stored, Error>> { Box::pin(call) };
    let calls = (0..300_u16).map(|key| owned(bench.engine.put(at(1), letter(1, &key.to_be_bytes()))));
    // Awaited the other way round: the order is that of the calls.
    let calls: Vec<_> = calls.collect();
    let answers = bench.subject.block_on(join_all(calls.into_iter().rev()));
    let seqs: Vec<_> = answers.into_iter().rev().map(|stored| stored.unwrap().seq).collect();
    assert_eq!(seqs, (1..=300).collect::<Vec<_>>());
}

/// What was answered is there for the next call, of anybody.
pub fn answered_are_seen_by_who_reads_next<S: Subject>() {
    let bench = Bench::<S>::opened([1]);
    for key in 0..100_u8 {
        let seq = bench.put(1, letter(1, &[key])).seq;
        let (items, _) = bench.fetch(1, Fetch { after: seq - 1, ..all_of(1) });
        assert_eq!(items.first().map(|item| item.seq), Some(seq));
    }
}

/// Empty ones, long ones, long keys.
pub fn of_many_sizes_come_back_whole<S: Subject>() {
    let bench = Bench::<S>::opened([1]);
    let sizes = [0, 1, 255, 256, 4000, 4096, 5000, 65_536, 1 << 20];
    for (key, size) in (0_u8..).zip(sizes) {
        let value = (0..size).map(|at| (at % 251) as u8 ^ key).collect();
        bench.put(1, Put { value, key: vec![key; 128], from: vec![key; 64], quota: LARGE, ..letter(1, b"") });
    }
    let (items, _) = bench.fetch(2, all_of(1));
    assert_eq!(items.len(), sizes.len());
    for ((key, size), item) in (0_u8..).zip(sizes).zip(items) {
        assert_eq!((item.key, item.from), (vec![key; 128], vec![key; 64]));
        assert!(item.value.iter().enumerate().all(|(at, byte)| *byte == (at % 251) as u8 ^ key), "{size}");
        assert_eq!(item.value.len(), size);
    }
}
