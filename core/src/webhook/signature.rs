//! Signatures by the Standard Webhooks specification, scheme `v1`: HMAC-SHA256 of the id, the time and the body.

use aws_lc_rs::hmac;
use base64::{Engine, prelude::BASE64_STANDARD};
use chrono::{DateTime, Utc};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};

use super::secret::SigningSecret;
use crate::base::{Error, Result};

/// Header with the id of the message.
pub const ID_HEADER: HeaderName = HeaderName::from_static("webhook-id");
/// Header with the time of the attempt.
pub const TIMESTAMP_HEADER: HeaderName = HeaderName::from_static("webhook-timestamp");
/// Header with the signatures.
pub const SIGNATURE_HEADER: HeaderName = HeaderName::from_static("webhook-signature");

/// Message to sign.
#[derive(Debug, Clone, Copy)]
pub struct SignedMessage<'a> {
    /// Id of the message, the same for each attempt.
    pub id: &'a str,
    /// Time of the attempt.
    pub sent_at: DateTime<Utc>,
    /// Body.
    pub body: &'a str,
}

impl SignedMessage<'_> {
    /// Returns the headers of a request, with a signature for each secret.
    pub fn to_headers(self, secrets: &[SigningSecret]) -> Result<HeaderMap> {
        let Self { id, sent_at, body } = self;
        let timestamp = sent_at.timestamp();
        let signatures: Vec<String> = secrets
            .iter()
            .map(|secret| {
                let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
                let tag = hmac::sign(&key, format!("{id}.{timestamp}.{body}").as_bytes());
                format!("v1,{}", BASE64_STANDARD.encode(tag))
            })
            .collect();
        let values = [
            (ID_HEADER, id.to_owned()),
            (TIMESTAMP_HEADER, timestamp.to_string()),
            (SIGNATURE_HEADER, signatures.join(" ")),
        ];
        let to_header = |(name, value): (HeaderName, String)| {
            let value = HeaderValue::from_str(&value).map_err(|error| Error::internal("signing a webhook", error))?;
            Ok((name, value))
        };
        values.into_iter().map(to_header).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signature_is_that_of_the_specification() {
        let secret = SigningSecret::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").expect("a secret");
        let message = SignedMessage {
            id: "msg_p5jXN8AQM9LWM0D4loKWxJek",
            sent_at: DateTime::from_timestamp(1_614_265_330, 0).expect("a time"),
            body: r#"{"test": 2432232314}"#,
        };
        let headers = message.to_headers(&[secret.clone(), secret]).expect("headers");
        let signature = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
        assert_eq!(headers[SIGNATURE_HEADER], format!("{signature} {signature}"));
        assert_eq!(
            (&headers[ID_HEADER], &headers[TIMESTAMP_HEADER]),
            (
                &"msg_p5jXN8AQM9LWM0D4loKWxJek".parse::<HeaderValue>().expect("a value"),
                &"1614265330".parse::<HeaderValue>().expect("a value")
            )
        );
    }
}
