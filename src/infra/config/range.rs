//! What a number among the settings may be.

use std::{fmt::Display, ops::RangeInclusive, time::Duration};

/// Seconds of a day.
pub(super) const DAY: u64 = 86_400;

/// Refuses a number that is not within its range.
pub(super) fn within<T: Copy + PartialOrd + Display>(
    key: &str,
    value: T,
    range: RangeInclusive<T>,
) -> Result<(), String> {
    if range.contains(&value) {
        return Ok(());
    }
    Err(format!("{key} must be from {} to {}; it is {value}", range.start(), range.end()))
}

/// Refuses a time that is not within its range.
pub(super) fn seconds_within(key: &str, value: Duration, range: RangeInclusive<u64>) -> Result<(), String> {
    within(key, value.as_secs(), range).map_err(|why| format!("{why} seconds"))
}

/// Refuses a text that says nothing, or more than one line.
pub(super) fn one_line_of_text(key: &str, value: &str) -> Result<(), String> {
    if value.trim().is_empty() || value.chars().any(char::is_control) {
        return Err(format!("{key} must be one line of text"));
    }
    Ok(())
}
