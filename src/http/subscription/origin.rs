//! Origin check of WebSocket handshakes, to which browsers do not apply CORS.

use axum::http::{HeaderMap, Uri, header};

use crate::infra::{Config, config::ShopMode};

/// Returns whether a handshake may come from its origin: by the CORS settings, or because it is that of the server.
/// Clients other than browsers send no origin.
pub(super) fn is_allowed_origin(headers: &HeaderMap, config: &Config) -> bool {
    let Some(origin) = headers.get(header::ORIGIN) else { return true };
    let Ok(origin) = origin.to_str() else { return false };
    let origins = &config.server.cors_origins;
    let allows_any = origins.is_empty() && config.shop.mode == ShopMode::Development;
    if allows_any || origins.iter().any(|allowed| allowed == "*" || allowed == origin) {
        return true;
    }
    let authority = origin.parse::<Uri>().ok().and_then(|origin| origin.authority().map(ToString::to_string));
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    authority.is_some_and(|authority| host == Some(authority.as_str()))
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn is_allowed(settings: &[(&str, &str)], origin: &'static str) -> bool {
        let variables = settings.iter().map(|(name, value)| ((*name).into(), (*value).into()));
        let config = Config::load_from(std::path::Path::new("/nowhere.toml"), variables).expect("valid configuration");
        let headers = [(header::HOST, "api.shop.example"), (header::ORIGIN, origin)];
        let headers = headers.map(|(name, value)| (name, HeaderValue::from_static(value)));
        is_allowed_origin(&headers.into_iter().collect(), &config)
    }

    #[test]
    fn origin_is_allowed_by_the_cors_settings_or_as_own() {
        let listed = [("SAVANNAH_SERVER__CORS_ORIGINS", "https://shop.example")];
        assert!(is_allowed(&listed, "https://shop.example"));
        assert!(is_allowed(&listed, "https://api.shop.example"));
        for origin in ["https://evil.example", "null", "https://shop.example.evil.example", "http://shop.example"] {
            assert!(!is_allowed(&listed, origin), "{origin}");
        }
        assert!(is_allowed(&[("SAVANNAH_SERVER__CORS_ORIGINS", "*")], "https://evil.example"));
        assert!(is_allowed(&[], "https://evil.example"), "development allows all origins");
    }
}
