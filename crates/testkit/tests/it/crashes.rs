//! Commits and crashes: the counter counts each order exactly once in any weather.

use crate::toy::{Counter, Disk, Way};
use std::{cell::RefCell, rc::Rc, time::Duration};
use waypost_core::Mono;
use waypost_testkit::{
    sim::{Counts, LinkFaults, NodeFaults, NodeId, Weather, World},
    storm,
};

const ORDERS: u64 = 20;

struct Shop {
    world: World<Counter>,
    client: NodeId,
    server: NodeId,
    given: Rc<RefCell<Disk>>,
    taken: Rc<RefCell<Disk>>,
}

fn shop(seed: u64, way: Way) -> Shop {
    let (given, taken) = (Rc::new(RefCell::new(Disk::default())), Rc::new(RefCell::new(Disk::default())));
    let mut world = World::new(seed);
    let (ours, theirs) = (Rc::clone(&given), Rc::clone(&taken));
    let client = world
        .add_node("client", "client:1", move |_, _| Counter::new(Rc::clone(&ours), Some(("server:1".into(), way))));
    let server = world.add_node("server", "server:1", move |_, _| Counter::new(Rc::clone(&theirs), None));
    Shop { world, client, server, given, taken }
}

/// Gives orders in bad weather, then lets the sun shine, and checks the books.
fn count(seed: u64, way: Way) -> (Counts, u64) {
    let mut shop = shop(seed, way);
    let Shop { world, client, server, given, taken } = &mut shop;
    world.set_all_links(&LinkFaults::rough());
    for node in [*client, *server] {
        world.set_node(node, NodeFaults { crash_per_step: 0.02, ..NodeFaults::at_commits(0.1, 0.1) });
    }
    let until = Mono::from_millis(300_000);
    world.plan_weather(&Weather { until, crashes: 2, partitions: 3, skews: 2, lasts: 60_000, skew: 86_400_000 });
    for n in 0..ORDERS {
        world.schedule(Mono::from_millis(n * 10_000), *client, 100 + n);
    }
    let mut sure: Vec<u64> = world.run_until(until).into_iter().map(|happening| happening.event).collect();
    world.calm();
    world.run_for(Duration::from_secs(100));
    let done = world.run_until_state("all orders are taken", Duration::from_secs(100), |_| {
        let given = given.borrow();
        given.orders.keys().all(|number| *number <= given.acked)
    });
    sure.extend(done.into_iter().map(|happening| happening.event));
    let (given, taken) = (given.borrow(), taken.borrow());
    assert_eq!(given.orders, taken.orders);
    assert!(given.writes.values().chain(taken.writes.values()).all(|times| *times == 1));
    assert!(sure.iter().all(|number| given.orders.contains_key(number)));
    assert_eq!(sure.iter().collect::<std::collections::BTreeSet<_>>().len(), sure.len());
    let mut counts = world.counts().clone();
    counts.retain(|what, _| !matches!(*what, "tick" | "command" | "sends on stream" | "receives on stream"));
    counts.insert("orders", given.orders.len() as u64);
    (counts, world.fingerprint())
}

#[test]
fn every_order_is_counted_exactly_once_by_datagrams() {
    let figures = storm::run("counter by datagrams", 100, |seed| count(seed, Way::Datagrams).0);
    let each = ["orders", "crash before commit", "crash after commit", "loses power", "crashes", "parted"];
    let each = each.into_iter().chain(["datagram lost", "datagram doubled", "datagram late", "clock jumps"]);
    each.for_each(|what| assert!(figures.totals[what] > 0, "{what}"));
}

#[test]
fn every_order_is_counted_exactly_once_by_streams() {
    let figures = storm::run("counter by streams", 100, |seed| count(seed, Way::Streams).0);
    let each = ["orders", "crash before commit", "crash after commit", "loses power", "crashes", "parted"];
    let each = each.into_iter().chain(["reset of stream", "end within stream", "half-open stream"]);
    each.chain(["silence on stream", "stall on stream"]).for_each(|what| assert!(figures.totals[what] > 0, "{what}"));
}

#[test]
fn the_same_seed_gives_the_same_run_and_another_seed_another() {
    for way in [Way::Datagrams, Way::Streams] {
        assert_eq!(count(7, way), count(7, way));
        assert_ne!(count(7, way).1, count(8, way).1);
    }
}

#[test]
fn a_crash_before_a_commit_loses_it_and_one_after_keeps_it() {
    for (before, after, kept) in [(1.0, 0.0, 0), (0.0, 1.0, 1)] {
        let mut shop = shop(1, Way::Datagrams);
        shop.world.set_node(shop.client, NodeFaults::at_commits(before, after));
        shop.world.user(shop.client, 5);
        let happened = shop.world.run_for(Duration::from_millis(10));
        assert_eq!(happened, [], "the host is not told of a commit in which it crashed");
        assert_eq!(shop.given.borrow().orders.len(), kept);
        assert_eq!(shop.world.count("crash before commit") + shop.world.count("crash after commit"), 1);
    }
}

#[test]
fn a_crash_loses_a_commit_that_is_under_way() {
    let mut shop = shop(1, Way::Datagrams);
    shop.world.set_node(shop.client, NodeFaults { commit: 100..=100, ..NodeFaults::none() });
    shop.world.user(shop.client, 5);
    shop.world.run_for(Duration::from_millis(50));
    shop.world.crash(shop.client);
    shop.world.restart(shop.client);
    assert_eq!(shop.world.run_for(Duration::from_secs(1)), []);
    assert!(shop.given.borrow().orders.is_empty());
}

#[test]
fn commands_for_a_node_that_is_down_wait_for_it() {
    let mut shop = shop(1, Way::Datagrams);
    shop.world.crash(shop.client);
    shop.world.user(shop.client, 5);
    assert_eq!(shop.world.run_for(Duration::from_secs(1)), []);
    assert!(shop.world.host(shop.client).is_none());
    shop.world.restart(shop.client);
    shop.world.run_until_event("an order", Duration::from_secs(1), |happening| happening.event == 1);
    shop.world.run_for(Duration::from_secs(5));
    assert_eq!(shop.taken.borrow().orders[&1], 5);
}
