//! The event feed: every instance reads all outbox events in the order of their positions and broadcasts them in its
//! process, to live updates and caches.
//!
//! It relays pending events itself, so that it needs no worker. It is woken by commits and relays, on PostgreSQL also by
//! those of other processes, and polls.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use chrono::{DateTime, Utc};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;

use super::{
    Config, Db,
    entity::{
        outbox_event::{self, Column},
        outbox_position,
    },
    jobs::outbox_relay,
};
use crate::base::{Error, Result};

/// Messages that a subscriber may be behind; a slower one gets `Lagged`.
const FEED_CAPACITY: usize = 1024;
/// Maximum number of events read by one statement.
const READ_BATCH_SIZE: u64 = 500;
/// Delay after a failed read.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);

/// An event of the feed.
#[derive(Debug, Clone, PartialEq)]
pub struct FeedEvent {
    /// Position in the order of all events; clients continue from it.
    pub position: i64,
    /// The event's id.
    pub id: i64,
    /// The kind of the event: [`super::outbox::Event::KIND`].
    pub kind: String,
    /// The aggregate as `type:key`.
    pub aggregate: String,
    /// The event as JSON.
    pub payload: serde_json::Value,
    /// Time of the event.
    pub occurred_at: DateTime<Utc>,
}

/// A message to the subscribers of the feed.
#[derive(Debug, Clone)]
pub enum FeedMessage {
    /// The next event.
    Event(Arc<FeedEvent>),
    /// Events were deleted before this instance had read them: everything derived from earlier events is outdated.
    Reset,
}

/// Events after a position.
#[derive(Debug)]
pub enum FeedPage {
    /// The next events in order, at most as many as requested; empty at the end of the feed.
    Events(Vec<Arc<FeedEvent>>),
    /// Events after the position were deleted.
    Expired,
}

/// The event feed of an instance.
#[derive(Debug)]
pub struct EventFeed {
    sender: broadcast::Sender<FeedMessage>,
    position: AtomicI64,
}

impl EventFeed {
    /// Creates the feed at the current end of the events. Statements: 1.
    pub async fn load(db: &Db) -> Result<Self> {
        let position = find_position(db).await?.last_position;
        Ok(Self { sender: broadcast::Sender::new(FEED_CAPACITY), position: AtomicI64::new(position) })
    }

    /// Subscribes to the messages after [`Self::position`]. Without a running feed there are none.
    #[must_use]
    pub fn subscribe(&self) -> broadcast::Receiver<FeedMessage> {
        self.sender.subscribe()
    }

    /// Returns the position of the last event that was broadcast, or is being broadcast.
    #[must_use]
    pub fn position(&self) -> i64 {
        self.position.load(Ordering::SeqCst)
    }

    /// Relays pending events and continues after all events: for an instance that starts, because nothing that it does
    /// next is older than they are. Statements: 2 if none is pending.
    pub async fn skip_to_end(&self, db: &Db) -> Result<()> {
        outbox_relay::relay_events(db).await?;
        self.position.store(find_position(db).await?.last_position, Ordering::SeqCst);
        Ok(())
    }

    /// Relays, reads and broadcasts events until the shutdown. There is one run per instance.
    pub async fn run(&self, db: &Db, config: &Config, shutdown: &CancellationToken) {
        let _listener_task = db.job_notifier().listen(&config.database);
        let mut wake_signal = db.job_notifier().subscribe();
        let mut is_healthy = true;
        loop {
            wake_signal.borrow_and_update();
            let wait_duration = match self.broadcast_new_events(db).await {
                Ok(()) => {
                    is_healthy = true;
                    config.jobs.poll_interval
                }
                Err(error) => {
                    if is_healthy {
                        tracing::warn!(error = error.log_message(), "reading events failed; retrying every second");
                    }
                    is_healthy = false;
                    RETRY_INTERVAL
                }
            };
            tokio::select! {
                () = shutdown.cancelled() => return,
                _ = wake_signal.changed() => {}
                () = tokio::time::sleep(wait_duration) => {}
            }
        }
    }

    /// Relays pending events and broadcasts all new ones. Statements: 3 if there are none.
    async fn broadcast_new_events(&self, db: &Db) -> Result<()> {
        outbox_relay::relay_events(db).await?;
        loop {
            let messages = match read_events_after(db, self.position(), READ_BATCH_SIZE).await? {
                FeedPage::Events(events) => events,
                FeedPage::Expired => {
                    self.position.store(find_position(db).await?.last_position, Ordering::SeqCst);
                    let _ = self.sender.send(FeedMessage::Reset);
                    return Ok(());
                }
            };
            let is_end = (messages.len() as u64) < READ_BATCH_SIZE;
            for event in messages {
                self.position.store(event.position, Ordering::SeqCst);
                // An error means that there are no subscribers.
                let _ = self.sender.send(FeedMessage::Event(event));
            }
            // Events that were relayed meanwhile wake the feed again.
            if is_end {
                return Ok(());
            }
        }
    }
}

/// Reads the events after a position. Statements: 1, and 1 more at the end of the feed or after deleted events.
pub async fn read_events_after(db: &impl ConnectionTrait, position: i64, limit: u64) -> Result<FeedPage> {
    let rows = outbox_event::Entity::find()
        .filter(Column::Position.gt(position))
        .order_by_asc(Column::Position)
        .limit(limit)
        .all(db)
        .await?;
    let events = rows.into_iter().map(to_feed_event).collect::<Result<Vec<_>>>()?;
    let is_next = |event: &Arc<FeedEvent>| event.position == position + 1;
    if !events.first().is_some_and(is_next) && find_position(db).await?.deleted_position > position {
        return Ok(FeedPage::Expired);
    }
    Ok(FeedPage::Events(events))
}

fn to_feed_event(row: outbox_event::Model) -> Result<Arc<FeedEvent>> {
    let outbox_event::Model { id, event_type, aggregate, payload, position, created_at, .. } = row;
    let position = position.ok_or_else(|| Error::internal("reading events", "an event has no position"))?;
    Ok(Arc::new(FeedEvent { position, id, kind: event_type, aggregate, payload, occurred_at: created_at }))
}

async fn find_position(db: &impl ConnectionTrait) -> Result<outbox_position::Model> {
    let row = outbox_position::Entity::find().one(db).await?;
    row.ok_or_else(|| Error::internal("reading the position of events", "the row does not exist"))
}
