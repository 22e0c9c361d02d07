//! The person's contacts, as the account asks for them.

use crate::engine::is_full;
use crate::{Config, Error, invite};
use waypost_core::{ContactId, InviteToken, RecordFault, Wall};
use waypost_sremp::account::{People, Standing};
use waypost_store::{ContactStatus, Store};

/// The person's contacts, as the account asks for them.
pub(super) struct Contacts<'a> {
    pub(super) store: &'a Store,
    pub(super) config: &'a Config,
    pub(super) now: Wall,
}

impl People for Contacts<'_> {
    fn standing(&self, peer: &ContactId) -> Result<Standing, RecordFault> {
        standing_of(self.store, *peer).map_err(fault)
    }

    fn is_full(&self, peer: &ContactId) -> Result<bool, RecordFault> {
        is_full(self.store, self.config, *peer).map_err(fault)
    }

    fn is_invited(&self, token: &InviteToken) -> bool {
        invite::is_good(self.store, token, self.now)
    }
}

fn fault(error: Error) -> RecordFault {
    RecordFault(error.to_string())
}

pub(super) fn standing_of(store: &Store, peer: ContactId) -> Result<Standing, Error> {
    Ok(match store.contact(peer)?.map(|contact| contact.status) {
        Some(ContactStatus::Contact) => Standing::Contact,
        Some(ContactStatus::Blocked) => Standing::Blocked,
        _ => Standing::Stranger,
    })
}
