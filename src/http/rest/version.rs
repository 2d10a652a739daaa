//! Versions of the REST API, and the headers of versions that end.

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use chrono::{DateTime, Utc};

use crate::http::http_date::format_http_date;

/// Header with the time since which a version is deprecated (RFC 9745).
const DEPRECATION: HeaderName = HeaderName::from_static("deprecation");
/// Header with the time at which a version ends (RFC 8594).
const SUNSET: HeaderName = HeaderName::from_static("sunset");

/// Version of the REST API.
#[derive(Debug)]
pub struct RestVersion {
    /// Name, in the path.
    pub name: &'static str,
    /// Time since which it is deprecated.
    pub deprecated_at: Option<DateTime<Utc>>,
    /// Time at which it ends.
    pub ends_at: Option<DateTime<Utc>>,
    /// Address of the explanation how to change to the next version.
    pub migration_guide: Option<&'static str>,
}

/// Versions that are served.
pub const VERSIONS: [RestVersion; 1] =
    [RestVersion { name: "v1", deprecated_at: None, ends_at: None, migration_guide: None }];

impl RestVersion {
    /// Finds a version by its name.
    #[must_use]
    pub fn find(name: &str) -> Option<&'static Self> {
        static SERVED: [RestVersion; 1] = VERSIONS;
        SERVED.iter().find(|version| version.name == name)
    }

    /// Adds the headers of a version that ends.
    pub fn insert_headers(&self, headers: &mut HeaderMap) {
        let mut insert = |name: HeaderName, text: String| {
            if let Ok(value) = HeaderValue::try_from(text) {
                headers.append(name, value);
            }
        };
        if let Some(deprecated_at) = self.deprecated_at {
            insert(DEPRECATION, format!("@{}", deprecated_at.timestamp()));
        }
        if let Some(ends_at) = self.ends_at {
            insert(SUNSET, format_http_date(ends_at));
        }
        if let (Some(_), Some(guide)) = (self.deprecated_at, self.migration_guide) {
            insert(header::LINK, format!("<{guide}>; rel=\"deprecation\""));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn version_that_ends_has_headers() {
        let at = |text: &str| text.parse().ok();
        let version = RestVersion {
            name: "v0",
            deprecated_at: at("2026-12-01T00:00:00Z"),
            ends_at: at("2027-06-30T23:59:59Z"),
            migration_guide: Some("/docs/v1"),
        };
        let mut headers = HeaderMap::new();
        version.insert_headers(&mut headers);
        assert_eq!(headers["deprecation"], "@1796083200");
        assert_eq!(headers["sunset"], "Wed, 30 Jun 2027 23:59:59 GMT");
        assert_eq!(headers["link"], "</docs/v1>; rel=\"deprecation\"");
    }

    #[test]
    fn served_version_has_no_headers() {
        let mut headers = HeaderMap::new();
        RestVersion::find("v1").expect("version 1").insert_headers(&mut headers);
        assert!(headers.is_empty());
        assert!(RestVersion::find("v2").is_none());
    }
}
