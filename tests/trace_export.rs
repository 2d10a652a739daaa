//! Traces: what a collector receives by the real protocol, and trace context in requests, jobs and webhooks.

use std::sync::{Arc, Mutex};

use axum::{Router, body::Bytes, http::HeaderMap, routing::post};
use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    trace::v1::{Span, span::SpanKind},
};
use prost::Message;
use savannah::{
    base::Clock,
    base::digest::to_hex,
    infra::{Config, Db},
};

use crate::{
    integration_tests,
    support::{ALLOW_PRIVATE_ADDRESSES, Backend, CliSandbox, TestDatabase, WebhookReceiver, register_endpoint},
};

integration_tests![
    trace_of_a_request_continues_in_jobs_and_webhooks,
    request_without_trace_context_is_sampled,
    nothing_is_exported_by_default,
];

const TRACE_ID: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const TRACE_PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

/// Collector that decodes what it receives.
struct Collector {
    url: String,
    spans: Arc<Mutex<Vec<(String, Span)>>>,
    server: tokio::task::JoinHandle<()>,
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Collector {
    async fn start() -> Self {
        let spans: Arc<Mutex<Vec<(String, Span)>>> = Arc::default();
        let received = Arc::clone(&spans);
        let receive = move |headers: HeaderMap, body: Bytes| {
            assert_eq!(headers["content-type"], "application/x-protobuf");
            let request = ExportTraceServiceRequest::decode(body).expect("a request of the protocol");
            let mut received = received.lock().expect("spans");
            for resource in request.resource_spans {
                let attributes = resource.resource.expect("a resource").attributes;
                let service = attributes.iter().find(|attribute| attribute.key == "service.name");
                let service = format!("{:?}", service.and_then(|attribute| attribute.value.clone()));
                let spans = resource.scope_spans.into_iter().flat_map(|scope| scope.spans);
                received.extend(spans.map(|span| (service.clone(), span)));
            }
            async {}
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let router = Router::new().route("/v1/traces", post(receive));
        let server = tokio::spawn(async move { axum::serve(listener, router).await.expect("a service") });
        Self { url, spans, server }
    }

    fn spans(&self) -> Vec<Span> {
        self.spans.lock().expect("spans").iter().map(|(_, span)| span.clone()).collect()
    }
}

fn describe(spans: &[Span]) -> String {
    let line = |span: &Span| format!("{} {} in {}\n", to_hex(&span.trace_id), span.name, to_hex(&span.parent_span_id));
    spans.iter().map(line).collect()
}

/// Returns the only span whose name begins like this.
fn find<'a>(spans: &'a [Span], name: &str) -> &'a Span {
    let found = spans.iter().find(|span| span.name.starts_with(name));
    found.unwrap_or_else(|| panic!("no {name} among\n{}", describe(spans)))
}

/// Creates a database with a webhook endpoint for placed orders.
async fn create_database(backend: Backend, receiver: &WebhookReceiver) -> TestDatabase {
    let database = TestDatabase::create_migrated(backend).await;
    let variables = [("DATABASE_URL", database.url()), ALLOW_PRIVATE_ADDRESSES];
    let variables = variables.map(|(name, value)| (name.into(), value.into()));
    let config = Config::load_from(std::path::Path::new("/nowhere.toml"), variables.into_iter()).expect("settings");
    let db = Db::connect(&config.database, Clock::default()).await.expect("a database");
    register_endpoint(&db, &config, &receiver.url, &["order.placed"]).await;
    db.close().await;
    database
}

/// Places an order with this trace context; returns when its webhook was received and the server has stopped.
async fn place_order(
    receiver: &WebhookReceiver,
    database: &TestDatabase,
    variables: &[(&str, &str)],
) -> Option<String> {
    let url = [("DATABASE_URL", database.url()), ALLOW_PRIVATE_ADDRESSES];
    let methods = [("SAVANNAH_CHECKOUT__PAYMENT_METHODS", "test")];
    let sandbox = CliSandbox::new(&[&url[..], &methods[..], variables].concat());
    let server = sandbox.start_server(&[]).await;
    server.place_order("test", &[("traceparent", TRACE_PARENT)]).await;
    let started_at = std::time::Instant::now();
    while receiver.received().is_empty() {
        assert!(started_at.elapsed().as_secs() < 60, "no webhook: {}", server.stderr());
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    server.send_signal("TERM");
    let exited = server.wait_for_exit().await;
    assert_eq!(exited.exit_code, Some(0), "{exited:?}");
    receiver.take_received()[0].trace_parent.clone()
}

async fn trace_of_a_request_continues_in_jobs_and_webhooks(backend: Backend) {
    let (collector, receiver) = (Collector::start().await, WebhookReceiver::start().await);
    let database = create_database(backend, &receiver).await;
    let settings = [
        ("SAVANNAH_TELEMETRY__OTLP_ENDPOINT", collector.url.as_str()),
        ("SAVANNAH_TELEMETRY__SERVICE_NAME", "duka"),
        // The decision of the caller counts.
        ("SAVANNAH_TELEMETRY__TRACE_SAMPLE_RATE", "0%"),
    ];
    let sent_context = place_order(&receiver, &database, &settings).await.expect("a trace context");
    let services = collector.spans.lock().expect("spans").clone();
    assert!(services.iter().all(|(service, _)| service.contains("duka")), "{services:?}");
    let spans = collector.spans();
    // Other requests and jobs are of no trace.
    assert!(spans.iter().all(|span| to_hex(&span.trace_id) == TRACE_ID), "{}", describe(&spans));
    let request = find(&spans, "request");
    assert_eq!((request.kind(), to_hex(&request.parent_span_id).as_str()), (SpanKind::Server, "00f067aa0ba902b7"));
    let operation = find(&spans, "mutation PlaceOrder");
    assert_eq!(operation.parent_span_id, request.span_id);
    let statement = find(&spans, "INSERT order");
    assert_eq!(statement.kind(), SpanKind::Client);
    let job = find(&spans, "notification.order/");
    assert_eq!(job.kind(), SpanKind::Consumer);
    let delivery = find(&spans, "DeliverWebhooks");
    let webhook = find(&spans, "POST 127.0.0.1");
    assert_eq!(webhook.parent_span_id, delivery.span_id, "{}", describe(&spans));
    assert_eq!(sent_context, format!("00-{TRACE_ID}-{}-01", to_hex(&webhook.span_id)));
    let attribute = webhook.attributes.iter().find(|attribute| attribute.key == "http.response.status_code");
    assert!(format!("{attribute:?}").contains("204"), "{attribute:?}");
    // Values of statements are personal data.
    assert!(!format!("{spans:?}").contains("wanjiku"), "{}", describe(&spans));
}

async fn request_without_trace_context_is_sampled(backend: Backend) {
    let collector = Collector::start().await;
    let database = TestDatabase::create_migrated(backend).await;
    let settings = [
        ("DATABASE_URL", database.url()),
        ("SAVANNAH_TELEMETRY__OTLP_ENDPOINT", collector.url.as_str()),
        ("SAVANNAH_TELEMETRY__TRACE_SAMPLE_RATE", "100%"),
        ("RUST_LOG", "warn"),
    ];
    let sandbox = CliSandbox::new(&settings);
    let server = sandbox.start_server_with_args(&["serve", "--no-demo", "--no-worker"], &[]).await;
    for _ in 0..2 {
        server.query("query Listing { products(first: 3) { nodes { name } } }").await;
    }
    server.send_signal("TERM");
    assert_eq!(server.wait_for_exit().await.exit_code, Some(0));
    let spans = collector.spans();
    let operations: Vec<&Span> = spans.iter().filter(|span| span.name == "query Listing").collect();
    assert_eq!(operations.len(), 2, "{}", describe(&spans));
    assert_ne!(operations[0].trace_id, operations[1].trace_id);
    for operation in operations {
        let statements = spans.iter().filter(|span| span.parent_span_id == operation.span_id);
        assert_eq!(statements.map(|span| span.name.as_str()).collect::<Vec<_>>(), ["SELECT product"]);
    }
}

async fn nothing_is_exported_by_default(backend: Backend) {
    let receiver = WebhookReceiver::start().await;
    let database = create_database(backend, &receiver).await;
    assert_eq!(place_order(&receiver, &database, &[]).await, None);
    let db = sea_orm::Database::connect(database.url()).await.expect("a connection");
    for table in ["job", "outbox_event"] {
        use sea_orm::ConnectionTrait;
        let sql = format!("SELECT 1 FROM {table} WHERE trace_context IS NOT NULL");
        let statement = sea_orm::Statement::from_string(db.get_database_backend(), sql);
        assert!(db.query_one_raw(statement).await.expect("a result").is_none(), "{table}");
    }
    db.close().await.expect("closed");
}
