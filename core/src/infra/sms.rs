//! SMS: sent through Africa's Talking or, in development, written to a folder.

use std::path::PathBuf;

use reqwest::{
    Method, StatusCode,
    header::{ACCEPT, HeaderName, HeaderValue},
};
use secrecy::ExposeSecret;
use serde::Deserialize;

use super::{
    Config, HttpClient,
    config::{DeliveryMode, SmsConfig},
    delivery_error::{DeliveryError, write_message_file},
    http_client::FormRequest,
};
use crate::base::error::format_error_chain;

/// The characters of one GSM-7 message, and of each segment of a longer one.
const GSM7_SEGMENT: (usize, usize) = (160, 153);
/// The same for UCS-2, in UTF-16 code units.
const UCS2_SEGMENT: (usize, usize) = (70, 67);
/// The characters of the GSM-7 basic set that are not ASCII, or have other codes there.
const GSM7_BASIC_CHARACTERS: &str = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ ¤¡ÄÖÑÜ§¿äöñüà";
/// The characters of the GSM-7 extension table, which count twice.
const GSM7_EXTENDED_CHARACTERS: &str = "^{}\\[~]|€";

/// An SMS to one phone number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SmsMessage {
    /// The id of the message in this system.
    pub id: String,
    /// The phone number, in E.164.
    pub to: String,
    /// The text.
    pub text: String,
}

/// The SMS sender. Cheap to clone.
#[derive(Debug, Clone)]
pub struct SmsSender(SmsTransport);

#[derive(Debug, Clone)]
enum SmsTransport {
    Disabled,
    Directory(PathBuf),
    AfricasTalking { client: HttpClient, url: String, api_key: HeaderValue, config: SmsConfig },
}

/// The response of Africa's Talking.
#[derive(Debug, Deserialize)]
struct GatewayResponse {
    #[serde(rename = "SMSMessageData")]
    data: GatewayMessageData,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct GatewayMessageData {
    #[serde(default)]
    message: String,
    recipients: Vec<GatewayRecipient>,
}

/// The result for one recipient.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct GatewayRecipient {
    status_code: u16,
    #[serde(default)]
    status: String,
    number: String,
    #[serde(default)]
    message_id: String,
}

impl SmsSender {
    /// Creates the sender from the settings. It connects when the first SMS is sent.
    ///
    /// # Errors
    /// Returns a message for the operator if a setting is invalid.
    pub fn new(config: &Config, client: &HttpClient) -> Result<Self, String> {
        Ok(Self(match config.sms.delivery_mode(config.shop.mode) {
            DeliveryMode::Disabled => SmsTransport::Disabled,
            DeliveryMode::File => SmsTransport::Directory(config.notification.file_directory.clone()),
            DeliveryMode::Service => {
                let api_key = HeaderValue::from_str(config.sms.api_key.expose_secret());
                let mut api_key =
                    api_key.map_err(|_| "sms.api_key: a key contains only printable ASCII characters".to_owned())?;
                api_key.set_sensitive(true);
                let url = format!("{}/version1/messaging", config.sms.base_url());
                SmsTransport::AfricasTalking { client: client.clone(), url, api_key, config: config.sms.clone() }
            }
        }))
    }

    /// Sends an SMS. Returns the gateway's message id.
    ///
    /// # Errors
    /// Returns a [`DeliveryError`] if the SMS was not accepted.
    pub async fn send_sms(&self, message: &SmsMessage) -> Result<String, DeliveryError> {
        let number = message.to.strip_prefix('+').unwrap_or_default();
        if !(4..=15).contains(&number.len()) || !number.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(DeliveryError::permanent("this is not a phone number"));
        }
        tracing::debug!(segments = count_segments(&message.text), "sending sms");
        match &self.0 {
            SmsTransport::Disabled => Err(DeliveryError::Disabled),
            SmsTransport::Directory(directory) => {
                let name = format!("{}.txt", message.id);
                write_message_file(directory, &name, format!("To: {}\n\n{}\n", message.to, message.text).as_bytes())
                    .await?;
                tracing::info!(to = message.to, folder = %directory.display(), name, "sms written to file");
                Ok(message.id.clone())
            }
            SmsTransport::AfricasTalking { client, url, api_key, config } => {
                let mut fields =
                    vec![("username", config.username.as_str()), ("to", &message.to), ("message", &message.text)];
                if !config.sender.is_empty() {
                    fields.push(("from", &config.sender));
                }
                // The gateway queues the message before it responds, so a slow network operator does not block the
                // request.
                fields.push(("enqueue", "1"));
                let headers = [
                    (HeaderName::from_static("apikey"), api_key.clone()),
                    (ACCEPT, HeaderValue::from_static("application/json")),
                ];
                let form = FormRequest {
                    method: Method::POST,
                    url,
                    headers: &headers,
                    fields: &fields,
                    timeout: config.timeout,
                };
                let sent = client.send_form(form).await;
                let (status, body) = sent.map_err(|error| DeliveryError::transient(format_error_chain(&error)))?;
                parse_gateway_response(status, &body, &message.to)
            }
        }
    }
}

/// Interprets the gateway's response for one number.
///
/// Errors of the account (key, sender id, balance) are transient, because the operator can correct them; errors of the
/// number are permanent.
fn parse_gateway_response(status: StatusCode, body: &[u8], recipient_number: &str) -> Result<String, DeliveryError> {
    let body_excerpt = || String::from_utf8_lossy(&body[..body.len().min(500)]).into_owned();
    if status == StatusCode::BAD_REQUEST {
        return Err(DeliveryError::permanent(format!("the service returned 400: {}", body_excerpt())));
    }
    if !status.is_success() {
        return Err(DeliveryError::transient(format!("the service returned {}: {}", status.as_u16(), body_excerpt())));
    }
    let response: GatewayResponse = serde_json::from_slice(body).map_err(|_| {
        DeliveryError::transient(format!("the response of the service cannot be parsed: {}", body_excerpt()))
    })?;
    let Some(recipient) = response.data.recipients.into_iter().find(|recipient| recipient.number == recipient_number)
    else {
        return Err(DeliveryError::transient(format!(
            "the response of the service does not contain the number: {}",
            response.data.message
        )));
    };
    let reason = format!("the service returned {} {}", recipient.status_code, recipient.status);
    match recipient.status_code {
        // Processed, sent, queued.
        100..=102 => Ok(recipient.message_id),
        // Risk hold, invalid number, unsupported number type, blacklisted, no route, do-not-disturb, rejected by the
        // network.
        401 | 403 | 404 | 406 | 407 | 409 | 502 => Err(DeliveryError::permanent(reason)),
        // Unknown sender id, insufficient balance, gateway errors, unknown codes.
        _ => Err(DeliveryError::transient(reason)),
    }
}

/// Returns the number of billed segments of a text.
#[must_use]
pub fn count_segments(text: &str) -> usize {
    let septets = |c: char| match c {
        '`' => None,
        c if GSM7_EXTENDED_CHARACTERS.contains(c) => Some(2),
        c if GSM7_BASIC_CHARACTERS.contains(c) || (c.is_ascii() && !c.is_ascii_control()) => Some(1),
        _ => None,
    };
    let (length, (single_limit, multipart_limit)) = match text.chars().map(septets).sum::<Option<usize>>() {
        Some(length) => (length, GSM7_SEGMENT),
        None => (text.encode_utf16().count(), UCS2_SEGMENT),
    };
    if length <= single_limit { 1 } else { length.div_ceil(multipart_limit) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEST_PHONE_NUMBER: &str = "+254712345678";

    fn parse_response(status: u16, body: &str) -> Result<String, DeliveryError> {
        parse_gateway_response(StatusCode::from_u16(status).expect("a status"), body.as_bytes(), TEST_PHONE_NUMBER)
    }

    fn recipient_json(code: u16, status: &str) -> String {
        format!(
            r#"{{"SMSMessageData":{{"Message":"Sent to 1/1 Total Cost: KES 0.8000","Recipients":[{{"statusCode":{code},
            "number":"{TEST_PHONE_NUMBER}","status":"{status}","cost":"KES 0.8000","messageId":"ATPid_1"}}]}}}}"#
        )
    }

    #[test]
    fn gateway_status_codes_are_classified() {
        for code in [100, 101, 102] {
            assert_eq!(parse_response(201, &recipient_json(code, "Success")), Ok("ATPid_1".into()));
        }
        for (code, status) in [(403, "InvalidPhoneNumber"), (404, "UnsupportedNumberType"), (406, "UserInBlacklist")] {
            assert_eq!(
                parse_response(201, &recipient_json(code, status)),
                Err(DeliveryError::permanent(format!("the service returned {code} {status}")))
            );
        }
        for (code, status) in
            [(405, "InsufficientBalance"), (500, "InternalServerError"), (501, "GatewayError"), (999, "?")]
        {
            assert!(
                matches!(parse_response(201, &recipient_json(code, status)), Err(DeliveryError::Transient(_))),
                "{code}"
            );
        }
    }

    #[test]
    fn unexpected_gateway_response_is_transient() {
        let no_recipients = r#"{"SMSMessageData":{"Message":"InvalidSenderId","Recipients":[]}}"#;
        assert_eq!(
            parse_response(201, no_recipients),
            Err(DeliveryError::transient("the response of the service does not contain the number: InvalidSenderId"))
        );
        for (status, body) in [
            (200, "<html>"),
            (200, ""),
            (200, "{}"),
            (201, "[]"),
            (401, "The supplied authentication is invalid"),
            (429, ""),
            (503, "busy"),
            (302, ""),
        ] {
            assert!(matches!(parse_response(status, body), Err(DeliveryError::Transient(_))), "{status} {body}");
        }
        assert!(matches!(parse_response(400, "Must have username in your request"), Err(DeliveryError::Permanent(_))));
        let other_number = recipient_json(101, "Success").replace(TEST_PHONE_NUMBER, "+254700000000");
        assert!(matches!(parse_response(201, &other_number), Err(DeliveryError::Transient(_))));
    }

    #[test]
    fn sms_segments_are_counted() {
        for (text, segment_count) in [("", 1), ("Asante", 1), ("ñ@€", 1)] {
            assert_eq!(count_segments(text), segment_count, "{text}");
        }
        assert_eq!(
            (count_segments(&"a".repeat(160)), count_segments(&"a".repeat(161)), count_segments(&"a".repeat(306))),
            (1, 2, 2)
        );
        assert_eq!((count_segments(&"€".repeat(80)), count_segments(&"€".repeat(81))), (1, 2));
        assert_eq!(
            (count_segments(&"ŵ".repeat(70)), count_segments(&"ŵ".repeat(71)), count_segments(&"😀".repeat(35))),
            (1, 2, 1)
        );
    }
}
