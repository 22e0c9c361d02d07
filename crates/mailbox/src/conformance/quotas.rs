//! A full mailbox says so; nothing is dropped for something newer.

use super::{Bench, LARGE, Subject, TERMS, ack, letter, notice};
use crate::Capacity;
use waypost_core::{MailboxOp, Put, Quota, Refusal, Terms};

fn sized(key: &[u8], len: usize, quota: Quota) -> MailboxOp {
    MailboxOp::Put(Put { value: vec![7; len], quota, ..letter(1, key) })
}

/// By number and by bytes.
pub fn bound_the_mailbox<S: Subject>() {
    let bench = Bench::<S>::opened([1]);
    assert_eq!(bench.refused(0, MailboxOp::Put(letter(2, b"a"))), Refusal::NoMailbox);
    bench.put(1, Put { value: vec![7; 60], ..letter(1, b"a") });
    let quota = Quota { items: 1, ..LARGE };
    assert_eq!(bench.refused(1, sized(b"b", 1, quota)), Refusal::MailboxFull);
    let quota = Quota { bytes: 100, ..LARGE };
    assert_eq!(bench.refused(1, sized(b"b", 41, quota)), Refusal::MailboxFull);
    bench.put(1, Put { value: vec![7; 40], quota, ..letter(1, b"b") });
    assert_eq!(bench.usage(1, 1).bytes, 100);
}

/// One sender cannot fill a mailbox.
pub fn bound_a_sender<S: Subject>() {
    let bench = Bench::<S>::opened([1]);
    let quota = Quota { from_items: 2, from_bytes: 100, ..LARGE };
    bench.put(1, Put { value: vec![7; 60], quota, ..letter(1, b"a") });
    assert_eq!(bench.refused(1, sized(b"b", 41, quota)), Refusal::MailboxFull);
    bench.put(1, Put { value: vec![7; 40], quota, ..letter(1, b"b") });
    assert_eq!(bench.refused(1, sized(b"c", 0, quota)), Refusal::MailboxFull);
    bench.put(1, Put { from: b"carol".to_vec(), value: vec![7; 100], quota, ..letter(1, b"c") });
}

/// The smaller of the terms' and the quota's bound counts.
pub fn bound_a_letter<S: Subject>() {
    let bench = Bench::<S>::opened([1]);
    bench.open(0, 1, Terms { item_bytes: 100, ..TERMS });
    assert_eq!(bench.refused(1, sized(b"a", 101, LARGE)), Refusal::TooLarge);
    let quota = Quota { item_bytes: 50, items: 0, ..LARGE };
    assert_eq!(bench.refused(1, sized(b"a", 51, quota)), Refusal::TooLarge, "before the mailbox is full");
    assert_eq!(bench.refused(1, sized(b"a", 50, quota)), Refusal::MailboxFull);
    bench.put(1, Put { value: vec![7; 100], ..letter(1, b"a") });
    let again = Put { value: vec![7; 101], quota, ..letter(1, b"a") };
    assert!(bench.put(1, again).again, "what is known is not weighed");
}

/// Whatever way they go.
pub fn are_free_again_when_letters_go<S: Subject>() {
    let bench = Bench::<S>::opened([1]);
    let quota = Quota { items: 2, bytes: 20, from_items: 2, from_bytes: 20, ..LARGE };
    let put = |now, key: &[u8]| {
        bench.put(now, Put { value: vec![7; 10], quota, ..letter(1, key) });
    };
    let full = |now| assert_eq!(bench.refused(now, sized(b"full", 1, quota)), Refusal::MailboxFull);
    put(1, b"a");
    put(1, b"b");
    full(1);
    bench.one(2, ack(1, b"a"));
    put(2, b"c");
    full(2);
    bench.one(3, MailboxOp::AckUpTo { mailbox: super::mailbox(1), lane: waypost_core::Lane::Letters, seq: 2 });
    put(3, b"d");
    full(3);
    // A day later all of them are past their time, removed or not.
    put(86_400_003, b"e");
    put(86_400_005, b"f");
    full(86_400_005);
    assert_eq!(bench.usage(86_400_005, 1).letters, 2);
}

/// Letters are refused when all mailboxes together are full; what empties them is not.
pub fn of_the_storage_refuse_letters_alone<S: Subject>() {
    let bench = Bench::<S>::with_capacity(Capacity { items: 3, bytes: 30 });
    for owner in [1, 2] {
        bench.open(0, owner, TERMS);
    }
    bench.put(1, Put { value: vec![7; 10], ..letter(1, b"a") });
    bench.put(1, Put { value: vec![7; 10], ..letter(2, b"a") });
    assert_eq!(bench.refused(1, sized(b"b", 11, LARGE)), Refusal::StorageFull);
    assert_eq!(bench.refused(1, sized(b"b", 11, Quota { items: 1, ..LARGE })), Refusal::MailboxFull);
    bench.put(1, Put { value: vec![7; 1], ..letter(2, b"b") });
    assert_eq!(bench.refused(1, sized(b"b", 0, LARGE)), Refusal::StorageFull);
    assert_eq!(bench.size(), (3, 21));
    bench.one(2, MailboxOp::Notice(notice(2, &[7; 20])));
    assert_eq!(bench.size(), (4, 41));
    bench.one(3, ack(2, b"a"));
    assert_eq!(bench.refused(3, sized(b"b", 0, LARGE)), Refusal::StorageFull);
    bench.run(4, vec![MailboxOp::Purge { mailbox: super::mailbox(2) }]);
    assert_eq!(bench.size(), (1, 10));
    bench.put(5, letter(1, b"b"));
}
