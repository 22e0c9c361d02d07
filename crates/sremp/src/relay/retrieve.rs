//! RETRIEVE_MESSAGES: a client reads its mailbox from a cursor on. SREMP 8.2, profile SR-8.2c.

use super::{
    client::ClientRow,
    depot::{Depot, Step},
    mailbox::{self, BLOBS, CONFIRMATIONS, Entry, Waiting},
};
use crate::{
    Error, ErrorCode, LinkId,
    message::{DeliveryConfirmation, ErrorMessage, Message, MessageBatch, RetrieveMessages, StoredMessage},
    msgpack::Blob,
};
use std::time::Duration;
use waypost_core::{ContactId, Records, Wall};

impl Depot {
    pub(super) fn retrieve<R: Records>(
        &mut self,
        step: &mut Step<'_, R>,
        link: LinkId,
        client: ContactId,
        request: RetrieveMessages,
    ) -> Result<(), Error> {
        let Some(from) = self.links.get(&link) else { return Ok(()) };
        let limit = request.limit.unwrap_or(self.limits.batch_default);
        let refusal = if request.identity != client || request.verify(&from.handshake_hash, &self.identity).is_err() {
            Some(ErrorMessage::new(ErrorCode::Auth))
        } else if let Err(wait) = self.retrievals.take(step.now.mono, client) {
            Some(ErrorMessage::new(ErrorCode::Rate).retry_after(wait))
        } else if !(1..=self.limits.batch_most).contains(&limit) {
            Some(ErrorMessage::new(ErrorCode::Limit).not_fatal())
        } else {
            None
        };
        if let Some(refusal) = refusal {
            step.refuse(link, refusal.answering(&Message::RetrieveMessages(request)));
            return Ok(());
        }
        let batch = self.batch(step, &client, &request, limit.into())?;
        step.send(link, batch);
        Ok(())
    }

    /// What follows behind the cursor: messages and confirmations merged by seq, as many as fit.
    fn batch<R: Records>(
        &self,
        step: &mut Step<'_, R>,
        client: &ContactId,
        request: &RetrieveMessages,
        limit: usize,
    ) -> Result<MessageBatch, Error> {
        let (now, after) = (step.now.wall, request.after.unwrap_or(0));
        let mut row = ClientRow::load(&step.batch, client)?.unwrap_or_else(|| ClientRow::new(now));
        let before = row;
        mailbox::expire(&mut step.batch, &mut row, client, &self.policy, now, self.limits.round)?;
        let (old, most) = (now.before(self.timing.confirmations), self.limits.confirmations);
        mailbox::drop_confirmations(&mut step.batch, &mut row, client, after, old, most, usize::MAX)?;
        if row != before {
            row.keep(&mut step.batch, client, &self.policy, &self.timing);
        }
        let alive = now.before(row.storage(&self.policy)).after(Duration::from_millis(1));
        let since = request.since.unwrap_or_default().max(alive);
        let start = first_since(&step.batch, client, &row, after, since)?;
        let mut items: Vec<(u64, Item)> = mailbox::entries(&step.batch, client, start, limit + 1)?
            .into_iter()
            .map(|(seq, entry)| (seq, Item::Message(entry)))
            .collect();
        let behind = mailbox::seq_key(client, after);
        for (key, bytes) in step.batch.records(CONFIRMATIONS, client.as_bytes(), Some(&behind), limit + 1)? {
            let waiting: Waiting = mailbox::read(&bytes)?;
            items.push((mailbox::seq_of(&key), Item::Confirmation(Box::new(waiting.confirmation))));
        }
        items.sort_by_key(|(seq, _)| *seq);
        let fitting = self.fitting(&items, limit);
        let has_more = fitting < items.len();
        items.truncate(fitting);
        let next = items.last().map_or(after, |(seq, _)| *seq);
        let (mut messages, mut confirmations) = (Vec::new(), Vec::new());
        for (seq, item) in items {
            match item {
                Item::Message(entry) => messages.push(message(&step.batch, client, seq, &entry)?),
                Item::Confirmation(confirmation) => confirmations.push(*confirmation),
            }
        }
        let confirmations = (!confirmations.is_empty()).then_some(confirmations);
        Ok(MessageBatch { messages, has_more, next: Some(next), confirmations })
    }

    /// How many items fit; one always does.
    fn fitting(&self, items: &[(u64, Item)], limit: usize) -> usize {
        let mut bytes = 0usize;
        let fits = |(_, item): &&(u64, Item)| {
            bytes = bytes.saturating_add(item.blob_bytes()).saturating_add(self.limits.item_bytes);
            bytes <= self.limits.batch_bytes
        };
        items.iter().take(limit).take_while(fits).count().max(1).min(items.len())
    }
}

enum Item {
    Message(Entry),
    Confirmation(Box<DeliveryConfirmation>),
}

impl Item {
    fn blob_bytes(&self) -> usize {
        match self {
            Self::Message(entry) => usize::try_from(entry.size).unwrap_or(usize::MAX),
            Self::Confirmation(_) => 0,
        }
    }
}

fn message(records: &impl Records, client: &ContactId, seq: u64, entry: &Entry) -> Result<StoredMessage, Error> {
    let blob = records.record(BLOBS, &mailbox::seq_key(client, seq))?;
    Ok(StoredMessage {
        message_id: entry.message_id,
        sender: entry.sender,
        timestamp: entry.stamp,
        encrypted_blob: Blob(blob.ok_or(Error::Internal("a message without its blob"))?),
        seq: Some(seq),
    })
}

/// The seq behind which all messages are from `since` or later, at least `after`. Stamps rise with seq, so
/// the place is found by halves.
fn first_since(
    records: &impl Records,
    client: &ContactId,
    row: &ClientRow,
    after: u64,
    since: Wall,
) -> Result<u64, Error> {
    let first = |after| Ok::<_, Error>(mailbox::entries(records, client, after, 1)?.into_iter().next());
    let (mut low, mut high) = match first(after)? {
        Some((seq, entry)) if entry.stamp < since => (seq, row.seq),
        _ => return Ok(after),
    };
    while low < high {
        let middle = low + (high - low) / 2;
        match first(middle)? {
            Some((seq, entry)) if entry.stamp < since => low = seq,
            _ => high = middle,
        }
    }
    Ok(low)
}
