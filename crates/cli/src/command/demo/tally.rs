//! What became of letters: counted in both histories at the end.

use super::player::Player;
use crate::failure::Failure;
use std::collections::HashMap;
use waypost_core::{LetterId, Protection};

/// What both sides have.
pub(super) struct Tally<'a> {
    receiver: &'a Player,
    written: HashMap<LetterId, String>,
    found: HashMap<LetterId, Vec<(String, Protection)>>,
}

/// How some letters fared.
#[derive(Debug, Default)]
pub(super) struct Count {
    /// There, whole, and shown at most once as new.
    pub(super) once: usize,
    pub(super) lost: usize,
    pub(super) twice: usize,
    pub(super) changed: usize,
    /// What all of them had.
    pub(super) protection: Protection,
}

/// All that a letter can have.
pub(super) const FULL: Protection =
    Protection { end_to_end: true, forward_secret: true, post_quantum: true, verified: true };

impl<'a> Tally<'a> {
    /// Reads both histories of what one wrote to the other.
    pub(super) async fn read(sender: &Player, receiver: &'a Player) -> Result<Self, Failure> {
        let text = |body: waypost_core::Body| body.text().unwrap_or_default().to_owned();
        let mut found: HashMap<LetterId, Vec<_>> = HashMap::new();
        for entry in receiver.letters(sender.name).await? {
            found.entry(entry.id).or_default().push((text(entry.body), entry.protection));
        }
        let written = sender.letters(receiver.name).await?;
        let written = written.into_iter().map(|entry| (entry.id, text(entry.body))).collect();
        Ok(Self { receiver, written, found })
    }

    /// Each must be in the receiver's history once, as written, and have been shown as new at most once.
    pub(super) fn count(&self, ids: &[LetterId]) -> Count {
        let mut count = Count { protection: FULL, ..Count::default() };
        for id in ids {
            let is_shown_twice = self.receiver.seen.times_shown(*id) > 1;
            match self.found.get(id).map(Vec::as_slice) {
                None => count.lost += 1,
                Some([(text, protection)]) if !is_shown_twice => {
                    let is_whole = self.written.get(id) == Some(text);
                    *(if is_whole { &mut count.once } else { &mut count.changed }) += 1;
                    count.protection.end_to_end &= protection.end_to_end;
                    count.protection.forward_secret &= protection.forward_secret;
                    count.protection.post_quantum &= protection.post_quantum;
                    count.protection.verified &= protection.verified;
                }
                Some(_) => count.twice += 1,
            }
        }
        count
    }
}

impl Count {
    /// Why this is not as it must be, if so.
    pub(super) fn failure(&self, what: &str) -> Option<String> {
        let Self { lost, twice, changed, .. } = self;
        if lost + twice + changed > 0 {
            return Some(format!("of {what} {lost} were lost, {twice} shown twice, {changed} changed"));
        }
        (self.protection != FULL).then(|| format!("not all of {what} were protected fully"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_is_not_whole_and_once_is_a_failure() {
        let good = || Count { once: 3, protection: FULL, ..Count::default() };
        assert_eq!(good().failure("letters"), None);
        for bad in [
            Count { lost: 1, ..good() },
            Count { twice: 1, ..good() },
            Count { changed: 1, ..good() },
            Count { protection: Protection { verified: false, ..FULL }, ..good() },
        ] {
            assert!(bad.failure("letters").is_some(), "{bad:?}");
        }
    }
}
