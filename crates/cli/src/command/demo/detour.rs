//! The direct way is blocked: letters go on by the relay, and directly again once it is free.

use super::player::Player;
use super::report::heading;
use super::tally::Count;
use super::{PATIENCE, millis};
use crate::failure::Failure;
use crate::output::{Output, Table};
use indicatif::ProgressBar;
use serde::Serialize;
use std::io::IsTerminal;
use std::time::{Duration, Instant};
use tokio::time::{sleep, timeout};
use waypost_core::{Body, ErrorKind, LetterId};

/// Letters of each while the direct way is blocked.
const LETTERS: usize = 10;
/// The longest a letter may take then, from the call to the end-to-end confirmation.
const LONGEST: Duration = Duration::from_secs(2);
/// Between two letters that find out whether the direct way is used again.
const LOOK: Duration = Duration::from_millis(200);

/// What came of it.
#[derive(Debug, Default, Serialize)]
pub(super) struct Detour {
    /// Both ways, with those that found out when the direct way was used again.
    pub(super) sent: usize,
    pub(super) delivered_once: usize,
    pub(super) lost: usize,
    pub(super) shown_twice: usize,
    /// While the way was blocked: whose trace names the relay.
    pub(super) by_relay: usize,
    /// The first letter after the cut, from the call to the end-to-end confirmation.
    pub(super) first_ms: f64,
    /// The slowest.
    pub(super) slowest_ms: f64,
    /// From the end of the block to the confirmation of the first letter that went directly.
    pub(super) direct_again_ms: f64,
}

/// Letters of Alice, and letters of Bob.
pub(super) type Both = (Vec<LetterId>, Vec<LetterId>);

/// Blocks the ports of both, lets both write, and frees the ports again.
pub(super) async fn run(
    output: Output,
    alice: &mut Player,
    bob: &mut Player,
    marker: &str,
) -> Result<(Detour, Both), Failure> {
    output.talk("Both ports are blocked: connections are cut and refused; letters go by the relay ...");
    let path = alice.path_to("Bob").await?;
    if path != "direct" {
        return Err(Failure::new(ErrorKind::Internal, format!("the way to Bob is not direct but {path}")));
    }
    alice.proxy.block().await?;
    bob.proxy.block().await?;
    let (mut times, mut of_alice, mut of_bob) = (Vec::new(), Vec::new(), Vec::new());
    for number in 0..LETTERS {
        for (from, to, ids) in [(&*alice, &*bob, &mut of_alice), (&*bob, &*alice, &mut of_bob)] {
            let begun = Instant::now();
            let text = format!("{marker} by the relay, number {number}");
            ids.push(from.tell(to.name, Body::Text { text }).await?);
            times.push(begun.elapsed());
        }
    }
    let mut detour = Detour {
        first_ms: millis(times.first().copied().unwrap_or_default()),
        slowest_ms: millis(times.iter().max().copied().unwrap_or_default()),
        ..Detour::default()
    };
    for (person, ids) in [(&*alice, &of_alice), (&*bob, &of_bob)] {
        for id in ids {
            detour.by_relay += usize::from(person.went_by_relay(*id).await?);
        }
    }

    output.talk("The ports are free again; the next direct try is 10 s after the first letter by the relay ...");
    let freed = Instant::now();
    alice.proxy.unblock()?;
    bob.proxy.unblock()?;
    let spinner = spinner(output);
    let direct = async {
        loop {
            let text = format!("{marker} is the way free?");
            let letter = alice.tell("Bob", Body::Text { text }).await?;
            of_alice.push(letter);
            if !alice.went_by_relay(letter).await? {
                return Ok::<(), Failure>(());
            }
            sleep(LOOK).await;
        }
    };
    let late = || Failure::new(ErrorKind::Unreachable, "the direct way does not come back");
    timeout(PATIENCE, direct).await.map_err(|_| late())??;
    detour.direct_again_ms = millis(freed.elapsed());
    spinner.finish_and_clear();
    detour.sent = of_alice.len() + of_bob.len();
    Ok((detour, (of_alice, of_bob)))
}

fn spinner(output: Output) -> ProgressBar {
    if output.is_json() || !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let spinner = ProgressBar::new_spinner();
    spinner.enable_steady_tick(Duration::from_millis(100));
    spinner
}

impl Detour {
    pub(super) fn take(&mut self, count: &Count) {
        self.delivered_once += count.once;
        self.lost += count.lost;
        self.shown_twice += count.twice;
    }

    /// What is not as it must be.
    pub(super) fn failures(&self) -> Vec<String> {
        let mut failures = Vec::new();
        if self.slowest_ms > millis(LONGEST) {
            failures.push(format!("a letter by the relay took {:.0} ms, not {} s", self.slowest_ms, LONGEST.as_secs()));
        }
        if self.by_relay != 2 * LETTERS {
            failures.push(format!("{} letters went by the relay, not {}", self.by_relay, 2 * LETTERS));
        }
        failures
    }

    pub(super) fn rows(&self, table: &mut Table) {
        heading(table, "Direct way blocked");
        let times = format!("first {:.0} ms, slowest {:.0} ms", self.first_ms, self.slowest_ms);
        table.row([
            "  Letters by the relay".into(),
            format!("{}, {times} (limit {} s)", self.by_relay, LONGEST.as_secs()),
        ]);
        let again = format!("used again after {:.1} s", self.direct_again_ms / 1000.0);
        table.row(["  Direct way, once free".into(), again]);
        table.row(["  Delivered exactly once".into(), format!("{} of {}", self.delivered_once, self.sent)]);
        table.row(["  Lost, shown twice".into(), format!("{}, {}", self.lost, self.shown_twice)]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_slow_letter_or_one_that_went_elsewhere_is_a_failure() {
        let good = || Detour { by_relay: 2 * LETTERS, slowest_ms: 2000.0, ..Detour::default() };
        assert_eq!(good().failures(), Vec::<String>::new());
        for bad in [Detour { slowest_ms: 2000.1, ..good() }, Detour { by_relay: 2 * LETTERS - 1, ..good() }] {
            assert_eq!(bad.failures().len(), 1, "{bad:?}");
        }
    }
}
