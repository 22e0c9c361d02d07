//! STORE_MESSAGE: a sealed message goes into a mailbox. SREMP 8.2, profile SR-8.2a, SR-8.2b.

use super::{
    depot::{Depot, Job, Next},
    records::{letter_key, mailbox},
};
use crate::{
    ErrorCode,
    docket::{Done, Failure, Step, add, answers},
    kdf::sha256,
    message::{StoreMessage, StoreResponse},
};
use waypost_core::{ContactId, MailboxDone, MailboxOp, Mono, Now, Put, Quota, Refusal, Wall};

/// One STORE_MESSAGE under way.
pub(super) enum Storing {
    /// It may be put only if it is new: the sender's rate is used up, or there is nothing in it.
    Recalled { sender: ContactId, request: StoreMessage },
    /// It is being put, for a use of the sender's rate.
    Put { sender: ContactId, recipient: ContactId, message_id: u64, used: Mono },
}

impl Depot {
    /// Every answer is a STORE_RESPONSE, never an ERROR.
    pub(super) fn store(&mut self, now: Now, sender: ContactId, request: StoreMessage) -> Next {
        if request.verify(&self.identity, &sender).is_err() {
            return refused(now, &request, ErrorCode::Auth, None);
        }
        // What was stored before is known before the rate is asked; but it is rare, and costs a round.
        if request.encrypted_blob.is_empty() || self.stores.take(now.mono, sender).is_err() {
            let mailbox = mailbox(&request.recipient);
            let key = letter_key(request.message_id, &sender);
            let ops = vec![MailboxOp::Usage { mailbox: mailbox.clone() }, MailboxOp::Recall { mailbox, key }];
            return Step::Ask(ops, Job::Store(Storing::Recalled { sender, request }));
        }
        self.put(now, sender, request)
    }

    pub(super) fn stored(&mut self, now: Now, job: Storing, done: Done) -> Next {
        match job {
            Storing::Recalled { sender, request } => self.recalled(now, sender, request, done),
            Storing::Put { sender, recipient, message_id, used } => {
                let mut response = response(now, recipient, message_id);
                match done.as_deref() {
                    Ok([MailboxDone::Put { stamp, again, .. }]) => {
                        (response.success, response.stored_at) = (true, *stamp);
                        if *again {
                            self.stores.give_back(used, &sender);
                        } else {
                            add(&mut self.counts.stored, 1);
                        }
                    }
                    Ok(_) => response.error_code = Some(ErrorCode::Internal.value()),
                    Err(failure) => {
                        let (code, is_counted) = refusal_code(*failure);
                        response.error_code = Some(code.value());
                        if !is_counted {
                            self.stores.give_back(used, &sender);
                        }
                    }
                }
                Step::answer(response)
            }
        }
    }

    /// The checks in the profile's order, of which the engine did none yet.
    fn recalled(&mut self, now: Now, sender: ContactId, request: StoreMessage, done: Done) -> Next {
        let known = match answers(done) {
            Ok([MailboxDone::Usage(usage), MailboxDone::Known(known)]) => {
                if !usage.open {
                    return refused(now, &request, ErrorCode::NoMailbox, None);
                }
                known
            }
            _ => return refused(now, &request, ErrorCode::Internal, None),
        };
        if let Some(known) = known {
            if known.digest != sha256(&[&request.encrypted_blob]) {
                return refused(now, &request, ErrorCode::Conflict, None);
            }
            let mut response = response(now, request.recipient, request.message_id);
            (response.success, response.stored_at) = (true, known.stamp);
            return Step::answer(response);
        }
        if let Err(wait) = self.stores.take(now.mono, sender) {
            return refused(now, &request, ErrorCode::Rate, Some(wait));
        }
        if request.encrypted_blob.is_empty() {
            return refused(now, &request, ErrorCode::TooLarge, None);
        }
        self.put(now, sender, request)
    }

    /// Hands it to the engine, which does the other checks in the same order.
    fn put(&self, now: Now, sender: ContactId, request: StoreMessage) -> Next {
        let StoreMessage { recipient, encrypted_blob, message_id, .. } = request;
        let put = Put {
            mailbox: mailbox(&recipient),
            key: letter_key(message_id, &sender),
            digest: sha256(&[&encrypted_blob]),
            from: sender.as_bytes().to_vec(),
            value: encrypted_blob.0,
            quota: self.quota(),
            remember: self.timing.triples,
        };
        let job = Storing::Put { sender, recipient, message_id, used: now.mono };
        Step::Ask(vec![MailboxOp::Put(put)], Job::Store(job))
    }

    /// What a mailbox and a sender in it may hold: on a full disk nothing more. Profile SR-11.1.
    fn quota(&self) -> Quota {
        Quota {
            item_bytes: self.policy.max_message_size.into(),
            items: if self.disk_full { 0 } else { self.policy.quota_messages.into() },
            bytes: self.policy.quota_bytes,
            from_items: self.policy.sender_messages.into(),
            from_bytes: self.policy.sender_bytes,
        }
    }
}

/// The code, and whether the request counts for the sender's rate: what the profile checks before it does not.
fn refusal_code(failure: Failure) -> (ErrorCode, bool) {
    match failure {
        Failure::Refused(Refusal::NoMailbox) => (ErrorCode::NoMailbox, false),
        Failure::Refused(Refusal::Conflict) => (ErrorCode::Conflict, false),
        Failure::Refused(Refusal::TooLarge) => (ErrorCode::TooLarge, true),
        Failure::Refused(Refusal::MailboxFull | Refusal::StorageFull) => (ErrorCode::Quota, true),
        Failure::Refused(Refusal::NotFound | Refusal::Changed) | Failure::Fault => (ErrorCode::Internal, false),
    }
}

fn refused(now: Now, request: &StoreMessage, code: ErrorCode, retry_after_s: Option<u32>) -> Next {
    let response = response(now, request.recipient, request.message_id);
    Step::answer(StoreResponse { error_code: Some(code.value()), retry_after_s, ..response })
}

/// Without success: stored_at is now.
fn response(now: Now, recipient: ContactId, message_id: u64) -> StoreResponse {
    let stored_at: Wall = now.wall;
    let recipient = Some(recipient);
    StoreResponse { success: false, stored_at, message_id, recipient, error_code: None, retry_after_s: None }
}
