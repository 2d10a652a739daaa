//! Open connections: their numbers in total, per client network and per caller.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use axum::http::StatusCode;
use tokio::sync::watch;

use super::{client::Client, close_reason::CloseReason};
use crate::{identity::Caller, infra::config::SubscriptionsConfig};

/// Whose connections are counted together.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum ConnectionOwner {
    /// A client network.
    Network(String),
    /// An account.
    Account(i64),
    /// An API key.
    ApiKey(i64),
}

impl ConnectionOwner {
    /// Returns the owner of a caller's connections; `None` for an anonymous caller.
    pub(super) const fn of_caller(caller: Caller) -> Option<Self> {
        match caller {
            Caller::Anonymous => None,
            Caller::User { account_id, .. } => Some(Self::Account(account_id)),
            Caller::ApiKey { api_key_id, .. } => Some(Self::ApiKey(api_key_id)),
        }
    }
}

/// The open connections.
#[derive(Debug)]
pub(super) struct ConnectionRegistry {
    connections: Mutex<OpenConnections>,
    /// Number of open connections.
    count: watch::Sender<usize>,
    max_connections: usize,
    max_per_network: usize,
    max_per_caller: usize,
}

#[derive(Debug, Default)]
struct OpenConnections {
    clients: HashMap<u64, Weak<Client>>,
    counts: HashMap<ConnectionOwner, usize>,
    next_id: u64,
    is_stopping: bool,
}

/// Place of a connection in the registry until it is dropped.
#[derive(Debug)]
pub(super) struct ConnectionPlace {
    registry: Arc<ConnectionRegistry>,
    id: u64,
    owners: Vec<ConnectionOwner>,
}

impl ConnectionRegistry {
    /// Creates an empty registry for at most `max_connections` connections.
    pub(super) fn new(config: &SubscriptionsConfig, max_connections: usize) -> Arc<Self> {
        Arc::new(Self {
            connections: Mutex::default(),
            count: watch::Sender::new(0),
            max_connections,
            max_per_network: config.max_connections_per_network,
            max_per_caller: config.max_connections_per_caller,
        })
    }

    /// Adds a connection of a client network.
    ///
    /// # Errors
    /// Returns 503 if there are too many connections or the server stops, and 429 if the network has too many.
    pub(super) fn add(self: &Arc<Self>, network: Option<String>) -> Result<ConnectionPlace, StatusCode> {
        let mut connections = self.lock();
        if connections.is_stopping || connections.clients.len() >= self.max_connections {
            return Err(StatusCode::SERVICE_UNAVAILABLE);
        }
        let mut place = ConnectionPlace { registry: Arc::clone(self), id: connections.next_id, owners: Vec::new() };
        if let Some(owner) = network.map(ConnectionOwner::Network) {
            let count = connections.counts.entry(owner.clone()).or_default();
            if *count >= self.max_per_network {
                drop(connections);
                return Err(StatusCode::TOO_MANY_REQUESTS);
            }
            *count += 1;
            place.owners.push(owner);
        }
        connections.next_id += 1;
        connections.clients.insert(place.id, Weak::new());
        // Under the lock, so that the last number sent is the current one.
        self.count.send_replace(connections.clients.len());
        drop(connections);
        Ok(place)
    }

    /// Ends all connections and accepts no new ones; returns when all have ended.
    pub(super) async fn close_all(&self) {
        let clients: Vec<Weak<Client>> = {
            let mut connections = self.lock();
            connections.is_stopping = true;
            connections.clients.values().cloned().collect()
        };
        for client in clients.iter().filter_map(Weak::upgrade) {
            client.close(CloseReason::Stopping);
        }
        // The sender lives as long as `self`.
        let _ = self.count.subscribe().wait_for(|count| *count == 0).await;
    }

    /// Returns the number of open connections.
    pub(super) fn count(&self) -> usize {
        *self.count.borrow()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, OpenConnections> {
        self.connections.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ConnectionPlace {
    /// Sets the client, through which the connection is ended when the server stops.
    pub(super) fn set_client(&self, client: &Arc<Client>) {
        let mut connections = self.registry.lock();
        if connections.is_stopping {
            client.close(CloseReason::Stopping);
        }
        connections.clients.insert(self.id, Arc::downgrade(client));
    }

    /// Counts the connection as one of the caller.
    ///
    /// # Errors
    /// Returns an error if the caller has too many connections.
    pub(super) fn assign_to_caller(&mut self, caller: Caller) -> Result<(), StatusCode> {
        let Some(owner) = ConnectionOwner::of_caller(caller) else { return Ok(()) };
        let mut connections = self.registry.lock();
        let count = connections.counts.entry(owner.clone()).or_default();
        if *count >= self.registry.max_per_caller {
            return Err(StatusCode::TOO_MANY_REQUESTS);
        }
        *count += 1;
        self.owners.push(owner);
        Ok(())
    }
}

impl Drop for ConnectionPlace {
    fn drop(&mut self) {
        let mut connections = self.registry.lock();
        connections.clients.remove(&self.id);
        for owner in &self.owners {
            if let Some(count) = connections.counts.get_mut(owner) {
                *count -= 1;
                if *count == 0 {
                    connections.counts.remove(owner);
                }
            }
        }
        self.registry.count.send_replace(connections.clients.len());
    }
}
