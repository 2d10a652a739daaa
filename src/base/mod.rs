//! The shop's words: money, countries, languages, ids, cursors, errors, time. No I/O.

pub mod clock;
pub mod country;
pub mod error;
pub mod id;
pub mod language;
pub mod money;
pub mod page;
pub mod patch;
pub mod link;
pub mod text;
pub mod token;

pub use clock::Clock;
pub use country::Country;
pub use error::{Error, Result};
pub use id::GlobalId;
pub use language::Language;
pub use money::Money;
pub use patch::Patch;
