//! Tidying up: what is past its time goes, a bounded number of records at a time.

use super::{
    client::{ClientRow, DUE, Due},
    depot::{Depot, Step},
    mailbox::{self, TRIPLES, Triple},
};
use crate::Error;
use std::time::Duration;
use waypost_core::{ContactId, Records, Wall};

/// How much longer a triple is remembered whose message is still kept.
const TRIPLE_AGAIN: Duration = Duration::from_secs(86400);
/// Entries of the order of time in one round; each may lead to a round of its own.
const ENTRIES: usize = 32;

impl Depot {
    pub(super) fn tick<R: Records>(&mut self, step: &mut Step<'_, R>) -> Result<(), Error> {
        if step.now.mono < self.sweep_at {
            return Ok(());
        }
        let (mut left, mut is_over) = (ENTRIES, true);
        for (entry, _) in step.batch.records(DUE, &[], None, ENTRIES)? {
            let Some((time, [kind, key @ ..])) = entry.split_first_chunk::<8>() else {
                return Err(Error::Internal("a damaged entry in the order of time"));
            };
            if u64::from_be_bytes(*time) > step.now.wall.as_millis() {
                break;
            }
            left -= 1;
            if *kind == Due::Client as u8 {
                let key = key.try_into().map_err(|_| Error::Internal("a damaged entry in the order of time"))?;
                is_over &= self.sweep_client(step, &ContactId::from_bytes(key), &entry)?;
            } else {
                step.batch.remove(DUE, entry.clone());
                self.sweep_triple(step, key)?;
            }
        }
        let pause = if left > 0 && is_over { self.timing.sweep } else { self.timing.sweep_again };
        self.sweep_at = step.now.mono.after(pause);
        Ok(())
    }

    /// Gives whether nothing of the client is due any more.
    fn sweep_client<R: Records>(
        &self,
        step: &mut Step<'_, R>,
        client: &ContactId,
        entry: &[u8],
    ) -> Result<bool, Error> {
        let Some(mut row) = ClientRow::load(&step.batch, client)? else {
            step.batch.remove(DUE, entry);
            return Ok(true);
        };
        let (now, round) = (step.now.wall, self.limits.round);
        let is_abandoned = row.registered.after(self.timing.mailbox) <= now;
        if is_abandoned {
            (row.mailbox, row.max_storage_duration) = (false, 0);
            self.drop_prekeys(step, &mut row, client)?;
        }
        let all_stamps = now.max(row.stamp);
        let until = if is_abandoned { all_stamps } else { now };
        mailbox::expire(&mut step.batch, &mut row, client, &self.policy, until, round)?;
        let old = if is_abandoned { now } else { now.before(self.timing.confirmations) };
        let most = self.limits.confirmations;
        mailbox::drop_confirmations(&mut step.batch, &mut row, client, 0, old, most, round)?;
        self.expire_one_time(step, &mut row, client)?;
        if is_abandoned && row.messages == 0 && row.confirmations == 0 {
            row.remove(&mut step.batch, client);
            return Ok(true);
        }
        row.keep(&mut step.batch, client, &self.policy, &self.timing);
        Ok(row.due > now)
    }

    fn sweep_triple<R: Records>(&self, step: &mut Step<'_, R>, key: &[u8]) -> Result<(), Error> {
        let Some(triple) = mailbox::load::<Triple>(&step.batch, TRIPLES, key)? else { return Ok(()) };
        let now: Wall = step.now.wall;
        // Stored again after it was forgotten once: a later entry is about that.
        if triple.stored_at.after(self.timing.triples) > now {
            return Ok(());
        }
        if triple.seq.is_some() {
            mailbox::note_triple(&mut step.batch, key.to_vec(), &triple, now.after(TRIPLE_AGAIN));
        } else {
            step.batch.remove(TRIPLES, key);
        }
        Ok(())
    }
}
