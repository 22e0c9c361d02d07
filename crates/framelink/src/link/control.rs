//! What control frames do. Profile, Control codes.

use super::{Event, Fault, Link, Output, Stage, Status, ending::End, inbound::Step};
use crate::code;
use rand_core::CryptoRng;
use waypost_core::Now;

/// The longest payload of PING and PONG.
const PING_MAX: usize = 64;
/// The longest text of ERROR.
const ERROR_TEXT_MAX: usize = 256;
/// From here on, a SEQ is behind rather than ahead.
const HALF_OF_SEQ: u32 = 1 << 31;

impl Link {
    /// Bytes came.
    pub(super) fn bytes(&mut self, now: Now, rng: &mut impl CryptoRng, bytes: &[u8]) -> Result<(), Fault> {
        if self.ends {
            return Ok(());
        }
        let wanted = crate::establish::preamble::MAGIC.len().saturating_sub(self.first.len());
        self.first.extend(bytes.iter().take(wanted));
        let mut input = bytes;
        if self.is_establishing() {
            input = self.establish(now, rng, input);
        }
        if self.stash.is_empty() {
            self.parse(now, rng, &mut input);
            self.stash.extend_from_slice(input);
        } else {
            self.stash.extend_from_slice(input);
        }
        Ok(())
    }

    /// Goes on with what was left unparsed; whether that came to anything.
    pub(super) fn resume(&mut self, now: Now, rng: &mut impl CryptoRng) -> bool {
        if self.stash.is_empty() && self.since.paused.is_none() {
            return false;
        }
        let stash = std::mem::take(&mut self.stash);
        let mut input = stash.as_slice();
        self.parse(now, rng, &mut input);
        self.stash = input.to_vec();
        if self.ends && self.stash.is_empty() && self.since.paused.is_none() {
            self.ends = false;
            self.stream_ended();
        }
        input.len() < stash.len() || self.end.is_some() && !self.told
    }

    fn parse(&mut self, now: Now, rng: &mut impl CryptoRng, input: &mut &[u8]) {
        self.unpause(now);
        loop {
            if self.end.is_some() || !matches!(self.stage, Stage::WaitHello | Stage::Open) {
                *input = &[];
                return;
            }
            let Some(wire) = &mut self.wire else { return };
            let had_begun = wire.inbound.is_receiving();
            let step = wire.inbound.step(input);
            if wire.inbound.is_receiving() {
                if !had_begun || self.since.frame.is_none() {
                    self.since.frame = Some(now.mono);
                }
            } else {
                self.since.frame = None;
            }
            match step {
                Ok(Step::Empty) => return,
                Ok(Step::Paused) => {
                    self.since.paused = Some(now.mono);
                    return;
                }
                Ok(Step::Application) => self.since.heard = now.mono,
                Ok(Step::Control(code)) => {
                    self.since.heard = now.mono;
                    self.since.frame = None;
                    if let Err((fault, error)) = self.act(code) {
                        self.fail(now, rng, fault, error);
                    }
                }
                Err(fault) => self.fail(now, rng, fault, code::error::VIOLATION),
            }
        }
    }

    /// Does what a verified control frame asks.
    fn act(&mut self, code: u32) -> Result<(), (Fault, u32)> {
        const PROTOCOL: u32 = code::error::PROTOCOL;
        let Some(wire) = &mut self.wire else { return Ok(()) };
        if code == code::HELLO {
            if wire.inbound.is_greeted() {
                return Err((Fault::Hello, PROTOCOL));
            }
            return self.take_hello().map_err(|fault| (fault, PROTOCOL));
        }
        let payload = wire.inbound.payload();
        let size = (Fault::Payload, PROTOCOL);
        match code {
            code::REKEY => {
                let r = *<&[u8; 32]>::try_from(payload).map_err(|_| size)?;
                wire.inbound.turn(&r);
            }
            code::CLOSE => {
                let received = u32::from_be_bytes(payload.try_into().map_err(|_| size)?);
                if wire.outbound.last_seq().wrapping_sub(received) >= HALF_OF_SEQ {
                    return Err((Fault::CloseAhead, PROTOCOL));
                }
                wire.inbound.close();
                wire.outbound.lift_credit();
                self.peer_received = Some(received);
                self.outputs.push_back(Output::Event(Event::PeerClosed { received }));
            }
            code::PING | code::PONG if payload.len() > PING_MAX => return Err(size),
            code::PING => wire.outbound.pong(payload).map_err(|fault| (fault, PROTOCOL))?,
            code::PONG => self.outputs.push_back(Output::Event(Event::Pong(payload.to_vec()))),
            code::ERROR => {
                let (code, text) = payload.split_first_chunk().ok_or(size)?;
                if text.len() > ERROR_TEXT_MAX {
                    return Err(size);
                }
                let status = Status::PeerError(u32::from_be_bytes(*code));
                let mut end = End::new(status, None, false);
                end.text = Some(readable(text));
                self.finish_with(end);
                self.disconnect();
            }
            code::PAD => {}
            code::CREDIT => {
                let more = u32::from_be_bytes(payload.try_into().map_err(|_| size)?);
                if more == 0 {
                    return Err(size);
                }
                wire.outbound.credit(more).map_err(|fault| (fault, PROTOCOL))?;
            }
            _ => return Err((Fault::UnknownControl, PROTOCOL)),
        }
        Ok(())
    }

    /// The other side broke the protocol: the link is over, and ERROR says no more than it must.
    fn fail(&mut self, now: Now, rng: &mut impl CryptoRng, fault: Fault, error: u32) {
        let greeted = self.wire.as_ref().is_some_and(|wire| wire.inbound.is_greeted());
        let shown = if greeted || fault == Fault::Hello { fault } else { Fault::HsAuth };
        let mut end = End::new(Status::Violation(shown), Some(shown), !greeted);
        end.keyed_peer = !self.mode.is_keyed() && self.first == crate::establish::preamble::MAGIC;
        self.finish_with(end);
        if shown == Fault::HsAuth || !self.mode.is_keyed() {
            self.disconnect();
        } else {
            self.last_words(now, rng, error, "");
        }
    }

    /// ERROR, if the own direction is open; then the other side has a moment to take it.
    pub(super) fn last_words(&mut self, now: Now, rng: &mut impl CryptoRng, error: u32, text: &str) {
        match &mut self.wire {
            Some(wire) if !wire.outbound.is_closed() && self.mode.is_keyed() => {
                wire.outbound.error(now.mono, rng, error, text);
                wire.wipe();
                self.send_out();
                self.outputs.push_back(Output::Shutdown);
                self.stage = Stage::Farewell { until: now.mono.after(self.settings.timing.farewell) };
            }
            _ => self.disconnect(),
        }
    }

    pub(super) fn finish_with(&mut self, end: End) {
        if self.end.is_none() {
            self.outputs.push_back(Output::Event(Event::Ended(end.clone())));
            self.end = Some(end);
        }
    }

    /// Closes the transport; keys are forgotten, what was verified can still be read.
    pub(super) fn disconnect(&mut self) {
        self.leave(Output::Disconnect);
    }

    pub(super) fn leave(&mut self, how: Output) {
        if let Some(wire) = &mut self.wire {
            wire.outbound.silence();
            wire.wipe();
        }
        if !matches!(self.stage, Stage::Over) {
            self.outputs.push_back(how);
        }
        self.stage = Stage::Over;
        self.stash = Vec::new();
    }
}

/// Text of the other side without what a terminal would obey.
fn readable(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    text.chars().map(|letter| if letter.is_control() { char::REPLACEMENT_CHARACTER } else { letter }).collect()
}
