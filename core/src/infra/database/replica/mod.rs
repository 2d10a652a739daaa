//! The optional read replica of PostgreSQL.
//!
//! A request that only reads may read from the replica, if the replica has replayed what the request must see; it decides
//! once, so that it never reads older data than before. A task polls how far the replica is, so that no request has to
//! ask. Nothing depends on the replica: a read that fails there is repeated on the primary, and until the replica
//! responds again and is close enough, all reads use the primary.

mod monitor;
mod progress;
mod wal_position;

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use sea_orm::{ConnectionTrait, Database, DatabaseConnection, DbErr, Statement};
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;

use self::{
    monitor::{POLL_TIMEOUT, PRIMARY_POSITION, ReplicaMonitor},
    progress::ReplicaProgress,
};
use super::{
    Db,
    postgres::{ConnectionLoss, PoolSettings, pool_options},
};
use crate::{
    base::error::{is_connection_lost, is_statement_timeout},
    infra::config::DatabaseConfig,
};

pub use wal_position::{InvalidWalPosition, WalPosition};

/// Maximum time that a read waits for a connection to the replica before it uses the primary.
const MAX_ACQUIRE_TIMEOUT: Duration = Duration::from_secs(1);

/// A replica and its state.
#[derive(Debug)]
pub(super) struct Replica {
    pool: DatabaseConnection,
    loss: Arc<ConnectionLoss>,
    /// `None` while the replica is unavailable.
    progress: watch::Sender<Option<ReplicaProgress>>,
    max_lag: Duration,
    /// The replica is used only if it has everything that was committed until this time.
    required_since: Mutex<Option<Instant>>,
    monitor_task: AbortOnDropHandle<()>,
}

/// Whether the reads of a request use the replica; shared by the clones of its view of the database.
#[derive(Debug)]
pub(super) struct ReplicaReads(AtomicBool);

/// State of the replica, for monitoring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReplicaState {
    /// Whether reads use it.
    pub is_used: bool,
    /// Age of its data; `None` while it is unavailable.
    pub lag: Option<Duration>,
}

impl Replica {
    /// Creates the pool, which connects when it is used, and starts the task that polls the replica.
    fn connect(config: &DatabaseConfig, pools: [DatabaseConnection; 3], loss: Arc<ConnectionLoss>) -> Self {
        let [pool, primary, replica] = pools;
        let progress = watch::Sender::new(None);
        let max_lag = config.replica_max_lag;
        let location = config.replica_location().to_owned();
        let monitor = ReplicaMonitor { primary, replica, progress: progress.clone(), max_lag, location };
        let monitor_task = AbortOnDropHandle::new(tokio::spawn(monitor.run()));
        Self { pool, loss, progress, max_lag, required_since: Mutex::default(), monitor_task }
    }

    /// Returns whether the replica is close enough, has replayed the position, and has everything that was committed
    /// until `time`.
    fn has_replayed(&self, position: WalPosition, time: Option<Instant>) -> bool {
        let Some(progress) = *self.progress.borrow() else { return false };
        progress.lag() <= self.max_lag
            && progress.replayed >= position
            && time.is_none_or(|time| progress.caught_up_at >= time)
    }

    /// Runs a read; `None` if the primary has to be read instead.
    async fn run_read<T>(&self, read: impl Future<Output = Result<T, DbErr>>) -> Option<Result<T, DbErr>> {
        let mut progress = self.progress.subscribe();
        let end_of_replica = async { progress.wait_for(Option::is_none).await.is_ok() };
        let outcome = tokio::select! {
            biased;
            outcome = read => outcome,
            // The server does not respond: the read would wait for it.
            _ = end_of_replica => return None,
        };
        match outcome {
            Ok(rows) => Some(Ok(rows)),
            // It would take as long on the primary.
            Err(error) if is_statement_timeout(&error) => Some(Err(error)),
            Err(error) => {
                // The task logs the outage; other errors occur on the primary, too, or are conflicts with the replay.
                tracing::debug!(%error, "a read of the replica failed; repeated on the primary");
                if is_connection_lost(&error) {
                    self.loss.record();
                    self.progress.send_replace(None);
                }
                None
            }
        }
    }

    /// Closes the connections.
    pub(super) async fn close(&self) {
        self.monitor_task.abort();
        if let Err(error) = self.pool.close_by_ref().await {
            tracing::warn!(error = %error, "closing the replica failed");
        }
    }
}

impl Db {
    /// Connects to the replica of the settings, if there is one. It need not respond yet. Requests read from it after
    /// [`Db::prefer_replica`].
    ///
    /// # Errors
    /// Returns a message for the operator if the URL is invalid.
    pub async fn attach_replica(&self, config: &DatabaseConfig) -> Result<(), String> {
        if !config.has_replica() {
            return Ok(());
        }
        let loss = Arc::new(ConnectionLoss::default());
        let connect = async |settings: PoolSettings<'_>| {
            let pool = Database::connect(pool_options(config, settings, &loss)).await;
            pool.map_err(|error| format!("DATABASE_REPLICA_URL cannot be used: {error}"))
        };
        let readers = PoolSettings::of_replica(config, config.acquire_timeout.min(MAX_ACQUIRE_TIMEOUT));
        let pools = [
            connect(readers).await?,
            connect(PoolSettings::of_monitor(&config.url, POLL_TIMEOUT)).await?,
            connect(PoolSettings::of_monitor(&config.replica_url, POLL_TIMEOUT)).await?,
        ];
        // A replica that is attached already is kept.
        self.connections.replica.get_or_init(|| Replica::connect(config, pools, Arc::clone(&loss)));
        Ok(())
    }

    /// Lets the reads of a request use the replica, if it is close enough and has replayed `position`, until the first
    /// write.
    #[must_use]
    pub fn prefer_replica(self, position: WalPosition) -> Self {
        let is_usable = self.connections.replica.get().is_some_and(|replica| {
            let required_since = *replica.required_since.lock().unwrap_or_else(PoisonError::into_inner);
            replica.has_replayed(position, required_since)
        });
        let replica_reads = is_usable.then(|| Arc::new(ReplicaReads(AtomicBool::new(true))));
        Self { replica_reads, ..self }
    }

    /// Lets all further reads of the request use the primary.
    pub fn use_primary(&self) {
        if let Some(replica_reads) = &self.replica_reads {
            replica_reads.0.store(false, Ordering::SeqCst);
        }
    }

    /// Lets the reads of the request use the primary, unless the replica has all changes that cached values were
    /// invalidated for. Called after the version of a value was noted and before its data is read.
    pub fn require_invalidated_changes(&self) {
        if let Some(replica) = self.read_replica()
            && !replica.has_replayed(WalPosition::START, self.tag_versions.last_invalidated_at())
        {
            self.use_primary();
        }
    }

    /// Excludes the replica until it has everything that is committed now. Called before data in memory is replaced by
    /// newer data, so that rows that are older than the data in memory are not combined with it.
    pub fn require_committed_changes(&self) {
        if let Some(replica) = self.connections.replica.get() {
            *replica.required_since.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        }
    }

    /// Returns whether the reads of the request use the replica.
    #[must_use]
    pub fn reads_replica(&self) -> bool {
        self.read_replica().is_some()
    }

    /// Returns whether reads of requests may use a replica.
    #[must_use]
    pub fn has_replica(&self) -> bool {
        self.connections.replica.get().is_some()
    }

    /// Returns the state of the replica; `None` if there is none.
    #[must_use]
    pub fn replica_state(&self) -> Option<ReplicaState> {
        let replica = self.connections.replica.get()?;
        let lag = replica.progress.borrow().map(|progress| progress.lag());
        Some(ReplicaState { is_used: lag.is_some_and(|lag| lag <= replica.max_lag), lag })
    }

    /// Returns a position that all commits until now precede, [`WalPosition::UNKNOWN`] if it cannot be read; `None`
    /// without a replica. Not counted in the statistics. Statements: 1.
    pub async fn read_write_position(&self) -> Option<WalPosition> {
        self.connections.replica.get()?;
        let db = Self { query_stats: None, replica_reads: None, ..self.clone() };
        let read = db.query_one_raw(Statement::from_string(self.backend(), PRIMARY_POSITION)).await;
        let position = read.and_then(|row| {
            let row = row.ok_or_else(|| DbErr::RecordNotFound("the position".to_owned()))?;
            WalPosition::from_column(&row, "position")
        });
        Some(position.unwrap_or_else(|error| {
            tracing::warn!(error = %error, "the position of a write could not be read");
            WalPosition::UNKNOWN
        }))
    }

    /// Runs a read on the replica; `None` if the request reads from the primary.
    pub(super) async fn read_from_replica<'a, T, F>(
        &'a self,
        read: impl FnOnce(&'a DatabaseConnection) -> F,
    ) -> Option<Result<T, DbErr>>
    where
        F: Future<Output = Result<T, DbErr>> + Send,
    {
        let replica = self.read_replica()?;
        let outcome = replica.run_read(read(&replica.pool)).await;
        if outcome.is_none() {
            self.use_primary();
        }
        outcome
    }

    /// Returns the replica if the request reads from it.
    fn read_replica(&self) -> Option<&Replica> {
        let reads_replica = self.replica_reads.as_ref().is_some_and(|reads| reads.0.load(Ordering::SeqCst));
        if reads_replica { self.connections.replica.get() } else { None }
    }
}
