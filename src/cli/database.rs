//! Connections of the commands to the database, and their end.

use std::time::Duration;

use tokio::time::Instant;
use tokio_util::task::TaskTracker;

use crate::{
    base::Clock,
    infra::{Config, Db, bootstrap},
};

/// Connects to the database; `with_request_limits` applies the statement timeouts of requests.
pub(super) async fn connect_database(config: &Config, with_request_limits: bool) -> Result<Db, String> {
    let database = if with_request_limits { config.database.clone() } else { config.database.without_limits() };
    Db::connect(&database, Clock::default()).await
}

/// Connects to the database and ensures that its schema and currency match the configuration.
pub(super) async fn connect_initialized_database(config: &Config, with_request_limits: bool) -> Result<Db, String> {
    let db = connect_database(config, with_request_limits).await?;
    bootstrap::ensure_initialized(&db, config).await?;
    Ok(db)
}

/// Minimum time for tasks and connections to close at shutdown, even if the shutdown timeout is over.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// Waits for running tasks and closes the database, until the deadline but at least [`CLOSE_TIMEOUT`].
pub(super) async fn await_tasks_and_close(tasks: &TaskTracker, db: Db, deadline: Instant) {
    tasks.close();
    let all_finished = async {
        tasks.wait().await;
        db.close().await;
    };
    if tokio::time::timeout_at(deadline.max(Instant::now() + CLOSE_TIMEOUT), all_finished).await.is_err() {
        tracing::warn!("background tasks did not finish in time");
    }
}
