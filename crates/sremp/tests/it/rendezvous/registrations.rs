//! SR-7.1b to SR-7.1e: what is confirmed is durable, and goes in its time.

use super::clients::{SERVER, World, discoverable, list, registered, registry, target};
use crate::people::Person;
use std::time::Duration;
use waypost_core::Wall;
use waypost_sremp::{
    Error, Message,
    endpoint::Endpoint,
    message::ErrorMessage,
    rendezvous::{Input, RegistryLimits, RegistryPolicy, check_peer_info},
};

/// SR-7.1b: what is confirmed survives.
#[test]
fn confirms_no_registration_before_it_is_durable() {
    let alice = Person::new("Alice", 1);
    let mut world = World::new(RegistryLimits::default());
    let link = world.link(0, "192.0.2.1");
    world.commits = false;
    let request = world.request(&alice, 1, 600);
    assert!(world.ask("192.0.2.1", request).is_empty());
    // Neither what reads behind it nor the end of the connection overtakes it.
    assert!(world.ask("192.0.2.1", target(&alice)).is_empty());
    assert!(world.take(0, Input::Fault { link, error: Error::Malformed("noise") }).is_empty());
    assert_eq!(world.waiting.len(), 1);
    assert!(world.finish(0, true).is_empty());
    assert!(registered(&world.finish(0, true)).success);
    let answers = world.finish(0, true);
    let [Message::LookupResponse(found), Message::Error(ErrorMessage { code: 2, fatal: true, .. })] = &answers[..]
    else {
        panic!("{answers:?}")
    };
    let fresh = check_peer_info(&found.peers[0], &alice.id(), &SERVER, world.now.wall, 0).unwrap();
    assert_eq!((fresh.endpoint, fresh.seq), (Endpoint::new("192.0.2.7", 4433).unwrap(), 1));
    assert!(world.processes[0].wants_input(link));
}

#[test]
fn tells_each_client_when_its_storage_fails_and_goes_on() {
    let alice = Person::new("Alice", 1);
    let mut world = World::new(RegistryLimits::default());
    world.commits = false;
    for works in [false, true] {
        let request = world.request(&alice, 1, 600);
        assert!(world.ask("192.0.2.1", request).is_empty());
        let mut answers = world.finish(0, works);
        if works {
            answers = world.finish(0, false);
        }
        assert_eq!(registered(&answers).error_code, Some(5));
    }
    assert!(world.ask("192.0.2.1", target(&alice)).is_empty());
    assert!(matches!(&world.finish(0, false)[..], [Message::LookupResponse(found)] if found.error_code == Some(5)));
    world.commits = true;
    assert!(world.register(&alice, 1, 600).success);
    let counts = world.processes[0].counts();
    assert_eq!((counts.stored, counts.faults, counts.connections), (1, 3, 1));
    assert_eq!((counts.requests["REGISTER_REQUEST"], counts.refusals[&5]), (3, 3));
}

/// SR-7.1c, SR-7.1e: a day after its end a registration is forgotten, and its seq with it.
#[test]
fn forgets_registrations_a_day_after_they_are_over() {
    let alice = discoverable(1);
    let mut world = World::new(RegistryLimits::default());
    let listed = |world: &mut World| world.lookup("192.0.2.1", list(None, None)).peers.len();
    assert!(world.register(&alice, 9, 600).success);
    assert!(world.register(&alice, 10, 600).success);
    assert_eq!(listed(&mut world), 1);
    world.pass(Duration::from_secs(600));
    assert_eq!(listed(&mut world), 0);
    assert!(!world.lookup("192.0.2.1", target(&alice)).peers[0].online);
    world.pass(Duration::from_secs(24 * 3600 - 1));
    assert_eq!(world.register(&alice, 10, 60).error_code, Some(31));
    world.pass(Duration::from_secs(1));
    assert!(world.lookup("192.0.2.1", target(&alice)).peers.is_empty());
    // Nothing is left for the engine but to remove what is over.
    assert_eq!([9, 9].map(|limit| world.mailbox.expire(world.now.wall, limit)), [2, 0]);
    assert!(world.register(&alice, 1, 60).success);
    // Leaving is remembered for a day too.
    assert!(world.register(&alice, 2, 0).success);
    assert_eq!(listed(&mut world), 0);
    assert!(world.lookup("192.0.2.1", target(&alice)).peers.is_empty());
    assert_eq!(world.register(&alice, 2, 60).error_code, Some(31));
}

/// SR-7.1e: of two registrations at two processes at once the higher seq stays, whoever is first.
#[test]
fn decides_again_when_another_process_was_faster() {
    let alice = Person::new("Alice", 1);
    for (first, second, refused) in [(1, 2, None), (2, 1, Some(31))] {
        let mut world = World::new(RegistryLimits::default());
        world.processes.push(registry(RegistryPolicy::default(), RegistryLimits::default()));
        world.commits = false;
        for (process, seq) in [(0, first), (1, second)] {
            let request = world.request(&alice, seq, 600);
            assert!(world.ask_at(process, "192.0.2.1", request).is_empty());
        }
        // Both have read that nothing is there.
        assert!(world.finish(0, true).is_empty() && world.finish(0, true).is_empty());
        assert!(registered(&world.finish(0, true)).success);
        world.commits = true;
        let answers = world.finish(0, true);
        assert_eq!(registered(&answers).error_code, refused);
        let found = world.lookup("192.0.2.1", target(&alice));
        assert_eq!(found.peers[0].registration.as_ref().map(|registration| registration.seq), Some(2));
    }
}

/// A server that is told to looks whether somebody is there, once for each new endpoint.
#[test]
fn dials_a_new_endpoint_back_if_it_is_told_to() {
    let alice = Person::new("Alice", 1);
    let policy = RegistryPolicy { dials_back: true, ..RegistryPolicy::default() };
    let mut world = World::with_policy(policy, RegistryLimits::default());
    for (seq, is_there) in [(1, false), (2, true)] {
        let request = world.request(&alice, seq, 600);
        assert!(world.ask("192.0.2.1", request).is_empty());
        let (probe, endpoint) = world.probes.pop().unwrap();
        assert_eq!(endpoint, Endpoint::new("192.0.2.7", 4433).unwrap());
        let answer = registered(&world.take(0, Input::Probed { probe, is_there }));
        assert_eq!(answer.error_code, if is_there { None } else { Some(32) });
        // What nobody waits for any more says nothing.
        assert!(world.take(0, Input::Probed { probe, is_there: true }).is_empty());
    }
    // To renew or to leave is not new, and a bad request dials nobody.
    assert!(world.register(&alice, 3, 600).success);
    assert_eq!(world.register(&alice, 3, 700).error_code, Some(31));
    assert!(world.register(&alice, 4, 0).success);
    let mut stale = world.request(&alice, 9, 600);
    stale.issued = Wall::from_millis(0);
    assert_eq!(registered(&world.ask("192.0.2.1", stale)).error_code, Some(30));
    assert_eq!(world.probes, []);
}
