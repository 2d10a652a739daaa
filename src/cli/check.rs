//! `savannah check`: examines the books of the shop.

use std::{fmt::Write, process::ExitCode};

use chrono::SecondsFormat;
use clap::Args;

use super::{database::connect_existing_database, table::format_table};
use crate::{
    consistency::{CheckArea, CheckResult, CheckSeverity, ConsistencyReport, MAX_EXAMPLES, check_database},
    infra::{Config, Db},
    media::{MediaLibrary, file_check::find_missing_files},
};

/// Arguments of `check`.
#[derive(Debug, Args)]
pub(super) struct ConsistencyCheckArgs {
    /// Print the results as JSON.
    #[arg(long)]
    json: bool,
}

pub(super) async fn run_check(config: &Config, args: &ConsistencyCheckArgs) -> Result<ExitCode, String> {
    let db = connect_existing_database(config).await?;
    let report = check_and_close(db, config).await?;
    if args.json {
        println!("{}", serde_json::to_string_pretty(&report).map_err(|error| error.to_string())?);
    } else {
        print!("{}", format_report(&report));
    }
    Ok(exit_code_of(&report))
}

/// Checks a database with the files of its pictures, and closes it.
pub(super) async fn check_and_close(db: Db, config: &Config) -> Result<ConsistencyReport, String> {
    let outcome = check_database(&db).await;
    let missing = find_missing_files(&db, &MediaLibrary::new(&config.media), MAX_EXAMPLES).await;
    db.close().await;
    let report = outcome.map_err(|error| format!("the database cannot be checked: {}", error.log_message()))?;
    let missing =
        missing.map_err(|error| format!("the files of pictures cannot be checked: {}", error.log_message()))?;
    Ok(report.with_check(CheckResult {
        name: "media_files",
        description: "pictures whose files are missing in the storage",
        area: CheckArea::Catalog,
        severity: CheckSeverity::Violation,
        violations: missing.count,
        entity: "file",
        examples: missing.examples,
    }))
}

/// Returns failure if there are violations.
pub(super) fn exit_code_of(report: &ConsistencyReport) -> ExitCode {
    if report.violations == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Formats a report as a table, the findings with examples, and a summary.
pub(super) fn format_report(report: &ConsistencyReport) -> String {
    let header = ["CHECK", "RESULT", "LOOKS FOR"].map(str::to_owned);
    let to_row = |check: &CheckResult| {
        let result = match (check.violations, check.severity) {
            (0, _) => "ok".to_owned(),
            (count, CheckSeverity::Violation) => count.to_string(),
            (count, CheckSeverity::Warning) => format!("{count} (warning)"),
        };
        [check.name.to_owned(), result, check.description.to_owned()]
    };
    let mut text = format_table(std::iter::once(header).chain(report.checks.iter().map(to_row)).collect());
    // Writing to a `String` cannot fail.
    let _ = write_summary(&mut text, report);
    text
}

fn write_summary(text: &mut String, report: &ConsistencyReport) -> std::fmt::Result {
    for check in report.findings() {
        let is_complete = i64::try_from(check.examples.len()).is_ok_and(|shown| shown == check.violations);
        let (examples, more) = (check.examples.join(", "), if is_complete { "" } else { ", …" });
        let CheckResult { name, description, violations, entity, .. } = check;
        writeln!(text, "{name}: {violations} {description}: {entity} {examples}{more}")?;
    }
    let ConsistencyReport { checked_at, violations, warnings, checks } = report;
    let time = checked_at.to_rfc3339_opts(SecondsFormat::Secs, true);
    writeln!(text, "{} checks at {time}: {violations} violations, {warnings} warnings", checks.len())
}
