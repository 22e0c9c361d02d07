//! Streams, dials, clocks and partitions.

use crate::toy::{Pull, Puppet};
use std::time::Duration;
use waypost_core::Mono;
use waypost_testkit::sim::{HostInput, HostOutput, LinkFaults, NodeFaults, NodeId, StreamId, World};

const SOON: Duration = Duration::from_secs(1);
const LATER: Duration = Duration::from_secs(60);

const NOTHING: [u8; 0] = [];

fn pair(seed: u64) -> (World<Puppet>, NodeId, NodeId) {
    let mut world = World::new(seed);
    let a = world.add_node("a", "a:1", Puppet::start);
    let b = world.add_node("b", "b:1", Puppet::start);
    world.run_for(SOON);
    (world, a, b)
}

/// Connects and gives the ends of both.
fn connect(world: &mut World<Puppet>, a: NodeId) -> (StreamId, StreamId) {
    world.user(a, Pull::Do(HostOutput::Dial { dial: 7, to: "b:1".into() }));
    let (mut ours, mut theirs) = (None, None);
    world.run_until_event("a connection", SOON, |happening| {
        match happening.event.1 {
            HostInput::Connected { dial, stream } => {
                assert_eq!(dial, 7);
                ours = Some(stream);
            }
            HostInput::Accepted { stream, .. } => theirs = Some(stream),
            _ => {}
        }
        ours.is_some()
    });
    (ours.unwrap(), theirs.unwrap())
}

fn send(world: &mut World<Puppet>, node: NodeId, stream: StreamId, bytes: &[u8]) {
    world.user(node, Pull::Do(HostOutput::Send { stream, bytes: bytes.to_vec() }));
}

/// All bytes that `node` is given, the number of pieces, and whether the stream ended.
fn received(world: &mut World<Puppet>, node: NodeId, time: Duration) -> (Vec<u8>, usize, bool) {
    let (mut all, mut pieces, mut closed) = (Vec::new(), 0, false);
    for happening in world.run_for(time) {
        match happening.event.1 {
            HostInput::Data { bytes, .. } if happening.node == node => {
                assert!(!closed && !bytes.is_empty());
                all.extend(bytes);
                pieces += 1;
            }
            HostInput::Closed { .. } if happening.node == node => closed = true,
            _ => {}
        }
    }
    (all, pieces, closed)
}

#[test]
fn a_stream_brings_all_bytes_in_order_in_odd_pieces() {
    for seed in 0..50 {
        let (mut world, a, b) = pair(seed);
        let (ours, theirs) = connect(&mut world, a);
        let sent: Vec<u8> = (0..20_000_u32).map(|n| n as u8).collect();
        sent.chunks(1_000).for_each(|chunk| send(&mut world, a, ours, chunk));
        world.user(a, Pull::Do(HostOutput::Close { stream: ours }));
        let (bytes, pieces, closed) = received(&mut world, b, SOON);
        assert!(bytes == sent && closed);
        assert!(pieces > 20, "{pieces}");
        send(&mut world, b, theirs, b"too late");
        assert_eq!(received(&mut world, a, SOON), (vec![], 0, false));
    }
}

#[test]
fn an_instant_link_keeps_what_is_sent_together_and_takes_no_time() {
    let (mut world, a, b) = pair(1);
    world.set_link(a, b, LinkFaults::instant());
    let (ours, _) = connect(&mut world, a);
    let before = world.now();
    send(&mut world, a, ours, &[1; 5_000]);
    let events = world.run_for(SOON);
    assert_eq!(events.len(), 1);
    assert_eq!(events[0].at, before);
    assert!(matches!(&events[0].event.1, HostInput::Data { bytes, .. } if *bytes == [1; 5_000]));
    assert_eq!(events[0].node, b);
}

#[test]
fn a_dial_fails_where_nobody_listens() {
    let (mut world, a, b) = pair(2);
    let dial = |world: &mut World<Puppet>, to: &str| {
        let before = world.now();
        world.user(a, Pull::Do(HostOutput::Dial { dial: 3, to: to.into() }));
        let events = world.run_until_event("an answer", LATER, |happening| happening.node == a);
        let answer = events.last().unwrap();
        (matches!(answer.event.1, HostInput::DialFailed { dial: 3 }), answer.at.since(before))
    };
    assert!(dial(&mut world, "nowhere:1").0);
    assert!(dial(&mut world, "b:2").0);
    assert!(!dial(&mut world, "b:1").0);
    world.set_listening(b, false);
    assert!(dial(&mut world, "b:1").0);
    world.set_listening(b, true);
    let partition = world.partition(&[a], &[b]);
    let (failed, took) = dial(&mut world, "b:1");
    assert!(failed && took >= Duration::from_secs(5), "{took:?}");
    world.heal(partition);
    assert!(!dial(&mut world, "b:1").0);
    world.crash(b);
    assert!(dial(&mut world, "b:1").0);
}

#[test]
fn a_partition_holds_bytes_back_until_it_is_healed() {
    for seed in 0..50 {
        let (mut world, a, b) = pair(seed);
        let (ours, _) = connect(&mut world, a);
        let parted = world.partition(&[a], &[b]);
        let other = world.partition(&[b], &[a]);
        (0..10).for_each(|n| send(&mut world, a, ours, &[n; 10]));
        assert_eq!(received(&mut world, b, LATER).0, NOTHING);
        world.heal(parted);
        assert_eq!(received(&mut world, b, LATER).0, NOTHING, "one partition still stands");
        world.heal(other);
        send(&mut world, a, ours, &[10; 10]);
        let (bytes, _, closed) = received(&mut world, b, SOON);
        assert!(!closed);
        assert_eq!(bytes, (0..11).flat_map(|n| [n; 10]).collect::<Vec<_>>());
    }
}

#[test]
fn a_broken_stream_brings_a_beginning_of_what_was_sent() {
    type Set = fn(&mut LinkFaults);
    let faults: [(&str, Set); 3] = [
        ("reset of stream", |link| link.reset = 0.3),
        ("end within stream", |link| link.eof = 0.3),
        ("half-open stream", |link| link.half_open = 0.3),
    ];
    for (what, set) in faults {
        let mut shorter = 0;
        for seed in 0..50 {
            let (mut world, a, b) = pair(seed);
            let mut link = LinkFaults::calm();
            set(&mut link);
            world.set_link(a, b, link);
            let (ours, _) = connect(&mut world, a);
            let sent: Vec<u8> = (0..100_u8).collect();
            sent.chunks(5).for_each(|chunk| send(&mut world, a, ours, chunk));
            let events = world.run_for(LATER);
            let mut got: Vec<u8> = Vec::new();
            for happening in events.iter().filter(|happening| happening.node == b) {
                if let HostInput::Data { bytes, .. } = &happening.event.1 {
                    got.extend(bytes);
                }
            }
            let told =
                |node| events.iter().any(|seen| seen.node == node && matches!(seen.event.1, HostInput::Closed { .. }));
            assert_eq!(got, sent[..got.len()], "{what}, seed {seed}");
            assert_eq!(told(b), world.count(what) > 0, "{what}, seed {seed}");
            shorter += usize::from(got.len() < sent.len());
        }
        assert!(shorter > 25, "{what}: {shorter}");
    }
}

#[test]
fn who_sends_on_a_half_open_stream_learns_that_it_is_gone() {
    let (mut world, a, b) = pair(3);
    let (ours, _) = connect(&mut world, a);
    world.set_link(a, b, LinkFaults { half_open: 1.0, ..LinkFaults::calm() });
    send(&mut world, a, ours, b"cut");
    assert_eq!(received(&mut world, a, LATER), (vec![], 0, false));
    send(&mut world, a, ours, b"anybody there?");
    assert_eq!(received(&mut world, a, SOON), (vec![], 0, true));
}

#[test]
fn a_silent_stream_brings_nothing_and_tells_nobody() {
    let (mut world, a, b) = pair(4);
    let (ours, theirs) = connect(&mut world, a);
    world.set_link(a, b, LinkFaults { silence: 1.0, ..LinkFaults::calm() });
    send(&mut world, a, ours, b"one");
    send(&mut world, b, theirs, b"two");
    world.user(b, Pull::Do(HostOutput::Close { stream: theirs }));
    assert_eq!(world.run_for(LATER).len(), 0);
}

#[test]
fn a_stalled_stream_goes_on_later() {
    let (mut world, a, b) = pair(5);
    let (ours, _) = connect(&mut world, a);
    world.set_link(a, b, LinkFaults { stall: 1.0, stall_lasts: 5_000..=5_000, ..LinkFaults::calm() });
    send(&mut world, a, ours, b"slow");
    assert_eq!(received(&mut world, b, Duration::from_millis(4_999)).0, NOTHING);
    assert_eq!(received(&mut world, b, SOON).0, b"slow");
}

#[test]
fn the_peer_of_a_crashed_node_learns_it_unless_the_power_failed() {
    for power_cut in [0.0, 1.0] {
        let (mut world, a, b) = pair(6);
        world.set_node(b, NodeFaults { power_cut, ..NodeFaults::none() });
        let (ours, _) = connect(&mut world, a);
        world.crash(b);
        assert_eq!(received(&mut world, a, LATER).2, power_cut == 0.0);
        if power_cut == 1.0 {
            send(&mut world, a, ours, b"hello?");
            assert!(!received(&mut world, a, LATER).2, "nobody is there to answer");
            world.restart(b);
            assert!(received(&mut world, a, SOON).2);
        }
    }
}

#[test]
fn ticks_come_when_due_and_only_the_last_one_asked_for() {
    let (mut world, a, _) = pair(7);
    let start = world.now();
    for millis in [5_000, 3_000, 3_000] {
        world.user(a, Pull::Wake(start.after(Duration::from_millis(millis))));
    }
    let ticks = world.run_for(LATER);
    assert_eq!(ticks.len(), 1);
    assert_eq!(ticks[0].at, start.after(Duration::from_secs(3)));
}

#[test]
fn clocks_start_anew_with_the_node_and_the_wall_clock_may_be_wrong() {
    let (mut world, a, b) = pair(8);
    let wall = world.now_at(b).wall;
    world.set_skew(a, -86_400_000);
    assert_eq!(wall.since(world.now_at(a).wall), Duration::from_secs(86_400));
    world.crash(a);
    world.restart_after(a, Duration::from_millis(500));
    let events = world.run_for(SOON);
    assert_eq!(events.len(), 1);
    assert_eq!(events[0].event.0.mono, Mono::from_millis(0));
    world.user(a, Pull::Wake(Mono::from_millis(2_000)));
    assert_eq!(world.run_for(LATER)[0].event.0.mono, Mono::from_millis(2_000));
}

#[test]
#[should_panic(expected = "not within 1s: a miracle")]
fn waiting_for_what_does_not_come_fails() {
    pair(9).0.run_until_event("a miracle", SOON, |_| false);
}
