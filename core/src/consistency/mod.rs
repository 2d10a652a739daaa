//! Consistency checks: statements over the tables of all domains that find rows which contradict each other.
//!
//! They only read, in one snapshot, so the shop can sell meanwhile. The database's constraints and triggers prevent most
//! of these contradictions; the checks show that they did, also after a restore or a change by hand.

mod queries;

use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, FromQueryResult};
use serde::Serialize;

use crate::{
    base::Result,
    infra::{Db, SqlBuilder},
};

/// The number of examples of a finding.
pub const MAX_EXAMPLES: usize = 10;

/// The time of the snapshot in the text of a check.
const NOW_PLACEHOLDER: &str = ":now";

/// The part of the shop that a check examines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CheckArea {
    /// Stock levels, movements and reservations.
    Stock,
    /// Orders, their lines and their events.
    Orders,
    /// Payments, refunds and the ledger.
    Payments,
    /// Figures that products and categories derive, and the search index.
    Catalog,
    /// Daily figures of orders, products and carts.
    Analytics,
    /// Events and the outbox.
    Events,
    /// Background jobs.
    Jobs,
}

/// What a finding means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CheckSeverity {
    /// The rows contradict each other.
    Violation,
    /// The rows are consistent, but staff should act.
    Warning,
}

/// A consistency check.
#[derive(Debug, Clone, Copy)]
pub struct ConsistencyCheck {
    /// Stable name, for scripts.
    pub name: &'static str,
    /// What the check looks for: a noun phrase of the rows that it finds.
    pub description: &'static str,
    /// The part of the shop.
    pub area: CheckArea,
    /// What a finding means.
    pub severity: CheckSeverity,
    /// The kind of the examples: `order`.
    entity: &'static str,
    /// SQL expression of an example.
    example: &'static str,
    /// The SQL text after `FROM`: the rows that must not exist.
    violations: &'static str,
}

/// The result of a check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CheckResult {
    /// Name of the check.
    pub name: &'static str,
    /// What it looks for.
    pub description: &'static str,
    /// The part of the shop.
    pub area: CheckArea,
    /// What a finding means.
    pub severity: CheckSeverity,
    /// The number of rows found.
    pub violations: i64,
    /// The kind of the examples.
    pub entity: &'static str,
    /// At most [`MAX_EXAMPLES`] ids.
    pub examples: Vec<String>,
}

/// The results of all checks, of one state of the database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ConsistencyReport {
    /// The time of the snapshot.
    pub checked_at: DateTime<Utc>,
    /// Rows found by checks whose findings are violations.
    pub violations: i64,
    /// Rows found by checks whose findings are warnings.
    pub warnings: i64,
    /// The results, one per check.
    pub checks: Vec<CheckResult>,
}

impl ConsistencyReport {
    fn new(checked_at: DateTime<Utc>, checks: Vec<CheckResult>) -> Self {
        let sum_of = |severity| {
            let counted = checks.iter().filter(|check: &&CheckResult| check.severity == severity);
            counted.map(|check| check.violations).sum()
        };
        let (violations, warnings) = (sum_of(CheckSeverity::Violation), sum_of(CheckSeverity::Warning));
        Self { checked_at, violations, warnings, checks }
    }

    /// Adds the result of a check outside of the database.
    #[must_use]
    pub fn with_check(mut self, check: CheckResult) -> Self {
        match check.severity {
            CheckSeverity::Violation => self.violations += check.violations,
            CheckSeverity::Warning => self.warnings += check.violations,
        }
        self.checks.push(check);
        self
    }

    /// Returns the results of checks that found something.
    pub fn findings(&self) -> impl Iterator<Item = &CheckResult> {
        self.checks.iter().filter(|check| check.violations > 0)
    }
}

/// Returns all checks.
#[must_use]
pub fn list_checks() -> &'static [ConsistencyCheck] {
    &queries::CHECKS
}

/// Runs all checks in one read snapshot. Statements: one per check.
///
/// # Errors
/// Returns an error if the database cannot be read, or lacks migrations.
pub async fn check_database(db: &Db) -> Result<ConsistencyReport> {
    db.read_snapshot(async |snapshot| {
        queries::begin_snapshot(snapshot).await?;
        // After the snapshot: a price change that is due by now is not yet in it, or already is.
        let checked_at = db.now();
        let mut results = Vec::with_capacity(queries::CHECKS.len());
        for check in &queries::CHECKS {
            results.push(run_check(snapshot, check, checked_at).await?);
        }
        Ok(ConsistencyReport::new(checked_at, results))
    })
    .await
}

/// An example, with the number of all rows found.
#[derive(Debug, FromQueryResult)]
struct ExampleRow {
    violations: i64,
    example: String,
}

async fn run_check(
    snapshot: &impl ConnectionTrait,
    check: &ConsistencyCheck,
    now: DateTime<Utc>,
) -> Result<CheckResult> {
    let mut sql = SqlBuilder::new(snapshot.get_database_backend());
    sql.push("SELECT count(*) OVER () AS violations, example FROM (SELECT ").push(check.example);
    sql.push(" AS example FROM ");
    let mut parts = check.violations.split(NOW_PLACEHOLDER);
    sql.push(parts.next().unwrap_or_default());
    for part in parts {
        sql.bind(now).push(part);
    }
    sql.push(&format!(") AS found ORDER BY example LIMIT {MAX_EXAMPLES}"));
    let rows = ExampleRow::find_by_statement(sql.into_statement()).all(snapshot).await?;
    let ConsistencyCheck { name, description, area, severity, entity, example: _, violations: _ } = *check;
    let violations = rows.first().map_or(0, |row| row.violations);
    let examples = rows.into_iter().map(|row| row.example).collect();
    Ok(CheckResult { name, description, area, severity, violations, entity, examples })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_of_checks_are_unique() {
        let names: BTreeSet<&str> = list_checks().iter().map(|check| check.name).collect();
        assert_eq!(names.len(), list_checks().len());
    }

    #[test]
    fn report_adds_up_violations_and_warnings() {
        let to_result = |check: &ConsistencyCheck| CheckResult {
            name: check.name,
            description: check.description,
            area: check.area,
            severity: check.severity,
            violations: 2,
            entity: check.entity,
            examples: Vec::new(),
        };
        let report = ConsistencyReport::new(DateTime::UNIX_EPOCH, list_checks().iter().map(to_result).collect());
        let warning_checks = list_checks().iter().filter(|check| check.severity == CheckSeverity::Warning).count();
        assert_eq!(report.warnings, 2 * i64::try_from(warning_checks).expect("a number"));
        assert_eq!(report.violations + report.warnings, 2 * i64::try_from(list_checks().len()).expect("a number"));
        assert_eq!(report.findings().count(), list_checks().len());
    }
}
