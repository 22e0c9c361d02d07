//! `waypost-proofpeer`: its envelopes, its tokens, and a peer among others who do what they like.

use crate::peer::step;
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};
use std::collections::BTreeSet;
use waypost_codec::{base64, json};
use waypost_core::{Mono, Now, Wall};
use waypost_proofpeer::{
    AppId, Broker, CarriedKey, ChannelName, Crypto, Envelope, Event, Identity, Input, Kind, Output, Peer, Settings,
    Shape, Token, Topic, probe,
};

/// The second at which everything happens.
pub const NOW: u64 = 1_704_214_799;
/// Steps of an input: more teach nothing new.
const STEPS: usize = 64;
/// The largest envelope.
const LIMIT: usize = 65_536;
/// The key of the sessions there are.
const KEY: [u8; 32] = [7; 32];
/// The id of the sessions there are: literal, and with frames.
const SIDS: [&str; 2] = ["literal", "framed"];

/// An envelope on a channel and in an inbox: what is read keeps its bounds.
pub fn proofpeer_envelope(data: &[u8]) {
    for kind in [Some(Kind::Channel(1)), Some(Kind::Inbox(1)), None] {
        let Ok(envelope) = Envelope::read(data, NOW, kind, LIMIT) else { continue };
        assert!(envelope.t.abs_diff(NOW) <= 60 && data.len() <= LIMIT);
        let on_channel = matches!(envelope.shape, Shape::Broadcast { .. });
        assert_eq!(on_channel, matches!(kind, Some(Kind::Channel(_))));
        match envelope.shape {
            Shape::Handshake { sid, .. } => assert!((1..=64).contains(&sid.len())),
            Shape::Ack { sid, data, .. } => assert!((1..=64).contains(&sid.len()) && data.len() >= 28),
            Shape::Session { data, .. } => assert!(data.len() >= 28),
            Shape::Broadcast { .. } | Shape::Introduction { .. } => {}
        }
    }
}

/// A token: what is read was said at its time by a key that reads back the same, and both cryptographies judge alike.
pub fn proofpeer_token(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    let Ok(token) = Token::read(text, NOW) else { return };
    assert_eq!(token.timestamp(), NOW);
    assert!(text.starts_with(token.signed()));
    let key = &token.key().key;
    assert_eq!(CarriedKey::decode(&key.to_text()).map(|carried| carried.key.fingerprint()), Ok(key.fingerprint()));
    if token.check_alg().is_ok() {
        let _ = token.verify(Crypto::native());
    }
}

/// Somebody who signs whatever comes, has sessions with the peer, and controls its broker and its clock.
///
/// Whatever it does: no panic, no circle of timers, nothing delivered twice under one number.
pub fn proofpeer_peer(mut data: &[u8]) {
    let Some(mut world) = World::new() else { return };
    for _ in 0..STEPS {
        let Some((kind, content)) = step(&mut data) else { break };
        world.step(kind, content);
    }
}

/// Some steps of [`proofpeer_peer`] of every kind.
pub fn seeds() -> Vec<Vec<u8>> {
    let put = |kind: u8, content: &[u8]| {
        let length = u16::try_from(content.len()).unwrap_or(u16::MAX).to_be_bytes();
        [&[kind][..], &length, content].concat()
    };
    let frame =
        |kind: u8, idx: u8, count: u8| [&[kind, 1, 2, 3, 4, 5, 6, 7, 8, 0, idx, 0, count][..], b"part"].concat();
    let presence = |action: &str| format!(r#"{{"type":"announce","action":"{action}"}}"#).into_bytes();
    let said =
        ["join", "leave", "introduce"].map(|action| [put(1, &presence(action)), put(2, &presence(action))].concat());
    vec![
        [said.concat(), put(1, br#"{"type":"heartbeat"}"#), put(1, br#""hello""#), put(6, &[40])].concat(),
        [put(3, b"a sid"), put(3, b"a sid"), put(3, b"another"), put(6, &[5]), put(7, b"back"), put(6, &[20])].concat(),
        [put(4, b"hello"), put(5, &frame(1, 0, 1)), put(5, &frame(1, 0, 2)), put(5, &frame(1, 1, 2))].concat(),
        [
            put(5, &frame(0, 0, 3)),
            put(6, &[70]),
            put(5, &frame(0, 1, 3)),
            put(5, &[3, 1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0, 0]),
        ]
        .concat(),
        [put(7, b"one"), put(8, b"two"), put(6, &[3]), put(9, &[0]), put(6, &[12]), put(10, &[])].concat(),
    ]
}

struct World {
    peer: Peer,
    mallory: Identity,
    rng: ChaCha20Rng,
    millis: u64,
    counter: u64,
    channel: ChannelName,
    topic: Topic,
    deliveries: BTreeSet<u64>,
}

impl World {
    fn new() -> Option<Self> {
        let mut rng = ChaCha20Rng::from_seed([5; 32]);
        let mut identity = || Identity::generate_ed25519(&mut rng).ok();
        let (own, mallory) = (identity()?, identity()?);
        let (app, channel) = (AppId::new("com.example.app").ok()?, ChannelName::new("lobby").ok()?);
        let topic = app.channel(channel.hash());
        let peer = Peer::new(&mut rng, own, app, Crypto::native(), Settings::default());
        let deliveries = BTreeSet::new();
        let mut world = Self { peer, mallory, rng, millis: 0, counter: 0, channel, topic, deliveries };
        world.give(Input::Connected { broker: Broker(0), max_packet: None });
        world.give(Input::Join { channel: world.channel.clone(), key: None });
        let key = world.mallory.public().clone();
        let carried = CarriedKey { uid: key.uid(), key };
        for (sid, framed) in SIDS.into_iter().zip([false, true]) {
            let (sid, now) = (sid.to_owned(), world.now());
            let (key_recv, own_prefix) = (KEY, [0x80; 6]);
            let given = probe::GivenSession { sid, directional: framed, framed, proven: framed, key_recv, own_prefix };
            probe::give_session(&mut world.peer, now, &carried, given);
        }
        Some(world)
    }

    fn now(&self) -> Now {
        Now { mono: Mono::from_millis(self.millis), wall: Wall::from_millis(NOW * 1000 + self.millis) }
    }

    fn give(&mut self, input: Input<'_>) {
        let now = self.now();
        let _ = self.peer.handle(now, &mut self.rng, input);
        while let Some(output) = self.peer.poll() {
            match output {
                Output::Subscribe { broker, topic } => self.give(Input::Subscribed { broker, topic }),
                Output::Publish { payload, .. } => assert!(payload.len() <= LIMIT),
                Output::Event(Event::Deliver { delivery: Some(number), .. }) => {
                    assert!(self.deliveries.insert(number), "a number twice");
                }
                Output::Event(_) | Output::Unsubscribe { .. } => {}
            }
        }
    }

    fn receive(&mut self, topic: Topic, payload: &[u8]) {
        self.give(Input::Received { topic: &topic.to_string(), payload, retain: false });
    }

    fn step(&mut self, kind: u8, content: &[u8]) {
        self.counter += 1;
        let (inbox, own) = (self.peer.inbox(), self.peer.identity().public().fingerprint());
        let to = self.mallory.public().fingerprint();
        match kind % 11 {
            0 => [self.topic, inbox].into_iter().for_each(|topic| self.receive(topic, content)),
            1 => self.signed(self.topic, content, "", ""),
            2 => self.signed(inbox, content, &format!(r#","to":"{}""#, base64::encode_url(&own.0)), ""),
            3 => {
                let Ok(sid) = str::from_utf8(content) else { return };
                let mut ephemeral = [1; 32];
                ephemeral[0] = u8::try_from(self.counter % 256).unwrap_or(0);
                let Some((wrapped, _)) = probe::seal_key(&ephemeral, self.peer.identity().public(), &KEY) else {
                    return;
                };
                let (sid, wrapped) = (json::Value::String(sid.to_owned()).to_string(), base64::encode(&wrapped));
                let handshake = format!(r#","m":{{"handshake":{{"aes_key":"{wrapped}","sid":{sid}}}}}"#);
                // Without a claim: a literal one.
                self.signed(inbox, b"1", "none", &handshake);
            }
            4 => self.sealed(0, content),
            5 => self.sealed(1, content),
            6 => self.wait(content.first().copied().unwrap_or(1)),
            7 => self.give(Input::Send { id: self.counter, to, bytes: content.to_vec(), reliable: true }),
            8 => self.give(Input::Send { id: self.counter, to, bytes: content.to_vec(), reliable: false }),
            9 => self.give(Input::Delivered(content.first().copied().unwrap_or(0).into())),
            _ if content.is_empty() => self.give(Input::Shutdown),
            _ => self.give(Input::Leave { channel: &self.channel.clone() }),
        }
    }

    /// A token that says this, with a binding claim, or without if `more` is `none`.
    fn signed(&mut self, topic: Topic, data: &[u8], more: &str, m: &str) {
        let Ok(data) = str::from_utf8(data) else { return };
        let t = self.now().wall.as_secs();
        let mut nonce = [0; 16];
        nonce[..8].copy_from_slice(&self.counter.to_be_bytes());
        let nonce = base64::encode_url(&nonce);
        let claim = format!(r#"{{"t":"{topic}","n":"{nonce}","c":["d1","a1"]{more}}}"#);
        let claim = (more != "none").then_some(claim.as_str());
        let Ok(token) = self.mallory.sign(&mut self.rng, t, data, claim, false) else { return };
        self.receive(topic, format!(r#"{{"v":1,"t":{t},"jwt":"{token}"{m}}}"#).as_bytes());
    }

    /// A session message with this inside.
    fn sealed(&mut self, session: usize, plain: &[u8]) {
        let (Some(sid), topic) = (SIDS.get(session), self.peer.inbox()) else { return };
        let (t, sender) = (self.now().wall.as_secs(), self.mallory.public().uid());
        let mut nonce = [0; 12];
        nonce[4..].copy_from_slice(&self.counter.to_be_bytes());
        let aad = if session == 1 { probe::message_aad(topic, t, false, sender, sid) } else { Vec::new() };
        let data = base64::encode(&probe::seal(Crypto::native(), &KEY, &nonce, &aad, plain));
        let m = format!(r#"{{"sender_id":{sender},"sid":"{sid}","aes":{{"data":"{data}"}}}}"#);
        self.receive(topic, format!(r#"{{"v":1,"t":{t},"m":{m}}}"#).as_bytes());
    }

    /// Seconds pass, with every timer on the way.
    fn wait(&mut self, seconds: u8) {
        let end = self.millis + u64::from(seconds) * 1000;
        let mut ticks = 0;
        while let Some(due) = self.peer.poll_timeout().filter(|due| due.as_millis() <= end) {
            self.millis = self.millis.max(due.as_millis());
            self.give(Input::Tick);
            ticks += 1;
            assert!(ticks < 10_000, "timers that are always due");
        }
        self.millis = end;
    }
}
