//! Settings of types that are parsed from text.

use std::str::FromStr;

use serde::{Deserialize, Deserializer, de};

/// Deserializes a text and parses it.
pub(super) fn deserialize_parsed<'de, T: FromStr<Err: std::fmt::Display>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<T, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse().map_err(|error| de::Error::custom(format!("`{text}` is invalid: {error}")))
}
