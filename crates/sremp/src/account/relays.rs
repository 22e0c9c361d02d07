//! Relays: the own mailboxes, and those of others where letters are left.

use super::{Account, OwnRelay, Step};
use crate::identity::RelayRef;
use crate::trust::book;
use crate::{Error, LinkId};
use rand_core::CryptoRng;
use waypost_core::{ContactId, Records};

pub(super) fn is_stored(_records: &(impl Records + ?Sized), _peer: &ContactId) -> Result<bool, Error> {
    Ok(false)
}

pub(super) fn relays_of(records: &(impl Records + ?Sized), peer: &ContactId) -> Result<Vec<RelayRef>, Error> {
    Ok(book::row(records, peer)?.map(|row| row.identity.relays().to_vec()).unwrap_or_default())
}

#[expect(clippy::unused_self, clippy::unnecessary_wraps, clippy::needless_pass_by_value, reason = "to be filled in")]
impl Account {
    pub(super) fn relay_up<R: Records>(
        &mut self,
        _step: &mut Step<'_, R>,
        _link: LinkId,
        _relay: ContactId,
        _handshake_hash: [u8; 32],
        _own: bool,
    ) -> Result<(), Error> {
        Ok(())
    }

    pub(super) fn relay_unreachable<R: Records>(
        &mut self,
        _step: &mut Step<'_, R>,
        _rng: &mut impl CryptoRng,
        _relay: ContactId,
    ) -> Result<(), Error> {
        Ok(())
    }

    pub(super) fn store_by<R: Records>(
        &mut self,
        _step: &mut Step<'_, R>,
        _rng: &mut impl CryptoRng,
        _peer: ContactId,
        _link: LinkId,
    ) -> Result<(), Error> {
        Ok(())
    }

    pub(super) fn store_stop(&mut self, _peer: &ContactId) {}

    pub(super) fn own_relays<R: Records>(&mut self, _step: &mut Step<'_, R>, _own: Vec<OwnRelay>) -> Result<(), Error> {
        Ok(())
    }
}
