//! Credentials of a client: by HTTP Basic or in the form, never both.

use axum::http::{HeaderMap, HeaderValue, header};
use base64::{Engine, prelude::BASE64_STANDARD};

use super::form::{OauthForm, decode_form_text};
use crate::identity::{oauth_error::OauthError, oauth_token::ClientCredentials};

/// Error of a request without credentials.
const MISSING_CREDENTIALS: &str = "Send the client id and the client secret by HTTP Basic or in the form.";
/// Error of an `Authorization` header that is not valid.
const MALFORMED_HEADER: &str =
    "The Authorization header must be Basic with the base64 of the form-encoded client id and secret.";

/// Returns the credentials of a request.
///
/// # Errors
/// Returns `InvalidClient` if there are none or the header is malformed, and `InvalidRequest` if there are several.
pub(super) fn read_credentials(headers: &HeaderMap, form: &OauthForm) -> Result<ClientCredentials, OauthError> {
    let mut header_values = headers.get_all(header::AUTHORIZATION).iter();
    let (form_id, form_secret) = (form.get("client_id"), form.get("client_secret"));
    let Some(value) = header_values.next() else {
        let (Some(client_id), Some(secret)) = (form_id, form_secret) else {
            return Err(OauthError::InvalidClient(MISSING_CREDENTIALS));
        };
        return Ok(ClientCredentials { client_id: client_id.to_owned(), secret: secret.into() });
    };
    if header_values.next().is_some() || form_secret.is_some() {
        return Err(OauthError::InvalidRequest("Send the credentials of the client only once."));
    }
    let credentials = parse_basic_header(value).ok_or(OauthError::InvalidClient(MALFORMED_HEADER))?;
    if form_id.is_some_and(|form_id| form_id != credentials.client_id) {
        return Err(OauthError::InvalidRequest("The client id in the form is not that of the Authorization header."));
    }
    Ok(credentials)
}

/// Parses `Basic base64(id:secret)`, where id and secret are encoded like texts of a form (RFC 6749, section 2.3.1).
fn parse_basic_header(value: &HeaderValue) -> Option<ClientCredentials> {
    let (scheme, encoded) = value.to_str().ok()?.trim().split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = String::from_utf8(BASE64_STANDARD.decode(encoded.trim()).ok()?).ok()?;
    let (client_id, secret) = decoded.split_once(':')?;
    Some(ClientCredentials { client_id: decode_form_text(client_id)?, secret: decode_form_text(secret)?.into() })
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    fn parse(text: &str) -> Option<(String, String)> {
        let credentials = parse_basic_header(&HeaderValue::from_str(text).ok()?)?;
        Some((credentials.client_id, credentials.secret.expose_secret().to_owned()))
    }

    #[test]
    fn basic_header_is_decoded_like_a_form() {
        let encode = |text: &str| format!("Basic {}", BASE64_STANDARD.encode(text));
        assert_eq!(parse(&encode("a%3Ab+c:d%2B:e")), Some(("a:b c".to_owned(), "d+:e".to_owned())));
        assert_eq!(parse(&encode("id:").replace("Basic", "bAsIc ")), Some(("id".to_owned(), String::new())));
    }

    #[test]
    fn malformed_basic_header_is_rejected() {
        let no_colon = format!("Basic {}", BASE64_STANDARD.encode("id"));
        let no_digits = format!("Basic {}", BASE64_STANDARD.encode("id:%zz"));
        let no_text = format!("Basic {}", BASE64_STANDARD.encode([0xff, b':']));
        for text in ["", "Basic", "Basic !", "Bearer aWQ6c2VjcmV0", &no_colon, &no_digits, &no_text] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
