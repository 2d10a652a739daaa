//! The event feed of a test server.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use savannah::{graphql::cache_policy::follow_events, infra::cache::FeedPosition};

use super::{TestApp, binary::WAIT_TIMEOUT};

impl TestApp {
    /// Starts the event feed, as in `savannah serve`; by default tests have none, so that events wait for the jobs.
    pub async fn start_event_feed(&self) {
        let shutdown = self.shutdown_on_drop.token().clone();
        let following = follow_events(Arc::clone(&self.http_app.state), shutdown).await;
        tokio::spawn(following.expect("a running feed"));
    }

    /// Waits until the event feed of this instance has applied all committed events.
    pub async fn wait_until_events_are_applied(&self) {
        let started_at = Instant::now();
        loop {
            let pending = self.query_scalar("SELECT count(*) FROM outbox_event WHERE position IS NULL").await;
            let end = self.query_scalar("SELECT last_position FROM outbox_position").await;
            let applied = self.db.tag_versions().applied_position();
            if pending == 0 && applied == Some(FeedPosition(end)) {
                return;
            }
            assert!(started_at.elapsed() < WAIT_TIMEOUT, "{pending} pending events, {applied:?} of {end} applied");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}
