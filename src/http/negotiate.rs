//! Media types, as GraphQL over HTTP has them.

use axum::http::{HeaderMap, HeaderValue, header};

/// What an answer is written as. It also decides how errors become status codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Media {
    /// `application/graphql-response+json`: the status tells of the request.
    Response,
    /// `application/json`: what is well formed is answered with 200, for clients of old.
    Json,
}

impl Media {
    /// The header's value.
    #[must_use]
    pub fn content_type(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::Response => "application/graphql-response+json; charset=utf-8",
            Self::Json => "application/json; charset=utf-8",
        })
    }

    /// What the caller likes best of what there is; `None` when nothing of it will do.
    #[must_use]
    pub fn accepted(headers: &HeaderMap) -> Option<Self> {
        let mut values = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok()).peekable();
        if values.peek().is_none() {
            return Some(Self::Response);
        }
        let ranges: Vec<Range<'_>> = values.flat_map(|value| value.split(',')).filter_map(Range::read).collect();
        let response = quality(&ranges, "graphql-response+json");
        let json = quality(&ranges, "json");
        match (response > 0.0, json > 0.0) {
            (true, _) if response >= json => Some(Self::Response),
            (_, true) => Some(Self::Json),
            _ => None,
        }
    }
}

/// One range of an `Accept` header.
struct Range<'a> {
    subtype: &'a str,
    exactness: u8,
    quality: f32,
}

impl<'a> Range<'a> {
    fn read(text: &'a str) -> Option<Self> {
        let mut parts = text.split(';').map(str::trim);
        let (kind, subtype) = parts.next()?.split_once('/')?;
        let mut quality = 1.0;
        for part in parts {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            let value = value.trim_matches('"');
            match name.to_ascii_lowercase().as_str() {
                "q" => quality = value.parse().unwrap_or(0.0),
                "charset" if !is_utf8(value) => return None,
                _ => {}
            }
        }
        let exactness = match (kind, subtype) {
            ("*", "*") => 0,
            ("application", "*") => 1,
            ("application", _) => 2,
            _ => return None,
        };
        Some(Self { subtype, exactness, quality })
    }
}

/// The most exact range that covers a type decides.
fn quality(ranges: &[Range<'_>], subtype: &str) -> f32 {
    let covers = |range: &&Range<'_>| range.subtype == "*" || range.subtype.eq_ignore_ascii_case(subtype);
    ranges.iter().filter(covers).max_by_key(|range| range.exactness).map_or(0.0, |range| range.quality)
}

/// Whether a body says that it is JSON.
#[must_use]
pub fn is_json(headers: &HeaderMap) -> bool {
    let Some(value) = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()) else { return false };
    let mut parts = value.split(';').map(str::trim);
    let json = parts.next().is_some_and(|essence| essence.eq_ignore_ascii_case("application/json"));
    let foreign = |part: &str| {
        let charset = part.split_once('=').filter(|(name, _)| name.trim().eq_ignore_ascii_case("charset"));
        charset.is_some_and(|(_, charset)| !is_utf8(charset.trim().trim_matches('"')))
    };
    json && !parts.any(foreign)
}

/// Whether a charset is UTF-8: by its registered name, or by the one that is often written instead.
fn is_utf8(charset: &str) -> bool {
    charset.eq_ignore_ascii_case("utf-8") || charset.eq_ignore_ascii_case("utf8")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepted(value: &'static str) -> Option<Media> {
        Media::accepted(&HeaderMap::from_iter([(header::ACCEPT, HeaderValue::from_static(value))]))
    }

    #[test]
    fn the_caller_chooses() {
        assert_eq!(accepted("application/json"), Some(Media::Json));
        assert_eq!(
            accepted("application/graphql-response+json; charset=utf-8, application/json; charset=utf-8"),
            Some(Media::Response)
        );
        assert_eq!(accepted("application/json, application/graphql-response+json;q=0.5"), Some(Media::Json));
        assert_eq!(accepted("text/html, */*;q=0.8"), Some(Media::Response));
        assert_eq!(accepted("application/graphql-response+json;q=0, */*"), Some(Media::Json));
        assert_eq!(accepted("text/html"), None);
        assert_eq!(accepted("application/json; charset=utf8"), Some(Media::Json));
        assert_eq!(accepted("application/json; charset=iso-8859-1"), None);
        assert_eq!(Media::accepted(&HeaderMap::new()), Some(Media::Response));
    }
}
