use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

/// Longer lines are cut: a text of 900000 characters says no more than its beginning.
const SHOWN: usize = 400;

/// Everything that was said on any side, in the order in which it was heard.
#[derive(Debug, Clone)]
pub struct Transcript {
    start: Instant,
    lines: Arc<Mutex<Vec<String>>>,
}

impl Transcript {
    /// An empty transcript whose clock starts now.
    #[must_use]
    pub fn new() -> Self {
        Self { start: Instant::now(), lines: Arc::default() }
    }

    pub(crate) fn add(&self, who: &str, mark: &str, line: &str) {
        let shown: String = line.chars().take(SHOWN).collect();
        let cut = if shown.len() < line.len() { " .." } else { "" };
        let at = self.start.elapsed().as_secs_f64();
        self.lines
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(format!("{at:8.3} {who:>10} {mark} {shown}{cut}"));
    }
}

impl Default for Transcript {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Display for Transcript {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "transcript ('>' command, '<' event, '|' stderr):")?;
        for line in self.lines.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            writeln!(f, "{line}")?;
        }
        Ok(())
    }
}
