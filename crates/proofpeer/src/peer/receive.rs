//! What comes, step by step: the first that fails names the reason. Profile, Receive order.

use super::{Auth, Encrypted, Event, Origin, Peer};
use crate::bind::{Binding, Delivery};
use crate::presence::Sign;
use crate::replay::Seen;
use crate::{Drop, Envelope, Fingerprint, Kind, Shape, Token, Topic};
use rand_core::CryptoRng;
use sha2::{Digest, Sha256};
use waypost_codec::json::Value;
use waypost_core::Now;

/// A token that has passed all checks.
pub(super) struct Verified {
    pub(super) token: Token,
    pub(super) peer: Fingerprint,
    pub(super) binding: Option<Binding>,
    pub(super) reliable: bool,
}

/// What a token's data says beyond the application's.
enum Said {
    Join,
    Leave,
    Introduce(Option<u64>),
    Nothing,
    Application,
}

impl Peer {
    pub(super) fn receive(
        &mut self,
        now: Now,
        rng: &mut dyn CryptoRng,
        topic: &str,
        payload: &[u8],
        retain: bool,
    ) -> Result<(), Drop> {
        if retain {
            return Err(Drop::Retained);
        }
        let topic = self.own_topic(topic);
        let limit = self.settings.limits.envelope;
        let envelope = Envelope::read(payload, now.wall.as_secs(), topic.map(Topic::kind), limit)?;
        let topic = topic.ok_or(Drop::Misplaced)?;
        match &envelope.shape {
            Shape::Broadcast { jwt } => self.take_broadcast(now, rng, topic, &envelope, jwt),
            Shape::Introduction { jwt } => self.take_introduction(now, rng, topic, &envelope, jwt),
            Shape::Handshake { jwt, aes_key, sid } => {
                self.take_handshake(now, rng, topic, &envelope, jwt, aes_key, sid)
            }
            Shape::Ack { sender_id, sid, data, x } => {
                self.take_ack(now, rng, &envelope, *sender_id, sid, data, x.as_deref())
            }
            Shape::Session { sender_id, sid, data } => {
                self.take_session(now, rng, topic, &envelope, *sender_id, sid.as_deref(), data)
            }
        }
    }

    /// One of the topics we subscribed to.
    fn own_topic(&self, text: &str) -> Option<Topic> {
        let channels = self.channels.keys().map(|channel| self.app.channel(*channel));
        channels.chain([self.inbox()]).find(|topic| topic.to_string() == text)
    }

    /// Steps 10 to 20 of a token.
    pub(super) fn verify(
        &mut self,
        now: Now,
        topic: Topic,
        envelope: &Envelope,
        jwt: &str,
        handshake: Option<(&str, &[u8])>,
    ) -> Result<Verified, Drop> {
        let token = Token::read(jwt, envelope.t)?;
        let peer = token.key().key.fingerprint();
        if peer == self.identity.public().fingerprint() {
            return Err(Drop::Own);
        }
        if self.book.get(&peer).is_some_and(crate::book::Peer::is_blocked) {
            return Err(Drop::Blocked);
        }
        token.check_alg()?;
        let seen = self.seen(&token, topic, handshake);
        if self.replay.has(now.mono, &seen) {
            return Err(Drop::Duplicate);
        }
        if !self.rates.topic.take(now.mono, &topic) {
            return Err(Drop::Rate);
        }
        let trusted = self.book.get(&peer).is_some_and(crate::book::Peer::is_pinned)
            || self.sessions.values().any(|session| session.peer == peer && session.auth.proven);
        if !self.replay.has_room(now.mono, trusted) {
            return Err(Drop::Overload);
        }
        token.verify(self.crypto)?;
        if !self.rates.key.take(now.mono, &peer) {
            return Err(Drop::Rate);
        }
        let binding = self.bound(&token, topic, handshake)?;
        self.book.check_room(token.key())?;
        self.replay.insert(now.mono, seen);
        self.note(now, &token, peer, binding.as_ref());
        Ok(Verified { token, peer, binding, reliable: envelope.r })
    }

    fn seen(&self, token: &Token, topic: Topic, handshake: Option<(&str, &[u8])>) -> Seen {
        let (key, signed) = (&token.key().key, token.signed());
        match (token.pp().filter(|_| !self.settings.literal), handshake) {
            (Some(_), _) => Seen::bound(key, signed),
            (None, Some((sid, aes_key))) => Seen::handshake(key, signed, topic, sid, aes_key),
            (None, None) => Seen::literal(key, signed, topic),
        }
    }

    /// Step 19.
    fn bound(&self, token: &Token, topic: Topic, handshake: Option<(&str, &[u8])>) -> Result<Option<Binding>, Drop> {
        if self.settings.literal {
            // To a peer that knows only the seed it is an unknown member.
            return Ok(None);
        }
        let Some(pp) = token.pp() else {
            let locked = self.book.get(&token.key().key.fingerprint()).is_some_and(crate::book::Peer::is_locked);
            return match (locked, self.settings.accept) {
                (true, _) => Err(Drop::Downgrade),
                (false, crate::Accept::Strict) => Err(Drop::Unbound),
                (false, crate::Accept::Compat) => Ok(None),
            };
        };
        let to = matches!(topic.kind(), Kind::Inbox(_)).then(|| self.identity.public().fingerprint());
        let handshake = handshake.map(|(sid, aes_key)| (sid, Sha256::digest(aes_key).into()));
        Binding::read(pp, &Delivery { topic, to, handshake }).map(Some)
    }

    /// Step 20: lock, capabilities, another run of the peer's process.
    fn note(&mut self, now: Now, token: &Token, peer: Fingerprint, binding: Option<&Binding>) {
        let ts = token.timestamp();
        self.skew.note(now.wall, peer, ts);
        let noted = self.book.note(now.mono, token.key(), ts, binding);
        if noted.changed {
            self.event(Event::PeerChanged(peer));
        }
        if noted.restarted {
            self.end_sessions(now.mono, &peer, "restarted", |session| session.since_ts < ts);
            self.tried.remove(&peer);
        }
        let (presence, sessions) = (&self.presence, &self.sessions);
        let talks = |peer: &Fingerprint| sessions.values().any(|session| session.peer == *peer && session.auth.proven);
        let gone = self.book.crowd_out(&peer, |peer| (presence.is_online(peer), talks(peer)));
        if let Some(gone) = gone {
            self.forget_peer(now.mono, &gone);
        }
    }

    fn take_broadcast(
        &mut self,
        now: Now,
        rng: &mut dyn CryptoRng,
        topic: Topic,
        envelope: &Envelope,
        jwt: &str,
    ) -> Result<(), Drop> {
        let Kind::Channel(channel) = topic.kind() else { return Err(Drop::Misplaced) };
        let verified = self.verify(now, topic, envelope, jwt, None)?;
        let (peer, ts) = (verified.peer, verified.token.timestamp());
        let said = Said::of(verified.token.data());
        let sign = if matches!(said, Said::Leave) { Sign::Leave } else { Sign::Life };
        let changes = self.presence.on_channel(now.mono, peer, channel, ts, sign);
        self.presence_changed(now, changes);
        match said {
            Said::Join => {
                // For keys that say nothing of their process, a join does.
                let locked = self.book.get(&peer).is_some_and(crate::book::Peer::is_locked);
                if !locked {
                    self.end_sessions(now.mono, &peer, "restarted", |session| session.since_ts + 2 < ts);
                }
                self.plan_introduction(now, rng, peer, channel);
            }
            Said::Leave => return Ok(()),
            Said::Introduce(_) | Said::Nothing => {}
            Said::Application => {
                self.seen_again(now, rng, peer);
                return self.deliver_broadcast(&verified, topic, channel);
            }
        }
        self.seen_again(now, rng, peer);
        Ok(())
    }

    fn deliver_broadcast(&mut self, verified: &Verified, topic: Topic, channel: u32) -> Result<(), Drop> {
        let token = &verified.token;
        let key = self.channels.get(&channel).and_then(|channel| channel.key.as_ref());
        let (value, encrypted) = match key {
            Some(key) => {
                let sender = &token.key().key;
                (key.open(self.crypto, sender, topic, token.timestamp(), token.data())?, Encrypted::Channel)
            }
            None => (token.data().clone(), Encrypted::None),
        };
        let origin = Origin {
            peer: verified.peer,
            uid: token.key().uid,
            channel: Some(channel),
            t: token.timestamp(),
            reliable: verified.reliable,
            auth: Auth { bound: verified.binding.is_some(), ..Auth::BROADCAST },
            encrypted,
        };
        self.event(Event::Deliver { delivery: None, origin, value: Some(value), bytes: None });
        Ok(())
    }

    fn take_introduction(
        &mut self,
        now: Now,
        rng: &mut dyn CryptoRng,
        topic: Topic,
        envelope: &Envelope,
        jwt: &str,
    ) -> Result<(), Drop> {
        let verified = self.verify(now, topic, envelope, jwt, None)?;
        let (peer, ts) = (verified.peer, verified.token.timestamp());
        match Said::of(verified.token.data()) {
            Said::Leave => {
                // Without a binding claim it may be a copy of what was said in a channel.
                let newest = self.book.get(&peer).is_some_and(|peer| ts >= peer.newest());
                if verified.binding.is_some() && newest {
                    let changes = self.presence.left(peer, ts);
                    self.presence_changed(now, changes);
                    self.end_sessions(now.mono, &peer, "offline", |_| true);
                }
            }
            said => {
                let mut changes = self.presence.in_inbox(now.mono, peer, ts);
                if let Said::Introduce(Some(channel)) = said
                    && let Ok(channel) = u32::try_from(channel)
                    && self.channels.contains_key(&channel)
                {
                    changes.extend(self.presence.on_channel(now.mono, peer, channel, ts, Sign::Life));
                }
                self.presence_changed(now, changes);
                self.seen_again(now, rng, peer);
            }
        }
        Ok(())
    }
}

impl Said {
    fn of(data: &Value) -> Self {
        let Some(object) = data.as_object() else {
            return if *data == Value::Null { Self::Nothing } else { Self::Application };
        };
        let text = |name| object.get(name).and_then(Value::as_str);
        match (text("type"), text("action")) {
            (Some("heartbeat"), _) => Self::Nothing,
            (Some("announce"), Some("join")) => Self::Join,
            (Some("announce"), Some("leave")) => Self::Leave,
            (Some("announce"), Some("introduce")) => Self::Introduce(object.get("channel").and_then(Value::as_uint)),
            _ => Self::Application,
        }
    }
}
