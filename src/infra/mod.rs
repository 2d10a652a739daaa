//! Infrastructure: settings, database, Redis, audit log, outbox, event feed, idempotency, jobs, HTTP client, email, SMS,
//! logging.

pub mod config;
pub mod background;
pub mod telemetry;
pub mod sql_builder;
pub mod keyset;
pub mod query_stats;
pub mod request_origin;
mod pg_listener;
pub mod job_notifier;
pub mod cache;
pub mod private_files;
pub mod redis_client;
pub mod database;
pub mod entity;
pub mod audit_log;
pub mod outbox;
pub mod idempotency;
pub mod idempotent_request;
pub mod throttle;
pub mod rate_limiter;
pub mod bootstrap;
pub mod http_client;
pub mod delivery_error;
pub mod email;
pub mod sms;
pub mod job_context;
pub mod jobs;
pub mod event_feed;

pub use audit_log::AuditRecord;
pub use config::Config;
pub use database::{Batch, Db, Tx, eq_any, literal};
pub use delivery_error::DeliveryError;
pub use email::EmailSender;
pub use event_feed::{EventFeed, FeedEvent, FeedMessage, FeedPage};
pub use http_client::HttpClient;
pub use idempotency::{IdempotencyClaim, IdempotencyKey, ResourceKey};
pub use idempotent_request::{ClaimedRequest, IdempotentRequest, RequestClaim};
pub use job_context::JobContext;
pub use query_stats::{QueryBudget, QueryStats};
pub use rate_limiter::RateLimiter;
pub use redis_client::{RedisClient, RedisUnavailable};
pub use request_origin::{Actor, ActorKind, RequestOrigin};
pub use sms::SmsSender;
pub use sql_builder::SqlBuilder;
pub use throttle::{RequestThrottle, Throttle};
