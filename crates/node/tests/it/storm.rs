//! Everything goes wrong at random: no acknowledged letter is lost, none is shown twice.

use crate::world::{People, Told};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use waypost_node::Event;
use waypost_testkit::sim::{Counts, LinkFaults, NodeFaults, NodeId};
use waypost_testkit::storm;

const LETTERS: u64 = 12;

#[test]
fn storm_no_acknowledged_letter_is_lost_and_none_shown_twice() {
    storm::run("two nodes", 12, run);
}

fn run(seed: u64) -> Counts {
    let mut people = People::new(seed, &["alice", "bob"]);
    let [a, b] = people.nodes[..] else { panic!() };
    people.befriend(a, b);
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
        if number % 5 == 2 {
            let partition = people.world.partition(&[a], &[b]);
            people.run(Duration::from_secs(20));
            people.world.heal(partition);
        }
        people.run(Duration::from_millis(700));
    }
    people.run(Duration::from_secs(60));
    people.world.calm();

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
