//! Dispatch of events to subscriptions: each group is executed once per event.

use std::sync::Arc;

use async_graphql::{Response, ServerError, Value};
use axum::body::Bytes;
use tokio::sync::broadcast::error::RecvError;

use super::{
    super::{App, graphql_response::serialize_response},
    client::OperationOutput,
    close_reason::CloseReason,
    hub::ConcernedGroup,
    operation::SubscriptionOperation,
};
use crate::{
    base::{Result, error::PublicErrorCode},
    graphql::{
        shared_loads::SharedLoads,
        subscription::{EventPhase, Topic},
    },
    infra::event_feed::{FeedEvent, FeedMessage, FeedPage, read_events_after},
};

/// Number of events read at once after falling behind.
const CATCH_UP_BATCH_SIZE: u64 = 500;

/// What an operation returns for an event.
pub(super) enum Delivery {
    /// A response.
    Response(Bytes),
    /// Nothing.
    Nothing,
    /// The caller has lost access: the subscription ends.
    AccessLost(Vec<ServerError>),
    /// The event could not be loaded: the client reconnects and continues.
    Unavailable,
}

/// Dispatches the events of the feed until it is dropped.
pub async fn dispatch_events(app: Arc<App>) {
    let feed = Arc::clone(&app.state.event_feed);
    let mut receiver = feed.subscribe();
    // Events between the two calls are received, and skipped by their position.
    app.subscriptions.advance(feed.position());
    loop {
        match receiver.recv().await {
            Ok(FeedMessage::Event(event)) => dispatch_event(&app, &event).await,
            Ok(FeedMessage::Reset) => app.subscriptions.disconnect_subscribers(CloseReason::TryAgain),
            Err(RecvError::Lagged(_)) => {
                if let Err(error) = catch_up(&app).await {
                    tracing::warn!(error = error.log_message(), "reading events failed; subscribers reconnect");
                    app.subscriptions.disconnect_subscribers(CloseReason::TryAgain);
                }
            }
            Err(RecvError::Closed) => return,
        }
    }
}

/// Reads and dispatches the events that the feed no longer has in memory.
async fn catch_up(app: &Arc<App>) -> Result<()> {
    loop {
        let position = app.subscriptions.position();
        match read_events_after(&app.state.db, position, CATCH_UP_BATCH_SIZE).await? {
            FeedPage::Events(events) if events.is_empty() => return Ok(()),
            FeedPage::Events(events) => {
                for event in events {
                    dispatch_event(app, &event).await;
                }
            }
            FeedPage::Expired => {
                app.subscriptions.disconnect_subscribers(CloseReason::TryAgain);
                app.subscriptions.advance(app.state.event_feed.position());
                return Ok(());
            }
        }
    }
}

/// Delivers an event to all subscriptions that follow it. The groups are executed one after the other, so that a load
/// of the first is found by the others.
async fn dispatch_event(app: &Arc<App>, event: &Arc<FeedEvent>) {
    let topics = Topic::list_of_event(event);
    let groups = app.subscriptions.begin_dispatch(event.position, &topics);
    let shared_loads = SharedLoads::default();
    for ConcernedGroup { operation, subscribers } in groups {
        if subscribers.is_empty() {
            continue;
        }
        let delivery = execute_for_event(app, &operation, event, &shared_loads).await;
        for subscriber in subscribers {
            let output = match &delivery {
                Delivery::Nothing => break,
                Delivery::Response(response) => {
                    OperationOutput::Event { response: response.clone(), position: event.position }
                }
                Delivery::AccessLost(errors) => OperationOutput::Failed(errors.clone()),
                Delivery::Unavailable => {
                    subscriber.client.close(CloseReason::TryAgain);
                    continue;
                }
            };
            subscriber.client.deliver(subscriber.operation, output);
        }
    }
}

/// Executes an operation for an event, with the limits of a request.
pub(super) async fn execute_for_event(
    app: &Arc<App>,
    operation: &SubscriptionOperation,
    event: &Arc<FeedEvent>,
    shared_loads: &SharedLoads,
) -> Delivery {
    let phase = EventPhase::Deliver(Arc::clone(event));
    let execution = operation.execute(app, phase, Some(shared_loads.clone()));
    let Ok(response) = tokio::time::timeout(app.state.config.server.request_timeout, execution).await else {
        tracing::warn!(position = event.position, kind = event.kind, "execution of a subscription timed out");
        return Delivery::Unavailable;
    };
    let Some(response) = response else { return Delivery::Nothing };
    let has_failed = response.data == Value::Null;
    if has_failed && has_code(&response, &[PublicErrorCode::Internal, PublicErrorCode::Unavailable]) {
        return Delivery::Unavailable;
    }
    let access_codes = [PublicErrorCode::NotFound, PublicErrorCode::Forbidden, PublicErrorCode::Unauthenticated];
    if has_failed && response.errors.iter().all(|error| error.path.len() == 1) && has_code(&response, &access_codes) {
        return Delivery::AccessLost(response.errors);
    }
    match serialize_response(&response, app.state.config.graphql.max_response_bytes, "") {
        Ok(body) => Delivery::Response(body.into()),
        Err(_) => Delivery::Unavailable,
    }
}

/// Returns whether an error of the response has one of the codes.
fn has_code(response: &Response, codes: &[PublicErrorCode]) -> bool {
    let is_listed = |code: &Value| codes.iter().any(|listed| *code == Value::from(listed.as_str()));
    let extensions = response.errors.iter().filter_map(|error| error.extensions.as_ref());
    extensions.filter_map(|extensions| extensions.get("code")).any(is_listed)
}
