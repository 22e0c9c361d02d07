//! One mailbox of the model.

use std::{collections::BTreeMap, sync::Arc};
use waypost_core::{Fetch, Item, Known, Lane, MailboxDone, Notice, Put, Refusal, Terms, Usage, Wall};

/// A mailbox. Everything is asked after [`Shelf::sweep`], so nothing here is past its time.
#[derive(Clone, Debug, Default)]
pub(super) struct Shelf {
    terms: Option<Terms>,
    last_seq: u64,
    /// Of the last letter ever put here.
    last_stamp: Option<Wall>,
    items: BTreeMap<u64, Arc<Stored>>,
    keys: BTreeMap<Vec<u8>, Remembered>,
    /// Nothing of this mailbox is over before that.
    next_due: Option<Wall>,
}

#[derive(Debug)]
struct Stored {
    lane: Lane,
    stamp: Wall,
    key: Vec<u8>,
    from: Vec<u8>,
    value: Vec<u8>,
    /// Of a notice; a letter goes by the terms.
    due: Wall,
}

/// What is known of a letter's key.
#[derive(Clone, Debug)]
struct Remembered {
    digest: [u8; 32],
    stamp: Wall,
    seq: u64,
    /// Known until then, and as long as the letter is kept.
    until: Wall,
}

/// Whether something that ends at `due`, if ever, is over.
pub(super) fn is_over(due: Option<Wall>, now: Wall) -> bool {
    due.is_some_and(|due| due <= now)
}

impl Shelf {
    pub(super) fn open(&mut self, now: Wall, terms: Terms) {
        self.terms = Some(terms);
        self.next_due = self.earliest_due();
        self.sweep(now, usize::MAX);
    }

    pub(super) fn put(&mut self, now: Wall, put: Put, storage_fits: bool) -> Result<MailboxDone, Refusal> {
        let terms = self.terms.ok_or(Refusal::NoMailbox)?;
        if let Some(known) = self.keys.get(&put.key) {
            let done = MailboxDone::Put { seq: known.seq, stamp: known.stamp, again: true };
            return if known.digest == put.digest { Ok(done) } else { Err(Refusal::Conflict) };
        }
        let (quota, len) = (put.quota, put.value.len() as u64);
        if len > terms.item_bytes.min(quota.item_bytes) {
            return Err(Refusal::TooLarge);
        }
        let (items, bytes) = self.count(|item| item.lane == Lane::Letters);
        let (from_items, from_bytes) = self.count(|item| item.lane == Lane::Letters && item.from == put.from);
        let fits = |used: u64, more: u64, most: u64| used.saturating_add(more) <= most;
        if !(fits(items, 1, quota.items)
            && fits(bytes, len, quota.bytes)
            && fits(from_items, 1, quota.from_items)
            && fits(from_bytes, len, quota.from_bytes))
        {
            return Err(Refusal::MailboxFull);
        }
        if !storage_fits {
            return Err(Refusal::StorageFull);
        }
        let stamp = self.next_stamp(now);
        self.last_stamp = Some(stamp);
        let Put { key, digest, from, value, remember, .. } = put;
        let remembered = Remembered { digest, stamp, seq: self.last_seq + 1, until: now.after(remember) };
        self.note_due(remembered.until);
        self.note_due(stamp.after(terms.keep));
        self.keys.insert(key.clone(), remembered);
        let seq = self.push(Stored { lane: Lane::Letters, stamp, key, from, value, due: stamp });
        Ok(MailboxDone::Put { seq, stamp, again: false })
    }

    pub(super) fn notice(&mut self, now: Wall, notice: Notice) -> MailboxDone {
        let (stamp, due) = (self.next_stamp(now), now.after(notice.keep));
        self.note_due(due);
        let (key, from) = (Vec::new(), Vec::new());
        let seq = self.push(Stored { lane: Lane::Notices, stamp, key, from, value: notice.value, due });
        while self.count(|item| item.lane == Lane::Notices).0 > notice.most {
            let oldest = self.items.iter().find(|(_, item)| item.lane == Lane::Notices).map(|(seq, _)| *seq);
            self.items.remove(&oldest.expect("there are some"));
        }
        MailboxDone::Put { seq, stamp, again: false }
    }

    pub(super) fn fetch(&self, fetch: &Fetch) -> MailboxDone {
        let mut found = self
            .items
            .range(fetch.after.saturating_add(1)..)
            .filter(|(seq, _)| **seq > fetch.after)
            .filter(|(_, item)| item.lane == Lane::Notices || item.stamp >= fetch.since)
            .peekable();
        let (mut items, mut bytes) = (Vec::new(), 0_usize);
        while let Some((seq, item)) = found.peek() {
            bytes = bytes.saturating_add(item.value.len()).saturating_add(fetch.item_cost);
            if items.len() >= fetch.items || (bytes > fetch.bytes && !items.is_empty()) {
                break;
            }
            items.push(shown(**seq, item, item.value.clone()));
            found.next();
        }
        MailboxDone::Page { items, has_more: found.peek().is_some() }
    }

    /// The first ones by key, shown in the order of seq.
    pub(super) fn find(&self, prefix: &[u8], limit: usize) -> MailboxDone {
        let keys = self.keys.range(prefix.to_vec()..).take_while(|(key, _)| key.starts_with(prefix));
        let mut found = keys.filter_map(|(_, known)| Some((known.seq, self.items.get(&known.seq)?)));
        let mut items: Vec<_> = found.by_ref().take(limit).map(|(seq, item)| shown(seq, item, Vec::new())).collect();
        items.sort_by_key(|item| item.seq);
        MailboxDone::Page { items, has_more: found.next().is_some() }
    }

    pub(super) fn recall(&self, key: &[u8]) -> Option<Known> {
        let known = self.keys.get(key)?;
        let seq = self.items.contains_key(&known.seq).then_some(known.seq);
        Some(Known { digest: known.digest, stamp: known.stamp, seq })
    }

    pub(super) fn ack(&mut self, key: &[u8]) -> Result<MailboxDone, Refusal> {
        let known = self.keys.get(key).ok_or(Refusal::NotFound)?;
        self.items.remove(&known.seq).ok_or(Refusal::NotFound)?;
        // Its key may have been known for its sake alone.
        self.note_due(known.until);
        Ok(MailboxDone::Done)
    }

    pub(super) fn ack_up_to(&mut self, lane: Lane, seq: u64) -> MailboxDone {
        self.items.retain(|at, item| item.lane != lane || *at > seq);
        self.next_due = self.earliest_due();
        MailboxDone::Done
    }

    /// Empties and closes it. Keys are remembered as long as they were promised to be.
    pub(super) fn close(&mut self) {
        self.items.clear();
        self.terms = None;
        self.next_due = self.earliest_due();
    }

    pub(super) fn usage(&self) -> Usage {
        let (letters, bytes) = self.count(|item| item.lane == Lane::Letters);
        let (notices, _) = self.count(|item| item.lane == Lane::Notices);
        Usage { open: self.terms.is_some(), letters, bytes, notices, last_seq: self.last_seq }
    }

    /// Items and the bytes of their content.
    pub(super) fn size(&self) -> (u64, u64) {
        self.count(|_| true)
    }

    /// Removes what is over, at most `limit` things; how many it were.
    pub(super) fn sweep(&mut self, now: Wall, limit: usize) -> usize {
        if !is_over(self.next_due, now) {
            return 0;
        }
        let closes = self.terms.is_some_and(|terms| terms.until <= now);
        let over: Vec<_> =
            self.items.iter().filter(|(_, i)| closes || self.due(i) <= now).map(|(seq, _)| *seq).collect();
        let mut removed = over.len().min(limit);
        for seq in over.iter().take(limit) {
            self.items.remove(seq);
        }
        if closes && removed < limit {
            self.terms = None;
            removed += 1;
        }
        removed += self.forget(now, limit - removed);
        self.next_due = self.earliest_due();
        removed
    }

    /// Forgets keys, at most `limit`; how many it were.
    fn forget(&mut self, now: Wall, limit: usize) -> usize {
        let over = self.keys.iter().filter(|(_, known)| known.until <= now && !self.items.contains_key(&known.seq));
        let over: Vec<_> = over.map(|(key, _)| key.clone()).take(limit).collect();
        for key in &over {
            self.keys.remove(key);
        }
        over.len()
    }

    fn push(&mut self, item: Stored) -> u64 {
        self.last_seq += 1;
        self.items.insert(self.last_seq, Arc::new(item));
        self.last_seq
    }

    fn next_stamp(&self, now: Wall) -> Wall {
        let after_last = self.last_stamp.map(|last| Wall::from_millis(last.as_millis().saturating_add(1)));
        after_last.map_or(now, |after_last| after_last.max(now))
    }

    fn count(&self, counts: impl Fn(&Stored) -> bool) -> (u64, u64) {
        let counted = self.items.values().filter(|item| counts(item));
        counted.fold((0, 0), |(items, bytes), item| (items + 1, bytes + item.value.len() as u64))
    }

    fn due(&self, item: &Stored) -> Wall {
        match (item.lane, self.terms) {
            (Lane::Letters, Some(terms)) => item.stamp.after(terms.keep),
            _ => item.due,
        }
    }

    fn note_due(&mut self, due: Wall) {
        self.next_due = Some(self.next_due.map_or(due, |earliest| earliest.min(due)));
    }

    fn earliest_due(&self) -> Option<Wall> {
        let items = self.items.values().map(|item| self.due(item));
        let keys = self.keys.values().filter(|known| !self.items.contains_key(&known.seq)).map(|known| known.until);
        items.chain(keys).chain(self.terms.map(|terms| terms.until)).min()
    }
}

fn shown(seq: u64, item: &Stored, value: Vec<u8>) -> Item {
    let Stored { lane, stamp, key, from, .. } = item;
    Item { seq, stamp: *stamp, lane: *lane, key: key.clone(), from: from.clone(), value }
}
