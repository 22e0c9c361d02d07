//! When direct ways are tried again while messages wait at a relay.

use rand_core::CryptoRng;
use std::time::Duration;
use waypost_core::Mono;

/// The timetable after a STORE: 10 s, 60 s, then each 5 min, each ± 20 %. Profile, Selection.
#[derive(Clone, Copy, Debug)]
pub struct DirectRetries {
    stored: Mono,
    tries: u32,
    due: Mono,
}

impl DirectRetries {
    const FIRST: [Duration; 2] = [Duration::from_secs(10), Duration::from_secs(60)];
    const LATER: Duration = Duration::from_secs(5 * 60);

    /// Begins at a STORE.
    pub fn new(now: Mono, rng: &mut impl CryptoRng) -> Self {
        let mut retries = Self { stored: now, tries: 0, due: now };
        retries.plan(now, rng);
        retries
    }

    /// When to try next.
    pub const fn due(&self) -> Mono {
        self.due
    }

    /// A try began; plans the one after it.
    pub fn tried(&mut self, now: Mono, rng: &mut impl CryptoRng) {
        self.tries = self.tries.saturating_add(1);
        self.plan(now, rng);
    }

    fn plan(&mut self, now: Mono, rng: &mut impl CryptoRng) {
        let first = usize::try_from(self.tries).ok().and_then(|tries| Self::FIRST.get(tries));
        self.due = match first {
            Some(&after) => self.stored.after(jittered(after, rng)).max(now),
            None => now.after(jittered(Self::LATER, rng)),
        };
    }
}

/// 80 % to 120 % of it.
fn jittered(duration: Duration, rng: &mut impl CryptoRng) -> Duration {
    let permille = 800 + rng.next_u32() % 401;
    duration * permille / 1000
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    #[test]
    fn tries_after_10_s_and_60_s_and_then_each_5_min() {
        let mut rng = rand_chacha::ChaCha20Rng::seed_from_u64(1);
        for _ in 0..100 {
            let mut retries = DirectRetries::new(Mono::from_millis(1000), &mut rng);
            let mut previous = 1000;
            for (from_stored, expected) in [(true, 10_000), (true, 60_000), (false, 300_000), (false, 300_000)] {
                let due = retries.due().as_millis();
                let waited = due - if from_stored { 1000 } else { previous };
                assert!((expected * 4 / 5..=expected * 6 / 5).contains(&waited), "{waited} for {expected}");
                previous = due;
                retries.tried(retries.due(), &mut rng);
            }
        }
    }
}
