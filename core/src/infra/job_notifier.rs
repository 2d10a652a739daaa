//! The job notifier: wakes workers and the event feed after a commit, in this process and on PostgreSQL in all others.

use std::sync::{
    Arc, Mutex, PoisonError, Weak,
    atomic::{AtomicBool, Ordering},
};

use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, Statement};
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;
use uuid::Uuid;

use super::{config::DatabaseConfig, pg_listener::listen_for_jobs};

/// The channel of LISTEN and NOTIFY.
pub(super) const NOTIFY_CHANNEL: &str = "savannah_work";

/// The notifier shared by the users of a `Db`. A lost notification is harmless: workers also poll.
#[derive(Debug)]
pub struct JobNotifier {
    /// The id by which notifications of this process are ignored.
    pub(super) instance_id: String,
    wake_signal: watch::Sender<u64>,
    /// Whether a task is sending notifications.
    is_notifying: AtomicBool,
    /// Whether a notification is waiting to be sent.
    has_pending_notification: AtomicBool,
    /// The task that listens to other processes, while something in this process needs it.
    listener_task: Mutex<Weak<AbortOnDropHandle<()>>>,
}

impl Default for JobNotifier {
    fn default() -> Self {
        Self {
            instance_id: Uuid::now_v7().to_string(),
            wake_signal: watch::Sender::new(0),
            is_notifying: AtomicBool::new(false),
            has_pending_notification: AtomicBool::new(false),
            listener_task: Mutex::default(),
        }
    }
}

impl JobNotifier {
    /// Subscribes to wake-ups.
    #[must_use]
    pub fn subscribe(&self) -> watch::Receiver<u64> {
        self.wake_signal.subscribe()
    }

    /// Listens to the notifications of other processes until all returned handles are dropped; `None` on SQLite. All of
    /// a process share one connection.
    #[must_use]
    pub fn listen(self: &Arc<Self>, config: &DatabaseConfig) -> Option<Arc<AbortOnDropHandle<()>>> {
        if config.is_sqlite() {
            return None;
        }
        let mut listener_task = self.listener_task.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(running_task) = listener_task.upgrade() {
            return Some(running_task);
        }
        let task = tokio::spawn(listen_for_jobs(config.url.clone(), Arc::clone(self)));
        let handle = Arc::new(AbortOnDropHandle::new(task));
        *listener_task = Arc::downgrade(&handle);
        Some(handle)
    }

    /// Wakes the subscribers in this process.
    pub fn wake(&self) {
        self.wake_signal.send_modify(|wake_count| *wake_count = wake_count.wrapping_add(1));
    }

    /// Wakes the subscribers in this process and in all others.
    ///
    /// NOTIFY inside the transactions would serialize their commits: PostgreSQL holds a global lock during the commit
    /// of a transaction with NOTIFY. Therefore it is sent after the commit, one at a time per process, and
    /// notifications that arrive meanwhile are combined.
    pub(super) fn notify(self: &Arc<Self>, connection: &DatabaseConnection) {
        self.wake();
        if connection.get_database_backend() != DbBackend::Postgres {
            return;
        }
        self.has_pending_notification.store(true, Ordering::SeqCst);
        if !self.is_notifying.swap(true, Ordering::SeqCst) {
            tokio::spawn(Arc::clone(self).send_notifications(connection.clone()));
        }
    }

    async fn send_notifications(self: Arc<Self>, connection: DatabaseConnection) {
        loop {
            while self.has_pending_notification.swap(false, Ordering::SeqCst) {
                // Nothing is written, so the commit need not wait for the disk.
                let sql = "SELECT set_config('synchronous_commit', 'off', true), pg_notify($1, $2)";
                let values = [NOTIFY_CHANNEL.into(), self.instance_id.as_str().into()];
                let statement = Statement::from_sql_and_values(DbBackend::Postgres, sql, values);
                if let Err(error) = connection.query_one_raw(statement).await {
                    tracing::debug!(error = %error, "NOTIFY failed; workers will pick jobs up by polling");
                }
            }
            self.is_notifying.store(false, Ordering::SeqCst);
            // A notification stored between the two lines above was left to this task.
            if !self.has_pending_notification.load(Ordering::SeqCst) || self.is_notifying.swap(true, Ordering::SeqCst) {
                return;
            }
        }
    }
}
