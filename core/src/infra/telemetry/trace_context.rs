//! Trace context by W3C: taken from requests and stored jobs, and passed on to jobs and outbound requests.

use std::collections::HashMap;

use axum::http::HeaderMap;
use opentelemetry::{Context, propagation::TextMapPropagator, trace::TraceContextExt};
use opentelemetry_http::{HeaderExtractor, HeaderInjector};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

use super::span_export::is_tracing_enabled;

/// Name of the field with the ids of a trace and of its current span.
const TRACE_PARENT: &str = "traceparent";

/// Lets the span of a request continue the trace that its headers name.
pub fn continue_received_trace(span: &Span, headers: &HeaderMap) {
    if is_tracing_enabled() && headers.contains_key(TRACE_PARENT) {
        set_parent(
            span,
            TraceContextPropagator::new().extract_with_context(&Context::new(), &HeaderExtractor(headers)),
        );
    }
}

/// Lets the span of a job continue the trace of the request that enqueued it.
pub fn continue_stored_trace(span: &Span, trace_context: Option<&str>) {
    if let Some(trace_context) = trace_context.filter(|_| is_tracing_enabled()) {
        let carrier = HashMap::from([(TRACE_PARENT.to_owned(), trace_context.to_owned())]);
        set_parent(span, TraceContextPropagator::new().extract_with_context(&Context::new(), &carrier));
    }
}

fn set_parent(span: &Span, parent: Context) {
    // Without a valid parent, or if the span has begun, it remains the first of a trace of its own.
    if parent.span().span_context().is_valid() {
        let _ = span.set_parent(parent);
    }
}

/// Returns the trace context of the current span, to be stored with a job; `None` if spans are not exported.
#[must_use]
pub fn current_trace_context() -> Option<String> {
    if !is_tracing_enabled() {
        return None;
    }
    let mut carrier = HashMap::new();
    TraceContextPropagator::new().inject_context(&Span::current().context(), &mut carrier);
    carrier.remove(TRACE_PARENT)
}

/// Adds the trace context of a span to the headers of an outbound request.
pub fn insert_trace_headers(span: &Span, headers: &mut HeaderMap) {
    if is_tracing_enabled() {
        TraceContextPropagator::new().inject_context(&span.context(), &mut HeaderInjector(headers));
    }
}

/// Creates the span of a database statement of a request or a job. Its name has the command and the first table, and no
/// values.
pub(in crate::infra) fn create_statement_span(sql: &str) -> Span {
    if !is_tracing_enabled() || Span::current().is_none() {
        return Span::none();
    }
    let summary = summarize_statement(sql);
    tracing::trace_span!(
        target: "savannah::trace",
        "statement",
        otel.name = summary,
        otel.kind = "client",
        db.query.summary = summary,
    )
}

/// Creates the span of an outbound request.
pub(in crate::infra) fn create_outbound_span(method: &str, host: &str) -> Span {
    if !is_tracing_enabled() {
        return Span::none();
    }
    tracing::trace_span!(
        target: "savannah::trace",
        "outbound request",
        otel.name = format!("{method} {host}"),
        otel.kind = "client",
        http.request.method = method,
        server.address = host,
        http.response.status_code = tracing::field::Empty,
    )
}

/// Returns the command of a statement and the first table that it names.
fn summarize_statement(sql: &str) -> String {
    let mut words = sql.split_whitespace();
    let command = words.next().unwrap_or_default();
    let is_before_table = |word: &&str| ["FROM", "INTO", "UPDATE"].contains(word);
    let table = if command == "UPDATE" { words.next() } else { words.find(is_before_table).and_then(|_| words.next()) };
    let is_name_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let table =
        table.map(|table| table.trim_matches(|c| !is_name_part(c))).filter(|table| table.chars().all(is_name_part));
    match table {
        Some(table) if !table.is_empty() => format!("{command} {table}"),
        _ => command.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statement_summary_has_no_values() {
        for (sql, summary) in [
            ("SELECT 1", "SELECT"),
            ("SELECT \"product\".\"id\" FROM \"product\" WHERE id = $1", "SELECT product"),
            ("INSERT INTO \"job\" (\"queue\") VALUES ('a b')", "INSERT job"),
            ("UPDATE job SET status = 'done'", "UPDATE job"),
            ("WITH picked AS (SELECT id FROM job) UPDATE job SET x = 1", "WITH job"),
            ("SELECT x FROM (SELECT 'FROM secret' FROM a)", "SELECT SELECT"),
            ("", ""),
        ] {
            assert_eq!(summarize_statement(sql), summary, "{sql}");
        }
    }

    #[test]
    fn nothing_is_propagated_without_a_collector() {
        let mut headers = HeaderMap::new();
        insert_trace_headers(&Span::current(), &mut headers);
        assert!(headers.is_empty() && current_trace_context().is_none());
        assert!(create_statement_span("SELECT 1").is_none() && create_outbound_span("GET", "host").is_none());
    }
}
