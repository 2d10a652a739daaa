//! How many database connections are in use, and how many callers wait for one.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::{Connections, Db, ReadConnections};
use crate::infra::telemetry::PoolUsage;

/// Callers that need a connection.
#[derive(Debug, Default)]
pub(super) struct ConnectionDemand {
    /// Reads that run or wait for a connection.
    reads: AtomicUsize,
    /// Transactions that wait for a connection.
    waiting_writers: AtomicUsize,
}

/// One more caller, until it is dropped.
pub(super) struct DemandGuard<'a>(&'a AtomicUsize);

impl Drop for DemandGuard<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl ConnectionDemand {
    /// Counts a read until the guard is dropped.
    pub(super) fn begin_read(&self) -> DemandGuard<'_> {
        Self::count(&self.reads)
    }

    /// Counts a transaction that waits until the guard is dropped.
    pub(super) fn begin_wait_for_writer(&self) -> DemandGuard<'_> {
        Self::count(&self.waiting_writers)
    }

    fn count(counter: &AtomicUsize) -> DemandGuard<'_> {
        counter.fetch_add(1, Ordering::Relaxed);
        DemandGuard(counter)
    }
}

impl Db {
    /// Returns the usage of the pools of reads and writes.
    #[must_use]
    pub fn pool_usage(&self) -> [PoolUsage; 2] {
        self.connections.pool_usage()
    }
}

impl Connections {
    fn pool_usage(&self) -> [PoolUsage; 2] {
        let (read_limit, reads_in_use, read_idle, write_idle) = match &self.readers {
            ReadConnections::Pooled { pool, .. } => {
                let (reads, writes) = (pool.get_postgres_connection_pool(), self.writer.get_postgres_connection_pool());
                let in_use = (reads.size() as usize).saturating_sub(reads.num_idle());
                let limit = reads.options().get_max_connections() as usize;
                (limit, in_use, reads.num_idle(), writes.num_idle())
            }
            ReadConnections::Separate { readers, .. } => {
                let free = readers.free_count();
                (readers.limit(), readers.limit() - free, free, self.write_permits.available_permits())
            }
        };
        let writes_in_use = self.write_limit - self.write_permits.available_permits().min(self.write_limit);
        let waiting_reads = self.demand.reads.load(Ordering::Relaxed).saturating_sub(reads_in_use);
        let waiting_writers = self.demand.waiting_writers.load(Ordering::Relaxed);
        [
            PoolUsage {
                pool: "read",
                limit: read_limit,
                in_use: reads_in_use,
                idle: read_idle,
                waiting: waiting_reads,
            },
            PoolUsage {
                pool: "write",
                limit: self.write_limit,
                in_use: writes_in_use,
                idle: write_idle,
                waiting: waiting_writers,
            },
        ]
    }
}
