//! Settings of the search: `[search]`.

use std::time::Duration;

use serde::Deserialize;

use super::duration::{CENTURY, DAY, SECOND, deserialize_duration, duration_within};

/// `[search]`
#[derive(Debug, Clone, Deserialize)]
pub struct SearchConfig {
    /// How often the counts of searches are stored.
    #[serde(deserialize_with = "deserialize_duration")]
    pub count_interval: Duration,
    /// Retention of the counts of searches.
    #[serde(deserialize_with = "deserialize_duration")]
    pub report_retention: Duration,
}

impl SearchConfig {
    /// Validates the settings.
    pub(super) fn validate(&self) -> Result<(), String> {
        duration_within("search.count_interval", self.count_interval, SECOND..=DAY)?;
        duration_within("search.report_retention", self.report_retention, DAY..=CENTURY)
    }
}
