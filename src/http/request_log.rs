//! The end of a request: its log line and its metrics.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use async_graphql::ServerError;
use axum::{
    extract::ConnectInfo,
    http::{HeaderMap, HeaderName, header},
    response::Response,
};

use super::authentication::find_client_address;
use crate::{
    base::error::PublicErrorCode,
    graphql::error::error_code,
    infra::{
        Config,
        config::SampleRate,
        telemetry::{self, OperationLabel, RequestOperation, RequestOutcome, RequestRecord, names},
    },
};

/// Maximum length of texts of the client in a line. Characters.
const MAX_TEXT_LENGTH: usize = 200;
/// Header with the addresses that proxies have seen.
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// Writes a line at a level, which is part of a macro's name.
macro_rules! write_line {
    ($level:ident, $line:expr) => {
        tracing::$level!(
            operation = $line.operation,
            media_type = $line.media_type,
            status = $line.status,
            duration_millis = $line.duration_millis,
            statements = $line.statements,
            cost = $line.cost,
            caller = $line.caller,
            address = $line.address,
            user_agent = $line.user_agent,
            "request completed"
        )
    };
}

/// Errors of a response, as an extension of it: with the media type JSON its status does not tell.
#[derive(Debug, Clone, Copy)]
pub struct ErrorSummary {
    /// Outcome of the request.
    pub outcome: RequestOutcome,
    /// Whether all errors are refusals by a rate limit.
    pub is_rate_limited: bool,
}

impl ErrorSummary {
    /// Summarizes the errors of a response; `None` without errors.
    #[must_use]
    pub fn of_errors(errors: &[ServerError]) -> Option<Self> {
        let mut codes = errors.iter().filter_map(error_code);
        let is_fault = codes.clone().any(|code| names::FAULT_CODES.contains(&code));
        (!errors.is_empty()).then(|| Self {
            outcome: if is_fault { RequestOutcome::Failed } else { RequestOutcome::Rejected },
            is_rate_limited: codes.all(|code| code == PublicErrorCode::RateLimited.as_str()),
        })
    }
}

/// Logs and counts completed requests.
#[derive(Debug)]
pub struct RequestLog {
    sample_rate: SampleRate,
    slow_request: Duration,
    trusted_proxies: usize,
    /// Number of healthy requests.
    counter: AtomicU32,
}

/// Where a request comes from. Cheap to create: header values are shared.
#[derive(Debug)]
pub struct RequestSource {
    headers: HeaderMap,
    peer: Option<SocketAddr>,
    /// Label of a request whose operation is not known.
    fallback_label: OperationLabel,
}

impl RequestSource {
    /// Takes what a log line needs from a request that is about to be passed on.
    #[must_use]
    pub fn capture<B>(request: &axum::http::Request<B>) -> Self {
        let mut headers = HeaderMap::new();
        for name in [header::USER_AGENT, FORWARDED_FOR] {
            for value in request.headers().get_all(&name) {
                headers.append(&name, value.clone());
            }
        }
        let peer = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(peer)| *peer);
        let is_graphql = request.uri().path().starts_with("/graphql");
        let fallback_label = if is_graphql { OperationLabel::OTHER } else { OperationLabel::HTTP };
        Self { headers, peer, fallback_label }
    }

    /// Takes the same from a request that is answered from memory.
    #[must_use]
    pub fn direct<B>(request: &axum::http::Request<B>, peer_address: SocketAddr) -> Self {
        Self { peer: Some(peer_address), ..Self::capture(request) }
    }
}

impl RequestLog {
    /// Creates the log by the settings.
    #[must_use]
    pub fn new(config: &Config) -> Arc<Self> {
        Arc::new(Self {
            sample_rate: config.log.request_sample_rate,
            slow_request: config.log.slow_request,
            trusted_proxies: config.server.trusted_proxies,
            counter: AtomicU32::new(0),
        })
    }

    /// Logs and counts a request. To be called in its span.
    pub fn complete(&self, record: &RequestRecord, source: &RequestSource, response: &Response, started_at: Instant) {
        let duration = started_at.elapsed();
        let status = response.status().as_u16();
        let summary = response.extensions().get::<ErrorSummary>().copied();
        let summary = summary.unwrap_or_else(|| ErrorSummary {
            outcome: RequestOutcome::of_status(status),
            is_rate_limited: status == 429,
        });
        let operation = record.operation.get();
        if let Some(metrics) = telemetry::metrics() {
            let label = operation.map_or(source.fallback_label, |operation| operation.label);
            metrics.record_request(label, summary.outcome, duration);
        }
        let is_fault = summary.outcome == RequestOutcome::Failed || duration >= self.slow_request;
        // Refusals by a rate limit are as frequent as its limit is exceeded.
        let is_healthy = summary.outcome == RequestOutcome::Ok || summary.is_rate_limited;
        if !is_fault && is_healthy && !self.is_sampled() {
            return;
        }
        self.write_line(record, source, response, duration, is_fault);
    }

    /// Counts a response from memory; returns whether it is to be logged.
    pub fn count_direct(&self, operation: &RequestOperation, duration: Duration) -> bool {
        if let Some(metrics) = telemetry::metrics() {
            metrics.record_request(operation.label, RequestOutcome::Ok, duration);
        }
        self.is_sampled() || duration >= self.slow_request
    }

    fn is_sampled(&self) -> bool {
        !self.sample_rate.is_zero() && self.sample_rate.selects(self.counter.fetch_add(1, Ordering::Relaxed))
    }

    /// Writes the line of a request.
    pub fn write_line(
        &self,
        record: &RequestRecord,
        source: &RequestSource,
        response: &Response,
        duration: Duration,
        is_fault: bool,
    ) {
        let media_type = response.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let user_agent = source.headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok());
        let line = RequestLine {
            operation: record.operation.get().and_then(|operation| operation.name.as_deref()).map(shorten),
            media_type: media_type.map(|value| value.split(';').next().unwrap_or_default()),
            status: response.status().as_u16(),
            duration_millis: u64::try_from(duration.as_millis()).unwrap_or(u64::MAX),
            statements: record.query_stats.get().map(|query_stats| query_stats.statement_count()),
            cost: record.cost.get().copied(),
            caller: record.actor.get().map(ToString::to_string),
            address: find_client_address(&source.headers, self.trusted_proxies, source.peer),
            user_agent: user_agent.map(shorten),
        };
        if is_fault { write_line!(warn, line) } else { write_line!(info, line) }
    }
}

/// Fields of the line of a request.
#[derive(Debug)]
struct RequestLine<'a> {
    operation: Option<&'a str>,
    media_type: Option<&'a str>,
    status: u16,
    duration_millis: u64,
    statements: Option<u64>,
    cost: Option<u32>,
    caller: Option<String>,
    address: Option<String>,
    user_agent: Option<&'a str>,
}

fn shorten(text: &str) -> &str {
    text.char_indices().nth(MAX_TEXT_LENGTH).map_or(text, |(end, _)| &text[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_of_a_client_is_shortened_between_characters() {
        assert_eq!(shorten("Mozilla"), "Mozilla");
        assert_eq!(shorten(&"é".repeat(500)), "é".repeat(200));
    }
}
