//! Durations of settings: text of a whole number with its unit, `15m`.

use std::{ops::RangeInclusive, time::Duration};

use serde::{Deserialize, Deserializer, de};

pub(super) const SECOND: Duration = Duration::from_secs(1);
pub(super) const MINUTE: Duration = Duration::from_mins(1);
pub(super) const HOUR: Duration = Duration::from_hours(1);
pub(super) const DAY: Duration = Duration::from_hours(24);
/// The longest lifetime or retention: a hundred years.
pub(super) const CENTURY: Duration = Duration::from_hours(24 * 36_500);

/// Parses a duration of whole seconds with units, `90s` or `1h 30m`.
///
/// # Errors
/// Returns how to write a duration.
pub(super) fn parse_duration(text: &str) -> Result<Duration, String> {
    if text.parse::<f64>().is_ok() {
        return Err("it needs a unit, like 30s, 15m, 12h or 30d".to_owned());
    }
    let duration = humantime::parse_duration(text)
        .map_err(|error| format!("write a duration like 30s, 15m, 12h or 30d ({error})"))?;
    if duration.subsec_nanos() == 0 { Ok(duration) } else { Err("it is not a whole number of seconds".to_owned()) }
}

/// Formats a duration in the largest unit that divides it: `15m`.
fn format_duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let units = [(DAY, "d"), (HOUR, "h"), (MINUTE, "m")].map(|(unit, name)| (unit.as_secs(), name));
    let (unit_seconds, name) = units
        .into_iter()
        .find(|(unit_seconds, _)| seconds > 0 && seconds.is_multiple_of(*unit_seconds))
        .unwrap_or((1, "s"));
    format!("{}{name}", seconds / unit_seconds)
}

/// Deserializes a duration from its text. The `config` crate passes numbers as text, too.
pub(super) fn deserialize_duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    parse_duration(&text).map_err(|error| de::Error::custom(format!("`{text}` is invalid: {error}")))
}

/// Rejects a duration outside of its range.
pub(super) fn duration_within(key: &str, value: Duration, range: RangeInclusive<Duration>) -> Result<(), String> {
    if range.contains(&value) {
        return Ok(());
    }
    let [start, end, value] = [*range.start(), *range.end(), value].map(format_duration);
    Err(format!("{key} must be from {start} to {end}; it is {value}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn duration_needs_a_number_and_a_unit() {
        for (text, seconds) in [("0s", 0), ("30s", 30), ("15m", 900), ("1h 30m", 5400), ("30d", 2_592_000)] {
            assert_eq!(parse_duration(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for text in ["0", "30", "-1", "1.5"] {
            let error = parse_duration(text).expect_err("no unit");
            assert!(error.contains("15m"), "{text}: {error}");
        }
        for text in ["", "s", "-1s", "1.5x", "30 parsecs", "99999999999999999999s", "500ms"] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn duration_outside_its_range_is_reported_in_settings_text() {
        assert_eq!(duration_within("a.b", HOUR, HOUR..=DAY), Ok(()));
        let error = |value, range| duration_within("a.b", value, range).expect_err("a refusal");
        assert_eq!(error(Duration::ZERO, SECOND..=DAY), "a.b must be from 1s to 1d; it is 0s");
        assert_eq!(error(MINUTE * 90, MINUTE * 2..=HOUR), "a.b must be from 2m to 1h; it is 90m");
        assert_eq!(error(CENTURY + SECOND, MINUTE..=CENTURY), "a.b must be from 1m to 36500d; it is 3153600001s");
    }
}
