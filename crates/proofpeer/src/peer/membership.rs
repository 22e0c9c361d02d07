//! Brokers and channels: who is where, and what is said to all. Profile, State machines; PP-6.1, PP-6.2, PP-6.4.

use super::{Broker, Channel, Connection, Event, Output, Peer};
use crate::presence::PresenceState;
use crate::{ChannelKey, ChannelName, Error, Fingerprint, Kind, PresenceChange, Topic};
use rand_core::CryptoRng;
use waypost_codec::json::Value;
use waypost_core::{Mono, Now};

const JOIN: &str = r#"{"type":"announce","action":"join"}"#;
const LEAVE: &str = r#"{"type":"announce","action":"leave"}"#;
const HEARTBEAT: &str = r#"{"type":"heartbeat"}"#;

impl Peer {
    pub(super) fn connected(&mut self, broker: Broker, max_packet: Option<usize>) -> Result<(), Error> {
        self.brokers.insert(broker, Connection { max_packet, ..Connection::default() });
        // The own inbox before anything is published.
        let channels = self.channels.keys().map(|channel| self.app.channel(*channel));
        let topics: Vec<Topic> = [self.inbox()].into_iter().chain(channels).collect();
        self.outputs.extend(topics.into_iter().map(|topic| Output::Subscribe { broker, topic }));
        Ok(())
    }

    pub(super) fn subscribed(
        &mut self,
        now: Now,
        rng: &mut dyn CryptoRng,
        broker: Broker,
        topic: Topic,
    ) -> Result<(), Error> {
        let inbox = self.inbox();
        let Some(connection) = self.brokers.get_mut(&broker) else { return Ok(()) };
        connection.subscribed.insert(topic);
        // Nothing is announced before answers could come.
        if !connection.subscribed.contains(&inbox) {
            return Ok(());
        }
        let announced: Vec<Topic> = match topic == inbox {
            true => connection.subscribed.iter().copied().filter(|topic| *topic != inbox).collect(),
            false => vec![topic],
        };
        for topic in announced {
            self.announce(now, rng, Some(broker), topic)?;
        }
        if topic == inbox {
            // What was published while no broker was there is lost.
            self.outboxes.values_mut().for_each(|outbox| outbox.again(&self.settings.timing));
        }
        let peers: Vec<Fingerprint> = self.outboxes.keys().copied().collect();
        peers.into_iter().for_each(|peer| self.flush_outbox(now, rng, peer));
        Ok(())
    }

    fn announce(
        &mut self,
        now: Now,
        rng: &mut dyn CryptoRng,
        broker: Option<Broker>,
        topic: Topic,
    ) -> Result<(), Error> {
        let Kind::Channel(channel) = topic.kind() else { return Ok(()) };
        if !self.channels.contains_key(&channel) {
            return Ok(());
        }
        self.publish_token(now, rng, broker, topic, None, JOIN, false, None)?;
        let heartbeat = self.next_heartbeat(now, rng);
        if let Some(channel) = self.channels.get_mut(&channel) {
            channel.heartbeat.get_or_insert(heartbeat);
        }
        Ok(())
    }

    pub(super) fn next_heartbeat(&self, now: Now, rng: &mut dyn CryptoRng) -> Mono {
        let timing = &self.settings.timing;
        let share = f64::from(rng.next_u32()) / f64::from(u32::MAX);
        now.mono.after(timing.heartbeat.saturating_sub(timing.heartbeat_jitter.mul_f64(share)))
    }

    pub(super) fn join(&mut self, name: ChannelName, key: Option<ChannelKey>) -> Result<(), Error> {
        let channel = name.hash();
        self.channels.insert(channel, Channel { name, key, heartbeat: None });
        let topic = self.app.channel(channel);
        let brokers: Vec<Broker> = self.brokers.keys().copied().collect();
        self.outputs.extend(brokers.into_iter().map(|broker| Output::Subscribe { broker, topic }));
        Ok(())
    }

    pub(super) fn leave(&mut self, now: Now, rng: &mut dyn CryptoRng, name: &ChannelName) -> Result<(), Error> {
        let channel = name.hash();
        if self.channels.get(&channel).is_none_or(|known| known.name != *name) {
            return Err(Error::NotJoined);
        }
        let topic = self.app.channel(channel);
        self.publish_token(now, rng, None, topic, None, LEAVE, false, None)?;
        self.channels.remove(&channel);
        self.outputs.push_back(Output::Unsubscribe { topic });
        let changes = self.presence.forget_channel(channel);
        changes.into_iter().for_each(|change| self.event(Event::Presence(change)));
        Ok(())
    }

    pub(super) fn broadcast(
        &mut self,
        now: Now,
        rng: &mut dyn CryptoRng,
        name: &ChannelName,
        data: &Value,
        reliable: bool,
    ) -> Result<(), Error> {
        let channel = name.hash();
        let known = self.channels.get(&channel).filter(|known| known.name == *name).ok_or(Error::NotJoined)?;
        if self.brokers.is_empty() {
            return Err(Error::NotConnected);
        }
        let topic = self.app.channel(channel);
        let data = match &known.key {
            Some(key) => {
                let mut nonce = [0; crate::crypto::NONCE_LEN];
                rng.fill_bytes(&mut nonce);
                let (own, t, plain) = (self.identity.public(), now.wall.as_secs(), data.to_string());
                format!(r#"{{"enc":"{}"}}"#, key.seal(self.crypto, nonce, own, topic, t, &plain))
            }
            None => data.to_string(),
        };
        self.publish_token(now, rng, None, topic, None, &data, reliable, None)
    }

    /// A newcomer is told that we are there, after a short time.
    pub(super) fn plan_introduction(&mut self, now: Now, rng: &mut dyn CryptoRng, peer: Fingerprint, channel: u32) {
        let timing = &self.settings.timing;
        let last = self.introduced.get(&(peer, channel));
        let planned = self.introductions.iter().any(|(_, to, on)| (to, on) == (&peer, &channel));
        if planned || last.is_some_and(|last| now.mono.since(*last) < timing.introduction_again) {
            return;
        }
        let share = f64::from(rng.next_u32()) / f64::from(u32::MAX);
        self.introductions.push((now.mono.after(timing.introduction.mul_f64(share)), peer, channel));
    }

    pub(super) fn introductions_due(&mut self, now: Now, rng: &mut dyn CryptoRng) {
        let again = self.settings.timing.introduction_again;
        self.introduced.retain(|_, last| now.mono.since(*last) < again);
        let (due, later) = self.introductions.drain(..).partition(|(at, ..)| *at <= now.mono);
        self.introductions = later;
        let due: Vec<(Mono, Fingerprint, u32)> = due;
        for (_, peer, channel) in due {
            if !self.rates.introductions.take(now.mono, &()) || !self.channels.contains_key(&channel) {
                continue;
            }
            self.introduced.insert((peer, channel), now.mono);
            let member = if self.settings.literal { String::new() } else { format!(r#","channel":{channel}"#) };
            let data = format!(r#"{{"type":"announce","action":"introduce"{member}}}"#);
            if let Some(topic) = self.inbox_of(&peer) {
                // Small, and nobody waits for it.
                let _ = self.publish_token(now, rng, None, topic, Some(peer), &data, false, None);
            }
        }
    }

    /// Signs of life: in each channel, and to peers with a session who share none.
    pub(super) fn heartbeats_due(&mut self, now: Now, rng: &mut dyn CryptoRng) {
        let due = self.channels.iter().filter(|(_, channel)| channel.heartbeat.is_some_and(|due| due <= now.mono));
        for channel in due.map(|(channel, _)| *channel).collect::<Vec<_>>() {
            let topic = self.app.channel(channel);
            let _ = self.publish_token(now, rng, None, topic, None, HEARTBEAT, false, None);
            let next = self.next_heartbeat(now, rng);
            if let Some(channel) = self.channels.get_mut(&channel) {
                channel.heartbeat = Some(next);
            }
        }
        if self.inbox_heartbeat.is_none_or(|due| due > now.mono) {
            return;
        }
        self.inbox_heartbeat = (!self.sessions.is_empty()).then(|| self.next_heartbeat(now, rng));
        for peer in self.apart() {
            if let Some(topic) = self.inbox_of(&peer) {
                let _ = self.publish_token(now, rng, None, topic, Some(peer), HEARTBEAT, false, None);
            }
        }
    }

    /// A session stands: its peer wants signs of life, even if it shares no channel.
    pub(super) fn inbox_heartbeat_begins(&mut self, now: Now, rng: &mut dyn CryptoRng) {
        if self.inbox_heartbeat.is_none() {
            self.inbox_heartbeat = Some(self.next_heartbeat(now, rng));
        }
    }

    /// Peers with a session who share no channel with us.
    fn apart(&self) -> Vec<Fingerprint> {
        let mut peers: Vec<Fingerprint> = self.sessions.values().map(|session| session.peer).collect();
        peers.sort_unstable();
        peers.dedup();
        peers.retain(|peer| !self.presence.channels(peer).any(|channel| self.channels.contains_key(&channel)));
        peers
    }

    pub(super) fn presence_changed(&mut self, now: Now, changes: Vec<PresenceChange>) {
        for change in changes {
            self.event(Event::Presence(change));
            if change.state == PresenceState::Offline {
                self.end_sessions(now.mono, &change.peer, "offline", |_| true);
            }
        }
    }

    pub(super) fn shutdown(&mut self, now: Now, rng: &mut dyn CryptoRng) -> Result<(), Error> {
        for channel in std::mem::take(&mut self.channels).into_keys() {
            let topic = self.app.channel(channel);
            self.publish_token(now, rng, None, topic, None, LEAVE, false, None)?;
            self.outputs.push_back(Output::Unsubscribe { topic });
        }
        let mut peers: Vec<Fingerprint> = self.sessions.values().map(|session| session.peer).collect();
        peers.sort_unstable();
        peers.dedup();
        // Peers that know only the seed say goodbye in channels alone.
        let literal = self.settings.literal;
        for peer in peers.into_iter().filter(|_| !literal) {
            if let Some(topic) = self.inbox_of(&peer) {
                self.publish_token(now, rng, None, topic, Some(peer), LEAVE, false, None)?;
            }
        }
        let inbox = self.inbox();
        self.outputs.push_back(Output::Unsubscribe { topic: inbox });
        self.sessions.clear();
        self.pending.clear();
        self.over = true;
        Ok(())
    }

    pub(super) fn membership_timeouts(&self) -> impl Iterator<Item = Mono> {
        let heartbeats = self.channels.values().filter_map(|channel| channel.heartbeat);
        let introductions = self.introductions.iter().map(|(at, ..)| *at);
        heartbeats.chain(introductions).chain(self.inbox_heartbeat)
    }
}
