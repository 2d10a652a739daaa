//! Polls the positions of primary and replica, and logs when the replica is used and when it is not.

use std::time::{Duration, Instant};

use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, DbErr, Statement};
use tokio::sync::watch;

use super::{
    WalPosition,
    progress::{ProgressTracker, ReplicaProgress},
};

/// Time between two polls.
const POLL_INTERVAL: Duration = Duration::from_millis(100);
/// Maximum duration of a poll of one server. A slower replica is treated as unavailable.
pub(super) const POLL_TIMEOUT: Duration = Duration::from_secs(1);

/// Position after the last record, and the identifier of the cluster. The next record begins after the header of its page:
/// an idle replica would never reach the position at the beginning of a page (24 bytes) or segment (40 bytes).
pub(super) const PRIMARY_POSITION: &str = "SELECT inserted - CASE \
        WHEN inserted % current_setting('wal_block_size')::bigint = 24 THEN 24 \
        WHEN inserted % pg_size_bytes(current_setting('wal_segment_size')) = 40 THEN 40 ELSE 0 END AS position, \
        system_identifier \
    FROM (SELECT (pg_current_wal_insert_lsn() - '0/0'::pg_lsn)::bigint AS inserted) AS wal, pg_control_system()";
/// The position is null if the server is not a replica.
const REPLICA_POSITION: &str = "SELECT CASE WHEN pg_is_in_recovery() \
                                THEN (pg_last_wal_replay_lsn() - '0/0'::pg_lsn)::bigint END AS position, \
                                system_identifier FROM pg_control_system()";

/// Polls a replica. Each server has a connection of its own here, so that a full pool does not delay the polls.
#[derive(Debug)]
pub(super) struct ReplicaMonitor {
    pub(super) primary: DatabaseConnection,
    pub(super) replica: DatabaseConnection,
    pub(super) progress: watch::Sender<Option<ReplicaProgress>>,
    pub(super) max_lag: Duration,
    /// Server and database of the replica, for the log.
    pub(super) location: String,
}

/// Why the replica is used or not, in the order of a log line per change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ReplicaStatus {
    /// Not polled yet.
    Unknown,
    /// It is used.
    Used,
    /// It responds, but its data is too old.
    Behind,
    /// It does not respond, or is no replica of the primary.
    Unavailable,
}

/// Position of a server, with its cluster.
#[derive(Debug, Clone, Copy)]
struct PolledPosition {
    position: Option<WalPosition>,
    system_identifier: i64,
}

impl ReplicaMonitor {
    /// Polls until the task is aborted.
    pub(super) async fn run(self) {
        let mut tracker = ProgressTracker::default();
        let mut status = ReplicaStatus::Unknown;
        let mut interval = tokio::time::interval(POLL_INTERVAL);
        interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            interval.tick().await;
            let outcome = self.poll(&mut tracker).await;
            let progress = *outcome.as_ref().unwrap_or(&None);
            if outcome.is_err() {
                tracker.reset();
            }
            self.progress.send_replace(progress);
            let new_status = match (&outcome, progress) {
                (Err(_), _) => ReplicaStatus::Unavailable,
                (Ok(_), Some(progress)) if progress.lag() <= self.max_lag => ReplicaStatus::Used,
                _ => ReplicaStatus::Behind,
            };
            // A replica that was not polled before may need a moment to catch up.
            let is_starting = status == ReplicaStatus::Unknown && new_status == ReplicaStatus::Behind;
            if new_status != status && !is_starting {
                self.log_status(new_status, outcome.err().as_deref());
                status = new_status;
            }
        }
    }

    /// Polls both servers. `None`: nothing is known yet.
    ///
    /// # Errors
    /// Returns the reason if the replica cannot be used. A primary that does not respond is no error: the data of the
    /// replica ages until then.
    async fn poll(&self, tracker: &mut ProgressTracker) -> Result<Option<ReplicaProgress>, String> {
        // Before the position is read: all commits until this time precede it.
        let time = Instant::now();
        let primary = read_position(&self.primary, PRIMARY_POSITION).await.ok();
        if let Some(position) = primary.and_then(|primary| primary.position) {
            tracker.record_primary_position(time, position);
        }
        let replica = read_position(&self.replica, REPLICA_POSITION).await?;
        let position = replica.position.ok_or("the server is not a replica")?;
        if primary.is_some_and(|primary| primary.system_identifier != replica.system_identifier) {
            return Err("the server is a replica of another primary".to_owned());
        }
        Ok(tracker.record_replica_position(position))
    }

    fn log_status(&self, status: ReplicaStatus, reason: Option<&str>) {
        let location = &self.location;
        match status {
            ReplicaStatus::Unknown => {}
            ReplicaStatus::Used => tracing::info!("reads use the replica at {location}"),
            ReplicaStatus::Behind => {
                let max_lag_seconds = self.max_lag.as_secs_f64();
                tracing::warn!(max_lag_seconds, "the replica at {location} is behind; reads use the primary");
            }
            ReplicaStatus::Unavailable => {
                let reason = reason.unwrap_or_default();
                tracing::warn!(reason, "the replica at {location} is unavailable; reads use the primary");
            }
        }
    }
}

/// Reads the position of a server within [`POLL_TIMEOUT`].
async fn read_position(connection: &DatabaseConnection, sql: &str) -> Result<PolledPosition, String> {
    let read = async {
        let row = connection.query_one_raw(Statement::from_string(DbBackend::Postgres, sql)).await?;
        let row = row.ok_or_else(|| DbErr::RecordNotFound("the position".to_owned()))?;
        let is_null = row.try_get::<Option<i64>>("", "position")?.is_none();
        let position = if is_null { None } else { Some(WalPosition::from_column(&row, "position")?) };
        Ok::<_, DbErr>(PolledPosition { position, system_identifier: row.try_get("", "system_identifier")? })
    };
    match tokio::time::timeout(POLL_TIMEOUT, read).await {
        Ok(outcome) => outcome.map_err(|error| error.to_string()),
        Err(_) => Err("it does not respond".to_owned()),
    }
}
