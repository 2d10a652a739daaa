//! Stock locations.

/// Id of the default location, which every database has.
pub const DEFAULT_LOCATION_ID: i64 = 1;
