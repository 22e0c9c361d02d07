//! TCP through a tunnel of two processes on loopback: ours, spiped, stunnel, and none.

mod load;
mod ours;
mod peers;

use crate::{
    measure::{median, quantile},
    progress,
    report::{Aim, Row},
};
use anyhow::Result;
use load::{Ends, Tunnel};
use std::path::Path;

/// Each tunnel is measured so often; they take turns.
const ROUNDS: usize = 5;
/// What ours is measured beside, but not to be faster than.
const PLAIN: &str = "a plain socket";

/// Figures of one tunnel, a round each.
#[derive(Default)]
struct Figures {
    one_way: Vec<f64>,
    both_ways: Vec<f64>,
    /// Round trips of all rounds, in microseconds.
    pings: Vec<f64>,
}

pub(super) fn rows(folder: &Path, binary: Option<&Path>, notes: &mut Vec<String>) -> Result<Vec<Row>> {
    progress("tunnels: starting them");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut tunnels = vec![ours::start(&runtime, folder, binary, notes)?, load::plain()?];
    tunnels.extend(peers::start(&runtime, folder, notes)?);
    let mut all: Vec<Figures> = tunnels.iter().map(|_| Figures::default()).collect();
    for round in 1..=ROUNDS {
        progress(&format!("tunnels: round {round} of {ROUNDS}"));
        for (tunnel, figures) in tunnels.iter().zip(&mut all) {
            let mut ends = Ends::through(tunnel)?;
            figures.pings.extend(ends.pings()?);
            figures.one_way.push(ends.one_way()?);
            figures.both_ways.push(ends.both_ways()?);
        }
    }
    let Some((ours, peers)) = all.split_first() else { return Ok(Vec::new()) };
    let peers: Vec<(&Tunnel, &Figures)> = tunnels.iter().skip(1).zip(peers).collect();
    let mut rows = Vec::new();
    for (what, figure) in [
        ("one direction", (|figures| median(figures.one_way.clone())) as fn(&Figures) -> f64),
        ("both directions at once, their sum", |figures| median(figures.both_ways.clone())),
    ] {
        rows.extend(peers.iter().map(|(tunnel, theirs)| {
            let row = Row::alone("tunnel, throughput", what, "MB/s", figure(ours));
            aimed(row.beside(&tunnel.name, figure(theirs)), tunnel)
        }));
    }
    for (what, part) in [("64 B there and back, median", 0.5), ("99 of 100", 0.99)] {
        rows.extend(peers.iter().map(|(tunnel, theirs)| {
            let figure = |figures: &Figures| quantile(figures.pings.clone(), part);
            let row = Row::alone("tunnel, round trip", what, "us", figure(ours));
            row.beside_less(&tunnel.name, figure(theirs))
        }));
    }
    Ok(rows)
}

/// A tunnel costs something, so only other tunnels are to be beaten.
fn aimed(row: Row, tunnel: &Tunnel) -> Row {
    if tunnel.name == PLAIN { row } else { row.aim(Aim::AtLeastThePeer) }
}
