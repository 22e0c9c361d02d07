//! Starting sessions and sealing messages.

use super::{
    Own, PROTECTION, Vault, attempt, carried, highest_epoch,
    sessions::{add, save},
};
use crate::{
    Error, ErrorCode, Identity,
    message::Prekeys,
    pqxdh::{SessionId, initiate},
    prekeys::VerifiedPrekeys,
    session::{Session, SessionNeed},
};
use rand_core::CryptoRng;
use waypost_core::{Batch, ContactId, Protection, Records, Wall};

/// A sealed message.
#[derive(Clone, PartialEq, Eq)]
pub struct Sealed {
    /// What travels.
    pub blob: Vec<u8>,
    /// The session it is sealed on.
    pub session: SessionId,
    /// How it is protected.
    pub protection: Protection,
    /// Whether a new session should take over soon.
    pub need: SessionNeed,
}

impl std::fmt::Debug for Sealed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Sealed({} bytes on {})", self.blob.len(), self.session)
    }
}

impl Vault {
    /// Checks PREKEYS that were asked for: its identity by the soft rules of trust, then the bundle and the
    /// item. `peer` is the identity of the connection, which stands for one that is left out.
    ///
    /// # Errors
    /// The first that applies, in the profile's order.
    pub fn check_prekeys<R: Records + ?Sized>(
        &self,
        batch: &mut Batch<'_, R>,
        asked_for: ContactId,
        peer: Option<&Identity>,
        message: &Prekeys,
        now: Wall,
    ) -> Result<VerifiedPrekeys, Error> {
        let owner = match &message.identity {
            Some(identity) => identity.verify()?,
            None => peer.filter(|peer| peer.key() == asked_for).ok_or(Error::Proof(ErrorCode::Auth))?.clone(),
        };
        carried::judge(batch, &owner, now)?;
        VerifiedPrekeys::check(message, asked_for, owner, now)
    }

    /// Starts a session with the owner of these prekeys; it becomes the active one. Its epoch is above all
    /// known with this peer and not below the time in seconds. Draws e (32 bytes), the randomness of the
    /// encapsulation (32) and the first ratchet key (32).
    ///
    /// # Errors
    /// DECRYPT if one of the keys cannot be used, AUTH if they are our own, [`Error::BadInput`] if `own` does
    /// not belong together.
    pub fn start_session<R: Records + ?Sized>(
        &self,
        batch: &mut Batch<'_, R>,
        own: Own<'_>,
        prekeys: &VerifiedPrekeys,
        now: Wall,
        rng: &mut impl CryptoRng,
    ) -> Result<SessionId, Error> {
        own.check()?;
        let peer = prekeys.owner().key();
        if peer == own.identity.key() {
            return Err(Error::Proof(ErrorCode::Auth));
        }
        attempt(batch, |batch| {
            let next = highest_epoch(batch, &peer)?.map_or(0, |highest| highest.saturating_add(1));
            let epoch = next.max(now.as_secs());
            let session = Session::initiated(initiate(own.identity, own.dr_secret, prekeys, epoch, rng)?, now);
            add(batch, &peer, &session, now, self.limits.sessions)?;
            carried::keep(batch, prekeys.owner(), now)?;
            Ok(session.id)
        })
    }

    /// Seals content for a peer on the active session. The caller commits the batch with the blob before
    /// the blob leaves; a repeat sends the same bytes. Draws the header's nonce (24 bytes), and s (32) for
    /// a message of type 1.
    ///
    /// # Errors
    /// NO_SESSION if there is none to send on, [`Error::Unanswered`] if the content is too large before the
    /// peer's first answer, TOO_LARGE if it is too large for ever.
    pub fn seal<R: Records + ?Sized>(
        &self,
        batch: &mut Batch<'_, R>,
        peer: ContactId,
        message_id: u64,
        content: &[u8],
        now: Wall,
        rng: &mut impl CryptoRng,
    ) -> Result<Sealed, Error> {
        let mut session = self.active(batch, &peer, now)?.ok_or(Error::Crypto(ErrorCode::NoSession))?;
        let blob = session.seal(message_id, content, now, rng)?;
        save(batch, &peer, &session);
        Ok(Sealed { blob, session: session.id, protection: PROTECTION, need: session.need(now) })
    }
}
