//! Values that an operator watches and that only the database knows: the state of jobs, events, payments and orders.

mod collector;
mod database_values;

pub use collector::MetricsCollector;
