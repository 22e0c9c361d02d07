//! One-time invites: a secret in the card that lets its holder make first contact without waiting.

use crate::Error;
use rand_core::CryptoRng;
use sha2::{Digest, Sha256};
use std::time::Duration;
use waypost_core::{InviteToken, Wall};
use waypost_store::{InviteRow, Store};

/// How long an invite is good.
pub(crate) const LIFETIME: Duration = Duration::from_secs(30 * 24 * 3600);
/// Invites that may be open at once.
const MOST: usize = 1000;

/// Makes an invite and remembers its hash.
///
/// # Errors
/// Too many are open, or the database failed.
pub(crate) fn make(store: &Store, rng: &mut dyn CryptoRng, now: Wall) -> Result<(InviteToken, Wall), Error> {
    if store.invites()?.iter().filter(|invite| invite.expires > now).count() >= MOST {
        return Err(Error::Limit(format!("{MOST} invites are open already; wait until some are used or end")));
    }
    let mut token = InviteToken([0; 16]);
    rng.fill_bytes(&mut token.0);
    let expires = now.after(LIFETIME);
    let row = InviteRow { hash: hash(&token), created: now, expires, note: String::new() };
    store.put_invite(&row)?;
    Ok((token, expires))
}

/// Whether an invite is good, without spending it. A failing database means no.
pub(crate) fn is_good(store: &Store, token: &InviteToken, now: Wall) -> bool {
    let hash = hash(token);
    store.invites().is_ok_and(|open| open.iter().any(|invite| invite.hash == hash && invite.expires > now))
}

/// Spends an invite. False if it was not good.
///
/// # Errors
/// The database failed.
pub(crate) fn take(store: &Store, token: &InviteToken, now: Wall) -> Result<bool, Error> {
    Ok(store.take_invite(&hash(token), now)?.is_some())
}

pub(crate) fn hash(token: &InviteToken) -> [u8; 32] {
    Sha256::digest(token.0).into()
}
