//! Invalidation by the events of the feed: changes by other instances and by commands.

use std::sync::Arc;

use serde_json::Value;
use tokio::sync::broadcast::{Receiver, error::RecvError};
use tokio_util::sync::CancellationToken;

use crate::{
    base,
    catalog::{category::CategoriesChanged, events::ProductsChanged, search::rules::SearchRulesChanged},
    graphql::context::AppState,
    infra::{
        FeedEvent, FeedMessage,
        cache::{CacheTag, FeedPosition},
        outbox::Event,
    },
    inventory::StockChanged,
};

/// Returns the tags that an event invalidates, from its payload.
type ReadCacheTags = fn(&Value) -> Result<Vec<CacheTag>, serde_json::Error>;

/// Events with cache tags.
const INVALIDATING_EVENTS: [(&str, ReadCacheTags); 4] = [
    (ProductsChanged::KIND, read_cache_tags::<ProductsChanged>),
    (CategoriesChanged::KIND, read_cache_tags::<CategoriesChanged>),
    (SearchRulesChanged::KIND, read_cache_tags::<SearchRulesChanged>),
    (StockChanged::KIND, read_cache_tags::<StockChanged>),
];

fn read_cache_tags<E: Event>(payload: &Value) -> Result<Vec<CacheTag>, serde_json::Error> {
    serde::Deserialize::deserialize(payload).map(|event: E| event.cache_tags())
}

/// Starts to follow the events of the feed: returns the task that runs the feed and invalidates cached values until the
/// shutdown. What is cached once this returns is invalidated by later events only, so an instance does it before it
/// answers requests.
///
/// # Errors
/// Returns the error of the database.
pub async fn follow_events(
    state: Arc<AppState>,
    shutdown: CancellationToken,
) -> base::Result<impl Future<Output = ()> + Send + 'static> {
    state.event_feed.skip_to_end(&state.db).await?;
    let receiver = state.event_feed.subscribe();
    // What was loaded before may lack the change of an event that was skipped.
    state.category_tree_cache.refresh(&state.db).await?;
    state.search_rules_cache.refresh(&state.db).await?;
    state.db.tag_versions().restart_feed_at(FeedPosition(state.event_feed.position()));
    Ok(async move {
        let feed = state.event_feed.run(&state.db, &state.config, &shutdown);
        tokio::join!(feed, invalidate_by_events(&state, receiver, &shutdown));
    })
}

/// Invalidates cached values by the events of a receiver until the shutdown.
async fn invalidate_by_events(state: &AppState, mut receiver: Receiver<FeedMessage>, shutdown: &CancellationToken) {
    loop {
        let message = tokio::select! {
            () = shutdown.cancelled() => return,
            message = receiver.recv() => message,
        };
        match message {
            Ok(FeedMessage::Event(event)) => {
                apply_event(state, &event).await;
                state.db.tag_versions().set_applied_position(FeedPosition(event.position));
            }
            Ok(FeedMessage::Reset) | Err(RecvError::Lagged(_)) => {
                let position = FeedPosition(state.event_feed.position());
                refresh_category_tree(state).await;
                refresh_search_rules(state).await;
                state.db.tag_versions().restart_feed_at(position);
            }
            Err(RecvError::Closed) => return,
        }
    }
}

async fn apply_event(state: &AppState, event: &FeedEvent) {
    let Some((_, read_tags)) = INVALIDATING_EVENTS.iter().find(|(kind, _)| *kind == event.kind) else { return };
    if event.kind == CategoriesChanged::KIND {
        // Before the invalidation, so that what is computed after it is computed from the new tree.
        refresh_category_tree(state).await;
    }
    if event.kind == SearchRulesChanged::KIND {
        refresh_search_rules(state).await;
    }
    match read_tags(&event.payload) {
        Ok(tags) => state.db.tag_versions().invalidate_by_event(&tags, FeedPosition(event.position)),
        Err(error) => {
            tracing::warn!(%error, kind = event.kind, id = event.id, "event cannot be read; all caches are cleared");
            state.db.tag_versions().restart_feed_at(FeedPosition(event.position));
        }
    }
}

/// Refreshes the category tree. After a failure the scheduled refresh does it, and invalidates what depends on the tree.
async fn refresh_category_tree(state: &AppState) {
    if let Err(error) = state.category_tree_cache.refresh(&state.db).await {
        tracing::warn!(error = error.log_message(), "refreshing the category tree failed");
    }
}

/// Refreshes the search rules. After a failure the scheduled refresh does it, and invalidates what depends on them.
async fn refresh_search_rules(state: &AppState) {
    if let Err(error) = state.search_rules_cache.refresh(&state.db).await {
        tracing::warn!(error = error.log_message(), "refreshing the search rules failed");
    }
}
