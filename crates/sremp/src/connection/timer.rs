//! The timers of a connection, as a table.

use waypost_core::Mono;

/// What a connection waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timer {
    /// The other side's header.
    Header,
    /// The end of the handshake.
    Handshake,
    /// Both identities.
    Identity,
    /// A frame, before a PING is sent.
    Ping,
    /// A frame, before the connection ends.
    Silence,
    /// The end of the stream after DUPLICATE.
    Linger,
}

impl Timer {
    const COUNT: usize = 6;
}

/// When each timer runs out.
#[derive(Debug, Default)]
pub(super) struct Timers {
    deadlines: [Option<Mono>; Timer::COUNT],
}

impl Timers {
    pub(super) fn start(&mut self, timer: Timer, deadline: Mono) {
        self.set(timer, Some(deadline));
    }

    pub(super) fn stop(&mut self, timer: Timer) {
        self.set(timer, None);
    }

    pub(super) fn stop_all(&mut self) {
        self.deadlines = Default::default();
    }

    /// The next moment at which something runs out.
    pub(super) fn next(&self) -> Option<Mono> {
        self.deadlines.iter().flatten().min().copied()
    }

    pub(super) fn has_expired(&self, timer: Timer, now: Mono) -> bool {
        self.deadlines.get(timer as usize).is_some_and(|deadline| deadline.is_some_and(|deadline| now >= deadline))
    }

    fn set(&mut self, timer: Timer, deadline: Option<Mono>) {
        if let Some(place) = self.deadlines.get_mut(timer as usize) {
            *place = deadline;
        }
    }
}
