//! Who is there, and in which channel. Profile, Presence; PP-6.4a to PP-6.4c.

use crate::Fingerprint;
use std::collections::BTreeMap;
use std::time::Duration;
use waypost_core::Mono;

/// Something about somebody changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PresenceChange {
    /// Who.
    pub peer: Fingerprint,
    /// What.
    pub state: PresenceState,
    /// Why.
    pub reason: PresenceReason,
}

/// How somebody is now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PresenceState {
    /// There.
    Online,
    /// Not there any more.
    Offline,
    /// In the channel with this hash.
    Joined(u32),
    /// Not in it any more.
    Left(u32),
}

/// Why it changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PresenceReason {
    /// Something came from it.
    Seen,
    /// It said so.
    Leave,
    /// Nothing came for too long.
    Timeout,
}

/// What a token says about presence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sign {
    /// Anything but a leave.
    Life,
    /// A leave.
    Leave,
}

/// All that is known of presence.
#[derive(Default)]
pub(crate) struct Presence {
    peers: BTreeMap<Fingerprint, Peer>,
    offline: Duration,
}

#[derive(Default)]
struct Peer {
    online: bool,
    last_seen: Mono,
    leave_ts: Option<u64>,
    channels: BTreeMap<u32, Membership>,
}

#[derive(Default)]
struct Membership {
    member: bool,
    seen: Mono,
    last_ts: Option<u64>,
    leave_ts: Option<u64>,
}

impl Presence {
    pub(crate) fn new(offline: Duration) -> Self {
        Self { peers: BTreeMap::new(), offline }
    }

    /// A token of time `ts` on a channel.
    pub(crate) fn on_channel(
        &mut self,
        now: Mono,
        peer: Fingerprint,
        channel: u32,
        ts: u64,
        sign: Sign,
    ) -> Vec<PresenceChange> {
        let known = self.peers.entry(peer).or_default();
        let mut changes = Vec::new();
        let mut tell = |state, reason| changes.push(PresenceChange { peer, state, reason });
        if sign == Sign::Leave {
            let place = known.channels.entry(channel).or_default();
            if place.last_ts.is_none_or(|last| ts >= last) {
                place.leave_ts = place.leave_ts.max(Some(ts));
                if std::mem::take(&mut place.member) {
                    tell(PresenceState::Left(channel), PresenceReason::Leave);
                }
            }
            return changes;
        }
        if known.leave_ts.is_some_and(|leave| ts <= leave) {
            return changes;
        }
        known.last_seen = now;
        if !std::mem::replace(&mut known.online, true) {
            tell(PresenceState::Online, PresenceReason::Seen);
        }
        let place = known.channels.entry(channel).or_default();
        if place.leave_ts.is_none_or(|leave| ts > leave) {
            (place.last_ts, place.seen) = (place.last_ts.max(Some(ts)), now);
            if !std::mem::replace(&mut place.member, true) {
                tell(PresenceState::Joined(channel), PresenceReason::Seen);
            }
        }
        changes
    }

    /// A token of time `ts` in the inbox that is no leave.
    pub(crate) fn in_inbox(&mut self, now: Mono, peer: Fingerprint, ts: u64) -> Vec<PresenceChange> {
        match self.peers.get(&peer).and_then(|known| known.leave_ts) {
            Some(leave) if ts <= leave => Vec::new(),
            _ => self.alive(now, peer),
        }
    }

    /// A leave in the inbox that nothing newer contradicts: the peer is gone.
    pub(crate) fn left(&mut self, peer: Fingerprint, ts: u64) -> Vec<PresenceChange> {
        let known = self.peers.entry(peer).or_default();
        known.leave_ts = known.leave_ts.max(Some(ts));
        known.gone(peer, PresenceReason::Leave)
    }

    /// An authentic session message or ack.
    pub(crate) fn alive(&mut self, now: Mono, peer: Fingerprint) -> Vec<PresenceChange> {
        let known = self.peers.entry(peer).or_default();
        known.last_seen = now;
        let was = std::mem::replace(&mut known.online, true);
        let change = PresenceChange { peer, state: PresenceState::Online, reason: PresenceReason::Seen };
        if was { Vec::new() } else { vec![change] }
    }

    /// Time has passed.
    pub(crate) fn tick(&mut self, now: Mono) -> Vec<PresenceChange> {
        let mut changes = Vec::new();
        for (peer, known) in &mut self.peers {
            let silent = |since: Mono| now.since(since) > self.offline;
            for (channel, place) in &mut known.channels {
                if place.member && silent(place.seen) {
                    place.member = false;
                    let state = PresenceState::Left(*channel);
                    changes.push(PresenceChange { peer: *peer, state, reason: PresenceReason::Timeout });
                }
            }
            if known.online && silent(known.last_seen) {
                changes.extend(known.gone(*peer, PresenceReason::Timeout));
            }
        }
        changes
    }

    /// We have left a channel: who is in it is not ours to know any more.
    pub(crate) fn forget_channel(&mut self, channel: u32) -> Vec<PresenceChange> {
        let mut changes = Vec::new();
        for (peer, known) in &mut self.peers {
            if known.channels.remove(&channel).is_some_and(|place| place.member) {
                let state = PresenceState::Left(channel);
                changes.push(PresenceChange { peer: *peer, state, reason: PresenceReason::Leave });
            }
        }
        changes
    }

    pub(crate) fn is_online(&self, peer: &Fingerprint) -> bool {
        self.peers.get(peer).is_some_and(|known| known.online)
    }

    /// Channels a peer is in.
    pub(crate) fn channels(&self, peer: &Fingerprint) -> impl Iterator<Item = u32> {
        let channels = self.peers.get(peer).into_iter().flat_map(|known| &known.channels);
        channels.filter(|(_, place)| place.member).map(|(channel, _)| *channel)
    }

    pub(crate) fn forget(&mut self, peer: &Fingerprint) {
        self.peers.remove(peer);
    }

    /// When [`Presence::tick`] has something to tell: just after the silence became too long.
    pub(crate) fn due(&self) -> Option<Mono> {
        let seen = |known: &Peer| {
            let members = known.channels.values().filter(|place| place.member).map(|place| place.seen);
            members.chain(known.online.then_some(known.last_seen)).min()
        };
        let first = self.peers.values().filter_map(seen).min()?;
        Some(first.after(self.offline + Duration::from_millis(1)))
    }
}

impl Peer {
    /// Not there any more, nor in any channel.
    fn gone(&mut self, peer: Fingerprint, reason: PresenceReason) -> Vec<PresenceChange> {
        let mut changes = Vec::new();
        for (channel, place) in &mut self.channels {
            if std::mem::take(&mut place.member) {
                changes.push(PresenceChange { peer, state: PresenceState::Left(*channel), reason });
            }
        }
        if std::mem::take(&mut self.online) {
            changes.push(PresenceChange { peer, state: PresenceState::Offline, reason });
        }
        changes
    }
}
