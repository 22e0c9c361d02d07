//! The suite on the engine in a file, and the engine beside the model.

use crate::{InFile, model::InMemory};
use proptest::prelude::*;
use rand::RngExt;
use waypost_mailbox::{Capacity, conformance::replay};
use waypost_testkit::{SimRng, sim::Counts, storm};

waypost_mailbox::conformance!(InFile);

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    #[test]
    fn answers_as_the_model_does(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        replay::play::<InFile, InMemory>(Capacity::default(), &replay::steps(&bytes));
    }

    #[test]
    fn answers_as_the_model_does_when_storage_is_short(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        replay::play::<InFile, InMemory>(Capacity { items: 6, bytes: 90 }, &replay::steps(&bytes));
    }
}

#[test]
fn storm_of_batches_beside_the_model() {
    storm::run("mailbox batches beside the model", 10, |seed| {
        let mut rng = SimRng::new(seed);
        let bytes: Vec<u8> = (0..2000).map(|_| rng.random()).collect();
        let steps = replay::steps(&bytes);
        replay::play::<InFile, InMemory>(Capacity::default(), &steps);
        Counts::from([("steps", steps.len() as u64)])
    });
}
