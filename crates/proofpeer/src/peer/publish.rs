//! Envelopes of our own, signed or sealed.

use super::{Broker, Output, Peer};
use crate::bind::Claim;
use crate::{Error, Fingerprint, Topic};
use rand_core::CryptoRng;
use waypost_codec::base64;
use waypost_core::Now;

/// What a token of ours is sent with in a handshake.
pub(super) struct Shown<'a> {
    pub(super) sid: &'a str,
    pub(super) wrapped: [u8; 32],
    pub(super) epk: [u8; 32],
}

impl Peer {
    /// Publishes a token that says `data`, with what else goes in the envelope.
    #[expect(clippy::too_many_arguments, reason = "everything an envelope says")]
    pub(super) fn publish_token(
        &mut self,
        now: Now,
        rng: &mut dyn CryptoRng,
        broker: Option<Broker>,
        topic: Topic,
        to: Option<Fingerprint>,
        data: &str,
        reliable: bool,
        handshake: Option<(&Shown<'_>, &[u8])>,
    ) -> Result<(), Error> {
        let t = now.wall.as_secs();
        let mut nonce = [0; 16];
        rng.fill_bytes(&mut nonce);
        let shown = handshake.map(|(shown, _)| (shown.sid, shown.wrapped, shown.epk));
        let claim = Claim { topic, nonce, boot: self.boot, to, handshake: shown };
        let claim = (!self.settings.literal).then(|| claim.to_json());
        let token = self.identity.sign(rng, t, data, claim.as_deref(), self.settings.legacy_es256_header)?;
        let m = handshake.map(|(shown, aes_key)| {
            let (key, sid) = (base64::encode(aes_key), quoted(shown.sid));
            format!(r#","m":{{"handshake":{{"aes_key":"{key}","sid":{sid}}}}}"#)
        });
        let payload = format!(r#"{{"v":1,"t":{t},"r":{reliable},"jwt":"{token}"{}}}"#, m.unwrap_or_default());
        self.publish(broker, topic, payload, reliable)
    }

    /// Publishes what belongs to a session.
    pub(super) fn publish_m(&mut self, t: u64, topic: Topic, m: &str, reliable: bool) -> Result<(), Error> {
        self.publish(None, topic, format!(r#"{{"v":1,"t":{t},"r":{reliable},"m":{m}}}"#), reliable)
    }

    fn publish(&mut self, broker: Option<Broker>, topic: Topic, payload: String, reliable: bool) -> Result<(), Error> {
        if payload.len() > self.envelope_limit() {
            return Err(Error::TooLarge);
        }
        self.outputs.push_back(Output::Publish { broker, topic, payload: payload.into_bytes(), reliable });
        Ok(())
    }

    /// What every broker takes.
    pub(super) fn envelope_limit(&self) -> usize {
        let packets = self.brokers.values().filter_map(|broker| broker.max_packet);
        // Beside the payload a packet has a header and the topic.
        let packets = packets.map(|packet| packet.saturating_sub(64));
        packets.chain([self.settings.limits.envelope]).min().unwrap_or(self.settings.limits.envelope)
    }

    /// The inbox of a peer, in the form its key was carried last.
    pub(super) fn inbox_of(&self, peer: &Fingerprint) -> Option<Topic> {
        Some(self.app.inbox(self.book.get(peer)?.uid()))
    }
}

/// A text as JSON.
pub(super) fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
