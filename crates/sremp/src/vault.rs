//! The vault: all secrets of sessions and prekeys, as records.
//!
//! Nothing is held in memory between calls. Each call reads the records it needs, does its work, and
//! either puts all its changes into the caller's batch or none; the caller commits the batch together
//! with the letter or the plaintext it belongs to, and only then lets bytes leave (SREMP profile,
//! Sessions, Persist).
//!
//! ```text
//! sremp/bundle     spk_id                the secrets behind a bundle, the bundle, how many entries its replay set has
//! sremp/one-time   id                    the secrets behind a one-time item nobody has used
//! sremp/used       id                    the hash of a used item: names the session it was used for
//! sremp/replay     spk_id | e            the first key of a session that was started with a bundle
//! sremp/session    peer | session id     a session
//! sremp/skipped    peer | session id     its skipped keys, if any
//! sremp/epoch      peer                  the highest epoch known
//! sremp/due        time | kind | key     when a record above has to go
//! ```

mod carried;
mod due;
mod open;
mod prekeys;
mod replay;
mod seal;
mod sessions;

use crate::{Error, Identity, ed25519::SigningKey, x25519::Secret};
use waypost_core::{Batch, ContactId, Protection, RecordFault, Records, Space};

pub use open::{Arrival, Opened};
pub(crate) use prekeys::{OneTimeSecrets, one_time_ids, own_bundle, put_bundle, put_one_time};
pub use seal::Sealed;
pub use sessions::SessionStatus;

const BUNDLES: Space = Space("sremp/bundle");
const ONE_TIME: Space = Space("sremp/one-time");
const USED: Space = Space("sremp/used");
const REPLAY: Space = Space("sremp/replay");
const SESSIONS: Space = Space("sremp/session");
const SKIPPED: Space = Space("sremp/skipped");
const EPOCHS: Space = Space("sremp/epoch");
const DUE: Space = Space("sremp/due");

const ALL: [Space; 8] = [BUNDLES, ONE_TIME, USED, REPLAY, SESSIONS, SKIPPED, EPOCHS, DUE];

/// How many records are read at once where their number has no smaller bound.
const PAGE: usize = 256;

/// What protects every message of a session.
pub const PROTECTION: Protection =
    Protection { end_to_end: true, forward_secret: true, post_quantum: true, verified: false };

/// The own keys that the vault works with and does not keep.
#[derive(Clone, Copy, Debug)]
pub struct Own<'a> {
    /// The own identity, newest version.
    pub identity: &'a Identity,
    /// Its signing key.
    pub signing: &'a SigningKey,
    /// The secret of its `dr_key`.
    pub dr_secret: &'a Secret,
}

impl Own<'_> {
    /// Whether the keys belong together: with another ratchet secret nobody could open what we seal.
    fn check(&self) -> Result<(), Error> {
        if self.identity.dr_key() != Some(self.dr_secret.public()) {
            return Err(Error::BadInput("the ratchet key is not that of the identity"));
        }
        Ok(())
    }
}

/// How much the vault keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VaultLimits {
    /// Sessions with one contact.
    pub sessions: usize,
    /// First keys remembered against replay, over all bundles.
    pub replay: u32,
    /// Bundles whose secrets are kept; seven come about by time alone.
    pub bundles: usize,
    /// One-time items nobody has used yet: three relays with 200 each, and direct ones.
    pub one_time: u64,
}

impl Default for VaultLimits {
    fn default() -> Self {
        Self { sessions: crate::session::MAX_SESSIONS, replay: 100_000, bundles: 16, one_time: 4096 }
    }
}

/// The operations; all state is in the records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Vault {
    limits: VaultLimits,
}

impl Vault {
    /// With limits of one's own.
    pub const fn new(limits: VaultLimits) -> Self {
        Self { limits }
    }

    /// Forgets all sessions and all prekey secrets, as after restoring a backup: what they were used for
    /// since is not known, and a key must not be used twice.
    ///
    /// # Errors
    /// The records failed.
    pub fn drop_all<R: Records + ?Sized>(&self, batch: &mut Batch<'_, R>) -> Result<(), Error> {
        for space in ALL {
            let mut after: Option<Vec<u8>> = None;
            loop {
                let page = batch.records(space, &[], after.as_deref(), PAGE)?;
                let Some((last, _)) = page.last() else { break };
                after = Some(last.clone());
                for (key, _) in page {
                    batch.remove(space, key);
                }
            }
        }
        Ok(())
    }
}

/// Takes a step as a whole: its changes come into the batch only if it succeeds.
fn attempt<R: Records + ?Sized, T>(
    batch: &mut Batch<'_, R>,
    step: impl FnOnce(&mut Batch<'_, Batch<'_, R>>) -> Result<T, Error>,
) -> Result<T, Error> {
    let mut tried = Batch::new(&*batch);
    let done = step(&mut tried)?;
    let changes = tried.into_changes();
    batch.absorb(changes);
    Ok(done)
}

/// The highest epoch known with a peer.
fn highest_epoch(records: &(impl Records + ?Sized), peer: &ContactId) -> Result<Option<u64>, RecordFault> {
    let found = records.record(EPOCHS, peer.as_bytes())?;
    Ok(found.and_then(|bytes| bytes.try_into().ok()).map(u64::from_be_bytes))
}

/// Remembers an epoch if it is higher than all before.
fn note_epoch<R: Records + ?Sized>(batch: &mut Batch<'_, R>, peer: &ContactId, epoch: u64) -> Result<(), RecordFault> {
    if highest_epoch(batch, peer)?.is_none_or(|highest| epoch > highest) {
        batch.put(EPOCHS, *peer.as_bytes(), epoch.to_be_bytes());
    }
    Ok(())
}
