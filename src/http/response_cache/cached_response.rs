//! Cached response: the body, its compressed forms, and the headers that do not depend on the request.

use std::collections::BTreeSet;

use axum::{body::Bytes, http::HeaderValue};

use super::encoding::ContentEncoding;
use crate::{
    base::digest::{sha256_bytes, to_hex},
    http::content_negotiation::ResponseMediaType,
    infra::cache::{CacheTag, CachedWeight, CountedSearch},
};

/// Number of bytes of the hash in an entity tag.
const ETAG_HASH_BYTES: usize = 16;
/// Memory of the headers and pointers of a response besides their text, in bytes.
const RESPONSE_BYTES: usize = 256;

/// Cached response to a query.
#[derive(Debug, Clone)]
pub struct CachedResponse {
    /// Serialized response, not compressed.
    pub body: Bytes,
    gzip: Option<Bytes>,
    brotli: Option<Bytes>,
    /// Hash of the body, in hexadecimal digits.
    hash: String,
    /// Tags, separated by spaces: `Surrogate-Key`.
    pub surrogate_key: HeaderValue,
    /// Tags, separated by commas: `Cache-Tag`.
    pub cache_tag: HeaderValue,
    /// Searches that are counted each time the response is sent.
    pub searches: Vec<CountedSearch>,
}

impl CachedResponse {
    /// Creates the response of a body that depends on the tags.
    #[must_use]
    pub fn new(body: Bytes, tags: &BTreeSet<CacheTag>, searches: Vec<CountedSearch>) -> Self {
        let names: Vec<String> = tags.iter().map(ToString::to_string).collect();
        Self::with_tag_names(body, &names.join(" "), searches)
    }

    /// Creates the response of a body with the names of its tags, separated by spaces.
    fn with_tag_names(body: Bytes, names: &str, searches: Vec<CountedSearch>) -> Self {
        let hash = to_hex(&sha256_bytes(&body)[..ETAG_HASH_BYTES]);
        let to_header = |text: String| HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static(""));
        let (surrogate_key, cache_tag) = (to_header(names.to_owned()), to_header(names.replace(' ', ",")));
        Self { body, gzip: None, brotli: None, hash, surrogate_key, cache_tag, searches }
    }

    /// Encodes the response for other instances: a line with the names of its tags, one with its searches, and the body.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let searches = serde_json::to_vec(&self.searches).unwrap_or_default();
        [self.surrogate_key.as_bytes(), b"\n", &searches, b"\n", &self.body].concat()
    }

    /// Decodes a response; `None` if it is not one.
    #[must_use]
    pub fn decode(encoded: &[u8]) -> Option<Self> {
        let mut parts = encoded.splitn(3, |byte| *byte == b'\n');
        let names = std::str::from_utf8(parts.next()?).ok()?;
        let searches = serde_json::from_slice(parts.next()?).ok()?;
        Some(Self::with_tag_names(Bytes::copy_from_slice(parts.next()?), names, searches))
    }

    /// Returns the body in an encoding, if it was compressed.
    #[must_use]
    pub fn encoded_body(&self, encoding: ContentEncoding) -> Option<&Bytes> {
        match encoding {
            ContentEncoding::Identity => Some(&self.body),
            ContentEncoding::Gzip => self.gzip.as_ref(),
            ContentEncoding::Brotli => self.brotli.as_ref(),
        }
    }

    /// Adds the compressed body.
    #[must_use]
    pub fn with_encoded_body(mut self, encoding: ContentEncoding, body: Bytes) -> Self {
        match encoding {
            ContentEncoding::Identity => {}
            ContentEncoding::Gzip => self.gzip = Some(body),
            ContentEncoding::Brotli => self.brotli = Some(body),
        }
        self
    }

    /// Returns the strong entity tag of a representation, with quotes.
    #[must_use]
    pub fn entity_tag(&self, media_type: ResponseMediaType, encoding: ContentEncoding) -> String {
        let type_suffix = match media_type {
            ResponseMediaType::GraphqlResponse => "",
            ResponseMediaType::Json => "-json",
        };
        format!("\"{}{type_suffix}{}\"", self.hash, encoding.etag_suffix())
    }

    /// Returns whether `If-None-Match` names the response, in any encoding.
    #[must_use]
    pub fn matches_entity_tag(&self, if_none_match: &str, media_type: ResponseMediaType) -> bool {
        let is_same = |candidate: &str| {
            let candidate = candidate.trim();
            let candidate = candidate.strip_prefix("W/").unwrap_or(candidate);
            [ContentEncoding::Identity, ContentEncoding::Gzip, ContentEncoding::Brotli]
                .into_iter()
                .any(|encoding| candidate == self.entity_tag(media_type, encoding))
        };
        if_none_match.split(',').any(|candidate| candidate.trim() == "*" || is_same(candidate))
    }
}

impl CachedWeight for CachedResponse {
    fn weight_bytes(&self) -> usize {
        let bodies = [Some(&self.body), self.gzip.as_ref(), self.brotli.as_ref()];
        let bodies: usize = bodies.into_iter().flatten().map(Bytes::len).sum();
        let texts: usize = self.searches.iter().map(|search| search.text.len() + size_of::<CountedSearch>()).sum();
        bodies + texts + self.hash.len() + self.surrogate_key.len() + self.cache_tag.len() + RESPONSE_BYTES
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entity_tags_distinguish_bodies_media_types_and_encodings() {
        let tags = BTreeSet::from([CacheTag::of_row("product", 42), CacheTag::of_set("catalog")]);
        let search = CountedSearch { text: "red\nmug".into(), has_results: true };
        let responses = ["{}", "[]"].map(|body| CachedResponse::new(Bytes::from(body), &tags, vec![search.clone()]));
        let mut entity_tags = BTreeSet::new();
        for response in &responses {
            for media_type in [ResponseMediaType::Json, ResponseMediaType::GraphqlResponse] {
                for encoding in [ContentEncoding::Identity, ContentEncoding::Gzip, ContentEncoding::Brotli] {
                    let entity_tag = response.entity_tag(media_type, encoding);
                    assert!(response.matches_entity_tag(&format!("\"x\", W/{entity_tag}"), media_type));
                    entity_tags.insert(entity_tag);
                }
            }
        }
        assert_eq!(entity_tags.len(), 12);
        assert_eq!(responses[0].surrogate_key, "catalog product:42");
        assert_eq!(responses[0].cache_tag, "catalog,product:42");
        let decoded = CachedResponse::decode(&responses[0].encode()).expect("a response");
        assert_eq!(decoded.body, responses[0].body);
        assert_eq!(decoded.cache_tag, responses[0].cache_tag);
        assert_eq!(decoded.hash, responses[0].hash);
        assert_eq!(decoded.searches, [search]);
        assert!(CachedResponse::decode(b"").is_none());
        assert!(!responses[0].matches_entity_tag("\"x\"", ResponseMediaType::Json));
        assert!(responses[0].matches_entity_tag("*", ResponseMediaType::Json));
    }
}
