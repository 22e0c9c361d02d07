//! RETRIEVE_MESSAGES: a client reads its mailbox from a cursor on. SREMP 8.2, profile SR-8.2c.

use super::{
    depot::{Depot, Job, Next},
    policy::DepotLimits,
    records::{decoded, key_of, mailbox, message_id_of},
};
use crate::{
    ErrorCode, LinkId,
    docket::{Done, Failure, Step},
    message::{DeliveryConfirmation, ErrorMessage, MessageBatch, RetrieveMessages, StoredMessage},
    msgpack::encode,
};
use waypost_core::{ContactId, Fetch, Item, Lane, MailboxDone, MailboxOp, Now, Wall};

/// Most bytes of a confirmation as it is kept. They do not count for the size of a batch, but the engine
/// counts them.
const NOTICE_BYTES: usize = 200;

/// One RETRIEVE_MESSAGES under way.
pub(super) struct Retrieving {
    client: ContactId,
    after: u64,
}

impl Depot {
    pub(super) fn retrieve(&mut self, now: Now, link: LinkId, client: ContactId, request: &RetrieveMessages) -> Next {
        let Some(from) = self.links.get(&link) else { return Step::Answer(None) };
        if request.identity != client || request.verify(&from.handshake_hash, &self.identity).is_err() {
            return Step::refuse(ErrorCode::Auth);
        }
        if let Err(wait) = self.retrievals.take(now.mono, client) {
            return Step::Refuse(ErrorMessage::new(ErrorCode::Rate).retry_after(wait));
        }
        let limit = request.limit.unwrap_or(self.limits.batch_default);
        if !(1..=self.limits.batch_most).contains(&limit) {
            return Step::Refuse(ErrorMessage::new(ErrorCode::Limit).not_fatal());
        }
        let after = request.after.unwrap_or(0);
        let mailbox = mailbox(&client);
        let done_with = MailboxOp::AckUpTo { mailbox: mailbox.clone(), lane: Lane::Notices, seq: after };
        let fetch = fetch(&client, after, request.since.unwrap_or_default(), limit.into(), &self.limits);
        // Nothing is below the first place, and a batch that only reads is not committed.
        let ops = (after > 0).then_some(done_with).into_iter().chain([fetch]).collect();
        Step::Ask(ops, Job::Retrieve(Retrieving { client, after }))
    }

    pub(super) fn retrieved(&self, job: &Retrieving, done: Done) -> Next {
        let page = done.and_then(|mut done| match done.pop() {
            Some(MailboxDone::Page { items, has_more }) => Ok((items, has_more)),
            _ => Err(Failure::Fault),
        });
        match page.and_then(|(items, has_more)| self.batch(job, items, has_more)) {
            Ok(batch) => Step::answer(batch),
            Err(_) => Step::refuse(ErrorCode::Internal),
        }
    }

    fn batch(&self, job: &Retrieving, mut items: Vec<Item>, has_more: bool) -> Result<MessageBatch, Failure> {
        let fitting = self.fitting(&items);
        let has_more = has_more || fitting < items.len();
        items.truncate(fitting);
        let next = Some(items.last().map_or(job.after, |item| item.seq));
        let (mut messages, mut confirmations) = (Vec::new(), Vec::new());
        for item in items {
            match kept(&job.client, item)? {
                Kept::Message(message) => messages.push(message),
                Kept::Confirmation(confirmation) => confirmations.push(confirmation),
            }
        }
        let confirmations = (!confirmations.is_empty()).then_some(confirmations);
        Ok(MessageBatch { messages, has_more, next, confirmations })
    }

    /// How many items fit; one always does.
    fn fitting(&self, items: &[Item]) -> usize {
        let mut bytes = 0usize;
        let fits = |item: &&Item| {
            let blob = if item.lane == Lane::Letters { item.value.len() } else { 0 };
            bytes = bytes.saturating_add(blob).saturating_add(self.limits.item_bytes);
            bytes <= self.limits.batch_bytes
        };
        items.iter().take_while(fits).count().max(1).min(items.len())
    }
}

/// Reads at least all that fits into a batch.
pub(super) fn fetch(owner: &ContactId, after: u64, since: Wall, items: usize, limits: &DepotLimits) -> MailboxOp {
    MailboxOp::Fetch(Fetch {
        mailbox: mailbox(owner),
        after,
        since,
        items,
        bytes: limits.batch_bytes.saturating_add(items.saturating_mul(NOTICE_BYTES)),
        item_cost: limits.item_bytes,
    })
}

/// An item of a mailbox, for its owner.
pub(super) enum Kept {
    Message(StoredMessage),
    Confirmation(DeliveryConfirmation),
}

pub(super) fn kept(owner: &ContactId, item: Item) -> Result<Kept, Failure> {
    Ok(match item.lane {
        Lane::Letters => Kept::Message(StoredMessage {
            message_id: message_id_of(&item.key)?,
            sender: key_of(&item.from)?,
            timestamp: item.stamp,
            encrypted_blob: item.value.into(),
            seq: Some(item.seq),
        }),
        Lane::Notices => {
            let confirmation: DeliveryConfirmation = decoded(&item.value)?;
            Kept::Confirmation(DeliveryConfirmation { sender: Some(*owner), seq: Some(item.seq), ..confirmation })
        }
    })
}

/// A confirmation as it waits for its sender: whose it is and where, the mailbox knows.
pub(super) fn notice(confirmation: &DeliveryConfirmation) -> Vec<u8> {
    encode(&DeliveryConfirmation { sender: None, seq: None, ..confirmation.clone() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::ed25519::SigningKey;

    #[test]
    fn a_kept_confirmation_is_no_longer_than_is_reckoned_with() {
        let key = SigningKey::from_bytes(&[1; 32]);
        let confirmation =
            DeliveryConfirmation::signed(&key, key.public(), u64::MAX, Wall::from_millis(253_402_300_799_999));
        let value = notice(&confirmation);
        assert!(value.len() <= NOTICE_BYTES, "{}", value.len());
        let (lane, stamp) = (Lane::Notices, Wall::default());
        let item = Item { seq: 7, stamp, lane, key: Vec::new(), from: Vec::new(), value };
        let Ok(Kept::Confirmation(back)) = kept(&key.public(), item) else { panic!("no confirmation") };
        assert_eq!(back, DeliveryConfirmation { seq: Some(7), ..confirmation });
    }
}
