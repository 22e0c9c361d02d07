//! Speeds of contestants that take turns, by the time their thread had the processor.

use anyhow::Result;
use rustix::time::{ClockId, clock_gettime};
use std::time::{Duration, Instant};

/// Processor time of one contestant in one round.
const ROUND: Duration = Duration::from_millis(70);
/// Odd, so that the median is one of them.
const ROUNDS: usize = 11;
/// Before this much work was done, caches and clocks of the processor are cold.
const WARM_UP: Duration = Duration::from_millis(100);

/// Somebody who does the same thing over and over.
pub(crate) struct Contestant<'a> {
    name: String,
    /// Does it so many times.
    work: Box<dyn FnMut(u64) -> Result<Took> + 'a>,
}

/// What the clock of the processor and that on the wall say.
#[derive(Clone, Copy, Debug, Default)]
struct Took {
    processor: Duration,
    wall: Duration,
}

/// Runs while that is done which counts.
#[derive(Debug, Default)]
pub(crate) struct Stopwatch(Took);

impl Stopwatch {
    pub(crate) fn time<T>(&mut self, work: impl FnOnce() -> T) -> T {
        let (processor, wall) = (thread_time(), Instant::now());
        let done = work();
        self.0.processor += thread_time().saturating_sub(processor);
        self.0.wall += wall.elapsed();
        done
    }
}

impl<'a> Contestant<'a> {
    pub(crate) fn new(name: impl Into<String>, mut work: impl FnMut(u64) -> Result<()> + 'a) -> Self {
        Self::timed(name, move |times, stopwatch| stopwatch.time(|| work(times)))
    }

    /// One who has to prepare each time what is not to be counted.
    pub(crate) fn timed(name: impl Into<String>, mut work: impl FnMut(u64, &mut Stopwatch) -> Result<()> + 'a) -> Self {
        let work = move |times| {
            let mut stopwatch = Stopwatch::default();
            work(times, &mut stopwatch)?;
            Ok(stopwatch.0)
        };
        Self { name: name.into(), work: Box::new(work) }
    }

    /// How often it fits into a round.
    fn warm_up(&mut self) -> Result<u64> {
        let (mut times, mut all) = (1, Duration::ZERO);
        loop {
            let took = (self.work)(times)?.processor;
            all += took;
            if all >= WARM_UP && took > Duration::from_millis(5) {
                let fits = ROUND.as_secs_f64() / took.as_secs_f64() * as_f64(times);
                #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "positive and small")]
                return Ok((fits as u64).max(1));
            }
            if took < ROUND {
                times *= 2;
            }
        }
    }
}

/// How fast a contestant was.
#[derive(Clone, Debug)]
pub(crate) struct Speed {
    pub(crate) name: String,
    /// Times a second of processor time: the median of the rounds.
    pub(crate) per_second: f64,
    /// Times a second on the wall clock: what other programs left of it.
    pub(crate) wall_per_second: f64,
}

/// Lets the contestants take turns; their speeds in the same order.
pub(crate) fn contest(mut contestants: Vec<Contestant<'_>>) -> Result<Vec<Speed>> {
    let mut field = Vec::new();
    for contestant in &mut contestants {
        let times = contestant.warm_up()?;
        field.push((contestant, times, Vec::new(), Vec::new()));
    }
    for _ in 0..ROUNDS {
        for (contestant, times, by_processor, by_wall) in &mut field {
            let took = (contestant.work)(*times)?;
            by_processor.push(as_f64(*times) / took.processor.as_secs_f64());
            by_wall.push(as_f64(*times) / took.wall.as_secs_f64());
        }
    }
    let speeds = field.into_iter().map(|(contestant, _, by_processor, by_wall)| Speed {
        name: contestant.name.clone(),
        per_second: median(by_processor),
        wall_per_second: median(by_wall),
    });
    Ok(speeds.collect())
}

/// The value in the middle; not a number if there is none.
pub(crate) fn median(values: Vec<f64>) -> f64 {
    quantile(values, 0.5)
}

/// The value below which this part of the values lies.
pub(crate) fn quantile(mut values: Vec<f64>, part: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let last = values.len().saturating_sub(1);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "within the length")]
    let place = (as_f64(last as u64) * part).round() as usize;
    values.get(place).copied().unwrap_or(f64::NAN)
}

/// A count as a figure for people.
#[expect(clippy::cast_precision_loss, reason = "a figure for people")]
pub(crate) fn as_f64(count: u64) -> f64 {
    count as f64
}

/// Processor time of this process, all threads.
pub(crate) fn process_time() -> Duration {
    since_zero(ClockId::ProcessCPUTime)
}

fn thread_time() -> Duration {
    since_zero(ClockId::ThreadCPUTime)
}

fn since_zero(clock: ClockId) -> Duration {
    let time = clock_gettime(clock);
    let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
    Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_values_of_the_list() {
        let values = || vec![5.0, 1.0, 4.0, 2.0, 3.0];
        assert_eq!(median(values()), 3.0);
        assert_eq!(quantile(values(), 0.0), 1.0);
        assert_eq!(quantile(values(), 0.99), 5.0);
        assert!(median(Vec::new()).is_nan());
    }

    #[test]
    fn contestants_take_turns_and_keep_their_order() {
        let turns = std::cell::RefCell::new(Vec::new());
        let contestant = |name: &'static str| {
            let turns = &turns;
            Contestant::new(name, move |times| {
                turns.borrow_mut().push(name);
                (0..times).for_each(|n| drop(std::hint::black_box(vec![n; 100])));
                Ok(())
            })
        };
        let speeds = contest(vec![contestant("one"), contestant("two")]).unwrap();
        assert_eq!([&*speeds[0].name, &*speeds[1].name], ["one", "two"]);
        assert!(speeds.iter().all(|speed| speed.per_second > 0.0));
        let turns = turns.into_inner();
        assert_eq!(turns[turns.len() - 2 * ROUNDS..], ["one", "two"].repeat(ROUNDS));
    }
}
