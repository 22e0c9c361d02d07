//! SR-8.1a, SR-11.1: who may be a client, and that a token admits for good.

use super::clients::{World, code, register};
use crate::people::Person;
use std::collections::BTreeSet;
use waypost_sremp::{
    LinkId, Message,
    message::{FetchPrekeys, RelayRegister},
    relay::{Access, DepotLimits, Input, Policy, TokenHash},
};

fn with_token(person: &Person, token: &[u8]) -> RelayRegister {
    RelayRegister { token: Some(token.to_vec().into()), ..register(person, 60, true) }
}

fn world(access: Access) -> (World, Person, Person) {
    let world = World::new(Policy { access, ..Policy::default() }, DepotLimits::default());
    (world, Person::new("Alice", 1), Person::new("Bob", 2))
}

#[test]
fn serves_only_who_is_listed_if_there_is_a_list() {
    let alice = Person::new("Alice", 1);
    let (mut world, alice, bob) = world(Access::List(BTreeSet::from([alice.id()])));
    assert_eq!(world.join(1, &alice, false), 0);
    world.connect(2, &bob);
    assert_eq!(code(&world.answer(2, register(&bob, 60, false))), (21, false));
    assert!(!world.depot().is_registered(LinkId(2)));
    assert_eq!(code(&world.answer(2, FetchPrekeys { target: alice.id() })), (20, true));
    assert_eq!(world.depot().policy().to_wire().access, "list");
    // A token is no way round a list.
    world.connect(3, &bob);
    assert_eq!(code(&world.answer(3, with_token(&bob, b"please"))), (21, false));
}

#[test]
fn a_right_token_admits_once_and_for_good() {
    let hashes = [b"one of them".as_slice(), b"the other"].map(TokenHash::of);
    let (mut world, alice, bob) = world(Access::Token(BTreeSet::from(hashes)));
    assert_eq!(world.depot().policy().to_wire().access, "token");
    world.connect(1, &alice);
    for wrong in [register(&alice, 60, true), with_token(&alice, b""), with_token(&alice, b"one of the")] {
        assert_eq!(code(&world.answer(1, wrong)), (21, false));
    }
    assert!(world.processes[0].watched.is_empty());
    assert!(matches!(world.answer(1, with_token(&alice, b"the other")), Message::RelayRegistered(_)));
    // From then on without it, at every process, whatever became of the token.
    world.restart();
    assert_eq!(world.join(1, &alice, false), 0);
    world.connect(2, &alice);
    assert!(matches!(world.answer(2, with_token(&alice, b"wrong")), Message::RelayRegistered(_)));
    world.connect(3, &bob);
    assert_eq!(code(&world.answer(3, register(&bob, 60, false))), (21, false));
    assert_eq!(world.depot().counts().refusals[&21], 1);
    assert_eq!(world.depot().counts().registered, 2);
    world.take(Input::Disconnected(LinkId(1)));
    assert_eq!(world.depot().counts().registered, 1);
}

/// Whoever does not know our key does not mind it, and whoever does leaves it out where it is not asked for.
#[test]
fn a_token_is_a_key_like_any_other_unknown_one() {
    let (mut world, alice, _) = world(Access::Open);
    let plain = Message::from(register(&alice, 60, false)).encode();
    assert!(!plain.windows(5).any(|window| window == b"token"));
    let shown = Message::from(with_token(&alice, b"secret")).encode();
    assert!(
        matches!(Message::decode(&shown), Ok(Message::RelayRegister(request)) if !format!("{request:?}").contains("secret"))
    );
    world.connect(1, &alice);
    assert!(matches!(world.answer(1, with_token(&alice, b"any")), Message::RelayRegistered(_)));
}
