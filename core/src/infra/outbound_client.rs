//! The HTTP client of requests to URLs that users have entered: public addresses only, no proxies of the environment,
//! bounded responses. Redirects are followed only to read a file, and each is checked like a URL.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use reqwest::{
    StatusCode,
    header::{HeaderMap, LOCATION, RETRY_AFTER},
    redirect::Policy,
};

use tracing::Instrument;

use super::{
    outbound_address::{AddressError, AddressGuard},
    telemetry::trace_context::{create_outbound_span, insert_trace_headers},
};
use crate::base::error::format_error_chain;

/// The timeout of a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// The maximum number of redirects before a file.
const MAX_REDIRECTS: usize = 5;
/// The number of bytes of a response that are read.
const MAX_RESPONSE_BYTES: usize = 1000;

/// The HTTP client. Cheap to clone.
#[derive(Debug, Clone)]
pub struct OutboundClient {
    client: reqwest::Client,
    guard: AddressGuard,
}

/// An outbound request with a JSON body.
#[derive(Debug)]
pub struct OutboundRequest {
    /// The URL.
    pub url: String,
    /// The request headers, in addition to the content type.
    pub headers: HeaderMap,
    /// The body.
    pub body: String,
    /// The timeout of the whole response.
    pub timeout: Duration,
}

/// A response to an outbound request.
#[derive(Debug)]
pub struct OutboundResponse {
    /// The status.
    pub status: StatusCode,
    /// The header `Retry-After`.
    pub retry_after: Option<String>,
    /// The beginning of the body.
    pub body: String,
}

/// The reason why there is no response.
#[derive(Debug, thiserror::Error)]
pub enum OutboundError {
    /// The URL is not allowed.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// The request failed. The message contains no URL.
    #[error("{0}")]
    Request(String),
}

impl OutboundError {
    fn from_failure(error: reqwest::Error) -> Self {
        Self::Request(format_error_chain(&error.without_url()))
    }
}

impl OutboundClient {
    /// Creates the client.
    ///
    /// # Errors
    /// Returns a message for the operator if the TLS certificates cannot be loaded.
    pub fn new(allows_private: bool) -> Result<Self, String> {
        let guard = AddressGuard::new(allows_private);
        let client = reqwest::Client::builder()
            .redirect(Policy::none())
            // A proxy would resolve the name itself.
            .no_proxy()
            .dns_resolver(Arc::new(guard))
            .connect_timeout(CONNECT_TIMEOUT)
            .pool_max_idle_per_host(4)
            .user_agent(concat!("savannah/", env!("CARGO_PKG_VERSION")))
            .build();
        let client =
            client.map_err(|error| format!("the HTTP client cannot be created: {}", format_error_chain(&error)))?;
        Ok(Self { client, guard })
    }

    /// Returns the guard of its addresses.
    #[must_use]
    pub const fn guard(&self) -> AddressGuard {
        self.guard
    }

    /// Sends a request and reads the beginning of the response. Returns the duration, too.
    pub async fn send(&self, request: OutboundRequest) -> (Result<OutboundResponse, OutboundError>, Duration) {
        let started_at = Instant::now();
        let timeout = request.timeout;
        let outcome = tokio::time::timeout(timeout, self.execute(request)).await;
        let timeout_error = || OutboundError::Request(format!("no response within {} s", timeout.as_secs()));
        (outcome.unwrap_or_else(|_| Err(timeout_error())), started_at.elapsed())
    }

    /// Requests a file, following redirects; the caller limits the number of bytes that it reads, and the time. The
    /// response has any status.
    ///
    /// # Errors
    /// Returns the reason why there is no response.
    pub async fn get_file(&self, url: &str, timeout: Duration) -> Result<reqwest::Response, OutboundError> {
        let mut url = self.guard.check_url(url)?;
        for _ in 0..=MAX_REDIRECTS {
            let span = create_outbound_span("GET", url.host_str().unwrap_or_default());
            let sent = self.client.get(url.clone()).timeout(timeout).send().instrument(span.clone()).await;
            let response = sent.map_err(OutboundError::from_failure)?;
            span.record("http.response.status_code", response.status().as_u16());
            let location = response.headers().get(LOCATION).and_then(|value| value.to_str().ok());
            let Some(location) = location.filter(|_| response.status().is_redirection()) else { return Ok(response) };
            let invalid = |_| AddressError::InvalidUrl("the address of a redirect is not a URL".to_owned());
            url = self.guard.check_url(url.join(location).map_err(invalid)?.as_str())?;
        }
        Err(OutboundError::Request(format!("there are more than {MAX_REDIRECTS} redirects")))
    }

    async fn execute(&self, request: OutboundRequest) -> Result<OutboundResponse, OutboundError> {
        let OutboundRequest { url, mut headers, body, timeout } = request;
        let url = self.guard.check_url(&url)?;
        headers.insert(reqwest::header::CONTENT_TYPE, reqwest::header::HeaderValue::from_static("application/json"));
        let span = create_outbound_span("POST", url.host_str().unwrap_or_default());
        insert_trace_headers(&span, &mut headers);
        let sent =
            self.client.post(url).headers(headers).body(body).timeout(timeout).send().instrument(span.clone()).await;
        let mut response = sent.map_err(OutboundError::from_failure)?;
        let status = response.status();
        span.record("http.response.status_code", status.as_u16());
        let retry_after = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let mut bytes = Vec::new();
        // A response that breaks off has its status nevertheless.
        while bytes.len() < MAX_RESPONSE_BYTES
            && let Ok(Some(chunk)) = response.chunk().await
        {
            let rest = (MAX_RESPONSE_BYTES - bytes.len()).min(chunk.len());
            bytes.extend_from_slice(&chunk[..rest]);
        }
        let body = String::from_utf8_lossy(&bytes).replace('\0', "");
        Ok(OutboundResponse { status, retry_after, body })
    }
}
