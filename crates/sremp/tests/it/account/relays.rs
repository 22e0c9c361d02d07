//! Letters to people who are away: left at a relay, collected there, confirmed.

use super::town::{ADA, BOB, End, Town};
use std::time::Duration;
use waypost_core::Space;
use waypost_sremp::{
    ErrorCode,
    account::{Event, Input, Standing},
    relay::Policy,
};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

fn policy() -> Policy {
    Policy::default()
}

/// SR-5f, SR-8.2d: conformance 12.
#[test]
fn a_letter_reaches_somebody_who_was_away_and_is_confirmed_live() {
    let mut town = Town::settled(1, &policy(), [&[0], &[1]]);
    let letter = town.write(ADA, "while you were away");
    town.leave_at(ADA, 1);
    assert_eq!(town.stored(ADA), [(letter, 1)]);
    assert!(town.is_stored(ADA) && town.waits(ADA));
    assert_eq!(town.sides[ADA].delivered(), []);
    assert_eq!(town.relays[1].mailbox.size().0, 1);
    town.visit(BOB, 1);
    town.run();
    assert_eq!(town.sides[BOB].texts(), ["while you were away"]);
    assert_eq!(town.sides[ADA].delivered(), [letter], "pushed to who is still there");
    assert!(!town.is_stored(ADA) && !town.waits(ADA));
}

/// SR-8.2g: whoever is not there asks later, by a timetable that outlives a crash.
#[test]
fn a_confirmation_is_collected_at_the_next_visit() {
    let mut town = Town::settled(2, &policy(), [&[0], &[1]]);
    let letter = town.write(ADA, "hello");
    let link = town.leave_at(ADA, 1);
    town.hang_up(link);
    town.visit(BOB, 1);
    town.run();
    town.wait(Duration::from_secs(59));
    assert_eq!(town.needed(ADA), [0; 0]);
    town.crash(ADA);
    town.wait(Duration::from_secs(1));
    assert_eq!(town.needed(ADA), [1], "after a minute");
    town.visit(ADA, 1);
    town.run();
    assert_eq!(town.sides[ADA].delivered(), [letter]);
    town.isolate(End::Side(ADA));
    town.wait(24 * HOUR);
    assert_eq!(town.needed(ADA), [1], "nothing is asked any more");
}

#[test]
fn the_timetable_grows_and_ends_when_the_relay_forgets() {
    let mut town = Town::settled(3, &policy(), [&[0], &[1]]);
    town.write(ADA, "hello");
    let link = town.leave_at(ADA, 1);
    town.hang_up(link);
    let mut asked = Vec::new();
    for minute in 1..=13 * 60 {
        let before = town.needed(ADA).len();
        town.wait(MINUTE);
        if town.needed(ADA).len() > before {
            asked.push(minute);
        }
    }
    assert_eq!(asked, [1, 6, 36, 36 + 360, 36 + 720]);
    town.wait(30 * 24 * HOUR);
    assert!(!town.is_stored(ADA) && town.waits(ADA), "it waits for a way again");
    // Bob is back; his old prekeys are past their time, and what he missed is sealed anew.
    town.visit(BOB, 1);
    town.run();
    assert_eq!(town.sides[BOB].received(), 0);
    town.leave_at(ADA, 1);
    assert_eq!(town.sides[BOB].texts(), ["hello"]);
}

/// SR-5h: conformance 13.
#[test]
fn first_letters_that_cross_at_relays_both_arrive_and_one_session_stays() {
    let mut town = Town::settled(4, &policy(), [&[0], &[1]]);
    let letters = [town.write(ADA, "from Ada"), town.write(BOB, "from Bob")];
    town.leave_at(ADA, 1);
    town.leave_at(BOB, 0);
    town.visit(ADA, 0);
    town.visit(BOB, 1);
    town.wait(5 * MINUTE);
    for who in [ADA, BOB] {
        assert_eq!(town.sides[who].delivered(), [letters[who]]);
        assert_eq!(town.sides[who].inbox.len(), 1);
    }
    let active = |who: usize| {
        let side = &town.sides[who];
        let sessions = waypost_sremp::Vault::default().sessions(&side.records, town.id(1 - who), side.now.wall);
        sessions.unwrap()[0].id
    };
    assert_eq!(active(ADA), active(BOB));
}

/// SR-5i: conformance 25.
#[test]
fn what_cannot_be_read_after_a_loss_arrives_once_on_a_new_session() {
    let mut town = Town::settled(5, &policy(), [&[0], &[1]]);
    town.write(ADA, "known");
    let at_bobs = town.leave_at(ADA, 1);
    town.visit(BOB, 1);
    town.run();
    town.isolate(End::Side(BOB));
    town.wait(2 * MINUTE);
    let letters = [town.write(ADA, "one"), town.write(ADA, "two")];
    town.run();
    town.hang_up(at_bobs);
    town.wait(2 * MINUTE);
    town.sides[BOB].restore();
    town.crash(BOB);
    town.sides[BOB].events.clear();
    town.visit(BOB, 1);
    town.run();
    let wants = |event: &&Event| matches!(event, Event::NeedLink(peer) if *peer == town.id(ADA));
    assert_eq!(town.sides[BOB].events.iter().filter(wants).count(), 1, "he wants to reach her, once");
    town.leave_at(BOB, 0);
    town.visit(ADA, 0);
    town.run();
    town.leave_at(ADA, 1);
    town.wait(MINUTE);
    assert_eq!(town.sides[BOB].texts(), ["known", "one", "two"]);
    let delivered = town.sides[ADA].delivered();
    assert!(letters.iter().all(|letter| delivered.contains(letter)), "{delivered:?}");
    let fetches = town.count(End::Relay(0), "FETCH_PREKEYS");
    town.wait(30 * HOUR);
    assert!(town.count(End::Relay(0), "FETCH_PREKEYS") <= fetches + 1, "no loop of restarts");
    assert_eq!(town.relays[1].mailbox.size().0, 0, "what nobody can read is thrown away in the end");
    assert_eq!(town.sides[BOB].inbox.len(), 3);
}

/// Conformance 15.
#[test]
fn a_client_killed_before_it_confirmed_gets_the_letters_again_and_shows_them_once() {
    let mut town = Town::settled(6, &policy(), [&[0], &[1]]);
    for text in ["one", "two", "three"] {
        town.write(ADA, text);
    }
    town.leave_at(ADA, 1);
    town.visit(BOB, 1);
    town.sides[BOB].saves = false;
    let (link, batch) = town.run_to(End::Side(BOB), "MESSAGE_BATCH");
    town.deliver(End::Side(BOB), link, batch);
    assert_eq!(town.sides[BOB].received(), 3);
    // Nothing was on disk: no confirmation has left.
    town.collect();
    assert!(!town.wire.iter().any(|(_, _, message)| message.name() == "DELIVERY_CONFIRMATION"));
    town.sides[BOB].saves = true;
    town.crash(BOB);
    town.visit(BOB, 1);
    let (link, batch) = town.run_to(End::Side(BOB), "MESSAGE_BATCH");
    town.deliver(End::Side(BOB), link, batch);
    // On disk now, and the confirmations are lost: all is pending, and nothing comes behind the cursor.
    town.crash(BOB);
    town.visit(BOB, 1);
    town.run();
    assert_eq!(town.sides[ADA].delivered().len(), 3);
    assert_eq!(town.sides[BOB].texts().len(), 3);
    town.wait(6 * MINUTE);
    assert_eq!(town.relays[1].mailbox.size().0, 0);
    let shown = town.sides[BOB].received();
    assert_eq!(shown, 6, "three that a crash forgot, and three");
}

/// Conformance 15.
#[test]
fn a_relay_set_back_to_nothing_is_read_from_its_beginning() {
    let mut town = Town::settled(7, &policy(), [&[0], &[1]]);
    let home = town.visit(BOB, 1);
    town.run();
    for number in 0..5 {
        town.write(ADA, &format!("before {number}"));
    }
    let link = town.leave_at(ADA, 1);
    assert_eq!(town.sides[BOB].texts().len(), 5);
    town.hang_up(link);
    town.hang_up(home);
    town.relays[1].mailbox = Default::default();
    town.relays[1].restart();
    town.visit(BOB, 1);
    town.run();
    town.write(ADA, "after");
    town.leave_at(ADA, 1);
    town.run();
    assert!(town.sides[BOB].texts().contains(&"after"));
    town.write(ADA, "and more");
    town.run();
    assert_eq!(town.sides[BOB].texts().len(), 7);
    assert_eq!(town.sides[ADA].delivered().len(), 7);
}

/// Conformance 15: a push during a drain skips nothing.
#[test]
fn a_push_during_a_drain_skips_nothing() {
    let mut town = Town::settled(8, &policy(), [&[0], &[1]]);
    for number in 0..6 {
        town.write(ADA, &format!("{number} {}", "x".repeat(15_000)));
    }
    town.leave_at(ADA, 1);
    town.visit(BOB, 1);
    let (link, first) = town.run_to(End::Side(BOB), "MESSAGE_BATCH");
    // The answer is under way; more is stored and pushed.
    town.write(ADA, "pushed");
    town.collect();
    town.wire.push_front((End::Side(BOB), link, first));
    town.run();
    assert_eq!(town.sides[BOB].inbox.len(), 7);
    assert_eq!(town.sides[ADA].delivered().len(), 7);
    assert!(town.count(End::Relay(1), "RETRIEVE_MESSAGES") >= 2, "in pieces");
}

/// Conformance: a letter at a relay that dies goes through another, shown once.
#[test]
fn a_letter_at_a_relay_that_died_goes_through_the_next() {
    let mut town = Town::settled(9, &policy(), [&[0], &[1, 2]]);
    let letter = town.write(ADA, "survives");
    let link = town.leave_at(ADA, 1);
    town.hang_up(link);
    let dead = town.relays[1].id();
    town.wait(MINUTE);
    assert_eq!(town.needed(ADA), [1]);
    town.sides[ADA].give(Input::RelayUnreachable { relay: dead });
    assert_eq!(town.needed(ADA), [1, 2]);
    assert!(!town.is_stored(ADA) && town.waits(ADA));
    town.visit(ADA, 2);
    town.run();
    assert_eq!(town.stored(ADA), [(letter, 1), (letter, 2)]);
    town.visit(BOB, 2);
    town.run();
    assert_eq!(town.sides[ADA].delivered(), [letter]);
    // The dead one comes back with what it had.
    town.visit(BOB, 1);
    town.run();
    assert_eq!((town.sides[BOB].received(), town.sides[BOB].inbox.len()), (1, 1));
    assert_eq!(town.relays[1].mailbox.size().0, 1, "Ada may still learn of it there");
    town.visit(ADA, 1);
    town.wait(6 * MINUTE);
    assert_eq!(town.relays[1].mailbox.size().0, 0);
    assert_eq!(town.sides[ADA].delivered(), [letter]);
}

#[test]
fn behind_the_last_relay_all_ways_are_looked_at_again() {
    let mut town = Town::settled(10, &policy(), [&[0], &[1, 2]]);
    town.write(ADA, "patient");
    let link = town.leave_at(ADA, 1);
    town.hang_up(link);
    let need_link = |town: &Town| town.sides[ADA].events.iter().filter(|e| matches!(e, Event::NeedLink(_))).count();
    let before = need_link(&town);
    for relay in [1, 2] {
        let relay = town.relays[relay].id();
        town.sides[ADA].give(Input::RelayUnreachable { relay });
    }
    assert_eq!((town.needed(ADA), need_link(&town)), (vec![2], before + 1));
    // The same bytes may go to the same relay again.
    let link = town.leave_at(ADA, 1);
    assert_eq!(town.stored(ADA).len(), 1, "told once");
    assert!(town.is_stored(ADA));
    assert_eq!(town.relays[1].mailbox.size().0, 1);
    town.hang_up(link);
}

/// Conformance 21.
#[test]
fn a_letter_whose_direct_connection_broke_arrives_once_by_the_relay() {
    let mut town = Town::settled(11, &policy(), [&[0], &[1]]);
    let direct = town.meet();
    town.wait(MINUTE);
    let letter = town.write(ADA, "on the way");
    // It arrives, and its confirmation does not.
    let (link, message) = town.run_to(End::Side(BOB), "DIRECT_MESSAGE");
    town.deliver(End::Side(BOB), link, message);
    town.hang_up(direct);
    town.leave_at(ADA, 1);
    town.visit(BOB, 1);
    town.run();
    assert_eq!(town.sides[ADA].delivered(), [letter]);
    assert_eq!((town.sides[BOB].received(), town.sides[BOB].inbox.len()), (1, 1));
}

/// Profile, Direct delivery: after 10 s the same bytes go by STORE too, while later letters go directly.
#[test]
fn only_what_is_late_on_a_direct_connection_goes_to_the_relay() {
    let mut town = Town::settled(12, &policy(), [&[0], &[1]]);
    town.meet();
    town.wait(MINUTE);
    let late = town.write(ADA, "late");
    let (direct, _lost) = town.run_to(End::Side(BOB), "DIRECT_MESSAGE");
    town.wait(Duration::from_secs(10));
    assert!(town.sides[ADA].events.contains(&Event::Unconfirmed { peer: town.id(BOB), letter: late }));
    town.leave_at(ADA, 1);
    assert_eq!(town.stored(ADA), [(late, 1)]);
    let next = town.write(ADA, "next");
    town.run();
    assert_eq!(town.stored(ADA), [(late, 1)], "it went directly");
    assert_eq!(town.sides[ADA].delivered(), [next]);
    town.passed.clear();
    town.wait(10 * MINUTE);
    assert_eq!(town.count(End::Side(BOB), "DIRECT_MESSAGE"), 0, "what is stored is not repeated");
    town.visit(BOB, 1);
    town.run();
    assert_eq!(town.sides[ADA].delivered(), [next, late]);
    town.hang_up(direct);
}

#[test]
fn a_direct_connection_ends_storing_and_repeats_nothing_that_is_stored() {
    let mut town = Town::settled(13, &policy(), [&[0], &[1]]);
    town.write(ADA, "stored");
    town.leave_at(ADA, 1);
    town.meet();
    town.wait(MINUTE);
    assert!(town.is_stored(ADA));
    let direct = town.write(ADA, "direct");
    town.run();
    assert_eq!(town.stored(ADA).len(), 1);
    assert_eq!(town.sides[ADA].delivered(), [direct]);
    town.visit(BOB, 1);
    town.run();
    assert_eq!(town.sides[BOB].texts(), ["stored", "direct"]);
}

/// Conformance 22.
#[test]
fn what_a_rejected_person_left_is_thrown_away_unread() {
    let mut town = Town::settled(14, &policy(), [&[0], &[1]]);
    town.write(ADA, "please");
    town.leave_at(ADA, 1);
    town.sides[BOB].standing = Standing::Blocked;
    let peer = town.id(ADA);
    town.sides[BOB].give(Input::Trust { peer, trust: waypost_sremp::Trust::Rejected, verified_via: None });
    town.sides[BOB].standing = Standing::Contact;
    town.visit(BOB, 1);
    town.run();
    assert_eq!((town.sides[BOB].received(), town.relays[1].mailbox.size().0), (0, 0));
    assert_eq!(town.count(End::Relay(1), "DELIVERY_CONFIRMATION"), 0);
    assert_eq!(town.count(End::Relay(1), "DISCARD_MESSAGE"), 1);
    assert_eq!(town.sides[ADA].delivered(), []);
}

/// What strangers left waits there until there is room.
#[test]
fn letters_of_strangers_stay_at_the_relay_while_there_is_no_room() {
    let mut town = Town::settled(15, &policy(), [&[0], &[1]]);
    let letter = town.write(ADA, "may I?");
    town.leave_at(ADA, 1);
    (town.sides[BOB].standing, town.sides[BOB].full) = (Standing::Stranger, true);
    town.visit(BOB, 1);
    town.run();
    assert_eq!((town.sides[BOB].received(), town.relays[1].mailbox.size().0), (0, 1));
    town.sides[BOB].full = false;
    town.wait(2 * HOUR);
    assert_eq!(town.sides[BOB].texts(), ["may I?"]);
    assert_eq!(town.sides[ADA].delivered(), [letter]);
}

/// SR-11.1: with the profile's own policy.
#[test]
fn five_hundred_letters_arrive_because_the_outbox_waits_as_asked() {
    let mut town = Town::settled(16, &policy(), [&[0], &[1]]);
    let letters: Vec<_> = (0..500).map(|number| town.write(ADA, &format!("{number}"))).collect();
    town.leave_at(ADA, 1);
    town.wait(5 * MINUTE);
    assert_eq!(town.stored(ADA).len(), 100, "as many as one sender may leave");
    let refusals = town.sides[ADA].events.iter().filter_map(|event| match event {
        Event::StoreRefused { code, retry_after, .. } => Some((*code, retry_after.is_some())),
        _ => None,
    });
    let refusals: Vec<_> = refusals.collect();
    assert!(
        refusals.contains(&(ErrorCode::Rate, true)) && refusals.contains(&(ErrorCode::Quota, true)),
        "{refusals:?}"
    );
    assert!(refusals.len() < 20, "told now and then: {refusals:?}");
    town.visit(BOB, 1);
    town.wait(HOUR);
    assert_eq!(town.sides[BOB].inbox.len(), 500);
    let delivered: std::collections::BTreeSet<_> = town.sides[ADA].delivered().into_iter().collect();
    assert_eq!(delivered, letters.into_iter().collect());
    assert_eq!(town.sides[BOB].received(), 500);
    assert!(!town.waits(ADA));
}

/// SR-2.2d, profile Relay: a client uses as relay only a peer that says it is one.
#[test]
fn somebody_who_is_no_relay_is_refused_as_one() {
    let mut town = Town::new(17, &policy(), [&[0], &[1]]);
    let (peer, link) = (town.id(BOB), waypost_sremp::LinkId(1000));
    town.sides[ADA].give(Input::RelayUp { link, relay: peer, handshake_hash: [1; 32], own: false });
    let refused = Event::RelayRefused { link, relay: peer, code: ErrorCode::Unsupported };
    assert!(town.sides[ADA].events.contains(&refused));
    assert_eq!(town.sides[ADA].closed, [(link, None)]);
    assert_eq!(town.sides[ADA].sent, []);
}

#[test]
fn a_relay_that_does_not_admit_us_is_left() {
    let access = waypost_sremp::relay::Access::List(Default::default());
    let mut town = Town::new(18, &Policy { access, ..policy() }, [&[0], &[1]]);
    let link = town.visit(ADA, 0);
    town.run();
    let refused = Event::RelayRefused { link, relay: town.relays[0].id(), code: ErrorCode::Forbidden };
    assert!(town.sides[ADA].events.contains(&refused));
    assert!(!town.links.contains_key(&link));
}

/// SR-8.1a: ours, an invite token opens a relay that asks for one.
#[test]
fn a_token_for_a_relay_is_shown_at_registration() {
    let hash = waypost_sremp::relay::TokenHash::of(b"let me in");
    let access = waypost_sremp::relay::Access::Token([hash].into());
    let mut town = Town::new(26, &Policy { access, ..policy() }, [&[0], &[1]]);
    let refused = |town: &Town| town.sides[ADA].events.iter().any(|event| matches!(event, Event::RelayRefused { .. }));
    town.visit(ADA, 0);
    town.run();
    assert!(refused(&town), "without one");
    town.sides[ADA].events.clear();
    let own = waypost_sremp::account::OwnRelay { relay: town.relays[0].id(), token: Some(b"let me in".to_vec()) };
    town.sides[ADA].give(Input::OwnRelays(vec![own]));
    town.visit(ADA, 0);
    town.run();
    assert!(!refused(&town));
    assert!(town.sides[ADA].events.iter().any(|event| matches!(event, Event::RelayReady { .. })));
}

/// Profile, Prekeys: five an hour for one target; what waits goes on by itself.
#[test]
fn when_prekeys_were_asked_for_too_often_the_letter_goes_later_by_itself() {
    let mut town = Town::settled(27, &policy(), [&[0], &[1]]);
    let letter = town.write(ADA, "patience");
    // Somebody with her key asked before.
    for number in 0..5 {
        let link = town.visit(ADA, 1);
        town.run();
        let fetch = waypost_sremp::message::FetchPrekeys { target: town.id(BOB) };
        town.deliver(End::Relay(1), link, fetch.into());
        town.wire.clear();
        town.hang_up(link);
        assert!(town.stored(ADA).is_empty(), "{number}");
    }
    town.leave_at(ADA, 1);
    let waits = town.sides[ADA].events.iter().any(|event| {
        matches!(event, Event::StoreRefused { code: ErrorCode::Rate, letter: None, retry_after: Some(_), .. })
    });
    assert!(waits && !town.is_stored(ADA));
    town.wait(HOUR);
    assert_eq!(town.stored(ADA), [(letter, 1)]);
}

/// Who is no longer one's own relay is forgotten.
#[test]
fn a_relay_that_is_no_longer_ones_own_is_read_from_the_beginning_next_time() {
    let mut town = Town::settled(28, &policy(), [&[0], &[1]]);
    town.write(ADA, "hello");
    town.leave_at(ADA, 1);
    town.visit(BOB, 1);
    town.run();
    let known = |town: &Town, space| waypost_core::Records::count(&town.sides[BOB].records, Space(space), b"").unwrap();
    assert_eq!((known(&town, "sremp/relay-cursor"), known(&town, "sremp/relay-published")), (1, 1));
    town.sides[BOB].give(Input::OwnRelays(Vec::new()));
    assert_eq!((known(&town, "sremp/relay-cursor"), known(&town, "sremp/relay-published")), (0, 0));
}

#[test]
fn a_mailbox_that_is_not_there_says_so_and_the_letter_waits() {
    let mut town = Town::new(19, &policy(), [&[0], &[1]]);
    town.write(ADA, "hello");
    town.leave_at(ADA, 1);
    let refused = town.sides[ADA].events.iter().any(|event| {
        matches!(event, Event::StoreRefused { code: ErrorCode::NotFound, retry_after: None, letter: None, .. })
    });
    assert!(refused, "{:?}", town.sides[ADA].events);
    assert!(town.waits(ADA) && !town.is_stored(ADA));
}

/// Profile, Content.
#[test]
fn a_letter_too_long_for_the_relay_waits_for_a_direct_connection() {
    let mut town = Town::settled(20, &policy(), [&[0], &[1]]);
    let direct = town.meet();
    town.wait(MINUTE);
    town.hang_up(direct);
    let long = town.write(ADA, &"x".repeat(100_000));
    let short = town.write(ADA, "short");
    town.leave_at(ADA, 1);
    assert_eq!(town.stored(ADA), [(short, 1)]);
    let relay = town.relays[1].id();
    let (peer, code) = (town.id(BOB), ErrorCode::TooLarge);
    let told = Event::StoreRefused { peer, letter: Some(long), relay, code, retry_after: None };
    assert_eq!(town.sides[ADA].events.iter().filter(|event| **event == told).count(), 1);
    town.meet();
    town.run();
    assert_eq!(town.sides[ADA].delivered(), [long]);
}

/// A first letter that is too long for a session nobody answered: something short goes before it.
#[test]
fn a_long_first_letter_is_preceded_by_something_short_and_follows_the_answer() {
    let mut town = Town::settled(21, &policy(), [&[0], &[1]]);
    let letter = town.write(ADA, &"x".repeat(30_000));
    town.leave_at(ADA, 1);
    assert_eq!((town.stored(ADA), town.relays[1].mailbox.size().0), (vec![], 1));
    town.visit(ADA, 0);
    town.visit(BOB, 1);
    town.wait(Duration::from_secs(5));
    assert!(town.waits(BOB), "an answer");
    town.leave_at(BOB, 0);
    town.wait(Duration::from_secs(5));
    assert_eq!(town.sides[ADA].delivered(), [letter]);
}

/// Profile, Prekeys.
#[test]
fn prekeys_are_published_where_few_are_left_and_each_item_at_one_relay_only() {
    let mut town = Town::new(22, &policy(), [&[0, 1], &[2]]);
    let links = [town.visit(ADA, 0), town.visit(ADA, 1)];
    town.run();
    let items = |town: &Town, relay: usize| {
        let published = town.passed.iter().filter(|(to, what)| *to == End::Relay(relay) && what == "PUBLISH_PREKEYS");
        published.count()
    };
    assert_eq!([items(&town, 0), items(&town, 1)], [1, 1]);
    let one_time = waypost_core::Records::count(&town.sides[ADA].records, Space("sremp/one-time"), b"").unwrap();
    assert_eq!(one_time, 200, "other ones at each");
    town.wait(HOUR);
    assert_eq!(items(&town, 0), 2, "asked how many are left");
    links.into_iter().for_each(|link| town.hang_up(link));
    town.visit(ADA, 0);
    town.run();
    assert_eq!(items(&town, 0), 2, "nothing is missing");
    town.wait(7 * 24 * HOUR);
    let bundles = waypost_core::Records::count(&town.sides[ADA].records, Space("sremp/bundle"), b"").unwrap();
    assert_eq!(bundles, 2, "a new one each week");
    assert_eq!(waypost_core::Records::count(&town.sides[ADA].records, Space("sremp/one-time"), b""), Ok(200));
}

/// A relay that dies between success and its answer, or loses its answer.
#[test]
fn a_store_whose_answer_was_lost_is_repeated_and_arrives_once() {
    let mut town = Town::settled(23, &policy(), [&[0], &[1]]);
    let letter = town.write(ADA, "once");
    let link = town.visit(ADA, 1);
    town.store_by(ADA, link);
    let _lost = town.run_to(End::Side(ADA), "STORE_RESPONSE");
    town.crash_relay(1);
    assert_eq!(town.stored(ADA), []);
    town.leave_at(ADA, 1);
    assert_eq!(town.stored(ADA), [(letter, 1)]);
    assert_eq!(town.relays[1].mailbox.size().0, 1);
    town.visit(BOB, 1);
    town.run();
    assert_eq!((town.sides[BOB].received(), town.sides[ADA].delivered()), (1, vec![letter]));
}

/// Profile, Relay: a lost push is found by a look now and then.
#[test]
fn a_push_that_is_lost_is_found_within_minutes() {
    let mut town = Town::settled(24, &policy(), [&[0], &[1]]);
    town.visit(BOB, 1);
    town.run();
    let letter = town.write(ADA, "lost on the way");
    let link = town.visit(ADA, 1);
    town.store_by(ADA, link);
    let _lost = town.run_to(End::Side(BOB), "MESSAGE_BATCH");
    town.run();
    assert_eq!(town.sides[BOB].received(), 0);
    town.wait(5 * MINUTE);
    assert_eq!(town.sides[BOB].received(), 1);
    assert_eq!(town.sides[ADA].delivered(), [letter]);
}

/// Threats: a relay forges blobs to force restarts.
#[test]
fn a_hundred_garbage_blobs_lead_to_one_new_session() {
    let mut town = Town::settled(25, &policy(), [&[0], &[1]]);
    town.write(ADA, "real");
    town.leave_at(ADA, 1);
    let home = town.visit(BOB, 1);
    town.run();
    town.wait(MINUTE);
    let at_adas = town.leave_at(BOB, 0);
    let sender = town.id(ADA);
    let fetches = town.count(End::Relay(0), "FETCH_PREKEYS");
    for number in 0..100 {
        let message = waypost_sremp::message::StoredMessage {
            message_id: 7000 + number,
            sender,
            timestamp: town.sides[BOB].now.wall,
            encrypted_blob: vec![2; 400].into(),
            seq: None,
        };
        let messages = vec![message];
        let batch = waypost_sremp::message::MessageBatch { messages, has_more: false, next: None, confirmations: None };
        town.sides[BOB].message(home, batch.into());
        town.run();
    }
    assert_eq!(town.count(End::Relay(0), "FETCH_PREKEYS"), fetches + 1);
    assert_eq!(town.sides[BOB].texts(), ["real"]);
    town.hang_up(at_adas);
}
