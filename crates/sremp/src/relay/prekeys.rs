//! PUBLISH_PREKEYS and FETCH_PREKEYS at a relay. Profile SR-5f and Prekeys.

use super::{
    depot::{Depot, Job, Next},
    records::{
        BUNDLES, IDENTITIES, ONE_TIME, ONE_TIME_KEYS, decoded, expect, identity, note_identity, one_time_key, read,
        remove, scan_one_time, verdict, write,
    },
};
use crate::{
    Error, ErrorCode, Identity, LinkId,
    connection::Verdict,
    docket::{Done, Failure, Step, answers},
    message::{ErrorMessage, Prekeys, PrekeysPublished, PublishPrekeys, SignedBundle, SignedOneTime},
    msgpack::{encode, record},
};
use std::{collections::BTreeSet, time::Duration};
use waypost_core::{ContactId, MailboxDone, MailboxOp, Now, Record, Refusal, Wall};

/// When to ask again for what many others are asking for at this moment.
const CROWDED_S: u32 = 1;

record! {
    /// The bundle published last. Each publishing changes the number, so that of two at once one sees the
    /// other.
    struct Published {
        number: u64,
        not_after: Wall,
        bundle: SignedBundle,
    }
}

/// One PUBLISH_PREKEYS under way.
pub(super) struct Publishing {
    link: LinkId,
    not_after: Wall,
    request: PublishPrekeys,
    /// Of the items.
    ids: Vec<u32>,
    tries: u32,
    stage: PublishStage,
}

enum PublishStage {
    /// What is there is read.
    Read,
    /// It is being written; so many items are left then.
    Written { one_time_left: u32 },
}

/// One FETCH_PREKEYS under way.
pub(super) struct Fetching {
    target: ContactId,
    tries: u32,
    /// What will be given once its one-time item is taken out for it.
    taken: Option<Box<Prekeys>>,
}

impl Depot {
    /// All is stored or nothing.
    pub(super) fn publish(&self, now: Now, link: LinkId, request: PublishPrekeys) -> Next {
        let Some(from) = self.links.get(&link) else { return Step::Answer(None) };
        // What others may leave here has a bound for each mailbox; prekeys have one for each identity, and
        // identities cost nothing. So on a full disk they wait as letters do, and a person's own relay has none.
        if self.policy.owner.is_some_and(|owner| owner != from.peer.key()) {
            return Step::refuse(ErrorCode::Forbidden);
        }
        if self.disk_full {
            return Step::refuse(ErrorCode::Quota);
        }
        match self.check_published(&from.peer, &request, now.wall) {
            Ok((not_after, ids)) => {
                let stage = PublishStage::Read;
                let job = Publishing { link, not_after, request, ids, tries: 0, stage };
                self.read_published(&from.peer.key(), job)
            }
            Err(error) => {
                let refusal = ErrorMessage::new(error.code()).not_fatal();
                Step::Refuse(if error.code() == ErrorCode::Auth { refusal.fatal() } else { refusal })
            }
        }
    }

    /// Until when the bundle holds, and the ids of the items.
    fn check_published(
        &self,
        owner: &Identity,
        request: &PublishPrekeys,
        now: Wall,
    ) -> Result<(Wall, Vec<u32>), Error> {
        if request.one_time.len() > self.limits.prekeys_at_once {
            return Err(Error::Limit("one-time prekeys"));
        }
        let bundle = request.bundle.verify(owner, now)?;
        let key = owner.key();
        let ids = request.one_time.iter().map(|item| item.verify(&key).map(|data| data.id));
        Ok((bundle.not_after, ids.collect::<Result<_, _>>()?))
    }

    fn read_published(&self, owner: &ContactId, job: Publishing) -> Next {
        let ops = vec![read(IDENTITIES, owner), read(BUNDLES, owner), scan_one_time(owner, &self.limits)];
        Step::Ask(ops, Job::Publish(Box::new(Publishing { stage: PublishStage::Read, ..job })))
    }

    pub(super) fn published(&self, now: Now, job: Publishing, done: Done) -> Next {
        let Some(from) = self.links.get(&job.link) else { return Step::Answer(None) };
        match (&job.stage, done) {
            (PublishStage::Read, done) => {
                self.write_published(now, &from.peer, job, done).unwrap_or(Step::refuse(ErrorCode::Internal))
            }
            (PublishStage::Written { one_time_left }, Ok(_)) => {
                Step::answer(PrekeysPublished { one_time_left: *one_time_left })
            }
            (_, Err(Failure::Refused(Refusal::Changed))) if job.tries < self.limits.tries => {
                let owner = from.peer.key();
                self.read_published(&owner, Publishing { tries: job.tries + 1, ..job })
            }
            _ => Step::refuse(ErrorCode::Internal),
        }
    }

    /// Further items than there may be, and ids already there, are skipped.
    fn write_published(&self, now: Now, peer: &Identity, job: Publishing, done: Done) -> Result<Next, Failure> {
        let [MailboxDone::Record(known), MailboxDone::Record(before), MailboxDone::Records(kept)] = answers(done)?
        else {
            return Err(Failure::Fault);
        };
        if let Verdict::Refuse(code) = verdict(known.as_deref(), peer)? {
            return Ok(Step::refuse(code));
        }
        let (owner, now) = (peer.key(), now.wall);
        let number = match &before {
            Some(bytes) => decoded::<Published>(bytes)?.number.wrapping_add(1),
            None => 0,
        };
        let (not_after, bundle) = (job.not_after, job.request.bundle.clone());
        let published = encode(&Published { number, not_after, bundle });
        let mut ops = Vec::from(note_identity(known, peer, now.after(self.timing.mailbox)));
        ops.push(expect(BUNDLES, owner.as_bytes(), before));
        let over = not_after.after(Duration::from_millis(1));
        ops.push(write(BUNDLES, owner.as_bytes(), published, Some(over)));
        let most = usize::try_from(self.limits.prekeys).unwrap_or(usize::MAX);
        let mut keys: BTreeSet<Vec<u8>> = kept.into_iter().map(|(key, _)| key).collect();
        let expires = Some(now.after(self.timing.one_time));
        for (id, item) in job.ids.iter().zip(&job.request.one_time) {
            let key = one_time_key(&owner, *id);
            if keys.len() < most && !keys.contains(&key) {
                ops.push(write(ONE_TIME_KEYS, &key, Vec::new(), expires));
                ops.push(write(ONE_TIME, &key, encode(item), expires));
                keys.insert(key);
            }
        }
        let one_time_left = u32::try_from(keys.len()).unwrap_or(u32::MAX);
        let stage = PublishStage::Written { one_time_left };
        Ok(Step::Ask(ops, Job::Publish(Box::new(Publishing { stage, ..job }))))
    }

    pub(super) fn fetch(&mut self, now: Now, client: ContactId, target: ContactId) -> Next {
        // Asking for what is not there counts too: otherwise it could be probed for ever.
        if let Err(wait) = self.fetches.take(now.mono, (client, target)) {
            return Step::Refuse(ErrorMessage::new(ErrorCode::Rate).retry_after(wait));
        }
        read_prekeys(target, 0)
    }

    pub(super) fn fetched(&self, now: Now, job: Fetching, done: Done) -> Next {
        match (job.taken, done) {
            (None, done) => give(now, job.target, job.tries, done).unwrap_or(Step::refuse(ErrorCode::Internal)),
            (Some(prekeys), Ok(_)) => Step::answer(*prekeys),
            // Somebody else was given the item: there may be another.
            (_, Err(Failure::Refused(Refusal::Changed))) if job.tries < self.limits.tries => {
                read_prekeys(job.target, job.tries + 1)
            }
            (_, Err(Failure::Refused(Refusal::Changed))) => {
                Step::Refuse(ErrorMessage::new(ErrorCode::Rate).retry_after(CROWDED_S))
            }
            _ => Step::refuse(ErrorCode::Internal),
        }
    }
}

fn read_prekeys(target: ContactId, tries: u32) -> Next {
    let prefix = target.as_bytes().to_vec();
    let lowest = MailboxOp::Scan { space: ONE_TIME, prefix, after: None, limit: 1 };
    let ops = vec![read(BUNDLES, &target), read(IDENTITIES, &target), lowest];
    Step::Ask(ops, Job::Fetch(Fetching { target, tries, taken: None }))
}

/// The target's bundle, and its one-time item of the lowest id, which nobody else is given.
fn give(now: Now, target: ContactId, tries: u32, done: Done) -> Result<Next, Failure> {
    let [MailboxDone::Record(bundle), MailboxDone::Record(owner), MailboxDone::Records(one_time)] = answers(done)?
    else {
        return Err(Failure::Fault);
    };
    let published = bundle.as_deref().map(decoded::<Published>).transpose()?;
    let Some(published) = published.filter(|published| now.wall <= published.not_after) else {
        return Ok(Step::refuse(ErrorCode::NotFound));
    };
    let identity = owner.as_deref().map(identity).transpose()?.map(|identity| identity.signed().clone());
    let prekeys = Prekeys { target, identity, bundle: published.bundle, one_time: None };
    let Some((key, value)) = one_time.into_iter().next() as Option<Record> else { return Ok(Step::answer(prekeys)) };
    let item: SignedOneTime = decoded(&value)?;
    let taken = Some(Box::new(Prekeys { one_time: Some(item), ..prekeys }));
    let ops = vec![expect(ONE_TIME, &key, Some(value)), remove(ONE_TIME, &key), remove(ONE_TIME_KEYS, &key)];
    Ok(Step::Ask(ops, Job::Fetch(Fetching { target, tries, taken })))
}
