//! What only reads. Nothing past its time is found, whether or not it has been removed yet.

use super::{
    row::{self, ItemRow, KeyRow, MailboxRow, RecordRow},
    tree::{Read, Table, behind},
};
use crate::Error;
use waypost_core::{Fetch, Item, Known, Lane, MailboxDone, MailboxId, Record, Space, Usage, Wall};

/// How many rows are read at once.
const STRIDE: usize = 64;

impl MailboxRow {
    pub(super) fn load(tree: &impl Read, mailbox: &MailboxId) -> Result<Option<Self>, Error> {
        tree.row(Table::Mailbox, &row::mailbox_key(mailbox))?.map(|bytes| Self::decode(&bytes)).transpose()
    }

    /// Whether the whole mailbox has come to its end and waits to be emptied.
    pub(super) fn is_over(&self, now: Wall) -> bool {
        self.terms.is_some_and(|terms| terms.until <= now)
    }

    /// The lowest stamp of letters that are kept; none is if the mailbox is not open.
    fn oldest_stamp(&self, now: Wall) -> Option<Wall> {
        let terms = self.terms.filter(|terms| terms.until > now)?;
        Some(match now.as_millis().checked_sub(row::millis(terms.keep)) {
            Some(latest_gone) => Wall::from_millis(latest_gone.saturating_add(1)),
            None => Wall::from_millis(0),
        })
    }

    /// The letter at this seq, if it is kept.
    fn letter(&self, tree: &impl Read, now: Wall, seq: u64) -> Result<Option<ItemRow>, Error> {
        let Some(oldest) = self.oldest_stamp(now) else {
            return Ok(None);
        };
        let found = tree.row(Table::Item, &row::item_key(self.number, Lane::Letters, seq))?;
        let found = found.map(|bytes| ItemRow::decode(&bytes)).transpose()?;
        Ok(found.filter(|item| item.stamp >= oldest))
    }
}

pub(super) fn fetch(tree: &impl Read, now: Wall, fetch: &Fetch) -> Result<MailboxDone, Error> {
    let empty = MailboxDone::Page { items: Vec::new(), has_more: false };
    let (Some(mailbox), Some(first)) = (MailboxRow::load(tree, &fetch.mailbox)?, fetch.after.checked_add(1)) else {
        return Ok(empty);
    };
    if mailbox.is_over(now) {
        return Ok(empty);
    }
    let mut found = Vec::new();
    if let Some(oldest) = mailbox.oldest_stamp(now)
        && let Some(first) = first_since(tree, &mailbox, first, fetch.since.max(oldest))?
    {
        found.extend(run(tree, &mailbox, Lane::Letters, first, fetch, |_| true)?);
    }
    found.extend(run(tree, &mailbox, Lane::Notices, first, fetch, |item| item.due.is_none_or(|due| due > now))?);
    found.sort_by_key(|(seq, ..)| *seq);
    let (mut items, mut budget, total) = (Vec::new(), Budget::new(fetch), found.len());
    for (seq, lane, item) in found {
        if !budget.takes(&item) {
            break;
        }
        let content = tree.row(Table::Content, &row::content_key(item.content))?;
        let value = content.ok_or_else(|| Error::Damaged("an item without its content".into()))?;
        let ItemRow { stamp, from, key, .. } = item;
        items.push(Item { seq, stamp, lane, key, from, value });
    }
    let has_more = items.len() < total;
    Ok(MailboxDone::Page { items, has_more })
}

/// The first items of a lane, one more than fit if there is one more.
fn run(
    tree: &impl Read,
    mailbox: &MailboxRow,
    lane: Lane,
    first: u64,
    fetch: &Fetch,
    counts: impl Fn(&ItemRow) -> bool,
) -> Result<Vec<(u64, Lane, ItemRow)>, Error> {
    let (mut found, mut budget) = (Vec::new(), Budget::new(fetch));
    let (from, to) = (row::item_key(mailbox.number, lane, first), behind(&row::lane_key(mailbox.number, lane)));
    walk(tree, Table::Item, from, &to, |key, value| {
        let item = ItemRow::decode(&value)?;
        if !counts(&item) {
            return Ok(true);
        }
        let fits = budget.takes(&item);
        found.push((row::item_seq(&key)?, lane, item));
        Ok(fits)
    })?;
    Ok(found)
}

/// The seq from which on all letters are stamped `since` or later, not before `first`. Stamps rise with seq.
fn first_since(tree: &impl Read, mailbox: &MailboxRow, first: u64, since: Wall) -> Result<Option<u64>, Error> {
    let end = behind(&row::lane_key(mailbox.number, Lane::Letters));
    let next = |seq| -> Result<Option<(u64, Wall)>, Error> {
        let from = row::item_key(mailbox.number, Lane::Letters, seq);
        let found = tree.rows(Table::Item, &from, &end, 1)?.into_iter().next();
        found.map(|(key, value)| Ok((row::item_seq(&key)?, ItemRow::decode(&value)?.stamp))).transpose()
    };
    let (mut low, mut high) = match next(first)? {
        None => return Ok(None),
        Some((seq, stamp)) if stamp >= since => return Ok(Some(seq)),
        Some((seq, _)) => (seq.saturating_add(1), mailbox.last_seq.saturating_add(1)),
    };
    while low < high {
        let middle = low.midpoint(high);
        match next(middle)? {
            Some((seq, stamp)) if stamp < since => low = seq.saturating_add(1),
            _ => high = middle,
        }
    }
    Ok(Some(low))
}

/// What still fits into a page.
struct Budget {
    items: usize,
    bytes: usize,
    item_cost: usize,
    is_first: bool,
}

impl Budget {
    const fn new(fetch: &Fetch) -> Self {
        Self { items: fetch.items, bytes: fetch.bytes, item_cost: fetch.item_cost, is_first: true }
    }

    fn takes(&mut self, item: &ItemRow) -> bool {
        let cost = usize::try_from(item.len).unwrap_or(usize::MAX).saturating_add(self.item_cost);
        let fits = self.items > 0 && (self.is_first || cost <= self.bytes);
        (self.items, self.bytes) = (self.items.saturating_sub(1), self.bytes.saturating_sub(cost));
        self.is_first = false;
        fits
    }
}

/// The first ones by key, given in the order of seq.
pub(super) fn find(
    tree: &impl Read,
    now: Wall,
    mailbox: &MailboxId,
    prefix: &[u8],
    limit: usize,
) -> Result<MailboxDone, Error> {
    let (mut items, mut has_more) = (Vec::new(), false);
    if let Some(mailbox) = MailboxRow::load(tree, mailbox)? {
        let start = row::named_key(mailbox.number, prefix);
        walk(tree, Table::Key, start.clone(), &behind(&start), |_, value| {
            let seq = KeyRow::decode(&value)?.seq;
            if let Some(ItemRow { stamp, from, key, .. }) = mailbox.letter(tree, now, seq)? {
                has_more = items.len() >= limit;
                if !has_more {
                    items.push(Item { seq, stamp, lane: Lane::Letters, key, from, value: Vec::new() });
                }
            }
            Ok(!has_more)
        })?;
    }
    items.sort_by_key(|item| item.seq);
    Ok(MailboxDone::Page { items, has_more })
}

pub(super) fn recall(tree: &impl Read, now: Wall, mailbox: &MailboxId, key: &[u8]) -> Result<Option<Known>, Error> {
    let Some(mailbox) = MailboxRow::load(tree, mailbox)? else {
        return Ok(None);
    };
    let Some(bytes) = tree.row(Table::Key, &row::named_key(mailbox.number, key))? else {
        return Ok(None);
    };
    let KeyRow { digest, stamp, seq, until } = KeyRow::decode(&bytes)?;
    let seq = mailbox.letter(tree, now, seq)?.map(|_| seq);
    Ok((seq.is_some() || until > now).then_some(Known { digest, stamp, seq }))
}

pub(super) fn usage(tree: &impl Read, now: Wall, mailbox: &MailboxId) -> Result<Usage, Error> {
    let Some(mailbox) = MailboxRow::load(tree, mailbox)? else {
        return Ok(Usage::default());
    };
    let mut usage = Usage { last_seq: mailbox.last_seq, ..Usage::default() };
    if mailbox.is_over(now) {
        return Ok(usage);
    }
    usage.notices = mailbox.notices;
    let dues = row::notice_dues_key(mailbox.number);
    walk(tree, Table::Item, dues.clone(), &behind(&dues), |key, _| {
        let is_over = row::notice_due(&key)?.0 <= now;
        usage.notices = usage.notices.saturating_sub(u64::from(is_over));
        Ok(is_over)
    })?;
    if let Some(oldest) = mailbox.oldest_stamp(now) {
        (usage.open, usage.letters, usage.bytes) = (true, mailbox.letters, mailbox.bytes);
        let letters = row::lane_key(mailbox.number, Lane::Letters);
        walk(tree, Table::Item, letters.clone(), &behind(&letters), |_, value| {
            let item = ItemRow::decode(&value)?;
            let is_over = item.stamp < oldest;
            if is_over {
                usage.letters = usage.letters.saturating_sub(1);
                usage.bytes = usage.bytes.saturating_sub(item.len);
            }
            Ok(is_over)
        })?;
    }
    Ok(usage)
}

pub(super) fn record(tree: &impl Read, now: Wall, space: Space, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
    let found = tree.row(Table::Record, &row::record_key(space, key))?;
    let found = found.map(|bytes| RecordRow::decode(&bytes)).transpose()?;
    Ok(found.filter(|record| !record.is_over(now)).map(|record| record.value))
}

pub(super) fn scan(
    tree: &impl Read,
    now: Wall,
    space: Space,
    prefix: &[u8],
    after: Option<&[u8]>,
    limit: usize,
) -> Result<Vec<Record>, Error> {
    let (start, name) = (row::record_key(space, prefix), row::record_key(space, &[]));
    let end = behind(&start);
    let seen = after.map(|after| [&name, after, &[0]].concat());
    let (from, mut found) = (seen.map_or(start.clone(), |seen| seen.max(start)), Vec::new());
    if limit == 0 {
        return Ok(found);
    }
    walk(tree, Table::Record, from, &end, |key, value| {
        let record = RecordRow::decode(&value)?;
        if !record.is_over(now) {
            let key = key.get(name.len()..).unwrap_or_default().to_vec();
            found.push((key, record.value));
        }
        Ok(found.len() < limit)
    })?;
    Ok(found)
}

/// Shows all rows from `from` on and before `to`, until `visit` has seen enough.
pub(super) fn walk(
    tree: &impl Read,
    table: Table,
    mut from: Vec<u8>,
    to: &[u8],
    mut visit: impl FnMut(Vec<u8>, Vec<u8>) -> Result<bool, Error>,
) -> Result<(), Error> {
    loop {
        let rows = tree.rows(table, &from, to, STRIDE)?;
        let is_last = rows.len() < STRIDE;
        if let Some((last, _)) = rows.last() {
            from = [last.as_slice(), &[0]].concat();
        }
        for (key, value) in rows {
            if !visit(key, value)? {
                return Ok(());
            }
        }
        if is_last {
            return Ok(());
        }
    }
}
