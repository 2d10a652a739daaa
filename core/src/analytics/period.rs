//! Periods of days and their division into intervals. Pure.

use chrono::{DateTime, Datelike, Days, Months, NaiveDate, NaiveTime, TimeDelta, TimeZone, Utc};
use chrono_tz::Tz;

use crate::base::{Error, Result};

/// The maximum number of days of a period: three years.
pub const MAX_PERIOD_DAYS: i64 = 1_100;
/// The years that a day may be in.
const YEARS: std::ops::RangeInclusive<i32> = 1970..=9998;

/// A period of days, both ends inclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DayPeriod {
    /// The first day.
    pub from: NaiveDate,
    /// The last day.
    pub to: NaiveDate,
}

/// How a period is divided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interval {
    /// By day.
    Day,
    /// By week, from Monday to Sunday.
    Week,
    /// By month.
    Month,
}

impl DayPeriod {
    /// Creates a period.
    ///
    /// # Errors
    /// Returns `BadUserInput` for `from` or `to` if the period ends before it begins, has more than
    /// [`MAX_PERIOD_DAYS`], or is outside of the years 1970 to 9998.
    pub fn new(from: NaiveDate, to: NaiveDate) -> Result<Self> {
        for (field, day) in [("from", from), ("to", to)] {
            if !YEARS.contains(&day.year()) {
                return Err(Error::bad_input(
                    field,
                    format!("the year must be from {} to {}", YEARS.start(), YEARS.end()),
                ));
            }
        }
        if from > to {
            return Err(Error::bad_input("to", format!("the period ends on {to}, before it begins on {from}")));
        }
        let period = Self { from, to };
        if period.day_count() > MAX_PERIOD_DAYS {
            let message = format!("the period has {} days; at most {MAX_PERIOD_DAYS} are answered", period.day_count());
            return Err(Error::bad_input("to", message));
        }
        Ok(period)
    }

    /// Creates a period from days as text, `2026-11-27`.
    ///
    /// # Errors
    /// Returns `BadUserInput` for a text that is not a day, and the errors of [`DayPeriod::new`].
    pub fn parse(from: &str, to: &str) -> Result<Self> {
        Self::new(parse_day("from", from)?, parse_day("to", to)?)
    }

    /// Returns the number of days.
    #[must_use]
    pub fn day_count(&self) -> i64 {
        (self.to - self.from).num_days() + 1
    }

    /// Returns the times of the period in a time zone: the start, inclusive, and the end, exclusive.
    #[must_use]
    pub fn time_range(&self, time_zone: Tz) -> (DateTime<Utc>, DateTime<Utc>) {
        (start_of_day(self.from, time_zone), start_of_day(self.to + Days::new(1), time_zone))
    }

    /// Returns the parts of the period, without gaps. The first and the last may be shorter than the interval.
    #[must_use]
    pub fn divide(self, interval: Interval) -> Vec<Self> {
        let mut parts = Vec::new();
        let mut from = self.from;
        while from <= self.to {
            let to = interval.last_day(from).min(self.to);
            parts.push(Self { from, to });
            from = to + Days::new(1);
        }
        parts
    }
}

impl Interval {
    /// Returns the last day of the interval that contains a day.
    fn last_day(self, day: NaiveDate) -> NaiveDate {
        match self {
            Self::Day => day,
            Self::Week => day + Days::new(6 - u64::from(day.weekday().num_days_from_monday())),
            Self::Month => {
                let first = day - Days::new(u64::from(day.day0()));
                first + Months::new(1) - Days::new(1)
            }
        }
    }

    /// Returns the interval with a name: `day`, `week` or `month`.
    ///
    /// # Errors
    /// Returns `BadUserInput` for another name.
    pub fn parse(name: &str) -> Result<Self> {
        match name {
            "day" => Ok(Self::Day),
            "week" => Ok(Self::Week),
            "month" => Ok(Self::Month),
            _ => Err(Error::bad_input("interval", "this must be day, week or month")),
        }
    }
}

/// Parses a day, `2026-11-27`.
///
/// # Errors
/// Returns `BadUserInput` for the field if the text is not a day.
pub fn parse_day(field: &str, text: &str) -> Result<NaiveDate> {
    let day = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok().filter(|day| day.to_string() == text);
    day.ok_or_else(|| {
        Error::bad_input(field, "this must be a day of the calendar as YEAR-MONTH-DAY, such as 2026-11-27")
    })
}

/// Returns the day of a time in a time zone.
#[must_use]
pub fn day_of(time: DateTime<Utc>, time_zone: Tz) -> NaiveDate {
    time.with_timezone(&time_zone).date_naive()
}

/// Returns the first time of a day in a time zone. It is not midnight if daylight saving time begins then.
fn start_of_day(day: NaiveDate, time_zone: Tz) -> DateTime<Utc> {
    let midnight = day.and_time(NaiveTime::MIN);
    let mut quarters = (0..=8).map(|count| midnight + TimeDelta::minutes(count * 15));
    let start = quarters.find_map(|time| time_zone.from_local_datetime(&time).earliest());
    start.map_or_else(|| midnight.and_utc(), |start| start.to_utc())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn period(from: &str, to: &str) -> DayPeriod {
        DayPeriod::parse(from, to).unwrap_or_else(|error| panic!("{}", error.log_message()))
    }

    fn message(from: &str, to: &str) -> Option<(Vec<String>, String)> {
        let error = DayPeriod::parse(from, to).err()?.to_public_error();
        Some((error.field.iter().map(ToString::to_string).collect(), error.message))
    }

    #[test]
    fn parts_have_no_gaps_and_end_with_the_period() {
        let parts = |interval| period("2026-01-30", "2026-03-02").divide(interval);
        assert_eq!(parts(Interval::Day).len(), 32);
        let weeks = parts(Interval::Week);
        assert_eq!(weeks.first(), Some(&period("2026-01-30", "2026-02-01")));
        assert_eq!(weeks.last(), Some(&period("2026-03-02", "2026-03-02")));
        let months = ["2026-01-30/2026-01-31", "2026-02-01/2026-02-28", "2026-03-01/2026-03-02"];
        let names: Vec<_> = parts(Interval::Month).iter().map(|part| format!("{}/{}", part.from, part.to)).collect();
        assert_eq!(names, months);
        for interval in [Interval::Day, Interval::Week, Interval::Month] {
            assert_eq!(parts(interval).iter().map(DayPeriod::day_count).sum::<i64>(), 32);
        }
    }

    #[test]
    fn invalid_periods_are_rejected_with_their_field() {
        let rejected_field = |from, to| message(from, to).map(|(field, _)| field.join("."));
        assert_eq!(rejected_field("2026-02-30", "2026-03-01").as_deref(), Some("from"));
        assert_eq!(rejected_field("2026-1-1", "2026-03-01").as_deref(), Some("from"));
        assert_eq!(rejected_field("2026-01-01", "tomorrow").as_deref(), Some("to"));
        assert_eq!(rejected_field("2026-01-02", "2026-01-01").as_deref(), Some("to"));
        assert_eq!(rejected_field("1969-12-31", "1970-01-01").as_deref(), Some("from"));
        assert_eq!(rejected_field("2020-01-01", "2026-01-01").as_deref(), Some("to"));
        assert_eq!(rejected_field("2024-01-01", "2026-12-31"), None);
    }

    #[test]
    fn days_begin_at_the_first_time_of_the_zone() {
        let start = |day: &str, zone| period(day, day).time_range(zone).0.to_rfc3339();
        assert_eq!(start("2026-11-27", Tz::Africa__Nairobi), "2026-11-26T21:00:00+00:00");
        // Daylight saving time begins at midnight, which does not exist.
        assert_eq!(start("2018-11-04", Tz::America__Sao_Paulo), "2018-11-04T03:00:00+00:00");
        for zone in [Tz::UTC, Tz::Africa__Nairobi, Tz::America__Sao_Paulo, Tz::Asia__Kathmandu] {
            let (start, end) = period("2018-11-03", "2018-11-04").time_range(zone);
            assert_eq!(day_of(start, zone).to_string(), "2018-11-03");
            assert_eq!(day_of(start - TimeDelta::microseconds(1), zone).to_string(), "2018-11-02");
            assert_eq!(day_of(end - TimeDelta::microseconds(1), zone).to_string(), "2018-11-04");
        }
    }
}
