//! Short word from the role to the owner.

use super::{Bench, Subject, all_of, at, letter, mailbox, notice};
use waypost_core::{Fetch, Lane, MailboxDone, MailboxOp, Notice};

/// One counter of seq runs through letters and notices.
pub fn come_between_letters_in_one_order<S: Subject>() {
    let bench = Bench::<S>::opened([1]);
    bench.put(1, letter(1, b"a"));
    let done = bench.one(1, MailboxOp::Notice(notice(1, b"one")));
    assert_eq!(done, MailboxDone::Put { seq: 2, stamp: at(2), again: false });
    bench.put(3, letter(1, b"b"));
    bench.one(3, MailboxOp::Notice(notice(1, b"two")));
    let lanes = |fetch: Fetch| {
        let (items, has_more) = bench.fetch(3, fetch);
        (items.iter().map(|item| (item.seq, item.lane)).collect::<Vec<_>>(), has_more)
    };
    let (letters, notices) = (Lane::Letters, Lane::Notices);
    assert_eq!(lanes(all_of(1)), (vec![(1, letters), (2, notices), (3, letters), (4, notices)], false));
    assert_eq!(lanes(Fetch { items: 2, after: 1, ..all_of(1) }), (vec![(2, notices), (3, letters)], true));
    assert_eq!(lanes(Fetch { since: at(3), ..all_of(1) }), (vec![(2, notices), (3, letters), (4, notices)], false));
    bench.one(4, MailboxOp::AckUpTo { mailbox: mailbox(1), lane: notices, seq: 3 });
    assert_eq!(lanes(all_of(1)), (vec![(1, letters), (3, letters), (4, notices)], false));
}

/// Bounded in number, never refused.
pub fn need_no_open_mailbox_and_the_oldest_goes<S: Subject>() {
    let bench = Bench::<S>::new();
    for value in 0..5_u8 {
        bench.one(1, MailboxOp::Notice(Notice { most: 3, ..notice(1, &[value]) }));
    }
    let (items, _) = bench.fetch(1, all_of(1));
    assert_eq!(items.iter().map(|item| item.value[0]).collect::<Vec<_>>(), [2, 3, 4]);
    assert!(items.iter().all(|item| item.key.is_empty() && item.from.is_empty()));
    let usage = bench.usage(1, 1);
    assert_eq!((usage.open, usage.notices, usage.last_seq), (false, 3, 5));
}

/// The owner's quota is for what others leave.
pub fn do_not_count_as_letters<S: Subject>() {
    let bench = Bench::<S>::opened([1]);
    bench.one(1, MailboxOp::Notice(notice(1, b"one")));
    let usage = bench.usage(1, 1);
    assert_eq!((usage.letters, usage.bytes, usage.notices), (0, 0, 1));
    assert_eq!(bench.size(), (1, 3), "but they take room");
}
