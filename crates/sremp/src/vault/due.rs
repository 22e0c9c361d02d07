//! What has to go, in the order of time.

use super::{
    BUNDLES, DUE, ONE_TIME, REPLAY, SESSIONS, SKIPPED, USED, Vault,
    prekeys::{BundleRecord, bundle_key},
};
use crate::{Error, session::SessionRecord};
use waypost_core::{Batch, RecordFault, Records, Wall};

/// What kind of record goes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Due {
    OneTime = 0,
    Used = 1,
    Bundle = 2,
    Session = 3,
    /// The entries of a bundle that is gone.
    Replay = 4,
}

impl Due {
    const fn from_byte(byte: u8) -> Option<Self> {
        Some(match byte {
            0 => Self::OneTime,
            1 => Self::Used,
            2 => Self::Bundle,
            3 => Self::Session,
            4 => Self::Replay,
            _ => return None,
        })
    }
}

/// Notes when a record has to go.
pub(super) fn note<R: Records + ?Sized>(batch: &mut Batch<'_, R>, at: Wall, kind: Due, key: &[u8]) {
    let mut due = at.as_millis().to_be_bytes().to_vec();
    due.push(kind as u8);
    due.extend_from_slice(key);
    batch.put(DUE, due, []);
}

/// Removes a bundle's secrets and leaves its replay entries, which are dead without it, to the next sweeps.
pub(super) fn drop_bundle<R: Records + ?Sized>(batch: &mut Batch<'_, R>, spk_id: u32) {
    batch.remove(BUNDLES, bundle_key(spk_id));
    note(batch, Wall::default(), Due::Replay, &bundle_key(spk_id));
}

impl Vault {
    /// Removes what is past its time, at most `limit` records. Gives how many it looked at: if that is
    /// `limit`, there may be more.
    ///
    /// # Errors
    /// The records failed.
    pub fn sweep<R: Records + ?Sized>(
        &self,
        batch: &mut Batch<'_, R>,
        now: Wall,
        limit: usize,
    ) -> Result<usize, Error> {
        super::attempt(batch, |batch| {
            let mut done = 0usize;
            for (entry, _) in batch.records(DUE, &[], None, limit)? {
                let Some((time, [kind, key @ ..])) = entry.split_first_chunk::<8>() else {
                    batch.remove(DUE, entry);
                    continue;
                };
                if u64::from_be_bytes(*time) > now.as_millis() || done >= limit {
                    break;
                }
                done = done.saturating_add(1);
                let is_over = match Due::from_byte(*kind) {
                    Some(Due::OneTime) => remove(batch, ONE_TIME, key),
                    Some(Due::Used) => remove(batch, USED, key),
                    Some(Due::Bundle) => sweep_bundle(batch, now, key)?,
                    Some(Due::Session) => sweep_session(batch, now, key)?,
                    Some(Due::Replay) => sweep_replay(batch, key, limit, &mut done)?,
                    None => true,
                };
                if is_over {
                    batch.remove(DUE, entry);
                }
            }
            Ok(done)
        })
    }
}

fn remove<R: Records + ?Sized>(batch: &mut Batch<'_, R>, space: waypost_core::Space, key: &[u8]) -> bool {
    batch.remove(space, key);
    true
}

fn sweep_bundle<R: Records + ?Sized>(batch: &mut Batch<'_, R>, now: Wall, key: &[u8]) -> Result<bool, Error> {
    if let Some(bytes) = batch.record(BUNDLES, key)? {
        let bundle = BundleRecord::read(&bytes)?;
        if bundle.gone_at() <= now {
            drop_bundle(batch, bundle.spk_id);
        }
    }
    Ok(true)
}

/// A session's time moves with each receipt: it is looked up only when it might be over.
fn sweep_session<R: Records + ?Sized>(batch: &mut Batch<'_, R>, now: Wall, key: &[u8]) -> Result<bool, Error> {
    if let Some(bytes) = batch.record(SESSIONS, key)? {
        let expires = SessionRecord::decode(&bytes)?.expires();
        if expires <= now {
            batch.remove(SESSIONS, key);
            batch.remove(SKIPPED, key);
        } else {
            note(batch, expires, Due::Session, key);
        }
    }
    Ok(true)
}

fn sweep_replay<R: Records + ?Sized>(
    batch: &mut Batch<'_, R>,
    spk_id: &[u8],
    limit: usize,
    done: &mut usize,
) -> Result<bool, RecordFault> {
    let room = limit.saturating_sub(*done);
    let entries = batch.records(REPLAY, spk_id, None, room)?;
    let is_over = entries.len() < room;
    *done = done.saturating_add(entries.len());
    for (entry, _) in entries {
        batch.remove(REPLAY, entry);
    }
    Ok(is_over)
}
