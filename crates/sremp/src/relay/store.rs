//! STORE_MESSAGE: a sealed message goes into a mailbox. SREMP 8.2, profile SR-8.2a, SR-8.2b.

use super::{
    client::ClientRow,
    depot::{Depot, Step},
    mailbox::{self, Entry, TRIPLES, Triple},
};
use crate::{
    Error, ErrorCode, LinkId,
    kdf::sha256,
    message::{MessageBatch, StoreMessage, StoreResponse, StoredMessage},
};
use std::time::Duration;
use waypost_core::{ContactId, Records, Wall};

/// Why nothing was stored, and when to try again.
struct Refusal {
    code: ErrorCode,
    retry_after_s: Option<u32>,
}

impl From<ErrorCode> for Refusal {
    fn from(code: ErrorCode) -> Self {
        Self { code, retry_after_s: None }
    }
}

impl Depot {
    /// Every answer is a STORE_RESPONSE, never an ERROR.
    pub(super) fn store<R: Records>(
        &mut self,
        step: &mut Step<'_, R>,
        link: LinkId,
        sender: ContactId,
        request: StoreMessage,
    ) -> Result<(), Error> {
        let mut response = StoreResponse {
            success: false,
            stored_at: step.now.wall,
            message_id: request.message_id,
            recipient: Some(request.recipient),
            error_code: None,
            retry_after_s: None,
        };
        let mut pushed = None;
        match self.try_store(step, sender, request)? {
            Ok(Stored::Again(stored_at)) => (response.success, response.stored_at) = (true, stored_at),
            Ok(Stored::New(message)) => {
                (response.success, response.stored_at) = (true, message.timestamp);
                pushed = response.recipient.zip(Some(message));
            }
            Err(refusal) => {
                response.error_code = Some(refusal.code.value());
                response.retry_after_s = refusal.retry_after_s;
            }
        }
        step.send(link, response);
        if let Some((recipient, message)) = pushed {
            for link in self.push_links(&recipient) {
                let messages = vec![message.clone()];
                step.send(link, MessageBatch { messages, has_more: false, next: None, confirmations: None });
            }
        }
        Ok(())
    }

    /// The checks in the profile's order, then the message.
    fn try_store<R: Records>(
        &mut self,
        step: &mut Step<'_, R>,
        sender: ContactId,
        request: StoreMessage,
    ) -> Result<Result<Stored, Refusal>, Error> {
        let (recipient, now) = (request.recipient, step.now.wall);
        if request.verify(&self.identity, &sender).is_err() {
            return Ok(Err(ErrorCode::Auth.into()));
        }
        let Some(mut row) = ClientRow::load(&step.batch, &recipient)?.filter(|row| row.mailbox) else {
            return Ok(Err(ErrorCode::NoMailbox.into()));
        };
        let before = row;
        mailbox::expire(&mut step.batch, &mut row, &recipient, &self.policy, now, self.limits.round)?;
        if row != before {
            row.keep(&mut step.batch, &recipient, &self.policy, &self.timing);
        }
        let triple_key = mailbox::triple_key(&recipient, request.message_id, &sender);
        let hash = sha256(&[&request.encrypted_blob]);
        if let Some(known) = mailbox::load::<Triple>(&step.batch, TRIPLES, &triple_key)?
            && (known.seq.is_some() || known.stored_at.after(self.timing.triples) > now)
        {
            let is_same = known.hash == hash;
            return Ok(if is_same { Ok(Stored::Again(known.stored_at)) } else { Err(ErrorCode::Conflict.into()) });
        }
        if let Err(wait) = self.stores.take(step.now.mono, sender) {
            return Ok(Err(Refusal { code: ErrorCode::Rate, retry_after_s: Some(wait) }));
        }
        let most = self.policy.max_message_size.min(row.max_message_size);
        let Some(size) = u32::try_from(request.encrypted_blob.len()).ok().filter(|size| (1..=most).contains(size))
        else {
            return Ok(Err(ErrorCode::TooLarge.into()));
        };
        if self.disk_full || !self.has_room(step, &row, &recipient, &sender, size)? {
            return Ok(Err(ErrorCode::Quota.into()));
        }
        let stamp = now.max(row.stamp.after(Duration::from_millis(1)));
        let entry = Entry { stamp, sender, message_id: request.message_id, size };
        mailbox::append(&mut step.batch, &mut row, &recipient, &entry, &request.encrypted_blob)?;
        row.keep(&mut step.batch, &recipient, &self.policy, &self.timing);
        let triple = Triple { hash, stored_at: stamp, seq: Some(row.seq) };
        mailbox::note_triple(&mut step.batch, triple_key, &triple, stamp.after(self.timing.triples));
        Ok(Ok(Stored::New(StoredMessage {
            message_id: request.message_id,
            sender,
            timestamp: stamp,
            encrypted_blob: request.encrypted_blob,
            seq: Some(row.seq),
        })))
    }

    /// Whether the quotas of the mailbox and of the sender in it allow one message more. Profile SR-11.1.
    fn has_room<R: Records>(
        &self,
        step: &Step<'_, R>,
        row: &ClientRow,
        recipient: &ContactId,
        sender: &ContactId,
        size: u32,
    ) -> Result<bool, Error> {
        let usage = mailbox::usage(&step.batch, recipient, sender)?;
        Ok(row.messages < self.policy.quota_messages
            && row.bytes.saturating_add(size.into()) <= self.policy.quota_bytes
            && usage.messages < self.policy.sender_messages
            && usage.bytes.saturating_add(size.into()) <= self.policy.sender_bytes)
    }
}

/// A message that is stored.
enum Stored {
    New(StoredMessage),
    /// It was stored before, then.
    Again(Wall),
}
