//! What every engine must do, as tests for the engine's own test suite.
//!
//! An engine says by [`Subject`] how to open it, and calls [`conformance!`](crate::conformance!) in a module of its
//! tests: each case becomes a test. [`replay`] plays the same random batches to two engines, of which one is
//! usually a model, and compares every answer.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "test code: a panic is how a test fails"
)]

pub mod batches;
pub mod crashes;
pub mod expiry;
pub mod letters;
pub mod notices;
pub mod quotas;
pub mod races;
pub mod records;
pub mod replay;
pub mod watches;

use crate::{Capacity, Mailbox, Stored};
use std::time::Duration;
use waypost_core::{
    Fetch, Item, MailboxDone, MailboxId, MailboxOp, Notice, Put, Quota, Refusal, Space, Terms, Usage, Wall,
};

/// One storage to test an engine on; it starts empty.
pub trait Subject: Sized {
    /// The engine.
    type Engine: Mailbox;

    /// A new, empty storage.
    fn new() -> Self;

    /// Opens the engine, again after the one before was dropped, which is as near to a crash as a suite comes that
    /// runs in one process.
    fn open(&self, capacity: Capacity) -> Self::Engine;

    /// Runs a future to its end, in whatever the engine needs around it.
    fn block_on<F: Future>(&self, future: F) -> F::Output {
        futures::executor::block_on(future)
    }
}

/// Makes a test of each case: `waypost_mailbox::conformance!(MySubject);`
#[macro_export]
macro_rules! conformance {
    ($subject:ty) => {
        $crate::conformance! { @ $subject,
            letters: [
                come_back_in_the_order_of_seq,
                of_one_millisecond_have_stamps_of_their_own,
                are_stored_once_for_their_key,
                are_stored_once_even_after_they_went,
                are_not_stored_under_the_key_of_another,
                are_found_by_the_start_of_their_key,
                are_acknowledged_once,
                go_up_to_a_seq,
                come_in_pages_by_number_and_bytes,
                come_since_a_stamp,
                take_their_places_in_the_order_of_the_calls,
                answered_are_seen_by_who_reads_next,
                of_many_sizes_come_back_whole,
            ],
            notices: [
                come_between_letters_in_one_order,
                need_no_open_mailbox_and_the_oldest_goes,
                do_not_count_as_letters,
            ],
            quotas: [
                bound_the_mailbox,
                bound_a_sender,
                bound_a_letter,
                are_free_again_when_letters_go,
                of_the_storage_refuse_letters_alone,
            ],
            expiry: [
                hides_letters_at_their_time,
                follows_terms_that_change,
                brings_nothing_back,
                forgets_a_key_in_its_time,
                ends_a_mailbox_that_is_not_opened_again,
                takes_each_notice_at_its_own_time,
                takes_records_at_their_time,
                removes_a_bounded_number_and_ends,
                frees_the_storage,
            ],
            batches: [
                that_are_refused_change_nothing,
                see_their_own_changes,
                of_nothing_have_no_answers,
                purge_a_mailbox_but_not_its_counter,
                refused_do_not_hurt_their_neighbours,
            ],
            records: [
                are_read_written_and_removed,
                are_scanned_by_prefix_in_the_order_of_keys,
                of_one_space_are_not_of_another,
                are_expected_to_be_as_they_were,
            ],
            races: [
                of_expectations_lose_no_change,
                for_one_time_items_give_each_out_once,
                between_readers_and_writers_show_whole_batches,
                for_one_key_store_one_letter,
            ],
            crashes: [
                lose_nothing_that_was_answered,
                keep_counters_and_quotas,
                between_any_two_batches_keep_whole_ones,
            ],
            watches: [
                wake_on_letters_and_notices,
                hear_of_many_mailboxes,
            ],
        }
    };
    (@ $subject:ty, $($group:ident: [$($case:ident,)*],)*) => {
        $(mod $group {
            #[allow(unused_imports, reason = "the subject may be named by its path")]
            use super::*;
            $(#[test]
            fn $case() {
                $crate::conformance::$group::$case::<$subject>();
            })*
        })*
    };
}

const DAY: Duration = Duration::from_secs(86_400);
/// A moment from which the cases count.
const T0: u64 = 1_790_000_000_000;
const LARGE: Quota = Quota { item_bytes: 1 << 20, items: 1000, bytes: 1 << 30, from_items: 1000, from_bytes: 1 << 30 };
const TERMS: Terms = Terms { item_bytes: 1 << 20, keep: DAY, until: at(90 * 86_400_000) };
const SPACE: Space = Space("test/record");

/// A moment so many milliseconds after the beginning of a case.
const fn at(millis: u64) -> Wall {
    Wall::from_millis(T0 + millis)
}

fn mailbox(owner: u8) -> MailboxId {
    MailboxId { space: Space("test/mailbox"), owner: vec![owner; 32] }
}

fn letter(owner: u8, key: &[u8]) -> Put {
    let (digest, from, value) = ([1; 32], b"bob".to_vec(), [b"content of ", key].concat());
    Put { mailbox: mailbox(owner), key: key.to_vec(), digest, from, value, quota: LARGE, remember: 2 * DAY }
}

fn notice(owner: u8, value: &[u8]) -> Notice {
    Notice { mailbox: mailbox(owner), value: value.to_vec(), most: 1000, keep: DAY }
}

fn all_of(owner: u8) -> Fetch {
    let (items, bytes) = (usize::MAX, usize::MAX);
    Fetch { mailbox: mailbox(owner), after: 0, since: Wall::from_millis(0), items, bytes, item_cost: 0 }
}

fn change(key: &[u8], value: &[u8]) -> MailboxOp {
    let change = waypost_core::Change { space: SPACE, key: key.to_vec(), value: Some(value.to_vec()) };
    MailboxOp::Write { change, expires: None }
}

fn read(key: &[u8]) -> MailboxOp {
    MailboxOp::Read { space: SPACE, key: key.to_vec() }
}

/// An engine under test.
struct Bench<S: Subject> {
    engine: S::Engine,
    subject: S,
}

impl<S: Subject> Bench<S> {
    fn new() -> Self {
        Self::with_capacity(Capacity::default())
    }

    fn with_capacity(capacity: Capacity) -> Self {
        let subject = S::new();
        Self { engine: subject.open(capacity), subject }
    }

    /// With these mailboxes open.
    fn opened<const N: usize>(owners: [u8; N]) -> Self {
        let bench = Self::new();
        for owner in owners {
            bench.open(0, owner, TERMS);
        }
        bench
    }

    /// The engine goes without a word, and another comes.
    fn crash(self) -> Self {
        let Self { engine, subject } = self;
        drop(engine);
        Self { engine: subject.open(Capacity::default()), subject }
    }

    fn open(&self, now: u64, owner: u8, terms: Terms) {
        let done = self.run(now, vec![MailboxOp::Open { mailbox: mailbox(owner), terms }]);
        assert_eq!(done, [MailboxDone::Done]);
    }

    fn run(&self, now: u64, batch: Vec<MailboxOp>) -> Vec<MailboxDone> {
        self.subject.block_on(self.engine.commit(at(now), batch)).unwrap()
    }

    fn one(&self, now: u64, op: MailboxOp) -> MailboxDone {
        let mut done = self.run(now, vec![op]);
        assert_eq!(done.len(), 1, "one answer for one operation");
        done.remove(0)
    }

    fn refused(&self, now: u64, op: MailboxOp) -> Refusal {
        match self.one(now, op) {
            MailboxDone::Refused(refusal) => refusal,
            done => panic!("not refused: {done:?}"),
        }
    }

    fn put(&self, now: u64, put: Put) -> Stored {
        self.subject.block_on(self.engine.put(at(now), put)).unwrap()
    }

    fn fetch(&self, now: u64, fetch: Fetch) -> (Vec<Item>, bool) {
        let page = self.subject.block_on(self.engine.fetch(at(now), fetch)).unwrap();
        (page.items, page.has_more)
    }

    fn seqs(&self, now: u64, owner: u8) -> Vec<u64> {
        self.fetch(now, all_of(owner)).0.iter().map(|item| item.seq).collect()
    }

    fn keys(&self, now: u64, owner: u8) -> Vec<Vec<u8>> {
        self.fetch(now, all_of(owner)).0.into_iter().map(|item| item.key).collect()
    }

    fn usage(&self, now: u64, owner: u8) -> Usage {
        self.subject.block_on(self.engine.usage(at(now), mailbox(owner))).unwrap()
    }

    /// Removes all that is past its time.
    fn expire(&self, now: u64) {
        while self.subject.block_on(self.engine.expire(at(now), 100)).unwrap() >= 100 {}
    }

    /// Items and bytes in all mailboxes.
    fn size(&self) -> (u64, u64) {
        let size = self.subject.block_on(self.engine.size()).unwrap();
        (size.items, size.bytes)
    }

    fn record(&self, now: u64, key: &[u8]) -> Option<Vec<u8>> {
        match self.one(now, read(key)) {
            MailboxDone::Record(record) => record,
            done => panic!("{done:?}"),
        }
    }
}

fn ack(owner: u8, key: &[u8]) -> MailboxOp {
    MailboxOp::Ack { mailbox: mailbox(owner), key: key.to_vec() }
}

fn recall(owner: u8, key: &[u8]) -> MailboxOp {
    MailboxOp::Recall { mailbox: mailbox(owner), key: key.to_vec() }
}
