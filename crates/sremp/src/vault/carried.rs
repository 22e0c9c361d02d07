//! Identities that arrive inside PREKEYS or an InitialMessage, by the soft rules of trust.

use crate::{
    Error, Identity,
    trust::{Offer, book, offer},
};
use waypost_core::{Batch, Records, Wall};

/// Judges an identity. A row that exists follows the rules at once, whatever becomes of what carried the
/// identity: a higher version replaces it, a fork marks it.
///
/// # Errors
/// ID_STALE or ID_FORK.
pub(super) fn judge<R: Records + ?Sized>(
    batch: &mut Batch<'_, R>,
    identity: &Identity,
    now: Wall,
) -> Result<(), Error> {
    let known = book::row(batch, &identity.key())?;
    let offer = offer(known.as_ref(), identity, now, true);
    if let Offer::Updated { row, .. } | Offer::Forked(row) = &offer {
        book::put(batch, row)?;
    }
    offer.accepted()?;
    Ok(())
}

/// Keeps what a success shows: a new row, or that a person was seen.
///
/// # Errors
/// The records failed.
pub(super) fn keep<R: Records + ?Sized>(batch: &mut Batch<'_, R>, identity: &Identity, now: Wall) -> Result<(), Error> {
    book::take(batch, identity, now, true)?.accepted()?;
    Ok(())
}
