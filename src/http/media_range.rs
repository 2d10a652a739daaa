//! The header `Range`, for one range of bytes (RFC 9110). Several ranges are answered with the complete file, which is
//! allowed and bounds the work.

use std::ops::Range;

use axum::http::HeaderValue;

/// What a range request asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum RangeOutcome {
    /// The complete file: there is no range, or not one that is supported.
    Complete,
    /// A part of the file.
    Partial(Range<u64>),
    /// No part of the file.
    Unsatisfiable,
}

/// Returns the range of a file of this size that the header asks for.
pub(super) fn parse_range(value: Option<&HeaderValue>, size: u64) -> RangeOutcome {
    let spec = value.and_then(|value| value.to_str().ok()).and_then(|text| text.trim().strip_prefix("bytes="));
    let Some((first, last)) = spec.filter(|spec| !spec.contains(',')).and_then(|spec| spec.split_once('-')) else {
        return RangeOutcome::Complete;
    };
    let (first, last) = (first.trim(), last.trim());
    let Ok((first, last)) = parse_number(first).and_then(|first| Ok((first, parse_number(last)?))) else {
        return RangeOutcome::Complete;
    };
    let range = match (first, last) {
        (None, None) => return RangeOutcome::Complete,
        (Some(first), Some(last)) if last < first => return RangeOutcome::Complete,
        (Some(first), last) => first..last.map_or(size, |last| last.saturating_add(1).min(size)),
        (None, Some(count)) => size.saturating_sub(count)..size,
    };
    if range.is_empty() { RangeOutcome::Unsatisfiable } else { RangeOutcome::Partial(range) }
}

/// Parses a number; an empty text is none.
fn parse_number(text: &str) -> Result<Option<u64>, ()> {
    if text.is_empty() {
        return Ok(None);
    }
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(());
    }
    // A number that is too large is after the end.
    Ok(Some(text.parse().unwrap_or(u64::MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_those_of_rfc_9110() {
        use RangeOutcome::{Complete, Partial, Unsatisfiable};
        let cases = [
            ("bytes=0-0", Partial(0..1)),
            ("bytes=0-", Partial(0..100)),
            ("bytes=10-19", Partial(10..20)),
            ("bytes=90-1000", Partial(90..100)),
            ("bytes=-10", Partial(90..100)),
            ("bytes=-1000", Partial(0..100)),
            ("bytes=5-99999999999999999999999", Partial(5..100)),
            ("bytes=100-", Unsatisfiable),
            ("bytes=-0", Unsatisfiable),
            ("bytes=99999999999999999999999-", Unsatisfiable),
            ("bytes=20-10", Complete),
            ("bytes=-", Complete),
            ("bytes=0-1,5-6", Complete),
            ("bytes=+1-2", Complete),
            ("bytes=a-b", Complete),
            ("items=0-1", Complete),
            ("", Complete),
        ];
        for (text, expected) in cases {
            let value = HeaderValue::from_static(text);
            assert_eq!(parse_range(Some(&value), 100), expected, "{text}");
        }
        assert_eq!(parse_range(None, 100), Complete);
        assert_eq!(parse_range(Some(&HeaderValue::from_static("bytes=0-")), 0), Unsatisfiable);
    }
}
