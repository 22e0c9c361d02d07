//! `presence.json`: who is there, and in which channel.

use super::sequences::settings;
use rand::{Rng, SeedableRng, rngs::StdRng};
use serde_json::{Value, json};
use waypost_codec::base64;
use waypost_core::{Mono, Now, Wall};
use waypost_proofpeer::{
    AppId, ChannelName, Crypto, Event, Identity, Input, Output, Peer, PresenceChange, PresenceReason, PresenceState,
};
use waypost_testkit::vectors::{self, Case, Part};

/// The second that the vectors count from.
const START: u64 = 1_704_214_799;

/// PP-6.2a, PP-6.2b, PP-6.4a, PP-6.4b, PP-6.4c, PP-X11
#[test]
fn people_come_and_go_as_stated() {
    for case in vectors::load("proofpeer", "presence.json") {
        World::new(&case).play(&case);
    }
}

struct World {
    app: AppId,
    channels: Vec<ChannelName>,
    peer: Peer,
    others: [Identity; 2],
    rng: StdRng,
}

impl World {
    fn new(case: &Case) -> Self {
        let input = case.input();
        input.only(&["app", "channels", "events"]);
        let mut rng = StdRng::seed_from_u64(5);
        let app = AppId::new(input.str("app")).unwrap();
        let mut identity = || Identity::generate_ed25519(&mut rng).unwrap();
        let (own, others) = (identity(), [identity(), identity()]);
        let peer = Peer::new(&mut rng, own, app.clone(), Crypto::native(), settings("compat"));
        let names = input.at("channels").list("");
        let channels = names.iter().map(|name| ChannelName::new(name.str("")).unwrap()).collect();
        let mut world = Self { app, channels, peer, others, rng };
        for channel in world.channels.clone() {
            let join = Input::Join { channel, key: None };
            world.peer.handle(at(0.0), &mut world.rng, join).unwrap();
        }
        world
    }

    fn play(&mut self, case: &Case) {
        let outcomes = case.expect().at("outcomes").list("");
        for (event, outcome) in case.input().at("events").list("").iter().zip(outcomes) {
            let now = at(event.f64("at"));
            if event.has("tick") {
                self.peer.handle(now, &mut self.rng, Input::Tick).unwrap();
            } else {
                let (topic, payload) = self.message(event);
                let received = Input::Received { topic: &topic, payload: payload.as_bytes(), retain: false };
                self.peer.handle(now, &mut self.rng, received).unwrap();
            }
            let shown: Vec<Value> = std::iter::from_fn(|| self.peer.poll())
                .collect::<Vec<_>>()
                .iter()
                .filter_map(|output| self.shown(output))
                .collect();
            let (mut shown, mut expected) = (shown, outcome.value().as_array().unwrap().clone());
            // Of several channels left at once the vectors' order is by their place; ours by their hash.
            shown.sort_by_key(Value::to_string);
            expected.sort_by_key(Value::to_string);
            assert_eq!(shown, expected, "{case}, at {}", event.f64("at"));
        }
    }

    /// What somebody says, with a binding claim.
    fn message(&mut self, event: &Part<'_>) -> (String, String) {
        event.only(&["at", "peer", "data", "channel", "timestamp"]);
        let data = match event.str("data") {
            "join" => json!({"type": "announce", "action": "join"}),
            "beat" => json!({"type": "heartbeat"}),
            "leave" => json!({"type": "announce", "action": "leave"}),
            "introduce" => json!({"type": "announce", "action": "introduce"}),
            "introduce+channel" => {
                json!({"type": "announce", "action": "introduce", "channel": self.channels[0].hash()})
            }
            "app" => json!({"say": "hello"}),
            other => panic!("data {other}"),
        };
        let channel = event.opt_str("channel").map(|name| ChannelName::new(name).unwrap().hash());
        let topic = channel.map_or(self.peer.inbox(), |channel| self.app.channel(channel)).to_string();
        let t = START.checked_add_signed(event.f64("timestamp") as i64).unwrap();
        let own = self.peer.identity().public().fingerprint().0;
        let mut nonce = [0; 16];
        self.rng.fill_bytes(&mut nonce);
        let mut pp = json!({"t": topic, "n": base64::encode_url(&nonce), "c": [], "b": base64::encode_url(&[1; 8])});
        if channel.is_none() {
            pp["to"] = base64::encode_url(&own).into();
        }
        let sender = &self.others[usize::from(event.str("peer") == "B")];
        let token = sender.sign(&mut self.rng, t, &data.to_string(), Some(&pp.to_string()), false).unwrap();
        (topic, json!({"v": 1, "t": t, "r": false, "jwt": token}).to_string())
    }

    fn shown(&self, output: &Output) -> Option<Value> {
        match output {
            Output::Event(Event::Presence(change)) => Some(self.change(change)),
            Output::Event(Event::Dropped(drop)) => Some(json!({"drop": drop.name()})),
            _ => None,
        }
    }

    fn change(&self, change: &PresenceChange) -> Value {
        let is_it = |identity: &Identity| identity.public().fingerprint() == change.peer;
        let peer = if is_it(&self.others[0]) { "A" } else { "B" };
        let reason = match change.reason {
            PresenceReason::Seen => "seen",
            PresenceReason::Leave => "leave",
            PresenceReason::Timeout => "timeout",
        };
        let name = |hash: u32| self.channels.iter().find(|name| name.hash() == hash).unwrap().as_str();
        match change.state {
            PresenceState::Online => json!({"peer": peer, "state": "online", "reason": reason}),
            PresenceState::Offline => json!({"peer": peer, "state": "offline", "reason": reason}),
            PresenceState::Joined(channel) => {
                json!({"peer": peer, "state": "joined", "channel": name(channel), "reason": reason})
            }
            PresenceState::Left(channel) => {
                json!({"peer": peer, "state": "left", "channel": name(channel), "reason": reason})
            }
        }
    }
}

/// Both clocks, so many seconds after the start.
fn at(seconds: f64) -> Now {
    let millis = START * 1000 + (seconds * 1000.0) as u64;
    Now { mono: Mono::from_millis(millis), wall: Wall::from_millis(millis) }
}
