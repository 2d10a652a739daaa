//! Notifications about commits of other processes: LISTEN on a dedicated connection.

use std::{sync::Arc, time::Duration};

use secrecy::{ExposeSecret, SecretString};
use sqlx::postgres::PgListener;

use super::job_notifier::{JobNotifier, NOTIFY_CHANNEL};

/// The delay before a lost connection is reopened. Until then jobs and events are found by polling.
const RECONNECT_INTERVAL: Duration = Duration::from_secs(5);

/// Wakes the subscribers of the notifier on each notification, until it is dropped.
pub(super) async fn listen_for_jobs(url: SecretString, job_notifier: Arc<JobNotifier>) {
    loop {
        if let Err(error) = receive_notifications(&url, &job_notifier).await {
            // The error may contain the server's name, never the password.
            tracing::warn!(error = %error, "LISTEN connection lost; falling back to polling");
        }
        tokio::time::sleep(RECONNECT_INTERVAL).await;
    }
}

async fn receive_notifications(url: &SecretString, job_notifier: &JobNotifier) -> Result<(), sqlx::Error> {
    let mut listener = PgListener::connect(url.expose_secret()).await?;
    listener.listen(NOTIFY_CHANNEL).await?;
    // Notifications sent before LISTEN are not received.
    job_notifier.wake();
    // `None` means that the connection was lost; the caller reopens it.
    while let Some(notification) = listener.try_recv().await? {
        if notification.payload() != job_notifier.instance_id {
            job_notifier.wake();
        }
    }
    Ok(())
}
