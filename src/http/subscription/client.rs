//! Client of a connection, as the dispatcher sees it: a bounded queue, and a signal that ends the connection.

use std::sync::{
    Arc, OnceLock,
    atomic::{AtomicUsize, Ordering},
};

use async_graphql::ServerError;
use axum::body::Bytes;
use tokio::sync::{Notify, mpsc};

use super::{super::connection::ConnectionAbort, close_reason::CloseReason, hub::SubscriptionGuard};
use crate::infra::config::SubscriptionsConfig;

/// Result of an operation, or a change of its state.
#[derive(Debug)]
pub(super) enum OperationOutput {
    /// The subscription has started; events after the position follow.
    Started { guard: SubscriptionGuard, position: i64 },
    /// An event.
    Event { response: Bytes, position: i64 },
    /// The response of a query or mutation, which is its end.
    Response(Bytes),
    /// The errors that end the operation.
    Failed(Vec<ServerError>),
}

impl OperationOutput {
    fn byte_count(&self) -> usize {
        match self {
            Self::Event { response, .. } | Self::Response(response) => response.len(),
            Self::Started { .. } | Self::Failed(_) => 0,
        }
    }
}

/// Queued output of an operation.
#[derive(Debug)]
pub(super) struct QueuedOutput {
    /// Number of the operation within the connection.
    pub(super) operation: u32,
    /// The output.
    pub(super) output: OperationOutput,
}

/// Sending end of a connection's queue. Shared by the operations of the connection.
#[derive(Debug)]
pub(super) struct Client {
    sender: mpsc::Sender<QueuedOutput>,
    queued_bytes: AtomicUsize,
    max_queued_bytes: usize,
    close_reason: OnceLock<CloseReason>,
    close_signal: Notify,
    /// Closes the connection of a stream, which cannot be written to while the client does not read.
    abort: OnceLock<ConnectionAbort>,
}

/// Receiving end of a connection's queue.
#[derive(Debug)]
pub(super) struct ClientQueue {
    client: Arc<Client>,
    receiver: mpsc::Receiver<QueuedOutput>,
}

impl Client {
    /// Creates a client with an empty queue.
    pub(super) fn new(config: &SubscriptionsConfig) -> (Arc<Self>, ClientQueue) {
        let (sender, receiver) = mpsc::channel(config.max_queued_messages);
        let client = Arc::new(Self {
            sender,
            queued_bytes: AtomicUsize::new(0),
            max_queued_bytes: config.max_queued_bytes,
            close_reason: OnceLock::new(),
            close_signal: Notify::new(),
            abort: OnceLock::new(),
        });
        (Arc::clone(&client), ClientQueue { client, receiver })
    }

    /// Adds output to the queue; ends the connection of a client whose queue is full.
    pub(super) fn deliver(&self, operation: u32, output: OperationOutput) {
        let byte_count = output.byte_count();
        let queued_bytes = self.queued_bytes.fetch_add(byte_count, Ordering::Relaxed);
        // One message may be larger than the limit.
        let is_over_limit = queued_bytes > 0 && queued_bytes + byte_count > self.max_queued_bytes;
        if is_over_limit || self.sender.try_send(QueuedOutput { operation, output }).is_err() {
            self.queued_bytes.fetch_sub(byte_count, Ordering::Relaxed);
            self.close(CloseReason::TryAgain);
            if let Some(abort) = self.abort.get() {
                abort.abort();
            }
        }
    }

    /// Sets how the connection of a client that does not read is closed.
    pub(super) fn set_abort(&self, abort: ConnectionAbort) {
        // It is set once, when the client is created.
        let _ = self.abort.set(abort);
    }

    /// Adds output to the queue once there is room; returns false if the connection has ended.
    pub(super) async fn deliver_when_ready(&self, operation: u32, output: OperationOutput) -> bool {
        let byte_count = output.byte_count();
        let Ok(permit) = self.sender.reserve().await else { return false };
        self.queued_bytes.fetch_add(byte_count, Ordering::Relaxed);
        permit.send(QueuedOutput { operation, output });
        true
    }

    /// Ends the connection, for the first reason that is given.
    pub(super) fn close(&self, reason: CloseReason) {
        if self.close_reason.set(reason).is_ok() {
            self.close_signal.notify_one();
        }
    }

    /// Returns why the connection ends, if it does.
    pub(super) fn close_reason(&self) -> Option<CloseReason> {
        self.close_reason.get().copied()
    }

    /// Waits until the connection is to end. There is one waiter.
    pub(super) async fn wait_for_close(&self) -> CloseReason {
        loop {
            if let Some(reason) = self.close_reason() {
                return reason;
            }
            self.close_signal.notified().await;
        }
    }
}

impl ClientQueue {
    /// Waits for the next output.
    pub(super) async fn receive(&mut self) -> Option<QueuedOutput> {
        let queued = self.receiver.recv().await?;
        self.client.queued_bytes.fetch_sub(queued.output.byte_count(), Ordering::Relaxed);
        Some(queued)
    }
}
