//! The network of a world: dials, streams, datagrams, partitions.

use crate::{
    SimRng,
    sim::{
        Addr, Host, HostInput, LinkFaults, NodeId, StreamId, World,
        link::{End, Piece},
        queue::{Action, Life},
        run::Luck as _,
        trace::Detail,
    },
};
use rand::RngExt as _;
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

/// The first of the ports that diallers come from.
const EPHEMERAL: u16 = 49_152;
/// A datagram that is late takes up to so many times the longest latency.
const LATE: u64 = 10;

/// A partition to be healed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartitionId(u64);

pub(super) struct Network {
    rng: SimRng,
    everywhere: LinkFaults,
    links: BTreeMap<(NodeId, NodeId), LinkFaults>,
    partitions: Vec<(PartitionId, BTreeSet<NodeId>, BTreeSet<NodeId>)>,
    partitions_made: u64,
    /// By the even id: the end of the dialler, and that of the listener.
    streams: BTreeMap<u64, [End; 2]>,
    streams_made: u64,
}

impl Network {
    pub(super) fn new(rng: SimRng) -> Self {
        Self {
            rng,
            everywhere: LinkFaults::calm(),
            links: BTreeMap::new(),
            partitions: Vec::new(),
            partitions_made: 0,
            streams: BTreeMap::new(),
            streams_made: 0,
        }
    }

    fn link(&self, a: NodeId, b: NodeId) -> &LinkFaults {
        self.links.get(&(a.min(b), a.max(b))).unwrap_or(&self.everywhere)
    }

    fn latency(&mut self, a: NodeId, b: NodeId) -> Duration {
        let range = self.link(a, b).latency.clone();
        self.rng.millis(&range)
    }

    fn is_parted(&self, a: NodeId, b: NodeId) -> bool {
        let apart = |x: &BTreeSet<NodeId>, y: &BTreeSet<NodeId>| x.contains(&a) && y.contains(&b);
        a != b && self.partitions.iter().any(|(_, x, y)| apart(x, y) || apart(y, x))
    }

    /// An end and the node at the other one.
    fn end(&mut self, stream: StreamId) -> Option<(&mut End, Life)> {
        let [dialler, listener] = self.streams.get_mut(&(stream.0 & !1))?;
        let (end, other) = if stream.0 & 1 == 0 { (dialler, listener) } else { (listener, dialler) };
        let other = other.life;
        Some((end, other))
    }

    /// Forgets a stream that neither host uses.
    fn forget(&mut self, stream: StreamId) {
        if self.streams.get(&(stream.0 & !1)).is_some_and(|ends| ends.iter().all(|end| !end.open)) {
            self.streams.remove(&(stream.0 & !1));
        }
    }

    /// All ends that are in use.
    fn ends(&self) -> Vec<StreamId> {
        let both = self.streams.iter().flat_map(|(id, [a, b])| [(StreamId(*id), a), (StreamId(*id | 1), b)]);
        both.filter(|(_, end)| end.open).map(|(stream, _)| stream).collect()
    }

    /// Cuts bytes into the pieces they arrive in.
    fn pieces(&mut self, mut bytes: Vec<u8>, segment: usize) -> Vec<Vec<u8>> {
        let mut pieces = Vec::new();
        while segment < usize::MAX && bytes.len() > 1 {
            let longest = if self.rng.chance(0.2) { segment.min(3) } else { segment };
            let length = self.rng.random_range(1..=longest.min(bytes.len()));
            let rest = bytes.split_off(length);
            pieces.push(std::mem::replace(&mut bytes, rest));
        }
        if !bytes.is_empty() {
            pieces.push(bytes);
        }
        pieces
    }
}

impl<H: Host> World<H> {
    /// Sets the way between two nodes.
    pub fn set_link(&mut self, a: NodeId, b: NodeId, faults: LinkFaults) {
        self.net.links.insert((a.min(b), a.max(b)), faults);
    }

    /// Sets the way between any two nodes.
    pub fn set_all_links(&mut self, faults: &LinkFaults) {
        self.net.links.clear();
        self.net.everywhere = faults.clone();
    }

    /// Lets nothing through between `a` and `b`: streams wait, dials time out, datagrams are lost.
    pub fn partition(&mut self, a: &[NodeId], b: &[NodeId]) -> PartitionId {
        self.net.partitions_made += 1;
        let id = PartitionId(self.net.partitions_made);
        let side = |nodes: &[NodeId]| nodes.iter().copied().collect::<BTreeSet<_>>();
        self.net.partitions.push((id, side(a), side(b)));
        if let Some(&first) = a.first() {
            self.note(first, "parted", Detail::Text(format!("{a:?} from {b:?}")));
        }
        id
    }

    /// Ends a partition; others may still stand.
    pub fn heal(&mut self, partition: PartitionId) {
        self.net.partitions.retain(|(id, ..)| *id != partition);
        self.release();
    }

    /// Ends all partitions.
    pub fn heal_all(&mut self) {
        self.net.partitions.clear();
        self.release();
    }

    /// Breaks every stream between two nodes; both are told.
    pub fn reset_streams(&mut self, a: NodeId, b: NodeId) {
        for stream in self.net.ends() {
            let Some((end, other)) = self.net.end(stream) else { continue };
            if (end.life.node, other.node) == (a, b) || (end.life.node, other.node) == (b, a) {
                self.end_inbound(stream);
            }
        }
    }

    pub(super) fn dial(&mut self, node: NodeId, dial: u64, to: Addr) {
        self.note(node, "dials", Detail::Text(to.to_string()));
        let target = self.directory.get(&to).copied().unwrap_or(node);
        let at = self.now.after(self.net.latency(node, target));
        let from = self.life(node);
        self.queue.push(at, Action::Dialled { from, dial, to });
    }

    pub(super) fn dialled(&mut self, from: Life, dial: u64, to: &Addr) {
        if !self.is_alive(from) {
            return;
        }
        let target = self.directory.get(to).copied();
        let link = self.net.link(from.node, target.unwrap_or(from.node)).clone();
        let timeout = Duration::from_millis(link.dial_timeout);
        let back = self.net.latency(from.node, target.unwrap_or(from.node));
        let answer = match target {
            None => Err(back),
            Some(node) if self.net.is_parted(from.node, node) || self.nodes[node.0].powerless => Err(timeout),
            Some(node) if !self.nodes[node.0].is_up() || !self.nodes[node.0].listens => Err(back),
            Some(_) if self.net.rng.chance(link.dial_fails) => {
                Err(if self.net.rng.chance(0.5) { back } else { timeout })
            }
            Some(node) => Ok(node),
        };
        let node = match answer {
            Ok(node) => node,
            Err(after) => return self.queue.push(self.now.after(after), Action::DialFailed { life: from, dial }),
        };
        let connected = self.now.after(back);
        let ends = [End::new(from, connected), End::new(self.life(node), self.now)];
        let stream = StreamId(self.net.streams_made * 2);
        self.net.streams.insert(stream.0, ends);
        self.net.streams_made += 1;
        // Queued before anything the listener sends, so it comes first.
        self.queue.push(connected, Action::Connected { life: from, dial, stream });
        let port = EPHEMERAL + u16::try_from(self.net.streams_made % 16_384).unwrap_or(0);
        let addr = Addr::new(self.nodes[from.node.0].addr.host.clone(), port);
        let accepted = stream.other_end();
        self.note(node, "accepted, stream", Detail::Number(accepted.0));
        self.drive(node, HostInput::Accepted { stream: accepted, from: addr });
    }

    pub(super) fn send(&mut self, node: NodeId, stream: StreamId, bytes: Vec<u8>) {
        self.trace.mix_bytes(&bytes);
        let Some(peer) = self.open_end(node, stream) else {
            return self.note(node, "sends on an ended stream", Detail::Bytes(stream.0, bytes.len()));
        };
        self.note(node, "sends on stream", Detail::Bytes(stream.0, bytes.len()));
        let far = stream.other_end();
        if self.net.end(far).is_none_or(|(end, _)| !end.open) {
            return self.answer_with_reset(stream);
        }
        let link = self.net.link(node, peer).clone();
        if self.net.rng.chance(link.stall) {
            let until = self.now.after(self.net.rng.millis(&link.stall_lasts));
            self.note(node, "stall on stream", Detail::Number(stream.0));
            self.net.end(far).into_iter().for_each(|(end, _)| end.inbound.stall(until));
        }
        for piece in self.net.pieces(bytes, link.segment) {
            let at = self.now.after(self.net.latency(node, peer));
            let at = self.net.end(far).and_then(|(end, _)| end.inbound.send(at, piece));
            at.into_iter().for_each(|at| self.queue.push(at, Action::Arrival(far)));
        }
        if self.net.rng.chance(link.reset) {
            self.note(node, "reset of stream", Detail::Number(stream.0));
            for end in [stream, far] {
                self.lose_tail(end);
                self.end_inbound(end);
            }
        } else if self.net.rng.chance(link.eof) {
            self.note(node, "end within stream", Detail::Number(stream.0));
            self.lose_tail(far);
            self.end_inbound(far);
            self.end_inbound(stream);
        } else if self.net.rng.chance(link.half_open) {
            self.note(node, "half-open stream", Detail::Number(stream.0));
            self.lose_tail(far);
            self.end_inbound(far);
        } else if self.net.rng.chance(link.silence) {
            self.note(node, "silence on stream", Detail::Number(stream.0));
            for end in [stream, far] {
                self.net.end(end).into_iter().for_each(|(end, _)| end.inbound.cut());
            }
        }
    }

    pub(super) fn close(&mut self, node: NodeId, stream: StreamId) {
        if self.open_end(node, stream).is_none() {
            return;
        }
        self.note(node, "closes stream", Detail::Number(stream.0));
        self.net.end(stream).into_iter().for_each(|(end, _)| end.finish());
        self.end_inbound(stream.other_end());
        self.net.forget(stream);
    }

    pub(super) fn arrival(&mut self, stream: StreamId) {
        let now = self.now;
        let Some((end, other)) = self.net.end(stream).filter(|(end, _)| end.open) else { return };
        let node = end.life.node;
        if self.net.is_parted(node, other.node) {
            self.net.end(stream).into_iter().for_each(|(end, _)| end.inbound.held = true);
            return;
        }
        let Some((end, _)) = self.net.end(stream) else { return };
        match end.inbound.arrived(now) {
            None => {}
            Some(Piece::End) => {
                end.finish();
                self.net.forget(stream);
                self.note(node, "end of stream", Detail::Number(stream.0));
                self.drive(node, HostInput::Closed { stream });
            }
            Some(Piece::Bytes(mut bytes)) => {
                while self.net.end(stream).is_some_and(|(end, _)| end.inbound.has_bytes(now))
                    && self.net.rng.chance(0.5)
                {
                    if let Some((end, _)) = self.net.end(stream)
                        && let Some(Piece::Bytes(more)) = end.inbound.arrived(now)
                    {
                        bytes.extend(more);
                    }
                }
                self.note(node, "receives on stream", Detail::Bytes(stream.0, bytes.len()));
                self.drive(node, HostInput::Data { stream, bytes });
            }
        }
    }

    pub(super) fn datagram(&mut self, node: NodeId, to: &Addr, bytes: Vec<u8>) {
        self.trace.mix_bytes(&bytes);
        self.note(node, "sends a datagram", Detail::Text(format!("{to} ({} B)", bytes.len())));
        let Some(&target) = self.directory.get(to) else { return };
        let link = self.net.link(node, target).clone();
        if bytes.len() > link.mtu || self.net.rng.chance(link.loss) {
            return self.note(target, "datagram lost", Detail::None);
        }
        let copies = if self.net.rng.chance(link.duplicate) { 2 } else { 1 };
        for copy in 0..copies {
            if copy > 0 {
                self.note(target, "datagram doubled", Detail::None);
            }
            let mut at = self.now.after(self.net.latency(node, target));
            if self.net.rng.chance(link.reorder) {
                let late = self.net.rng.random_range(0..=LATE * link.latency.end().max(&1));
                self.note(target, "datagram late", Detail::Number(late));
                at = at.after(Duration::from_millis(late));
            }
            self.queue.push(at, Action::Datagram { from: node, to: target, bytes: bytes.clone() });
        }
    }

    pub(super) fn datagram_arrival(&mut self, from: NodeId, to: NodeId, bytes: Vec<u8>) {
        if self.net.is_parted(from, to) || !self.nodes[to.0].is_up() {
            return self.note(to, "datagram lost", Detail::None);
        }
        self.note(to, "receives a datagram", Detail::Bytes(from.0 as u64, bytes.len()));
        let from = self.nodes[from.0].addr.clone();
        self.drive(to, HostInput::Datagram { from, bytes });
    }

    /// Ends all streams of a node that has just crashed.
    pub(super) fn end_streams_of(&mut self, node: NodeId) {
        for stream in self.net.ends() {
            let Some((end, other)) = self.net.end(stream).filter(|(end, _)| end.life.node == node) else { continue };
            end.finish();
            // Who is cut off or without power cannot say goodbye.
            if !self.nodes[node.0].powerless && !self.net.is_parted(node, other.node) {
                if self.net.rng.chance(0.5) {
                    self.lose_tail(stream.other_end());
                }
                self.end_inbound(stream.other_end());
            }
            self.net.forget(stream);
        }
    }

    /// Tells those who sent to a node while it could not be reached that it does not know their streams.
    pub(super) fn pay_resets(&mut self) {
        for stream in self.net.ends() {
            if self.net.end(stream).is_some_and(|(end, _)| std::mem::take(&mut end.owed_reset)) {
                self.answer_with_reset(stream);
            }
        }
    }

    /// The other end of a stream is gone; whoever sends to it learns it when the node there can say so.
    fn answer_with_reset(&mut self, stream: StreamId) {
        let Some((end, other)) = self.net.end(stream) else { return };
        let node = end.life.node;
        if self.nodes[other.node.0].powerless || self.net.is_parted(node, other.node) {
            self.net.end(stream).into_iter().for_each(|(end, _)| end.owed_reset = true);
        } else {
            self.end_inbound(stream);
        }
    }

    /// Puts the end of the stream under way to this end.
    fn end_inbound(&mut self, stream: StreamId) {
        let Some((end, other)) = self.net.end(stream) else { return };
        let node = end.life.node;
        let at = self.now.after(self.net.latency(node, other.node));
        let at = self.net.end(stream).and_then(|(end, _)| end.inbound.end(at));
        at.into_iter().for_each(|at| self.queue.push(at, Action::Arrival(stream)));
    }

    /// Loses some of the bytes under way to this end.
    fn lose_tail(&mut self, stream: StreamId) {
        let under_way = self.net.end(stream).map_or(0, |(end, _)| end.inbound.under_way());
        let keep = self.net.rng.random_range(0..=under_way);
        self.net.end(stream).into_iter().for_each(|(end, _)| end.inbound.truncate(keep));
    }

    /// Lets what waited for the end of a partition arrive, where there is none any more.
    fn release(&mut self) {
        for stream in self.net.ends() {
            let Some((end, other)) = self.net.end(stream).filter(|(end, _)| end.inbound.held) else { continue };
            let node = end.life.node;
            if self.net.is_parted(node, other.node) {
                continue;
            }
            let at = self.now.after(self.net.latency(node, other.node));
            let pieces = self.net.end(stream).map_or(0, |(end, _)| end.inbound.release(at));
            (0..pieces).for_each(|_| self.queue.push(at, Action::Arrival(stream)));
        }
        self.pay_resets();
    }

    /// The node at the other end of a stream that this node uses.
    fn open_end(&mut self, node: NodeId, stream: StreamId) -> Option<NodeId> {
        let life = self.life(node);
        let (end, other) = self.net.end(stream)?;
        assert_eq!(end.life.node, node, "a host uses stream {} of another", stream.0);
        (end.open && end.life == life).then_some(other.node)
    }
}
