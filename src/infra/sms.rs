//! Short messages: by Africa's Talking, or, on a developer's machine, into a folder.

use std::path::PathBuf;

use reqwest::{
    Method, StatusCode,
    header::{ACCEPT, HeaderName, HeaderValue},
};
use serde::Deserialize;

use super::{
    Client, Config,
    client::Form,
    config::{SmsConfig, Way},
    unsent::{Unsent, file},
};

/// What travels as one message in the alphabet of telephones; of several joined ones each holds a little less.
const SEVEN: (usize, usize) = (160, 153);
/// The same in any other alphabet.
const SIXTEEN: (usize, usize) = (70, 67);
/// The alphabet of telephones, without what ASCII has: each of these is one character.
const PLAIN: &str = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ ¤¡ÄÖÑÜ§¿äöñüà";
/// What it has at the price of two.
const DEAR: &str = "^{}\\[~]|€";

/// A short message to one telephone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// What it is known by here.
    pub id: String,
    /// The telephone number, in E.164.
    pub to: String,
    /// Its words.
    pub text: String,
}

/// What sends short messages. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Sms(Post);

#[derive(Debug, Clone)]
enum Post {
    Nowhere,
    Folder(PathBuf),
    AfricasTalking { client: Client, url: String, key: HeaderValue, config: SmsConfig },
}

/// The answer of Africa's Talking.
#[derive(Debug, Deserialize)]
struct Answer {
    #[serde(rename = "SMSMessageData")]
    data: Data,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Data {
    #[serde(default)]
    message: String,
    recipients: Vec<Recipient>,
}

/// What became of the message to one number.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Recipient {
    status_code: u16,
    #[serde(default)]
    status: String,
    number: String,
    #[serde(default)]
    message_id: String,
}

impl Sms {
    /// As the settings say. Nothing is asked of a service before the first message.
    ///
    /// # Errors
    /// A sentence for the operator.
    pub fn new(config: &Config, client: &Client) -> Result<Self, String> {
        Ok(Self(match config.sms.way(config.shop.mode) {
            Way::Nowhere => Post::Nowhere,
            Way::Folder => Post::Folder(config.notification.folder.clone()),
            Way::Service => {
                let key = HeaderValue::from_str(&config.sms.api_key);
                let mut key = key.map_err(|_| "sms.api_key: a key has no odd characters".to_owned())?;
                key.set_sensitive(true);
                let url = format!("{}/version1/messaging", config.sms.place());
                Post::AfricasTalking { client: client.clone(), url, key, config: config.sms.clone() }
            }
        }))
    }

    /// Sends a short message. Answers what the service knows it by.
    ///
    /// # Errors
    /// When it has not gone out, as far as anybody knows.
    pub async fn send(&self, note: &Note) -> Result<String, Unsent> {
        let number = note.to.strip_prefix('+').unwrap_or_default();
        if !(4..=15).contains(&number.len()) || !number.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(Unsent::never("this is no telephone number"));
        }
        tracing::debug!(segments = segments(&note.text), "a short message is paid for by the segment");
        match &self.0 {
            Post::Nowhere => Err(Unsent::Nowhere),
            Post::Folder(folder) => {
                let name = format!("{}.txt", note.id);
                file(folder, &name, format!("To: {}\n\n{}\n", note.to, note.text).as_bytes()).await?;
                tracing::info!(to = note.to, folder = %folder.display(), name, "a short message");
                Ok(note.id.clone())
            }
            Post::AfricasTalking { client, url, key, config } => {
                let mut fields =
                    vec![("username", config.username.as_str()), ("to", &note.to), ("message", &note.text)];
                if !config.sender.is_empty() {
                    fields.push(("from", &config.sender));
                }
                // They queue it before they answer, so a slow network of theirs keeps nobody here.
                fields.push(("enqueue", "1"));
                let headers = [
                    (HeaderName::from_static("apikey"), key.clone()),
                    (ACCEPT, HeaderValue::from_static("application/json")),
                ];
                let form =
                    Form { method: Method::POST, url, headers: &headers, fields: &fields, limit: config.timeout };
                let (status, body) = client.form(form).await.map_err(|why| Unsent::later(why.to_string()))?;
                understood(status, &body, &note.to)
            }
        }
    }
}

/// What an answer means for one number.
///
/// Where the shop itself is refused (its key, its sender, its balance), somebody may yet mend that; where the number is,
/// nobody will.
fn understood(status: StatusCode, body: &[u8], to: &str) -> Result<String, Unsent> {
    let words = || String::from_utf8_lossy(&body[..body.len().min(500)]).into_owned();
    if status == StatusCode::BAD_REQUEST {
        return Err(Unsent::never(format!("the service says 400: {}", words())));
    }
    if !status.is_success() {
        return Err(Unsent::later(format!("the service says {}: {}", status.as_u16(), words())));
    }
    let answer: Answer = serde_json::from_slice(body)
        .map_err(|_| Unsent::later(format!("the service's answer is not understood: {}", words())))?;
    let Some(told) = answer.data.recipients.into_iter().find(|one| one.number == to) else {
        return Err(Unsent::later(format!("the service says nothing of the number: {}", answer.data.message)));
    };
    let said = format!("the service says {} {}", told.status_code, told.status);
    match told.status_code {
        // Processed, sent, queued.
        100..=102 => Ok(told.message_id),
        // Held as a risk; no such number; none that takes messages; on a list of those who want none; no way there;
        // not disturbed; refused by the network.
        401 | 403 | 404 | 406 | 407 | 409 | 502 => Err(Unsent::never(said)),
        // The sender is unknown, the balance is used up, something broke over there, or something new.
        _ => Err(Unsent::later(said)),
    }
}

/// How many messages a text travels as, and is paid for.
#[must_use]
pub fn segments(text: &str) -> usize {
    let price = |c: char| match c {
        '`' => None,
        c if DEAR.contains(c) => Some(2),
        c if PLAIN.contains(c) || (c.is_ascii() && !c.is_ascii_control()) => Some(1),
        _ => None,
    };
    let (length, (alone, joined)) = match text.chars().map(price).sum::<Option<usize>>() {
        Some(length) => (length, SEVEN),
        None => (text.encode_utf16().count(), SIXTEEN),
    };
    if length <= alone { 1 } else { length.div_ceil(joined) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TO: &str = "+254712345678";

    fn told(status: u16, body: &str) -> Result<String, Unsent> {
        understood(StatusCode::from_u16(status).expect("a status"), body.as_bytes(), TO)
    }

    fn recipient(code: u16, status: &str) -> String {
        format!(
            r#"{{"SMSMessageData":{{"Message":"Sent to 1/1 Total Cost: KES 0.8000","Recipients":[{{"statusCode":{code},
            "number":"{TO}","status":"{status}","cost":"KES 0.8000","messageId":"ATPid_1"}}]}}}}"#
        )
    }

    #[test]
    fn what_the_service_says_is_understood() {
        for code in [100, 101, 102] {
            assert_eq!(told(201, &recipient(code, "Success")), Ok("ATPid_1".into()));
        }
        for (code, status) in [(403, "InvalidPhoneNumber"), (404, "UnsupportedNumberType"), (406, "UserInBlacklist")] {
            assert_eq!(
                told(201, &recipient(code, status)),
                Err(Unsent::never(format!("the service says {code} {status}")))
            );
        }
        for (code, status) in
            [(405, "InsufficientBalance"), (500, "InternalServerError"), (501, "GatewayError"), (999, "?")]
        {
            assert!(matches!(told(201, &recipient(code, status)), Err(Unsent::Later(_))), "{code}");
        }
    }

    #[test]
    fn nonsense_is_tried_again() {
        let none = r#"{"SMSMessageData":{"Message":"InvalidSenderId","Recipients":[]}}"#;
        assert_eq!(told(201, none), Err(Unsent::later("the service says nothing of the number: InvalidSenderId")));
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
            assert!(matches!(told(status, body), Err(Unsent::Later(_))), "{status} {body}");
        }
        assert!(matches!(told(400, "Must have username in your request"), Err(Unsent::Never(_))));
        let other = recipient(101, "Success").replace(TO, "+254700000000");
        assert!(matches!(told(201, &other), Err(Unsent::Later(_))));
    }

    #[test]
    fn messages_are_counted_as_they_are_paid() {
        for (text, count) in [("", 1), ("Asante", 1), ("ñ@€", 1)] {
            assert_eq!(segments(text), count, "{text}");
        }
        assert_eq!((segments(&"a".repeat(160)), segments(&"a".repeat(161)), segments(&"a".repeat(306))), (1, 2, 2));
        assert_eq!((segments(&"€".repeat(80)), segments(&"€".repeat(81))), (1, 2));
        assert_eq!((segments(&"ŵ".repeat(70)), segments(&"ŵ".repeat(71)), segments(&"😀".repeat(35))), (1, 2, 1));
    }
}
