//! Many at once.

use super::{Bench, LARGE, SPACE, Subject, all_of, at, change, letter, mailbox, read};
use crate::Mailbox;
use futures::{executor::block_on, future::join};
use std::{collections::BTreeSet, sync::Mutex, thread};
use waypost_core::{Change, MailboxDone, MailboxOp, Put, Quota, Refusal};

const THREADS: u64 = 4;
const ROUNDS: u64 = 25;

/// Runs on several threads. The engine's own surroundings are entered once, around all of them.
fn at_once<S: Subject>(bench: &Bench<S>, run: impl Fn(&S::Engine, u64) + Sync) {
    let engine = &bench.engine;
    bench.subject.block_on(async {
        thread::scope(|scope| {
            for number in 0..THREADS {
                let run = &run;
                scope.spawn(move || run(engine, number));
            }
        });
    });
}

fn commit(engine: &impl Mailbox, batch: Vec<MailboxOp>) -> Vec<MailboxDone> {
    block_on(engine.commit(at(1), batch)).unwrap()
}

/// Read, expect, write, and again if it was refused: every step counts.
pub fn of_expectations_lose_no_change<S: Subject>() {
    let bench = Bench::<S>::new();
    at_once(&bench, |engine, _| {
        for _ in 0..ROUNDS {
            loop {
                let MailboxDone::Record(before) = commit(engine, vec![read(b"count")]).remove(0) else { panic!() };
                let count = before.as_deref().map_or(0, |bytes| u64::from_be_bytes(bytes.try_into().unwrap()));
                let expect = MailboxOp::Expect { space: SPACE, key: b"count".to_vec(), value: before };
                let done = commit(engine, vec![expect, change(b"count", &(count + 1).to_be_bytes())]);
                match done.last() {
                    Some(MailboxDone::Done) => break,
                    Some(MailboxDone::Refused(Refusal::Changed)) => {}
                    other => panic!("{other:?}"),
                }
            }
        }
    });
    assert_eq!(bench.record(2, b"count"), Some((THREADS * ROUNDS).to_be_bytes().to_vec()));
}

/// Scan for one, expect it, remove it: nobody else has got it.
pub fn for_one_time_items_give_each_out_once<S: Subject>() {
    let bench = Bench::<S>::new();
    let all: BTreeSet<Vec<u8>> = (0..60_u8).map(|key| vec![b'i', key]).collect();
    bench.run(0, all.iter().map(|key| change(key, key)).collect());
    let taken = Mutex::new(Vec::new());
    at_once(&bench, |engine, _| {
        loop {
            let scan = MailboxOp::Scan { space: SPACE, prefix: b"i".to_vec(), after: None, limit: 1 };
            let MailboxDone::Records(records) = commit(engine, vec![scan]).remove(0) else { panic!() };
            let Some((key, value)) = records.into_iter().next() else { return };
            let expect = MailboxOp::Expect { space: SPACE, key: key.clone(), value: Some(value) };
            let change = Change { space: SPACE, key: key.clone(), value: None };
            let done = commit(engine, vec![expect, MailboxOp::Write { change, expires: None }]);
            if done.last() == Some(&MailboxDone::Done) {
                taken.lock().unwrap().push(key);
            }
        }
    });
    let taken = taken.into_inner().unwrap();
    assert_eq!((taken.len(), taken.into_iter().collect::<BTreeSet<_>>()), (all.len(), all));
}

/// A batch of reads sees a moment, in which each batch of writes has happened or has not.
pub fn between_readers_and_writers_show_whole_batches<S: Subject>() {
    let bench = Bench::<S>::opened([1, 2]);
    at_once(&bench, |engine, number| {
        for round in 0..ROUNDS {
            let key = [number.to_be_bytes(), round.to_be_bytes()].concat();
            if number % 2 == 0 {
                commit(engine, vec![MailboxOp::Put(letter(1, &key)), MailboxOp::Put(letter(2, &key))]);
                continue;
            }
            let usage = |owner| MailboxOp::Usage { mailbox: mailbox(owner) };
            let done =
                commit(engine, vec![usage(1), MailboxOp::Fetch(all_of(1)), MailboxOp::Fetch(all_of(2)), usage(2)]);
            let [one, MailboxDone::Page { items: first, .. }, MailboxDone::Page { items: second, .. }, two] =
                done.as_slice()
            else {
                panic!("{done:?}")
            };
            assert_eq!((one, first), (two, second));
            let MailboxDone::Usage(usage) = one else { panic!("{one:?}") };
            assert_eq!((usage.letters, usage.last_seq), (first.len() as u64, first.len() as u64));
        }
    });
    assert_eq!(bench.usage(2, 1).letters, THREADS / 2 * ROUNDS);
}

/// Whoever comes first; the others learn where it is.
pub fn for_one_key_store_one_letter<S: Subject>() {
    let bench = Bench::<S>::opened([1]);
    let new = Mutex::new(0);
    at_once(&bench, |engine, number| {
        for round in 0..ROUNDS {
            let quota = Quota { items: ROUNDS, ..LARGE };
            let put = |from: &[u8]| Put { from: from.to_vec(), quota, ..letter(1, &round.to_be_bytes()) };
            let two = join(engine.put(at(1), put(&number.to_be_bytes())), engine.put(at(1), put(b"again")));
            let (one, two) = block_on(two);
            let (one, two) = (one.unwrap(), two.unwrap());
            assert_eq!((one.seq, one.stamp, true), (two.seq, two.stamp, two.again));
            *new.lock().unwrap() += u64::from(!one.again);
        }
    });
    assert_eq!((new.into_inner().unwrap(), bench.usage(2, 1).last_seq), (ROUNDS, ROUNDS));
}
