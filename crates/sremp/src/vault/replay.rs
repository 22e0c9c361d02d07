//! First keys that were seen: a session is started once.

use super::{
    REPLAY, VaultLimits,
    due::drop_bundle,
    prekeys::{BundleRecord, bundle_key, bundles},
};
use crate::{Error, x25519::PublicKey};
use waypost_core::{Batch, RecordFault, Records};

fn key(spk_id: u32, e: &PublicKey) -> Vec<u8> {
    [&bundle_key(spk_id)[..], e.as_bytes()].concat()
}

/// Whether a session was started with this key.
pub(super) fn is_seen(records: &(impl Records + ?Sized), spk_id: u32, e: &PublicKey) -> Result<bool, RecordFault> {
    Ok(records.record(REPLAY, &key(spk_id, e))?.is_some())
}

/// Remembers a key. When the set is full, the oldest bundle goes with its secrets and its entries: what
/// was started with it cannot be opened again, so nothing becomes replayable.
pub(super) fn remember<R: Records + ?Sized>(
    batch: &mut Batch<'_, R>,
    mut bundle: BundleRecord,
    e: &PublicKey,
    limits: VaultLimits,
) -> Result<(), Error> {
    batch.put(REPLAY, key(bundle.spk_id, e), []);
    bundle.replays = bundle.replays.saturating_add(1);
    bundle.put(batch);
    let all = bundles(batch)?;
    let mut total: u32 = all.iter().fold(0, |sum, bundle| sum.saturating_add(bundle.replays));
    for oldest in all {
        if total <= limits.replay {
            break;
        }
        drop_bundle(batch, oldest.spk_id);
        total = total.saturating_sub(oldest.replays);
    }
    Ok(())
}
