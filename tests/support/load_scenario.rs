//! A shop of the real binary with products and a staff account, for load clients.

use serde_json::json;

use super::{Backend, CliSandbox, LoadCatalog, LoadClients, RunningProcess, TestDatabase};

/// Settings of a shop under load.
const SETTINGS: [(&str, &str); 5] = [
    // The shortest, so that jobs of killed workers are reclaimed quickly.
    ("SAVANNAH_JOBS__LEASE_DURATION", "3s"),
    ("SAVANNAH_DATABASE__MAX_CONNECTIONS", "4"),
    // Several instances, workers and clients share two cores: a connection can take long to acquire.
    ("SAVANNAH_DATABASE__ACQUIRE_TIMEOUT", "30s"),
    // Above the number of orders: every order confirmation is counted.
    ("SAVANNAH_SMS__GUEST_DAILY_LIMIT", "1000000"),
    ("SAVANNAH_CHECKOUT__PAYMENT_METHODS", "cash_on_delivery, test"),
];
const STAFF_EMAIL: &str = "amani@shop.example";

/// Shop with products and a staff account.
pub struct LoadScenario {
    pub sandbox: CliSandbox,
    pub database: TestDatabase,
    pub catalog: LoadCatalog,
    password: String,
}

impl LoadScenario {
    pub async fn prepare(backend: Backend) -> Self {
        let database = TestDatabase::create_migrated(backend).await;
        let path = std::env::var("PATH").unwrap_or_default();
        let variables = [("DATABASE_URL", database.url()), ("PATH", &path)];
        let sandbox = CliSandbox::new(&[&variables[..], &SETTINGS[..]].concat());
        sandbox.write_file("goods.csv", &LoadCatalog::to_csv());
        let exited = sandbox.run_command(&["import", "products", "goods.csv"], &[]).await;
        assert_eq!(exited.exit_code, Some(0), "{exited:?}");
        let exited = sandbox.run_command(&["user", "create", "--email", STAFF_EMAIL, "--role", "staff"], &[]).await;
        assert_eq!(exited.exit_code, Some(0), "{exited:?}");
        let password = exited.stdout.split_whitespace().last().expect("a password").to_owned();
        let db = database.connect().await;
        let catalog = LoadCatalog::from_database(&db).await.expect("the catalog");
        // On SQLite no process has the file open after a crash: the next process recovers it.
        db.close().await;
        Self { sandbox, database, catalog, password }
    }

    pub async fn start_clients(&self, server: &RunningProcess, count: usize) -> LoadClients {
        let input = format!("{{ email: {}, password: {} }}", json!(STAFF_EMAIL), json!(self.password));
        let response =
            server.query(&format!("mutation {{ login(input: {input}) {{ tokens {{ accessToken }} }} }}")).await;
        let token = response["data"]["login"]["tokens"]["accessToken"].as_str().expect("a token");
        LoadClients::spawn(count, &self.catalog, token)
    }
}
