use crate::case;
use proptest::prelude::*;
use waypost_core::{Change, MemoryRecords, Records, Space};

const SPACES: [Space; 2] = [Space("test/a"), Space("test/b")];

fn key() -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec(prop_oneof![Just(0_u8), Just(1), Just(0xff)], 0..4)
}

fn change() -> impl Strategy<Value = Change> {
    (0..2_usize, key(), proptest::option::of(proptest::collection::vec(any::<u8>(), 0..3)))
        .prop_map(|(space, key, value)| Change { space: SPACES[space], key, value })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn reads_like_records_in_memory(
        steps in proptest::collection::vec(proptest::collection::vec(change(), 0..6), 1..6),
        questions in proptest::collection::vec((0..2_usize, key(), proptest::option::of(key()), 0..5_usize), 20),
    ) {
        case(|store| {
        let mut memory = MemoryRecords::default();
        for changes in steps {
            store.apply(&changes).unwrap();
            memory.apply(changes);
        }
        for (space, key, after, limit) in questions {
            let space = SPACES[space];
            prop_assert_eq!(store.record(space, &key), memory.record(space, &key));
            prop_assert_eq!(store.count(space, &key), memory.count(space, &key));
            let after = after.as_deref();
            prop_assert_eq!(store.records(space, &key, after, limit), memory.records(space, &key, after, limit));
        }
        let under = memory.count(SPACES[0], &[0xff]).unwrap();
        prop_assert_eq!(store.remove_records(SPACES[0], &[0xff]).unwrap() as u64, under);
        prop_assert_eq!(store.count(SPACES[0], &[0xff]).unwrap(), 0);
        Ok(())
        })?;
    }
}
