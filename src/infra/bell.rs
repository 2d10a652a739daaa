//! What rings when a write has left something to do: here at once, and on PostgreSQL for every other process too.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, Statement};
use tokio::sync::watch;
use uuid::Uuid;

/// The channel of LISTEN and NOTIFY.
pub(super) const CHANNEL: &str = "savannah_work";

/// A bell that everybody on one `Db` hears. A ring that nobody hears is no loss: work is also looked for by the clock.
#[derive(Debug)]
pub struct Bell {
    /// Whose rings are its own.
    pub(super) name: String,
    rung: watch::Sender<u64>,
    /// Somebody is telling the other processes.
    telling: AtomicBool,
    /// There is something to tell them that was not yet told.
    untold: AtomicBool,
}

impl Default for Bell {
    fn default() -> Self {
        Self {
            name: Uuid::now_v7().to_string(),
            rung: watch::Sender::new(0),
            telling: AtomicBool::new(false),
            untold: AtomicBool::new(false),
        }
    }
}

impl Bell {
    /// Hears every ring from now on.
    #[must_use]
    pub fn listen(&self) -> watch::Receiver<u64> {
        self.rung.subscribe()
    }

    /// Rings here.
    pub fn wake(&self) {
        self.rung.send_modify(|rings| *rings = rings.wrapping_add(1));
    }

    /// Rings here, and everywhere else.
    ///
    /// NOTIFY inside of the transactions would make them commit one after the other: PostgreSQL holds one lock over
    /// the commit of everybody who notifies. So they are told after the commit, never more than one at a time from
    /// here, and all rings that come meanwhile are one.
    pub(super) fn ring(self: &Arc<Self>, connection: &DatabaseConnection) {
        self.wake();
        if connection.get_database_backend() != DbBackend::Postgres {
            return;
        }
        self.untold.store(true, Ordering::SeqCst);
        if !self.telling.swap(true, Ordering::SeqCst) {
            tokio::spawn(Arc::clone(self).tell(connection.clone()));
        }
    }

    async fn tell(self: Arc<Self>, connection: DatabaseConnection) {
        loop {
            while self.untold.swap(false, Ordering::SeqCst) {
                // Nothing is written, so nothing need reach the disk.
                let sql = "SELECT set_config('synchronous_commit', 'off', true), pg_notify($1, $2)";
                let values = [CHANNEL.into(), self.name.as_str().into()];
                let said = Statement::from_sql_and_values(DbBackend::Postgres, sql, values);
                if let Err(why) = connection.query_one_raw(said).await {
                    tracing::debug!(error = %why, "other workers were not told of work; they find it by the clock");
                }
            }
            self.telling.store(false, Ordering::SeqCst);
            // Whoever rang between the two lines above saw that somebody was telling.
            if !self.untold.load(Ordering::SeqCst) || self.telling.swap(true, Ordering::SeqCst) {
                return;
            }
        }
    }
}
