//! Subscriptions to channels.

use std::{sync::Arc, time::Duration};

use futures_util::StreamExt;
use tokio::{sync::mpsc, task::JoinHandle, time::timeout};

use super::connection::RedisServer;

/// The maximum number of messages that wait for a subscriber.
const QUEUE_LENGTH: usize = 1024;
/// The time after which an idle connection is checked.
const PING_INTERVAL: Duration = Duration::from_secs(5);

/// A message of a subscription.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RedisMessage {
    /// The subscription has begun, or begun again, or the subscriber was too slow: messages before this one may be
    /// missing.
    Resumed,
    /// A published message.
    Published(Vec<u8>),
}

/// A subscription to one channel on a connection of its own, which is reestablished after failures. It ends when it is
/// dropped.
#[derive(Debug)]
pub struct RedisSubscription {
    receiver: mpsc::Receiver<RedisMessage>,
    task: JoinHandle<()>,
}

impl RedisSubscription {
    /// Starts the subscription; `channel` has its prefix.
    pub(super) fn start(server: Arc<RedisServer>, channel: String) -> Self {
        let (sender, receiver) = mpsc::channel(QUEUE_LENGTH);
        let task = tokio::spawn(async move {
            let mut queue = MessageQueue { sender, has_lost_messages: true };
            loop {
                if let Err(reason) = receive_messages(&server, &channel, &mut queue).await {
                    tracing::debug!(reason, "subscription to Redis interrupted");
                }
                tokio::time::sleep(server.retry_delay()).await;
            }
        });
        Self { receiver, task }
    }

    /// Waits for the next message. Cancel-safe. Returns `None` only if the process is stopping.
    pub async fn next(&mut self) -> Option<RedisMessage> {
        self.receiver.recv().await
    }
}

impl Drop for RedisSubscription {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The bounded queue of a subscriber.
#[derive(Debug)]
struct MessageQueue {
    sender: mpsc::Sender<RedisMessage>,
    has_lost_messages: bool,
}

impl MessageQueue {
    /// Queues a message; a full queue loses it, and the subscriber is notified when there is room again.
    fn push(&mut self, payload: Vec<u8>) {
        self.notify_of_lost_messages();
        if !self.has_lost_messages && self.sender.try_send(RedisMessage::Published(payload)).is_err() {
            self.has_lost_messages = true;
        }
    }

    /// Notifies the subscriber if messages were lost and the queue has room.
    fn notify_of_lost_messages(&mut self) {
        if self.has_lost_messages && self.sender.try_send(RedisMessage::Resumed).is_ok() {
            self.has_lost_messages = false;
        }
    }
}

/// Receives messages until the connection fails.
async fn receive_messages(server: &RedisServer, channel: &str, queue: &mut MessageQueue) -> Result<(), String> {
    let connect_timeout = server.connect_timeout();
    let connecting = async {
        let mut subscriber = server.client().get_async_pubsub().await?;
        subscriber.subscribe(channel).await?;
        Ok::<_, redis::RedisError>(subscriber.split())
    };
    let (mut commands, mut messages) = timeout(connect_timeout, connecting)
        .await
        .map_err(|_| "no subscription in time".to_owned())?
        .map_err(|error| error.to_string())?;
    queue.has_lost_messages = true;
    loop {
        queue.notify_of_lost_messages();
        match timeout(PING_INTERVAL, messages.next()).await {
            Ok(Some(message)) => queue.push(message.get_payload_bytes().to_vec()),
            Ok(None) => return Err("the connection was closed".to_owned()),
            // An idle connection may be a dead one.
            Err(_) => {
                timeout(connect_timeout, commands.ping::<redis::Value>())
                    .await
                    .map_err(|_| "no response to PING".to_owned())?
                    .map_err(|error| error.to_string())?;
            }
        }
    }
}
