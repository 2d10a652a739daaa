//! Tables of versions and operations.

use chrono::{DateTime, SecondsFormat, Utc};
use sea_orm::ActiveEnum;

use crate::{
    cli::table::format_table,
    operations::{
        CheckedOperation,
        entity::{OperationKind, StatementFigure, operation_version},
        queries::OperationRow,
    },
};

/// Version with the uses of its operations.
#[derive(Debug)]
pub(super) struct VersionLine {
    name: String,
    published_at: DateTime<Utc>,
    retired_at: Option<DateTime<Utc>>,
    operation_count: i32,
    use_count: i64,
    last_used_at: Option<DateTime<Utc>>,
}

impl VersionLine {
    /// Creates the line of a version.
    pub(super) fn new(row: &operation_version::Model, operations: &[OperationRow]) -> Self {
        Self {
            name: format!("{} {}", row.app, row.version),
            published_at: row.created_at,
            retired_at: row.retired_at,
            operation_count: row.operation_count,
            use_count: operations.iter().map(|operation| operation.use_count).sum(),
            last_used_at: operations.iter().filter_map(|operation| operation.last_used_at).max(),
        }
    }
}

/// Formats the versions.
pub(super) fn format_versions(lines: &[VersionLine]) -> String {
    if lines.is_empty() {
        return "no versions found\n".to_owned();
    }
    let header = ["VERSION", "PUBLISHED", "OPERATIONS", "USES", "LAST USE", "RETIRED"].map(str::to_owned);
    let to_row = |line: &VersionLine| {
        let VersionLine { name, published_at, retired_at, operation_count, use_count, last_used_at } = line;
        let retired = retired_at.map_or(String::new(), |retired_at| format_time(&retired_at));
        [
            name.clone(),
            format_time(published_at),
            operation_count.to_string(),
            use_count.to_string(),
            format_last_use(*last_used_at),
            retired,
        ]
    };
    format_table(std::iter::once(header).chain(lines.iter().map(to_row)).collect())
}

/// Formats operations before their publication.
pub(super) fn format_checked_operations(operations: &[CheckedOperation]) -> String {
    let header = ["OPERATION", "TYPE", "COST", "DEPTH", "STATEMENTS", "ID"].map(str::to_owned);
    let to_row = |operation: &CheckedOperation| {
        let CheckedOperation { document_id, name, kind, complexity, depth, statements, statement_figure, text: _ } =
            operation;
        [
            format_name(name.as_deref()),
            format_kind(*kind),
            complexity.to_string(),
            depth.to_string(),
            format_statements(*statements, *statement_figure),
            document_id.clone(),
        ]
    };
    format_table(std::iter::once(header).chain(operations.iter().map(to_row)).collect())
}

/// Formats the operations of a version with their uses.
pub(super) fn format_published_operations(rows: &[OperationRow]) -> String {
    let header = ["OPERATION", "TYPE", "COST", "DEPTH", "STATEMENTS", "USES", "LAST USE", "ID"].map(str::to_owned);
    let to_row = |row: &OperationRow| {
        [
            format_name(row.operation_name.as_deref()),
            format_kind(row.operation_type),
            row.complexity.to_string(),
            row.depth.to_string(),
            format_statements(row.statements, row.statement_figure),
            row.use_count.to_string(),
            format_last_use(row.last_used_at),
            row.document_id.clone(),
        ]
    };
    format_table(std::iter::once(header).chain(rows.iter().map(to_row)).collect())
}

fn format_name(name: Option<&str>) -> String {
    name.unwrap_or("(anonymous)").to_owned()
}

fn format_kind(kind: OperationKind) -> String {
    kind.to_value()
}

/// Formats a number of statements: `7` is exact, `>=5` a lower bound, `<=60` the limit of a request.
fn format_statements(statements: i32, figure: StatementFigure) -> String {
    match figure {
        StatementFigure::Measured => statements.to_string(),
        StatementFigure::AtLeast => format!(">={statements}"),
        StatementFigure::Limit => format!("<={statements}"),
    }
}

fn format_time(time: &DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Secs, true)
}

fn format_last_use(last_used_at: Option<DateTime<Utc>>) -> String {
    last_used_at.map_or_else(|| "never".to_owned(), |last_used_at| format_time(&last_used_at))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_show_their_meaning() {
        let shown = [StatementFigure::Measured, StatementFigure::AtLeast, StatementFigure::Limit]
            .map(|figure| format_statements(7, figure));
        assert_eq!(shown, ["7", ">=7", "<=7"]);
    }
}
