//! The clocks of the shell, as the machines want them.

use std::time::{Duration, SystemTime};
use tokio::time::Instant;
use waypost_core::{Mono, Now, Wall};

/// Reads both clocks. Copies share one start, so their times can be compared.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    start: Instant,
}

impl Clock {
    /// A clock that starts now.
    pub fn start() -> Self {
        Self { start: Instant::now() }
    }

    /// Both clocks at this moment.
    pub fn now(&self) -> Now {
        let wall = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let millis = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        Now { mono: Mono::from_millis(millis(self.start.elapsed())), wall: Wall::from_millis(millis(wall)) }
    }

    /// When the runtime's timers reach a moment of this clock. Timers have millisecond steps and
    /// must not fire early, else a machine finds nothing due and is called again at once.
    pub fn instant(&self, at: Mono) -> Instant {
        let after = Duration::from_millis(at.as_millis());
        self.start.checked_add(after).unwrap_or_else(|| self.start + Duration::from_secs(1 << 32))
    }
}
