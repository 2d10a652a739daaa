//! A shop to tell stories to: a real server on a port of its own, on a database of its own.

mod bank;
mod books;
mod binary;
mod crowd;
mod database;
mod orders;
mod mailbox;
mod provider;
mod reply;
mod shelf;
mod sound;
mod till;
mod work;
pub mod model;

use std::{
    future::Future,
    io::Cursor,
    net::SocketAddr,
    path::Path,
    pin::Pin,
    sync::{Arc, LazyLock, Mutex},
};

use chrono::{DateTime, TimeDelta, Utc};
use savannah::{
    base::Clock,
    catalog,
    exchange::{
        Progress, export,
        import::{DEMO, Import, Outcome, Remark},
    },
    graphql::context::Shared,
    http::{App, router, serve},
    identity::{
        Role,
        account::{self, NewAccount},
        session::{self, Device},
    },
    infra::{Config, Db, jobs::Wiring, shop::make_ready},
    payment::Providers,
    wiring::wiring,
};
use serde_json::{Value, json};

pub use bank::{Bank, Says};
pub use binary::{Ended, Running, Workplace};
pub use books::{Back, Books, Money, Shelf};
pub use crowd::{Bought, Crowd, Goods};
pub use database::{Backend, Own, clear_up};
pub use mailbox::{Mailbox, Mood, SmsService};
pub use orders::{ORDER, address};
pub use provider::{APP, Browser, Landed, Provider};
pub use reply::Reply;
pub use shelf::{plant, simple};
pub use sound::{add_up, all_told, number, settled, wrong};
pub use till::{TOTALS, held, wishes};

/// A story: its name, whether what it needs is here, and how to tell it on a kind of database.
#[derive(Clone, Copy)]
pub struct Story {
    pub name: &'static str,
    pub needs: fn() -> bool,
    pub tell: fn(Backend) -> Telling,
}

/// A story being told.
pub type Telling = Pin<Box<dyn Future<Output = ()>>>;

/// Lists the stories of a file. One that is not listed is unused code, which the lints refuse. Behind `needs(check):`
/// stand those that are left out, visibly, where `check` says that something is missing.
#[macro_export]
macro_rules! stories {
    ($($name:ident),* $(,)? $(; needs($needs:path): $($needy:ident),+ $(,)?)*) => {
        pub fn stories() -> Vec<$crate::shop::Story> {
            vec![
                $($crate::stories!(@story $name, || true),)*
                $($($crate::stories!(@story $needy, $needs)),+,)*
            ]
        }
    };
    (@story $name:ident, $needs:expr) => {
        $crate::shop::Story { name: stringify!($name), needs: $needs, tell: |backend| Box::pin($name(backend)) }
    };
}

/// Says once that stories are left out for want of something. Answers `false`, as their `needs` then do.
pub fn is_missing(what: &str) -> bool {
    static SAID: Mutex<Vec<String>> = Mutex::new(Vec::new());
    let mut said = SAID.lock().expect("what was said");
    if !said.iter().any(|one| one == what) {
        eprintln!("stories are left out: {what}");
        said.push(what.to_owned());
    }
    false
}

/// All stories share one runtime.
pub fn runtime() -> &'static tokio::runtime::Runtime {
    static RUNTIME: LazyLock<tokio::runtime::Runtime> =
        LazyLock::new(|| tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime"));
    &RUNTIME
}

/// A running shop.
pub struct Shop {
    pub db: Db,
    pub app: Arc<App>,
    pub address: SocketAddr,
    pub clock: Clock,
    /// What is done after a change; the shop's own, unless a story says otherwise.
    pub wiring: Arc<Wiring>,
    /// Where its letters and short messages lie, when nothing else is said.
    pub outbox: tempfile::TempDir,
    /// Its server goes on for as long as this is there.
    _stop: tokio::sync::watch::Sender<bool>,
    http: reqwest::Client,
    server: tokio::task::JoinHandle<()>,
    database: database::Own,
}

/// An answer of the GraphQL API with what it cost.
#[derive(Debug)]
pub struct Answer {
    pub body: Value,
    pub statements: u64,
}

impl Answer {
    /// Reads an answer to the end.
    async fn of(response: reqwest::Response) -> Self {
        let timing = response.headers().get("server-timing").map(|value| value.to_str().expect("text").to_owned());
        let statements = timing.as_deref().and_then(|timing| timing.split('"').nth(1)?.split(' ').next()?.parse().ok());
        let body = response.json().await.expect("JSON");
        Self { body, statements: statements.unwrap_or(0) }
    }

    /// The code of the first error that the caller cannot put right.
    pub fn code(&self) -> &str {
        self.error()["extensions"]["code"].as_str().unwrap_or_else(|| panic!("no code in {}", self.body))
    }

    /// What the caller of a mutation can put right: each code and the path that it is about.
    pub fn problems(&self, mutation: &str) -> Vec<(String, String)> {
        let list = self.at(&format!("/{mutation}/userErrors")).as_array().expect("a list");
        let field = |error: &Value| {
            let path = error["field"].as_array().expect("a path").iter();
            path.map(|part| part.as_str().expect("text")).collect::<Vec<_>>().join(".")
        };
        list.iter().map(|error| (error["code"].as_str().expect("a code").to_owned(), field(error))).collect()
    }

    /// The data at a JSON pointer; the story fails when there are errors.
    pub fn at(&self, pointer: &str) -> &Value {
        assert!(self.body.get("errors").is_none(), "errors in {}", self.body);
        self.body["data"].pointer(pointer).unwrap_or_else(|| panic!("no {pointer} in {}", self.body))
    }

    /// The strings of one field of every element of a list.
    pub fn texts(&self, pointer: &str, field: &str) -> Vec<String> {
        let list = self.at(pointer).as_array().expect("a list");
        list.iter().map(|one| one[field].as_str().unwrap_or("null").to_owned()).collect()
    }

    /// The first error.
    pub fn error(&self) -> &Value {
        &self.body["errors"][0]
    }

    /// Fails unless the first error says that the input is at fault, and where.
    pub fn blames(&self, field: &str) {
        let extensions = &self.error()["extensions"];
        assert_eq!(extensions["code"], "BAD_USER_INPUT", "{}", self.body);
        let path = extensions["field"].as_array().unwrap_or_else(|| panic!("no field in {}", self.body));
        let path: Vec<_> = path.iter().filter_map(Value::as_str).collect();
        assert_eq!(path.join("."), field, "{}", self.body);
    }
}

impl Drop for Shop {
    fn drop(&mut self) {
        // A server has so many connections to give; a story that is told keeps none.
        self.server.abort();
        let db = self.db.clone();
        runtime().spawn(db.close());
    }
}

impl Shop {
    /// An empty shop with the default settings.
    pub async fn open(backend: Backend) -> Self {
        Self::open_with(backend, &[]).await
    }

    /// An empty shop with settings of its own, over [`GENEROUS`] limits: `("SAVANNAH_GRAPHQL__MAX_DEPTH", "5")`.
    pub async fn open_with(backend: Backend, settings: &[(&str, &str)]) -> Self {
        Self::open_paid(backend, settings, Providers::default()).await
    }

    /// An empty shop that is paid through these.
    pub async fn open_paid(backend: Backend, settings: &[(&str, &str)], providers: Providers) -> Self {
        let database = database::Own::make(backend).await;
        let set = GENEROUS.into_iter().chain(settings.iter().copied()).chain([("DATABASE_URL", database.url())]);
        let vars = set.map(|(name, value)| (name.into(), value.into())).collect::<Vec<_>>();
        let mut config = Config::read(Path::new("/nowhere/savannah.toml"), vars.into_iter()).expect("settings");
        config.database.connections = config.database.connections.max(4);
        let outbox = tempfile::tempdir().expect("a folder");
        config.notification.folder = outbox.path().to_owned();
        let clock = Clock::fixed(moment("2026-11-01T09:00:00Z"));
        let db = Db::open(&config.database, clock.clone()).await.expect("a database");
        make_ready(&db, &config).await.expect("a ready database");
        let mut shared = Shared::open(db.clone(), config).await.expect("a shop");
        let wiring = Arc::new(wiring(&providers));
        shared.providers = providers;
        let app = App::new(Arc::new(shared));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let (stop, stopped) = tokio::sync::watch::channel(false);
        let server = tokio::spawn(serve(listener, Arc::clone(&app), router(&app), stopped));
        Self { db, app, address, clock, wiring, outbox, _stop: stop, http: reqwest::Client::new(), server, database }
    }

    /// A shop with the demo catalog.
    pub async fn demo(backend: Backend) -> Self {
        let shop = Self::open(backend).await;
        let (_, remarks) = shop.import(DEMO).await;
        assert_eq!(remarks, []);
        shop
    }

    /// Brings in a CSV of products; its outcome, and what was said of its lines.
    pub async fn import(&self, csv: impl AsRef<[u8]>) -> (Outcome, Vec<Remark>) {
        let csv = Cursor::new(csv.as_ref().to_vec());
        let heard = Arc::new(Mutex::new(Vec::new()));
        let mut tell = |remark| heard.lock().expect("remarks").push(remark);
        let outcome = self.importing(&mut tell, false).products_from(csv, Path::new("test.csv")).await;
        let outcome = outcome.unwrap_or_else(|why| panic!("the import stopped: {}", why.log()));
        self.tick().await;
        let remarks = heard.lock().expect("remarks").drain(..).collect();
        (outcome, remarks)
    }

    /// An import into this shop.
    pub fn importing<'a>(&'a self, tell: &'a mut (dyn FnMut(Remark) + Send), dry_run: bool) -> Import<'a> {
        let (currency, time_zone) = (self.app.shared.config.shop.currency, self.app.shared.config.shop.time_zone);
        Import { db: &self.db, currency, time_zone, dry_run, progress: Progress::default(), tell }
    }

    /// The whole catalog as CSV.
    pub async fn export(&self) -> String {
        let mut out = Vec::new();
        let currency = self.app.shared.config.shop.currency;
        export::products(&self.db, currency, &mut out, &Progress::default()).await.expect("an export");
        String::from_utf8(out).expect("UTF-8")
    }

    /// What the server does by the clock every second, now.
    pub async fn tick(&self) {
        self.app.shared.refresh().await.expect("a fresh view");
        catalog::reprice(&self.db).await.expect("fresh prices");
    }

    /// Asks the API, over HTTP.
    pub async fn ask(&self, query: &str) -> Answer {
        self.ask_with(query, json!({})).await
    }

    /// Asks the API with variables.
    pub async fn ask_with(&self, query: &str, variables: Value) -> Answer {
        Answer::of(self.post(json!({ "query": query, "variables": variables })).await).await
    }

    /// Asks the API as somebody who has a token.
    pub async fn ask_as(&self, token: &str, query: &str, variables: Value) -> Answer {
        let body = json!({ "query": query, "variables": variables });
        let request = self.http.post(self.url("/graphql")).bearer_auth(token).json(&body);
        Answer::of(request.send().await.expect("an answer")).await
    }

    /// A new account of a role, signed in: its token. The next one has another e-mail address.
    pub async fn sign_in(&self, role: Role) -> String {
        let number = self.number("SELECT count(*) + 1 FROM account").await;
        let email = format!("{}{number}@example.com", role.name());
        let new = NewAccount { email: Some(email), role, verified: true, ..NewAccount::default() };
        let opened = self.db.write(async |tx| {
            let made = account::create(tx, new).await?;
            session::open(tx, made, &Device::default(), ("password", TimeDelta::days(1))).await
        });
        let opened = opened.await.unwrap_or_else(|why| panic!("no session: {}", why.log()));
        let gate = &self.app.shared.gate;
        gate.issue(opened.account.id, role, opened.session, self.db.now()).expect("a token").0
    }

    /// Sends a GraphQL request as it is.
    pub async fn post(&self, body: Value) -> reqwest::Response {
        self.http.post(self.url("/graphql")).json(&body).send().await.expect("an answer")
    }

    /// Any request to the shop.
    pub fn request(&self, method: reqwest::Method, path: &str) -> reqwest::RequestBuilder {
        self.http.request(method, self.url(path))
    }

    /// The address of its database.
    pub fn database_url(&self) -> &str {
        self.database.url()
    }

    /// The address of a path.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Every row of every table, as it is.
    pub async fn dump(&self) -> Vec<String> {
        use sea_orm::{FromQueryResult, JsonValue, Statement};
        const TABLES: [&str; 11] = [
            "category",
            "category_tally",
            "product",
            "product_description",
            "product_option",
            "product_tag",
            "product_image",
            "variant",
            "variant_option",
            "inventory",
            "search_word",
        ];
        let mut all = Vec::new();
        for table in TABLES {
            let statement = Statement::from_string(self.db.backend(), format!("SELECT * FROM {table}"));
            let rows = JsonValue::find_by_statement(statement).all(self.db.owner()).await.expect("rows");
            all.extend(rows.iter().map(|row| format!("{table} {row}")));
        }
        all.sort();
        all
    }

    /// Runs SQL of the story's own, which both databases understand.
    pub async fn sql(&self, sql: &str) -> Result<u64, sea_orm::DbErr> {
        use sea_orm::ConnectionTrait;
        self.db.owner().execute_unprepared(sql).await.map(|done| done.rows_affected())
    }

    /// The one number that a query of the story's own answers.
    pub async fn number(&self, sql: &str) -> i64 {
        number(&self.db, sql).await
    }

    /// Does what is left to do, and fails when some of it cannot be done, or when anything that the catalog derives is
    /// not what its parts say.
    pub async fn settle(&self) {
        self.work().await;
        settled(&self.db).await;
    }
}

/// Limits that no story reaches by chance; what is limited has stories of its own.
const GENEROUS: [(&str, &str); 7] = [
    ("SAVANNAH_THROTTLE__ORDERS_PER_ADDRESS", "1000000/1h"),
    ("SAVANNAH_THROTTLE__ORDERS_PER_RECIPIENT", "1000000/1h"),
    ("SAVANNAH_THROTTLE__CART_CHANGES_PER_ADDRESS", "1000000/1h"),
    ("SAVANNAH_THROTTLE__REGISTRATIONS_PER_ADDRESS", "1000000/1h"),
    ("SAVANNAH_THROTTLE__MAILS_PER_ACCOUNT", "1000000/1h"),
    ("SAVANNAH_NOTIFICATION__EMAIL_INTERVAL", "0"),
    ("SAVANNAH_CHECKOUT__PAYMENT_METHODS", "manual, bank"),
];

/// A moment.
pub fn moment(text: &str) -> DateTime<Utc> {
    text.parse().expect("a moment")
}
