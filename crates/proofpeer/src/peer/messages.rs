//! Messages to one peer, and from one: sealed by a session, in frames where both sides can. Profile, Send; Session;
//! Frames, receipts, chunks.

use super::{Encrypted, Event, MessageStatus, Origin, Peer, Waiting};
use crate::frame::{Frame, FrameKind, HEADER_LEN, MessageId};
use crate::inbox::{Arrived, receipts};
use crate::session::Place;
use crate::{Drop, Envelope, Error, Fingerprint, Topic};
use rand_core::CryptoRng;
use waypost_codec::base64;
use waypost_core::Now;
use zeroize::Zeroizing;

/// Sessions of one key that are tried for a message that names none.
const TRIED: usize = 4;
/// Authentic messages in a row by another session before it is followed.
const FOLLOW: u32 = 3;
/// Receipts in a row that do not come before a session is renewed.
const RENEW_AFTER: u32 = 3;
/// The smallest part.
const MIN_CHUNK: usize = 1024;
/// JSON and base64 around a part.
const ENVELOPE_COST: usize = 512;

impl Peer {
    pub(super) fn send(
        &mut self,
        now: Now,
        rng: &mut dyn CryptoRng,
        id: u64,
        to: Fingerprint,
        bytes: Vec<u8>,
        reliable: bool,
    ) -> Result<(), Error> {
        if self.book.get(&to).is_none() {
            return Err(Error::UnknownPeer);
        }
        if bytes.len() > self.settings.limits.message {
            return Err(Error::TooLarge);
        }
        let message = Waiting { id, bytes, reliable, deadline: now.mono.after(self.settings.timing.deadline) };
        let Some(session) = self.sending(&to) else {
            if self.queues.get(&to).is_some_and(|queue| queue.len() >= self.settings.limits.queue) {
                return Err(Error::QueueFull);
            }
            self.begin_handshake(now, rng, to)?;
            self.queues.entry(to).or_default().push_back(message);
            self.event(Event::Status { id, status: MessageStatus::Queued });
            return Ok(());
        };
        if self.wants_renewal(now, session) {
            // The old one serves until the new one stands; there is another try at the next message.
            let _ = self.begin_handshake(now, rng, to);
        }
        self.send_by(now, rng, session, to, message)
    }

    /// Whether a session is to be followed by another at the next message.
    fn wants_renewal(&self, now: Now, id: u64) -> bool {
        let (limits, timing) = (&self.settings.limits, &self.settings.timing);
        self.sessions.get(&id).is_some_and(|session| {
            now.mono.since(session.since) >= timing.session
                || session.out.used() >= limits.session_messages
                || session.incoming.remembered() >= limits.nonces
                || session.timeouts >= RENEW_AFTER
        })
    }

    /// A session with a peer stands: what waited goes.
    pub(super) fn session_ready(&mut self, now: Now, rng: &mut dyn CryptoRng, peer: Fingerprint) {
        // What was in the outbox before; what leaves the queue goes by this session the first time.
        if let Some(outbox) = self.outboxes.get_mut(&peer) {
            outbox.again(&self.settings.timing);
        }
        self.flush_queue(now, rng, peer);
        self.flush_outbox(now, rng, peer);
    }

    fn flush_queue(&mut self, now: Now, rng: &mut dyn CryptoRng, peer: Fingerprint) {
        for message in self.queues.remove(&peer).unwrap_or_default() {
            let Some(session) = self.sending(&peer) else { return };
            let id = message.id;
            if self.send_by(now, rng, session, peer, message).is_err() {
                self.event(Event::Status { id, status: MessageStatus::Failed });
            }
        }
    }

    /// Sends a message by a session that stands.
    fn send_by(
        &mut self,
        now: Now,
        rng: &mut dyn CryptoRng,
        session: u64,
        to: Fingerprint,
        message: Waiting,
    ) -> Result<(), Error> {
        let Waiting { id, bytes, reliable, .. } = message;
        if !self.sessions.get(&session).is_some_and(|session| session.framed) {
            self.publish_sealed(now, session, &bytes, reliable)?;
            let status = if reliable { MessageStatus::Unconfirmed } else { MessageStatus::Sent };
            self.event(Event::Status { id, status });
            return Ok(());
        }
        let parts = self.parts(bytes)?;
        let mid = fresh_id(rng);
        if reliable {
            let size = parts.iter().map(Vec::len).sum();
            let outbox = self.outboxes.entry(to).or_default();
            if !outbox.has_room(&self.settings.limits, size) {
                return Err(Error::OutboxFull);
            }
            outbox.push(now.mono, id, mid, parts, &self.settings.timing);
            self.flush_outbox(now, rng, to);
        } else {
            let count = u16::try_from(parts.len()).map_err(|_| Error::TooLarge)?;
            for (idx, body) in (0..count).zip(parts) {
                let frame = Frame { mid, kind: FrameKind::Data { receipt: false, idx, count, body } };
                self.publish_sealed(now, session, &frame.encode(), false)?;
            }
        }
        self.event(Event::Status { id, status: MessageStatus::Sent });
        Ok(())
    }

    /// Cuts a message so that each part fits an envelope.
    fn parts(&self, bytes: Vec<u8>) -> Result<Vec<Vec<u8>>, Error> {
        let limits = &self.settings.limits;
        if bytes.len() > limits.message {
            return Err(Error::TooLarge);
        }
        // Base64 makes four bytes of three.
        let fits = (self.envelope_limit().saturating_sub(ENVELOPE_COST) / 4 * 3).saturating_sub(HEADER_LEN + 28);
        let chunk = limits.chunk.min(fits);
        if bytes.len() <= chunk {
            return Ok(vec![bytes]);
        }
        if chunk < MIN_CHUNK || bytes.len().div_ceil(chunk) > usize::from(u16::MAX) {
            return Err(Error::TooLarge);
        }
        Ok(bytes.chunks(chunk).map(<[u8]>::to_vec).collect())
    }

    /// Sends frames that are due.
    pub(super) fn flush_outbox(&mut self, now: Now, rng: &mut dyn CryptoRng, peer: Fingerprint) {
        let Some(session) = self.sending(&peer).filter(|id| self.sessions.get(id).is_some_and(|known| known.framed))
        else {
            return;
        };
        if !self.presence.is_online(&peer) {
            return;
        }
        let Some(outbox) = self.outboxes.get_mut(&peer) else { return };
        let (frames, repeated) = outbox.due(now.mono, rng, &self.settings.limits, &self.settings.timing);
        for frame in frames {
            // What is too large for a broker now is tried again later.
            let _ = self.publish_sealed(now, session, &frame.encode(), true);
        }
        if repeated && let Some(known) = self.sessions.get_mut(&session) {
            known.timeouts += 1;
            if known.timeouts >= RENEW_AFTER && known.is_directional() {
                let _ = self.try_handshake(now, rng, peer);
            }
        }
    }

    /// One session message.
    fn publish_sealed(&mut self, now: Now, id: u64, plain: &[u8], reliable: bool) -> Result<(), Error> {
        let (t, sender_id, crypto) = (now.wall.as_secs(), self.own_uid(), self.crypto);
        let session = self.sessions.get(&id).ok_or(Error::Internal("a session that is gone"))?;
        let (peer, sid) = (session.peer, session.sid.clone());
        let topic = self.inbox_of(&peer).ok_or(Error::UnknownPeer)?;
        // Judged before a nonce is spent.
        if plain.len().div_ceil(3) * 4 + ENVELOPE_COST > self.envelope_limit() {
            return Err(Error::TooLarge);
        }
        let session = self.sessions.get_mut(&id).ok_or(Error::Internal("a session that is gone"))?;
        let place = Place { topic, t, r: reliable, sender_id, sid: &sid };
        let Some(sealed) = session.seal(crypto, place, plain) else {
            self.end_session(now.mono, id, "used up");
            return Err(Error::Internal("a session that is used up"));
        };
        let sid = super::publish::quoted(&sid);
        let sid = if self.settings.literal { String::new() } else { format!(r#","sid":{sid}"#) };
        let data = base64::encode(&sealed);
        let m = format!(r#"{{"sender_id":{sender_id},"aes":{{"data":"{data}"}}{sid}}}"#);
        self.publish_m(t, topic, &m, reliable)
    }

    #[expect(clippy::too_many_arguments, reason = "everything a session message says")]
    pub(super) fn take_session(
        &mut self,
        now: Now,
        rng: &mut dyn CryptoRng,
        topic: Topic,
        envelope: &Envelope,
        sender_id: u32,
        sid: Option<&str>,
        data: &[u8],
    ) -> Result<(), Drop> {
        let candidates = self.candidates(sender_id, sid);
        if candidates.is_empty() {
            return Err(Drop::NoSession);
        }
        if sid.is_none() && !self.rates.failures.has(now.mono, &sender_id) {
            return Err(Drop::Rate);
        }
        let opened = self.open_by(&candidates, topic, envelope, sender_id, sid, data);
        if sid.is_none() && opened.is_err() {
            self.rates.failures.take(now.mono, &sender_id);
        }
        let (id, plain) = opened?;
        let Some(session) = self.sessions.get_mut(&id) else { return Err(Drop::NoSession) };
        session.timeouts = 0;
        let (peer, auth, framed) = (session.peer, session.auth, session.framed);
        let changes = self.presence.alive(now.mono, peer);
        self.presence_changed(now, changes);
        if !self.rates.session.take(now.mono, &peer) {
            return Err(Drop::Rate);
        }
        self.follow(now, id, peer);
        self.seen_again(now, rng, peer);
        let origin = Origin {
            peer,
            uid: sender_id,
            channel: None,
            t: envelope.t,
            reliable: envelope.r,
            auth,
            encrypted: Encrypted::Session,
        };
        if framed {
            return self.take_frame(now, rng, &plain, origin);
        }
        self.event(Event::Deliver { delivery: None, origin, value: None, bytes: Some(plain.to_vec()) });
        Ok(())
    }

    /// Sessions a message may belong to.
    fn candidates(&self, sender_id: u32, sid: Option<&str>) -> Vec<u64> {
        let mut all = Vec::new();
        let blocked = |key: &&Fingerprint| self.book.get(key).is_some_and(crate::book::Peer::is_blocked);
        for key in self.book.of_uid(sender_id).iter().filter(|key| !blocked(key)) {
            let mut of_key: Vec<_> = self.sessions.iter().filter(|(_, session)| session.peer == *key).collect();
            match sid {
                Some(sid) => of_key.retain(|(_, session)| session.sid == sid),
                None => {
                    of_key.retain(|(_, session)| !session.is_directional());
                    // Proven before unproven, then the newest.
                    of_key.sort_by_key(|(id, session)| (!session.auth.proven, std::cmp::Reverse(**id)));
                    of_key.truncate(TRIED);
                }
            }
            all.extend(of_key.into_iter().map(|(id, _)| *id));
        }
        all
    }

    fn open_by(
        &mut self,
        candidates: &[u64],
        topic: Topic,
        envelope: &Envelope,
        sender_id: u32,
        sid: Option<&str>,
        data: &[u8],
    ) -> Result<(u64, Zeroizing<Vec<u8>>), Drop> {
        let mut reason = Drop::BadCipher;
        for id in candidates {
            let Some(session) = self.sessions.get_mut(id) else { continue };
            let named = sid.map_or_else(String::new, str::to_owned);
            let place = Place { topic, t: envelope.t, r: envelope.r, sender_id, sid: &named };
            match session.open(self.crypto, place, data) {
                Ok(plain) => return Ok((*id, plain)),
                Err(Drop::BadCipher) => {}
                Err(other) => reason = other,
            }
        }
        Err(reason)
    }

    /// The other side sends by another session than we do: after a few messages so do we.
    fn follow(&mut self, now: Now, id: u64, peer: Fingerprint) {
        if !self.sessions.get(&id).is_some_and(|session| session.auth.proven) {
            return;
        }
        let sends = self.sending(&peer) == Some(id);
        let mut in_a_row = 0;
        for (other, session) in self.sessions.iter_mut().filter(|(_, session)| session.peer == peer) {
            session.in_a_row = if *other == id && !sends { session.in_a_row + 1 } else { 0 };
            in_a_row = in_a_row.max(session.in_a_row);
        }
        if sends {
            // The other side has it too: those before it are not needed any more.
            self.linger_before(now, id, peer);
        } else if in_a_row >= FOLLOW {
            self.send_only_by(now, id, peer);
        }
    }

    /// Messages go by this session from now on; the others still receive for a while.
    pub(super) fn send_only_by(&mut self, now: Now, id: u64, peer: Fingerprint) {
        let until = now.mono.after(self.settings.timing.linger);
        for (other, session) in self.sessions.iter_mut().filter(|(_, session)| session.peer == peer) {
            if *other == id {
                session.until = None;
            } else if session.auth.proven && session.until.is_none() {
                session.until = Some(until);
            }
        }
    }

    /// Sessions before this one still receive for a while.
    fn linger_before(&mut self, now: Now, id: u64, peer: Fingerprint) {
        let until = now.mono.after(self.settings.timing.linger);
        let before = self.sessions.range_mut(..id).map(|(_, session)| session);
        for session in before.filter(|session| session.peer == peer && session.auth.proven && session.until.is_none()) {
            session.until = Some(until);
        }
    }

    fn take_frame(&mut self, now: Now, rng: &mut dyn CryptoRng, plain: &[u8], origin: Origin) -> Result<(), Drop> {
        let frame = Frame::decode(plain)?;
        let (mid, peer) = (frame.mid, origin.peer);
        match frame.kind {
            FrameKind::PartReceived { idx } => {
                if let Some(outbox) = self.outboxes.get_mut(&peer) {
                    outbox.part_received(now.mono, mid, idx, &self.settings.timing);
                }
                self.flush_outbox(now, rng, peer);
            }
            FrameKind::Delivered => self.finish(peer, mid, MessageStatus::Delivered),
            FrameKind::Refused(_) => self.finish(peer, mid, MessageStatus::Refused),
            FrameKind::Data { receipt, idx, .. } => {
                let arrived = self.inboxes.take(now.mono, peer, frame)?;
                self.arrived(now, origin, mid, receipt.then_some(idx), arrived);
            }
        }
        Ok(())
    }

    /// Delivers, and receipts where that is wanted: `part` is the part that came then.
    fn arrived(&mut self, now: Now, origin: Origin, mid: MessageId, part: Option<u16>, arrived: Arrived) {
        let peer = origin.peer;
        let waits = |(to, frame): &(Fingerprint, Frame)| *to == peer && frame.mid == mid;
        if arrived == Arrived::Again && self.held.values().any(waits) {
            // Delivered, but not durable yet: the receipt comes when it is.
            return;
        }
        let (message, receipts) = receipts(arrived, part);
        if let Some(message) = message {
            let delivery = part.map(|_| {
                self.next_delivery += 1;
                self.next_delivery
            });
            if let Some(delivery) = delivery {
                self.held.insert(delivery, (peer, Frame { mid, kind: FrameKind::Delivered }));
            }
            self.event(Event::Deliver { delivery, origin, value: None, bytes: Some(message) });
        }
        for kind in receipts {
            // A copy of a message that is not durable yet: the receipt is still to come.
            let is_held = || self.held.values().any(|(from, frame)| *from == peer && frame.mid == mid);
            if kind != FrameKind::Delivered || !is_held() {
                self.receipt(now, peer, &Frame { mid, kind });
            }
        }
    }

    /// A delivery is durable: the sender may know.
    pub(super) fn delivered(&mut self, now: Now, _: &mut dyn CryptoRng, delivery: u64) -> Result<(), Error> {
        if let Some((peer, frame)) = self.held.remove(&delivery) {
            self.receipt(now, peer, &frame);
        }
        Ok(())
    }

    fn receipt(&mut self, now: Now, peer: Fingerprint, frame: &Frame) {
        if let Some(session) = self.sending(&peer).filter(|id| self.sessions.get(id).is_some_and(|known| known.framed))
        {
            // The sender asks again for one that is lost.
            let _ = self.publish_sealed(now, session, &frame.encode(), false);
        }
    }

    fn finish(&mut self, peer: Fingerprint, mid: MessageId, status: MessageStatus) {
        let id = self.outboxes.get_mut(&peer).and_then(|outbox| outbox.finish(mid));
        if let Some(id) = id {
            self.event(Event::Status { id, status });
        }
    }

    /// Messages whose time is over, and parts to be repeated.
    pub(super) fn outboxes_due(&mut self, now: Now, rng: &mut dyn CryptoRng) {
        let peers: Vec<Fingerprint> = self.outboxes.keys().copied().collect();
        for peer in peers {
            let expired = self.outboxes.get_mut(&peer).map(|outbox| outbox.expired(now.mono)).unwrap_or_default();
            for id in expired {
                self.event(Event::Status { id, status: MessageStatus::Expired });
            }
            self.flush_outbox(now, rng, peer);
        }
        self.outboxes.retain(|_, outbox| !outbox.is_empty());
        let mut expired = Vec::new();
        for queue in self.queues.values_mut() {
            let over = |message: &Waiting| message.deadline <= now.mono;
            expired.extend(queue.iter().filter(|message| over(message)).map(|message| message.id));
            queue.retain(|message| !over(message));
        }
        self.queues.retain(|_, queue| !queue.is_empty());
        for id in expired {
            self.event(Event::Status { id, status: MessageStatus::Expired });
        }
    }

    /// When a message wants something.
    pub(super) fn outbox_timeouts(&self) -> impl Iterator<Item = waypost_core::Mono> {
        let outboxes = self.outboxes.iter().filter_map(|(peer, outbox)| {
            let framed = self.sending(peer).and_then(|id| self.sessions.get(&id)).is_some_and(|session| session.framed);
            outbox.poll_timeout(framed && self.presence.is_online(peer))
        });
        outboxes.chain(self.queues.values().flatten().map(|message| message.deadline))
    }

    /// A sign of life: what waits for a session tries again.
    pub(super) fn seen_again(&mut self, now: Now, rng: &mut dyn CryptoRng, peer: Fingerprint) {
        let waits = self.queues.get(&peer).is_some_and(|queue| !queue.is_empty())
            || self.outboxes.get(&peer).is_some_and(|outbox| !outbox.is_empty());
        if waits && self.sending(&peer).is_none() {
            let _ = self.try_handshake(now, rng, peer);
        } else if waits {
            self.flush_outbox(now, rng, peer);
        }
    }

    /// A session that no longer sends has received for long enough.
    pub(super) fn sessions_due(&mut self, now: Now) {
        let due = self.sessions.iter().filter(|(_, session)| session.until.is_some_and(|until| until <= now.mono));
        for id in due.map(|(id, _)| *id).collect::<Vec<_>>() {
            self.end_session(now.mono, id, "replaced");
        }
    }
}

fn fresh_id(rng: &mut dyn CryptoRng) -> MessageId {
    let mut mid = [0; 8];
    while mid == [0; 8] {
        rng.fill_bytes(&mut mid);
    }
    MessageId(mid)
}
