//! The clocks of one node.

use waypost_core::{Mono, Now, Wall};

/// What the clocks of a node show, against the world's.
#[derive(Clone, Copy, Debug)]
pub(super) struct NodeClock {
    /// When the node started, in world time: its monotonic clock was 0 then.
    booted: Mono,
    /// The wall time at the start of the world.
    epoch: Wall,
    /// How far its wall clock is ahead, in milliseconds.
    pub(super) skew: i64,
}

impl NodeClock {
    pub(super) fn new(epoch: Wall, booted: Mono) -> Self {
        Self { booted, epoch, skew: 0 }
    }

    /// A process that starts counts its monotonic clock from an arbitrary point: a saved `Mono` is worthless.
    pub(super) fn reboot(&mut self, at: Mono) {
        self.booted = at;
    }

    pub(super) fn now(&self, world: Mono) -> Now {
        let wall = self.epoch.as_millis().saturating_add(world.as_millis()).saturating_add_signed(self.skew);
        let mono = world.as_millis().saturating_sub(self.booted.as_millis());
        Now { mono: Mono::from_millis(mono), wall: Wall::from_millis(wall) }
    }

    pub(super) fn to_world(self, mono: Mono) -> Mono {
        Mono::from_millis(mono.as_millis().saturating_add(self.booted.as_millis()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_from_its_start_and_shows_a_skewed_date() {
        let mut clock = NodeClock::new(Wall::from_millis(1_000_000), Mono::from_millis(0));
        clock.skew = -500;
        clock.reboot(Mono::from_millis(100));
        let now = clock.now(Mono::from_millis(130));
        assert_eq!((now.mono.as_millis(), now.wall.as_millis()), (30, 999_630));
        assert_eq!(clock.to_world(now.mono), Mono::from_millis(130));
    }
}
