//! Random schedules on our ratchet and on vodozemac's: both deliver the same messages.

use super::{Side, pair};
use proptest::prelude::*;
use vodozemac::olm::{Account, OlmMessage, Session, SessionConfig};

/// One direction's messages on their way.
#[derive(Default)]
struct Link {
    pending: Vec<Letter>,
}

#[derive(Clone)]
struct Letter {
    id: u64,
    text: Vec<u8>,
    ours: Vec<u8>,
    theirs: OlmMessage,
    /// Which of the sender's chains it is on.
    chain: u32,
}

struct Peer {
    ours: Side,
    theirs: Session,
    /// How many chains it has started, and the newest of the peer it has seen.
    chain: u32,
    seen: u32,
}

impl Peer {
    fn send(&mut self, id: u64) -> Letter {
        let text = id.to_be_bytes().to_vec();
        Letter {
            id,
            ours: self.ours.send(id, &text),
            theirs: self.theirs.encrypt(&text).unwrap(),
            text,
            chain: self.chain,
        }
    }

    /// Gives a letter to both; they must agree.
    fn receive(&mut self, letter: &Letter) -> bool {
        let ours = self.ours.receive(0, letter.id, &letter.ours);
        let theirs = self.theirs.decrypt(&letter.theirs);
        assert_eq!(ours.is_ok(), theirs.is_ok(), "ours {ours:?}, theirs {theirs:?}");
        if let Ok(text) = &ours {
            assert_eq!((text, theirs.as_ref().ok()), (&letter.text, Some(&letter.text)));
            if letter.chain > self.seen {
                self.seen = letter.chain;
                self.chain += 1;
            }
        }
        ours.is_ok()
    }
}

/// Both after the first message of A and the first answer.
fn peers() -> (Peer, Peer) {
    let (mut a, mut b) = pair(7);
    let (alice, mut bob) = (Account::new(), Account::new());
    bob.generate_one_time_keys(1);
    let key = *bob.one_time_keys().values().next().unwrap();
    let config = SessionConfig::version_1();
    let mut to_bob = alice.create_outbound_session(config, bob.curve25519_key(), key).unwrap();
    let OlmMessage::PreKey(first) = to_bob.encrypt("first").unwrap() else { panic!("a first message") };
    let to_alice = bob.create_inbound_session(config, alice.curve25519_key(), &first).unwrap().session;
    let blob = a.send(0, b"first");
    b.receive(0, 0, &blob).unwrap();
    (Peer { ours: a, theirs: to_bob, chain: 1, seen: 0 }, Peer { ours: b, theirs: to_alice, chain: 1, seen: 1 })
}

#[derive(Clone, Copy, Debug)]
enum Op {
    Send,
    Deliver(prop::sample::Index),
    Repeat(prop::sample::Index),
    Lose(prop::sample::Index),
}

fn op() -> impl Strategy<Value = (bool, Op)> {
    let op = prop_oneof![
        4 => Just(Op::Send),
        4 => any::<prop::sample::Index>().prop_map(Op::Deliver),
        1 => any::<prop::sample::Index>().prop_map(Op::Repeat),
        1 => any::<prop::sample::Index>().prop_map(Op::Lose),
    ];
    (any::<bool>(), op)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// SR-5b SR-5i
    #[test]
    fn delivers_what_another_implementation_delivers(ops in prop::collection::vec(op(), 1..160)) {
        let (mut alice, mut bob) = peers();
        let (mut to_bob, mut to_alice) = (Link::default(), Link::default());
        for (id, (is_alice, op)) in (1..).zip(ops) {
            let (from, to, link) = if is_alice {
                (&mut alice, &mut bob, &mut to_bob)
            } else {
                (&mut bob, &mut alice, &mut to_alice)
            };
            // Vodozemac remembers five chains and forty skipped keys; ours more. Only the common part compares.
            link.pending.retain(|letter| letter.chain + 4 > to.seen);
            if link.pending.len() > 30 {
                link.pending.remove(0);
            }
            match op {
                Op::Send => link.pending.push(from.send(id)),
                _ if link.pending.is_empty() => {}
                Op::Deliver(at) => {
                    let letter = link.pending.remove(at.index(link.pending.len()));
                    prop_assert!(to.receive(&letter));
                }
                Op::Repeat(at) => {
                    let at = at.index(link.pending.len());
                    let letter = link.pending[at].clone();
                    prop_assert!(to.receive(&letter));
                    prop_assert!(!to.receive(&letter));
                    link.pending.remove(at);
                }
                Op::Lose(at) => {
                    link.pending.remove(at.index(link.pending.len()));
                }
            }
        }
    }
}
