//! The outside world: settings, the database, the outbox, logs.

pub mod config;
pub mod telemetry;
pub mod sql;
pub mod db;
pub mod outbox;
pub mod shop;

pub use config::Config;
pub use db::{Db, Meter, Tx};
pub use sql::Sql;
