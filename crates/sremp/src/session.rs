//! A session: one ratchet with one peer, and what belongs to it (SREMP profile, Sessions).

use crate::{
    Error, ErrorCode, Ratchet,
    msgpack::{Blob, decode, encode, record},
    padding::bucket,
    pqxdh::{Initiated, Opening, SessionId},
    ratchet::SkippedKeys,
};
use rand_core::CryptoRng;
use std::{cmp::Reverse, time::Duration};
use waypost_core::Wall;

/// How many sessions with one contact are kept.
pub const MAX_SESSIONS: usize = 5;
/// How long a session can receive after its last receipt, or its start without one.
pub(crate) const LIFE: Duration = Duration::from_secs(30 * 86400);
/// How long to wait for a first answer before a new session is wanted.
pub(crate) const PATIENCE: Duration = Duration::from_secs(7 * 86400);
/// The largest bucket of an unanswered session: with all it carries it still fits a relay's default.
pub(crate) const MAX_UNANSWERED_BUCKET: usize = 16384;
/// From this Ns on a new session is wanted: a tenth of the chain is left to get prekeys.
pub(crate) const RENEW_NUMBER: u32 = 9000;

/// The place of a session among those with one peer: the lowest rank is the active one, on both sides.
/// SREMP profile SR-5h: highest epoch, then lowest id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SessionRank(Reverse<u64>, SessionId);

impl SessionRank {
    /// Of a session with this epoch and id.
    pub const fn new(epoch: u64, id: SessionId) -> Self {
        Self(Reverse(epoch), id)
    }

    /// The session's id.
    pub const fn id(self) -> SessionId {
        self.1
    }
}

/// Puts sessions into their order, the active one first, and keeps as many as a contact may have.
pub fn order(sessions: &mut Vec<SessionRank>) {
    sessions.sort_unstable();
    sessions.truncate(MAX_SESSIONS);
}

/// Whether a new session should be started with a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionNeed {
    /// No.
    No,
    /// If prekeys can be had; until then the old one serves.
    Wanted,
    /// There is none to send on.
    Required,
}

/// One session.
#[derive(Clone, Debug)]
pub(crate) struct Session {
    pub(crate) id: SessionId,
    pub(crate) epoch: u64,
    pub(crate) ratchet: Ratchet,
    /// There as long as the peer has not answered the session we started.
    pub(crate) opening: Option<Opening>,
    pub(crate) started: Wall,
    pub(crate) last_receipt: Option<Wall>,
    /// When the first message was sealed that nothing came back for.
    pub(crate) unanswered_since: Option<Wall>,
    pub(crate) sent: u64,
    pub(crate) received: u64,
}

impl Session {
    /// The session of the side that starts.
    pub(crate) fn initiated(initiated: Initiated, now: Wall) -> Self {
        let epoch = initiated.opening.epoch;
        Self { opening: Some(initiated.opening), ..Self::accepted(initiated.id, epoch, initiated.ratchet, now) }
    }

    /// The session of the other side.
    pub(crate) const fn accepted(id: SessionId, epoch: u64, ratchet: Ratchet, now: Wall) -> Self {
        Self {
            id,
            epoch,
            ratchet,
            opening: None,
            started: now,
            last_receipt: None,
            unanswered_since: None,
            sent: 0,
            received: 0,
        }
    }

    /// A blob, of type 1 until the peer has answered. Draws as the ratchet does, then s (32 bytes) for type 1.
    ///
    /// # Errors
    /// [`Error::Unanswered`] for content that is too large before an answer; those of the ratchet.
    pub(crate) fn seal(
        &mut self,
        message_id: u64,
        content: &[u8],
        now: Wall,
        rng: &mut impl CryptoRng,
    ) -> Result<Vec<u8>, Error> {
        let bucket = bucket(content.len()).ok_or(Error::Refused(ErrorCode::TooLarge))?;
        if self.opening.is_some() && bucket > MAX_UNANSWERED_BUCKET {
            return Err(Error::Unanswered);
        }
        let blob = self.ratchet.encrypt(message_id, content, rng)?;
        let blob = match &self.opening {
            Some(opening) => opening.seal(blob, rng)?,
            None => blob,
        };
        self.unanswered_since.get_or_insert(now);
        self.sent = self.sent.saturating_add(1);
        Ok(blob)
    }

    /// The content of a type-2 blob; a receipt ends the type-1 form.
    ///
    /// # Errors
    /// Those of the ratchet; nothing has changed then.
    pub(crate) fn open(
        &mut self,
        message_id: u64,
        blob: &[u8],
        now: Wall,
        rng: &mut impl CryptoRng,
    ) -> Result<Vec<u8>, Error> {
        let content = self.ratchet.decrypt(now, message_id, blob, rng)?;
        self.opening = None;
        self.last_receipt = Some(now);
        self.unanswered_since = None;
        self.received = self.received.saturating_add(1);
        Ok(content)
    }

    /// Its place among the others.
    pub(crate) const fn rank(&self) -> SessionRank {
        SessionRank::new(self.epoch, self.id)
    }

    /// Whether a new one should take over.
    pub(crate) fn need(&self, now: Wall) -> SessionNeed {
        if !self.ratchet.can_send() {
            return SessionNeed::Required;
        }
        let is_tired = self.unanswered_since.is_some_and(|since| now.since(since) >= PATIENCE);
        if is_tired || self.ratchet.sent() >= RENEW_NUMBER { SessionNeed::Wanted } else { SessionNeed::No }
    }

    /// For a record: a version byte and a MessagePack map. The skipped keys have a record of their own.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let record = SessionRecord {
            id: self.id.0,
            epoch: self.epoch,
            ratchet: Blob(self.ratchet.encode().to_vec()),
            opening: self.opening.clone(),
            started: self.started,
            last_receipt: self.last_receipt,
            unanswered_since: self.unanswered_since,
            sent: self.sent,
            received: self.received,
        };
        [&[VERSION][..], &encode(&record)].concat()
    }
}

const VERSION: u8 = 1;

record! {
    /// A session as it is kept; its ratchet is not decoded before it is needed.
    pub(crate) struct SessionRecord {
        pub(crate) id: [u8; 16],
        pub(crate) epoch: u64,
        ratchet: Blob,
        opening: Option<Opening>,
        pub(crate) started: Wall,
        pub(crate) last_receipt: Option<Wall>,
        unanswered_since: Option<Wall>,
        pub(crate) sent: u64,
        pub(crate) received: u64,
    }
}

impl SessionRecord {
    /// Reads what [`Session::encode`] wrote.
    ///
    /// # Errors
    /// It is anything else.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Error> {
        let record = bytes.strip_prefix(&[VERSION]).ok_or(BROKEN)?;
        decode(record).map_err(|_| BROKEN)
    }

    /// The session, with the keys it has skipped.
    ///
    /// # Errors
    /// It is not what was written.
    pub(crate) fn into_session(self, skipped: SkippedKeys) -> Result<Session, Error> {
        Ok(Session {
            id: SessionId(self.id),
            epoch: self.epoch,
            ratchet: Ratchet::decode(&self.ratchet, skipped).ok_or(BROKEN)?,
            opening: self.opening,
            started: self.started,
            last_receipt: self.last_receipt,
            unanswered_since: self.unanswered_since,
            sent: self.sent,
            received: self.received,
        })
    }

    /// Its place among the others.
    pub(crate) const fn rank(&self) -> SessionRank {
        SessionRank::new(self.epoch, SessionId(self.id))
    }

    /// Whether the peer has answered, or started it.
    pub(crate) const fn is_answered(&self) -> bool {
        self.opening.is_none()
    }

    /// When it stops to receive.
    pub(crate) fn expires(&self) -> Wall {
        self.last_receipt.unwrap_or(self.started).after(LIFE)
    }
}

const BROKEN: Error = Error::Internal("a stored session is not what was written");

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{RatchetStart, x25519::Secret};
    use proptest::prelude::*;
    use rand::{SeedableRng, rngs::StdRng};

    fn session() -> Session {
        let mut rng = StdRng::seed_from_u64(1);
        let start = RatchetStart { sk: [1; 32], hka: [2; 32], nhkb: [3; 32], ad: [4; 32] };
        let spk = Secret::generate(&mut rng);
        let mut ratchet = Ratchet::initiator(&start, Secret::generate(&mut rng), spk.public()).unwrap();
        ratchet.encrypt(1, b"one", &mut rng).unwrap();
        let second = ratchet.encrypt(2, b"two", &mut rng).unwrap();
        let mut session = Session::accepted(SessionId([5; 16]), 7, Ratchet::responder(&start, spk), Wall::default());
        session.open(2, &second, Wall::from_millis(9), &mut rng).unwrap();
        session
    }

    #[test]
    fn reads_back_what_it_wrote_and_no_part_of_it() {
        let session = session();
        let (bytes, skipped) = (session.encode(), session.ratchet.skipped().encode());
        let read = |bytes: &[u8], skipped: &[u8]| {
            SessionRecord::decode(bytes)?.into_session(SkippedKeys::decode(skipped).ok_or(BROKEN)?)
        };
        let again = read(&bytes, &skipped).unwrap();
        assert_eq!((again.encode(), again.ratchet.skipped().encode()), (bytes.clone(), skipped.clone()));
        assert!((0..bytes.len()).all(|length| read(&bytes[..length], &skipped).is_err()));
        assert!((1..skipped.len()).all(|length| read(&bytes, &skipped[..length]).is_err()));
        assert!(read(&[&[2], &bytes[1..]].concat(), &skipped).is_err(), "another version");
    }

    proptest! {
        #[test]
        fn takes_any_bytes_without_a_panic(bytes: Vec<u8>, at: prop::sample::Index, byte: u8) {
            let _ = SkippedKeys::decode(&bytes);
            let mut stored = session().encode();
            let at = at.index(stored.len());
            stored[at] = byte;
            let _ = SessionRecord::decode(&stored).and_then(|record| record.into_session(SkippedKeys::default()));
        }
    }

    /// SR-5h
    #[test]
    fn the_highest_epoch_is_active_and_then_the_lowest_id() {
        let rank = |epoch, id| SessionRank::new(epoch, SessionId([id; 16]));
        let mut ranks = vec![rank(1, 1), rank(3, 9), rank(3, 2), rank(2, 0), rank(0, 0), rank(1, 0)];
        order(&mut ranks);
        assert_eq!(ranks, [rank(3, 2), rank(3, 9), rank(2, 0), rank(1, 0), rank(1, 1)]);
    }
}
