//! Opening blobs.

use super::{
    Own, PROTECTION, Vault, attempt, carried, highest_epoch,
    prekeys::{self, BundleRecord, OneTime},
    replay,
    sessions::{add, find, load, save, stored},
};
use crate::{
    Error, ErrorCode, Identity,
    pqxdh::{InitialMessage, Owned, SealedInitial, SessionId, Transcript, accept, session_id},
    session::Session,
    x25519::PublicKey,
};
use rand_core::CryptoRng;
use waypost_core::{Batch, ContactId, Protection, Records, Wall};

/// How far an epoch may lie ahead of our clock, in seconds.
const EPOCH_SLACK: u64 = 86400;

/// An opened message.
#[derive(Clone, PartialEq, Eq)]
pub struct Opened {
    /// What was sealed: read it as [`Content`](crate::content::Content).
    pub content: Vec<u8>,
    /// The session it came on.
    pub session: SessionId,
    /// The peer started this session with it.
    pub is_new: bool,
    /// It is the first answer on a session we started.
    pub is_first_answer: bool,
    /// The new session is above all that were known: what the peer did not confirm is sealed again on it.
    pub is_higher: bool,
    /// How it was protected.
    pub protection: Protection,
}

impl std::fmt::Debug for Opened {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Opened({} bytes on {})", self.content.len(), self.session)
    }
}

/// What of a blob its way tells.
#[derive(Clone, Copy, Debug)]
pub struct Arrival<'a> {
    /// Who sent it, by the connection or the relay.
    pub peer: ContactId,
    /// Its id.
    pub message_id: u64,
    /// The blob.
    pub blob: &'a [u8],
    /// Whether the peer may start another session now: at most ten an hour.
    pub may_start: bool,
}

impl Vault {
    /// Opens a blob of either type. Draws the next ratchet key (32 bytes) when the peer's is new.
    ///
    /// # Errors
    /// The first that applies, in the profile's order; no session or prekey has changed then. Only a row of
    /// trust that exists follows its rules even so: the batch is to be committed then too.
    pub fn open<R: Records + ?Sized>(
        &self,
        batch: &mut Batch<'_, R>,
        own: Own<'_>,
        arrival: Arrival<'_>,
        now: Wall,
        rng: &mut impl CryptoRng,
    ) -> Result<Opened, Error> {
        match arrival.blob.first() {
            Some(1) => self.open_initial(batch, own, arrival, now, rng),
            _ => open_on_a_session(batch, arrival, now, rng),
        }
    }

    fn open_initial<R: Records + ?Sized>(
        &self,
        batch: &mut Batch<'_, R>,
        own: Own<'_>,
        arrival: Arrival<'_>,
        now: Wall,
        rng: &mut impl CryptoRng,
    ) -> Result<Opened, Error> {
        let peer = arrival.peer;
        let first = First::read(batch, own, arrival, now)?;
        if let Some(session) = find(batch, &peer, session_id(&first.ad), now)? {
            return receive(batch, arrival, session, &first.initial.message, now, rng);
        }
        if replay::is_seen(batch, first.bundle.spk_id, &first.initial.e)? {
            return Err(Error::Crypto(ErrorCode::Replay));
        }
        if matches!(first.item, Some((_, OneTime::Used { .. }))) {
            return Err(PREKEY_UNKNOWN);
        }
        if !arrival.may_start {
            return Err(Error::Refused(ErrorCode::Rate));
        }
        let mut session = first.accept(now)?;
        let content = session.open(arrival.message_id, &first.initial.message, now, rng).map_err(|error| {
            // Keys that were just agreed on and do not fit are a bad message, not another session's.
            if error == NO_SESSION { Error::Crypto(ErrorCode::Decrypt) } else { error }
        })?;
        attempt(batch, |batch| {
            let is_higher = highest_epoch(batch, &peer)?.is_none_or(|highest| session.epoch > highest);
            add(batch, &peer, &session, now, self.limits.sessions)?;
            carried::keep(batch, &first.identity, now)?;
            if let Some((id, item)) = &first.item {
                prekeys::use_one_time(batch, *id, item.hash(), first.bundle.gone_at());
            }
            replay::remember(batch, first.bundle, &first.initial.e, self.limits)?;
            Ok(Opened { content, is_new: true, is_higher, is_first_answer: false, ..Opened::on(&session) })
        })
    }
}

impl Opened {
    /// Nothing yet, on a session.
    const fn on(session: &Session) -> Self {
        Self {
            content: Vec::new(),
            session: session.id,
            is_new: false,
            is_first_answer: false,
            is_higher: false,
            protection: PROTECTION,
        }
    }
}

/// A type-2 blob: the sessions are tried in their order.
fn open_on_a_session<R: Records + ?Sized>(
    batch: &mut Batch<'_, R>,
    arrival: Arrival<'_>,
    now: Wall,
    rng: &mut impl CryptoRng,
) -> Result<Opened, Error> {
    let mut outcome = NO_SESSION;
    for stored in stored(batch, &arrival.peer, now)? {
        let session = load(batch, &arrival.peer, stored)?;
        match receive(batch, arrival, session, arrival.blob, now, rng) {
            Err(error) if error == NO_SESSION => outcome = error,
            other => return other,
        }
    }
    // Without a session the form is still checked, so that the answer does not tell whether there is one.
    Err(if crate::ratchet::is_formed(arrival.blob) { outcome } else { Error::Malformed("not a ratchet message") })
}

/// Opens a type-2 blob on a session and keeps the session.
fn receive<R: Records + ?Sized>(
    batch: &mut Batch<'_, R>,
    arrival: Arrival<'_>,
    mut session: Session,
    blob: &[u8],
    now: Wall,
    rng: &mut impl CryptoRng,
) -> Result<Opened, Error> {
    let is_first_answer = session.opening.is_some();
    let content = session.open(arrival.message_id, blob, now, rng)?;
    save(batch, &arrival.peer, &session);
    Ok(Opened { content, is_first_answer, ..Opened::on(&session) })
}

/// A type-1 blob that passed every check up to the keys.
struct First {
    initial: InitialMessage,
    identity: Identity,
    bundle: BundleRecord,
    item: Option<(u32, OneTime)>,
    dr_a: PublicKey,
    ad: [u8; 32],
}

impl First {
    fn read<R: Records + ?Sized>(
        batch: &mut Batch<'_, R>,
        own: Own<'_>,
        arrival: Arrival<'_>,
        now: Wall,
    ) -> Result<Self, Error> {
        let peer = arrival.peer;
        let sealed = SealedInitial::parse(arrival.blob)?;
        let bundle = prekeys::bundle(batch, sealed.spk_id, now)?.ok_or(PREKEY_UNKNOWN)?;
        let spk = bundle.spk()?;
        let initial = sealed.open(&spk)?;
        let identity = initial.identity.verify()?;
        let dr_a = identity.dr_key().filter(|_| identity.key() == peer).ok_or(Error::Proof(ErrorCode::Auth))?;
        carried::judge(batch, &identity, now)?;
        let highest = highest_epoch(batch, &peer)?.map_or(0, |highest| highest.saturating_add(1));
        if initial.epoch > highest.max(now.as_secs().saturating_add(EPOCH_SLACK)) {
            return Err(Error::Malformed("an epoch of the far future"));
        }
        if initial.bundle_hash != bundle.hash() {
            return Err(PREKEY_UNKNOWN);
        }
        let item = match initial.one_time_id {
            Some(id) => Some((id, prekeys::one_time(batch, id, now)?.ok_or(PREKEY_UNKNOWN)?)),
            None => None,
        };
        let transcript = Transcript {
            epoch: initial.epoch,
            id_a: peer,
            id_b: own.identity.key(),
            dr_a,
            dr_b: bundle.dr()?.public(),
            spk_b: spk.public(),
            e: initial.e,
            bundle_hash: initial.bundle_hash,
            item_hash: item.as_ref().map(|(_, item)| item.hash()),
            kem_ct: &initial.kem_ct,
        };
        let ad = transcript.ad();
        Ok(Self { initial, identity, bundle, item, dr_a, ad })
    }

    /// The keys, and the session they make.
    fn accept(&self, now: Wall) -> Result<Session, Error> {
        let (spk, dr, lr_kem) = (self.bundle.spk()?, self.bundle.dr()?, self.bundle.lr_kem()?);
        let (opk, kem) = match &self.item {
            Some((_, OneTime::Fresh { secrets, .. })) => (Some(&secrets.opk), &secrets.kem),
            _ => (None, &lr_kem),
        };
        let owned = Owned { dr: &dr, spk: &spk, opk, kem };
        let ratchet = accept(&owned, &self.dr_a, &self.initial.e, &self.initial.kem_ct, self.ad)?;
        Ok(Session::accepted(session_id(&self.ad), self.initial.epoch, ratchet, now))
    }
}

const NO_SESSION: Error = Error::Crypto(ErrorCode::NoSession);
const PREKEY_UNKNOWN: Error = Error::Crypto(ErrorCode::PrekeyUnknown);
