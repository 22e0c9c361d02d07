//! What a role itself remembers.

use super::{Bench, SPACE, Subject, change, read};
use waypost_core::{Change, MailboxDone, MailboxOp, Refusal, Space};

/// A record is what was written last.
pub fn are_read_written_and_removed<S: Subject>() {
    let bench = Bench::<S>::new();
    assert_eq!(bench.record(0, b"a"), None);
    bench.run(0, vec![change(b"a", b"one"), change(b"", b"empty key"), change(b"b", b"")]);
    assert_eq!(bench.record(0, b"a"), Some(b"one".to_vec()));
    assert_eq!(bench.record(0, b""), Some(b"empty key".to_vec()));
    assert_eq!(bench.record(0, b"b"), Some(vec![]));
    bench.one(1, change(b"a", &[7; 100_000]));
    assert_eq!(bench.record(1, b"a"), Some(vec![7; 100_000]));
    let remove = Change { space: SPACE, key: b"a".to_vec(), value: None };
    let remove = MailboxOp::Write { change: remove, expires: None };
    assert_eq!(bench.run(2, vec![remove.clone(), remove]), [MailboxDone::Done, MailboxDone::Done]);
    assert_eq!(bench.record(2, b"a"), None);
}

/// From any place, as many as asked for.
pub fn are_scanned_by_prefix_in_the_order_of_keys<S: Subject>() {
    let bench = Bench::<S>::new();
    let keys: Vec<Vec<u8>> = (0..150_u8).map(|key| vec![b'p', key]).collect();
    bench.run(0, keys.iter().rev().map(|key| change(key, key)).collect());
    bench.run(0, vec![change(b"o", b""), change(b"q", b""), change(b"p", b""), change(b"p\xff\xff", b"")]);
    let scan = |prefix: &[u8], after: Option<&[u8]>, limit| {
        let (prefix, after) = (prefix.to_vec(), after.map(<[u8]>::to_vec));
        match bench.one(1, MailboxOp::Scan { space: SPACE, prefix, after, limit }) {
            MailboxDone::Records(records) => records.into_iter().map(|(key, _)| key).collect::<Vec<_>>(),
            done => panic!("{done:?}"),
        }
    };
    let all = [vec![b"p".to_vec()], keys.clone(), vec![b"p\xff\xff".to_vec()]].concat();
    assert_eq!(scan(b"p", None, usize::MAX), all);
    assert_eq!(scan(b"p", None, 3), all[..3]);
    assert_eq!(scan(b"p", Some(b"p\x02"), 2), [b"p\x03", b"p\x04"]);
    assert_eq!(scan(b"p", Some(b"a"), 1), [b"p"]);
    assert_eq!(scan(b"p", Some(b"pz\x00"), 1), [b"p{"]);
    assert_eq!(scan(b"p", Some(b"q"), 1), [b""; 0]);
    assert_eq!(scan(b"p\xff", None, 9), [b"p\xff\xff"]);
    assert_eq!(scan(b"", None, 2), [b"o", b"p"]);
    assert_eq!(scan(b"p", None, 0), [b""; 0]);
}

/// Even if one's name is the beginning of another's.
pub fn of_one_space_are_not_of_another<S: Subject>() {
    let bench = Bench::<S>::new();
    let long = Space("test/record/more");
    let write = |space, key: &[u8]| {
        let change = Change { space, key: key.to_vec(), value: Some(key.to_vec()) };
        MailboxOp::Write { change, expires: None }
    };
    bench.run(0, vec![write(SPACE, b"a"), write(long, b"b"), write(Space("test/recor"), b"c")]);
    let scan = |space| bench.one(1, MailboxOp::Scan { space, prefix: vec![], after: None, limit: 9 });
    assert_eq!(scan(SPACE), MailboxDone::Records(vec![(b"a".to_vec(), b"a".to_vec())]));
    assert_eq!(scan(long), MailboxDone::Records(vec![(b"b".to_vec(), b"b".to_vec())]));
    assert_eq!(bench.one(1, read(b"b")), MailboxDone::Record(None));
}

/// Or nothing happens.
pub fn are_expected_to_be_as_they_were<S: Subject>() {
    let bench = Bench::<S>::new();
    let expect = |key: &[u8], value: Option<&[u8]>| MailboxOp::Expect {
        space: SPACE,
        key: key.to_vec(),
        value: value.map(<[u8]>::to_vec),
    };
    let done = [MailboxDone::Done, MailboxDone::Done];
    assert_eq!(bench.run(0, vec![expect(b"a", None), change(b"a", b"one")]), done);
    assert_eq!(bench.run(0, vec![expect(b"a", None), change(b"a", b"two")]), [MailboxDone::Refused(Refusal::Changed)]);
    assert_eq!(bench.run(0, vec![expect(b"a", Some(b"one")), change(b"a", b"two")]), done);
    assert_eq!(bench.record(0, b"a"), Some(b"two".to_vec()));
    assert_eq!(bench.refused(0, expect(b"a", Some(b"one"))), Refusal::Changed, "also where nothing is written");
    assert_eq!(bench.refused(0, expect(b"b", Some(b""))), Refusal::Changed);
    assert_eq!(bench.one(0, expect(b"b", None)), MailboxDone::Done);
}
