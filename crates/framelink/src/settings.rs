//! Every number of the profile that somebody may want otherwise, with its default.

use crate::{Fault, Framing, MacInit, Mode};
use std::time::Duration;

/// Credit without a limit.
pub const UNLIMITED: u32 = u32::MAX;
/// The most that a limited credit may be. Profile FL-6.8.
pub(crate) const MAX_CREDIT: u32 = 0x7fff_ffff;
/// The smallest largest frame of a keyed link.
pub(crate) const MIN_MAX_FRAME: u32 = 1024;

/// How one side of a link is set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// How frames are laid; must be the same on both sides.
    pub framing: Framing,
    /// Whether both directions run at once.
    pub duplex: Duplex,
    /// Whether lengths are hidden.
    pub pad: Pad,
    /// Numbers and sizes.
    pub limits: Limits,
    /// Times.
    pub timing: Timing,
}

/// Whether both directions run at once. Profile FL-4.1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Duplex {
    /// They do.
    #[default]
    Full,
    /// No frame is begun while one is coming in.
    Strict,
}

/// Whether lengths are hidden. Profile, Tool.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Pad {
    /// They show.
    #[default]
    None,
    /// What is written at once is filled up to the next of a few sizes.
    Bucket,
}

/// Numbers and sizes. Profile, Limits and errors.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Largest LENGTH that is accepted. LENGTH is acted on before it is authenticated.
    pub max_frame: u32,
    /// Largest frame that is made of a longer message: a short wait for what comes behind it.
    pub cut: u32,
    /// Application bytes that may come before they are read; [`UNLIMITED`] leaves it to the transport.
    pub credit: u32,
    /// Frames one key seals; what comes in may be twice as many.
    pub rekey_frames: u64,
    /// AES blocks one key seals; what comes in may be twice as many.
    pub rekey_blocks: u64,
    /// Bytes of messages that wait to be sealed or written.
    pub queue: usize,
    /// Frames that wait to be read; then nothing more is parsed. Each costs a few bytes even when it is empty.
    pub unread_frames: usize,
    /// PONGs that wait to be written.
    pub pongs: usize,
    /// Frames without payload in a row.
    pub empty_frames: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_frame: 1 << 20,
            cut: 65536,
            credit: 4 << 20,
            rekey_frames: 1 << 24,
            rekey_blocks: 1 << 32,
            queue: 1 << 20,
            unread_frames: 1 << 18,
            pongs: 16,
            empty_frames: 64,
        }
    }
}

impl Limits {
    /// Unread bytes at which reading stops when no credit bounds them. Profile, Deadlock rule.
    pub(crate) fn unread(&self) -> usize {
        usize::try_from(self.max_frame).unwrap_or(usize::MAX).saturating_mul(2).max(2 << 20)
    }
}

/// Times. Profile, Timers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timing {
    /// Until the link is established.
    pub handshake: Duration,
    /// Between two signs of life that are asked for; none are with `None`.
    pub keepalive: Option<Duration>,
    /// Without a sign of life until the other side is given up.
    pub dead: Duration,
    /// For a frame without payload, from its first byte.
    pub frame: Duration,
    /// Bytes a second at which a frame must come at least.
    pub frame_rate: u32,
    /// For the other side's CLOSE after ours, when nobody reads any more.
    pub linger: Duration,
    /// For the other side to take the last words.
    pub farewell: Duration,
    /// A key older than this seals nothing but REKEY.
    pub key_age: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            handshake: Duration::from_secs(10),
            keepalive: Some(Duration::from_secs(60)),
            dead: Duration::from_secs(150),
            frame: Duration::from_secs(30),
            frame_rate: 16 * 1024,
            linger: Duration::from_secs(30),
            farewell: Duration::from_secs(1),
            key_age: Duration::from_secs(3600),
        }
    }
}

impl Timing {
    /// How long a frame may take.
    pub(crate) fn frame(&self, length: u32) -> Duration {
        self.frame + self.transfer(length as usize)
    }

    /// How long so many bytes may take.
    pub(crate) fn transfer(&self, bytes: usize) -> Duration {
        Duration::from_secs(bytes as u64 / u64::from(self.frame_rate.max(1)))
    }
}

impl Settings {
    /// Whether they go together. Profile FL-6.8; Limits and errors; Establishment.
    ///
    /// # Errors
    /// [`Fault::BadConfig`].
    pub fn check(&self, mode: Mode) -> Result<(), Fault> {
        let limits = &self.limits;
        let credit = (1..=MAX_CREDIT).contains(&limits.credit) || limits.credit == UNLIMITED;
        let literal = self.framing.mac_init == MacInit::Standard || self.framing.wraps_to_one;
        let keyed = limits.max_frame >= MIN_MAX_FRAME && !literal && self.timing.keepalive != Some(Duration::ZERO);
        // A key must live for a HELLO and a REKEY at least.
        let keys = limits.rekey_frames >= 2 && limits.rekey_blocks >= 16;
        let sizes = limits.cut > 0 && limits.queue > 0 && limits.unread_frames > 0;
        if credit && keys && sizes && (keyed || !mode.is_keyed()) { Ok(()) } else { Err(Fault::BadConfig) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_good(mode: Mode, change: impl Fn(&mut Settings)) -> bool {
        let mut settings = Settings::default();
        change(&mut settings);
        settings.check(mode).is_ok()
    }

    #[test]
    fn takes_the_credits_of_the_profile() {
        for (credit, good) in [(0, false), (1, true), (MAX_CREDIT, true), (MAX_CREDIT + 1, false), (UNLIMITED, true)] {
            assert_eq!(is_good(Mode::Psk, |settings| settings.limits.credit = credit), good, "{credit:x}");
        }
        assert!(!is_good(Mode::Psk, |settings| settings.limits.credit = UNLIMITED - 1));
    }

    #[test]
    fn takes_what_is_literal_in_raw_links_alone() {
        let changes = [
            |settings: &mut Settings| settings.framing.mac_init = MacInit::Standard,
            |settings: &mut Settings| settings.framing.wraps_to_one = true,
            |settings: &mut Settings| settings.limits.max_frame = 0,
            |settings: &mut Settings| settings.limits.max_frame = MIN_MAX_FRAME - 1,
        ];
        for change in changes {
            assert!(is_good(Mode::Raw, change));
            assert!(!is_good(Mode::Psk, change) && !is_good(Mode::Hybrid, change));
        }
        assert!(is_good(Mode::Hybrid, |settings| settings.limits.max_frame = MIN_MAX_FRAME));
        assert!(is_good(Mode::Hybrid, |settings| settings.limits.max_frame = u32::MAX));
    }

    #[test]
    fn refuses_numbers_that_nothing_works_with() {
        let changes = [
            |settings: &mut Settings| settings.limits.cut = 0,
            |settings: &mut Settings| settings.limits.queue = 0,
            |settings: &mut Settings| settings.limits.unread_frames = 0,
            |settings: &mut Settings| settings.limits.rekey_frames = 1,
            |settings: &mut Settings| settings.limits.rekey_blocks = 15,
            |settings: &mut Settings| settings.timing.keepalive = Some(Duration::ZERO),
        ];
        for change in changes {
            assert!(!is_good(Mode::Psk, change));
        }
        assert!(is_good(Mode::Psk, |settings| settings.timing.keepalive = None));
    }

    #[test]
    fn bounds_what_is_unread_by_two_frames_or_two_mebibytes() {
        let unread = |max_frame| Limits { max_frame, ..Limits::default() }.unread();
        assert_eq!([unread(0), unread(1 << 20), unread(1 << 22)], [2 << 20, 2 << 20, 8 << 20]);
    }

    #[test]
    fn gives_a_frame_the_time_of_its_length() {
        let mut timing = Timing::default();
        assert_eq!(timing.frame(0), Duration::from_secs(30));
        assert_eq!(timing.frame(16 * 1024 * 5 + 1), Duration::from_secs(35));
        timing.frame_rate = 0;
        assert_eq!(timing.frame(7), Duration::from_secs(37), "a rate of nothing is taken for the slowest");
    }
}
