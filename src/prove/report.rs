//! The report of the proofs, as JSON or Markdown.

use std::fmt::Write;

use chrono::{DateTime, SecondsFormat, Utc};
use serde::Serialize;

use super::machine::{DatabaseDescription, MachineDescription};
use crate::consistency::ConsistencyReport;

/// A number that a proof measured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ProofFigure {
    /// What was counted.
    pub name: &'static str,
    /// The number.
    pub value: u64,
}

/// The result of a proof.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ProofResult {
    /// Name of the proof.
    pub name: &'static str,
    /// What it shows.
    pub claim: &'static str,
    /// The numbers.
    pub figures: Vec<ProofFigure>,
    /// What contradicts the claim; empty if it holds.
    pub violations: Vec<String>,
    /// Duration in milliseconds.
    pub duration_millis: u64,
}

/// The report of all proofs.
#[derive(Debug, Clone, Serialize)]
pub struct ProofReport {
    /// Version of this program.
    pub program_version: &'static str,
    /// When the proofs began.
    pub started_at: DateTime<Utc>,
    /// Duration of everything in milliseconds.
    pub duration_millis: u64,
    /// The machine.
    pub machine: MachineDescription,
    /// The database system.
    pub database: DatabaseDescription,
    /// The results.
    pub proofs: Vec<ProofResult>,
    /// The consistency checks at the end.
    pub check: ConsistencyReport,
    /// Violations of all proofs and checks.
    pub violations: u64,
}

impl ProofReport {
    /// Adds up the violations of proofs and checks.
    pub(super) fn count_violations(proofs: &[ProofResult], check: &ConsistencyReport) -> u64 {
        let of_proofs: usize = proofs.iter().map(|proof| proof.violations.len()).sum();
        // Nothing may be left to staff, either: a dead job counts.
        of_proofs as u64 + u64::try_from(check.violations + check.warnings).unwrap_or_default()
    }

    /// Formats the report as Markdown.
    #[must_use]
    pub fn to_markdown(&self) -> String {
        let mut text = String::new();
        // Writing to a `String` cannot fail.
        let _ = self.write_markdown(&mut text);
        text
    }

    fn write_markdown(&self, text: &mut String) -> std::fmt::Result {
        let verdict =
            if self.violations == 0 { "passed".to_owned() } else { format!("{} violations", self.violations) };
        writeln!(text, "# Savannah {}: proofs {verdict}\n", self.program_version)?;
        writeln!(text, "| | |\n|---|---|")?;
        writeln!(text, "| started | {} |", self.started_at.to_rfc3339_opts(SecondsFormat::Secs, true))?;
        writeln!(text, "| duration | {} |", format_seconds(self.duration_millis))?;
        let MachineDescription { system, processor, cores, memory_bytes } = &self.machine;
        writeln!(text, "| machine | {system}, {cores} cores, {processor}{} |", format_memory(*memory_bytes))?;
        let settings: Vec<_> = self.database.settings.iter().map(|(name, value)| format!("{name} = {value}")).collect();
        writeln!(text, "| database | {} ({}) |", self.database.version, settings.join(", "))?;
        for proof in &self.proofs {
            let ProofResult { name, claim, figures, violations, duration_millis } = proof;
            writeln!(text, "\n## {name}: {}\n\n{claim}\n\n| | |\n|---|--:|", verdict_of(violations.len()))?;
            for ProofFigure { name, value } in figures {
                writeln!(text, "| {name} | {value} |")?;
            }
            writeln!(
                text,
                "| violations | {} |\n| duration | {} |",
                violations.len(),
                format_seconds(*duration_millis)
            )?;
            write_list(text, violations.iter().map(String::as_str))?;
        }
        let found = self.check.violations + self.check.warnings;
        writeln!(text, "\n## Books: {}\n", verdict_of(usize::try_from(found).unwrap_or_default()))?;
        writeln!(text, "{} consistency checks (`savannah check`) found {found} rows.", self.check.checks.len())?;
        let findings = self.check.findings().map(|check| {
            format!("{}: {} {}: {}", check.name, check.violations, check.description, check.examples.join(", "))
        });
        let findings: Vec<String> = findings.collect();
        write_list(text, findings.iter().map(String::as_str))
    }
}

fn write_list<'a>(text: &mut String, items: impl Iterator<Item = &'a str>) -> std::fmt::Result {
    for (index, item) in items.enumerate() {
        let separator = if index == 0 { "\n" } else { "" };
        writeln!(text, "{separator}- {item}")?;
    }
    Ok(())
}

fn verdict_of(violations: usize) -> &'static str {
    if violations == 0 { "passed" } else { "FAILED" }
}

/// Formats milliseconds as seconds with one decimal.
fn format_seconds(millis: u64) -> String {
    format!("{}.{} s", millis / 1000, millis % 1000 / 100)
}

fn format_memory(bytes: Option<u64>) -> String {
    bytes.map_or_else(String::new, |bytes| format!(", {} GiB of memory", bytes.div_ceil(1 << 30)))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn report(violations: Vec<String>) -> ProofReport {
        let check = ConsistencyReport { checked_at: DateTime::UNIX_EPOCH, violations: 0, warnings: 0, checks: vec![] };
        let figures = vec![ProofFigure { name: "orders", value: 7 }];
        let proof =
            ProofResult { name: "Races", claim: "Nothing is oversold.", figures, violations, duration_millis: 1250 };
        let proofs = vec![proof];
        ProofReport {
            program_version: "1.0.0",
            started_at: DateTime::UNIX_EPOCH,
            duration_millis: 2000,
            machine: MachineDescription {
                system: "Debian".to_owned(),
                processor: "a processor".to_owned(),
                cores: 2,
                memory_bytes: Some(3 << 30),
            },
            database: DatabaseDescription { version: "SQLite 3".to_owned(), settings: BTreeMap::new() },
            violations: ProofReport::count_violations(&proofs, &check),
            proofs,
            check,
        }
    }

    #[test]
    fn report_without_violations_says_that_it_passed() {
        let text = report(Vec::new()).to_markdown();
        assert!(text.starts_with("# Savannah 1.0.0: proofs passed\n"), "{text}");
        assert!(text.contains("## Races: passed") && text.contains("| orders | 7 |"), "{text}");
        assert!(text.contains("| duration | 1.2 s |") && text.contains("2 cores, a processor, 3 GiB"), "{text}");
    }

    #[test]
    fn violation_is_counted_and_listed() {
        let report = report(vec!["one unit too many".to_owned()]);
        assert_eq!(report.violations, 1);
        let text = report.to_markdown();
        assert!(text.starts_with("# Savannah 1.0.0: proofs 1 violations\n"), "{text}");
        assert!(text.contains("## Races: FAILED") && text.contains("- one unit too many\n"), "{text}");
    }
}
