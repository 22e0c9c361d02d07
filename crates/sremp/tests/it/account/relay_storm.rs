//! Everything goes wrong at random between two accounts that have relays, one of which dies for good.

use super::town::{ADA, BOB, End, Town};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use waypost_core::{ContactId, LetterId};
use waypost_sremp::{
    LinkId,
    account::{Event, Input},
    relay::Policy,
};
use waypost_testkit::sim::Counts;
use waypost_testkit::storm;

const STEPS: u32 = 150;
/// The relay that is gone in the end; Bob has another one.
const MORTAL: usize = 2;
const MINUTE: Duration = Duration::from_secs(60);

#[test]
fn storm_accounts_with_relays_lose_no_letter_and_show_none_twice() {
    storm::run("two accounts and three relays", 8, run);
}

/// What a node would know beside its account.
struct Storm {
    town: Town,
    rng: ChaCha8Rng,
    counts: Counts,
    dead: bool,
    direct: Option<LinkId>,
    seen_events: [usize; 2],
}

fn run(seed: u64) -> Counts {
    // 500 letters a minute are not what is tried here.
    let policy = Policy { sender_messages: 1000, rate_store: 1000, ..Policy::default() };
    let town = Town::new(9000 + seed, &policy, [&[0], &[1, MORTAL]]);
    let rng = ChaCha8Rng::seed_from_u64(seed);
    let mut storm = Storm { town, rng, counts: Counts::new(), dead: false, direct: None, seen_events: [0; 2] };
    let mut written: [BTreeMap<LetterId, String>; 2] = Default::default();
    let mut pending: [Vec<(LetterId, String)>; 2] = Default::default();
    let mut restored = false;
    for step in 0..STEPS {
        let who = storm.rng.random_range(0..2);
        match storm.rng.random_range(0..100) {
            0..20 => {
                let text = format!("{step} {}", "x".repeat(if storm.rng.random_bool(0.1) { 14_000 } else { 10 }));
                let id = storm.town.write(who, &text);
                pending[who].push((id, text));
            }
            20..60 => (0..8).for_each(|_| storm.pass_one()),
            60..70 => {
                let most = if storm.rng.random_bool(0.1) { 4_000_000 } else { 20_000 };
                let millis = storm.rng.random_range(1..most);
                storm.town.tick_to(Duration::from_millis(millis));
            }
            70..78 => storm.visit(who),
            78..84 => storm.store_somewhere(who),
            84..87 => storm.meet(),
            87..90 => {
                let links: Vec<_> = storm.town.links.keys().copied().collect();
                if !links.is_empty() {
                    let link = links[storm.rng.random_range(0..links.len())];
                    storm.hang_up(link);
                    storm.count("broken connections");
                }
            }
            90..93 => {
                storm.crash(who);
                pending[who].clear();
                storm.count("crashes of an account");
            }
            93..95 => {
                let relay = storm.rng.random_range(0..3);
                storm.town.crash_relay(relay);
                storm.count("crashes of a relay");
            }
            95 if !restored => {
                restored = true;
                storm.town.sides[who].restore();
                storm.crash(who);
                pending[who].clear();
                storm.count("restored backups");
            }
            96 if !storm.dead => {
                storm.dead = true;
                storm.town.isolate(End::Relay(MORTAL));
                storm.count("relays that died");
            }
            _ => {
                let side = &mut storm.town.sides[who];
                side.saves = !side.saves;
            }
        }
        storm.answer_events();
        for (side, (pending, written)) in storm.town.sides.iter_mut().zip(pending.iter_mut().zip(&mut written)) {
            if side.saves {
                side.save();
                written.extend(pending.drain(..));
            }
        }
    }
    for (side, (pending, written)) in storm.town.sides.iter_mut().zip(pending.iter_mut().zip(&mut written)) {
        side.saves = true;
        side.save();
        written.extend(pending.drain(..));
    }
    storm.calm();
    storm.judge(&written);
    storm.counts
}

impl Storm {
    fn count(&mut self, what: &'static str) {
        *self.counts.entry(what).or_default() += 1;
    }

    fn pass_one(&mut self) {
        self.town.collect();
        let Some((to, link, message)) = self.town.wire.pop_front() else { return };
        // A connection keeps the order of what it carries: what is lost is lost with it.
        if self.rng.random_range(0..60) == 0 {
            self.hang_up(link);
            self.count("connections broken by a message");
        } else {
            self.town.deliver(to, link, message);
        }
    }

    fn hang_up(&mut self, link: LinkId) {
        self.direct = self.direct.filter(|direct| *direct != link);
        self.town.hang_up(link);
    }

    fn crash(&mut self, who: usize) {
        self.direct = None;
        self.town.crash(who);
        self.seen_events[who] = self.town.sides[who].events.len();
    }

    fn is_up(&self, relay: usize) -> bool {
        !(self.dead && relay == MORTAL)
    }

    fn link_to(&self, who: usize, relay: usize) -> Option<LinkId> {
        self.town.links.iter().find(|(_, ends)| **ends == (who, End::Relay(relay))).map(|(link, _)| *link)
    }

    fn connected(&mut self, who: usize, relay: usize) -> LinkId {
        match self.link_to(who, relay) {
            Some(link) => link,
            None => self.town.visit(who, relay),
        }
    }

    /// Looks into one of the own mailboxes.
    fn visit(&mut self, who: usize) {
        let homes = self.town.homes[who].clone();
        let relay = homes[self.rng.random_range(0..homes.len())];
        if self.is_up(relay) {
            self.connected(who, relay);
        }
    }

    fn store_somewhere(&mut self, who: usize) {
        let homes = self.town.homes[1 - who].clone();
        let relay = homes[self.rng.random_range(0..homes.len())];
        if self.is_up(relay) {
            let link = self.connected(who, relay);
            self.town.store_by(who, link);
        }
    }

    fn meet(&mut self) {
        if self.direct.is_none() && self.town.sides.iter().all(|side| side.saves) {
            self.direct = Some(self.town.meet());
        }
    }

    /// As a node does when a relay is wanted.
    fn answer_events(&mut self) {
        for who in [ADA, BOB] {
            let events = self.town.sides[who].events.split_off(self.seen_events[who]);
            self.town.sides[who].events.extend(events.iter().cloned());
            self.seen_events[who] = self.town.sides[who].events.len();
            for event in events {
                match event {
                    Event::NeedRelay { relay, .. } => self.need_relay(who, relay),
                    Event::Offline(_) => self.direct = None,
                    _ => {}
                }
            }
        }
    }

    fn need_relay(&mut self, who: usize, relay: ContactId) {
        let place = self.town.relays.iter().position(|known| known.id() == relay).unwrap();
        if self.is_up(place) {
            self.connected(who, place);
        } else {
            self.town.sides[who].give(Input::RelayUnreachable { relay });
            self.count("relays found dead");
        }
    }

    /// Without a direct connection, for long enough that every pause is over.
    fn calm(&mut self) {
        self.dead = true;
        self.town.isolate(End::Side(ADA));
        self.town.isolate(End::Side(BOB));
        self.direct = None;
        for _ in 0..60 {
            for (who, relay) in [(ADA, 0), (BOB, 1)] {
                self.connected(who, relay);
            }
            for (who, relay) in [(ADA, 1), (BOB, 0)] {
                let link = self.connected(who, relay);
                self.town.store_by(who, link);
            }
            self.answer_events();
            self.town.wait(31 * MINUTE);
            self.answer_events();
        }
    }

    fn judge(&mut self, written: &[BTreeMap<LetterId, String>; 2]) {
        for (from, to) in [(ADA, BOB), (BOB, ADA)] {
            let (side, there) = (&self.town.sides[from], &self.town.sides[to].inbox);
            for (id, text) in &written[from] {
                assert_eq!(
                    there.get(id).and_then(|letter| letter.body.text()),
                    Some(text.as_str()),
                    "a letter is lost"
                );
            }
            let delivered: BTreeSet<_> = side.delivered().into_iter().collect();
            assert!(delivered.iter().all(|id| there.contains_key(id)), "said to be delivered");
            assert!(written[from].keys().all(|id| delivered.contains(id)), "and not said to be delivered");
            assert_eq!(side.undeliverable(), []);
            assert!(!self.town.waits(from));
            *self.counts.entry("letters delivered").or_default() += there.len() as u64;
            *self.counts.entry("letters stored").or_default() += self.town.stored(from).len() as u64;
        }
    }
}
