//! Value types without I/O: money, countries, languages, ids, cursors, errors, time.

pub mod clock;
pub mod country;
pub mod error;
pub mod global_id;
pub mod language;
pub mod money;
pub mod pagination;
pub mod patch;
pub mod link_detection;
pub mod text;
pub mod search_token;
pub mod version;

pub use clock::Clock;
pub use country::Country;
pub use error::{Error, Result};
pub use global_id::GlobalId;
pub use language::LanguageCode;
pub use money::Money;
pub use patch::Patch;
pub use version::check_version;
