//! What is past its time goes, found by the index of times and never by searching.

use super::{Place, Work};
use crate::{
    Error,
    embedded::{
        query,
        row::{self, Due, ItemRow, KeyRow, MailboxRow, RecordRow},
        tree::{Read, Table, behind},
    },
};
use waypost_core::{Lane, Wall};

impl<R: Read> Work<'_, R> {
    /// Removes what is past its time, about `limit` things; how many it looked at. Less than `limit`: it is done.
    pub(in crate::embedded) fn expire(&mut self, now: Wall, limit: usize) -> Result<usize, Error> {
        let meta = self.meta;
        self.tree.mark();
        self.expire_some(now, limit).inspect_err(|_| {
            self.tree.take_back();
            self.meta = meta;
        })
    }

    fn expire_some(&mut self, now: Wall, limit: usize) -> Result<usize, Error> {
        let end = now.as_millis().saturating_add(1).to_be_bytes();
        let mut entries = Vec::new();
        if limit > 0 {
            query::walk(&self.tree, Table::Due, Vec::new(), &end, |key, _| {
                entries.push(key);
                Ok(entries.len() < limit)
            })?;
        }
        let mut seen: usize = 0;
        for key in entries {
            if seen >= limit {
                break;
            }
            let removed = self.expire_one(now, limit - seen, key)?;
            seen = seen.saturating_add(removed.max(1));
        }
        Ok(seen)
    }

    /// Works off one entry of the index; how many things it removed.
    fn expire_one(&mut self, now: Wall, limit: usize, at: Vec<u8>) -> Result<usize, Error> {
        match Due::decode(&at)? {
            (time, Due::Mailbox(key)) => {
                let row = self.tree.row(Table::Mailbox, &key)?.map(|bytes| MailboxRow::decode(&bytes)).transpose()?;
                if let Some(row) = row.filter(|row| row.due == Some(time)) {
                    let mut place = Place { key, row };
                    return self.sweep(now, &mut place, limit);
                }
            }
            (_, Due::Key(named)) => {
                let known = self.tree.row(Table::Key, &named)?.map(|bytes| KeyRow::decode(&bytes)).transpose()?;
                if let Some(known) = known.filter(|known| known.until <= now) {
                    let item = row::item_key(row::named_mailbox(&named)?, Lane::Letters, known.seq);
                    if self.tree.row(Table::Item, &item)?.is_none() {
                        self.forget(named, &known);
                        return Ok(1);
                    }
                    // Its letter is still here, and takes it along when it goes.
                }
            }
            (_, Due::Record(key)) => {
                let record = self.tree.row(Table::Record, &key)?.map(|bytes| RecordRow::decode(&bytes)).transpose()?;
                if record.is_some_and(|record| record.is_over(now)) {
                    self.tree.remove(Table::Record, key);
                }
            }
        }
        self.tree.remove(Table::Due, at);
        Ok(0)
    }

    /// Removes what is past its time in a mailbox, at most `limit` things; how many it were.
    pub(super) fn sweep(&mut self, now: Wall, place: &mut Place, limit: usize) -> Result<usize, Error> {
        if place.row.due.is_none_or(|due| due > now) {
            return Ok(0);
        }
        let (closes, terms) = (place.row.is_over(now), place.row.terms);
        let is_over = |stamp: Wall| terms.is_none_or(|terms| stamp.after(terms.keep) <= now);
        let mut removed = self.remove_run(now, place, Lane::Letters, limit, |_, item| closes || is_over(item.stamp))?;
        removed = removed.saturating_add(self.sweep_notices(now, place, limit.saturating_sub(removed), closes)?);
        if closes && removed < limit {
            place.row.terms = None;
            removed = removed.saturating_add(1);
        }
        self.reschedule(place)?;
        self.save(place);
        Ok(removed)
    }

    fn sweep_notices(&mut self, now: Wall, place: &mut Place, limit: usize, all: bool) -> Result<usize, Error> {
        if all {
            return self.remove_run(now, place, Lane::Notices, limit, |_, _| true);
        }
        let (start, mut gone) = (row::notice_dues_key(place.row.number), Vec::new());
        if limit > 0 {
            query::walk(&self.tree, Table::Item, start.clone(), &behind(&start), |key, _| {
                let (due, seq) = row::notice_due(&key)?;
                if due > now {
                    return Ok(false);
                }
                gone.push(seq);
                Ok(gone.len() < limit)
            })?;
        }
        for seq in &gone {
            let at = row::item_key(place.row.number, Lane::Notices, *seq);
            let item = self.tree.row(Table::Item, &at)?.map(|bytes| ItemRow::decode(&bytes)).transpose()?;
            let item = item.ok_or_else(|| Error::Damaged("an end without its notice".into()))?;
            self.remove_notice(place, *seq, &item);
        }
        Ok(gone.len())
    }

    /// Something in the mailbox is over at `due`.
    pub(super) fn note_due(&mut self, place: &mut Place, due: Wall) {
        if place.row.due.is_none_or(|earliest| due < earliest) {
            self.set_due(place, Some(due));
        }
    }

    /// Finds out anew when the mailbox is to be looked at.
    pub(super) fn reschedule(&mut self, place: &mut Place) -> Result<(), Error> {
        let mut due = place.row.terms.map(|terms| terms.until);
        let first = |prefix: Vec<u8>| -> Result<_, Error> {
            Ok(self.tree.rows(Table::Item, &prefix, &behind(&prefix), 1)?.pop())
        };
        if let Some(terms) = place.row.terms
            && let Some((_, value)) = first(row::lane_key(place.row.number, Lane::Letters))?
        {
            let letter = ItemRow::decode(&value)?.stamp.after(terms.keep);
            due = Some(due.map_or(letter, |due| due.min(letter)));
        }
        if let Some((key, _)) = first(row::notice_dues_key(place.row.number))? {
            let (notice, _) = row::notice_due(&key)?;
            due = Some(due.map_or(notice, |due| due.min(notice)));
        }
        self.set_due(place, due);
        Ok(())
    }

    fn set_due(&mut self, place: &mut Place, due: Option<Wall>) {
        let due = row::unless_never(due);
        if place.row.due == due {
            return;
        }
        let entry = Due::Mailbox(place.key.clone());
        if let Some(before) = place.row.due {
            self.tree.remove(Table::Due, entry.at(before));
        }
        if let Some(due) = due {
            self.tree.put(Table::Due, entry.at(due), Vec::new());
        }
        place.row.due = due;
    }
}
