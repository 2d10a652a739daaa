//! One attempt of a delivery: the body is made, signed and sent; the answer decides what happens next.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use reqwest::StatusCode;

use super::{
    delivery::{PayloadRequest, WebhookSender},
    entity::{webhook_endpoint, webhook_event},
    payload::{PayloadEnvelope, message_id},
    queries::DueDelivery,
    secret::{SecretCipher, SigningSecret},
    signature::SignedMessage,
};
use crate::{
    base::Result,
    identity::Permissions,
    infra::{
        JobContext,
        outbound_client::{OutboundError, OutboundRequest, OutboundResponse},
        telemetry,
    },
};

/// Maximum time that `Retry-After` postpones attempts.
const MAX_RETRY_AFTER: TimeDelta = TimeDelta::days(1);
/// Maximum length of a stored error. Characters.
const MAX_ERROR_CHARS: usize = 500;

/// What an endpoint's answer means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum AttemptOutcome {
    /// The endpoint has accepted the event.
    Accepted,
    /// The endpoint does not exist any more (410).
    Ended,
    /// The attempt failed and is repeated.
    Failed {
        /// The time that the endpoint asked to wait.
        retry_after: Option<TimeDelta>,
        /// Whether other events for the endpoint wait, too.
        slows_down: bool,
    },
}

impl AttemptOutcome {
    /// Returns the label value.
    const fn as_label(&self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Ended => "ended",
            Self::Failed { .. } => "failed",
        }
    }

    /// Returns whether other events for the endpoint wait, too, or are not sent at all.
    pub(super) const fn slows_down(&self) -> bool {
        match self {
            Self::Accepted => false,
            Self::Ended => true,
            Self::Failed { retry_after, slows_down } => *slows_down || retry_after.is_some(),
        }
    }
}

/// A finished attempt.
#[derive(Debug)]
pub(super) struct FinishedDelivery {
    pub(super) delivery: DueDelivery,
    pub(super) outcome: AttemptOutcome,
    pub(super) requested_at: DateTime<Utc>,
    pub(super) duration: Duration,
    pub(super) response_status: Option<u16>,
    pub(super) response_body: Option<String>,
    /// Why there is no accepting answer.
    pub(super) error: Option<String>,
    /// The body that the endpoint's query has made at the first attempt.
    pub(super) new_body: Option<String>,
}

/// An endpoint with its decrypted secrets.
#[derive(Debug)]
pub(super) struct EndpointTarget {
    pub(super) row: webhook_endpoint::Model,
    secrets: Vec<SigningSecret>,
}

impl EndpointTarget {
    /// Decrypts the secrets that are valid now: one, or two during a rotation.
    pub(super) fn decrypt(context: &JobContext, row: webhook_endpoint::Model) -> Result<Self> {
        let secrets = decrypt_secrets(&SecretCipher::new(&context.config)?, &row, context.db.now())?;
        Ok(Self { row, secrets })
    }
}

/// Returns the secrets of an endpoint that are valid at a time, the newest first.
pub(super) fn decrypt_secrets(
    cipher: &SecretCipher,
    row: &webhook_endpoint::Model,
    now: DateTime<Utc>,
) -> Result<Vec<SigningSecret>> {
    let mut secrets = vec![cipher.decrypt(&row.secret)?];
    if let Some(previous) = &row.previous_secret
        && row.previous_secret_expires_at.is_some_and(|expires_at| expires_at > now)
    {
        secrets.push(cipher.decrypt(previous)?);
    }
    Ok(secrets)
}

/// Sends a delivery once.
pub(super) async fn attempt_delivery(
    sender: &WebhookSender,
    context: &JobContext,
    target: &EndpointTarget,
    delivery: DueDelivery,
    event: &webhook_event::Model,
) -> FinishedDelivery {
    let requested_at = context.db.now();
    let mut finished = FinishedDelivery {
        delivery,
        outcome: AttemptOutcome::Failed { retry_after: None, slows_down: false },
        requested_at,
        duration: Duration::ZERO,
        response_status: None,
        response_body: None,
        error: None,
        new_body: None,
    };
    let body = match make_body(sender, target, &finished.delivery, event).await {
        Ok(body) => body,
        Err(reason) => {
            finished.error = Some(shorten(&format!("the payload query failed: {reason}")));
            return finished;
        }
    };
    if finished.delivery.body.is_none() && target.row.payload_query.is_some() {
        finished.new_body = Some(body.clone());
    }
    let id = message_id(event.id);
    let headers = SignedMessage { id: &id, sent_at: requested_at, body: &body }.to_headers(&target.secrets);
    let headers = match headers {
        Ok(headers) => headers,
        Err(error) => {
            finished.error = Some(shorten(&error.to_public_error().message));
            return finished;
        }
    };
    let timeout = context.config.webhooks.timeout;
    let request = OutboundRequest { url: target.row.url.clone(), headers, body, timeout };
    let (result, duration) = context.outbound_client.send(request).await;
    finished.duration = duration;
    finished.apply(result);
    if let Some(metrics) = telemetry::metrics() {
        metrics.count_webhook_attempt(finished.outcome.as_label());
    }
    finished
}

/// Returns what is sent: the body of an earlier attempt, the result of the endpoint's query, or the event's body.
async fn make_body(
    sender: &WebhookSender,
    target: &EndpointTarget,
    delivery: &DueDelivery,
    event: &webhook_event::Model,
) -> Result<String, String> {
    if let Some(body) = &delivery.body {
        return Ok(body.clone());
    }
    // A test does not depend on the query: it has no object.
    let Some(query) = target.row.payload_query.as_ref().filter(|_| event.sequence.is_some()) else {
        return Ok(event.body.clone());
    };
    let data = sender
        .renderer
        .render(PayloadRequest {
            query: query.clone(),
            subject_ids: serde_json::from_value(event.subject_ids.clone()).unwrap_or_default(),
            event_type: event.event_type,
            permissions: Permissions::parse(&target.row.permissions),
            account_id: target.row.account_id,
        })
        .await?;
    let envelope = PayloadEnvelope {
        event_id: event.id,
        event_type: event.event_type,
        occurred_at: event.occurred_at,
        aggregate: event.aggregate.clone(),
        sequence: event.sequence,
    };
    envelope.to_body(&data).map_err(|error| error.to_public_error().message)
}

impl FinishedDelivery {
    /// Applies the answer.
    fn apply(&mut self, result: Result<OutboundResponse, OutboundError>) {
        let response = match result {
            Ok(response) => response,
            Err(error) => {
                self.outcome = AttemptOutcome::Failed { retry_after: None, slows_down: true };
                self.error = Some(shorten(&error.to_string()));
                return;
            }
        };
        let OutboundResponse { status, retry_after, body } = response;
        self.response_status = Some(status.as_u16());
        self.response_body = Some(body);
        self.outcome = judge_response(status, retry_after.as_deref(), self.requested_at);
        if self.outcome != AttemptOutcome::Accepted {
            let explanation = if status.is_redirection() { " (redirects are not followed)" } else { "" };
            self.error = Some(format!("the endpoint answered {}{explanation}", status.as_u16()));
        }
    }
}

/// Returns what an answer means.
fn judge_response(status: StatusCode, retry_after: Option<&str>, now: DateTime<Utc>) -> AttemptOutcome {
    if status.is_success() {
        return AttemptOutcome::Accepted;
    }
    if status == StatusCode::GONE {
        return AttemptOutcome::Ended;
    }
    let retry_after = retry_after.and_then(|text| parse_retry_after(text, now));
    let is_overloaded = [
        StatusCode::TOO_MANY_REQUESTS,
        StatusCode::BAD_GATEWAY,
        StatusCode::SERVICE_UNAVAILABLE,
        StatusCode::GATEWAY_TIMEOUT,
    ]
    .contains(&status);
    AttemptOutcome::Failed { retry_after, slows_down: is_overloaded }
}

/// Reads `Retry-After`: seconds, or a date.
fn parse_retry_after(text: &str, now: DateTime<Utc>) -> Option<TimeDelta> {
    let delay = match text.trim().parse::<u32>() {
        Ok(seconds) => TimeDelta::seconds(i64::from(seconds)),
        Err(_) => DateTime::parse_from_rfc2822(text.trim()).ok()?.with_timezone(&Utc) - now,
    };
    Some(delay.clamp(TimeDelta::zero(), MAX_RETRY_AFTER))
}

fn shorten(text: &str) -> String {
    text.replace('\0', "").chars().take(MAX_ERROR_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(status: u16, retry_after: Option<&str>) -> AttemptOutcome {
        let now = "2026-11-26T08:00:00Z".parse().expect("a time");
        judge_response(StatusCode::from_u16(status).expect("a status"), retry_after, now)
    }

    fn failed(seconds: Option<i64>, slows_down: bool) -> AttemptOutcome {
        AttemptOutcome::Failed { retry_after: seconds.map(TimeDelta::seconds), slows_down }
    }

    #[test]
    fn answer_decides_what_happens_next() {
        for status in [200, 201, 202, 204, 299] {
            assert_eq!(judge(status, None), AttemptOutcome::Accepted, "{status}");
        }
        assert_eq!(judge(410, Some("5")), AttemptOutcome::Ended);
        for status in [301, 307, 400, 401, 404, 500] {
            assert_eq!(judge(status, None), failed(None, false), "{status}");
        }
        for status in [429, 502, 503, 504] {
            assert_eq!(judge(status, None), failed(None, true), "{status}");
        }
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        assert_eq!(judge(429, Some("120")), failed(Some(120), true));
        assert_eq!(judge(500, Some(" 7 ")), failed(Some(7), false));
        assert_eq!(judge(503, Some("Thu, 26 Nov 2026 08:01:30 GMT")), failed(Some(90), true));
        assert_eq!(judge(503, Some("Thu, 26 Nov 2020 08:01:30 GMT")), failed(Some(0), true));
        assert_eq!(judge(503, Some("4000000000")), failed(Some(86_400), true));
        assert_eq!(judge(503, Some("soon")), failed(None, true));
        assert_eq!(judge(503, Some("-5")), failed(None, true));
    }
}
