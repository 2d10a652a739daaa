//! Test support: a real server on its own port, with its own database.

mod event_feed;
mod fake_payment_provider;
mod reference_ledger;
mod binary;
mod cache;
mod load_clients;
mod load_scenario;
mod database;
mod order_fixtures;
mod redis_servers;
mod scrape;
mod session;
mod replica_servers;
mod message_services;
mod moto_server;
mod nginx;
mod oauth_client;
mod oidc_provider;
mod pictures;
mod graphql_response;
mod http_response;
mod http_stub;
mod rest_client;
mod catalog_fixtures;
mod invariants;
mod checkout_fixtures;
mod job_worker;
mod live_client;
mod login;
mod trials;
mod two_instances;
mod watchdog;
mod webhook_receiver;
pub mod catalog_model;
pub mod mpesa_stub;
pub mod search_shop;
pub mod stripe_stub;

use std::{
    io::Cursor,
    net::SocketAddr,
    path::Path,
    pin::Pin,
    sync::{Arc, LazyLock, Mutex},
};

use chrono::{DateTime, Utc};
use savannah::{
    base::Clock,
    catalog,
    graphql::{context::AppState, webhook::create_payload_renderer},
    http::{App, ServerListener, build_router, serve_connections},
    import_export::{
        Progress, export,
        import::{CatalogImporter, DEMO_CATALOG_CSV, ImportMessage, ImportSummary},
    },
    infra::{Config, Db, bootstrap::ensure_initialized, jobs::JobRegistry},
    job_registry::build_job_registry,
    payment::PaymentProviders,
};
use serde_json::{Value, json};

pub use binary::{CliSandbox, ExitedProcess, RunningProcess};
pub use cache::{RESPONSE_CACHE_ON, query_path, send_to_cache};
pub use catalog_fixtures::{create_categories, simple_product};
pub use checkout_fixtures::{cart_line_quantities, line_inputs};
pub use database::{Backend, TestDatabase, drop_created_databases};
pub use fake_payment_provider::{FakePaymentProvider, FakePaymentResponse};
pub use graphql_response::GraphqlResponse;
pub use http_response::HttpResponse;
pub use http_stub::StubServer;
pub use invariants::{
    assert_invariants, assert_jobs_finished_and_catalog_consistent, assert_no_rows, assert_order_notifications,
    query_scalar,
};
pub use live_client::{EventStreamClient, WebSocketClient};
pub use load_clients::LoadClients;
pub use load_scenario::LoadScenario;
pub use message_services::{FakeSmsService, FakeSmtpServer, SmsServiceMode};
pub use moto_server::{MotoServer, has_moto_server};
pub use nginx::{NginxProcess, has_nginx};
pub use oauth_client::{IssuedTokens, OauthClient, assert_oauth_error, form_request};
pub use oidc_provider::{APP_REDIRECT_URI, CookieBrowser, FakeOidcProvider, NavigationResult};
pub use order_fixtures::{ORDER_FIELDS, shipping_address};
pub use pictures::{draw_picture, picture_file, png_bomb, transparent_png, turned_jpeg};
pub use redis_servers::{
    FakeRedisMode, FakeRedisServer, RedisProcess, ServerCertificate, has_redis_server_and_openssl,
    has_redis_server_binary, has_shared_redis, shared_redis_url,
};
pub use reference_ledger::{LedgerPaymentState, LedgerRefundLine, LedgerVariant, ReferenceLedger};
pub use replica_servers::{ReplicaServers, has_postgres_binaries, stop_replica_servers};
pub use rest_client::RestCall;
pub use savannah::prove::{AcknowledgedOrder, LoadCatalog};
pub use scrape::{MANAGEMENT_ON, Scrape};
pub use session::query_session_scalar;
pub use trials::{read_arguments, trial_without_database};
pub use watchdog::{RunningTest, print_slowest_tests, watch_running_tests};
pub use webhook_receiver::{
    ALLOW_PRIVATE_ADDRESSES, ReceivedWebhook, ReceiverResponse, WebhookReceiver, register_endpoint,
    set_clock_to_system_time, verify_signature,
};

/// A test case: name, availability check, and function by database backend.
#[derive(Clone, Copy)]
pub struct TestCase {
    pub name: &'static str,
    pub is_available: fn() -> bool,
    pub run: fn(Backend) -> TestFuture,
}

/// Future of a running test.
pub type TestFuture = Pin<Box<dyn Future<Output = ()>>>;

/// Declares the tests of a file. A test that is not listed is unused code, which the lints reject. Tests after
/// `needs(check):` are skipped, with a message, if `check` returns `false`.
#[macro_export]
macro_rules! integration_tests {
    ($($name:ident),* $(,)? $(; needs($needs:path): $($needy:ident),+ $(,)?)*) => {
        pub fn test_cases() -> Vec<$crate::support::TestCase> {
            vec![
                $($crate::integration_tests!(@case $name, || true),)*
                $($($crate::integration_tests!(@case $needy, $needs)),+,)*
            ]
        }
    };
    (@case $name:ident, $needs:expr) => {
        $crate::support::TestCase { name: stringify!($name), is_available: $needs, run: |backend| Box::pin($name(backend)) }
    };
}

/// Reports once that tests are skipped because of a missing requirement. Returns `false`, for `needs` checks.
pub fn report_missing(requirement: &str) -> bool {
    static REPORTED: Mutex<Vec<String>> = Mutex::new(Vec::new());
    let mut reported = REPORTED.lock().expect("reported requirements");
    if !reported.iter().any(|known_requirement| known_requirement == requirement) {
        eprintln!("tests skipped: {requirement}");
        reported.push(requirement.to_owned());
    }
    false
}

/// Returns the runtime shared by all tests.
pub fn runtime() -> &'static tokio::runtime::Runtime {
    static RUNTIME: LazyLock<tokio::runtime::Runtime> =
        LazyLock::new(|| tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime"));
    &RUNTIME
}

/// A running test server.
pub struct TestApp {
    pub db: Db,
    pub http_app: Arc<App>,
    pub address: SocketAddr,
    pub clock: Clock,
    /// Event handlers, jobs and schedules; the application's own by default.
    pub job_registry: Arc<JobRegistry>,
    /// Directory of written emails and SMS, with default settings.
    pub message_directory: tempfile::TempDir,
    /// The server runs until this is dropped.
    shutdown_on_drop: tokio_util::sync::DropGuard,
    http: reqwest::Client,
    server: tokio::task::JoinHandle<()>,
    database: database::TestDatabase,
    /// Another instance, which gets every other GraphQL request; see [`two_instances`].
    other_instance: Option<two_instances::OtherInstance>,
}

impl Drop for TestApp {
    fn drop(&mut self) {
        // The database server limits connections: a finished test closes its own.
        self.server.abort();
        let db = self.db.clone();
        runtime().spawn(db.close());
    }
}

impl TestApp {
    /// Starts a server with an empty database and default settings.
    pub async fn start(backend: Backend) -> Self {
        Self::start_with_settings(backend, &[]).await
    }

    /// Starts a server with additional settings over [`GENEROUS_LIMITS`]: `("SAVANNAH_GRAPHQL__MAX_DEPTH", "5")`.
    pub async fn start_with_settings(backend: Backend, settings: &[(&str, &str)]) -> Self {
        let database = database::TestDatabase::create_migrated(backend).await;
        Self::start_instances(database, settings, None).await
    }

    /// Starts a server with these payment providers instead of the configured ones.
    pub async fn start_with_payment_providers(
        backend: Backend,
        settings: &[(&str, &str)],
        providers: PaymentProviders,
    ) -> Self {
        let database = database::TestDatabase::create_migrated(backend).await;
        Self::start_instances(database, settings, Some(providers)).await
    }

    fn fixed_clock() -> Clock {
        Clock::fixed(parse_datetime("2026-11-01T09:00:00Z"))
    }

    /// Starts a second server on the same database with the same clock, as another process would.
    pub async fn start_second_instance(&self, settings: &[(&str, &str)]) -> Self {
        Self::start_on_database(self.database.clone(), self.clock.clone(), settings, None).await
    }

    /// Starts a second server on the same database, with these payment providers.
    pub async fn start_second_instance_with(&self, settings: &[(&str, &str)], providers: PaymentProviders) -> Self {
        Self::start_on_database(self.database.clone(), self.clock.clone(), settings, Some(providers)).await
    }

    async fn start_on_database(
        database: TestDatabase,
        clock: Clock,
        settings: &[(&str, &str)],
        providers: Option<PaymentProviders>,
    ) -> Self {
        let set = GENEROUS_LIMITS.into_iter().chain(settings.iter().copied()).chain([("DATABASE_URL", database.url())]);
        let variables = set.map(|(name, value)| (name.into(), value.into())).collect::<Vec<_>>();
        let mut config =
            Config::load_from(Path::new("/nowhere/savannah.toml"), variables.into_iter()).expect("settings");
        config.database.max_connections = config.database.max_connections.max(4);
        let outbox = tempfile::tempdir().expect("a directory");
        config.notification.file_directory = outbox.path().to_owned();
        // Instances of one database share the pictures.
        config.media.folder = database.media_folder();
        let db = Db::connect(&config.database, clock.clone()).await.expect("a database");
        ensure_initialized(&db, &config).await.expect("an initialized database");
        db.attach_replica(&config.database).await.expect("a replica, if one is configured");
        let mut shared = AppState::load(db.clone(), config).await.expect("app state");
        if let Some(providers) = providers {
            shared.payment_providers = providers;
        }
        let shared = Arc::new(shared);
        let registry = build_job_registry(&shared.payment_providers, &shared.media, create_payload_renderer(&shared));
        let registry = Arc::new(registry);
        let http_app = App::new(shared);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let shutdown = tokio_util::sync::CancellationToken::new();
        let router = build_router(&http_app);
        let listener = ServerListener::new(listener, None);
        let server = tokio::spawn(serve_connections(listener, Arc::clone(&http_app), router, shutdown.clone()));
        Self {
            db,
            http_app,
            address,
            clock,
            job_registry: registry,
            message_directory: outbox,
            shutdown_on_drop: shutdown.drop_guard(),
            http: graphql_client(),
            server,
            database,
            other_instance: None,
        }
    }

    /// Starts a server with the demo catalog.
    pub async fn start_with_demo_catalog(backend: Backend) -> Self {
        let app = Self::start(backend).await;
        let (_, import_messages) = app.import_products(DEMO_CATALOG_CSV).await;
        assert_eq!(import_messages, []);
        app
    }

    /// Imports a CSV of products. Returns the summary and the messages about its lines.
    pub async fn import_products(&self, csv: impl AsRef<[u8]>) -> (ImportSummary, Vec<ImportMessage>) {
        let csv = Cursor::new(csv.as_ref().to_vec());
        let collected = Arc::new(Mutex::new(Vec::new()));
        let mut on_message = |import_message| collected.lock().expect("import messages").push(import_message);
        let outcome = self.create_import(&mut on_message, false).import_products_from(csv, Path::new("test.csv")).await;
        let outcome = outcome.unwrap_or_else(|error| panic!("import failed: {}", error.log_message()));
        self.run_clock_tick().await;
        let import_messages = collected.lock().expect("import messages").drain(..).collect();
        (outcome, import_messages)
    }

    /// Creates an importer for this database.
    pub fn create_import<'a>(
        &'a self,
        on_message: &'a mut (dyn FnMut(ImportMessage) + Send),
        dry_run: bool,
    ) -> CatalogImporter<'a> {
        let (currency, time_zone) =
            (self.http_app.state.config.shop.currency, self.http_app.state.config.shop.time_zone);
        CatalogImporter { db: &self.db, currency, time_zone, dry_run, progress: Progress::default(), on_message }
    }

    /// Exports the catalog as CSV.
    pub async fn export_products(&self) -> String {
        let mut out = Vec::new();
        let currency = self.http_app.state.config.shop.currency;
        export::export_products(&self.db, currency, &mut out, &Progress::default()).await.expect("an export");
        String::from_utf8(out).expect("UTF-8")
    }

    /// Runs the server's scheduled refresh immediately.
    pub async fn run_clock_tick(&self) {
        self.http_app.refresh().await.expect("refreshed state");
        catalog::refresh_prices(&self.db).await.expect("refreshed prices");
    }

    /// Sends a GraphQL query over HTTP.
    pub async fn query(&self, query: &str) -> GraphqlResponse {
        self.query_with_variables(query, json!({})).await
    }

    /// Sends a GraphQL query with variables.
    pub async fn query_with_variables(&self, query: &str, variables: Value) -> GraphqlResponse {
        let body = json!({ "query": query, "variables": variables });
        GraphqlResponse::from_http_response(self.post_graphql(body).await).await
    }

    /// Sends a GraphQL query with an access token.
    pub async fn query_as(&self, token: &str, query: &str, variables: Value) -> GraphqlResponse {
        let body = json!({ "query": query, "variables": variables });
        let request = self.http.post(self.select_instance().await).bearer_auth(token).json(&body);
        GraphqlResponse::from_http_response(request.send().await.expect("a response")).await
    }

    /// Sends a raw GraphQL request body.
    pub async fn post_graphql(&self, body: Value) -> reqwest::Response {
        self.http.post(self.select_instance().await).json(&body).send().await.expect("a response")
    }

    /// Builds an HTTP request to the server.
    pub fn build_request(&self, method: reqwest::Method, path: &str) -> reqwest::RequestBuilder {
        self.http.request(method, self.url(path))
    }

    /// Returns the URL of the database.
    pub fn database_url(&self) -> &str {
        self.database.url()
    }

    /// Returns the URL of a path.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Runs SQL that both databases support.
    pub async fn execute_sql(&self, sql: &str) -> Result<u64, sea_orm::DbErr> {
        use sea_orm::ConnectionTrait;
        self.db.writer_connection().execute_unprepared(sql).await.map(|result| result.rows_affected())
    }

    /// Returns the integer result of a query.
    pub async fn query_scalar(&self, sql: &str) -> i64 {
        query_scalar(&self.db, sql).await
    }

    /// Runs all pending jobs. Asserts that none failed and that derived catalog data is consistent.
    pub async fn run_pending_jobs(&self) {
        self.drain_jobs().await;
        assert_jobs_finished_and_catalog_consistent(&self.db).await;
    }
}

/// Creates a client that asks for status codes that reflect the result of the request.
fn graphql_client() -> reqwest::Client {
    let accept = reqwest::header::HeaderValue::from_static("application/graphql-response+json");
    let headers = [(reqwest::header::ACCEPT, accept)].into_iter().collect();
    // Without root certificates, which take longer to read than most tests.
    reqwest::Client::builder().tls_certs_only([]).default_headers(headers).build().expect("a client")
}

/// Limits that tests do not reach by accident; the limits have tests of their own.
const GENEROUS_LIMITS: [(&str, &str); 16] = [
    ("SAVANNAH_DATABASE__IDLE_TRANSACTION_TIMEOUT", "1m"), // as for imports, which run in CLI commands without it
    ("SAVANNAH_THROTTLE__ORDERS_PER_IP", "1000000/1h"),
    ("SAVANNAH_THROTTLE__ORDERS_PER_RECIPIENT", "1000000/1h"),
    ("SAVANNAH_THROTTLE__CART_CHANGES_PER_IP", "1000000/1h"),
    ("SAVANNAH_THROTTLE__REGISTRATIONS_PER_IP", "1000000/1h"),
    ("SAVANNAH_THROTTLE__EMAILS_PER_ACCOUNT", "1000000/1h"),
    ("SAVANNAH_RATE_LIMIT__POINTS_PER_NETWORK", "1000000000/1s"),
    ("SAVANNAH_RATE_LIMIT__POINTS_PER_CUSTOMER", "1000000000/1s"),
    ("SAVANNAH_RATE_LIMIT__POINTS_PER_API_KEY", "1000000000/1s"),
    ("SAVANNAH_RATE_LIMIT__POINTS_PER_STAFF_ACCOUNT", "1000000000/1s"),
    ("SAVANNAH_NOTIFICATION__EMAIL_INTERVAL", "0s"),
    ("SAVANNAH_CHECKOUT__PAYMENT_METHODS", "cash_on_delivery, bank_transfer, pay_at_counter"),
    ("SAVANNAH_CACHE__DATA_BYTES", "0"),
    ("SAVANNAH_CACHE__MAX_STALENESS", "0s"), // a change is seen at once
    ("SAVANNAH_MEDIA__AVIF", "false"),       // slow to encode without optimization
    ("SAVANNAH_CACHE__RESPONSES", "false"),  // tests count statements, and change rows without events
];

/// Parses a UTC time.
pub fn parse_datetime(text: &str) -> DateTime<Utc> {
    text.parse().expect("a valid time")
}
