//! What people do with each other, one thing at a time.

use crate::world::{People, Told};
use serde_json::{Value, json};
use std::time::Duration;
use waypost_node::Event;

/// Two people who know each other.
fn pair(seed: u64) -> People {
    let mut people = People::new(seed, &["alice", "bob"]);
    let [a, b] = people.nodes[..] else { panic!() };
    people.befriend(a, b);
    people
}

#[test]
fn two_people_meet_by_an_invite_and_write_to_each_other() {
    let mut people = pair(1);
    let [a, b] = people.nodes[..] else { panic!() };
    let (a_id, b_id) = (people.id(a), people.id(b));
    let first = people.send(b, &a_id, "hello Alice");
    let answer = people.send(a, &b_id, "hello Bob");
    for (node, peer, letter) in [(b, &a_id, first), (a, &b_id, answer)] {
        let page = people.until(node, "letters.history", json!({"contact": peer}), |page| {
            let entries = page["entries"].as_array().unwrap();
            entries.len() == 2
                && entries.iter().all(|entry| entry["state"] == "delivered" || entry["direction"] == "in")
        });
        assert!(page["entries"].as_array().unwrap().iter().any(|entry| entry["id"] == letter.to_string()));
    }
    let trace = people.call(b, "letters.trace", json!({"letter": first}));
    let steps: Vec<_> = trace["steps"].as_array().unwrap().iter().map(|step| step["what"].clone()).collect();
    assert_eq!(steps, ["queued", "sent", "delivered"]);
    assert_eq!(trace["routes"][0]["outcome"], "delivered");
    assert_eq!(trace["routes"][0]["protection"]["post_quantum"], true);
}

#[test]
fn replies_reactions_edits_and_deletions_change_what_both_see() {
    let mut people = pair(2);
    let [a, b] = people.nodes[..] else { panic!() };
    let (a_id, b_id) = (people.id(a), people.id(b));
    let letter = people.send(b, &a_id, "see you at noom").to_string();
    people.until(a, "letters.inbox", Value::Null, |page| !page["entries"].as_array().unwrap().is_empty());
    let reply = json!({"kind": "reply", "to": letter, "text": "when?"});
    people.call(a, "letters.send", json!({"to": b_id, "body": reply}));
    let reaction = json!({"kind": "reaction", "to": letter, "emoji": "👍"});
    people.call(a, "letters.send", json!({"to": b_id, "body": reaction}));
    let edit = json!({"kind": "edit", "to": letter, "text": "see you at noon"});
    people.call(b, "letters.send", json!({"to": a_id, "body": edit}));
    let seen = people.until(a, "letters.history", json!({"contact": b_id}), |page| {
        page["entries"][0]["edited"] == "see you at noon"
    });
    assert_eq!(seen["entries"].as_array().unwrap().len(), 2, "edits and reactions are no entries");
    let seen = people.until(b, "letters.history", json!({"contact": a_id}), |page| {
        page["entries"][0]["reactions"][0]["emoji"] == "👍" && page["entries"].as_array().unwrap().len() == 2
    });
    assert_eq!(seen["entries"][1]["body"], json!({"kind": "reply", "to": letter, "text": "when?"}));
    people.call(b, "letters.send", json!({"to": a_id, "body": {"kind": "delete", "to": letter}}));
    people.until(a, "letters.history", json!({"contact": b_id}), |page| page["entries"][0]["deleted"] == true);
    // Nobody changes what another wrote.
    let refused = people.try_call(a, "letters.send", json!({"to": b_id, "body": {"kind": "delete", "to": letter}}));
    assert!(refused.is_err());
}

#[test]
fn a_read_receipt_comes_back_unless_it_is_turned_off() {
    let mut people = pair(3);
    let [a, b] = people.nodes[..] else { panic!() };
    let (a_id, b_id) = (people.id(a), people.id(b));
    let letter = people.send(b, &a_id, "read me");
    people.until(a, "letters.inbox", json!({"unread": true}), |page| page["entries"].as_array().unwrap().len() == 1);
    people.call(a, "letters.read", json!({"contact": b_id}));
    people.until(b, "letters.history", json!({"contact": a_id}), |page| page["entries"][0]["state"] == "read");
    let trace = people.call(b, "letters.trace", json!({"letter": letter}));
    assert_eq!(trace["steps"].as_array().unwrap().last().unwrap()["what"], "read");
}

#[test]
fn a_stranger_waits_quietly_until_accepted() {
    let mut people = People::new(4, &["alice", "bob"]);
    let [a, b] = people.nodes[..] else { panic!() };
    let (a_id, b_id) = (people.id(a), people.id(b));
    let link = people.call(a, "card.show", Value::Null)["link"].clone();
    people.call(b, "contacts.add", json!({"card": link}));
    people.send(b, &a_id, "you do not know me");
    let requests = people.until(a, "contacts.requests", Value::Null, |list| {
        list.as_array().unwrap().len() == 1 && list[0]["letters"] == 1
    });
    assert_eq!(requests[0]["preview"], "you do not know me");
    let letters = people.told.iter().filter(|(_, told)| matches!(told, Told::Event(Event::Letter { .. })));
    assert_eq!(letters.count(), 0, "nothing of a stranger notifies");
    assert!(people.try_call(a, "letters.send", json!({"to": b_id, "body": {"kind": "text", "text": "hm"}})).is_err());
    people.call(a, "contacts.accept", json!({"contact": b_id}));
    people.send(a, &b_id, "now I do");
    people.until(b, "letters.inbox", Value::Null, |page| page["entries"].as_array().unwrap().len() == 1);
    people.until(a, "letters.inbox", Value::Null, |page| page["entries"].as_array().unwrap().len() == 1);
}

#[test]
fn an_invite_is_good_once() {
    let mut people = People::new(5, &["alice", "bob", "carol"]);
    let [a, b, c] = people.nodes[..] else { panic!() };
    let link = people.call(a, "card.show", json!({"invite": true}))["link"].clone();
    people.call(b, "contacts.add", json!({"card": link}));
    people.until(a, "contacts.list", Value::Null, |list| list.as_array().unwrap().len() == 1);
    people.call(c, "contacts.add", json!({"card": link}));
    people.until(a, "contacts.requests", Value::Null, |list| list.as_array().unwrap().len() == 1);
    assert_eq!(people.call(a, "contacts.list", Value::Null).as_array().unwrap().len(), 1);
    assert_eq!(people.call(a, "card.invites", Value::Null), json!([]));
}

#[test]
fn a_blocked_contact_reaches_nobody_and_learns_nothing() {
    let mut people = pair(6);
    let [a, b] = people.nodes[..] else { panic!() };
    let (a_id, b_id) = (people.id(a), people.id(b));
    people.call(a, "contacts.block", json!({"contact": b_id}));
    let letter = people.send(b, &a_id, "are you there?");
    people.run(Duration::from_secs(120));
    assert_eq!(people.call(a, "letters.inbox", Value::Null)["entries"], json!([]));
    let trace = people.call(b, "letters.trace", json!({"letter": letter}));
    assert!(!trace.to_string().contains("delivered"));
    people.call(a, "contacts.accept", json!({"contact": b_id}));
    people.until(a, "letters.inbox", Value::Null, |page| page["entries"].as_array().unwrap().len() == 1);
}

#[test]
fn sending_with_the_same_id_again_changes_nothing() {
    let mut people = pair(7);
    let [a, b] = people.nodes[..] else { panic!() };
    let (a_id, b_id) = (people.id(a), people.id(b));
    let body = json!({"kind": "text", "text": "once"});
    let params = json!({"to": b_id, "id": "ab".repeat(16), "body": body});
    for _ in 0..3 {
        people.call(a, "letters.send", params.clone());
    }
    people.until(b, "letters.history", json!({"contact": a_id}), |page| page["entries"].as_array().unwrap().len() == 1);
    let other = json!({"to": b_id, "id": "ab".repeat(16), "body": {"kind": "text", "text": "other"}});
    assert!(people.try_call(a, "letters.send", other).unwrap_err().contains("another letter"));
}

#[test]
fn letters_wait_while_the_other_is_down_and_arrive_in_order() {
    let mut people = pair(8);
    let [a, b] = people.nodes[..] else { panic!() };
    let (a_id, b_id) = (people.id(a), people.id(b));
    people.world.crash(b);
    for number in 0..20 {
        people.send(a, &b_id, &number.to_string());
    }
    people.run(Duration::from_secs(30));
    people.world.restart(b);
    let page = people
        .until(b, "letters.history", json!({"contact": a_id}), |page| page["entries"].as_array().unwrap().len() == 20);
    let texts: Vec<_> = page["entries"].as_array().unwrap().iter().map(|entry| entry["body"]["text"].clone()).collect();
    assert_eq!(texts, (0..20).map(|number| number.to_string()).collect::<Vec<_>>());
}

#[test]
fn a_verified_contact_is_shown_with_every_letter() {
    let mut people = pair(9);
    let [a, b] = people.nodes[..] else { panic!() };
    let (a_id, b_id) = (people.id(a), people.id(b));
    let shown = people.call(a, "contacts.verification", json!({"contact": b_id}));
    assert_eq!(shown["number"], people.call(b, "contacts.verification", json!({"contact": a_id}))["number"]);
    let wrong = json!({"contact": a_id, "number": "1".repeat(60)});
    assert!(people.try_call(b, "contacts.verify", wrong).is_err());
    let contact = people.call(b, "contacts.verify", json!({"contact": a_id, "qr": shown["qr"]}));
    assert_eq!((&contact["verified"], &contact["trust"]), (&json!("qr"), &json!("trusted")));
    people.send(a, &b_id, "verified?");
    let page = people.until(b, "letters.inbox", Value::Null, |page| page["entries"].as_array().unwrap().len() == 1);
    assert_eq!(page["entries"][0]["protection"]["verified"], true);
}

#[test]
fn a_new_transport_key_reaches_contacts_and_letters_flow_on() {
    let mut people = pair(10);
    let [a, b] = people.nodes[..] else { panic!() };
    let (a_id, b_id) = (people.id(a), people.id(b));
    let old = people.call(a, "identity.show", Value::Null);
    let new = people.call(a, "identity.rotate", Value::Null);
    assert!(new["version"].as_u64() > old["version"].as_u64());
    assert_ne!(new["noise_key"], old["noise_key"]);
    people.run(Duration::from_secs(5));
    people.world.reset_streams(a, b);
    people.send(b, &a_id, "still there?");
    people.until(a, "letters.inbox", Value::Null, |page| page["entries"].as_array().unwrap().len() == 1);
    people.send(a, &b_id, "yes");
    people.until(b, "letters.inbox", Value::Null, |page| page["entries"].as_array().unwrap().len() == 1);
}

/// SREMP profile, Trust: who has not accepted somebody takes 64 KiB from them and no more.
#[test]
fn a_letter_too_long_for_somebody_who_has_not_accepted_us_fails_and_the_next_one_arrives() {
    let mut people = People::new(11, &["alice", "bob"]);
    let [a, b] = people.nodes[..] else { panic!() };
    let a_id = people.id(a);
    let link = people.call(a, "card.show", Value::Null)["link"].clone();
    people.call(b, "contacts.add", json!({"card": link}));
    let long = people.send(b, &a_id, &"long ".repeat(20_000)).to_string();
    let short = people.send(b, &a_id, "short").to_string();
    let page = people.until(b, "letters.history", json!({"contact": a_id}), |page| {
        page["entries"].as_array().unwrap().iter().all(|entry| entry["state"] != "queued" && entry["state"] != "sent")
    });
    let state = |id: &str| {
        let entries = page["entries"].as_array().unwrap();
        entries.iter().find(|entry| entry["id"] == id).unwrap()["state"].clone()
    };
    assert_eq!((state(&long), state(&short)), (json!("failed"), json!("delivered")));
    let trace = people.call(b, "letters.trace", json!({"letter": long}));
    assert!(trace.to_string().contains("too long for a contact that has not accepted you"), "{trace}");
    let requests = people.call(a, "contacts.requests", Value::Null);
    assert_eq!((&requests[0]["letters"], &requests[0]["preview"]), (&json!(1), &json!("short")));
}

/// Profile, Selection: two connections of one pair, completed at once.
#[test]
fn two_who_dial_each_other_at_once_end_with_one_connection() {
    for seed in 100..130 {
        let mut people = pair(seed);
        let [a, b] = people.nodes[..] else { panic!() };
        let (a_id, b_id) = (people.id(a), people.id(b));
        let cut = people.world.partition(&[a], &[b]);
        people.run(Duration::from_secs(120));
        people.world.heal(cut);
        let text = json!({"kind": "text", "text": "at once"});
        people.ask(a, "letters.send", json!({"to": b_id, "body": text}));
        people.ask(b, "letters.send", json!({"to": a_id, "body": text}));
        // Each gives one connection up, and it is the same one: there is no pause before a next attempt.
        people.run(Duration::from_millis(500));
        people.told.clear();
        for (node, peer) in [(a, &b_id), (b, &a_id)] {
            let status = people.call(node, "node.status", Value::Null);
            assert_eq!(status["wires"][0]["connected"], json!([peer]), "seed {seed}");
        }
        people.run(Duration::from_secs(30));
        let lost =
            people.told.iter().any(|(_, told)| matches!(told, Told::Event(Event::Presence { online: false, .. })));
        assert!(!lost, "seed {seed}: they lost each other again");
    }
}
