//! Webhooks of payment providers: verified without the database, stored once, answered at once; a job applies them.

use std::{net::SocketAddr, sync::Arc};

use axum::{
    Extension, Json,
    body::{Body, to_bytes},
    extract::{ConnectInfo, State},
    http::{HeaderMap, HeaderName, StatusCode},
    response::{Html, IntoResponse, Response},
};
use serde::Deserialize;

use super::{
    App, authentication, content_negotiation, rate_limit, request_id::RequestId, rest_response,
    url_parameters::PathParameters,
};
use crate::{
    infra::Actor,
    payment::{
        received_webhooks::store_received_webhook,
        webhook::{WebhookEvent, WebhookRejection, WebhookRequest},
    },
};

/// Maximum size of a webhook in bytes.
const MAX_WEBHOOK_BYTES: usize = 256 * 1024;
/// Header with the signature of a webhook.
const SIGNATURE_HEADER: HeaderName = HeaderName::from_static("stripe-signature");

/// Path of a webhook.
#[derive(Debug, Deserialize)]
pub struct WebhookPath {
    provider: String,
    token: Option<String>,
}

/// Receives a webhook of a payment provider.
pub async fn handle_payment_webhook(
    State(app): State<Arc<App>>,
    PathParameters(path): PathParameters<WebhookPath>,
    Extension(RequestId(request_id)): Extension<RequestId>,
    peer: Option<Extension<ConnectInfo<SocketAddr>>>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let address = authentication::client_address(&app, &headers, peer);
    let reject = async |status: StatusCode, code: &str, message: &str| {
        // Accepted webhooks are not limited, because a provider sends all from few addresses.
        if let Err(error) = rate_limit::charge_rest_request(&app, &address).await {
            return rest_response::error_to_response(&request_id, &error);
        }
        rest_response::error_response(status, &request_id, code, message)
    };
    let Some(provider) = app.state.payment_providers.get_provider(&path.provider) else {
        return reject(StatusCode::NOT_FOUND, "NOT_FOUND", "There is no such payment provider.").await;
    };
    if !content_negotiation::has_json_content_type(&headers) {
        let message = "The body of a webhook is JSON (application/json).";
        return reject(StatusCode::UNSUPPORTED_MEDIA_TYPE, "UNSUPPORTED_MEDIA_TYPE", message).await;
    }
    let Ok(body) = to_bytes(body, MAX_WEBHOOK_BYTES).await else {
        let message = format!("The body of a webhook has at most {MAX_WEBHOOK_BYTES} bytes.");
        return reject(StatusCode::PAYLOAD_TOO_LARGE, "PAYLOAD_TOO_LARGE", &message).await;
    };
    let webhook = WebhookRequest {
        body: &body,
        signature: headers.get(SIGNATURE_HEADER).and_then(|value| value.to_str().ok()),
        path_token: path.token.as_deref(),
        unix_time: app.state.db.now().timestamp(),
    };
    let event = match provider.verify_webhook(&webhook) {
        Ok(event) => event,
        Err(WebhookRejection::Unsupported) => {
            return reject(StatusCode::NOT_FOUND, "NOT_FOUND", "This payment provider sends no webhooks.").await;
        }
        Err(WebhookRejection::InvalidSignature) => {
            return reject(StatusCode::UNAUTHORIZED, "UNAUTHENTICATED", "The signature or the URL is not valid.").await;
        }
        Err(WebhookRejection::Expired) => {
            return reject(StatusCode::UNAUTHORIZED, "UNAUTHENTICATED", "The signature is too old.").await;
        }
        Err(WebhookRejection::InvalidBody) => {
            return reject(StatusCode::BAD_REQUEST, "BAD_USER_INPUT", "The body is not a webhook of this provider.")
                .await;
        }
    };
    let Ok(text) = String::from_utf8(body.into()) else {
        return reject(StatusCode::BAD_REQUEST, "BAD_USER_INPUT", "The body is not UTF-8.").await;
    };
    match store_webhook(&app, &request_id, &path.provider, (event, text)).await {
        Ok(()) => Json(provider.webhook_response()).into_response(),
        Err(error) => rest_response::error_to_response(&request_id, &error),
    }
}

async fn store_webhook(
    app: &App,
    request_id: &str,
    provider: &str,
    (event, body): (WebhookEvent, String),
) -> crate::base::Result<()> {
    let db = app.state.request_db(Actor::System, request_id);
    let event_type = event.event_type.clone();
    let is_new =
        db.write_with_retry(async |tx| store_received_webhook(tx, provider, event.clone(), body.clone()).await).await?;
    tracing::info!(provider, event_type, is_new, "payment webhook received");
    Ok(())
}

/// Shows the page on which a test payment is continued.
pub async fn handle_test_payment_page(
    State(app): State<Arc<App>>,
    PathParameters(payment): PathParameters<i64>,
) -> Response {
    if app.state.payment_providers.get_provider("test").is_none() {
        return StatusCode::NOT_FOUND.into_response();
    }
    Html(TEST_PAYMENT_PAGE.replace("{payment}", &payment.to_string())).into_response()
}

/// Page on which a test payment is continued.
const TEST_PAYMENT_PAGE: &str = r#"<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>Test payment</title>
<h1>Test payment {payment}</h1>
<p>No money is moved.</p>
<button data-outcome="succeeded">Pay</button>
<button data-outcome="declined">Decline</button>
<p id="result" role="status"></p>
<script>
  for (const button of document.querySelectorAll("button")) {
    button.onclick = async () => {
      const response = await fetch("/webhooks/payments/test/{payment}", {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ outcome: button.dataset.outcome }),
      });
      document.getElementById("result").textContent = response.ok ? "Done. You can close this page." : "Failed.";
    };
  }
</script>
</html>
"#;
