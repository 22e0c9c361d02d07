//! Letters out: handed to wires by the router's decision, and what wires report of them.

use super::Engine;
use crate::router;
use crate::wire::WireEvent;
use crate::{Error, Event};
use rand_core::CryptoRng;
use waypost_core::{ContactId, Letter, LetterId, Now, Protection, RouteId, Wire as WireKind};
use waypost_store::{Direction, OutboxRow, RouteRow, State, TraceRow};

/// Outbox rows looked at in one turn.
const ROUND: usize = 256;

impl Engine {
    /// Puts a letter in line and starts it on its way.
    pub(super) fn dispatch(
        &mut self,
        now: Now,
        rng: &mut dyn CryptoRng,
        contact: ContactId,
        letter: &Letter,
    ) -> Result<(), Error> {
        let row = OutboxRow { contact, letter: letter.id, attempts: 0, next_try: now.wall, created: now.wall };
        self.advance(now, rng, row, letter)
    }

    /// Gives letters whose time has come to the next wire.
    pub(super) fn outbox_due(&mut self, now: Now, rng: &mut dyn CryptoRng) -> Result<(), Error> {
        for row in self.store.outbox_due(now.wall, ROUND)? {
            match self.store.letter(row.contact, Direction::Out, row.letter)? {
                Some(letter) => self.advance(now, rng, row, &letter.letter)?,
                None => {
                    self.store.remove_outbox(row.contact, row.letter)?;
                }
            }
        }
        Ok(())
    }

    /// Gives a letter straight to the first wire, without a row of its own: for what the person never
    /// sees and the wire keeps by itself, like receipts.
    pub(super) fn carry_quietly(
        &mut self,
        now: Now,
        rng: &mut dyn CryptoRng,
        contact: ContactId,
        letter: &Letter,
    ) -> Result<(), Error> {
        let token = self.their_token(&contact)?;
        match self.plan_for(&contact)?.first().copied() {
            Some(kind) => self.with_wire(now, rng, kind, |wire, turn| wire.carry(turn, contact, letter, token)),
            None => Ok(()),
        }
    }

    pub(super) fn wire_event(
        &mut self,
        now: Now,
        rng: &mut dyn CryptoRng,
        wire: WireKind,
        event: WireEvent,
    ) -> Result<(), Error> {
        match event {
            WireEvent::Received { peer, letter, token, protection, by } => {
                self.received(now, rng, by, peer, letter, token, protection)
            }
            WireEvent::Sent { peer, letter, via, protection, by } => self.sent(now, by, peer, letter, via, protection),
            WireEvent::Wanted { peer } => self.each_wire(now, rng, |wire, turn| wire.wanted(turn, peer)),
            WireEvent::Carried(news) => {
                self.with_wire(now, rng, WireKind::Sremp, |wire, turn| wire.carried(turn, news))
            }
            WireEvent::Stored { peer, letter, via, protection } => {
                self.stored(now, wire, peer, letter, via, protection)
            }
            WireEvent::Held { peer, letter, reason } => self.held(now, peer, letter, &reason),
            WireEvent::RelayAccepted { relay } => self.relay_accepted(now, rng, relay),
            WireEvent::Probed { number, outcome } => {
                self.probed(number, &outcome);
                Ok(())
            }
            WireEvent::Delivered { peer, letter } => self.delivered(now, wire, peer, letter),
            WireEvent::Undeliverable { peer, letter, reason } => self.undeliverable(now, wire, peer, letter, reason),
            WireEvent::Unconfirmed { peer, letter } => match self.store.outbox_row(peer, letter)? {
                Some(row) => Ok(self.store.put_outbox(&OutboxRow { next_try: now.wall, ..row })?),
                None => Ok(()),
            },
            WireEvent::Presence { peer, online } => self.presence(now, peer, online),
            WireEvent::Identity { peer } => self.identity_seen(peer),
            WireEvent::Reached { peer, address } => self.reached(peer, &address),
            WireEvent::Warning { peer, kind, text } => self.warn(now, peer, kind, text),
        }
    }

    fn advance(&mut self, now: Now, rng: &mut dyn CryptoRng, row: OutboxRow, letter: &Letter) -> Result<(), Error> {
        let plan = self.plan_for(&row.contact)?;
        let decision = router::decide(&plan, row.attempts, now.wall.since(row.created));
        let next = OutboxRow {
            attempts: row.attempts.saturating_add(u32::from(decision.wire.is_some())),
            next_try: now.wall.after(decision.again),
            ..row.clone()
        };
        self.store.put_outbox(&next)?;
        let Some(kind) = decision.wire else { return Ok(()) };
        let token = self.their_token(&row.contact)?;
        self.with_wire(now, rng, kind, |wire, turn| wire.carry(turn, row.contact, letter, token))
    }

    fn plan_for(&self, contact: &ContactId) -> Result<Vec<WireKind>, Error> {
        let enabled: Vec<_> = self.wires.iter().filter(|wire| !wire.is_carrier()).map(|wire| wire.kind()).collect();
        let online: Vec<_> = self.wires.iter().filter(|wire| wire.is_online(contact)).map(|wire| wire.kind()).collect();
        let addresses = self.store.contact(*contact)?.map(|row| row.addresses).unwrap_or_default();
        Ok(router::plan(&addresses, &online, &enabled))
    }

    fn sent(
        &mut self,
        now: Now,
        wire: WireKind,
        contact: ContactId,
        letter: LetterId,
        via: String,
        protection: Protection,
    ) -> Result<(), Error> {
        if self.store.letter(contact, Direction::Out, letter)?.is_none() {
            return Ok(());
        }
        let route = self.begin_route(now, wire, contact, letter, via, protection)?;
        self.step(now, contact, letter, &State::Sent, "sent", Some(wire), Some(route))
    }

    fn stored(
        &mut self,
        now: Now,
        wire: WireKind,
        contact: ContactId,
        letter: LetterId,
        via: String,
        protection: Protection,
    ) -> Result<(), Error> {
        if self.store.letter(contact, Direction::Out, letter)?.is_none() {
            return Ok(());
        }
        let what = format!("stored at {via}");
        let route = self.begin_route(now, wire, contact, letter, via, protection)?;
        if self.store.set_letter_state(contact, letter, &State::Stored)? {
            let state = State::Stored.name().to_owned();
            self.event(Event::State { contact, letter, state, at: now.wall, wire: Some(wire) });
        }
        // Each relay that has it is a step of its own.
        Ok(self.store.add_trace(&TraceRow { contact, letter, at: now.wall, what, route: Some(route) })?)
    }

    fn held(&mut self, now: Now, contact: ContactId, letter: LetterId, reason: &str) -> Result<(), Error> {
        let what = format!("waits: {reason}");
        let known = self.store.letter(contact, Direction::Out, letter)?.is_some();
        let is_said = self.store.trace(letter)?.last().is_some_and(|last| last.what == what);
        if !known || is_said {
            return Ok(());
        }
        Ok(self.store.add_trace(&TraceRow { contact, letter, at: now.wall, what, route: None })?)
    }

    fn begin_route(
        &mut self,
        now: Now,
        wire: WireKind,
        contact: ContactId,
        letter: LetterId,
        via: String,
        protection: Protection,
    ) -> Result<RouteId, Error> {
        let verified = self.store.contact(contact)?.is_some_and(|row| row.verified.is_some());
        let protection = Protection { verified, ..protection };
        let row = RouteRow {
            route: RouteId(0),
            contact,
            letter,
            wire,
            via,
            started: now.wall,
            ended: None,
            outcome: None,
            protection,
        };
        let route = self.store.add_route(&row)?;
        self.store.set_letter_wire(contact, letter, wire, protection)?;
        Ok(route)
    }

    fn delivered(&mut self, now: Now, wire: WireKind, contact: ContactId, letter: LetterId) -> Result<(), Error> {
        self.store.remove_outbox(contact, letter)?;
        let route = self.end_routes(now, contact, letter, "delivered")?;
        let wire = route.map_or(wire, |(_, wire)| wire);
        let route = route.map(|(route, _)| route);
        self.step(now, contact, letter, &State::Delivered, "delivered", Some(wire), route)
    }

    fn undeliverable(
        &mut self,
        now: Now,
        wire: WireKind,
        contact: ContactId,
        letter: LetterId,
        reason: String,
    ) -> Result<(), Error> {
        self.store.remove_outbox(contact, letter)?;
        let route = self.end_routes(now, contact, letter, &reason)?.map(|(route, _)| route);
        let what = format!("failed: {reason}");
        self.step(now, contact, letter, &State::Failed { reason }, &what, Some(wire), route)
    }

    /// Ends what is under way for a letter. Gives the last attempt, and the wire it went by.
    fn end_routes(
        &mut self,
        now: Now,
        contact: ContactId,
        letter: LetterId,
        outcome: &str,
    ) -> Result<Option<(RouteId, WireKind)>, Error> {
        let open = self.store.routes(Some(contact), letter)?.into_iter().filter(|route| route.ended.is_none());
        let mut last = None;
        for route in open {
            self.store.end_route(route.route, outcome, now.wall)?;
            last = Some((route.route, route.wire));
        }
        Ok(last)
    }

    /// One step of a letter: its state, its trace, and word of it to listeners.
    #[expect(clippy::too_many_arguments, reason = "one row of the trace, and each column is needed")]
    pub(super) fn step(
        &mut self,
        now: Now,
        contact: ContactId,
        letter: LetterId,
        state: &State,
        what: &str,
        wire: Option<WireKind>,
        route: Option<RouteId>,
    ) -> Result<(), Error> {
        let changed = self.store.set_letter_state(contact, letter, state)?;
        if !changed && *state != State::Sent {
            return Ok(());
        }
        self.store.add_trace(&TraceRow { contact, letter, at: now.wall, what: what.to_owned(), route })?;
        if changed {
            self.event(Event::State { contact, letter, state: state.name().to_owned(), at: now.wall, wire });
        }
        Ok(())
    }
}
