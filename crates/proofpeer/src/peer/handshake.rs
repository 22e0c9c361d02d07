//! How two peers come to a session. Profile, Handshake; PP-4.4, PP-4.5, PP-X1 to PP-X5.

use super::publish::{Shown, quoted};
use super::{Event, Peer, Pending};
use crate::ack::Extension;
use crate::bind::{Binding, OWN_CAPS};
use crate::key::Material;
use crate::nonce::{Incoming, Outgoing, Prefix};
use crate::schedule::{Key, Offer, SessionKeys, exchange};
use crate::session::{Auth, Cipher, Role, Session};
use crate::{Accept, Drop, Envelope, Error, Fingerprint, PublicKey, Topic, sealed_box};
use rand_core::CryptoRng;
use sha2::{Digest, Sha256};
use std::time::Duration;
use waypost_codec::base64;
use waypost_core::Now;
use x25519_dalek::{PublicKey as X25519, StaticSecret};
use zeroize::Zeroizing;

/// What an ack says.
const OK: &[u8] = b"OK";
const QUOTED_OK: &[u8] = b"\"OK\"";
/// The same ack is not sent more often.
const ACK_AGAIN: Duration = Duration::from_secs(1);
/// A nonce and a tag.
const NONCE_LEN: usize = crate::crypto::NONCE_LEN;

impl Peer {
    /// Begins a handshake that nobody asked for, unless one was begun a short time ago.
    pub(super) fn try_handshake(&mut self, now: Now, rng: &mut dyn CryptoRng, peer: Fingerprint) -> Result<(), Error> {
        let just = self.tried.get(&peer).is_some_and(|at| now.mono.since(*at) < self.settings.timing.handshake);
        if just { Ok(()) } else { self.begin_handshake(now, rng, peer) }
    }

    /// Begins a handshake, unless one is under way.
    pub(super) fn begin_handshake(
        &mut self,
        now: Now,
        rng: &mut dyn CryptoRng,
        peer: Fingerprint,
    ) -> Result<(), Error> {
        if self.pending.contains_key(&peer) {
            return Ok(());
        }
        if self.pending.len() >= self.settings.limits.pending {
            return Err(Error::QueueFull);
        }
        let key = self.book.get(&peer).ok_or(Error::UnknownPeer)?.key().clone();
        let mut k0: Key = Zeroizing::new([0; 32]);
        rng.fill_bytes(k0.as_mut_slice());
        let aes_key = self.wrap(rng, &key, &k0).ok_or(Error::Internal("a key cannot be wrapped"))?;
        let pending =
            Pending { sid: self.fresh_sid(rng), k0, aes_key, ephemeral: secret(rng), begun: now.mono, sent: 0 };
        self.tried.insert(peer, now.mono);
        self.pending.insert(peer, pending);
        self.send_handshake(now, rng, peer)
    }

    fn fresh_sid(&self, rng: &mut dyn CryptoRng) -> String {
        loop {
            let sid = format!("{:08x}", rng.next_u32());
            let used = self.pending.values().any(|pending| pending.sid == sid)
                || self.sessions.values().any(|session| session.sid == sid);
            if !used {
                return sid;
            }
        }
    }

    fn wrap(&self, rng: &mut dyn CryptoRng, key: &PublicKey, k0: &[u8; 32]) -> Option<Vec<u8>> {
        match key.material() {
            Material::Rsa { pkcs1, .. } => self.crypto.backend().wrap(rng, pkcs1, k0),
            Material::Ed25519(point) => {
                let mut ephemeral = Zeroizing::new([0; 32]);
                rng.fill_bytes(ephemeral.as_mut_slice());
                sealed_box::seal(&ephemeral, point, k0)
            }
        }
    }

    /// The same handshake, in a new token.
    pub(super) fn send_handshake(&mut self, now: Now, rng: &mut dyn CryptoRng, peer: Fingerprint) -> Result<(), Error> {
        let topic = self.inbox_of(&peer).ok_or(Error::UnknownPeer)?;
        let Some(pending) = self.pending.get_mut(&peer) else { return Ok(()) };
        pending.sent += 1;
        let (sid, aes_key) = (pending.sid.clone(), pending.aes_key.clone());
        let epk = X25519::from(&pending.ephemeral).to_bytes();
        let shown = Shown { sid: &sid, wrapped: Sha256::digest(&aes_key).into(), epk };
        let handshake = Some((&shown, aes_key.as_slice()));
        self.publish_token(now, rng, None, topic, Some(peer), r#"{"type":"handshake"}"#, true, handshake)
    }

    #[expect(clippy::too_many_arguments, reason = "everything a handshake says")]
    pub(super) fn take_handshake(
        &mut self,
        now: Now,
        rng: &mut dyn CryptoRng,
        topic: Topic,
        envelope: &Envelope,
        jwt: &str,
        aes_key: &[u8],
        sid: &str,
    ) -> Result<(), Drop> {
        let wrapped: [u8; 32] = Sha256::digest(aes_key).into();
        let verified = match self.verify(now, topic, envelope, jwt, Some((sid, aes_key))) {
            Err(Drop::Duplicate) => {
                // The answer may have been lost.
                if let Ok(token) = crate::Token::read(jwt, envelope.t) {
                    self.ack_again(now, token.key().key.fingerprint(), sid, &wrapped);
                }
                return Err(Drop::Duplicate);
            }
            verified => verified?,
        };
        let peer = verified.peer;
        let changes = self.presence.in_inbox(now.mono, peer, verified.token.timestamp());
        self.presence_changed(now, changes);
        if self.answered(&peer, sid).is_some_and(|session| session.wrapped == wrapped) {
            self.ack_again(now, peer, sid, &wrapped);
            return Err(Drop::Duplicate);
        }
        self.check_reuse(now, &peer, sid, &wrapped)?;
        let binding = verified.binding.as_ref();
        let directional = binding.is_some_and(|binding| binding.can("d1"));
        if self.settings.accept == Accept::Strict && !directional {
            return Err(Drop::Unbound);
        }
        let unwraps = self.rates.unwrap_key.take(now.mono, &peer) && self.rates.unwrap_all.take(now.mono, &());
        if !unwraps {
            return Err(Drop::Rate);
        }
        let k0 = self.identity.unwrap(rng, aes_key).ok_or(Drop::BadWrap)?;
        let (mut session, ack) = self.answer(now, rng, &verified, sid, aes_key, &k0)?;
        let proven = session.auth.proven;
        session.rival = self.pending.get(&peer).map(|pending| pending.sid.clone()).filter(|_| proven);
        self.remember_wrapped(peer, wrapped, sid);
        self.add_session(now, session);
        if let Some(inbox) = self.inbox_of(&peer) {
            // An ack is small: it fits every envelope.
            let _ = self.publish_m(now.wall.as_secs(), inbox, &ack, true);
        }
        self.inbox_heartbeat_begins(now, rng);
        if proven {
            self.session_ready(now, rng, peer);
        } else if !self.sessions.values().any(|session| session.peer == peer && session.auth.proven) {
            // The reverse handshake: only the owner of the key can answer it. PP-X2.
            let _ = self.try_handshake(now, rng, peer);
        }
        Ok(())
    }

    /// The session a handshake is for, and the `m` of its ack.
    fn answer(
        &self,
        now: Now,
        rng: &mut dyn CryptoRng,
        verified: &super::receive::Verified,
        sid: &str,
        aes_key: &[u8],
        k0: &Key,
    ) -> Result<(Session, String), Drop> {
        let binding = verified.binding.as_ref().filter(|_| !self.settings.literal);
        let directional = binding.is_some_and(|binding| binding.can("d1"));
        let mut random = [0; NONCE_LEN];
        rng.fill_bytes(&mut random);
        let mut prefix = [0; 6];
        rng.fill_bytes(&mut prefix);
        let mut out = Outgoing::new(Prefix::new(prefix, true));
        // In a literal session the ack is the responder's first message.
        let nonce = if directional { random } else { out.next().unwrap_or(random) };
        let data = [&nonce[..], &self.crypto.backend().seal(k0, &nonce, &[], OK)].concat();
        let (cipher, x, forward_secret) = match binding {
            Some(binding) => {
                let (keys, x, forward_secret) = self.extend(rng, verified, binding, sid, aes_key, k0)?;
                let cipher = if directional {
                    Cipher::Directional { send: keys.r2i, recv: keys.i2r }
                } else {
                    Cipher::Literal(k0.clone())
                };
                (cipher, Some(x), directional && forward_secret)
            }
            None => (Cipher::Literal(k0.clone()), None, false),
        };
        let x = x.map(|x| format!(r#","x":{{"d":"{}"}}"#, base64::encode(&x))).unwrap_or_default();
        let (sid_json, data) = (quoted(sid), base64::encode(&data));
        let ack = format!(r#"{{"sender_id":{},"aes":{{"sid":{sid_json},"data":"{data}"}}{x}}}"#, self.own_uid());
        let framed = directional && binding.is_some_and(|binding| binding.can("a1"));
        let session = Session {
            sid: sid.to_owned(),
            peer: verified.peer,
            role: Role::Responder,
            cipher,
            auth: Auth { proven: directional, bound: directional, forward_secret },
            framed,
            out,
            incoming: self.incoming(directional),
            wrapped: Sha256::digest(aes_key).into(),
            ack: Some((ack.clone(), now.mono)),
            since: now.mono,
            since_ts: verified.token.timestamp(),
            until: None,
            in_a_row: 0,
            timeouts: 0,
            rival: None,
        };
        Ok((session, ack))
    }

    /// Keys and extension of an ack to a handshake with a binding claim.
    fn extend(
        &self,
        rng: &mut dyn CryptoRng,
        verified: &super::receive::Verified,
        binding: &Binding,
        sid: &str,
        aes_key: &[u8],
        k0: &Key,
    ) -> Result<(SessionKeys, Vec<u8>, bool), Drop> {
        let ephemeral = secret(rng);
        let dh = match &binding.epk {
            Some(theirs) => Some(exchange(&ephemeral, theirs).ok_or(Drop::BadWrap)?),
            None => None,
        };
        let own = dh.is_some().then(|| X25519::from(&ephemeral).to_bytes());
        let th = Offer {
            sid,
            initiator: verified.token.key().key.spki(),
            responder: self.identity.public().spki(),
            aes_key,
            epk: binding.epk.as_ref().map_or(&[], <[u8; 32]>::as_slice),
            caps: &binding.caps,
        }
        .transcript();
        let caps = OWN_CAPS.map(str::to_owned).to_vec();
        let keys = th.keys(k0, dh.as_deref(), own.as_ref().map_or(&[], <[u8; 32]>::as_slice), &caps);
        let mut nonce = [0; NONCE_LEN];
        rng.fill_bytes(&mut nonce);
        let x = Extension { caps, epk: own }.seal(self.crypto, &th.ack_key(k0), nonce, th);
        Ok((keys, x, own.is_some()))
    }

    fn incoming(&self, directional: bool) -> Incoming {
        if directional { Incoming::window() } else { Incoming::all(self.settings.limits.nonces) }
    }

    /// The session that answered this sid of a peer.
    fn answered(&self, peer: &Fingerprint, sid: &str) -> Option<&Session> {
        let mut sessions = self.sessions.values();
        sessions.find(|session| session.peer == *peer && session.sid == sid && session.role.is_responder())
    }

    /// Sends an ack again, with a new time; at most once a second.
    fn ack_again(&mut self, now: Now, peer: Fingerprint, sid: &str, wrapped: &[u8; 32]) {
        let Some(inbox) = self.inbox_of(&peer) else { return };
        let session = self.sessions.values_mut().find(|session| {
            session.peer == peer && session.sid == sid && session.wrapped == *wrapped && session.ack.is_some()
        });
        let Some((ack, last)) = session.and_then(|session| session.ack.as_mut()) else { return };
        if now.mono.since(*last) < ACK_AGAIN {
            return;
        }
        *last = now.mono;
        let ack = ack.clone();
        let _ = self.publish_m(now.wall.as_secs(), inbox, &ack, true);
    }

    /// A sid is for one key, and a wrapped key for one sid, while either is remembered. PP-7.3b.
    fn check_reuse(&mut self, now: Now, peer: &Fingerprint, sid: &str, wrapped: &[u8; 32]) -> Result<(), Drop> {
        self.ended.retain(|_, until| *until > now.mono);
        let live = self.sessions.values().any(|session| session.peer == *peer && session.sid == sid);
        let ended = self.ended.contains_key(&(*peer, sid.to_owned()));
        let used = self.wrapped.contains_key(&(*peer, *wrapped));
        if live || ended || used { Err(Drop::SidReuse) } else { Ok(()) }
    }

    fn remember_wrapped(&mut self, peer: Fingerprint, wrapped: [u8; 32], sid: &str) {
        if self.wrapped.insert((peer, wrapped), sid.to_owned()).is_none() {
            self.wrapped_order.push_back((peer, wrapped));
        }
        while self.wrapped_order.len() > self.settings.limits.wrapped_keys {
            if let Some(oldest) = self.wrapped_order.pop_front() {
                self.wrapped.remove(&oldest);
            }
        }
    }

    /// The answer to a handshake of ours. A dropped one changes nothing.
    #[expect(clippy::too_many_arguments, reason = "everything an ack says")]
    pub(super) fn take_ack(
        &mut self,
        now: Now,
        rng: &mut dyn CryptoRng,
        envelope: &Envelope,
        sender_id: u32,
        sid: &str,
        data: &[u8],
        x: Option<&[u8]>,
    ) -> Result<(), Drop> {
        let Some((&peer, pending)) = self.pending.iter().find(|(_, pending)| pending.sid == sid) else {
            let known = self.sessions.values().any(|session| !session.role.is_responder() && session.sid == sid);
            return Err(if known { Drop::Duplicate } else { Drop::NoSession });
        };
        let known = self.book.get(&peer).filter(|known| known.is_uid(sender_id)).ok_or(Drop::BadSender)?;
        if known.is_blocked() {
            return Err(Drop::Blocked);
        }
        let (nonce, sealed) = data.split_first_chunk::<NONCE_LEN>().ok_or(Drop::BadCipher)?;
        let plain = self.crypto.backend().open(&pending.k0, nonce, &[], sealed).ok_or(Drop::BadCipher)?;
        if plain.as_slice() != OK && plain.as_slice() != QUOTED_OK {
            return Err(Drop::BadAck);
        }
        let (cipher, framed, forward_secret) = self.read_extension(pending, known.key(), x)?;
        let directional = matches!(cipher, Cipher::Directional { .. });
        if x.is_none() && known.can("d1") && !self.settings.literal {
            return Err(Drop::BadAck);
        }
        if self.settings.accept == Accept::Strict && !directional {
            return Err(Drop::Unbound);
        }
        let mut prefix = [0; 6];
        rng.fill_bytes(&mut prefix);
        let mut incoming = self.incoming(directional);
        if !directional {
            // The ack was the responder's first message.
            incoming.record(nonce);
        }
        let session = Session {
            sid: sid.to_owned(),
            peer,
            role: Role::Initiator,
            cipher,
            auth: Auth { proven: true, bound: directional, forward_secret },
            framed,
            out: Outgoing::new(Prefix::new(prefix, false)),
            incoming,
            wrapped: Sha256::digest(&pending.aes_key).into(),
            ack: None,
            since: now.mono,
            // By the peer's clock: it is compared with what the peer signs.
            since_ts: envelope.t,
            until: None,
            in_a_row: 0,
            timeouts: 0,
            rival: None,
        };
        self.pending.remove(&peer);
        let changes = self.presence.alive(now.mono, peer);
        self.presence_changed(now, changes);
        let own = self.add_session(now, session);
        self.inbox_heartbeat_begins(now, rng);
        // Of two that were begun at the same time, both sides send by the smaller sid.
        let mut theirs = self.sessions.iter().filter(|(_, known)| known.peer == peer && known.is_rival_of(sid));
        let winner = theirs.find(|(_, theirs)| theirs.sid.as_str() < sid).map_or(own, |(id, _)| *id);
        self.send_only_by(now, winner, peer);
        self.session_ready(now, rng, peer);
        Ok(())
    }

    /// Cipher of the session, whether it holds frames, and whether it is forward secret.
    fn read_extension(
        &self,
        pending: &Pending,
        responder: &PublicKey,
        x: Option<&[u8]>,
    ) -> Result<(Cipher, bool, bool), Drop> {
        let Some(x) = x.filter(|_| !self.settings.literal) else {
            return Ok((Cipher::Literal(pending.k0.clone()), false, false));
        };
        let epk = X25519::from(&pending.ephemeral).to_bytes();
        let own_caps = OWN_CAPS.map(str::to_owned).to_vec();
        let th = Offer {
            sid: &pending.sid,
            initiator: self.identity.public().spki(),
            responder: responder.spki(),
            aes_key: &pending.aes_key,
            epk: &epk,
            caps: &own_caps,
        }
        .transcript();
        let extension = Extension::open(self.crypto, &th.ack_key(&pending.k0), th, x)?;
        let dh = match &extension.epk {
            Some(theirs) => Some(exchange(&pending.ephemeral, theirs).ok_or(Drop::BadAck)?),
            None => None,
        };
        if !extension.can("d1") {
            return Ok((Cipher::Literal(pending.k0.clone()), false, false));
        }
        let theirs = extension.epk.as_ref().map_or(&[][..], <[u8; 32]>::as_slice);
        let keys = th.keys(&pending.k0, dh.as_deref(), theirs, &extension.caps);
        let cipher = Cipher::Directional { send: keys.i2r, recv: keys.r2i };
        Ok((cipher, extension.can("a1"), extension.epk.is_some()))
    }

    /// Handshakes that are due again, or have failed.
    pub(super) fn handshakes_due(&mut self, now: Now, rng: &mut dyn CryptoRng) {
        let timing = self.settings.timing.clone();
        let all: Vec<Fingerprint> = self.pending.keys().copied().collect();
        for peer in all {
            let Some(pending) = self.pending.get(&peer) else { continue };
            let age = now.mono.since(pending.begun);
            let due = pending.sent.checked_sub(1).and_then(|sent| timing.handshake_retries.get(sent));
            if age >= timing.handshake {
                self.pending.remove(&peer);
                self.handshake_failed(&peer);
            } else if due.is_some_and(|due| age >= *due) {
                let _ = self.send_handshake(now, rng, peer);
            }
        }
    }

    /// When the next is due.
    pub(super) fn handshake_timeouts(&self) -> impl Iterator<Item = waypost_core::Mono> {
        self.pending.values().map(|pending| {
            let timing = &self.settings.timing;
            let again = pending.sent.checked_sub(1).and_then(|sent| timing.handshake_retries.get(sent));
            pending.begun.after(again.copied().unwrap_or(timing.handshake).min(timing.handshake))
        })
    }

    fn handshake_failed(&mut self, peer: &Fingerprint) {
        let waiting = self.queues.remove(peer).unwrap_or_default();
        let (keep, lost): (Vec<_>, Vec<_>) = waiting.into_iter().partition(|message| message.reliable);
        for message in lost {
            self.event(Event::Status { id: message.id, status: super::MessageStatus::Failed });
        }
        if !keep.is_empty() {
            // They try again at the peer's next sign of life.
            self.queues.insert(*peer, keep.into());
        }
    }
}

fn secret(rng: &mut dyn CryptoRng) -> StaticSecret {
    let mut bytes = Zeroizing::new([0; 32]);
    rng.fill_bytes(bytes.as_mut_slice());
    StaticSecret::from(*bytes)
}
