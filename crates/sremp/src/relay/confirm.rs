//! DELIVERY_CONFIRMATION and DISCARD_MESSAGE: a client is done with a message. SREMP 8.2, profile SR-8.2d,
//! SR-8.2f, SR-8.2g.

use super::{
    depot::{Depot, Job, Next},
    records::{key_of, letter_key, mailbox},
    retrieve::notice,
};
use crate::{
    ErrorCode,
    docket::{Done, Failure, Step, add, answers},
    message::{DeliveryConfirmation, DiscardMessage},
};
use waypost_core::{ContactId, MailboxDone, MailboxOp, Notice, Refusal};

/// One DELIVERY_CONFIRMATION or DISCARD_MESSAGE under way.
pub(super) enum Confirming {
    /// Whose message it is is looked for, or whether there is one at all.
    Found { client: ContactId, confirmation: Box<DeliveryConfirmation> },
    /// It is being removed, for good word or without.
    Removed { is_delivered: bool },
}

impl Depot {
    /// There is no answer but an error.
    pub(super) fn confirm(&self, client: ContactId, confirmation: DeliveryConfirmation) -> Next {
        if confirmation.delivered_to != client {
            return Step::refuse(ErrorCode::Auth);
        }
        if let Some(sender) = confirmation.sender
            && confirmation.verify(&sender).is_ok()
        {
            return self.remove_for(&client, &sender, &confirmation);
        }
        // A signature that does not hold is refused as one only if there is such a message.
        let id = confirmation.message_id;
        let prefix = confirmation.sender.map_or(id.to_be_bytes().to_vec(), |sender| letter_key(id, &sender));
        // Two are enough to see that it is not the only one.
        let find = MailboxOp::Find { mailbox: mailbox(&client), prefix, limit: 2 };
        Step::Ask(vec![find], Job::Confirm(Confirming::Found { client, confirmation: Box::new(confirmation) }))
    }

    pub(super) fn discard(&self, client: ContactId, request: DiscardMessage) -> Next {
        let key = letter_key(request.message_id, &request.sender);
        let ack = MailboxOp::Ack { mailbox: mailbox(&client), key };
        Step::Ask(vec![ack], Job::Confirm(Confirming::Removed { is_delivered: false }))
    }

    pub(super) fn confirmed(&mut self, job: Confirming, done: Done) -> Next {
        match job {
            Confirming::Found { client, confirmation } => match only_sender(done) {
                Ok(None) => Step::refuse(ErrorCode::NotFound),
                Ok(Some(sender)) if confirmation.verify(&sender).is_err() => Step::refuse(ErrorCode::Auth),
                Ok(Some(sender)) => self.remove_for(&client, &sender, &confirmation),
                Err(_) => Step::refuse(ErrorCode::Internal),
            },
            Confirming::Removed { is_delivered } => match done {
                Ok(_) => {
                    add(&mut self.counts.delivered, u64::from(is_delivered));
                    Step::Answer(None)
                }
                Err(Failure::Refused(Refusal::NotFound)) => Step::refuse(ErrorCode::NotFound),
                Err(_) => Step::refuse(ErrorCode::Internal),
            },
        }
    }

    /// Removes the message and keeps the confirmation for its sender, whose live connections the engine's
    /// hint reaches.
    fn remove_for(&self, client: &ContactId, sender: &ContactId, confirmation: &DeliveryConfirmation) -> Next {
        let key = letter_key(confirmation.message_id, sender);
        let keep = Notice {
            mailbox: mailbox(sender),
            value: notice(confirmation),
            most: self.limits.confirmations.into(),
            keep: self.timing.confirmations,
        };
        let ops = vec![MailboxOp::Ack { mailbox: mailbox(client), key }, MailboxOp::Notice(keep)];
        Step::Ask(ops, Job::Confirm(Confirming::Removed { is_delivered: true }))
    }
}

/// Who stored the one message that was found, if it is one.
fn only_sender(done: Done) -> Result<Option<ContactId>, Failure> {
    let [MailboxDone::Page { items, .. }] = answers(done)? else { return Err(Failure::Fault) };
    match &items[..] {
        [item] => key_of(&item.from).map(Some),
        _ => Ok(None),
    }
}
