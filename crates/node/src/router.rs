//! Which wire a letter tries next. Pure: what is known goes in, the decision comes out.
//!
//! A letter starts on the first wire of its plan. Every [`STAGGER`] without a proof of delivery the
//! next one joins in. When all have it there is nothing to do but to look again, ever more rarely: a wire
//! keeps what it was given and repeats it by its own rules.

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

/// What to do for a letter that `tried` wires of the plan have, written `age` ago.
pub(crate) fn decide(plan: &[Wire], tried: u32, age: Duration) -> Decision {
    let next = usize::try_from(tried).ok().and_then(|tried| plan.get(tried)).copied();
    let again = if next.is_some() { STAGGER } else { (age / 2).clamp(STAGGER, LONGEST) };
    Decision { wire: next, again }
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
        let (plan, young) = ([Wire::Sremp], Duration::from_secs(1));
        assert_eq!(decide(&plan, 0, young), Decision { wire: Some(Wire::Sremp), again: STAGGER });
        assert_eq!(decide(&plan, 1, young), Decision { wire: None, again: STAGGER });
        assert_eq!(decide(&plan, 1, 10 * STAGGER).again, 5 * STAGGER);
        assert_eq!(decide(&plan, 1, 100 * LONGEST).again, LONGEST);
        // No wire now: whichever comes gets the letter.
        assert_eq!(decide(&[], 0, young).wire, None);
    }
}
