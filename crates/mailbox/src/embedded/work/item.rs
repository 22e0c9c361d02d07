//! Letters and notices come and go.

use super::{Place, Stop, Work};
use crate::{
    Error,
    embedded::{
        query,
        row::{self, Due, ItemRow, KeyRow, SenderRow},
        tree::{Read, Table, behind},
    },
};
use waypost_core::{Lane, MailboxDone, MailboxId, Notice, Put, Refusal, Wall};

impl<R: Read> Work<'_, R> {
    pub(super) fn put(&mut self, now: Wall, put: Put) -> Result<MailboxDone, Stop> {
        let mut place = self.place(now, &put.mailbox)?.ok_or(Refusal::NoMailbox)?;
        let terms = place.row.terms.ok_or(Refusal::NoMailbox)?;
        if let Some(known) = self.known(now, &place, &put.key)? {
            let done = MailboxDone::Put { seq: known.seq, stamp: known.stamp, again: true };
            return if known.digest == put.digest { Ok(done) } else { Err(Refusal::Conflict.into()) };
        }
        let (quota, len) = (put.quota, put.value.len() as u64);
        if len > terms.item_bytes.min(quota.item_bytes) {
            return Err(Refusal::TooLarge.into());
        }
        let sender = row::named_key(place.row.number, &put.from);
        let share = self.share(&sender)?;
        if !(fits(place.row.letters, 1, quota.items)
            && fits(place.row.bytes, len, quota.bytes)
            && fits(share.letters, 1, quota.from_items)
            && fits(share.bytes, len, quota.from_bytes))
        {
            return Err(Refusal::MailboxFull.into());
        }
        if !(fits(self.meta.items, 1, self.capacity.items) && fits(self.meta.bytes, len, self.capacity.bytes)) {
            return Err(Refusal::StorageFull.into());
        }

        let stamp = next_stamp(&place, now);
        place.row.last_stamp = Some(stamp);
        place.row.letters = place.row.letters.saturating_add(1);
        place.row.bytes = place.row.bytes.saturating_add(len);
        let share = SenderRow { letters: share.letters.saturating_add(1), bytes: share.bytes.saturating_add(len) };
        self.tree.put(Table::Sender, sender, share.encode());
        let Put { key, digest, from, value, remember, .. } = put;
        let until = now.after(remember);
        let named = row::named_key(place.row.number, &key);
        let item = ItemRow { stamp, content: 0, len, due: None, from, key };
        let seq = self.push(&mut place, Lane::Letters, item, value);
        self.tree.put(Table::Due, Due::Key(named.clone()).at(until), Vec::new());
        self.tree.put(Table::Key, named, KeyRow { digest, stamp, seq, until }.encode());
        self.note_due(&mut place, stamp.after(terms.keep));
        self.save(&place);
        Ok(MailboxDone::Put { seq, stamp, again: false })
    }

    pub(super) fn notice(&mut self, now: Wall, notice: Notice) -> Result<MailboxDone, Error> {
        let mut place = self.place_or_new(now, &notice.mailbox)?;
        let (stamp, due, len) = (next_stamp(&place, now), now.after(notice.keep), notice.value.len() as u64);
        let (from, key) = (Vec::new(), Vec::new());
        let item = ItemRow { stamp, content: 0, len, due: Some(due), from, key };
        let seq = self.push(&mut place, Lane::Notices, item, notice.value);
        place.row.notices = place.row.notices.saturating_add(1);
        self.tree.put(Table::Item, row::notice_due_key(place.row.number, due, seq), Vec::new());
        self.note_due(&mut place, due);
        while place.row.notices > notice.most {
            let lane = row::lane_key(place.row.number, Lane::Notices);
            let Some((oldest, bytes)) = self.tree.rows(Table::Item, &lane, &behind(&lane), 1)?.pop() else {
                return Err(Error::Damaged("fewer notices than counted".into()));
            };
            self.remove_notice(&mut place, row::item_seq(&oldest)?, &ItemRow::decode(&bytes)?);
        }
        self.save(&place);
        Ok(MailboxDone::Put { seq, stamp, again: false })
    }

    pub(super) fn ack(&mut self, now: Wall, mailbox: &MailboxId, key: &[u8]) -> Result<(), Stop> {
        let mut place = self.place(now, mailbox)?.ok_or(Refusal::NotFound)?;
        let known = self.tree.row(Table::Key, &row::named_key(place.row.number, key))?.ok_or(Refusal::NotFound)?;
        let seq = KeyRow::decode(&known)?.seq;
        let item = self.tree.row(Table::Item, &row::item_key(place.row.number, Lane::Letters, seq))?;
        let item = ItemRow::decode(&item.ok_or(Refusal::NotFound)?)?;
        self.remove_letter(now, &mut place, seq, &item)?;
        self.save(&place);
        Ok(())
    }

    pub(super) fn ack_up_to(&mut self, now: Wall, mailbox: &MailboxId, lane: Lane, seq: u64) -> Result<(), Error> {
        let Some(mut place) = self.place(now, mailbox)? else {
            return Ok(());
        };
        // Often there is nothing, and then nothing is written.
        if self.remove_run(now, &mut place, lane, usize::MAX, |at, _| at <= seq)? > 0 {
            self.save(&place);
        }
        Ok(())
    }

    pub(super) fn purge(&mut self, now: Wall, mailbox: &MailboxId) -> Result<(), Error> {
        let Some(mut place) = self.place(now, mailbox)? else {
            return Ok(());
        };
        self.remove_run(now, &mut place, Lane::Letters, usize::MAX, |_, _| true)?;
        self.remove_run(now, &mut place, Lane::Notices, usize::MAX, |_, _| true)?;
        place.row.terms = None;
        self.reschedule(&mut place)?;
        self.save(&place);
        Ok(())
    }

    /// Removes items from the front of a lane as long as `goes` says so, at most `limit`; how many it were.
    pub(super) fn remove_run(
        &mut self,
        now: Wall,
        place: &mut Place,
        lane: Lane,
        limit: usize,
        goes: impl Fn(u64, &ItemRow) -> bool,
    ) -> Result<usize, Error> {
        let start = row::lane_key(place.row.number, lane);
        let (end, mut gone) = (behind(&start), Vec::new());
        if limit == 0 {
            return Ok(0);
        }
        query::walk(&self.tree, Table::Item, start, &end, |key, value| {
            let (seq, item) = (row::item_seq(&key)?, ItemRow::decode(&value)?);
            if !goes(seq, &item) {
                return Ok(false);
            }
            gone.push((seq, item));
            Ok(gone.len() < limit)
        })?;
        for (seq, item) in &gone {
            match lane {
                Lane::Letters => self.remove_letter(now, place, *seq, item)?,
                Lane::Notices => self.remove_notice(place, *seq, item),
            }
        }
        Ok(gone.len())
    }

    fn remove_letter(&mut self, now: Wall, place: &mut Place, seq: u64, item: &ItemRow) -> Result<(), Error> {
        self.remove_item(place, Lane::Letters, seq, item);
        place.row.letters = place.row.letters.saturating_sub(1);
        place.row.bytes = place.row.bytes.saturating_sub(item.len);
        let sender = row::named_key(place.row.number, &item.from);
        let share = self.share(&sender)?;
        let share = SenderRow { letters: share.letters.saturating_sub(1), bytes: share.bytes.saturating_sub(item.len) };
        if share == SenderRow::default() {
            self.tree.remove(Table::Sender, sender);
        } else {
            self.tree.put(Table::Sender, sender, share.encode());
        }
        let named = row::named_key(place.row.number, &item.key);
        if let Some(known) = self.tree.row(Table::Key, &named)? {
            let known = KeyRow::decode(&known)?;
            if known.until <= now {
                self.forget(named, &known);
            }
        }
        Ok(())
    }

    pub(super) fn remove_notice(&mut self, place: &mut Place, seq: u64, item: &ItemRow) {
        self.remove_item(place, Lane::Notices, seq, item);
        place.row.notices = place.row.notices.saturating_sub(1);
        if let Some(due) = item.due {
            self.tree.remove(Table::Item, row::notice_due_key(place.row.number, due, seq));
        }
    }

    pub(super) fn forget(&mut self, named: Vec<u8>, known: &KeyRow) {
        self.tree.remove(Table::Due, Due::Key(named.clone()).at(known.until));
        self.tree.remove(Table::Key, named);
    }

    fn remove_item(&mut self, place: &Place, lane: Lane, seq: u64, item: &ItemRow) {
        self.tree.remove(Table::Item, row::item_key(place.row.number, lane, seq));
        self.tree.remove(Table::Content, row::content_key(item.content));
        self.meta.items = self.meta.items.saturating_sub(1);
        self.meta.bytes = self.meta.bytes.saturating_sub(item.len);
    }

    fn push(&mut self, place: &mut Place, lane: Lane, item: ItemRow, value: Vec<u8>) -> u64 {
        self.meta.items = self.meta.items.saturating_add(1);
        self.meta.bytes = self.meta.bytes.saturating_add(item.len);
        self.meta.last_content = self.meta.last_content.saturating_add(1);
        place.row.last_seq = place.row.last_seq.saturating_add(1);
        let item = ItemRow { content: self.meta.last_content, ..item };
        self.tree.put(Table::Content, row::content_key(item.content), value);
        self.tree.put(Table::Item, row::item_key(place.row.number, lane, place.row.last_seq), item.encode());
        place.row.last_seq
    }

    /// What is remembered of a key. What should have been forgotten is.
    fn known(&mut self, now: Wall, place: &Place, key: &[u8]) -> Result<Option<KeyRow>, Error> {
        let named = row::named_key(place.row.number, key);
        let Some(bytes) = self.tree.row(Table::Key, &named)? else {
            return Ok(None);
        };
        let known = KeyRow::decode(&bytes)?;
        let at = row::item_key(place.row.number, Lane::Letters, known.seq);
        if known.until > now || self.tree.row(Table::Item, &at)?.is_some() {
            return Ok(Some(known));
        }
        self.forget(named, &known);
        Ok(None)
    }

    fn share(&self, sender: &[u8]) -> Result<SenderRow, Error> {
        let found = self.tree.row(Table::Sender, sender)?;
        found.map_or(Ok(SenderRow::default()), |bytes| SenderRow::decode(&bytes))
    }
}

const fn fits(used: u64, more: u64, most: u64) -> bool {
    used.saturating_add(more) <= most
}

fn next_stamp(place: &Place, now: Wall) -> Wall {
    let after_last = place.row.last_stamp.map(|last| Wall::from_millis(last.as_millis().saturating_add(1)));
    after_last.map_or(now, |after_last| after_last.max(now))
}
