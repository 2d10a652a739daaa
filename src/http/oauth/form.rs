//! Form bodies of the OAuth 2.0 endpoints (`application/x-www-form-urlencoded`).

use std::{borrow::Cow, collections::BTreeMap};

use axum::{
    body::{Body, to_bytes},
    http::{HeaderMap, header},
};
use percent_encoding::percent_decode_str;

use crate::{http::graphql_request::is_valid_percent_encoding, identity::oauth_error::OauthError};

/// Maximum size of a body in bytes: credentials, a scope and a token are far smaller.
pub(super) const MAX_FORM_BYTES: usize = 16 * 1024;

/// Parameters of a request, each at most once.
#[derive(Debug, Default)]
pub(super) struct OauthForm(BTreeMap<String, String>);

impl OauthForm {
    /// Reads the body of a request.
    ///
    /// # Errors
    /// Returns `BodyTooLarge`, or `InvalidRequest` if the body is not a form or has a parameter twice.
    pub(super) async fn read(headers: &HeaderMap, body: Body) -> Result<Self, OauthError> {
        let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let media_type = content_type.split(';').next().unwrap_or_default().trim();
        if !media_type.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
            return Err(OauthError::InvalidRequest("The body must be a form (application/x-www-form-urlencoded)."));
        }
        let body = to_bytes(body, MAX_FORM_BYTES).await.map_err(|_| OauthError::BodyTooLarge)?;
        let body = std::str::from_utf8(&body).map_err(|_| OauthError::InvalidRequest("The body is not UTF-8."))?;
        Self::parse(body)
    }

    /// Parses a form. Parameters without a value are omitted, as RFC 6749 requires.
    fn parse(body: &str) -> Result<Self, OauthError> {
        let mut parameters = BTreeMap::new();
        for pair in body.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let (Some(name), Some(value)) = (decode_form_text(name), decode_form_text(value)) else {
                return Err(OauthError::InvalidRequest("The form is not encoded correctly: %XX with UTF-8."));
            };
            if parameters.insert(name, value).is_some() {
                return Err(OauthError::InvalidRequest("A parameter occurs more than once."));
            }
        }
        parameters.retain(|_, value| !value.is_empty());
        Ok(Self(parameters))
    }

    /// Returns a parameter, if it has a value.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// Returns a required parameter.
    ///
    /// # Errors
    /// Returns `InvalidRequest` with this message if it is missing.
    pub(super) fn require(&self, name: &str, message: &'static str) -> Result<String, OauthError> {
        self.get(name).map(str::to_owned).ok_or(OauthError::InvalidRequest(message))
    }
}

/// Decodes a text of a form; `None` if it is not encoded correctly.
pub(super) fn decode_form_text(text: &str) -> Option<String> {
    if !is_valid_percent_encoding(text) {
        return None;
    }
    percent_decode_str(&text.replace('+', " ")).decode_utf8().ok().map(Cow::into_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn form_is_decoded_and_empty_parameters_are_omitted() {
        let form = OauthForm::parse("a=1+2&b=%41%c3%a9%26&&c=&d&e=x=y").unwrap_or_default();
        assert_eq!((form.get("a"), form.get("b"), form.get("e")), (Some("1 2"), Some("Aé&"), Some("x=y")));
        assert_eq!((form.get("c"), form.get("d"), form.get("f")), (None, None, None));
        assert!(form.require("c", "c is missing").is_err());
    }

    #[test]
    fn malformed_form_is_rejected() {
        for body in ["a=%", "a=%4", "a=%zz", "%=1", "a=%ff", "a=1&a=1", "a=1&%61=2", "a&a", "a=%+1"] {
            assert!(OauthForm::parse(body).is_err(), "{body}");
        }
    }
}
