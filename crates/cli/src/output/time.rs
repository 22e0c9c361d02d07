//! Moments as people read them, on their own clock.

use jiff::{Timestamp, Zoned, tz::TimeZone};
use waypost_core::Wall;

/// `2026-11-20 14:03`.
pub(crate) fn day_and_time(at: Wall) -> String {
    local(at).strftime("%Y-%m-%d %H:%M").to_string()
}

/// `14:03:09`.
pub(crate) fn time_of_day(at: Wall) -> String {
    local(at).strftime("%H:%M:%S").to_string()
}

/// `3 days`, `2 h 5 min`, `40 s`.
pub(crate) fn duration(millis: u64) -> String {
    let seconds = millis / 1000;
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3_600 => format!("{} min", seconds / 60),
        3_600..172_800 => format!("{} h {} min", seconds / 3_600, seconds / 60 % 60),
        _ => format!("{} days", seconds / 86_400),
    }
}

/// A moment beyond the calendar is shown as its end.
fn local(at: Wall) -> Zoned {
    let millis = i64::try_from(at.as_millis()).unwrap_or(i64::MAX);
    Timestamp::from_millisecond(millis).unwrap_or(Timestamp::MAX).to_zoned(TimeZone::system())
}
