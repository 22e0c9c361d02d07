//! Who plays in tests and demos, and what they say.

use crate::SimRng;

/// Somebody with secrets that everybody knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Person {
    /// What they are called, in lower case.
    pub name: &'static str,
    /// 32 bytes to make a key of.
    pub seed: [u8; 32],
}

impl Person {
    /// Further 32 bytes for another key, named by its purpose.
    pub fn seed_for(&self, purpose: &str) -> [u8; 32] {
        let mut seed = [0; 32];
        rand_core::Rng::fill_bytes(&mut self.rng().fork(purpose), &mut seed);
        seed
    }

    /// Randomness of their own.
    pub fn rng(&self) -> SimRng {
        SimRng::new(u64::from(self.seed[0])).fork(self.name)
    }
}

/// Writes to Bob.
pub const ALICE: Person = Person { name: "alice", seed: [0xa1; 32] };
/// Writes to Alice.
pub const BOB: Person = Person { name: "bob", seed: [0xb0; 32] };
/// Knows both.
pub const CAROL: Person = Person { name: "carol", seed: [0xca; 32] };
/// Means harm.
pub const MALLORY: Person = Person { name: "mallory", seed: [0x66; 32] };

/// Texts that people do write and programs do get wrong.
pub const TEXTS: &[&str] = &[
    "hello",
    "Grüße aus Köln: äöü ß",
    "e\u{301} and é are the same to a reader",
    "здравствуйте, как дела?",
    "今天晚上见！",
    "こんにちは、元気ですか",
    "שלום, מה שלומך?",
    "مرحبا، كيف حالك؟",
    "left مرحبا right",
    "👍🏽 👩‍👩‍👧‍👦 🏳️‍🌈 🇩🇪",
    "Z̷̢͝a̸̛͜l̶̰͝g̵̱͋o̴͉̅",
    "a line\nand another\r\nand a tab\t.",
    "quotes \" ' ` \\ / <b>&amp;</b> ${HOME} %s {}",
    " ",
    "\u{feff}begins with a byte order mark",
    "'; DROP TABLE letters; --",
];

/// A text of `bytes` bytes, for what lies just below, at and above a bound.
pub fn text_of(bytes: usize) -> String {
    "the quick brown fox jumps over the lazy dog. ".chars().cycle().take(bytes).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn no_two_people_or_purposes_share_a_seed() {
        let people = [ALICE, BOB, CAROL, MALLORY];
        let own = people.iter().map(|person| person.seed);
        let more = people.iter().flat_map(|person| ["noise", "ratchet"].map(|purpose| person.seed_for(purpose)));
        assert_eq!(own.chain(more).collect::<BTreeSet<_>>().len(), 12);
    }

    #[test]
    fn texts_differ_and_have_the_length_asked_for() {
        assert_eq!(TEXTS.iter().collect::<BTreeSet<_>>().len(), TEXTS.len());
        assert_eq!(text_of(100).len(), 100);
    }
}
