//! People who are away, or cannot reach each other: letters by relays.

use crate::world::{People, RelayDisk, Told};
use serde_json::{Value, json};
use std::time::Duration;
use waypost_node::{Config, Event};
use waypost_sremp::relay::Policy;
use waypost_testkit::sim::NodeId;

/// Two people who know each other, and a relay where Bob has a mailbox.
struct Scene {
    people: People,
    alice: NodeId,
    bob: NodeId,
    bob_id: String,
}

impl Scene {
    fn new(seed: u64) -> Self {
        let mut people = People::new(seed, &["alice", "bob"]);
        let [alice, bob] = people.nodes[..] else { panic!() };
        people.befriend(alice, bob);
        let bob_id = people.id(bob);
        Self { people, alice, bob, bob_id }
    }

    fn relay(&mut self, name: &str, policy: Policy) -> (NodeId, RelayDisk) {
        self.people.relay(name, policy)
    }

    /// Uses a relay and waits until it has made a mailbox and the other person knows.
    fn uses(&mut self, node: NodeId, relay: &RelayDisk) {
        self.people.call(node, "servers.add", json!({"server": relay.uri()}));
        self.people.until(node, "servers.list", Value::Null, |list| {
            list.as_array().unwrap().iter().all(|server| server["state"] == "ready" && server["published"] == true)
        });
        self.people.run(Duration::from_secs(5));
    }

    fn shown(&self, node: NodeId) -> Vec<String> {
        let new = self.people.told.iter().filter_map(|(at, told)| match told {
            Told::Event(Event::Letter { entry, new: true }) if *at == node && entry.direction == "in" => {
                Some(entry.id.to_string())
            }
            _ => None,
        });
        new.collect()
    }

    fn assert_shown_once(&self, node: NodeId, letters: &[String]) {
        let shown = self.shown(node);
        for letter in letters {
            let times = shown.iter().filter(|id| *id == letter).count();
            assert_eq!(times, 1, "letter {letter} was shown {times} times");
        }
    }

    fn until_state(&mut self, letters: &[String], state: &str) {
        let contact = self.bob_id.clone();
        self.people.until(self.alice, "letters.history", json!({"contact": contact, "limit": 500}), |page| {
            let entries = page["entries"].as_array().unwrap();
            letters.iter().all(|id| entries.iter().any(|entry| entry["id"] == id.as_str() && entry["state"] == state))
        });
    }

    fn steps(&mut self, letter: &str) -> Vec<Value> {
        let trace = self.people.call(self.alice, "letters.trace", json!({"letter": letter}));
        trace["steps"].as_array().unwrap().iter().map(|step| step["what"].clone()).collect()
    }

    fn millis_until_stored(&mut self, letter: &str) -> u64 {
        let trace = self.people.call(self.alice, "letters.trace", json!({"letter": letter}));
        let steps = trace["steps"].as_array().unwrap();
        let stored = steps.iter().find(|step| step["what"].as_str().unwrap().starts_with("stored")).unwrap();
        stored["at"].as_u64().unwrap() - steps[0]["at"].as_u64().unwrap()
    }

    fn write(&mut self, count: usize) -> Vec<String> {
        let to = self.bob_id.clone();
        (0..count).map(|number| self.people.send(self.alice, &to, &format!("letter {number}")).to_string()).collect()
    }
}

#[test]
fn letters_wait_at_a_relay_for_somebody_who_is_away() {
    let mut scene = Scene::new(1);
    let (_, disk) = scene.relay("relay", Policy::default());
    scene.uses(scene.bob, &disk);
    scene.people.world.crash(scene.bob);
    scene.people.run(Duration::from_secs(120));
    let letters = scene.write(10);
    scene.until_state(&letters, "stored");
    assert_eq!(scene.steps(&letters[0]), ["queued", "stored at relay relay:7310"]);
    scene.people.world.restart(scene.bob);
    scene.until_state(&letters, "delivered");
    scene.assert_shown_once(scene.bob, &letters);
    assert_eq!(disk.letters(&scene.bob_id), 0, "the relay keeps nothing that was delivered");
}

#[test]
fn letters_go_by_the_relay_within_two_seconds_when_no_direct_way_is_left_and_directly_again_after() {
    let mut scene = Scene::new(2);
    let (_, disk) = scene.relay("relay", Policy::default());
    scene.uses(scene.bob, &disk);
    // The standing connection breaks, and a new one is refused: a blocked port.
    let cut = scene.people.world.partition(&[scene.alice], &[scene.bob]);
    scene.people.run(Duration::from_secs(120));
    for node in [scene.alice, scene.bob] {
        scene.people.world.set_listening(node, false);
    }
    scene.people.world.heal(cut);
    let letters = scene.write(5);
    scene.people.run(Duration::from_secs(2));
    scene.assert_shown_once(scene.bob, &letters);
    scene.until_state(&letters, "delivered");
    for node in [scene.alice, scene.bob] {
        scene.people.world.set_listening(node, true);
    }
    // The timetable of direct tries: at the latest five minutes (and a fifth) after the last one.
    scene.people.run(Duration::from_secs(400));
    let direct = scene.write(1);
    scene.until_state(&direct, "delivered");
    assert_eq!(scene.steps(&direct[0]), ["queued", "sent", "delivered"]);
    scene.assert_shown_once(scene.bob, &direct);
}

#[test]
fn a_direct_way_that_breaks_again_and_again_holds_no_letter_up() {
    let mut scene = Scene::new(8);
    let (_, disk) = scene.relay("relay", Policy::default());
    scene.uses(scene.bob, &disk);
    let bob = scene.bob_id.clone();
    for _ in 0..5 {
        for node in [scene.alice, scene.bob] {
            scene.people.world.set_listening(node, true);
        }
        scene.people.until(scene.alice, "node.ping", json!({"contact": bob}), |pong| pong["path"] == "direct");
        // The connection is hardly there when it breaks, and a new one is refused.
        for node in [scene.alice, scene.bob] {
            scene.people.world.set_listening(node, false);
        }
        scene.people.world.reset_streams(scene.alice, scene.bob);
        let letters = scene.write(2);
        scene.people.run(Duration::from_secs(2));
        scene.assert_shown_once(scene.bob, &letters);
        for letter in &letters {
            let took = scene.millis_until_stored(letter);
            assert!(took < 1500, "stored after {took} ms");
        }
    }
}

#[test]
fn letters_go_by_the_relay_when_packets_vanish_on_the_direct_way() {
    let mut scene = Scene::new(7);
    let (_, disk) = scene.relay("relay", Policy::default());
    scene.uses(scene.bob, &disk);
    scene.people.world.partition(&[scene.alice], &[scene.bob]);
    scene.people.run(Duration::from_secs(120));
    let first = scene.write(1);
    // Profile, Selection: nobody waits longer than 5 s for a direct way.
    scene.people.run(Duration::from_secs(7));
    scene.assert_shown_once(scene.bob, &first);
    let more = scene.write(5);
    scene.people.run(Duration::from_secs(1));
    scene.assert_shown_once(scene.bob, &more);
}

#[test]
fn a_letter_at_a_relay_that_dies_comes_by_another_and_is_shown_once() {
    let mut scene = Scene::new(3);
    let (first, first_disk) = scene.relay("one", Policy::default());
    let (_, second_disk) = scene.relay("two", Policy::default());
    scene.uses(scene.bob, &first_disk);
    scene.uses(scene.bob, &second_disk);
    scene.people.world.crash(scene.bob);
    scene.people.run(Duration::from_secs(120));
    let letters = scene.write(5);
    scene.until_state(&letters, "stored");
    scene.people.world.crash(first);
    scene.people.run(Duration::from_secs(3 * 3600));
    scene.people.world.restart(scene.bob);
    // Directly they would come anyway.
    scene.people.world.partition(&[scene.alice], &[scene.bob]);
    scene.people.run(Duration::from_secs(60));
    scene.assert_shown_once(scene.bob, &letters);
    // The sender asks ever more rarely for confirmations: after half an hour, then after six.
    scene.people.run(Duration::from_secs(6 * 3600));
    scene.until_state(&letters, "delivered");
    first_disk.wipe();
    scene.people.world.restart(first);
    scene.people.run(Duration::from_secs(600));
    scene.assert_shown_once(scene.bob, &letters);
}

#[test]
fn five_hundred_letters_arrive_by_a_relay_with_the_default_policy() {
    let mut scene = Scene::new(4);
    let (_, disk) = scene.relay("relay", Policy::default());
    scene.uses(scene.bob, &disk);
    scene.people.world.crash(scene.bob);
    scene.people.run(Duration::from_secs(120));
    let letters = scene.write(500);
    scene.people.run(Duration::from_secs(600));
    assert_eq!(disk.letters(&scene.bob_id), 100, "a sender has room for 100 letters");
    scene.people.world.partition(&[scene.alice], &[scene.bob]);
    scene.people.world.restart(scene.bob);
    let begin = scene.people.world.now();
    scene.until_state(&letters, "delivered");
    scene.assert_shown_once(scene.bob, &letters);
    let took = scene.people.world.now().since(begin);
    // 400 letters at 60 a minute.
    assert!((Duration::from_secs(330)..Duration::from_secs(1200)).contains(&took), "{took:?}");
}

#[test]
fn a_relay_that_forgets_everything_loses_no_letter() {
    let mut scene = Scene::new(5);
    let (relay, disk) = scene.relay("relay", Policy::default());
    scene.uses(scene.bob, &disk);
    scene.people.world.crash(scene.bob);
    scene.people.run(Duration::from_secs(120));
    let letters = scene.write(5);
    scene.until_state(&letters, "stored");
    scene.people.world.crash(relay);
    disk.wipe();
    scene.people.world.restart(relay);
    scene.people.world.restart(scene.bob);
    // The sender asks after a minute, after five, and half an hour later it no longer trusts the relay.
    scene.people.run(Duration::from_secs(37 * 60));
    scene.until_state(&letters, "delivered");
    scene.assert_shown_once(scene.bob, &letters);
}

#[test]
fn a_ping_names_the_path() {
    let mut scene = Scene::new(6);
    let (relay, disk) = scene.relay("relay", Policy::default());
    scene.uses(scene.bob, &disk);
    let bob = scene.bob_id.clone();
    let ping = |scene: &mut Scene| scene.people.call(scene.alice, "node.ping", json!({"contact": bob}));
    assert_eq!(ping(&mut scene)["path"], "direct");
    scene.people.world.crash(scene.bob);
    scene.people.run(Duration::from_secs(120));
    assert_eq!(ping(&mut scene)["path"], "relay");
    scene.people.world.crash(relay);
    scene.people.run(Duration::from_secs(120));
    assert_eq!(ping(&mut scene)["path"], "none");
}

/// SR-2.2d, SR-6e
#[test]
fn letters_may_be_left_at_the_relay_within_the_recipients_own_node() {
    let mut own = Config::default();
    (own.sremp.own_relay, own.sremp.prefers_async) = (true, true);
    let mut people = People::with(8, &[("alice", Config::default()), ("bob", own)]);
    let [alice, bob] = people.nodes[..] else { panic!() };
    people.befriend(alice, bob);
    let bob_id = people.id(bob);
    people.run(Duration::from_secs(5));
    // The standing connection ends; from now on Alice heeds his wish.
    let cut = people.world.partition(&[alice], &[bob]);
    people.run(Duration::from_secs(120));
    people.world.heal(cut);
    let mut scene = Scene { people, alice, bob, bob_id };
    let letters = scene.write(3);
    scene.until_state(&letters, "delivered");
    assert!(scene.steps(&letters[0])[1].as_str().unwrap().starts_with("stored at relay bob:7300"));
    scene.assert_shown_once(scene.bob, &letters);
    let plain = scene.people.call(scene.alice, "identity.show", Value::Null);
    assert_eq!(plain["addresses"], json!(["sremp://alice:7300"]), "no relay of its own unless switched on");
}
