//! RELAY_REGISTER: who becomes a client, and of what kind. SREMP 8.1, profile SR-8.1a to SR-8.1c.

use super::{
    depot::{Depot, Job, Next},
    policy::Access,
    records::{ADMITTED, IDENTITIES, mailbox, note_identity, read, scan_one_time, verdict, write},
};
use crate::{
    ErrorCode, LinkId,
    connection::Verdict,
    docket::{Done, Failure, Step, add, answers},
    message::{RelayCapabilities, RelayRegister, RelayRegistered},
};
use std::time::Duration;
use waypost_core::{ContactId, MailboxDone, MailboxOp, Now, Refusal, Terms};

/// One RELAY_REGISTER under way.
pub(super) struct Registering {
    client: ContactId,
    mailbox: bool,
    push: bool,
    capabilities: RelayCapabilities,
    /// Whether it showed a token that admits.
    admits: bool,
    tries: u32,
    stage: Stage,
}

enum Stage {
    /// Who the client was, and whether it is admitted, is read.
    Read,
    /// The mailbox is being opened.
    Opened,
}

impl Depot {
    pub(super) fn register(&self, link: LinkId, request: &RelayRegister) -> Next {
        let Some(from) = self.links.get(&link) else { return Step::Answer(None) };
        let client = from.peer.key();
        if request.identity != client || request.verify(&from.handshake_hash, &self.identity).is_err() {
            return Step::refuse(ErrorCode::Auth);
        }
        if matches!(&self.policy.access, Access::List(listed) if !listed.contains(&client)) {
            return Step::refuse(ErrorCode::Forbidden);
        }
        self.look_up(Registering {
            client,
            mailbox: request.mailbox != Some(false) && self.policy.owner.is_none_or(|owner| owner == client),
            push: request.push == Some(true),
            capabilities: request.capabilities,
            admits: request.token.as_ref().is_some_and(|token| self.policy.access.admits_by(token)),
            tries: 0,
            stage: Stage::Read,
        })
    }

    fn look_up(&self, job: Registering) -> Next {
        let ops = vec![read(IDENTITIES, &job.client), read(ADMITTED, &job.client)];
        Step::Ask(ops, Job::Register(Registering { stage: Stage::Read, ..job }))
    }

    pub(super) fn registered(&mut self, now: Now, link: LinkId, job: Registering, done: Done) -> Next {
        match (&job.stage, done) {
            (Stage::Read, done) => match answers(done) {
                Ok([MailboxDone::Record(identity), MailboxDone::Record(admitted)]) => {
                    self.admit(now, link, job, identity, admitted.is_some())
                }
                _ => Step::refuse(ErrorCode::Internal),
            },
            (Stage::Opened, Err(Failure::Refused(Refusal::Changed))) if job.tries < self.limits.tries => {
                self.look_up(Registering { tries: job.tries + 1, ..job })
            }
            (Stage::Opened, done) => self.welcome(now, link, &job, done),
        }
    }

    fn admit(&mut self, now: Now, link: LinkId, job: Registering, record: Option<Vec<u8>>, is_admitted: bool) -> Next {
        let Some(from) = self.links.get(&link) else { return Step::Answer(None) };
        match verdict(record.as_deref(), &from.peer) {
            Ok(Verdict::Refuse(code)) => return Step::refuse(code),
            Ok(_) => {}
            Err(_) => return Step::refuse(ErrorCode::Internal),
        }
        let is_new = matches!(self.policy.access, Access::Token(_)) && !is_admitted;
        if is_new && !job.admits {
            return Step::refuse(ErrorCode::Forbidden);
        }
        let (client, until) = (job.client, now.wall.after(self.timing.mailbox));
        let mut ops = Vec::new();
        // An identity without a mailbox is remembered only if it was before: to connect costs nothing.
        if job.mailbox || record.is_some() {
            ops.extend(note_identity(record, &from.peer, until));
        }
        if is_new {
            ops.push(write(ADMITTED, client.as_bytes(), Vec::new(), None));
        }
        if job.mailbox {
            let terms = self.terms(&job.capabilities, now);
            ops.push(MailboxOp::Open { mailbox: mailbox(&client), terms });
        }
        ops.push(MailboxOp::Usage { mailbox: mailbox(&client) });
        ops.push(scan_one_time(&client, &self.limits));
        if job.push {
            // Before what is there is counted: nothing falls between the two.
            self.watch(now, link, client);
        }
        Step::Ask(ops, Job::Register(Registering { stage: Stage::Opened, ..job }))
    }

    /// The smaller of the client's wishes and the policy. Profile SR-8.1c.
    fn terms(&self, wishes: &RelayCapabilities, now: Now) -> Terms {
        Terms {
            item_bytes: wishes.max_message_size.min(self.policy.max_message_size).into(),
            keep: Duration::from_secs(wishes.max_storage_duration.min(self.policy.max_storage_duration).into()),
            until: now.wall.after(self.timing.mailbox),
        }
    }

    fn welcome(&mut self, now: Now, link: LinkId, job: &Registering, done: Done) -> Next {
        let found = done.and_then(|mut done| match (done.pop(), done.pop()) {
            (Some(MailboxDone::Records(one_time)), Some(MailboxDone::Usage(usage))) => Ok((usage, one_time.len())),
            _ => Err(Failure::Fault),
        });
        let Ok((usage, one_time)) = found else {
            self.unwatch_new(link, &job.client);
            return Step::refuse(ErrorCode::Internal);
        };
        if let Some(from) = self.links.get_mut(&link) {
            add(&mut self.counts.registered, u64::from(!from.registered));
            from.registered = true;
        }
        if job.push {
            self.push_from(link, &job.client, usage.last_seq);
        } else {
            self.unwatch(link, &job.client);
        }
        Step::answer(RelayRegistered {
            policy: self.policy.to_wire(),
            pending: u32::try_from(usage.letters).unwrap_or(u32::MAX),
            one_time_left: u32::try_from(one_time).unwrap_or(u32::MAX),
            relay_time: now.wall,
        })
    }
}
