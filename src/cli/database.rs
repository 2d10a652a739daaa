//! Connections of the commands to the database, and their end.

use std::time::Duration;

use tokio::time::Instant;
use tokio_util::task::TaskTracker;

use crate::{
    analytics,
    base::Clock,
    infra::{Config, Db, bootstrap, find_sqlite_file},
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
    ensure_analytics_time_zone(&db, config).await?;
    Ok(db)
}

/// Stores the time zone of the daily figures at the first start, and warns if another one is configured since.
async fn ensure_analytics_time_zone(db: &Db, config: &Config) -> Result<(), String> {
    let configured = config.shop.time_zone;
    let stored = analytics::state::ensure_time_zone(db, configured).await;
    let stored =
        stored.map_err(|error| format!("the time zone of analytics cannot be read: {}", error.log_message()))?;
    if stored != configured {
        tracing::warn!(
            stored = stored.name(),
            configured = configured.name(),
            "the days of analytics are those of the stored time zone until `savannah analytics rebuild` is run"
        );
    }
    Ok(())
}

/// Connects to an existing database, whose schema must be current. Changes nothing.
pub(super) async fn connect_existing_database(config: &Config) -> Result<Db, String> {
    if config.database.is_sqlite() {
        let path = find_sqlite_file(&config.database)?;
        if !path.exists() {
            return Err(format!("there is no database at {}", path.display()));
        }
    }
    let db = connect_database(config, false).await?;
    let pending = db.count_pending_migrations().await.map_err(|error| format!("the schema cannot be read: {error}"))?;
    if pending > 0 {
        db.close().await;
        return Err(format!("the database lacks {pending} migrations: run `savannah migrate` first"));
    }
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
