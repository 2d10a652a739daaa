//! What an operator sees of a process: logs, metrics, traces and reported errors.
//!
//! Everything except the log on standard error is off by default, and then costs a comparison per measurement.

pub mod error_file;
pub mod error_tracking;
pub mod logging;
pub mod measurement;
pub mod names;
pub mod operation_series;
pub mod recorder;
pub mod request_record;
pub mod span_export;
pub mod trace_context;

pub use logging::{LoggingGuard, init_logging};
pub use measurement::Measurement;
pub use operation_series::OperationLabel;
pub use recorder::{CacheName, Metrics, PoolUsage, metrics};
pub use request_record::{RequestOperation, RequestOutcome, RequestRecord};
