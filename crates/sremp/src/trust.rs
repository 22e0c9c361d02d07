//! What is known of other people, and what a new identity changes. SREMP 3.2, profile State machines, Trust.
//!
//! ```text
//! identity offered --offer()--> New | Updated | Same | Carrier   the connection or message goes on
//!                               Stale | Forked                   an error; a fork leaves evidence
//! ```
//! The rule is pure; [`book`] keeps the rows in records.

pub mod book;
mod row;

pub use row::{Fork, Trust, TrustRow, VerifiedVia};

use crate::{ErrorCode, Identity};
use waypost_core::Wall;

/// What an offered identity changes. Every row in it is to be kept.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum Offer {
    /// A person not known before.
    New(TrustRow),
    /// A higher version of a person known.
    Updated {
        /// The row with the new identity; trust stays as it was.
        row: TrustRow,
        /// The Noise key is another one: the user is told.
        noise_changed: bool,
        /// The ratchet key is another one: the user is told.
        dr_changed: bool,
    },
    /// What is known already; only the time it was seen is new.
    Same(TrustRow),
    /// An older version that carries a message or prekeys; the row stays as it is.
    Carrier(TrustRow),
    /// An older version where the newest one belongs: ID_STALE.
    Stale,
    /// Another identity of the same version: ID_FORK. The row keeps the first and both as evidence.
    Forked(TrustRow),
}

impl Offer {
    /// The row that holds from now on, or why there is none.
    ///
    /// # Errors
    /// ID_STALE or ID_FORK.
    pub fn accepted(&self) -> Result<&TrustRow, ErrorCode> {
        match self {
            Self::New(row) | Self::Updated { row, .. } | Self::Same(row) | Self::Carrier(row) => Ok(row),
            Self::Stale => Err(ErrorCode::IdStale),
            Self::Forked(_) => Err(ErrorCode::IdFork),
        }
    }

    /// The row to be kept, if it changed.
    pub fn changed(&self) -> Option<&TrustRow> {
        match self {
            Self::New(row) | Self::Updated { row, .. } | Self::Same(row) | Self::Forked(row) => Some(row),
            Self::Carrier(_) | Self::Stale => None,
        }
    }
}

/// Judges a verified identity against what is known of its key. SREMP 3.1.5, profile SR-3.1.5a, SR-3.1.5c.
///
/// `soft` is for identities inside InitialMessage and PREKEYS: there an older version may come late.
pub fn offer(known: Option<&TrustRow>, identity: &Identity, now: Wall, soft: bool) -> Offer {
    let Some(known) = known else {
        return Offer::New(TrustRow::new(identity.clone(), now));
    };
    debug_assert_eq!(known.key(), identity.key(), "a row of somebody else");
    let mut row = known.clone();
    if identity.version() > known.version() {
        let noise_changed = known.identity.noise_key() != identity.noise_key();
        let dr_changed = known.identity.dr_key() != identity.dr_key();
        row.identity = identity.clone();
        row.noise_changed |= noise_changed;
        row.last_seen = now.max(row.last_seen);
        return Offer::Updated { row, noise_changed, dr_changed };
    }
    if identity.version() < known.version() {
        let carries = soft && identity.dr_key() == known.identity.dr_key();
        return if carries { Offer::Carrier(row) } else { Offer::Stale };
    }
    if identity.signed().verified != known.identity.signed().verified {
        // The first evidence stays: more of it proves no more.
        row.fork
            .get_or_insert_with(|| Fork { first: known.identity.signed().clone(), second: identity.signed().clone() });
        row.forked = true;
        return Offer::Forked(row);
    }
    row.last_seen = now.max(row.last_seen);
    Offer::Same(row)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{IdentityDraft, ed25519::SigningKey, x25519::PublicKey};

    fn identity(version: u64, username: &str, noise: u8, dr: u8) -> Identity {
        let draft = IdentityDraft::new(username, PublicKey([noise; 32]), PublicKey([dr; 32]), version, Wall::default());
        draft.sign(&SigningKey::from_bytes(&[1; 32])).unwrap()
    }

    fn at(millis: u64) -> Wall {
        Wall::from_millis(millis)
    }

    fn known() -> TrustRow {
        let Offer::New(mut row) = offer(None, &identity(7, "Ada", 1, 1), at(5), false) else { panic!("not new") };
        row.trust = Trust::Trusted;
        row
    }

    /// SR-3.1d, SR-3.2a, SR-3.2b
    #[test]
    fn makes_a_row_of_an_unknown_key() {
        let Offer::New(row) = offer(None, &identity(7, "Ada", 1, 1), at(5), false) else { panic!("not new") };
        assert_eq!((row.trust, row.version(), row.first_seen, row.last_seen), (Trust::Unknown, 7, at(5), at(5)));
        assert_eq!((row.forked, row.noise_changed, row.verified_via), (false, false, None));
    }

    /// SR-3.1a, SR-3.1.5a
    #[test]
    fn takes_a_higher_version_and_tells_which_keys_changed() {
        let next = identity(9, "Ada", 2, 1);
        let Offer::Updated { row, noise_changed, dr_changed } = offer(Some(&known()), &next, at(6), false) else {
            panic!("not updated")
        };
        assert_eq!((row.trust, row.version(), row.noise_changed), (Trust::Trusted, 9, true));
        assert_eq!((noise_changed, dr_changed), (true, false));
        assert_eq!((row.first_seen, row.last_seen), (at(5), at(6)));
        let Offer::Updated { row, noise_changed, dr_changed } =
            offer(Some(&row), &identity(10, "Ada", 2, 2), at(7), false)
        else {
            panic!("not updated")
        };
        // Once changed, the mark stays until the user clears it.
        assert_eq!((noise_changed, dr_changed, row.noise_changed), (false, true, true));
    }

    /// SR-3.1.5c
    #[test]
    fn keeps_the_first_of_two_identities_of_one_version_and_both_as_evidence() {
        let other = identity(7, "Eve", 1, 1);
        let forked = offer(Some(&known()), &other, at(6), false);
        assert_eq!(forked.accepted(), Err(ErrorCode::IdFork));
        let Offer::Forked(row) = forked else { panic!("not forked") };
        assert_eq!(row.identity.username(), "Ada");
        let fork = row.fork.clone().unwrap();
        assert_eq!((&fork.first, &fork.second), (known().identity.signed(), other.signed()));
        let Offer::Updated { row, .. } = offer(Some(&row), &identity(8, "Ada", 1, 1), at(7), false) else {
            panic!("not updated")
        };
        assert!(row.forked);
        assert_eq!(row.fork, Some(fork));
    }

    /// SR-3.1.5c
    #[test]
    fn refuses_a_lower_version_but_lets_it_carry_messages() {
        let old = identity(6, "Ada", 3, 1);
        assert_eq!(offer(Some(&known()), &old, at(6), false), Offer::Stale);
        assert_eq!(offer(Some(&known()), &old, at(6), true), Offer::Carrier(known()));
        assert_eq!(offer(Some(&known()), &identity(6, "Ada", 1, 2), at(6), true), Offer::Stale);
    }

    /// SR-3.1.5d: the date is shown and decides nothing.
    #[test]
    fn goes_by_the_version_and_never_by_the_date() {
        let dated = |version, created| {
            let (noise, dr) = (PublicKey([1; 32]), PublicKey([1; 32]));
            let draft = IdentityDraft::new("Ada", noise, dr, version, at(created));
            draft.sign(&SigningKey::from_bytes(&[1; 32])).unwrap()
        };
        let row = TrustRow::new(dated(7, 1_000), at(5));
        assert!(matches!(offer(Some(&row), &dated(8, 1), at(6), false), Offer::Updated { .. }));
        assert_eq!(offer(Some(&row), &dated(6, 253_402_300_799_999), at(6), false), Offer::Stale);
    }

    #[test]
    fn notes_only_the_time_of_what_it_knows() {
        let Offer::Same(row) = offer(Some(&known()), &identity(7, "Ada", 1, 1), at(6), true) else {
            panic!("not same")
        };
        assert_eq!(row, TrustRow { last_seen: at(6), ..known() });
    }
}
