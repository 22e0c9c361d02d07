//! One test over many seeds.
//!
//! `WAYPOST_STORM_COUNT` says how many, `WAYPOST_STORM_SEED` which is the first.

use crate::sim::Counts;
use std::{
    env, fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Instant,
};

/// The first seed, unless the environment names another.
const FIRST_SEED: u64 = 1;

/// What came of a storm.
#[derive(Clone, Debug)]
pub struct Figures {
    /// What was run.
    pub name: String,
    /// How many seeds.
    pub runs: u64,
    /// How long it took all together.
    pub seconds: f64,
    /// The sums of what the runs returned.
    pub totals: Counts,
}

/// `name: 200 runs in 3.2 s, delivered 4000, crashes 812`.
impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} runs in {:.1} s", self.name, self.runs, self.seconds)?;
        self.totals.iter().try_for_each(|(what, total)| write!(f, ", {what} {total}"))
    }
}

/// Calls `run` with `default_count` seeds, on all cores, prints the figures and gives them back. What
/// a run returns is summed: how much was delivered, and how much went wrong on the way.
///
/// # Panics
/// If a run panics, after saying how to repeat it.
pub fn run(name: &str, default_count: u64, run: impl Fn(u64) -> Counts + Sync) -> Figures {
    let count = number("WAYPOST_STORM_COUNT").unwrap_or(default_count);
    let first = number("WAYPOST_STORM_SEED").unwrap_or(FIRST_SEED);
    over_seeds(name, first, count, run)
}

#[expect(clippy::print_stderr, reason = "figures and the way to repeat a failure are for whoever runs the tests")]
fn over_seeds(name: &str, first: u64, count: u64, run: impl Fn(u64) -> Counts + Sync) -> Figures {
    assert!(count > 0, "storm {name}: a storm of no runs shows nothing");
    let (start, next) = (Instant::now(), AtomicU64::new(0));
    let (totals, failed) = (Mutex::new(Counts::new()), Mutex::new(None::<u64>));
    let work = || {
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= count || failed.lock().unwrap().is_some() {
                return;
            }
            let seed = first.wrapping_add(number);
            match catch_unwind(AssertUnwindSafe(|| run(seed))) {
                Ok(counts) => {
                    let mut totals = totals.lock().unwrap();
                    counts.into_iter().for_each(|(what, much)| *totals.entry(what).or_default() += much);
                }
                Err(_) => *failed.lock().unwrap() = Some(seed),
            }
        }
    };
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(work);
        }
    });
    if let Some(seed) = failed.into_inner().unwrap() {
        panic!("storm {name}: seed {seed} failed; repeat it with\n{}", repeat_with(seed));
    }
    let seconds = start.elapsed().as_secs_f64();
    let figures = Figures { name: name.to_owned(), runs: count, seconds, totals: totals.into_inner().unwrap() };
    eprintln!("storm {figures}");
    figures
}

fn number(variable: &str) -> Option<u64> {
    let text = env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable}={text} is not a number")))
}

fn repeat_with(seed: u64) -> String {
    let package = env::var("CARGO_PKG_NAME").unwrap_or_else(|_| "PACKAGE".to_owned());
    let test = thread::current().name().unwrap_or("TEST").to_owned();
    format!("WAYPOST_STORM_SEED={seed} WAYPOST_STORM_COUNT=1 cargo test -p {package} {test} -- --nocapture")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn runs_every_seed_once_and_sums_what_they_return() {
        let seen = Mutex::new(BTreeSet::new());
        let figures = over_seeds("sums", 5, 100, |seed| {
            assert!(seen.lock().unwrap().insert(seed));
            Counts::from([("seeds", seed)])
        });
        assert_eq!(*seen.lock().unwrap(), (5..105).collect());
        assert_eq!((figures.runs, figures.totals["seeds"]), (100, (5..105).sum()));
        assert!(figures.to_string().starts_with("sums: 100 runs in "), "{figures}");
    }

    #[test]
    fn names_the_seed_that_failed_and_how_to_repeat_it() {
        let storm = || over_seeds("fails", 1, 50, |seed| if seed == 17 { panic!("on purpose") } else { Counts::new() });
        let panic = catch_unwind(storm).expect_err("a failure");
        let message = panic.downcast::<String>().expect("a message");
        assert!(message.contains("seed 17 failed"), "{message}");
        assert!(message.contains("WAYPOST_STORM_SEED=17 WAYPOST_STORM_COUNT=1 cargo test -p waypost-testkit"));
    }
}
