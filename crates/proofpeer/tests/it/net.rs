//! Peers on simulated brokers: topics, loss, repetition, reordering, death, and a clock that jumps from event to event.

pub(crate) mod forge;
pub(crate) mod node;

pub(crate) use node::{Node, ed25519, people, rsa};
use rand_core::Rng as _;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use waypost_core::{Mono, Now, Wall};
use waypost_proofpeer::{
    Broker, ChannelKey, ChannelName, Event, Fingerprint, Input, MessageStatus, Output, Peer, Topic,
};
use waypost_testkit::SimRng;

/// The second at which the clock starts.
pub(crate) const START: u64 = 1_704_214_800;
/// The application of all tests.
pub(crate) const APP: &str = "com.example.app";
/// Ticks of one peer in one millisecond, beyond which it turns in circles.
const CIRCLES: u32 = 1000;

/// What one broker does badly. Shares are of 100.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Faults {
    pub(crate) loss: u32,
    pub(crate) twice: u32,
    /// Milliseconds that a copy may be later.
    pub(crate) jitter: u64,
}

#[derive(Default)]
struct SimBroker {
    up: bool,
    faults: Faults,
    max_packet: Option<usize>,
    subscribers: BTreeMap<String, BTreeSet<usize>>,
}

/// A message that somebody has published.
#[derive(Clone, Debug)]
pub(crate) struct Published {
    pub(crate) at: u64,
    pub(crate) from: usize,
    pub(crate) broker: Option<Broker>,
    pub(crate) topic: String,
    pub(crate) payload: Vec<u8>,
    pub(crate) reliable: bool,
}

enum Travelling {
    Message { topic: String, payload: Vec<u8> },
    Confirmed { broker: u32, topic: Topic },
}

/// Says what is discarded: a message on its way to a node.
pub(crate) type Discard = Box<dyn FnMut(&Published, usize) -> bool + Send>;

/// The world.
pub(crate) struct Net {
    pub(crate) millis: u64,
    pub(crate) nodes: Vec<Node>,
    pub(crate) log: Vec<Published>,
    /// Messages for which this says true are discarded.
    pub(crate) discard: Discard,
    brokers: Vec<SimBroker>,
    travelling: BTreeMap<(u64, u64), (usize, Travelling)>,
    sequence: u64,
    rng: SimRng,
}

impl Published {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.payload).unwrap()
    }

    /// `join`, `leave`, `introduce`, `heartbeat`, `handshake`, `ack`, `session` or `data`.
    pub(crate) fn kind(&self) -> String {
        let json = self.json();
        if json["m"]["handshake"].is_object() {
            return "handshake".into();
        }
        if json["m"]["aes"]["sid"].is_string() {
            return "ack".into();
        }
        if json["m"]["aes"].is_object() {
            return "session".into();
        }
        let data = &forge::payload_of(&json)["data"];
        match (data["type"].as_str(), data["action"].as_str()) {
            (Some("announce"), Some(action)) => action.to_owned(),
            (Some("heartbeat"), _) => "heartbeat".into(),
            _ => "data".into(),
        }
    }
}

impl Net {
    /// A world with so many brokers and these peers, all connected to all.
    pub(crate) fn new(brokers: u32, nodes: Vec<Node>) -> Self {
        let brokers = (0..brokers).map(|_| SimBroker { up: true, ..SimBroker::default() }).collect();
        let mut net = Self {
            millis: 0,
            nodes,
            log: Vec::new(),
            discard: Box::new(|_, _| false),
            brokers,
            travelling: BTreeMap::new(),
            sequence: 0,
            rng: SimRng::new(99),
        };
        for node in 0..net.nodes.len() {
            net.connect_all(node);
        }
        net
    }

    /// Two peers that have met in the lobby.
    pub(crate) fn pair(a: Node, b: Node) -> Self {
        let mut net = Self::new(1, vec![a, b]);
        net.meet();
        net
    }

    /// All join the lobby and hear of each other.
    pub(crate) fn meet(&mut self) {
        for node in 0..self.nodes.len() {
            self.join(node, "lobby", None);
        }
        self.run(3000);
    }

    pub(crate) fn set_faults(&mut self, faults: Faults) {
        self.brokers.iter_mut().for_each(|broker| broker.faults = faults);
    }

    pub(crate) fn set_max_packet(&mut self, broker: usize, most: usize) {
        self.brokers[broker].max_packet = Some(most);
    }

    pub(crate) fn connect_all(&mut self, node: usize) {
        for broker in 0..self.brokers.len() {
            self.connect(node, broker);
        }
    }

    pub(crate) fn connect(&mut self, node: usize, broker: usize) {
        if !self.brokers[broker].up {
            return;
        }
        let name = Broker(u32::try_from(broker).unwrap());
        self.nodes[node].connected.insert(name.0);
        let max_packet = self.brokers[broker].max_packet;
        self.input(node, Input::Connected { broker: name, max_packet }).unwrap();
    }

    pub(crate) fn disconnect(&mut self, node: usize, broker: usize) {
        let name = Broker(u32::try_from(broker).unwrap());
        self.nodes[node].connected.remove(&name.0);
        self.brokers[broker].subscribers.values_mut().for_each(|nodes| {
            nodes.remove(&node);
        });
        self.input(node, Input::Disconnected { broker: name }).unwrap();
    }

    /// A broker dies; what travels arrives still.
    pub(crate) fn kill(&mut self, broker: usize) {
        self.brokers[broker].up = false;
        for node in 0..self.nodes.len() {
            self.disconnect(node, broker);
        }
    }

    pub(crate) fn revive(&mut self, broker: usize) {
        self.brokers[broker].up = true;
        for node in 0..self.nodes.len() {
            self.connect(node, broker);
        }
    }

    /// Another process of the same person: nothing but the key is left.
    pub(crate) fn restart(&mut self, node: usize, peer: Peer) {
        for broker in 0..self.brokers.len() {
            self.brokers[broker].subscribers.values_mut().for_each(|nodes| {
                nodes.remove(&node);
            });
        }
        self.nodes[node].peer = peer;
        self.nodes[node].connected.clear();
        self.connect_all(node);
    }

    pub(crate) fn join(&mut self, node: usize, name: &str, key: Option<ChannelKey>) {
        let channel = ChannelName::new(name).unwrap();
        self.input(node, Input::Join { channel, key }).unwrap();
    }

    pub(crate) fn leave(&mut self, node: usize, name: &str) {
        self.input(node, Input::Leave { channel: &ChannelName::new(name).unwrap() }).unwrap();
    }

    pub(crate) fn broadcast(&mut self, node: usize, name: &str, text: &str) -> Result<(), waypost_proofpeer::Error> {
        let (channel, data) = (ChannelName::new(name).unwrap(), waypost_codec::json::Value::String(text.into()));
        self.input(node, Input::Broadcast { channel: &channel, data: &data, reliable: false })
    }

    pub(crate) fn send(&mut self, from: usize, to: usize, id: u64, bytes: &[u8], reliable: bool) {
        self.try_send(from, to, id, bytes, reliable).unwrap();
    }

    pub(crate) fn try_send(
        &mut self,
        from: usize,
        to: usize,
        id: u64,
        bytes: &[u8],
        reliable: bool,
    ) -> Result<(), waypost_proofpeer::Error> {
        let to = self.id(to);
        self.input(from, Input::Send { id, to, bytes: bytes.to_vec(), reliable })
    }

    pub(crate) fn id(&self, node: usize) -> Fingerprint {
        self.nodes[node].peer.identity().public().fingerprint()
    }

    /// The node's clocks.
    pub(crate) fn now(&self, node: usize) -> Now {
        let wall = (START * 1000 + self.millis).checked_add_signed(self.nodes[node].skew).unwrap();
        Now { mono: Mono::from_millis(self.millis), wall: Wall::from_millis(wall) }
    }

    pub(crate) fn secs(&self) -> u64 {
        START + self.millis / 1000
    }

    /// Gives a node something and does what it wants.
    pub(crate) fn input(&mut self, node: usize, input: Input<'_>) -> Result<(), waypost_proofpeer::Error> {
        let now = self.now(node);
        let Node { peer, rng, .. } = &mut self.nodes[node];
        let result = peer.handle(now, rng, input);
        self.drain(node);
        result
    }

    /// Gives a node a message as if a broker had brought it; what it published in reply, and why it was dropped.
    pub(crate) fn inject(&mut self, node: usize, topic: &str, payload: &[u8]) -> Injected {
        let (log, events) = (self.log.len(), self.nodes[node].events.len());
        self.input(node, Input::Received { topic, payload, retain: false }).unwrap();
        let dropped = self.nodes[node].events[events..].iter().find_map(|(_, event)| match event {
            Event::Dropped(drop) => Some(drop.name()),
            _ => None,
        });
        Injected { dropped, published: self.log.len() - log }
    }

    fn drain(&mut self, node: usize) {
        while let Some(output) = self.nodes[node].peer.poll() {
            match output {
                Output::Subscribe { broker, topic } => {
                    let known = &mut self.brokers[broker.0 as usize];
                    known.subscribers.entry(topic.to_string()).or_default().insert(node);
                    self.later(1, node, Travelling::Confirmed { broker: broker.0, topic });
                    self.nodes[node].topics.insert(topic.to_string());
                }
                Output::Unsubscribe { topic } => {
                    for broker in &mut self.brokers {
                        broker.subscribers.entry(topic.to_string()).or_default().remove(&node);
                    }
                }
                Output::Publish { broker, topic, payload, reliable } => {
                    self.publish(Published {
                        at: self.millis,
                        from: node,
                        broker,
                        topic: topic.to_string(),
                        payload,
                        reliable,
                    });
                }
                Output::Event(event) => {
                    let confirm = match &event {
                        Event::Deliver { delivery: Some(delivery), .. } if self.nodes[node].confirms => Some(*delivery),
                        _ => None,
                    };
                    self.nodes[node].events.push((self.millis, event));
                    if let Some(delivery) = confirm {
                        self.input(node, Input::Delivered(delivery)).unwrap();
                    }
                }
            }
        }
    }

    /// Hands a message to all who have subscribed, with what goes wrong on the way.
    pub(crate) fn publish(&mut self, message: Published) {
        let connected = self.nodes[message.from].connected.clone();
        for at in connected.into_iter().filter(|at| message.broker.is_none_or(|broker| broker.0 == *at)) {
            let broker = &self.brokers[at as usize];
            let (faults, most) = (broker.faults, broker.max_packet.unwrap_or(usize::MAX));
            assert!(message.payload.len() + message.topic.len() + 8 <= most, "larger than the broker takes");
            let to: Vec<usize> = broker.subscribers.get(&message.topic).into_iter().flatten().copied().collect();
            for to in to {
                if (self.discard)(&message, to) {
                    continue;
                }
                let copies = 1 + u32::from(self.chance(faults.twice));
                for _ in 0..copies {
                    if self.chance(faults.loss) {
                        continue;
                    }
                    let late = if faults.jitter == 0 { 0 } else { self.rng.next_u64() % faults.jitter };
                    let (topic, payload) = (message.topic.clone(), message.payload.clone());
                    self.later(5 + late, to, Travelling::Message { topic, payload });
                }
            }
        }
        self.log.push(message);
    }

    fn chance(&mut self, share: u32) -> bool {
        share > 0 && self.rng.next_u32() % 100 < share
    }

    fn later(&mut self, millis: u64, to: usize, what: Travelling) {
        self.sequence += 1;
        self.travelling.insert((self.millis + millis, self.sequence), (to, what));
    }

    /// Lets time pass.
    pub(crate) fn run(&mut self, millis: u64) {
        let end = self.millis + millis;
        let mut circles = (0, 0);
        loop {
            let due = (0..self.nodes.len()).filter_map(|node| {
                let due = self.nodes[node].peer.poll_timeout()?;
                Some((due.as_millis().max(self.millis), node))
            });
            let due = due.min();
            let arrival = self.travelling.keys().next().map(|(at, _)| *at);
            let next = [due.map(|(at, _)| at), arrival].into_iter().flatten().min();
            let Some(next) = next.filter(|next| *next <= end) else { break };
            self.millis = next;
            if arrival == Some(next) {
                let (_, (node, what)) = self.travelling.pop_first().unwrap();
                match what {
                    Travelling::Message { topic, payload } => {
                        self.input(node, Input::Received { topic: &topic, payload: &payload, retain: false }).unwrap();
                    }
                    Travelling::Confirmed { broker, topic } => {
                        if self.nodes[node].connected.contains(&broker) {
                            self.input(node, Input::Subscribed { broker: Broker(broker), topic }).unwrap();
                        }
                    }
                }
            } else if let Some((_, node)) = due {
                circles = if circles.0 == next { (next, circles.1 + 1) } else { (next, 0) };
                assert!(circles.1 < CIRCLES, "a timer that never stops being due");
                self.input(node, Input::Tick).unwrap();
            }
        }
        self.millis = end;
    }

    /// What a node has published of a kind: when, and all of it.
    pub(crate) fn published(&self, node: usize, kind: &str) -> Vec<Published> {
        self.log.iter().filter(|message| message.from == node && message.kind() == kind).cloned().collect()
    }

    pub(crate) fn statuses(&self, node: usize, id: u64) -> Vec<MessageStatus> {
        self.nodes[node].statuses(id)
    }
}

/// What came of a message that was injected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Injected {
    pub(crate) dropped: Option<&'static str>,
    pub(crate) published: usize,
}

impl Injected {
    pub(crate) const fn nothing(drop: &'static str) -> Self {
        Self { dropped: Some(drop), published: 0 }
    }
}
