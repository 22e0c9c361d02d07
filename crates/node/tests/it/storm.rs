//! Everything goes wrong at random: no acknowledged letter is lost, none is shown twice.

use crate::world::{People, Told};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use waypost_node::Event;
use waypost_sremp::relay::Policy;
use waypost_testkit::sim::{Counts, LinkFaults, NodeFaults, NodeId, PartitionId};
use waypost_testkit::storm;

const LETTERS: u64 = 12;

#[test]
fn storm_no_acknowledged_letter_is_lost_and_none_shown_twice() {
    storm::run("two nodes", 12, run);
}

/// Two people who cannot reach each other most of the time, with a mailbox each at two relays, all of which
/// crash too.
#[test]
fn storm_no_letter_is_lost_or_doubled_by_relays() {
    storm::run("two nodes and two relays", 4, |seed| {
        let mut people = People::new(seed, &["alice", "bob"]);
        let [a, b] = people.nodes[..] else { panic!() };
        people.befriend(a, b);
        let relays = ["one", "two"].map(|name| people.relay(name, Policy::default()));
        for (relay, disk) in &relays {
            for node in [a, b] {
                people.call(node, "servers.add", json!({"server": disk.uri()}));
            }
            people.world.set_node(*relay, NodeFaults::at_commits(0.01, 0.01));
        }
        people.run(Duration::from_secs(20));
        let cut = people.world.partition(&[a], &[b]);
        people.run(Duration::from_secs(100));
        let counts = letters(&mut people, Some(cut));
        assert!(counts.get("letters delivered").is_some_and(|delivered| *delivered > 0));
        counts
    });
}

fn run(seed: u64) -> Counts {
    let mut people = People::new(seed, &["alice", "bob"]);
    let [a, b] = people.nodes[..] else { panic!() };
    people.befriend(a, b);
    letters(&mut people, None)
}

/// Letters both ways while everything goes wrong. `cut` is a partition that is healed in the end.
fn letters(people: &mut People, cut: Option<PartitionId>) -> Counts {
    let [a, b] = people.nodes[..] else { panic!() };
    let (a_id, b_id) = (people.id(a), people.id(b));
    people.world.set_all_links(&LinkFaults::rough());
    for node in [a, b] {
        people.world.set_node(node, NodeFaults::at_commits(0.02, 0.02));
    }
    let mut sent: BTreeMap<u64, (NodeId, String)> = BTreeMap::new();
    for number in 0..LETTERS {
        for (from, to) in [(a, &b_id), (b, &a_id)] {
            let id = format!("{:032x}", u128::from(number) << 8 | u128::from(from == a));
            let body = json!({"kind": "text", "text": format!("letter {number}")});
            let token = people.ask(from, "letters.send", json!({"to": to, "id": id, "body": body}));
            sent.insert(token, (from, id));
        }
        if cut.is_none() && number % 5 == 2 {
            let partition = people.world.partition(&[a], &[b]);
            people.run(Duration::from_secs(20));
            people.world.heal(partition);
        }
        people.run(Duration::from_millis(700));
    }
    people.run(Duration::from_secs(60));
    people.world.calm();
    if let Some(cut) = cut {
        // By the relays alone, most of them; then whatever is left finds a direct way.
        people.run(Duration::from_secs(120));
        people.world.heal(cut);
        people.run(Duration::from_secs(40 * 60));
    }

    let mut acknowledged: BTreeSet<(bool, String)> = BTreeSet::new();
    for (_, told) in &people.told {
        if let Told::Reply(token, Ok(_)) = told
            && let Some((from, id)) = sent.get(token)
        {
            acknowledged.insert((*from == a, id.clone()));
        }
    }
    let mut delivered = 0;
    for (from, me, peer, own) in [(a, b, &a_id, &b_id), (b, a, &b_id, &a_id)] {
        let wanted: BTreeSet<&str> =
            acknowledged.iter().filter(|(by_a, _)| *by_a == (from == a)).map(|(_, id)| id.as_str()).collect();
        let page = people.until(me, "letters.history", json!({"contact": peer, "limit": 500}), |page| {
            let there = received(page);
            wanted.iter().all(|id| there.contains(id))
        });
        let there = received(&page);
        let distinct: BTreeSet<_> = there.iter().collect();
        assert_eq!(there.len(), distinct.len(), "a letter is in the history twice");
        people.until(from, "letters.history", json!({"contact": own, "limit": 500}), |page| {
            let entries = page["entries"].as_array().unwrap();
            entries
                .iter()
                .filter(|e| e["direction"] == "out")
                .all(|e| e["state"] == "delivered" || e["state"] == "read")
        });
        delivered += there.len() as u64;
    }
    let mut shown: BTreeMap<(NodeId, String), u32> = BTreeMap::new();
    for (node, told) in &people.told {
        if let Told::Event(Event::Letter { entry, new: true }) = told
            && entry.direction == "in"
        {
            *shown.entry((*node, entry.id.to_string())).or_default() += 1;
        }
    }
    assert!(shown.values().all(|times| *times == 1), "a letter was shown twice: {shown:?}");

    let mut counts = people.world.counts().clone();
    counts.insert("letters delivered", delivered);
    counts
}

fn received(page: &Value) -> Vec<&str> {
    let entries = page["entries"].as_array().unwrap().iter();
    entries.filter(|entry| entry["direction"] == "in").map(|entry| entry["id"].as_str().unwrap()).collect()
}
