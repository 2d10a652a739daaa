//! Sessions of the database beside the connections of the shop.

use std::time::{Duration, Instant};

use sea_orm::{ConnectOptions, ConnectionTrait, Database, DatabaseConnection, Statement};

use super::TestApp;

/// Longer than a session takes to end, on a slow machine.
const PATIENCE: Duration = Duration::from_mins(1);

impl TestApp {
    /// Opens one session.
    pub async fn open_session(&self) -> DatabaseConnection {
        let mut options = ConnectOptions::new(self.database_url());
        options.max_connections(1);
        Database::connect(options).await.expect("a session")
    }

    /// Closes the database of the shop and returns a number of the statistics of PostgreSQL, which has counted what a
    /// session did once the session has ended.
    pub async fn close_and_query_statistics(&self, sql: &str) -> i64 {
        let session = self.open_session().await;
        self.db.clone().close().await;
        let others = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
            AND backend_type = 'client backend' AND pid <> pg_backend_pid()";
        let started_at = Instant::now();
        while query_session_scalar(&session, others).await > 0 {
            assert!(started_at.elapsed() < PATIENCE, "sessions of the shop are left");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        query_session_scalar(&session, sql).await
    }
}

/// Returns the integer result of a query in a session.
pub async fn query_session_scalar(session: &DatabaseConnection, sql: &str) -> i64 {
    let sql = format!("SELECT CAST(({sql}) AS BIGINT) AS n");
    let row = session.query_one_raw(Statement::from_string(session.get_database_backend(), sql)).await;
    row.expect("a response").expect("a row").try_get("", "n").expect("a number")
}
