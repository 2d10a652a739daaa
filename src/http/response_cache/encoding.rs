//! Content encodings of cached responses.

use std::io::Write;

use axum::{
    body::Bytes,
    http::{HeaderMap, HeaderValue, header},
};

/// Quality of brotli: the level of dynamic content.
const BROTLI_QUALITY: i32 = 5;
/// Window of brotli, as its logarithm.
const BROTLI_WINDOW: i32 = 20;

/// Content encoding of a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ContentEncoding {
    /// Not compressed.
    Identity,
    /// gzip.
    Gzip,
    /// Brotli.
    Brotli,
}

impl ContentEncoding {
    /// Selects the encoding by `Accept-Encoding`: brotli, then gzip, if the client accepts it.
    #[must_use]
    pub fn negotiate(headers: &HeaderMap) -> Self {
        let values = headers.get_all(header::ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
        let codings: Vec<(&str, bool)> = values.flat_map(|value| value.split(',')).map(parse_coding).collect();
        let accepts = |name: &str| {
            let find = |name: &str| codings.iter().find(|(coding, _)| coding.eq_ignore_ascii_case(name));
            find(name).or_else(|| find("*")).is_some_and(|(_, is_accepted)| *is_accepted)
        };
        if accepts("br") {
            Self::Brotli
        } else if accepts("gzip") {
            Self::Gzip
        } else {
            Self::Identity
        }
    }

    /// Returns the value of `Content-Encoding`.
    #[must_use]
    pub fn header_value(self) -> Option<HeaderValue> {
        match self {
            Self::Identity => None,
            Self::Gzip => Some(HeaderValue::from_static("gzip")),
            Self::Brotli => Some(HeaderValue::from_static("br")),
        }
    }

    /// Returns the part of an entity tag that distinguishes the encoding.
    #[must_use]
    pub fn etag_suffix(self) -> &'static str {
        match self {
            Self::Identity => "",
            Self::Gzip => "-gzip",
            Self::Brotli => "-br",
        }
    }

    /// Compresses a body; `None` if that fails.
    #[must_use]
    pub fn compress(self, body: &[u8]) -> Option<Bytes> {
        let capacity = body.len() / 4;
        let compressed = match self {
            Self::Identity => return None,
            Self::Gzip => {
                let mut encoder =
                    flate2::write::GzEncoder::new(Vec::with_capacity(capacity), flate2::Compression::default());
                encoder.write_all(body).and_then(|()| encoder.finish())
            }
            Self::Brotli => {
                let params = brotli::enc::BrotliEncoderParams {
                    quality: BROTLI_QUALITY,
                    lgwin: BROTLI_WINDOW,
                    size_hint: body.len(),
                    ..Default::default()
                };
                let mut compressed = Vec::with_capacity(capacity);
                brotli::BrotliCompress(&mut &*body, &mut compressed, &params).map(|_| compressed)
            }
        };
        compressed.map(Bytes::from).ok()
    }
}

/// Returns the name of a coding and whether it is accepted: its quality is not 0.
fn parse_coding(text: &str) -> (&str, bool) {
    let mut parts = text.split(';').map(str::trim);
    let name = parts.next().unwrap_or_default();
    let quality = parts.find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")));
    (name, quality.is_none_or(|quality| quality.parse::<f32>().is_ok_and(|quality| quality > 0.0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn negotiate(value: &'static str) -> ContentEncoding {
        ContentEncoding::negotiate(&HeaderMap::from_iter([(header::ACCEPT_ENCODING, HeaderValue::from_static(value))]))
    }

    #[test]
    fn accepted_encoding_is_selected() {
        assert_eq!(negotiate("gzip, deflate, br, zstd"), ContentEncoding::Brotli);
        assert_eq!(negotiate("gzip;q=1.0, br;q=0"), ContentEncoding::Gzip);
        assert_eq!(negotiate("*"), ContentEncoding::Brotli);
        assert_eq!(negotiate("*;q=0, GZIP"), ContentEncoding::Gzip);
        assert_eq!(negotiate("identity"), ContentEncoding::Identity);
        assert_eq!(negotiate("br;q=x"), ContentEncoding::Identity);
        assert_eq!(ContentEncoding::negotiate(&HeaderMap::new()), ContentEncoding::Identity);
    }
}
