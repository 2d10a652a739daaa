//! Value types without I/O: money, countries, languages, digests, encryption, ids, cursors, errors, time.

pub mod clock;
pub mod country;
pub mod digest;
pub mod encryption;
pub mod error;
pub mod global_id;
pub mod language;
pub mod money;
pub mod pagination;
pub mod patch;
pub mod link_detection;
pub mod phone;
pub mod validation;
pub mod text;
pub mod search_token;
pub mod versioned_target;

pub use clock::Clock;
pub use country::Country;
pub use error::{Error, Result};
pub use global_id::GlobalId;
pub use language::LanguageCode;
pub use money::Money;
pub use patch::Patch;
pub use validation::{ExpectedVersion, Validator};
pub use versioned_target::VersionedTarget;
