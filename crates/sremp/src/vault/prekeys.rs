//! Own prekeys: what is given out, and the secrets behind it.

use super::{
    BUNDLES, ONE_TIME, Own, PAGE, USED, Vault,
    due::{self, Due},
};
use crate::{
    Error,
    kdf::sha256,
    kem::KemSeed,
    message::{SignedBundle, SignedOneTime},
    msgpack::{Blob, decode, encode, record},
    prekeys::{BUNDLE_LIFE, CLOCK_SLACK, OneTimeData, PrekeyBundleData},
    x25519::Secret,
};
use rand_core::CryptoRng;
use std::time::Duration;
use waypost_core::{Batch, RecordFault, Records, Wall};

const DAY: u64 = 86400;

/// A bundle older than this is replaced by a new one.
const BUNDLE_AGE: Duration = Duration::from_secs(7 * DAY);
/// How long a bundle's secrets are kept after nobody may start with it any more: a relay keeps a message 30
/// days, and a day for clocks.
const BUNDLE_SECRETS: Duration = Duration::from_secs(31 * DAY);
/// How long an item given to a peer directly is kept.
const DIRECT_LIFE: Duration = Duration::from_secs(DAY);
/// How long an item published at a relay is kept: the relay gives it away for 59 days, messages wait 30.
const RELAY_LIFE: Duration = Duration::from_secs(90 * DAY);
/// Items of one PUBLISH_PREKEYS.
pub(crate) const MAX_PUBLISHED: usize = 100;

record! {
    /// A bundle of our own and its secrets.
    pub(crate) struct BundleRecord {
        pub(crate) spk_id: u32,
        spk: Blob,
        lr_kem: Blob,
        dr: Blob,
        pub(crate) bundle: SignedBundle,
        pub(crate) issued: Wall,
        not_after: Wall,
        /// How many entries its replay set has.
        pub(crate) replays: u32,
    }

    /// A one-time item of our own.
    struct OneTimeRecord {
        hash: [u8; 32],
        opk: Blob,
        kem: Blob,
        expires: Wall,
    }

    /// What stays of a used one.
    struct UsedRecord {
        hash: [u8; 32],
        expires: Wall,
    }
}

/// The key of a bundle's record, and the front of its replay entries' keys.
pub(super) const fn bundle_key(spk_id: u32) -> [u8; 4] {
    spk_id.to_be_bytes()
}

impl BundleRecord {
    pub(super) fn read(bytes: &[u8]) -> Result<Self, Error> {
        decode(bytes).map_err(|_| BROKEN)
    }

    /// When its secrets go.
    pub(super) fn gone_at(&self) -> Wall {
        self.not_after.after(BUNDLE_SECRETS)
    }

    pub(super) fn spk(&self) -> Result<Secret, Error> {
        secret(&self.spk)
    }

    pub(super) fn dr(&self) -> Result<Secret, Error> {
        secret(&self.dr)
    }

    pub(super) fn lr_kem(&self) -> Result<KemSeed, Error> {
        seed(&self.lr_kem)
    }

    pub(super) fn hash(&self) -> [u8; 32] {
        sha256(&[&self.bundle.bundle])
    }

    pub(super) fn put<R: Records + ?Sized>(&self, batch: &mut Batch<'_, R>) {
        batch.put(BUNDLES, bundle_key(self.spk_id), encode(self));
    }
}

const BROKEN: Error = Error::Internal("a stored prekey is not what was written");

fn secret(bytes: &[u8]) -> Result<Secret, Error> {
    bytes.try_into().map(Secret::from_bytes).map_err(|_| BROKEN)
}

fn seed(bytes: &[u8]) -> Result<KemSeed, Error> {
    bytes.try_into().map(KemSeed::from_bytes).map_err(|_| BROKEN)
}

/// A bundle and its secrets, to be kept.
pub(crate) fn own_bundle(
    bundle: &SignedBundle,
    spk: &Secret,
    lr_kem: &KemSeed,
    dr: &Secret,
) -> Result<BundleRecord, Error> {
    let data: PrekeyBundleData = decode(&bundle.bundle)?;
    Ok(BundleRecord {
        spk_id: data.spk_id,
        spk: Blob(spk.to_bytes().to_vec()),
        lr_kem: Blob(lr_kem.as_bytes().to_vec()),
        dr: Blob(dr.to_bytes().to_vec()),
        bundle: bundle.clone(),
        issued: data.issued,
        not_after: data.not_after,
        replays: 0,
    })
}

/// Keeps a new bundle.
pub(crate) fn put_bundle<R: Records + ?Sized>(batch: &mut Batch<'_, R>, bundle: &BundleRecord) {
    bundle.put(batch);
    due::note(batch, bundle.gone_at(), Due::Bundle, &bundle_key(bundle.spk_id));
}

/// The secrets of a one-time item.
pub(crate) struct OneTimeSecrets {
    pub(crate) opk: Secret,
    pub(crate) kem: KemSeed,
}

/// Keeps a new one-time item.
pub(crate) fn put_one_time<R: Records + ?Sized>(
    batch: &mut Batch<'_, R>,
    id: u32,
    item: &SignedOneTime,
    secrets: &OneTimeSecrets,
    expires: Wall,
) {
    let record = OneTimeRecord {
        hash: sha256(&[&item.item]),
        opk: Blob(secrets.opk.to_bytes().to_vec()),
        kem: Blob(secrets.kem.as_bytes().to_vec()),
        expires,
    };
    batch.put(ONE_TIME, id.to_be_bytes(), encode(&record));
    due::note(batch, expires, Due::OneTime, &id.to_be_bytes());
}

/// What we know of a one-time id.
pub(super) enum OneTime {
    /// Its secrets are here.
    Fresh { hash: [u8; 32], secrets: OneTimeSecrets },
    /// It started a session.
    Used { hash: [u8; 32] },
}

impl OneTime {
    pub(super) const fn hash(&self) -> [u8; 32] {
        match self {
            Self::Fresh { hash, .. } | Self::Used { hash } => *hash,
        }
    }
}

/// Looks up a one-time item of our own; none if we never issued it or its time is over.
pub(super) fn one_time(records: &(impl Records + ?Sized), id: u32, now: Wall) -> Result<Option<OneTime>, Error> {
    let key = id.to_be_bytes();
    if let Some(bytes) = records.record(ONE_TIME, &key)? {
        let record: OneTimeRecord = decode(&bytes).map_err(|_| BROKEN)?;
        let secrets = OneTimeSecrets { opk: secret(&record.opk)?, kem: seed(&record.kem)? };
        return Ok((now < record.expires).then_some(OneTime::Fresh { hash: record.hash, secrets }));
    }
    let Some(bytes) = records.record(USED, &key)? else { return Ok(None) };
    let record: UsedRecord = decode(&bytes).map_err(|_| BROKEN)?;
    Ok((now < record.expires).then_some(OneTime::Used { hash: record.hash }))
}

/// Deletes the secrets of an item that started a session; its hash stays as long as the session's first
/// messages can be opened.
pub(super) fn use_one_time<R: Records + ?Sized>(batch: &mut Batch<'_, R>, id: u32, hash: [u8; 32], until: Wall) {
    let key = id.to_be_bytes();
    batch.remove(ONE_TIME, key);
    batch.put(USED, key, encode(&UsedRecord { hash, expires: until }));
    due::note(batch, until, Due::Used, &key);
}

/// A bundle of our own that is not past its time.
pub(super) fn bundle(records: &(impl Records + ?Sized), spk_id: u32, now: Wall) -> Result<Option<BundleRecord>, Error> {
    let Some(bytes) = records.record(BUNDLES, &bundle_key(spk_id))? else { return Ok(None) };
    let bundle = BundleRecord::read(&bytes)?;
    Ok((now < bundle.gone_at()).then_some(bundle))
}

/// All of them, oldest first; their number is limited.
pub(super) fn bundles(records: &(impl Records + ?Sized)) -> Result<Vec<BundleRecord>, Error> {
    let found = records.records(BUNDLES, &[], None, PAGE)?;
    let mut all = found.iter().map(|(_, bytes)| BundleRecord::read(bytes)).collect::<Result<Vec<_>, _>>()?;
    all.sort_by_key(|bundle| (bundle.issued, bundle.spk_id));
    Ok(all)
}

/// The ids of the items nobody has used, at most 256.
pub(crate) fn one_time_ids(records: &(impl Records + ?Sized)) -> Result<Vec<u32>, Error> {
    let found = records.records(ONE_TIME, &[], None, PAGE)?;
    found.into_iter().map(|(key, _)| key.try_into().map(u32::from_be_bytes).map_err(|_| BROKEN)).collect()
}

impl Vault {
    /// The bundle to give out now: the newest, or a new one when that is a week old or of another ratchet
    /// key. A new one draws spk id (4 bytes), spk (32), KEM id (4) and seed (64).
    ///
    /// # Errors
    /// The records failed, or `own` does not belong together.
    pub fn bundle<R: Records + ?Sized>(
        &self,
        batch: &mut Batch<'_, R>,
        own: Own<'_>,
        now: Wall,
        rng: &mut impl CryptoRng,
    ) -> Result<SignedBundle, Error> {
        own.check()?;
        super::attempt(batch, |batch| {
            let all = bundles(batch)?;
            if let Some(newest) = all.last() {
                let data: PrekeyBundleData = decode(&newest.bundle.bundle).map_err(|_| BROKEN)?;
                let is_young = newest.issued.before(CLOCK_SLACK) <= now && now < newest.issued.after(BUNDLE_AGE);
                if is_young && Some(data.dr_key) == own.identity.dr_key() {
                    return Ok(newest.bundle.clone());
                }
            }
            let excess = (all.len() + 1).saturating_sub(self.limits.bundles);
            for oldest in all.iter().take(excess) {
                due::drop_bundle(batch, oldest.spk_id);
            }
            let spk_id = free_id(rng, |id| Ok(batch.record(BUNDLES, &bundle_key(id))?.is_none()))?;
            let spk = Secret::generate(rng);
            let lr_kem_id = rng.next_u32();
            let lr_kem = KemSeed::generate(rng);
            let data = PrekeyBundleData {
                identity_key: own.identity.key(),
                dr_key: own.dr_secret.public(),
                spk_id,
                spk: spk.public(),
                lr_kem_id,
                lr_kem: lr_kem.public(),
                issued: now,
                not_after: now.after(BUNDLE_LIFE),
            };
            let bundle = data.sign(own.signing);
            put_bundle(batch, &own_bundle(&bundle, &spk, &lr_kem, own.dr_secret)?);
            Ok(bundle)
        })
    }

    /// A one-time item for one peer that asked directly; none if too many are waiting to be used. Draws its
    /// id (4 bytes), X25519 key (32) and KEM seed (64).
    ///
    /// # Errors
    /// The records failed.
    pub fn direct_one_time<R: Records + ?Sized>(
        &self,
        batch: &mut Batch<'_, R>,
        own: Own<'_>,
        now: Wall,
        rng: &mut impl CryptoRng,
    ) -> Result<Option<SignedOneTime>, Error> {
        Ok(self.make_one_time(batch, own, 1, now.after(DIRECT_LIFE), rng)?.pop())
    }

    /// One-time items to publish at one relay, at most 100; each belongs to that relay alone.
    ///
    /// # Errors
    /// The records failed.
    pub fn relay_one_time<R: Records + ?Sized>(
        &self,
        batch: &mut Batch<'_, R>,
        own: Own<'_>,
        count: usize,
        now: Wall,
        rng: &mut impl CryptoRng,
    ) -> Result<Vec<SignedOneTime>, Error> {
        self.make_one_time(batch, own, count.min(MAX_PUBLISHED), now.after(RELAY_LIFE), rng)
    }

    fn make_one_time<R: Records + ?Sized>(
        &self,
        batch: &mut Batch<'_, R>,
        own: Own<'_>,
        count: usize,
        expires: Wall,
        rng: &mut impl CryptoRng,
    ) -> Result<Vec<SignedOneTime>, Error> {
        super::attempt(batch, |batch| {
            let room = self.limits.one_time.saturating_sub(batch.count(ONE_TIME, &[])?);
            let count = count.min(usize::try_from(room).unwrap_or(usize::MAX));
            let mut items = Vec::with_capacity(count);
            for _ in 0..count {
                let id = free_id(rng, |id| {
                    let key = id.to_be_bytes();
                    Ok(batch.record(ONE_TIME, &key)?.is_none() && batch.record(USED, &key)?.is_none())
                })?;
                let secrets = OneTimeSecrets { opk: Secret::generate(rng), kem: KemSeed::generate(rng) };
                let data = OneTimeData {
                    identity_key: own.identity.key(),
                    id,
                    opk: secrets.opk.public(),
                    kem: secrets.kem.public(),
                };
                let item = data.sign(own.signing);
                put_one_time(batch, id, &item, &secrets, expires);
                items.push(item);
            }
            Ok(items)
        })
    }
}

/// A random id that is not in use; the spaces are nearly empty, so the first one almost always is.
fn free_id(rng: &mut impl CryptoRng, is_free: impl Fn(u32) -> Result<bool, RecordFault>) -> Result<u32, Error> {
    for _ in 0..64 {
        let id = rng.next_u32();
        if is_free(id)? {
            return Ok(id);
        }
    }
    Err(Error::Internal("no free id for a prekey"))
}
