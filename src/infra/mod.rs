//! The outside world: settings, the database, the audit log, the outbox, requests that come again, jobs, other servers,
//! letters and short messages, logs.

pub mod config;
pub mod background;
pub mod telemetry;
pub mod sql;
pub mod meter;
pub mod bell;
pub mod private_files;
pub mod database;
pub mod audit;
pub mod outbox;
pub mod once;
pub mod throttle;
pub mod shop;
pub mod client;
pub mod unsent;
pub mod mail;
pub mod sms;
pub mod env;
pub mod jobs;

pub use audit::{Actor, Change, Origin};
pub use client::Client;
pub use config::Config;
pub use database::{Batch, Db, Tx};
pub use env::Env;
pub use mail::Mail;
pub use meter::{Budget, Meter};
pub use once::{Claim, Makes, Once};
pub use sms::Sms;
pub use sql::Sql;
pub use throttle::Throttle;
pub use unsent::Unsent;
