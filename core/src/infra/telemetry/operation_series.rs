//! Series of requests by operation. Callers choose the names of operations, so only those of published documents become
//! label values, and a bounded number of them.

use std::{
    collections::HashMap,
    sync::{Mutex, OnceLock, PoisonError},
    time::Duration,
};

use metrics::{Counter, Histogram, counter, histogram};

use super::{
    RequestOutcome,
    names::{HTTP_REQUEST, MAX_OPERATIONS, OTHER, REQUEST_DURATION, REQUESTS},
};

/// Label value of an operation: its number in the table of series.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OperationLabel(usize);

impl OperationLabel {
    /// An operation that is not published.
    pub const OTHER: Self = Self(0);
    /// A request that is not a GraphQL operation.
    pub const HTTP: Self = Self(1);
}

impl Default for OperationLabel {
    fn default() -> Self {
        Self::OTHER
    }
}

/// Series of one operation.
#[derive(Debug)]
struct OperationSeries {
    outcomes: [Counter; 3],
    duration: Histogram,
}

impl OperationSeries {
    fn register(operation: &str) -> Self {
        let count = |outcome: RequestOutcome| counter!(REQUESTS, "operation" => operation.to_owned(), "outcome" => outcome.as_str());
        Self {
            outcomes: RequestOutcome::ALL.map(count),
            duration: histogram!(REQUEST_DURATION, "operation" => operation.to_owned()),
        }
    }
}

/// Series of all operations. Recording takes no lock.
#[derive(Debug)]
pub(super) struct OperationSeriesTable {
    labels: Mutex<HashMap<String, OperationLabel>>,
    series: Box<[OnceLock<OperationSeries>]>,
}

impl OperationSeriesTable {
    /// Creates the table with the two labels that always exist.
    pub(super) fn new() -> Self {
        let series: Box<[OnceLock<OperationSeries>]> = (0..MAX_OPERATIONS).map(|_| OnceLock::new()).collect();
        let labels = [(OTHER, OperationLabel::OTHER), (HTTP_REQUEST, OperationLabel::HTTP)];
        for (name, label) in labels {
            if let Some(slot) = series.get(label.0) {
                slot.get_or_init(|| OperationSeries::register(name));
            }
        }
        let labels = labels.into_iter().map(|(name, label)| (name.to_owned(), label)).collect();
        Self { labels: Mutex::new(labels), series }
    }

    /// Returns the label of the operation of a published document, [`OperationLabel::OTHER`] if there are too many.
    pub(super) fn label_of(&self, operation: &str) -> OperationLabel {
        let mut labels = self.labels.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(label) = labels.get(operation) {
            return *label;
        }
        let label = OperationLabel(labels.len());
        let Some(slot) = self.series.get(label.0) else { return OperationLabel::OTHER };
        slot.get_or_init(|| OperationSeries::register(operation));
        labels.insert(operation.to_owned(), label);
        label
    }

    /// Counts a completed request.
    pub(super) fn record(&self, label: OperationLabel, outcome: RequestOutcome, duration: Duration) {
        if let Some(series) = self.series.get(label.0).and_then(OnceLock::get) {
            series.outcomes[outcome as usize].increment(1);
            series.duration.record(duration);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn number_of_operation_labels_is_bounded() {
        let table = OperationSeriesTable::new();
        let labels: Vec<_> =
            (0..2 * MAX_OPERATIONS).map(|number| table.label_of(&format!("Operation{number}"))).collect();
        let distinct = labels.iter().filter(|label| **label != OperationLabel::OTHER).count();
        assert_eq!(distinct, MAX_OPERATIONS - 2);
        assert_eq!(table.label_of("Operation0"), labels[0]);
        assert_eq!(
            (table.label_of(OTHER), table.label_of(HTTP_REQUEST)),
            (OperationLabel::OTHER, OperationLabel::HTTP)
        );
    }
}
