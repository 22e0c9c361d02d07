//! Hints may be lost, so a case tries again; but they may not all be lost.

use super::{Bench, Subject, all_of, letter, mailbox, notice};
use crate::Mailbox;
use futures::FutureExt;
use std::{collections::BTreeSet, pin::pin};
use waypost_core::MailboxOp;

/// So often is tried.
const TRIES: u64 = 1000;

/// Both lanes are heard.
pub fn wake_on_letters_and_notices<S: Subject>() {
    let bench = Bench::<S>::opened([1]);
    let watch = bench.engine.watch(&mailbox(1));
    for lane in 0..2 {
        let mut hint = pin!(watch.next());
        assert_eq!((&mut hint).now_or_never(), None, "nothing has come yet");
        let heard = (0..TRIES).any(|key| {
            let op = match lane {
                0 => MailboxOp::Put(letter(1, &key.to_be_bytes())),
                _ => MailboxOp::Notice(notice(1, b"word")),
            };
            bench.one(1, op);
            // In the engine's surroundings, and after the answer: what was hinted at is there.
            bench.subject.block_on(async { (&mut hint).now_or_never() }).is_some()
        });
        assert!(heard, "no hint in {TRIES} tries");
        assert!(!bench.fetch(1, all_of(1)).0.is_empty());
        while bench.subject.block_on(async { watch.next().now_or_never() }).is_some() {}
    }
}

/// One ear for many, and none for those that were removed.
pub fn hear_of_many_mailboxes<S: Subject>() {
    let bench = Bench::<S>::opened([1, 2, 3, 4]);
    let watcher = bench.engine.watcher();
    for owner in [1, 2, 3] {
        watcher.add(&mailbox(owner));
    }
    watcher.remove(&mailbox(3));
    let mut heard = BTreeSet::new();
    for key in 0..TRIES {
        for owner in [1, 2, 3, 4] {
            bench.put(1, letter(owner, &key.to_be_bytes()));
        }
        while let Some(hint) = bench.subject.block_on(async { watcher.next().now_or_never() }) {
            heard.insert(hint);
        }
        if heard.len() >= 2 {
            break;
        }
    }
    assert_eq!(heard, BTreeSet::from([mailbox(1), mailbox(2)]));
}
