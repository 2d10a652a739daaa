//! Validation of numeric and text settings.

use std::{fmt::Display, ops::RangeInclusive};

/// Rejects a number outside of its range.
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

/// Rejects a blank text and a text of more than one line.
pub(super) fn one_line_of_text(key: &str, value: &str) -> Result<(), String> {
    if value.trim().is_empty() || value.chars().any(char::is_control) {
        return Err(format!("{key} must be one line of text"));
    }
    Ok(())
}
