//! What the demo found.

use super::away::Away;
use super::bulk::Bulk;
use super::detour::Detour;
use super::millis;
use super::tally::Count;
use crate::failure::Failure;
use crate::output::Table;
use serde::Serialize;
use std::path::Path;
use std::time::Duration;
use waypost_core::Protection;

/// The table, as data.
#[derive(Debug, Default, Serialize)]
pub(super) struct Report {
    /// Whether all went well.
    pub(super) passed: bool,
    /// What did not.
    pub(super) failures: Vec<String>,
    /// Whether a plaintext was found where it must not be.
    pub(super) plaintext_found: bool,
    /// From the start of a node to its readiness.
    pub(super) start_ms: f64,
    /// From the exchange of cards to the first letter's confirmation.
    pub(super) first_letter_ms: f64,
    /// Letters of the conversation.
    pub(super) conversation: usize,
    /// Letters sent in bulk.
    pub(super) sent: usize,
    /// Of them: there, whole, and shown exactly once.
    pub(super) delivered_once: usize,
    pub(super) lost: usize,
    pub(super) shown_twice: usize,
    /// Nodes killed and restarted meanwhile.
    pub(super) kills: u32,
    /// From the call to the end-to-end confirmation, with 16 letters under way, before the first kill.
    pub(super) median_ms: f64,
    pub(super) p99_ms: f64,
    /// The slowest letter of all, over the kills.
    pub(super) slowest_ms: f64,
    pub(super) letters_per_second: f64,
    /// Both ways, with confirmations.
    pub(super) bytes_per_letter: f64,
    /// What the proxies recorded and searched.
    pub(super) recorded_bytes: usize,
    /// What the letters in bulk had in common.
    pub(super) protection: Protection,
    /// Letters that waited at a relay.
    pub(super) away: Away,
    /// Letters while the direct way was blocked.
    pub(super) detour: Detour,
    /// How long all of it took.
    pub(super) took_ms: f64,
    /// Where the data folders are, if they were kept.
    pub(super) folder: Option<String>,
}

impl Report {
    pub(super) fn fail(&mut self, what: String) {
        self.failures.push(what);
    }

    pub(super) fn finish(&mut self) {
        self.passed = self.failures.is_empty();
    }

    pub(super) fn take_bulk(&mut self, bulk: &Bulk) {
        let mut times = bulk.quiet.clone();
        times.sort();
        self.sent = bulk.ids.len();
        self.kills = bulk.kills;
        self.median_ms = millis(quantile(&times, 50));
        self.p99_ms = millis(quantile(&times, 99));
        self.slowest_ms = millis(bulk.slowest);
        #[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
        let (letters, bytes) = (times.len().max(1) as f64, bulk.quiet_bytes as f64);
        self.letters_per_second = letters / bulk.quiet_time.as_secs_f64().max(0.001);
        self.bytes_per_letter = bytes / letters;
    }

    pub(super) fn take_count(&mut self, count: &Count) {
        (self.delivered_once, self.lost, self.shown_twice) = (count.once, count.lost, count.twice);
        self.protection = count.protection;
    }

    /// No file of the data folders may hold a plaintext.
    pub(super) fn check_folders(&mut self, folder: &Path, text: &str) -> Result<(), Failure> {
        let entries = std::fs::read_dir(folder).map_err(|error| Failure::file("read", folder, &error))?;
        for entry in entries {
            let path = entry.map_err(|error| Failure::file("read", folder, &error))?.path();
            if path.is_dir() {
                self.check_folders(&path, text)?;
            } else if path.is_file() {
                let bytes = std::fs::read(&path).map_err(|error| Failure::file("read", &path, &error))?;
                if holds(&bytes, text) {
                    self.plaintext_found = true;
                    self.fail(format!("a plaintext was found in {}", path.display()));
                }
            }
        }
        Ok(())
    }

    pub(super) fn text(&self) -> String {
        let protection = [
            (self.protection.end_to_end, "end-to-end"),
            (self.protection.forward_secret, "forward secret"),
            (self.protection.post_quantum, "post-quantum"),
            (self.protection.verified, "verified"),
        ];
        let protection: Vec<&str> = protection.into_iter().filter_map(|(is, name)| is.then_some(name)).collect();
        let mut table = Table::plain();
        heading(&mut table, "Letters in bulk");
        table.row(["  Sent".into(), format!("{}, both nodes killed meanwhile", self.sent)]);
        table.row(["  Delivered exactly once".into(), self.delivered_once.to_string()]);
        table.row(["  Lost, shown twice".into(), format!("{}, {}", self.lost, self.shown_twice)]);
        table.row(["  Time to delivery".into(), format!("median {:.1} ms, p99 {:.1} ms", self.median_ms, self.p99_ms)]);
        table.row(["  Slowest, over the kills".into(), format!("{:.0} ms", self.slowest_ms)]);
        table.row(["  Letters a second".into(), format!("{:.0}", self.letters_per_second)]);
        table.row(["  Bytes on the wire".into(), format!("{:.0} a letter, both ways", self.bytes_per_letter)]);
        self.away.rows(&mut table);
        self.detour.rows(&mut table);
        heading(&mut table, "All of it");
        table.row(["  Start of a node".into(), format!("{:.0} ms", self.start_ms)]);
        table.row(["  Cards to first letter".into(), format!("{:.0} ms", self.first_letter_ms)]);
        table.row(["  Protection".into(), protection.join(", ")]);
        let searched = format!("not found in {} recorded bytes, nor in any folder", self.recorded_bytes);
        table.row(["  Plaintext".into(), if self.plaintext_found { "FOUND, see below".into() } else { searched }]);
        table.row(["  Time".into(), format!("{:.0} s", self.took_ms / 1000.0)]);
        if let Some(folder) = &self.folder {
            table.row(["  Data folders".into(), folder.clone()]);
        }
        let mut text = table.text();
        for failure in &self.failures {
            text.push_str(&format!("FAILED: {failure}\n"));
        }
        text
    }
}

/// A line above rows.
pub(super) fn heading(table: &mut Table, text: &str) {
    table.row([text.to_owned(), String::new()]);
}

/// Whether bytes hold a text, as it is or as hex.
pub(super) fn holds(bytes: &[u8], text: &str) -> bool {
    let hex: String = text.bytes().map(|byte| format!("{byte:02x}")).collect();
    [text.as_bytes(), hex.as_bytes()].iter().any(|needle| contains(bytes, needle))
}

fn contains(bytes: &[u8], needle: &[u8]) -> bool {
    let Some(first) = needle.first() else { return true };
    let mut rest = bytes;
    while let Some(at) = rest.iter().position(|byte| byte == first) {
        let Some(from) = rest.get(at..) else { return false };
        if from.starts_with(needle) {
            return true;
        }
        rest = from.get(1..).unwrap_or_default();
    }
    false
}

fn quantile(sorted: &[Duration], percent: usize) -> Duration {
    let index = (sorted.len() * percent / 100).min(sorted.len().saturating_sub(1));
    sorted.get(index).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_a_text_and_its_hex_anywhere() {
        assert!(holds(b"xxababc", "abc"));
        assert!(holds(b"..616263", "abc"));
        assert!(!holds(b"xxabab", "abc"));
    }

    #[test]
    fn quantiles_are_of_the_sorted_list() {
        let times: Vec<Duration> = (1..=200).map(Duration::from_millis).collect();
        assert_eq!((quantile(&times, 50).as_millis(), quantile(&times, 99).as_millis()), (101, 199));
        assert_eq!(quantile(&[], 50), Duration::ZERO);
    }
}
