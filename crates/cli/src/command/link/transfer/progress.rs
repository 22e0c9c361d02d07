//! How far a file is, for a person at a terminal.

use super::super::event::Teller;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// A bar that hides where nobody watches.
pub(super) fn bar(tell: Teller, size: u64) -> ProgressBar {
    let target = if tell.talks() { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
    let bar = ProgressBar::with_draw_target(Some(size), target);
    let style = "{wide_bar} {bytes}/{total_bytes}  {bytes_per_sec}  {eta} left";
    bar.set_style(ProgressStyle::with_template(style).unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar
}
