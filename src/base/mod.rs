//! The shop's words: money, ids, cursors, errors, time. No I/O.

pub mod clock;
pub mod error;
pub mod id;
pub mod money;
pub mod page;
pub mod text;

pub use clock::Clock;
pub use error::{Error, Result};
pub use id::GlobalId;
pub use money::Money;
