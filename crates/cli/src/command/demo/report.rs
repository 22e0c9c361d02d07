//! What the demo found.

use super::{bulk::Bulk, millis, player::Player};
use crate::failure::Failure;
use crate::output::Table;
use serde::Serialize;
use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;
use waypost_core::{LetterId, Protection};

/// The table, as data.
#[derive(Debug, Default, Serialize)]
pub(super) struct Report {
    /// Whether all went well.
    pub(super) passed: bool,
    /// What did not.
    pub(super) failures: Vec<String>,
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

    /// Every letter must be in Bob's history once, as written, and have been shown as new at most once.
    pub(super) async fn check_letters(
        &mut self,
        alice: &Player,
        bob: &Player,
        ids: &[LetterId],
    ) -> Result<(), Failure> {
        let mut found: HashMap<LetterId, Vec<String>> = HashMap::new();
        let mut common = Protection { end_to_end: true, forward_secret: true, post_quantum: true, verified: true };
        for entry in bob.letters("Alice").await? {
            if ids.contains(&entry.id) {
                let seen = entry.protection;
                common.end_to_end &= seen.end_to_end;
                common.forward_secret &= seen.forward_secret;
                common.post_quantum &= seen.post_quantum;
                common.verified &= seen.verified;
            }
            found.entry(entry.id).or_default().push(entry.body.text().unwrap_or_default().to_owned());
        }
        let written: HashMap<LetterId, String> = alice
            .letters("Bob")
            .await?
            .into_iter()
            .map(|entry| (entry.id, entry.body.text().unwrap_or_default().to_owned()))
            .collect();
        for id in ids {
            match found.get(id).map(Vec::as_slice) {
                None => self.lost += 1,
                Some([text]) if written.get(id) == Some(text) && bob.seen.times_shown(*id) <= 1 => {
                    self.delivered_once += 1;
                }
                Some([_]) if bob.seen.times_shown(*id) <= 1 => self.fail(format!("letter {id} was changed")),
                Some(_) => self.shown_twice += 1,
            }
        }
        if self.lost > 0 || self.shown_twice > 0 {
            self.fail(format!("{} letters were lost, {} shown twice", self.lost, self.shown_twice));
        }
        self.protection = common;
        if common != (Protection { end_to_end: true, forward_secret: true, post_quantum: true, verified: true }) {
            self.fail("not all letters were protected fully".into());
        }
        Ok(())
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
        table.row(["Letters sent in bulk".into(), self.sent.to_string()]);
        table.row(["Delivered exactly once".into(), self.delivered_once.to_string()]);
        table.row(["Lost, shown twice".into(), format!("{}, {}", self.lost, self.shown_twice)]);
        table.row(["Nodes killed meanwhile".into(), self.kills.to_string()]);
        table.row(["Time to delivery".into(), format!("median {:.1} ms, p99 {:.1} ms", self.median_ms, self.p99_ms)]);
        table.row(["Slowest, over the kills".into(), format!("{:.0} ms", self.slowest_ms)]);
        table.row(["Letters a second".into(), format!("{:.0}", self.letters_per_second)]);
        table.row(["Bytes on the wire".into(), format!("{:.0} a letter, both ways", self.bytes_per_letter)]);
        table.row(["Start of a node".into(), format!("{:.0} ms", self.start_ms)]);
        table.row(["Cards to first letter".into(), format!("{:.0} ms", self.first_letter_ms)]);
        table.row(["Protection".into(), protection.join(", ")]);
        let searched = format!("not found in {} recorded bytes, nor in the data folders", self.recorded_bytes);
        table.row(["Plaintext".into(), if self.passed { searched } else { "see below".into() }]);
        if let Some(folder) = &self.folder {
            table.row(["Data folders".into(), folder.clone()]);
        }
        let mut text = table.text();
        for failure in &self.failures {
            text.push_str(&format!("FAILED: {failure}\n"));
        }
        text
    }
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
