//! What happens when nothing happens, and how a link is ended. Profile, Timers.

use super::{End, Link, Output, Stage, Status};
use crate::{Fault, code};
use rand_core::CryptoRng;
use waypost_core::{Mono, Now};

/// What a timer is for, and when it is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Timer {
    Handshake,
    Farewell,
    Frame,
    Dead,
    Linger,
    Keepalive,
}

impl Link {
    /// When [`super::Input::Tick`] is due.
    pub fn poll_timeout(&self) -> Option<Mono> {
        self.timers().into_iter().filter_map(|(_, due)| due).min()
    }

    pub(super) fn tick(&mut self, now: Now, rng: &mut impl CryptoRng) {
        let due = |due: Option<Mono>| due.is_some_and(|due| due <= now.mono);
        let Some((timer, _)) = self.timers().into_iter().find(|&(_, at)| due(at)) else { return };
        match timer {
            Timer::Handshake => {
                self.finish_with(End::new(Status::Violation(Fault::HsTimeout), Some(Fault::HsTimeout), true));
                self.disconnect();
            }
            Timer::Farewell => self.disconnect(),
            Timer::Linger => self.ended_early(Status::Timeout, Some(Fault::Timeout)),
            Timer::Frame | Timer::Dead => {
                self.finish_with(End::new(Status::Timeout, Some(Fault::Timeout), false));
                self.last_words(now, rng, code::error::TIMEOUT, "");
            }
            Timer::Keepalive => {
                self.since.pinged = now.mono;
                if let Some(wire) = &mut self.wire {
                    wire.outbound.control(code::PING, Vec::new());
                }
            }
        }
    }

    /// All timers, the gravest first.
    fn timers(&self) -> [(Timer, Option<Mono>); 6] {
        let timing = &self.settings.timing;
        let since = &self.since;
        let wire = self.wire.as_ref();
        let flowing = matches!(self.stage, Stage::Open) && since.paused.is_none();
        let peer_open = wire.is_some_and(|wire| !wire.inbound.is_closed());
        let own_open = wire.is_some_and(|wire| !wire.outbound.is_closed());
        let alive = timing.keepalive.filter(|_| flowing && self.mode.is_keyed());
        let length = wire.and_then(|wire| wire.inbound.current()).map_or(0, |header| header.length);
        let handshake = !matches!(self.stage, Stage::Open | Stage::Farewell { .. } | Stage::Over);
        let farewell = if let Stage::Farewell { until } = self.stage { Some(until) } else { None };
        let pinged = since.heard.max(since.pinged);
        [
            (Timer::Handshake, handshake.then(|| since.handshake.after(timing.handshake))),
            (Timer::Farewell, farewell),
            (Timer::Frame, since.frame.filter(|_| flowing).map(|begun| begun.after(timing.frame(length)))),
            (Timer::Dead, alive.filter(|_| peer_open).map(|_| since.heard.after(timing.dead))),
            (Timer::Linger, since.finished.filter(|_| !self.is_over()).map(|finished| finished.after(timing.linger))),
            (Timer::Keepalive, alive.filter(|_| own_open).map(|every| pinged.after(every))),
        ]
    }

    /// The application reads again: what stood still meanwhile goes on.
    pub(super) fn unpause(&mut self, now: Now) {
        let Some(paused) = self.since.paused.take() else { return };
        let stood = now.mono.since(paused);
        self.since.heard = self.since.heard.after(stood);
        self.since.frame = self.since.frame.map(|begun| begun.after(stood));
    }

    /// The transport's stream has ended; what came before has its turn first.
    pub(super) fn eof(&mut self) {
        self.ends = self.end.is_none() && (!self.stash.is_empty() || self.since.paused.is_some());
        if !self.ends {
            self.stream_ended();
        }
    }

    pub(super) fn stream_ended(&mut self) {
        match &self.wire {
            _ if self.end.is_some() => self.disconnect(),
            Some(wire) if wire.inbound.is_closed() => {
                // The other side may close its transport when it has closed its direction: ours goes on.
            }
            Some(wire) if wire.inbound.is_greeted() => {
                let clean = !self.mode.is_keyed() && !wire.inbound.is_receiving() && self.stash.is_empty();
                let status = if clean { Status::Ended } else { Status::Truncated };
                self.ended_early(status, None);
            }
            _ => self.ended_early(Status::Truncated, Some(Fault::HsClosed)),
        }
    }

    /// The transport was reset.
    pub(super) fn broken(&mut self) {
        match &self.wire {
            // What the other side had to say was whole; what was to be said to it is lost.
            Some(wire) if wire.inbound.is_closed() && self.end.is_none() => {
                self.ended_early(Status::Closed, Some(Fault::Closed));
            }
            _ => {
                self.stream_ended();
                self.disconnect();
            }
        }
    }

    fn ended_early(&mut self, status: Status, fault: Option<Fault>) {
        self.finish_with(End::new(status, fault, fault == Some(Fault::HsClosed)));
        self.disconnect();
    }

    pub(super) fn close(&mut self) {
        match &mut self.wire {
            Some(wire) if self.end.is_none() => wire.outbound.close(),
            Some(_) => {}
            None => self.closing = true,
        }
    }

    pub(super) fn finish(&mut self, now: Now, rng: &mut impl CryptoRng) {
        self.close();
        self.since.finished = Some(now.mono);
        if let Some(wire) = &mut self.wire {
            wire.inbound.discard();
            // What is queued leaves before CLOSE, and has the time that frames have.
            self.since.finished = Some(now.mono.after(self.settings.timing.transfer(wire.outbound.queued())));
        }
        if !matches!(self.stage, Stage::Open | Stage::Farewell { .. }) {
            self.finish_with(End::new(Status::Aborted(code::error::LOCAL_ABORT), None, true));
            self.disconnect();
        }
        // What was not parsed, for nobody read, may hold the other side's CLOSE.
        self.resume(now, rng);
    }

    pub(super) fn abort(&mut self, now: Now, rng: &mut impl CryptoRng, error: u32, text: &str) {
        if self.end.is_some() {
            return;
        }
        self.finish_with(End::new(Status::Aborted(error), None, !self.is_open()));
        let silent = self.wire.as_ref().is_none_or(|wire| wire.outbound.is_closed()) || !self.is_open();
        if silent || !self.mode.is_keyed() {
            self.leave(Output::Reset);
        } else {
            self.last_words(now, rng, error, text);
        }
    }

    pub(super) fn ping(&mut self, payload: &[u8]) -> Result<(), Fault> {
        match &mut self.wire {
            Some(wire) if self.mode.is_keyed() && self.end.is_none() && !wire.outbound.is_closing() => {
                if payload.len() > 64 {
                    return Err(Fault::TooLarge);
                }
                if !wire.outbound.has_room(self.settings.limits.queue) {
                    return Err(Fault::QueueFull);
                }
                wire.outbound.control(code::PING, payload.to_vec());
                Ok(())
            }
            _ => Err(Fault::Closed),
        }
    }

    /// Both directions are closed and everything has left: the transport has done its work.
    pub(super) fn check_done(&mut self) {
        let Some(wire) = &self.wire else { return };
        let done = wire.inbound.is_closed() && wire.outbound.is_closed() && wire.outbound.is_written();
        if done && matches!(self.stage, Stage::Open) {
            self.finish_with(End::new(Status::Closed, None, false));
            self.disconnect();
        }
    }
}
