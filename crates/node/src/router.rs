//! Which wire a letter tries next. Pure: what is known goes in, the decision comes out.
//!
//! A letter starts on the first wire of its plan. Every [`STAGGER`] without a proof of delivery the
//! next one joins in; when all have it, the plan starts over at a growing distance, since a wire keeps
//! what it was given and repeats it by its own rules.

use std::time::Duration;
use waypost_core::{Address, Wire};

/// How long a wire has to prove delivery before the next one starts too.
pub(crate) const STAGGER: Duration = Duration::from_secs(10);

/// The longest pause between two looks at a letter that all wires have.
const LONGEST: Duration = Duration::from_secs(3600);

/// What to do for a letter now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Decision {
    /// The wire to give it to; none if all that could carry it have it.
    pub(crate) wire: Option<Wire>,
    /// When to look again.
    pub(crate) again: Duration,
}

/// The wires that lead to a contact, best first, each once.
///
/// Addresses come best first (the one that worked last is moved to the front by the contact's row). A
/// wire by which the contact is online needs no address.
pub(crate) fn plan(addresses: &[Address], online: &[Wire], enabled: &[Wire]) -> Vec<Wire> {
    let mut plan: Vec<Wire> = Vec::new();
    for wire in online.iter().copied().chain(addresses.iter().map(Address::wire)).chain(enabled.iter().copied()) {
        if enabled.contains(&wire) && !plan.contains(&wire) {
            plan.push(wire);
        }
    }
    plan
}

/// What to do for a letter that was given to `tried` wires of the plan so far.
pub(crate) fn decide(plan: &[Wire], tried: u32) -> Decision {
    let tried_wires = usize::try_from(tried).unwrap_or(usize::MAX);
    if let Some(&wire) = plan.get(tried_wires) {
        return Decision { wire: Some(wire), again: STAGGER };
    }
    let rounds = tried.saturating_sub(u32::try_from(plan.len()).unwrap_or(u32::MAX)).min(16);
    Decision { wire: None, again: (STAGGER * 2u32.saturating_pow(rounds)).min(LONGEST) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plans_each_wire_once_and_only_those_that_are_enabled() {
        let addresses = ["sremp://a.example:1".parse().unwrap(), "sremp://b.example:2".parse().unwrap()];
        assert_eq!(plan(&addresses, &[], &[Wire::Sremp]), [Wire::Sremp]);
        assert_eq!(plan(&addresses, &[Wire::Sremp], &[]), []);
        // Without an address the contact may still come to us.
        assert_eq!(plan(&[], &[], &[Wire::Sremp]), [Wire::Sremp]);
    }

    #[test]
    fn starts_one_wire_after_the_other_and_then_waits_longer_and_longer() {
        let plan = [Wire::Sremp];
        assert_eq!(decide(&plan, 0), Decision { wire: Some(Wire::Sremp), again: STAGGER });
        assert_eq!(decide(&plan, 1), Decision { wire: None, again: STAGGER });
        assert_eq!(decide(&plan, 2).again, 2 * STAGGER);
        assert_eq!(decide(&plan, 1000).again, LONGEST);
        assert_eq!(decide(&[], 0).wire, None);
    }
}
