//! The event feed: every instance reads every event once, in the order of positions.

use std::{sync::Arc, time::Duration};

use chrono::TimeDelta;
use futures_util::future::join_all;
use savannah::{
    base::Error,
    infra::{
        Db, FeedEvent, FeedMessage, FeedPage, JobContext, event_feed::read_events_after, jobs::retention, outbox::Event,
    },
};
use serde::{Deserialize, Serialize};
use tokio::sync::broadcast::Receiver;

use crate::{
    integration_tests,
    support::{Backend, TestApp},
};

integration_tests![
    concurrent_events_are_broadcast_once_in_order,
    event_committed_late_is_not_skipped,
    event_of_another_process_is_broadcast,
    feed_without_a_worker_creates_deliveries,
    feed_of_a_new_instance_relays_pending_events_and_continues_after_them,
    reading_after_deleted_events_is_refused,
];

/// Maximum time to wait for an event on a busy machine.
const WAIT_TIMEOUT: Duration = Duration::from_mins(1);

#[derive(Debug, Serialize, Deserialize)]
struct FeedTestEvent {
    aggregate: i64,
    number: i64,
}

impl Event for FeedTestEvent {
    const KIND: &'static str = "FeedTestEvent";

    fn aggregate(&self) -> String {
        format!("test:{}", self.aggregate)
    }
}

async fn emit_event(db: &Db, aggregate: i64, number: i64) {
    let outcome = db.write(async |tx| tx.emit_event(FeedTestEvent { aggregate, number }).await).await;
    outcome.unwrap_or_else(|error| panic!("not emitted: {}", error.log_message()));
}

/// Receives this many events.
async fn receive_events(receiver: &mut Receiver<FeedMessage>, count: usize) -> Vec<Arc<FeedEvent>> {
    let mut events = Vec::new();
    while events.len() < count {
        let message = tokio::time::timeout(WAIT_TIMEOUT, receiver.recv()).await.expect("an event in time");
        let FeedMessage::Event(event) = message.expect("a message") else { panic!("the feed was reset") };
        events.push(event);
    }
    events
}

fn numbers_of(events: &[Arc<FeedEvent>]) -> Vec<i64> {
    events.iter().map(|event| event.payload["number"].as_i64().expect("a number")).collect()
}

async fn concurrent_events_are_broadcast_once_in_order(backend: Backend) {
    let app = TestApp::start_with_settings(backend, &[("SAVANNAH_DATABASE__MAX_CONNECTIONS", "16")]).await;
    let mut receiver = app.http_app.state.event_feed.subscribe();
    app.start_event_feed().await;
    let emit_events = async |client: i64| {
        for round in 0..6 {
            let number = client * 100 + round;
            let outcome = app.db.write(async |tx| {
                tx.emit_event(FeedTestEvent { aggregate: client % 4, number }).await?;
                if number % 3 == 0 { Err(Error::bad_input("", "rejected by the test")) } else { Ok(()) }
            });
            assert_eq!(outcome.await.is_ok(), number % 3 != 0);
        }
    };
    join_all((0..16).map(emit_events)).await;
    let mut committed: Vec<i64> = (0..16)
        .flat_map(|client| (0..6).map(move |round| client * 100 + round))
        .filter(|number| number % 3 != 0)
        .collect();
    let events = receive_events(&mut receiver, committed.len()).await;
    let positions: Vec<i64> = events.iter().map(|event| event.position).collect();
    assert_eq!(positions, (1..).take(events.len()).collect::<Vec<i64>>(), "positions have no gaps");
    for aggregate in 0..4 {
        let ids: Vec<i64> = events
            .iter()
            .filter(|event| event.aggregate == format!("test:{aggregate}"))
            .map(|event| event.id)
            .collect();
        assert!(ids.is_sorted(), "events of an aggregate are in order: {ids:?}");
    }
    let mut numbers = numbers_of(&events);
    numbers.sort_unstable();
    committed.sort_unstable();
    assert_eq!(numbers, committed);
    let FeedPage::Events(page) = read_events_after(&app.db, 10, 5).await.expect("a page") else { panic!("expired") };
    assert_eq!(page.iter().map(|event| event.position).collect::<Vec<_>>(), [11, 12, 13, 14, 15]);
}

async fn event_committed_late_is_not_skipped(backend: Backend) {
    // SQLite has one writer: transactions do not overlap.
    if backend == Backend::Sqlite {
        return;
    }
    let app = TestApp::start(backend).await;
    let mut receiver = app.http_app.state.event_feed.subscribe();
    app.start_event_feed().await;
    let outcome = app.db.write(async |tx| {
        tx.emit_event(FeedTestEvent { aggregate: 1, number: 1 }).await?;
        // Gets a higher id, and is committed and broadcast first.
        emit_event(&app.db, 2, 2).await;
        assert_eq!(numbers_of(&receive_events(&mut receiver, 1).await), [2]);
        Ok(())
    });
    outcome.await.expect("a commit");
    assert_eq!(numbers_of(&receive_events(&mut receiver, 1).await), [1]);
}

async fn event_of_another_process_is_broadcast(backend: Backend) {
    let app = TestApp::start(backend).await;
    let mut receiver = app.http_app.state.event_feed.subscribe();
    app.start_event_feed().await;
    let other_process = app.open_second_database().await;
    emit_event(&other_process, 1, 1).await;
    assert_eq!(numbers_of(&receive_events(&mut receiver, 1).await), [1]);
    assert_eq!(app.http_app.state.event_feed.position(), 1);
    other_process.close().await;
}

async fn feed_without_a_worker_creates_deliveries(backend: Backend) {
    let app = TestApp::start_with_demo_catalog(backend).await;
    app.drain_jobs().await;
    app.execute_sql(
        "INSERT INTO event_subscription (consumer, event_type, created_at, updated_at) \
         SELECT 'test', 'FeedTestEvent', created_at, updated_at FROM event_subscription LIMIT 1",
    )
    .await
    .expect("a subscription");
    let mut receiver = app.http_app.state.event_feed.subscribe();
    app.start_event_feed().await;
    emit_event(&app.db, 1, 1).await;
    assert_eq!(numbers_of(&receive_events(&mut receiver, 1).await), [1]);
    assert_eq!(app.query_scalar("SELECT count(*) FROM job WHERE queue = 'test'").await, 1);
}

async fn feed_of_a_new_instance_relays_pending_events_and_continues_after_them(backend: Backend) {
    let app = TestApp::start(backend).await;
    let mut receiver = app.http_app.state.event_feed.subscribe();
    for number in 1..=3 {
        emit_event(&app.db, 1, number).await;
    }
    app.start_event_feed().await;
    assert_eq!(app.query_scalar("SELECT count(*) FROM outbox_event WHERE position IS NULL").await, 0);
    assert_eq!(app.http_app.state.event_feed.position(), 3);
    emit_event(&app.db, 1, 4).await;
    assert_eq!(numbers_of(&receive_events(&mut receiver, 1).await), [4]);
}

async fn reading_after_deleted_events_is_refused(backend: Backend) {
    let app = TestApp::start(backend).await;
    for number in 1..=3 {
        emit_event(&app.db, 1, number).await;
    }
    app.drain_jobs().await;
    let retention = TimeDelta::from_std(app.http_app.state.config.jobs.retention).expect("a duration");
    app.clock.set(app.db.now() + retention + TimeDelta::minutes(1));
    emit_event(&app.db, 1, 4).await;
    app.drain_jobs().await;
    let config = Arc::new(app.http_app.state.config.clone());
    let state = &app.http_app.state;
    let context = JobContext::new(app.db.clone(), state.redis.clone(), config, &state.http_client).expect("a context");
    retention::delete_expired_jobs(&context).await.expect("deleted events");
    assert_eq!(app.query_scalar("SELECT count(*) FROM outbox_event WHERE event_type = 'FeedTestEvent'").await, 1);
    let read_after = async |position| read_events_after(&app.db, position, 10).await.expect("a page");
    for position in [0, 2] {
        assert!(matches!(read_after(position).await, FeedPage::Expired), "{position}");
    }
    for (position, expected) in [(3, vec![4]), (4, vec![]), (5, vec![])] {
        let FeedPage::Events(events) = read_after(position).await else { panic!("{position} is expired") };
        assert_eq!(numbers_of(&events), expected);
    }
}
