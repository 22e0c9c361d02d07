//! The table at the end.

use crate::{machine::Machine, measure::Speed};
use anyhow::Result;
use serde::Serialize;

/// All rows of one run, and where they were measured.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) benchmark: &'static str,
    pub(crate) machine: Machine,
    pub(crate) rows: Vec<Row>,
    /// What was left out, and why.
    pub(crate) notes: Vec<String>,
}

/// One line: a figure of ours, and one beside it if there is a peer.
#[derive(Debug, Serialize)]
pub(crate) struct Row {
    pub(crate) group: &'static str,
    pub(crate) what: String,
    pub(crate) unit: &'static str,
    pub(crate) ours: f64,
    pub(crate) peer: Option<Peer>,
    /// How many times as fast as the peer ours is.
    pub(crate) ratio: Option<f64>,
    /// The same two figures by the wall clock, where the others are by processor time.
    pub(crate) by_wall_clock: Option<[f64; 2]>,
    pub(crate) aim: Option<Aim>,
    /// Whether the aim is met.
    pub(crate) met: Option<bool>,
}

/// Whom ours is measured beside.
#[derive(Debug, Serialize)]
pub(crate) struct Peer {
    pub(crate) name: String,
    pub(crate) figure: f64,
}

/// What the figure should be.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Aim {
    /// A ratio of one or more, to two digits.
    AtLeastThePeer,
    /// A ratio of this or more, to two digits.
    Ratio(f64),
    /// Less than this.
    Below(f64),
}

impl Row {
    /// A figure that stands alone.
    pub(crate) fn alone(group: &'static str, what: impl Into<String>, unit: &'static str, ours: f64) -> Self {
        Self {
            group,
            what: what.into(),
            unit,
            ours,
            peer: None,
            ratio: None,
            by_wall_clock: None,
            aim: None,
            met: None,
        }
    }

    /// A figure of which more is better, beside that of a peer.
    pub(crate) fn beside(mut self, name: impl Into<String>, figure: f64) -> Self {
        self.ratio = Some(self.ours / figure);
        self.peer = Some(Peer { name: name.into(), figure });
        self
    }

    /// A figure of which less is better, beside that of a peer.
    pub(crate) fn beside_less(mut self, name: impl Into<String>, figure: f64) -> Self {
        self.ratio = Some(figure / self.ours);
        self.peer = Some(Peer { name: name.into(), figure });
        self
    }

    /// What the wall clock said.
    pub(crate) fn wall(mut self, ours: f64, peer: f64) -> Self {
        self.by_wall_clock = Some([ours, peer]);
        self
    }

    pub(crate) fn aim(mut self, aim: Aim) -> Self {
        self.met = match aim {
            Aim::AtLeastThePeer => self.ratio.map(|ratio| reaches(ratio, 1.0)),
            Aim::Ratio(least) => self.ratio.map(|ratio| reaches(ratio, least)),
            Aim::Below(limit) => Some(self.ours < limit),
        };
        self.aim = Some(aim);
        self
    }

    fn cells(&self) -> [String; 7] {
        let (peer, name) = self.peer.as_ref().map(|peer| (figure(peer.figure), peer.name.clone())).unwrap_or_default();
        let aim = match self.aim {
            None => String::new(),
            Some(Aim::AtLeastThePeer) => ">= 1.00".into(),
            Some(Aim::Ratio(least)) => format!(">= {least:.2}"),
            Some(Aim::Below(limit)) => format!("< {}", figure(limit)),
        };
        let met = match self.met {
            None => "",
            Some(true) => "  met",
            Some(false) => "  MISSED",
        };
        [
            self.what.clone(),
            figure(self.ours),
            self.unit.to_owned(),
            peer,
            self.ratio.map(|ratio| format!("{ratio:.2}")).unwrap_or_default(),
            aim + met,
            name,
        ]
    }
}

impl Report {
    pub(crate) fn to_json(&self) -> Result<String> {
        Ok(serde_json::to_string_pretty(self)?)
    }

    pub(crate) fn to_text(&self) -> String {
        let head = ["what", "ours", "unit", "peer", "ratio", "aim", "the peer is"].map(str::to_owned);
        let cells: Vec<_> = self.rows.iter().map(|row| (row.group, row.cells())).collect();
        let mut widths = head.each_ref().map(|cell| cell.chars().count());
        for (_, row) in &cells {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.chars().count());
            }
        }
        let mut text = format!("\n{}\n\n{}\n", self.machine.to_text(), line(&head, &widths));
        let mut group = "";
        for (its, row) in &cells {
            if *its != group {
                group = its;
                text.push_str(&format!("{group}\n"));
            }
            text.push_str(&line(row, &widths));
            text.push('\n');
        }
        for note in &self.notes {
            text.push_str(&format!("\nnote: {note}\n"));
        }
        let aims = self.rows.iter().filter_map(|row| row.met);
        let (met, all) = aims.fold((0, 0), |(met, all), is_met| (met + u32::from(is_met), all + 1));
        text.push_str(&format!("\n{met} of {all} aims met"));
        text
    }
}

/// A row for each peer; `aim` names a peer, and how fast ours should be beside it. `scale` turns times a second
/// into the unit.
pub(crate) fn rows_of(
    group: &'static str,
    what: &str,
    (unit, scale): (&'static str, f64),
    speeds: &[Speed],
    aim: Option<(&str, Aim)>,
) -> Vec<Row> {
    let Some((ours, peers)) = speeds.split_first() else { return Vec::new() };
    let row = |peer: &Speed| {
        let row = Row::alone(group, what, unit, ours.per_second * scale).beside(&*peer.name, peer.per_second * scale);
        let row = row.wall(ours.wall_per_second * scale, peer.wall_per_second * scale);
        match aim {
            Some((name, aim)) if name == peer.name => row.aim(aim),
            _ => row,
        }
    };
    peers.iter().map(row).collect()
}

/// As it is printed.
fn reaches(ratio: f64, least: f64) -> bool {
    (ratio * 100.0).round() >= (least * 100.0).round()
}

/// Texts to the left, figures to the right.
fn line(cells: &[String; 7], widths: &[usize; 7]) -> String {
    let mut line = String::new();
    for (place, (cell, &width)) in cells.iter().zip(widths).enumerate() {
        let padded = if matches!(place, 1 | 3 | 4) { format!("{cell:>width$}") } else { format!("{cell:<width$}") };
        line.push_str("  ");
        line.push_str(&padded);
    }
    line.trim_end().to_owned()
}

/// Three digits that count, thousands apart.
fn figure(value: f64) -> String {
    if !value.is_finite() {
        return "-".into();
    }
    match value.abs() {
        ..10.0 => return format!("{value:.2}"),
        ..100.0 => return format!("{value:.1}"),
        _ => {}
    }
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_aim_is_met_by_the_figure_alone() {
        let row = |ours, peer| Row::alone("g", "w", "/s", ours).beside("p", peer).aim(Aim::AtLeastThePeer);
        assert_eq!(row(100.0, 100.4).met, Some(true));
        assert_eq!(row(100.0, 101.0).met, Some(false));
        let share = |ours| Row::alone("g", "w", "/s", ours).beside("p", 100.0).aim(Aim::Ratio(0.95));
        assert_eq!([share(95.0).met, share(94.4).met], [Some(true), Some(false)]);
        assert_eq!(Row::alone("g", "w", "ms", 150.0).aim(Aim::Below(150.0)).met, Some(false));
        assert_eq!(Row::alone("g", "w", "ms", 149.0).aim(Aim::Below(150.0)).met, Some(true));
    }

    #[test]
    fn figures_are_readable() {
        assert_eq!(
            [0.5, 12.34, 999.6, 1234.0, 1_234_567.0, f64::NAN].map(figure),
            ["0.50", "12.3", "1,000", "1,234", "1,234,567", "-"]
        );
    }
}
