//! Datagrams: what gets lost, doubled and overtaken.

use crate::toy::{Pull, Puppet};
use std::time::Duration;
use waypost_testkit::sim::{HostInput, HostOutput, LinkFaults, World};

const COUNT: u16 = 1_000;

/// Sends 0..COUNT one after the other and gives those that arrive, in order of arrival.
fn arrivals(seed: u64, link: &LinkFaults) -> Vec<u16> {
    let mut world = World::new(seed);
    let a = world.add_node("a", "a:1", Puppet::start);
    let b = world.add_node("b", "b:1", Puppet::start);
    world.set_all_links(link);
    world.run_for(Duration::from_secs(1));
    for n in 0..COUNT {
        let at = world.now().after(Duration::from_millis(u64::from(n) * 100));
        let bytes = n.to_be_bytes().to_vec();
        world.schedule(at, a, Pull::Do(HostOutput::Datagram { to: "b:1".into(), bytes }));
    }
    let events = world.run_for(Duration::from_secs(200));
    let arrived = events.into_iter().map(|happening| match happening.event.1 {
        HostInput::Datagram { from, bytes } => {
            assert_eq!((happening.node, from), (b, "a:1".into()));
            u16::from_be_bytes(bytes.try_into().unwrap())
        }
        other => panic!("{other:?}"),
    });
    arrived.collect()
}

#[test]
fn a_calm_way_brings_each_once_in_order() {
    assert_eq!(arrivals(1, &LinkFaults::calm()), (0..COUNT).collect::<Vec<_>>());
}

#[test]
fn some_are_lost() {
    let arrived = arrivals(2, &LinkFaults { loss: 0.3, ..LinkFaults::calm() });
    assert!((600..800).contains(&arrived.len()), "{}", arrived.len());
    assert!(arrived.is_sorted());
}

#[test]
fn some_are_doubled() {
    let mut arrived = arrivals(3, &LinkFaults { duplicate: 0.3, ..LinkFaults::calm() });
    assert!((1_200..1_400).contains(&arrived.len()), "{}", arrived.len());
    arrived.dedup();
    assert_eq!(arrived.len(), usize::from(COUNT));
}

#[test]
fn some_are_overtaken() {
    let mut arrived = arrivals(4, &LinkFaults { reorder: 0.3, ..LinkFaults::calm() });
    assert!(!arrived.is_sorted());
    arrived.sort_unstable();
    assert_eq!(arrived, (0..COUNT).collect::<Vec<_>>());
}

#[test]
fn long_ones_are_lost() {
    assert_eq!(arrivals(5, &LinkFaults { mtu: 1, ..LinkFaults::calm() }), [0_u16; 0]);
}

#[test]
fn none_crosses_a_partition_or_finds_a_node_that_is_down() {
    let mut world = World::new(6);
    let a = world.add_node("a", "a:1", Puppet::start);
    let b = world.add_node("b", "b:1", Puppet::start);
    world.run_for(Duration::from_secs(1));
    let hello = Pull::Do(HostOutput::Datagram { to: "b:1".into(), bytes: b"hello".to_vec() });
    let arrived = |world: &mut World<Puppet>| {
        world.user(a, hello.clone());
        world.run_for(Duration::from_secs(1)).iter().filter(|happening| happening.node == b).count()
    };
    assert_eq!(arrived(&mut world), 1);
    world.partition(&[b], &[a]);
    assert_eq!(arrived(&mut world), 0);
    world.heal_all();
    assert_eq!(arrived(&mut world), 1);
    world.crash(b);
    assert_eq!(arrived(&mut world), 0);
}
