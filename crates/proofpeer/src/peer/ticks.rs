//! Time passes.

use super::Peer;
use crate::Error;
use rand_core::CryptoRng;
use waypost_core::{Mono, Now};

impl Peer {
    pub(super) fn tick(&mut self, now: Now, rng: &mut dyn CryptoRng) -> Result<(), Error> {
        let changes = self.presence.tick(now.mono);
        self.presence_changed(now, changes);
        self.heartbeats_due(now, rng);
        self.introductions_due(now, rng);
        self.handshakes_due(now, rng);
        self.outboxes_due(now, rng);
        self.sessions_due(now);
        self.inboxes.expire(now.mono);
        let handshake = self.settings.timing.handshake;
        self.tried.retain(|_, at| now.mono.since(*at) < handshake);
        Ok(())
    }

    /// When [`super::Input::Tick`] is due.
    pub fn poll_timeout(&self) -> Option<Mono> {
        let lingering = self.sessions.values().filter_map(|session| session.until);
        let all = self.handshake_timeouts().chain(self.outbox_timeouts()).chain(self.membership_timeouts());
        all.chain(lingering).chain(self.presence.due()).filter(|_| !self.over).min()
    }
}
