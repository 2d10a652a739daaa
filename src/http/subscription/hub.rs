//! Active subscriptions of an instance, grouped by what they return for an event.

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use async_graphql::ServerError;
use tokio::sync::Semaphore;

use super::{
    client::Client,
    close_reason::CloseReason,
    operation::{OperationKey, SubscriptionOperation},
    registry::ConnectionRegistry,
};
use crate::{
    base::error::PublicErrorCode,
    graphql::{execution::document::errors::error_with_code, subscription::Topic},
    infra::config::SubscriptionsConfig,
};

/// Number of clients that read earlier events at the same time; others wait.
const MAX_CONCURRENT_REPLAYS: usize = 4;

/// Active subscriptions and open connections of an instance.
#[derive(Debug)]
pub struct SubscriptionHub {
    state: Arc<Mutex<HubState>>,
    max_operation_memory: usize,
    /// Number of statements executed for events.
    statement_count: AtomicU64,
    /// Open connections.
    pub(super) connections: Arc<ConnectionRegistry>,
    /// Permits for reading earlier events.
    pub(super) replay_permits: Semaphore,
}

/// Subscriptions by what they return and by what they follow.
#[derive(Debug, Default)]
struct HubState {
    /// Position of the last event that was dispatched.
    position: i64,
    groups: HashMap<OperationKey, Group>,
    groups_by_topic: HashMap<Topic, HashSet<OperationKey>>,
    operation_memory: usize,
    next_id: u64,
}

/// Subscriptions with the same operation.
#[derive(Debug)]
struct Group {
    operation: Arc<SubscriptionOperation>,
    topics: Vec<Topic>,
    subscribers: HashMap<u64, Arc<Subscriber>>,
}

/// Where the events of a subscription are delivered.
#[derive(Debug)]
pub(super) struct Subscriber {
    /// Client of the connection.
    pub(super) client: Arc<Client>,
    /// Number of the operation within the connection.
    pub(super) operation: u32,
    /// Position after which events are delivered.
    pub(super) position: i64,
}

/// Subscription until it is dropped.
#[derive(Debug)]
pub(super) struct SubscriptionGuard {
    state: Arc<Mutex<HubState>>,
    key: OperationKey,
    id: u64,
}

/// Group that an event concerns, with its subscribers at that time.
#[derive(Debug)]
pub(super) struct ConcernedGroup {
    /// Operation.
    pub(super) operation: Arc<SubscriptionOperation>,
    /// Subscribers.
    pub(super) subscribers: Vec<Arc<Subscriber>>,
}

impl SubscriptionHub {
    /// Creates a hub without subscriptions, for at most `max_connections` connections.
    pub(crate) fn new(config: &SubscriptionsConfig, max_connections: usize) -> Self {
        Self {
            state: Arc::default(),
            max_operation_memory: config.max_operation_memory,
            statement_count: AtomicU64::new(0),
            connections: ConnectionRegistry::new(config, max_connections),
            replay_permits: Semaphore::new(MAX_CONCURRENT_REPLAYS),
        }
    }

    /// Returns the number of open connections.
    #[must_use]
    pub fn connection_count(&self) -> usize {
        self.connections.count()
    }

    /// Returns the number of active subscriptions.
    #[must_use]
    pub fn subscription_count(&self) -> usize {
        self.lock().groups.values().map(|group| group.subscribers.len()).sum()
    }

    /// Returns the number of statements that were executed for events.
    #[must_use]
    pub fn statement_count(&self) -> u64 {
        self.statement_count.load(Ordering::Relaxed)
    }

    /// Counts statements executed for an event.
    pub(super) fn count_statements(&self, count: u64) {
        self.statement_count.fetch_add(count, Ordering::Relaxed);
    }

    /// Ends all connections, whose clients reconnect to another instance; returns when all have ended.
    pub async fn close_connections(&self) {
        self.connections.close_all().await;
    }

    /// Returns the position of the last event that was dispatched.
    #[must_use]
    pub fn position(&self) -> i64 {
        self.lock().position
    }

    /// Sets the position of the last event that was dispatched, if it is later.
    pub(super) fn advance(&self, position: i64) {
        let mut state = self.lock();
        state.position = state.position.max(position);
    }

    /// Adds a subscription if no event after its position has been dispatched; otherwise returns `None`, and the caller
    /// reads the events in between.
    ///
    /// # Errors
    /// Returns an error if the operations of all subscriptions need too much memory.
    pub(super) fn register(
        &self,
        operation: &Arc<SubscriptionOperation>,
        topics: &[Topic],
        subscriber: Subscriber,
    ) -> Result<Option<SubscriptionGuard>, ServerError> {
        let mut guard = self.lock();
        let state = &mut *guard;
        if state.position > subscriber.position {
            return Ok(None);
        }
        let key = operation.key;
        if !state.groups.contains_key(&key) {
            if state.operation_memory + operation.byte_count > self.max_operation_memory {
                let message = "The server has too many different subscriptions at the moment; try again later.";
                return Err(error_with_code(message.to_owned(), PublicErrorCode::Unavailable));
            }
            state.operation_memory += operation.byte_count;
            for topic in topics {
                state.groups_by_topic.entry(*topic).or_default().insert(key);
            }
        }
        let group = state.groups.entry(key).or_insert_with(|| Group {
            operation: Arc::clone(operation),
            topics: topics.to_vec(),
            subscribers: HashMap::new(),
        });
        let id = state.next_id;
        state.next_id += 1;
        group.subscribers.insert(id, Arc::new(subscriber));
        Ok(Some(SubscriptionGuard { state: Arc::clone(&self.state), key, id }))
    }

    /// Begins the dispatch of an event: returns the groups that follow one of its topics. Empty if the event has been
    /// dispatched before.
    pub(super) fn begin_dispatch(&self, position: i64, topics: &[Topic]) -> Vec<ConcernedGroup> {
        let mut state = self.lock();
        if position <= state.position {
            return Vec::new();
        }
        state.position = position;
        let keys: HashSet<OperationKey> =
            topics.iter().filter_map(|topic| state.groups_by_topic.get(topic)).flatten().copied().collect();
        let to_concerned = |key: &OperationKey| {
            let group = state.groups.get(key)?;
            let subscribers = group.subscribers.values().filter(|subscriber| subscriber.position < position);
            let subscribers = subscribers.cloned().collect();
            Some(ConcernedGroup { operation: Arc::clone(&group.operation), subscribers })
        };
        keys.iter().filter_map(to_concerned).collect()
    }

    /// Ends the connections of all subscribers: events were lost, which they find out when they continue.
    pub(super) fn disconnect_subscribers(&self, reason: CloseReason) {
        let state = self.lock();
        for subscriber in state.groups.values().flat_map(|group| group.subscribers.values()) {
            subscriber.client.close(reason);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HubState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for SubscriptionGuard {
    fn drop(&mut self) {
        let mut guard = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let state = &mut *guard;
        let Some(group) = state.groups.get_mut(&self.key) else { return };
        group.subscribers.remove(&self.id);
        if !group.subscribers.is_empty() {
            return;
        }
        let Some(Group { operation, topics, .. }) = state.groups.remove(&self.key) else { return };
        state.operation_memory = state.operation_memory.saturating_sub(operation.byte_count);
        for topic in topics {
            if let Some(keys) = state.groups_by_topic.get_mut(&topic) {
                keys.remove(&self.key);
                if keys.is_empty() {
                    state.groups_by_topic.remove(&topic);
                }
            }
        }
    }
}
