//! Everything goes wrong at random between two accounts.

use super::pair::Pair;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use waypost_core::LetterId;
use waypost_testkit::sim::Counts;
use waypost_testkit::storm;

const STEPS: u32 = 120;

#[test]
fn storm_accounts_lose_no_letter_and_show_none_twice() {
    storm::run("two accounts", 20, run);
}

/// Loss, reorder and duplication of messages, broken connections, crashes before and after what was
/// done is on disk, backups restored: then calm, and every letter that was on disk has arrived.
fn run(seed: u64) -> Counts {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut pair = Pair::new(1000 + seed);
    let mut counts = Counts::new();
    let mut written: [BTreeMap<LetterId, String>; 2] = Default::default();
    let mut pending: [Vec<(LetterId, String)>; 2] = Default::default();
    let mut count = |what: &'static str| *counts.entry(what).or_default() += 1;
    for step in 0..STEPS {
        let who = rng.random_range(0..2);
        match rng.random_range(0..100) {
            0..20 => {
                let text = format!("{step} {}", "x".repeat(if rng.random_bool(0.1) { 20_000 } else { 10 }));
                let id = pair.write(who, &text);
                pending[who].push((id, text));
            }
            20..70 => (0..3).for_each(|_| pass_one(&mut pair, &mut rng, &mut count)),
            70..80 => {
                pair.collect();
                let most = if rng.random_bool(0.1) { 400_000 } else { 4000 };
                let millis = rng.random_range(1..most);
                let end = pair.now().after(Duration::from_millis(millis));
                pair.sides.iter_mut().for_each(|side| side.wait_until(end));
            }
            80..83 => {
                pair.cut();
                count("broken connections");
            }
            83..87 => {
                pair.crash(who);
                pending[who].clear();
                count("crashes");
            }
            87..88 => {
                pair.sides[who].restore();
                pair.cut();
                pending[who].clear();
                count("restored backups");
            }
            88..93 => {
                let side = &mut pair.sides[who];
                side.saves = !side.saves;
            }
            _ if pair.link.is_none() => {
                pair.connect(who);
            }
            _ => {}
        }
        // What is on disk was acknowledged to the person who wrote it.
        for (side, (pending, written)) in pair.sides.iter_mut().zip(pending.iter_mut().zip(&mut written)) {
            if side.saves {
                side.save();
                written.extend(pending.drain(..));
            }
        }
    }
    calm(&mut pair, &mut pending, &mut written);
    for (from, to) in [(0, 1), (1, 0)] {
        let there = &pair.sides[to].inbox;
        for (id, text) in &written[from] {
            assert_eq!(there.get(id).and_then(|letter| letter.body.text()), Some(text.as_str()), "a letter is lost");
        }
        let delivered: BTreeSet<_> = pair.sides[from].delivered().into_iter().collect();
        assert!(delivered.iter().all(|id| there.contains_key(id)), "said to be delivered");
        assert!(written[from].keys().all(|id| delivered.contains(id)), "and not said to be delivered");
        assert_eq!(pair.sides[from].undeliverable(), []);
        let peer = pair.sides[to].id();
        let side = &pair.sides[from];
        assert!(!side.account.waits_for(&side.records, &peer).unwrap());
        *counts.entry("letters delivered").or_default() += there.len() as u64;
    }
    counts
}

/// One message of the wire: passed, out of order, twice, or lost.
fn pass_one(pair: &mut Pair, rng: &mut ChaCha8Rng, count: &mut impl FnMut(&'static str)) {
    pair.collect();
    let reorder = rng.random_bool(0.15);
    let index = if reorder && !pair.wire.is_empty() { rng.random_range(0..pair.wire.len()) } else { 0 };
    let Some((to, link, message)) = pair.wire.remove(index) else { return };
    match rng.random_range(0..20) {
        0 => count("messages lost"),
        1 => {
            pair.wire.push_back((to, link, message.clone()));
            pair.deliver(to, link, message);
            count("messages doubled");
        }
        _ => pair.deliver(to, link, message),
    }
}

/// Connected, on disk, for long enough that every pause is over.
fn calm(pair: &mut Pair, pending: &mut [Vec<(LetterId, String)>; 2], written: &mut [BTreeMap<LetterId, String>; 2]) {
    for side in &mut pair.sides {
        side.saves = true;
        side.save();
    }
    for (pending, written) in pending.iter_mut().zip(written) {
        written.extend(pending.drain(..));
    }
    pair.cut();
    pair.connect(0);
    for _ in 0..3 {
        pair.wait(Duration::from_secs(3700));
    }
}
