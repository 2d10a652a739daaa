//! Signatures of Stripe's webhooks: the header `Stripe-Signature`.

use aws_lc_rs::hmac;

use crate::{base::digest::to_hex, identity::random_token::secrets_are_equal, payment::webhook::WebhookRejection};

/// Maximum age of a signature in seconds.
const TOLERANCE_SECONDS: i64 = 300;

/// Returns the signature `v1` of a body as lowercase hexadecimal digits. The key is the whole secret, with its prefix.
#[must_use]
pub fn sign_body(secret: &str, unix_time: i64, body: &[u8]) -> String {
    let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()));
    context.update(format!("{unix_time}.").as_bytes());
    context.update(body);
    to_hex(context.sign().as_ref())
}

/// Verifies the header's signatures: one must be valid with one of the secrets, and not be too old. Signatures of other
/// versions are ignored.
pub(super) fn verify_signature<'a>(
    header: &str,
    body: &[u8],
    secrets: impl Iterator<Item = &'a str>,
    now: i64,
) -> Result<(), WebhookRejection> {
    let (mut time, mut signatures) = (None, Vec::new());
    for (name, value) in header.split(',').filter_map(|item| item.split_once('=')) {
        match name.trim() {
            "t" => time = value.trim().parse::<i64>().ok(),
            "v1" => signatures.push(value.trim()),
            _ => {}
        }
    }
    let time = time.ok_or(WebhookRejection::InvalidSignature)?;
    let mut is_valid = false;
    for secret in secrets {
        let expected = sign_body(secret, time, body);
        for signature in &signatures {
            is_valid |= secrets_are_equal(&expected, signature);
        }
    }
    if !is_valid {
        return Err(WebhookRejection::InvalidSignature);
    }
    if now.saturating_sub(time) > TOLERANCE_SECONDS { Err(WebhookRejection::Expired) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_793_523_600;
    const BODY: &[u8] = br#"{"id":"evt_1"}"#;
    const SECRET: &str = "whsec_first";

    fn verify(header: &str) -> Result<(), WebhookRejection> {
        verify_signature(header, BODY, [SECRET, "whsec_second"].into_iter(), NOW)
    }

    #[test]
    fn any_signature_with_any_secret_is_valid() {
        let first = sign_body(SECRET, NOW, BODY);
        let second = sign_body("whsec_second", NOW, BODY);
        let invalid = "0".repeat(64);
        for header in [
            format!("t={NOW},v1={first}"),
            format!("t={NOW},v1={second}"),
            format!("t={NOW},v1={invalid},v1={first},v0={invalid}"),
            format!("v0={invalid}, v1={first}, t={NOW}"),
        ] {
            assert_eq!(verify(&header), Ok(()), "{header}");
        }
    }

    #[test]
    fn invalid_signature_is_rejected() {
        let valid = sign_body(SECRET, NOW, BODY);
        for header in [
            String::new(),
            "t=".into(),
            format!("v1={valid}"),
            format!("t={NOW}"),
            format!("t={NOW},v1="),
            format!("t={NOW},v0={valid}"),
            format!("t={NOW}1,v1={valid}"),
            format!("t={NOW},v1={}", valid.to_uppercase()),
            format!("t={NOW},v1={}", &valid[..63]),
            format!("t={NOW},v1={}", sign_body("first", NOW, BODY)),
            format!("t={NOW},v1={}", sign_body(SECRET, NOW, b"{}")),
        ] {
            assert_eq!(verify(&header), Err(WebhookRejection::InvalidSignature), "{header}");
        }
        let header = format!("t={NOW},v1={}", sign_body("", NOW, BODY));
        assert_eq!(verify_signature(&header, BODY, [].into_iter(), NOW), Err(WebhookRejection::InvalidSignature));
    }

    #[test]
    fn old_signature_is_expired() {
        let header = |time| format!("t={time},v1={}", sign_body(SECRET, time, BODY));
        assert_eq!(verify(&header(NOW - 300)), Ok(()));
        assert_eq!(verify(&header(NOW - 301)), Err(WebhookRejection::Expired));
        assert_eq!(verify(&header(i64::MIN)), Err(WebhookRejection::Expired));
    }

    #[test]
    fn signature_is_the_hmac_of_time_and_body() {
        // printf '%s' '1793523600.{"id":"evt_1"}' | openssl dgst -sha256 -hmac whsec_first
        assert_eq!(sign_body(SECRET, NOW, BODY), "c9af25044e1e2542c4017ec03bc5cfc1dbffc3ec4ea6164306e985a193a3baff");
    }
}
