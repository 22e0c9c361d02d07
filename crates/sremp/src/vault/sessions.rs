//! The sessions with one peer.

use super::{
    EPOCHS, SESSIONS, SKIPPED, Vault,
    due::{self, Due},
};
use crate::{
    Error,
    pqxdh::SessionId,
    ratchet::SkippedKeys,
    session::{Session, SessionNeed, SessionRank, SessionRecord},
};
use waypost_core::{Batch, ContactId, Records, Wall};

/// What can be said of a session without its keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionStatus {
    /// Its id, the same on both sides.
    pub id: SessionId,
    /// Orders the sessions.
    pub epoch: u64,
    /// Whether messages are sealed on it.
    pub is_active: bool,
    /// Whether the peer has it for sure.
    pub is_answered: bool,
    /// When it was started or accepted.
    pub started: Wall,
    /// When something was received on it last.
    pub last_receipt: Option<Wall>,
    /// Messages sealed.
    pub sent: u64,
    /// Messages opened.
    pub received: u64,
}

fn key(peer: &ContactId, id: SessionId) -> Vec<u8> {
    [&peer.as_bytes()[..], &id.0].concat()
}

/// The sessions with a peer that can still receive, the active one first; their ratchets are not decoded.
pub(super) fn stored(
    records: &(impl Records + ?Sized),
    peer: &ContactId,
    now: Wall,
) -> Result<Vec<SessionRecord>, Error> {
    let mut all = all(records, peer)?;
    all.retain(|session| now < session.expires());
    all.sort_by_key(SessionRecord::rank);
    Ok(all)
}

/// All that are kept. [`add`] keeps their number within the limit.
fn all(records: &(impl Records + ?Sized), peer: &ContactId) -> Result<Vec<SessionRecord>, Error> {
    let found = records.records(SESSIONS, peer.as_bytes(), None, super::PAGE)?;
    found.iter().map(|(_, bytes)| SessionRecord::decode(bytes)).collect()
}

/// One session, if it can still receive.
pub(super) fn find(
    records: &(impl Records + ?Sized),
    peer: &ContactId,
    id: SessionId,
    now: Wall,
) -> Result<Option<Session>, Error> {
    let Some(bytes) = records.record(SESSIONS, &key(peer, id))? else { return Ok(None) };
    let stored = SessionRecord::decode(&bytes)?;
    if stored.expires() <= now { Ok(None) } else { load(records, peer, stored).map(Some) }
}

/// Decodes a session with its skipped keys.
pub(super) fn load(
    records: &(impl Records + ?Sized),
    peer: &ContactId,
    stored: SessionRecord,
) -> Result<Session, Error> {
    let skipped = match records.record(SKIPPED, &key(peer, SessionId(stored.id)))? {
        Some(bytes) => SkippedKeys::decode(&bytes).ok_or(Error::Internal("stored keys are not what was written"))?,
        None => SkippedKeys::default(),
    };
    stored.into_session(skipped)
}

/// Keeps a session after a step; its skipped keys only if they changed.
pub(super) fn save<R: Records + ?Sized>(batch: &mut Batch<'_, R>, peer: &ContactId, session: &Session) {
    let key = key(peer, session.id);
    batch.put(SESSIONS, key.clone(), session.encode());
    let skipped = session.ratchet.skipped();
    if skipped.is_changed() {
        if skipped.len() == 0 {
            batch.remove(SKIPPED, key);
        } else {
            batch.put(SKIPPED, key, skipped.encode().to_vec());
        }
    }
}

/// Keeps a new session and drops those that come behind the limit, which may be the new one.
pub(super) fn add<R: Records + ?Sized>(
    batch: &mut Batch<'_, R>,
    peer: &ContactId,
    session: &Session,
    now: Wall,
    limit: usize,
) -> Result<(), Error> {
    let mut ranks: Vec<SessionRank> = vec![session.rank()];
    for other in all(batch, peer)? {
        if now < other.expires() {
            ranks.push(other.rank());
        } else {
            drop(batch, peer, SessionId(other.id));
        }
    }
    save(batch, peer, session);
    due::note(batch, now.after(crate::session::LIFE), Due::Session, &key(peer, session.id));
    ranks.sort_unstable();
    for rank in ranks.into_iter().skip(limit) {
        drop(batch, peer, rank.id());
    }
    super::note_epoch(batch, peer, session.epoch)?;
    Ok(())
}

fn drop<R: Records + ?Sized>(batch: &mut Batch<'_, R>, peer: &ContactId, id: SessionId) {
    batch.remove(SESSIONS, key(peer, id));
    batch.remove(SKIPPED, key(peer, id));
}

impl Vault {
    /// What can be said of the sessions with a peer, the active one first.
    ///
    /// # Errors
    /// The records failed.
    pub fn sessions(
        &self,
        records: &(impl Records + ?Sized),
        peer: ContactId,
        now: Wall,
    ) -> Result<Vec<SessionStatus>, Error> {
        let all = stored(records, &peer, now)?;
        let status = |(place, session): (usize, &SessionRecord)| SessionStatus {
            id: SessionId(session.id),
            epoch: session.epoch,
            is_active: place == 0,
            is_answered: session.is_answered(),
            started: session.started,
            last_receipt: session.last_receipt,
            sent: session.sent,
            received: session.received,
        };
        Ok(all.iter().enumerate().map(status).collect())
    }

    /// Whether a new session with a peer should be started.
    ///
    /// # Errors
    /// The records failed.
    pub fn need(&self, records: &(impl Records + ?Sized), peer: ContactId, now: Wall) -> Result<SessionNeed, Error> {
        Ok(self.active(records, &peer, now)?.map_or(SessionNeed::Required, |session| session.need(now)))
    }

    /// Forgets a session, as when the peer sent END on it.
    pub fn drop_session<R: Records + ?Sized>(&self, batch: &mut Batch<'_, R>, peer: ContactId, id: SessionId) {
        drop(batch, &peer, id);
    }

    /// Forgets everything about a peer. What was started with our prekeys stays remembered against replay.
    ///
    /// # Errors
    /// The records failed.
    pub fn forget_peer<R: Records + ?Sized>(&self, batch: &mut Batch<'_, R>, peer: ContactId) -> Result<(), Error> {
        for (key, _) in batch.records(SESSIONS, peer.as_bytes(), None, super::PAGE)? {
            batch.remove(SESSIONS, key.clone());
            batch.remove(SKIPPED, key);
        }
        batch.remove(EPOCHS, *peer.as_bytes());
        Ok(())
    }

    pub(super) fn active(
        &self,
        records: &(impl Records + ?Sized),
        peer: &ContactId,
        now: Wall,
    ) -> Result<Option<Session>, Error> {
        let first = stored(records, peer, now)?.into_iter().next();
        first.map(|stored| load(records, peer, stored)).transpose()
    }
}
