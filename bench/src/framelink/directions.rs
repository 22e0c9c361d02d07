//! Both directions at once, on two cores, by the wall clock.

use super::{
    KIB,
    frames::Frames,
    machines::{Pair, psk},
};
use crate::{
    measure::{as_f64, median},
    progress,
    report::{Aim, Row},
};
use anyhow::{Result, anyhow};
use std::{
    sync::Barrier,
    thread,
    time::{Duration, Instant},
};
use waypost_framelink::{Align, Mode};

const GROUP: &str = "two directions at once";
const SIZE: usize = 64 * KIB;
/// Frames of a bit of work.
const BATCH: usize = 8;
const ROUND: Duration = Duration::from_millis(150);
const ROUNDS: usize = 9;
/// What two cores should give.
const AIM: Aim = Aim::Ratio(1.8);

/// Does a bit of work each time it is called.
type Work<'a> = &'a mut (dyn FnMut() -> Result<Done> + Send);

/// A bit of work, and the time of it that counts.
struct Done {
    bytes: usize,
    took: Duration,
}

pub(super) fn rows() -> Result<Vec<Row>> {
    progress("both directions at once");
    let (mut seal, mut open) = (sealing(), opening());
    let frames = race("sealing and opening, 64 KiB frames", "either alone, one core", &mut seal, &mut open)?;
    let [mut there, mut back] = [link(1)?, link(2)?];
    let links = race("two links, both sides of each on its core", "one link alone", &mut there, &mut back)?;
    Ok(vec![frames, links])
}

/// Frames as one side seals them.
fn sealing() -> impl FnMut() -> Result<Done> + Send {
    let mut frames = Frames::new(Align::Block, SIZE, BATCH);
    move || {
        let began = Instant::now();
        frames.seal(BATCH)?;
        Ok(Done { bytes: BATCH * SIZE, took: began.elapsed() })
    }
}

/// Frames as the other opens them; they are sealed before.
fn opening() -> impl FnMut() -> Result<Done> + Send {
    let mut frames = Frames::new(Align::Block, SIZE, BATCH);
    move || {
        frames.seal(BATCH)?;
        let began = Instant::now();
        frames.open(BATCH)?;
        Ok(Done { bytes: BATCH * SIZE, took: began.elapsed() })
    }
}

/// Messages through a link, both sides.
fn link(seed: u64) -> Result<impl FnMut() -> Result<Done> + Send> {
    let mut pair = Pair::open(&psk()?, Mode::Psk, seed)?;
    let (message, mut read) = (vec![0x5a; SIZE], vec![0; SIZE]);
    Ok(move || {
        let began = Instant::now();
        pair.message(&message, &mut read)?;
        Ok(Done { bytes: SIZE, took: began.elapsed() })
    })
}

/// Two who work at once, beside the mean of each alone. They take turns.
fn race(what: &str, peer: &str, one: Work<'_>, other: Work<'_>) -> Result<Row> {
    let (mut both, mut alone) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let [one_alone, other_alone] = [run([one])?, run([other])?];
        alone.push((one_alone + other_alone) / 2.0);
        both.push(run([one, other])?);
    }
    Ok(Row::alone(GROUP, what, "GB/s", median(both)).beside(peer, median(alone)).aim(AIM))
}

/// All at once, each in a thread of its own, for a round; what they do together.
fn run<const N: usize>(workers: [Work<'_>; N]) -> Result<f64> {
    let start = Barrier::new(N);
    thread::scope(|scope| {
        let threads = workers.map(|work| {
            let start = &start;
            scope.spawn(move || -> Result<f64> {
                start.wait();
                let (began, mut bytes, mut took) = (Instant::now(), 0, Duration::ZERO);
                while began.elapsed() < ROUND {
                    let done = work()?;
                    bytes += done.bytes as u64;
                    took += done.took;
                }
                Ok(as_f64(bytes) / 1e9 / took.as_secs_f64())
            })
        });
        let rates = threads.map(|thread| thread.join().map_err(|_| anyhow!("a worker panicked"))?);
        rates.into_iter().sum()
    })
}
