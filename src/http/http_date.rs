//! Times in headers (RFC 9110).

use axum::http::HeaderValue;
use chrono::{DateTime, Utc};

/// Formats a time for a header.
#[must_use]
pub fn format_http_date(time: DateTime<Utc>) -> String {
    time.format("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

/// Parses the time of a header; `None` if it is not one.
#[must_use]
pub fn parse_http_date(value: &HeaderValue) -> Option<DateTime<Utc>> {
    DateTime::parse_from_rfc2822(value.to_str().ok()?).ok().map(|time| time.to_utc())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_http() {
        let time = DateTime::from_timestamp(784_111_777, 0).expect("a time");
        assert_eq!(format_http_date(time), "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(parse_http_date(&HeaderValue::from_static("Sun, 06 Nov 1994 08:49:37 GMT")), Some(time));
    }
}
