//! Tidying up: a bounded number of old records at a time, so that no step ever takes long.

use super::direct::{SEEN, Seen};
use super::foreign::{BY_LETTER, BY_TEXT, Pair};
use super::relays::{UNREADABLE, Unreadable};
use super::{Account, Step};
use crate::{Error, msgpack};
use waypost_core::{Records, Space};

/// Records looked at in one round.
const ROUND: usize = 256;

/// How far the tidying has come.
#[derive(Default)]
pub(super) struct Cursor {
    space: usize,
    after: Option<Vec<u8>>,
}

/// What grows old here.
const SPACES: [Space; 4] = [SEEN, BY_TEXT, BY_LETTER, UNREADABLE];

impl Account {
    /// One round.
    pub(super) fn sweep<R: Records>(&mut self, step: &mut Step<'_, R>) -> Result<(), Error> {
        self.vault.sweep(&mut step.batch, step.now.wall, ROUND)?;
        let Some(&space) = SPACES.get(self.sweep_from.space) else {
            self.sweep_from = Cursor::default();
            return Ok(());
        };
        let keep = if space == UNREADABLE { self.timing.unreadable * 3 } else { self.timing.seen };
        let old_before = step.now.wall.before(keep);
        let found = step.batch.records(space, b"", self.sweep_from.after.as_deref(), ROUND)?;
        let last = found.last().map(|(key, _)| key.clone());
        for (key, value) in found {
            let at = match space {
                SEEN => msgpack::decode::<Seen>(&value)?.at,
                UNREADABLE => msgpack::decode::<Unreadable>(&value)?.first,
                _ => msgpack::decode::<Pair>(&value)?.at,
            };
            if at < old_before {
                step.batch.remove(space, key);
            }
        }
        match last {
            Some(last) => self.sweep_from.after = Some(last),
            None => self.sweep_from = Cursor { space: self.sweep_from.space + 1, after: None },
        }
        Ok(())
    }
}
