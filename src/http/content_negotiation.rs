//! Content negotiation of the GraphQL-over-HTTP media types.

use axum::http::{HeaderMap, HeaderValue, header};

/// Media type of a response. It also determines how errors map to status codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResponseMediaType {
    /// `application/graphql-response+json`: the status code reflects the result of the request.
    GraphqlResponse,
    /// `application/json`: well-formed requests get 200, for legacy clients.
    Json,
}

impl ResponseMediaType {
    /// Returns the value of the `Content-Type` header.
    #[must_use]
    pub fn content_type(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::GraphqlResponse => "application/graphql-response+json; charset=utf-8",
            Self::Json => "application/json; charset=utf-8",
        })
    }

    /// Selects the preferred supported media type; `None` if `Accept` allows none. Without a preference it is
    /// `application/json`, which every client reads.
    #[must_use]
    pub fn from_accept_header(headers: &HeaderMap) -> Option<Self> {
        let mut values = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok()).peekable();
        if values.peek().is_none() {
            return Some(Self::Json);
        }
        let accept_ranges: Vec<AcceptRange<'_>> =
            values.flat_map(|value| value.split(',')).filter_map(AcceptRange::parse).collect();
        let graphql_quality = accepted_quality(&accept_ranges, "graphql-response+json");
        let json_quality = accepted_quality(&accept_ranges, "json");
        let is_graphql_named =
            accept_ranges.iter().any(|range| range.subtype.eq_ignore_ascii_case("graphql-response+json"));
        let is_graphql_preferred =
            graphql_quality > json_quality || (is_graphql_named && graphql_quality >= json_quality);
        match (graphql_quality > 0.0, json_quality > 0.0) {
            (true, _) if is_graphql_preferred => Some(Self::GraphqlResponse),
            (_, true) => Some(Self::Json),
            _ => None,
        }
    }
}

/// Media range of an `Accept` header.
struct AcceptRange<'a> {
    subtype: &'a str,
    specificity: u8,
    quality: f32,
}

impl<'a> AcceptRange<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let mut parts = text.split(';').map(str::trim);
        let (media_type, subtype) = parts.next()?.split_once('/')?;
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
        let specificity = match (media_type, subtype) {
            ("*", "*") => 0,
            ("application", "*") => 1,
            ("application", _) => 2,
            _ => return None,
        };
        Some(Self { subtype, specificity, quality })
    }
}

/// Returns the quality of a subtype: that of the most specific matching range.
fn accepted_quality(ranges: &[AcceptRange<'_>], subtype: &str) -> f32 {
    let is_matching = |range: &&AcceptRange<'_>| range.subtype == "*" || range.subtype.eq_ignore_ascii_case(subtype);
    ranges.iter().filter(is_matching).max_by_key(|range| range.specificity).map_or(0.0, |range| range.quality)
}

/// Returns whether `Content-Type` is JSON in UTF-8.
#[must_use]
pub fn has_json_content_type(headers: &HeaderMap) -> bool {
    let Some(value) = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()) else { return false };
    let mut parts = value.split(';').map(str::trim);
    let is_json_type = parts.next().is_some_and(|essence| essence.eq_ignore_ascii_case("application/json"));
    let has_other_charset = |part: &str| {
        let charset = part.split_once('=').filter(|(name, _)| name.trim().eq_ignore_ascii_case("charset"));
        charset.is_some_and(|(_, charset)| !is_utf8(charset.trim().trim_matches('"')))
    };
    is_json_type && !parts.any(has_other_charset)
}

/// Returns whether a charset is UTF-8; accepts the common alias `utf8`.
fn is_utf8(charset: &str) -> bool {
    charset.eq_ignore_ascii_case("utf-8") || charset.eq_ignore_ascii_case("utf8")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn negotiate(value: &'static str) -> Option<ResponseMediaType> {
        ResponseMediaType::from_accept_header(&HeaderMap::from_iter([(
            header::ACCEPT,
            HeaderValue::from_static(value),
        )]))
    }

    #[test]
    fn accept_header_selects_the_media_type() {
        assert_eq!(negotiate("application/json"), Some(ResponseMediaType::Json));
        assert_eq!(
            negotiate("application/graphql-response+json; charset=utf-8, application/json; charset=utf-8"),
            Some(ResponseMediaType::GraphqlResponse)
        );
        assert_eq!(
            negotiate("application/json, application/graphql-response+json;q=0.5"),
            Some(ResponseMediaType::Json)
        );
        assert_eq!(negotiate("text/html, */*;q=0.8"), Some(ResponseMediaType::Json));
        assert_eq!(negotiate("*/*"), Some(ResponseMediaType::Json));
        assert_eq!(negotiate("application/*"), Some(ResponseMediaType::Json));
        assert_eq!(negotiate("application/json;q=0.5, */*"), Some(ResponseMediaType::GraphqlResponse));
        assert_eq!(negotiate("application/graphql-response+json;q=0, */*"), Some(ResponseMediaType::Json));
        assert_eq!(negotiate("text/html"), None);
        assert_eq!(negotiate("application/json; charset=utf8"), Some(ResponseMediaType::Json));
        assert_eq!(negotiate("application/json; charset=iso-8859-1"), None);
        assert_eq!(ResponseMediaType::from_accept_header(&HeaderMap::new()), Some(ResponseMediaType::Json));
    }
}
