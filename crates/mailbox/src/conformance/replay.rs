//! The same batches for two engines: all answers are equal, also after a crash of one of them.

use super::{Subject, at, mailbox};
use crate::{Capacity, Mailbox};
use std::time::Duration;
use waypost_core::{Change, Fetch, Lane, MailboxDone, MailboxId, MailboxOp, Notice, Put, Quota, Space, Terms, Wall};

/// What happens to both.
#[derive(Clone, Debug)]
pub enum Step {
    /// So much time goes by; then a batch.
    Batch(u64, Vec<MailboxOp>),
    /// What is past its time is removed.
    Expire,
    /// The first engine crashes.
    Crash,
}

/// Plays the steps to both, and compares all answers and, in the end, all there is. A storage that can be full must
/// be swept before it is asked: when what is past its time goes is an engine's own affair, and it counts.
pub fn play<A: Subject, B: Subject>(capacity: Capacity, steps: &[Step]) {
    let (one, other) = (A::new(), B::new());
    let (mut first, second) = (one.open(capacity), other.open(capacity));
    let sweep = |first: &A::Engine, now: Wall| {
        while one.block_on(first.expire(now, 3)).unwrap() >= 3 {}
        while other.block_on(second.expire(now, 1000)).unwrap() >= 1000 {}
    };
    let mut now = 0;
    for (number, step) in steps.iter().enumerate() {
        match step {
            Step::Batch(later, batch) => {
                now += later;
                if capacity != Capacity::default() {
                    sweep(&first, at(now));
                }
                let done = one.block_on(first.commit(at(now), batch.clone())).unwrap();
                let expected = other.block_on(second.commit(at(now), batch.clone())).unwrap();
                assert_eq!(done, expected, "step {number} at {now}: {batch:?}");
            }
            Step::Expire => sweep(&first, at(now)),
            Step::Crash => {
                drop(first);
                first = one.open(capacity);
            }
        }
    }
    for owner in 0..OWNERS {
        let batch = vec![everything(owner), MailboxOp::Usage { mailbox: mailbox(owner) }];
        let done = one.block_on(first.commit(at(now), batch.clone())).unwrap();
        assert_eq!(done, other.block_on(second.commit(at(now), batch)).unwrap());
        let [MailboxDone::Page { items, .. }, MailboxDone::Usage(usage)] = done.as_slice() else { panic!("{done:?}") };
        let letters: Vec<_> = items.iter().filter(|item| item.lane == Lane::Letters).collect();
        let bytes: usize = letters.iter().map(|item| item.value.len()).sum();
        let counted = (usage.letters, usage.bytes, usage.notices);
        assert_eq!(counted, (letters.len() as u64, bytes as u64, (items.len() - letters.len()) as u64));
    }
    sweep(&first, at(now));
    let (size, expected) = (one.block_on(first.size()).unwrap(), other.block_on(second.size()).unwrap());
    assert_eq!((size.items, size.bytes), (expected.items, expected.bytes));
    let end = Wall::from_millis(u64::MAX - 1);
    sweep(&first, end);
    let (size, expected) = (one.block_on(first.size()).unwrap(), other.block_on(second.size()).unwrap());
    assert_eq!((size.items, size.bytes), (0, 0), "something never ends");
    assert_eq!((expected.items, expected.bytes), (0, 0));
}

const OWNERS: u8 = 3;

fn everything(owner: u8) -> MailboxOp {
    let (items, bytes) = (usize::MAX, usize::MAX);
    let since = Wall::from_millis(0);
    MailboxOp::Fetch(Fetch { mailbox: mailbox(owner), after: 0, since, items, bytes, item_cost: 0 })
}

/// Steps made of bytes that somebody drew: names few enough to meet each other, times close enough to pass.
pub fn steps(bytes: &[u8]) -> Vec<Step> {
    let mut bytes = Bytes(bytes.iter());
    let mut steps = Vec::new();
    while let Some(kind) = bytes.0.next() {
        steps.push(match kind % 16 {
            0 => Step::Expire,
            1 => Step::Crash,
            kind => {
                let later = [0, 0, 1, 3, 20][bytes.below(5)];
                let len = if kind < 10 { 1 } else { 1 + bytes.below(4) };
                Step::Batch(later, (0..len).map(|_| bytes.op()).collect())
            }
        });
    }
    steps
}

struct Bytes<'a>(std::slice::Iter<'a, u8>);

impl Bytes<'_> {
    /// Zero when there are no more.
    fn below(&mut self, bound: usize) -> usize {
        usize::from(self.0.next().copied().unwrap_or_default()) % bound
    }

    fn number(&mut self, below: usize) -> u64 {
        self.below(below) as u64
    }

    fn mailbox(&mut self) -> MailboxId {
        let owner = self.below(usize::from(OWNERS));
        mailbox(u8::try_from(owner).unwrap_or_default())
    }

    fn key(&mut self) -> Vec<u8> {
        const KEYS: [&[u8]; 8] = [b"", b"a", b"ab", b"abc", b"b", b"b\xff", b"b\xff\xff", b"c"];
        KEYS[self.below(KEYS.len())].to_vec()
    }

    fn lasts(&mut self) -> Duration {
        Duration::from_millis([0, 1, 5, 10, 30, 100][self.below(6)])
    }

    fn op(&mut self) -> MailboxOp {
        const SPACES: [Space; 2] = [Space("test/record"), Space("test/record/more")];
        let space = SPACES[self.below(2)];
        match self.below(18) {
            0 => {
                let until = at(0).after(self.lasts()).after(self.lasts()).after(self.lasts()).after(self.lasts());
                let terms = Terms { item_bytes: 10 + self.number(30), keep: self.lasts(), until };
                MailboxOp::Open { mailbox: self.mailbox(), terms }
            }
            1 => {
                let until = at(100_000);
                MailboxOp::Open { mailbox: self.mailbox(), terms: Terms { item_bytes: 40, keep: self.lasts(), until } }
            }
            2..=6 => {
                let quota = Quota {
                    item_bytes: 10 + self.number(40),
                    items: self.number(12),
                    bytes: 20 * self.number(12),
                    from_items: self.number(6),
                    from_bytes: 20 * self.number(6),
                };
                let digest = [u8::from(self.below(12) == 0); 32];
                let (from, value) = (vec![self.below(2) as u8], vec![b'v'; self.below(30)]);
                let (mailbox, key, remember) = (self.mailbox(), self.key(), self.lasts());
                MailboxOp::Put(Put { mailbox, key, digest, from, value, quota, remember })
            }
            7 | 8 => {
                let (mailbox, value) = (self.mailbox(), vec![b'n'; self.below(9)]);
                MailboxOp::Notice(Notice { mailbox, value, most: self.number(5), keep: self.lasts() })
            }
            9 => MailboxOp::Fetch(Fetch {
                mailbox: self.mailbox(),
                after: self.number(20),
                since: at(self.number(100)),
                items: self.below(6),
                bytes: self.below(100),
                item_cost: self.below(10),
            }),
            10 => MailboxOp::Find { mailbox: self.mailbox(), prefix: self.key(), limit: self.below(4) },
            11 => MailboxOp::Recall { mailbox: self.mailbox(), key: self.key() },
            12 => MailboxOp::Ack { mailbox: self.mailbox(), key: self.key() },
            13 => {
                let lane = [Lane::Letters, Lane::Notices][self.below(2)];
                MailboxOp::AckUpTo { mailbox: self.mailbox(), lane, seq: self.number(20) }
            }
            14 => match self.below(3) {
                0 => MailboxOp::Purge { mailbox: self.mailbox() },
                _ => MailboxOp::Usage { mailbox: self.mailbox() },
            },
            15 => match self.below(2) {
                0 => MailboxOp::Read { space, key: self.key() },
                _ => {
                    let (prefix, after) = (self.key(), (self.below(2) == 0).then(|| self.key()));
                    MailboxOp::Scan { space, prefix, after, limit: self.below(4) }
                }
            },
            16 => MailboxOp::Expect { space, key: self.key(), value: self.record() },
            _ => {
                let expires = (self.below(3) > 0).then(|| at(self.number(100)));
                MailboxOp::Write { change: Change { space, key: self.key(), value: self.record() }, expires }
            }
        }
    }

    fn record(&mut self) -> Option<Vec<u8>> {
        (self.below(3) > 0).then(|| vec![b'r'; self.below(2)])
    }
}
