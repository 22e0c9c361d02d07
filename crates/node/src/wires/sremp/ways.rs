//! Ways to people: which connection is opened when, directly or to a relay.
//!
//! ```text
//! want(peer) ──> search: Selection (profile, Selection) ──> a connection to the peer
//!                                                       └─> StoreBy: a relay of the peer
//!                                                       └─> nothing: another search after a pause
//! stored     ──> direct searches at 10 s, 60 s, then each 5 min, while letters wait at a relay
//! ```
//! Connections to relays are shared: many peers may have their mailboxes at one ([`relays`]).

mod at_relays;
mod relays;
mod search;

use rand_core::CryptoRng;
use relays::Relays;
use search::Search;
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;
use waypost_core::{ContactId, Mono, SrempAddress};
use waypost_sremp::connection::Dialled;
use waypost_sremp::endpoint::Learned;
use waypost_sremp::select::{DirectRetries, SelectionInput, SelectionOutput, Way};
use waypost_sremp::{CloseReason, ErrorCode, LinkId, x25519::PublicKey};

/// First pause; doubles. Profile, Connection: full-jitter backoff 1 s * 2^n, cap 5 min.
const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(300);
/// A connection that broke sooner than this counts as a failed attempt.
const STABLE: Duration = Duration::from_secs(10);
/// A pause after a broken connection that all ways may wait for: the direct way is better than a relay.
const BEARABLE: Duration = Duration::from_secs(1);
/// How long a relay that refused letters for a peer is not asked again for that peer.
const REFUSED: Duration = Duration::from_secs(600);

/// How long a relay stays the way to a peer when no letter goes by it.
const IDLE: Duration = Duration::from_secs(600);

/// What is known about reaching a peer when a search begins.
#[derive(Clone, Debug, Default)]
pub(super) struct Target {
    /// Where it may be, best first.
    pub(super) candidates: Vec<Candidate>,
    /// The Noise key it must show.
    pub(super) pin: Option<PublicKey>,
    /// Where its mailboxes are, best first.
    pub(super) relays: Vec<RelayAt>,
    /// It wishes letters by relay rather than connections (SREMP 3.1, flag `prefers_async`).
    pub(super) prefers_async: bool,
}

/// Where somebody may be, and from whom that is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Candidate {
    pub(super) at: SrempAddress,
    pub(super) learned: Learned,
}

/// A relay: where it is and which keys must answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RelayAt {
    pub(super) identity: ContactId,
    pub(super) at: SrempAddress,
    pub(super) pin: Option<PublicKey>,
    pub(super) learned: Learned,
}

/// What is to be done.
#[derive(Debug)]
pub(super) enum WayOutput {
    /// Open a connection.
    Dial { link: LinkId, to: SrempAddress, learned: Learned, dialled: Dialled },
    /// End a connection or an attempt.
    Close(LinkId),
    /// Letters for the peer go by this relay connection.
    StoreBy { peer: ContactId, link: LinkId },
    /// A relay could not be reached.
    RelayUnreachable(ContactId),
    /// A search ended without a way.
    NoWay(ContactId),
}

/// Why a contact's time has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// Letters wait: any way is good.
    Search,
    /// Letters wait at a relay: try directly.
    Direct,
}

/// All ways under way or planned.
#[derive(Default)]
pub(super) struct Ways {
    peers: BTreeMap<ContactId, Peer>,
    relays: Relays,
    direct: BTreeMap<LinkId, (ContactId, usize)>,
    next: u64,
    out: VecDeque<WayOutput>,
}

#[derive(Default)]
struct Peer {
    search: Option<Search>,
    /// The relay by which its letters go now, and when the last one did.
    storing: Option<(ContactId, Mono)>,
    /// Relays that refused its letters, and until when they are not asked.
    refused: BTreeMap<ContactId, Mono>,
    /// The timetable of direct tries while letters wait at a relay.
    retries: Option<DirectRetries>,
    /// Searches that failed one after the other.
    rounds: u32,
    /// No search before this.
    not_before: Mono,
    /// Somebody waits for the next search.
    wanted: bool,
    /// When the last connection was ready.
    up: Option<Mono>,
    /// Connections broke soon after they were ready: no direct try before this, but relays are asked.
    unstable_until: Mono,
    /// Wrong keys answer where it should be: no direct try until the contact changes.
    stopped: bool,
}

impl Ways {
    /// Whether a search could begin now: what it needs to know is then worth gathering.
    pub(super) fn may_search(&mut self, now: Mono, rng: &mut dyn CryptoRng, peer: &ContactId) -> bool {
        let known = self.peers.entry(*peer).or_default();
        if known.search.is_some() || known.storing.is_some() {
            return false;
        }
        if let Some(up) = known.up.take() {
            if now.since(up) >= STABLE {
                known.rounds = 0;
            } else {
                let until = now.after(jittered(pause(known.rounds), rng));
                known.rounds = known.rounds.saturating_add(1);
                // A long pause is not to hold up letters that a relay would take.
                match until.since(now) > BEARABLE {
                    true => known.unstable_until = until,
                    false => known.not_before = until,
                }
            }
        }
        known.wanted = now < known.not_before;
        !known.wanted
    }

    /// Looks for a way to a peer; [`Ways::may_search`] said yes.
    pub(super) fn search(&mut self, now: Mono, rng: &mut dyn CryptoRng, peer: ContactId, target: Target) {
        let Some(known) = self.peers.get_mut(&peer) else { return };
        known.refused.retain(|_, until| *until > now);
        let relays = target.relays.into_iter();
        let relays: Vec<RelayAt> = relays.filter(|relay| !known.refused.contains_key(&relay.identity)).collect();
        let unstable = now < known.unstable_until;
        if unstable && relays.is_empty() {
            (known.wanted, known.not_before) = (true, known.unstable_until);
            return;
        }
        let candidates = if known.stopped || unstable { Vec::new() } else { target.candidates };
        let target = Target { candidates, relays, ..target };
        if target.candidates.is_empty() && target.relays.is_empty() {
            return;
        }
        known.search = Some(Search::new(now, target));
        self.settle(now, rng, peer);
    }

    /// Tries a peer directly while its letters wait at a relay.
    pub(super) fn search_directly(&mut self, now: Mono, rng: &mut dyn CryptoRng, peer: ContactId, target: Target) {
        let Some(known) = self.peers.get_mut(&peer) else { return };
        if known.search.is_some() || known.stopped || target.candidates.is_empty() {
            return;
        }
        let target = Target { relays: Vec::new(), prefers_async: false, ..target };
        known.search = Some(Search::new(now, target));
        self.settle(now, rng, peer);
    }

    /// A rendezvous server said where a peer is.
    pub(super) fn found(&mut self, now: Mono, rng: &mut dyn CryptoRng, peer: ContactId, candidate: Candidate) {
        let known = self.peers.get_mut(&peer);
        if let Some(search) = known.and_then(|known| known.search.as_mut()) {
            search.add(now, candidate);
            self.settle(now, rng, peer);
        }
    }

    /// A connection to a peer is ready, whoever opened it. Gives the address that worked, if this side did.
    pub(super) fn ready(
        &mut self,
        now: Mono,
        rng: &mut dyn CryptoRng,
        link: LinkId,
        peer: ContactId,
        own: ContactId,
    ) -> Option<SrempAddress> {
        let ours = self.direct.remove(&link);
        let known = self.peers.entry(peer).or_default();
        (known.up, known.wanted, known.storing, known.retries) = (Some(now), false, None, None);
        let at = ours.and_then(|(_, index)| known.search.as_mut()?.won(index));
        if let Some((_, index)) = ours {
            self.report(now, rng, peer, SelectionInput::DirectReady(index));
        }
        // Whatever is still tried is not needed. But if both dialled at once, the connection that stays is the
        // one of the lower key (profile, Selection): its owner must not give it up for the other's.
        if let Some(search) = self.peers.get_mut(&peer).and_then(|known| known.search.take()) {
            let keeps_dialling = ours.is_none() && own < peer;
            self.abandon(now, peer, search, keeps_dialling);
        }
        at
    }

    /// A connection or an attempt ended.
    pub(super) fn closed(&mut self, now: Mono, rng: &mut dyn CryptoRng, link: LinkId, reason: CloseReason) {
        if let Some((peer, index)) = self.direct.remove(&link) {
            if matches!(reason, CloseReason::Local(ErrorCode::NoiseKeyMismatch))
                && let Some(known) = self.peers.get_mut(&peer)
            {
                known.stopped = true;
            }
            self.report(now, rng, peer, SelectionInput::DirectFailed(index));
        } else if let Some(relay) = self.relays.closed(now, rng, link) {
            self.relay_lost(now, rng, relay);
        }
    }

    /// Who is dialled by an attempt.
    pub(super) fn dialled_peer(&self, link: LinkId) -> Option<ContactId> {
        self.direct.get(&link).map(|(peer, _)| *peer)
    }

    /// Starts afresh with a contact: its addresses or keys changed.
    pub(super) fn forget(&mut self, now: Mono, peer: &ContactId) {
        if let Some(search) = self.peers.remove(peer).and_then(|known| known.search) {
            self.abandon(now, *peer, search, false);
        }
    }

    /// A letter was stored for a peer: direct tries follow the timetable.
    pub(super) fn stored(&mut self, now: Mono, rng: &mut dyn CryptoRng, peer: ContactId) {
        let known = self.peers.entry(peer).or_default();
        known.rounds = 0;
        if let Some((_, last)) = &mut known.storing {
            *last = now;
        }
        known.start_retries(now, rng);
    }

    /// No letter of this peer waits at a relay any more. Direct tries go on while letters still go that way,
    /// for they are not to do so for ever. Gives whether to try now.
    pub(super) fn collected(&mut self, peer: &ContactId) -> bool {
        let Some(known) = self.peers.get_mut(peer) else { return false };
        if known.storing.is_none() {
            known.retries = None;
        }
        known.storing.is_some()
    }

    /// The connection by which a peer's letters go to a relay.
    pub(super) fn storing_link(&self, peer: &ContactId) -> Option<LinkId> {
        let (relay, _) = self.peers.get(peer)?.storing?;
        self.relays.ready_link(&relay)
    }

    /// A relay does not take letters for a peer: another one is looked for.
    pub(super) fn store_refused(&mut self, now: Mono, peer: ContactId, relay: ContactId) {
        let known = self.peers.entry(peer).or_default();
        known.refused.insert(relay, now.after(REFUSED));
        if known.stores_at(&relay) {
            known.storing = None;
        }
        self.relays.leave(now, &relay, &peer);
    }

    /// Contacts whose time has come.
    pub(super) fn due(&mut self, now: Mono, rng: &mut dyn CryptoRng) -> Vec<(ContactId, Due)> {
        let ticking: Vec<ContactId> =
            self.peers.iter().filter(|(_, known)| known.search_due(now)).map(|(peer, _)| *peer).collect();
        for peer in ticking {
            self.report(now, rng, peer, SelectionInput::Tick);
        }
        let mut due = Vec::new();
        for (peer, known) in &mut self.peers {
            if known.wanted && known.not_before <= now {
                known.wanted = false;
                due.push((*peer, Due::Search));
            }
            if let Some(retries) = known.retries.as_mut().filter(|retries| retries.due() <= now) {
                retries.tried(now, &mut &mut *rng);
                due.push((*peer, Due::Direct));
            }
        }
        self.end_idle(now);
        self.relays.tick(now);
        self.open_relays(now);
        due
    }

    /// When [`Ways::due`] is to be called.
    pub(super) fn poll_timeout(&self) -> Option<Mono> {
        let peers = self.peers.values().filter_map(Peer::next);
        peers.chain(self.relays.poll_timeout()).min()
    }

    /// The next thing to do.
    pub(super) fn poll(&mut self) -> Option<WayOutput> {
        self.out.pop_front()
    }

    /// The next letter after a long pause looks for the best way anew.
    fn end_idle(&mut self, now: Mono) {
        for (peer, known) in &mut self.peers {
            if let Some((relay, _)) = known.storing.take_if(|(_, last)| last.after(IDLE) <= now) {
                self.relays.leave(now, &relay, peer);
            }
        }
    }

    fn report(&mut self, now: Mono, rng: &mut dyn CryptoRng, peer: ContactId, input: SelectionInput) {
        if let Some(search) = self.peers.get_mut(&peer).and_then(|known| known.search.as_mut()) {
            search.report(now, input);
            self.settle(now, rng, peer);
        }
    }

    /// Carries out what the search for a peer decides.
    fn settle(&mut self, now: Mono, rng: &mut dyn CryptoRng, peer: ContactId) {
        while let Some(search) = self.peers.get_mut(&peer).and_then(|known| known.search.as_mut()) {
            let Some(output) = search.poll() else { return };
            match output {
                SelectionOutput::Dial(index) => {
                    let Some((candidate, pin)) = search.candidate(index) else { continue };
                    let link = self.fresh_link();
                    self.direct.insert(link, (peer, index));
                    let dialled = Dialled { identity: Some(peer), pin };
                    let Candidate { at, learned } = candidate;
                    self.out.push_back(WayOutput::Dial { link, to: at, learned, dialled });
                }
                SelectionOutput::CancelDial(index) => self.cancel_dial(peer, index),
                SelectionOutput::DialRelay(index) => {
                    let Some(relay) = search.relay(index) else { continue };
                    let identity = relay.identity;
                    // One that answers already is ready at once.
                    if self.relays.join(now, relay, peer) {
                        self.report_relay(now, &peer, &identity, SelectionInput::RelayReady);
                    }
                    self.open_relays(now);
                }
                SelectionOutput::RelayTimedOut(index) => {
                    let Some(relay) = search.relay(index).map(|relay| relay.identity) else { continue };
                    self.out.push_back(WayOutput::RelayUnreachable(relay));
                    self.relays.leave(now, &relay, &peer);
                }
                SelectionOutput::CancelRelay(index) => {
                    let Some(relay) = search.relay(index).map(|relay| relay.identity) else { continue };
                    self.relays.leave(now, &relay, &peer);
                }
                SelectionOutput::Done(way) => self.decided(now, rng, peer, way),
            }
        }
    }

    fn decided(&mut self, now: Mono, rng: &mut dyn CryptoRng, peer: ContactId, way: Way) {
        let Some(known) = self.peers.get_mut(&peer) else { return };
        let Some(search) = known.search.take() else { return };
        match way {
            Way::Direct(_) => {}
            Way::Relay(index) => {
                let Some(relay) = search.relay(index).map(|relay| relay.identity) else { return };
                let Some(link) = self.relays.ready_link(&relay) else { return };
                known.storing = Some((relay, now));
                // A relay that has no room must not end the search for a direct way.
                known.start_retries(now, rng);
                self.out.push_back(WayOutput::StoreBy { peer, link });
            }
            // A direct try beside a relay that has the letters: the timetable says when the next is.
            Way::Outbox if known.storing.is_some() || known.retries.is_some() && search.has_no_relays() => {}
            Way::Outbox => {
                known.not_before = now.after(jittered(pause(known.rounds), rng));
                known.rounds = known.rounds.saturating_add(1);
                known.wanted = true;
                self.out.push_back(WayOutput::NoWay(peer));
            }
        }
    }

    /// Ends a search that is not needed any more.
    fn abandon(&mut self, now: Mono, peer: ContactId, search: Search, keeps_dialling: bool) {
        for relay in search.relays() {
            self.relays.leave(now, &relay.identity, &peer);
        }
        if keeps_dialling {
            return;
        }
        let links: Vec<LinkId> =
            self.direct.iter().filter(|(_, (dialled, _))| *dialled == peer).map(|(link, _)| *link).collect();
        for link in links {
            self.direct.remove(&link);
            self.out.push_back(WayOutput::Close(link));
        }
    }

    fn cancel_dial(&mut self, peer: ContactId, index: usize) {
        let link = self.direct.iter().find(|(_, attempt)| **attempt == (peer, index)).map(|(link, _)| *link);
        if let Some(link) = link {
            self.direct.remove(&link);
            self.out.push_back(WayOutput::Close(link));
        }
    }

    fn fresh_link(&mut self) -> LinkId {
        // Even numbers are those of connections opened by this side.
        self.next += 2;
        LinkId(self.next)
    }
}

impl Peer {
    fn start_retries(&mut self, now: Mono, rng: &mut dyn CryptoRng) {
        if self.retries.is_none() {
            self.retries = Some(DirectRetries::new(now, &mut &mut *rng));
        }
    }

    fn stores_at(&self, relay: &ContactId) -> bool {
        self.storing.is_some_and(|(at, _)| at == *relay)
    }

    fn search_due(&self, now: Mono) -> bool {
        self.search.as_ref().and_then(Search::poll_timeout).is_some_and(|due| due <= now)
    }

    fn next(&self) -> Option<Mono> {
        let search = self.search.as_ref().and_then(Search::poll_timeout);
        let wanted = self.wanted.then_some(self.not_before);
        let retry = self.retries.as_ref().map(DirectRetries::due);
        let idle = self.storing.map(|(_, last)| last.after(IDLE));
        [search, wanted, retry, idle].into_iter().flatten().min()
    }
}

/// Full jitter: any time up to the bound.
fn jittered(bound: Duration, rng: &mut dyn CryptoRng) -> Duration {
    let bound = u64::try_from(bound.as_millis()).unwrap_or(u64::MAX).max(1);
    Duration::from_millis(rng.next_u64() % bound)
}

fn pause(rounds: u32) -> Duration {
    (FIRST * 2u32.saturating_pow(rounds.min(9))).min(LONGEST)
}
