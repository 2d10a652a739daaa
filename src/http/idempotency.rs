//! The header `Idempotency-Key`: a mutation is executed once, and its response replayed to retries.

use std::{future::Future, time::Duration};

use axum::http::{HeaderMap, HeaderName};

use super::{
    App,
    graphql_request::{GraphqlRequest, RequestError},
    graphql_response::{ExecutedRequest, ExecutionResult},
};
use crate::{
    base::{Error, Result},
    graphql::context::RequestInfo,
    identity::Caller,
    infra::{
        ClaimedRequest, Db, IdempotentRequest, RequestClaim,
        idempotent_request::{LEASE_RENEWAL_INTERVAL, MAX_STORED_RESPONSE_BYTES},
        throttle::ThrottleSubject,
    },
};

/// Header of the key.
pub const IDEMPOTENCY_KEY_HEADER: HeaderName = HeaderName::from_static("idempotency-key");
/// Header of replayed responses.
pub const REPLAYED_HEADER: HeaderName = HeaderName::from_static("idempotent-replayed");

/// Maximum size of a stored response of a caller without a permission. Bytes.
const MAX_UNPRIVILEGED_RESPONSE_BYTES: usize = 64 * 1024;

/// Mutation with a key, and the limit that it counts toward.
#[derive(Debug)]
pub struct IdempotentMutation {
    request: IdempotentRequest,
    throttle_subject: Option<ThrottleSubject>,
    max_response_bytes: usize,
}

impl IdempotentMutation {
    /// Reads the key of a request; `None` without the header.
    ///
    /// # Errors
    /// Returns `BadUserInput` if the key is invalid, or if there is more than one.
    pub fn from_request(
        app: &App,
        headers: &HeaderMap,
        request_info: &RequestInfo,
        request: &GraphqlRequest,
    ) -> Result<Option<Self>> {
        let Some(key) = read_key(headers)? else { return Ok(None) };
        let GraphqlRequest { document, operation, variables } = request;
        let content = serde_json::to_vec(&(document.content(), operation, variables))
            .map_err(|error| Error::internal("reading a request", error))?;
        let RequestInfo { caller, client_info, .. } = request_info;
        let request = IdempotentRequest::new(caller.actor(), key, &content)?;
        let (action, limit) = ("idempotency key", app.state.config.throttle.idempotency_keys_per_caller);
        let throttle_subject = match caller {
            Caller::Anonymous => ThrottleSubject::for_network(action, &client_info.ip_address, limit),
            caller if caller.has_permissions() => None,
            caller => Some(ThrottleSubject::new(action, &caller.actor().to_string(), limit)),
        };
        let max_response_bytes =
            if caller.has_permissions() { MAX_STORED_RESPONSE_BYTES } else { MAX_UNPRIVILEGED_RESPONSE_BYTES };
        Ok(Some(Self { request, throttle_subject, max_response_bytes }))
    }
}

/// Returns the key; its quotes are removed, with which it is a string of a structured header.
pub(super) fn read_key(headers: &HeaderMap) -> Result<Option<&str>> {
    let mut values = headers.get_all(IDEMPOTENCY_KEY_HEADER).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(Error::bad_input("", "There is more than one Idempotency-Key header."));
    }
    let value = value.to_str().map_err(|_| Error::bad_input("", "Idempotency-Key has characters outside of ASCII."))?;
    let value = value.trim();
    Ok(Some(value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap_or(value)))
}

/// Executes a mutation, unless it was executed before: then returns the stored response.
///
/// The response is stored if a field of the mutation has returned a payload; otherwise nothing was changed, and a retry
/// is executed.
///
/// # Errors
/// Returns an error if the key was used for another mutation, one with the key is being executed, or the caller has
/// used too many keys.
pub async fn execute_once(
    app: &App,
    mutation: IdempotentMutation,
    execution: impl Future<Output = ExecutionResult>,
) -> ExecutionResult {
    let IdempotentMutation { request, throttle_subject, max_response_bytes } = mutation;
    let db = &app.state.db;
    let claim = async {
        app.state.throttle.count_action(db, throttle_subject.as_slice()).await?;
        request.claim(db).await
    };
    let claimed = match claim.await.map_err(RequestError::from_error)? {
        RequestClaim::New(claimed) => claimed,
        RequestClaim::Replay(body) => return Ok(ExecutedRequest::replay(body)),
    };
    let outcome = tokio::select! {
        outcome = execution => outcome,
        never = renew_lease(db, &claimed) => match never {},
    };
    let recorded = match &outcome {
        Ok(executed) if executed.has_payload => {
            claimed.complete(db, stored_body(executed, max_response_bytes), retention(app, executed)).await
        }
        _ => claimed.release(db).await,
    };
    if let Err(error) = recorded {
        tracing::warn!(error = error.log_message(), "the result of a mutation with an idempotency key was not stored");
    }
    outcome
}

/// Renews the lease until the execution has ended.
async fn renew_lease(db: &Db, claimed: &ClaimedRequest) -> std::convert::Infallible {
    loop {
        tokio::time::sleep(LEASE_RENEWAL_INTERVAL).await;
        if let Err(error) = claimed.renew(db).await {
            tracing::warn!(error = error.log_message(), "the lease of an idempotency key was not renewed");
        }
    }
}

/// Returns the body to store; of a response that is too large, an error that the mutation was executed.
fn stored_body(executed: &ExecutedRequest, max_response_bytes: usize) -> Vec<u8> {
    if executed.body.len() <= max_response_bytes {
        return executed.body.clone();
    }
    let message = format!(
        "The operation was executed, but its response is larger than {max_response_bytes} bytes and was not stored for \
         retries: select less."
    );
    let extensions = serde_json::json!({ "code": "QUERY_TOO_COMPLEX", "requestId": "" });
    let body = serde_json::json!({ "data": null, "errors": [{ "message": message, "extensions": extensions }] });
    body.to_string().into_bytes()
}

/// Returns how long a response is kept. One with tokens is useless when they have expired, and its refresh token must
/// not be presented long after it was used.
fn retention(app: &App, executed: &ExecutedRequest) -> Duration {
    let retention = app.state.config.graphql.idempotency_retention;
    let token_lifetime = app.state.config.identity.access_token_lifetime;
    if executed.token_accounts.is_empty() { retention } else { retention.min(token_lifetime) }
}

/// Sets the id of the current request in the errors of a replayed body.
pub fn replace_request_id(body: Vec<u8>, request_id: &str) -> Vec<u8> {
    let Ok(mut response) = serde_json::from_slice::<serde_json::Value>(&body) else { return body };
    let Some(errors) = response.get_mut("errors").and_then(serde_json::Value::as_array_mut) else { return body };
    for error in errors {
        error["extensions"]["requestId"] = request_id.into();
    }
    response.to_string().into_bytes()
}
