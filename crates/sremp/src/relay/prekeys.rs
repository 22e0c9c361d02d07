//! PUBLISH_PREKEYS and FETCH_PREKEYS at a relay. Profile SR-5f and Prekeys.

use super::{
    client::{ClientRow, newest_identity, note_identity},
    depot::{Depot, Step},
    mailbox,
};
use crate::{
    Error, ErrorCode, Identity, LinkId,
    message::{
        ErrorMessage, FetchPrekeys, Message, Prekeys, PrekeysPublished, PublishPrekeys, SignedBundle, SignedOneTime,
    },
    msgpack::{encode, record},
};
use waypost_core::{ContactId, Records, Space, Wall};

/// The bundle published last, by owner.
pub(super) const BUNDLES: Space = Space("relay/bundle");
/// One-time items: `owner | id u32`.
pub(super) const ONE_TIME: Space = Space("relay/one-time");

record! {
    struct PublishedBundle {
        not_after: Wall,
        bundle: SignedBundle,
    }

    struct PublishedOneTime {
        since: Wall,
        item: SignedOneTime,
    }
}

fn one_time_key(owner: &ContactId, id: u32) -> Vec<u8> {
    [&owner.as_bytes()[..], &id.to_be_bytes()].concat()
}

impl Depot {
    /// All is stored or nothing.
    pub(super) fn publish<R: Records>(
        &mut self,
        step: &mut Step<'_, R>,
        link: LinkId,
        request: PublishPrekeys,
    ) -> Result<(), Error> {
        let Some(from) = self.links.get(&link) else { return Ok(()) };
        let checked = self.check_published(&from.peer, &request, step.now.wall);
        let (not_after, ids) = match checked {
            Ok(checked) => checked,
            Err(error) => {
                let mut refusal = ErrorMessage::new(error.code());
                refusal.fatal = error.code() == ErrorCode::Auth;
                step.refuse(link, refusal.answering(&Message::PublishPrekeys(request)));
                return Ok(());
            }
        };
        let (owner, now) = (from.peer.key(), step.now.wall);
        note_identity(&mut step.batch, &from.peer)?;
        let mut row = ClientRow::load(&step.batch, &owner)?.unwrap_or_else(|| ClientRow::new(now));
        self.expire_one_time(step, &mut row, &owner)?;
        step.batch.put(BUNDLES, *owner.as_bytes(), encode(&PublishedBundle { not_after, bundle: request.bundle }));
        for (id, item) in ids.into_iter().zip(request.one_time) {
            let key = one_time_key(&owner, id);
            if row.one_time >= self.limits.prekeys {
                break;
            }
            if step.batch.record(ONE_TIME, &key)?.is_some() {
                continue;
            }
            step.batch.put(ONE_TIME, key, encode(&PublishedOneTime { since: now, item }));
            row.one_time = row.one_time.saturating_add(1);
            row.oldest_one_time.get_or_insert(now);
        }
        row.keep(&mut step.batch, &owner, &self.policy, &self.timing);
        step.send(link, PrekeysPublished { one_time_left: row.one_time });
        Ok(())
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

    pub(super) fn fetch<R: Records>(
        &mut self,
        step: &mut Step<'_, R>,
        link: LinkId,
        client: ContactId,
        request: FetchPrekeys,
    ) -> Result<(), Error> {
        let refusal = |error: ErrorMessage| error.answering(&Message::FetchPrekeys(request));
        // Asking for what is not there counts too: otherwise it could be probed for ever.
        if let Err(wait) = self.fetches.take(step.now.mono, (client, request.target)) {
            step.refuse(link, refusal(ErrorMessage::new(ErrorCode::Rate).retry_after(wait)));
            return Ok(());
        }
        match self.give(step, request.target)? {
            Some(prekeys) => step.send(link, prekeys),
            None => step.refuse(link, refusal(ErrorMessage::new(ErrorCode::NotFound))),
        }
        Ok(())
    }

    /// The target's bundle, and its one-time item of the lowest id, which nobody else is given.
    fn give<R: Records>(&self, step: &mut Step<'_, R>, target: ContactId) -> Result<Option<Prekeys>, Error> {
        let published = mailbox::load::<PublishedBundle>(&step.batch, BUNDLES, target.as_bytes())?;
        let (Some(published), Some(mut row)) = (published, ClientRow::load(&step.batch, &target)?) else {
            return Ok(None);
        };
        if published.not_after < step.now.wall {
            return Ok(None);
        }
        let before = row;
        self.expire_one_time(step, &mut row, &target)?;
        let mut one_time = None;
        for (key, bytes) in step.batch.records(ONE_TIME, target.as_bytes(), None, 1)? {
            one_time = Some(mailbox::read::<PublishedOneTime>(&bytes)?.item);
            step.batch.remove(ONE_TIME, key);
            row.one_time = row.one_time.saturating_sub(1);
        }
        if row != before {
            row.keep(&mut step.batch, &target, &self.policy, &self.timing);
        }
        let identity = newest_identity(&step.batch, &target)?.map(|identity| identity.signed().clone());
        Ok(Some(Prekeys { target, identity, bundle: published.bundle, one_time }))
    }

    /// Removes items past their time. They are few, and looked at only when the oldest is due.
    pub(super) fn expire_one_time<R: Records>(
        &self,
        step: &mut Step<'_, R>,
        row: &mut ClientRow,
        owner: &ContactId,
    ) -> Result<(), Error> {
        let now = step.now.wall;
        let is_over = |since: Wall| since.after(self.timing.one_time) <= now;
        if !row.oldest_one_time.is_some_and(is_over) {
            return Ok(());
        }
        let mut oldest = None;
        for (key, bytes) in step.batch.records(ONE_TIME, owner.as_bytes(), None, usize::MAX)? {
            let since = mailbox::read::<PublishedOneTime>(&bytes)?.since;
            if is_over(since) {
                step.batch.remove(ONE_TIME, key);
                row.one_time = row.one_time.saturating_sub(1);
            } else {
                oldest = Some(oldest.map_or(since, |oldest: Wall| oldest.min(since)));
            }
        }
        row.oldest_one_time = oldest;
        Ok(())
    }

    /// Removes all prekeys of a client that is forgotten.
    pub(super) fn drop_prekeys<R: Records>(
        &self,
        step: &mut Step<'_, R>,
        row: &mut ClientRow,
        owner: &ContactId,
    ) -> Result<(), Error> {
        for (key, _) in step.batch.records(ONE_TIME, owner.as_bytes(), None, usize::MAX)? {
            step.batch.remove(ONE_TIME, key);
        }
        step.batch.remove(BUNDLES, *owner.as_bytes());
        (row.one_time, row.oldest_one_time) = (0, None);
        Ok(())
    }
}
