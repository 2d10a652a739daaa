//! Rate limits of requests: charges the cost of each request to its principal, adds the `RateLimit` headers
//! (draft-ietf-httpapi-ratelimit-headers-11), and reports the cost on demand.

use std::{
    net::SocketAddr,
    sync::{Arc, OnceLock},
};

use async_graphql::{Response as Answer, Value, parser::types::ExecutableDocument, value};
use axum::{
    Extension,
    extract::{ConnectInfo, Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, header},
    middleware::Next,
    response::Response,
};

use super::{App, authentication, graphql_request::RequestError, request_id::RequestId, rest_response};
use crate::{
    base::{Error, Result},
    graphql::{context::RequestInfo, execution::requested_cost::MeasuredOperation},
    identity::Caller,
    infra::{
        config::RateLimitConfig,
        rate_limiter::{RateLimitStatus, RateLimitSubject},
        telemetry,
        throttle::client_network,
    },
};

/// Request header that asks for the cost of the operation in the response.
pub const COST_HEADER: HeaderName = HeaderName::from_static("savannah-cost");
/// Response header with the limit of the caller.
pub const POLICY_HEADER: HeaderName = HeaderName::from_static("ratelimit-policy");
/// Response header with the available points of the caller.
pub const STATUS_HEADER: HeaderName = HeaderName::from_static("ratelimit");

/// Cost of a REST request in points.
const REST_COST: u32 = 10;

tokio::task_local! {
    /// Outcome of charging the request, for its response headers.
    static CHARGED_STATUS: Arc<OnceLock<RateLimitStatus>>;
}

/// Adds the headers of the rate limit to the response of a charged request.
pub async fn add_rate_limit_headers(request: Request, next: Next) -> Response {
    let charged_status = Arc::<OnceLock<RateLimitStatus>>::default();
    let mut response = CHARGED_STATUS.scope(Arc::clone(&charged_status), next.run(request)).await;
    if let Some(status) = charged_status.get() {
        insert_headers(response.headers_mut(), status);
    }
    response
}

/// Charges a REST request, and rejects it with 429 above the limit of the client's network.
pub async fn limit_rest_requests(
    State(app): State<Arc<App>>,
    Extension(RequestId(request_id)): Extension<RequestId>,
    peer: Option<Extension<ConnectInfo<SocketAddr>>>,
    request: Request,
    next: Next,
) -> Response {
    let address = authentication::client_address(&app, request.headers(), peer);
    match charge_rest_request(&app, &address).await {
        Ok(()) => next.run(request).await,
        Err(error) => rest_response::error_to_response(&request_id, &error),
    }
}

/// Charges a REST request to the client's network.
///
/// # Errors
/// Returns `RATE_LIMITED` if it has not enough points.
pub(super) async fn charge_rest_request(app: &App, address: &str) -> Result<()> {
    charge(app, Caller::Anonymous, address, REST_COST).await.map(|_| ())
}

/// Charges a REST request to its caller.
///
/// # Errors
/// Returns `RATE_LIMITED` if the caller has not enough points.
pub(super) async fn charge_caller(app: &App, caller: Caller, address: &str) -> Result<()> {
    charge(app, caller, address, REST_COST).await.map(|_| ())
}

/// Cost of a GraphQL request.
#[derive(Debug, Clone, Copy)]
pub struct RequestCharge {
    requested_cost: u32,
    /// `None` if requests are not limited.
    status: Option<RateLimitStatus>,
    is_reported: bool,
}

/// Operation that is charged.
#[derive(Debug, Clone, Copy)]
pub struct ChargedOperation<'a> {
    /// Operation with its variables.
    pub measured: MeasuredOperation<'a>,
    /// Headers of the request.
    pub headers: &'a HeaderMap,
    /// Caller and origin of the request.
    pub request_info: &'a RequestInfo,
}

impl RequestCharge {
    /// Charges an operation to its caller. `select_document` returns the document with the operation only. Returns
    /// `None` if requests are not limited and the request does not ask for its cost.
    ///
    /// # Errors
    /// Returns `RATE_LIMITED` if the caller has not enough points.
    pub async fn for_operation(
        app: &App,
        operation: ChargedOperation<'_>,
        select_document: impl FnOnce() -> ExecutableDocument,
    ) -> Result<Option<Self>, RequestError> {
        let ChargedOperation { measured, headers, request_info } = operation;
        let is_reported = headers.get(COST_HEADER).is_some_and(|value| value == "1");
        let config = &app.state.config;
        if !config.rate_limit.enabled && !is_reported {
            return Ok(None);
        }
        let requested_cost = app.cost_meter.measure(measured, select_document).await;
        let max_complexity = u32::try_from(config.graphql.max_complexity).unwrap_or(u32::MAX);
        // An operation above the limit is rejected before it costs anything.
        let charged_cost = if requested_cost > max_complexity { 1 } else { requested_cost };
        let status = charge(app, request_info.caller, &request_info.client_info.ip_address, charged_cost)
            .await
            .map_err(RequestError::from_error)?;
        Ok(Some(Self { requested_cost, status, is_reported }))
    }

    /// Returns the cost that was charged, in points.
    #[must_use]
    pub const fn requested_cost(&self) -> u32 {
        self.requested_cost
    }

    /// Adds the cost to the extensions of the response if the request asked for it.
    pub fn report(&self, response: &mut Answer, statements: u64) {
        if !self.is_reported {
            return;
        }
        let throttle = self.status.map_or(Value::Null, |status| {
            value!({
                "maximum": status.limit.count,
                "available": status.available,
                "restoreRate": status.restore_rate(),
            })
        });
        let cost = value!({
            "requested": self.requested_cost,
            "actual": count_values(&response.data),
            "statements": statements,
            "throttle": throttle,
        });
        response.extensions.insert("cost".to_owned(), cost);
    }
}

/// Charges a request to its principal; returns `None` if requests are not limited.
async fn charge(app: &App, caller: Caller, ip_address: &str, cost: u32) -> Result<Option<RateLimitStatus>> {
    let config = &app.state.config.rate_limit;
    if !config.enabled {
        return Ok(None);
    }
    let subject = rate_limit_subject(config, caller, ip_address);
    let status = app.state.rate_limiter.charge(&app.state.redis, subject, cost).await;
    // Outside of a request's middleware there are no headers to add it to.
    let _ = CHARGED_STATUS.try_with(|charged_status| charged_status.set(status));
    if status.is_allowed {
        return Ok(Some(status));
    }
    if let Some(metrics) = telemetry::metrics() {
        metrics.count_refusal(status.policy);
    }
    Err(Error::RateLimited { retry_after: status.retry_after() })
}

/// Returns whose bucket a request is charged to.
fn rate_limit_subject(config: &RateLimitConfig, caller: Caller, ip_address: &str) -> RateLimitSubject {
    let (policy, principal, limit) = match caller {
        Caller::Anonymous => {
            let network = client_network(ip_address).unwrap_or_else(|| "unknown".to_owned());
            ("network", network, config.points_per_network)
        }
        Caller::ApiKey { api_key_id, .. } => ("api_key", api_key_id.to_string(), config.points_per_api_key),
        Caller::User { account_id, .. } if caller.has_permissions() => {
            ("staff", account_id.to_string(), config.points_per_staff_account)
        }
        Caller::User { account_id, .. } => ("customer", account_id.to_string(), config.points_per_customer),
    };
    RateLimitSubject { policy, principal, limit }
}

fn insert_headers(headers: &mut HeaderMap, status: &RateLimitStatus) {
    let RateLimitStatus { policy, limit, available, is_allowed, .. } = *status;
    let window_seconds = limit.window.as_secs();
    let seconds = if is_allowed { status.seconds_until_full() } else { status.retry_after() };
    let texts = [
        // The registered units do not fit; the parameter of our own says so.
        (POLICY_HEADER, format!("\"{policy}\";q={};w={window_seconds};savannah-unit=\"points\"", limit.count)),
        (STATUS_HEADER, format!("\"{policy}\";r={available};t={seconds}")),
    ];
    for (name, text) in texts {
        if let Ok(value) = HeaderValue::from_str(&text) {
            headers.insert(name, value);
        }
    }
    if !is_allowed {
        headers.insert(header::RETRY_AFTER, seconds.into());
    }
}

/// Counts the fields of a response, once per object that contains them.
fn count_values(value: &Value) -> u64 {
    match value {
        Value::Object(fields) => fields.values().map(|field| 1 + count_values(field)).sum(),
        Value::List(items) => items.iter().map(count_values).sum(),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::infra::config::RateLimit;

    #[test]
    fn headers_follow_the_draft() {
        let limit = RateLimit { count: 100, window: Duration::from_secs(10) };
        let status = RateLimitStatus { policy: "network", limit, available: 3, cost: 40, is_allowed: true };
        let mut headers = HeaderMap::new();
        insert_headers(&mut headers, &status);
        assert_eq!(headers[POLICY_HEADER], "\"network\";q=100;w=10;savannah-unit=\"points\"");
        assert_eq!(headers[STATUS_HEADER], "\"network\";r=3;t=10");
        assert!(!headers.contains_key(header::RETRY_AFTER));
        insert_headers(&mut headers, &RateLimitStatus { is_allowed: false, ..status });
        assert_eq!(
            (&headers[STATUS_HEADER], &headers[header::RETRY_AFTER]),
            (&"\"network\";r=3;t=4".parse().expect("a header"), &"4".parse().expect("a header"))
        );
    }

    #[test]
    fn fields_are_counted_once_per_object() {
        let response = value!({ "shop": { "name": "Savannah" }, "products": { "nodes": [{ "id": 1 }, { "id": 2 }] } });
        assert_eq!(count_values(&response), 6);
        assert_eq!(count_values(&Value::Null), 0);
    }
}
