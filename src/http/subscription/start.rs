//! Start of a subscription: checks access, reads the events after its cursor, and follows new ones without a gap.

use std::sync::Arc;

use async_graphql::{Pos, ServerError};

use super::{
    super::App,
    client::{Client, OperationOutput},
    dispatch::{Delivery, execute_for_event},
    hub::Subscriber,
    operation::SubscriptionOperation,
};
use crate::{
    base::error::PublicErrorCode,
    graphql::{
        error::{ErrorStage, finalize_errors},
        execution::document::errors::error_with_code,
        shared_loads::SharedLoads,
        subscription::{StartedSubscription, Topic},
    },
    infra::event_feed::{FeedEvent, FeedPage, read_events_after},
};

/// Number of events read at once.
const REPLAY_BATCH_SIZE: u64 = 500;

/// Subscription to start.
pub(super) struct NewSubscription {
    /// Operation.
    pub(super) operation: Arc<SubscriptionOperation>,
    /// Client of the connection.
    pub(super) client: Arc<Client>,
    /// Number of the operation within the connection.
    pub(super) number: u32,
    /// Position of `Last-Event-ID`, which takes precedence over `after`.
    pub(super) last_event: Option<i64>,
}

/// Starts a subscription; its output is delivered to the client, beginning with the events after its cursor.
pub(super) async fn start_subscription(app: &Arc<App>, subscription: NewSubscription) {
    let (client, number) = (Arc::clone(&subscription.client), subscription.number);
    let outcome = Box::pin(replay_and_register(app, subscription)).await;
    if let Err(mut errors) = outcome {
        finalize_errors(&mut errors, ErrorStage::Execute, "");
        client.deliver_when_ready(number, OperationOutput::Failed(errors)).await;
    }
}

async fn replay_and_register(app: &Arc<App>, subscription: NewSubscription) -> Result<(), Vec<ServerError>> {
    let StartedSubscription { topics, after } = subscription.operation.start(app).await?;
    let after = subscription.last_event.or(after);
    let mut position = after.unwrap_or_default();
    let mut replayed_count = 0;
    // Only clients that continue wait for a permit.
    let _permit = match after {
        Some(_) => app.subscriptions.replay_permits.acquire().await.ok(),
        None => None,
    };
    if position > app.state.event_feed.position() && !is_known_position(app, position).await? {
        return Err(vec![cursor_expired_error()]);
    }
    loop {
        if after.is_none() {
            position = app.subscriptions.position();
        }
        let subscriber =
            Subscriber { client: Arc::clone(&subscription.client), operation: subscription.number, position };
        let registered = app.subscriptions.register(&subscription.operation, &topics, subscriber);
        if let Some(guard) = registered.map_err(|error| vec![error])? {
            let started = OperationOutput::Started { guard, position };
            subscription.client.deliver_when_ready(subscription.number, started).await;
            return Ok(());
        }
        if after.is_none() {
            continue;
        }
        let dispatched_position = app.subscriptions.position();
        let FeedPage::Events(events) = read_page(app, position, REPLAY_BATCH_SIZE).await? else {
            return Err(vec![cursor_expired_error()]);
        };
        replayed_count += events.len();
        if replayed_count > app.state.config.subscriptions.max_replayed_events {
            return Err(vec![cursor_expired_error()]);
        }
        if events.is_empty() {
            position = position.max(dispatched_position);
        }
        for event in events {
            replay_event(app, &subscription, &topics, &event).await?;
            position = event.position;
        }
    }
}

/// Returns whether a position that this instance has not reached is one of another instance; otherwise the cursor is of
/// another database, or of this one before it was restored.
async fn is_known_position(app: &App, position: i64) -> Result<bool, Vec<ServerError>> {
    Ok(match read_page(app, position - 1, 1).await? {
        FeedPage::Events(events) => events.first().is_some_and(|event| event.position == position),
        FeedPage::Expired => true,
    })
}

async fn read_page(app: &App, position: i64, limit: u64) -> Result<FeedPage, Vec<ServerError>> {
    let page = read_events_after(&app.state.db, position, limit).await;
    page.map_err(|error| vec![async_graphql::Error::from(error).into_server_error(Pos::default())])
}

async fn replay_event(
    app: &Arc<App>,
    subscription: &NewSubscription,
    topics: &[Topic],
    event: &Arc<FeedEvent>,
) -> Result<(), Vec<ServerError>> {
    if !Topic::list_of_event(event).iter().any(|topic| topics.contains(topic)) {
        return Ok(());
    }
    let delivery = execute_for_event(app, &subscription.operation, event, &SharedLoads::default()).await;
    let output = match delivery {
        Delivery::Nothing => return Ok(()),
        Delivery::Response(response) => OperationOutput::Event { response, position: event.position },
        Delivery::AccessLost(errors) => return Err(errors),
        Delivery::Unavailable => {
            let message = "The events cannot be read at the moment; try again.".to_owned();
            return Err(vec![error_with_code(message, PublicErrorCode::Unavailable)]);
        }
    };
    subscription.client.deliver_when_ready(subscription.number, output).await;
    Ok(())
}

fn cursor_expired_error() -> ServerError {
    let message = "The events after this cursor are no longer available: load the current state and subscribe again \
                   without `after`.";
    error_with_code(message.to_owned(), PublicErrorCode::CursorExpired)
}
