//! The dependencies of jobs and schedules.

use std::sync::Arc;

use super::{Config, Db, EmailSender, HttpClient, OutboundClient, RedisClient, SmsSender};

/// The dependencies of a job: database, Redis, settings, senders, HTTP client. Cheap to clone.
#[derive(Debug, Clone)]
pub struct JobContext {
    /// The database.
    pub db: Db,
    /// The Redis client.
    pub redis: RedisClient,
    /// The settings.
    pub config: Arc<Config>,
    /// The email sender.
    pub email_sender: EmailSender,
    /// The SMS sender.
    pub sms_sender: SmsSender,
    /// The HTTP client for URLs that users have entered.
    pub outbound_client: OutboundClient,
}

impl JobContext {
    /// Creates the context from the settings, on an initialized database.
    ///
    /// # Errors
    /// Returns a message for the operator if a setting is invalid.
    pub fn new(db: Db, redis: RedisClient, config: Arc<Config>, http_client: &HttpClient) -> Result<Self, String> {
        let email_sender = EmailSender::new(&config)?;
        let sms_sender = SmsSender::new(&config, http_client)?;
        let outbound_client = OutboundClient::new(config.webhooks.allow_private_addresses)?;
        Ok(Self { db, redis, config, email_sender, sms_sender, outbound_client })
    }
}
