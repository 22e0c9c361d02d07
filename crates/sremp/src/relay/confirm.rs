//! DELIVERY_CONFIRMATION and DISCARD_MESSAGE: a client is done with a message. SREMP 8.2, profile SR-8.2d,
//! SR-8.2f, SR-8.2g.

use super::{
    client::ClientRow,
    depot::{Depot, Step},
    mailbox::{self, CONFIRMATIONS, Entry, QUEUE, TRIPLES, Triple, Waiting},
};
use crate::{
    Error, ErrorCode, LinkId,
    message::{DeliveryConfirmation, DiscardMessage, ErrorMessage, Message},
    msgpack::encode,
};
use waypost_core::{ContactId, Records};

/// Triples of one message id that are looked at to find the one message a nameless confirmation means.
const SAME_ID: usize = 256;

impl Depot {
    /// There is no answer but an error.
    pub(super) fn confirm<R: Records>(
        &mut self,
        step: &mut Step<'_, R>,
        link: LinkId,
        client: ContactId,
        confirmation: DeliveryConfirmation,
    ) -> Result<(), Error> {
        let message_id = confirmation.message_id;
        let found = match confirmation.delivered_to == client {
            false => Err(ErrorCode::Auth),
            true => match self.find(step, &client, confirmation.sender, message_id)? {
                None => Err(ErrorCode::NotFound),
                Some(found) if confirmation.verify(&found.1.sender).is_err() => Err(ErrorCode::Auth),
                Some(found) => Ok(found),
            },
        };
        let (seq, entry) = match found {
            Ok(found) => found,
            Err(code) => {
                let request = Message::DeliveryConfirmation(confirmation);
                step.refuse(link, ErrorMessage::new(code).answering(&request));
                return Ok(());
            }
        };
        self.remove_message(step, &client, seq, &entry)?;
        self.keep_confirmation(step, entry.sender, confirmation)
    }

    pub(super) fn discard<R: Records>(
        &mut self,
        step: &mut Step<'_, R>,
        link: LinkId,
        client: ContactId,
        request: DiscardMessage,
    ) -> Result<(), Error> {
        match self.find(step, &client, Some(request.sender), request.message_id)? {
            Some((seq, entry)) => self.remove_message(step, &client, seq, &entry)?,
            None => {
                let request = Message::DiscardMessage(request);
                step.refuse(link, ErrorMessage::new(ErrorCode::NotFound).answering(&request));
            }
        }
        Ok(())
    }

    /// The message of a sender, or the only one of this id.
    fn find<R: Records>(
        &self,
        step: &Step<'_, R>,
        client: &ContactId,
        sender: Option<ContactId>,
        message_id: u64,
    ) -> Result<Option<(u64, Entry)>, Error> {
        let seq = match sender {
            Some(sender) => {
                let key = mailbox::triple_key(client, message_id, &sender);
                mailbox::load::<Triple>(&step.batch, TRIPLES, &key)?.and_then(|triple| triple.seq)
            }
            None => {
                let prefix = mailbox::seq_key(client, message_id);
                let mut kept = Vec::new();
                for (_, bytes) in step.batch.records(TRIPLES, &prefix, None, SAME_ID)? {
                    kept.extend(mailbox::read::<Triple>(&bytes)?.seq);
                }
                match kept[..] {
                    [seq] => Some(seq),
                    _ => None,
                }
            }
        };
        let Some(seq) = seq else { return Ok(None) };
        Ok(mailbox::load::<Entry>(&step.batch, QUEUE, &mailbox::seq_key(client, seq))?.map(|entry| (seq, entry)))
    }

    fn remove_message<R: Records>(
        &self,
        step: &mut Step<'_, R>,
        client: &ContactId,
        seq: u64,
        entry: &Entry,
    ) -> Result<(), Error> {
        let mut row =
            ClientRow::load(&step.batch, client)?.ok_or(Error::Internal("a message of a mailbox that is gone"))?;
        mailbox::remove(&mut step.batch, &mut row, client, seq, entry)?;
        row.keep(&mut step.batch, client, &self.policy, &self.timing);
        Ok(())
    }

    /// Keeps it for the sender and tells the sender's live connections.
    fn keep_confirmation<R: Records>(
        &mut self,
        step: &mut Step<'_, R>,
        sender: ContactId,
        mut confirmation: DeliveryConfirmation,
    ) -> Result<(), Error> {
        let now = step.now.wall;
        let mut row = ClientRow::load(&step.batch, &sender)?.unwrap_or_else(|| ClientRow::new(now));
        row.seq = row.seq.saturating_add(1);
        row.confirmations = row.confirmations.saturating_add(1);
        row.oldest_confirmation.get_or_insert(now);
        (confirmation.sender, confirmation.seq) = (Some(sender), Some(row.seq));
        let waiting = Waiting { since: now, confirmation: confirmation.clone() };
        step.batch.put(CONFIRMATIONS, mailbox::seq_key(&sender, row.seq), encode(&waiting));
        let (old, most) = (now.before(self.timing.confirmations), self.limits.confirmations);
        mailbox::drop_confirmations(&mut step.batch, &mut row, &sender, 0, old, most, self.limits.round)?;
        row.keep(&mut step.batch, &sender, &self.policy, &self.timing);
        for link in self.push_links(&sender) {
            step.send(link, confirmation.clone());
        }
        Ok(())
    }
}
