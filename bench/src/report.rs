//! The report in Markdown.

use std::{
    fmt::{Display, Formatter, Result, Write},
    time::Duration,
};

use crate::{
    benchmark::LoadRound,
    process::{self, MemoryUsage},
    scenario::ScenarioKind,
};

/// The results of a scenario.
#[derive(Debug)]
pub struct ScenarioRow {
    /// The scenario.
    pub kind: ScenarioKind,
    /// Savannah's results.
    pub savannah: LoadRound,
    /// The hand-written server's results.
    pub baseline: LoadRound,
}

/// The report for one catalog size.
#[derive(Debug)]
pub struct Report {
    /// The number of products.
    pub products: u64,
    /// The number of categories.
    pub categories: u64,
    /// The number of descendants of the category in the Category scenario.
    pub descendant_count: i64,
    /// The average number of search hits: rare words, common words.
    pub average_hits: (f64, f64),
    /// The PostgreSQL version.
    pub version: String,
    /// The seeding time, if the database was seeded in this run.
    pub seeding_time: Option<Duration>,
    /// The number of connections, rounds, and seconds per round.
    pub load: (u32, u32, u32),
    /// The results of the scenarios.
    pub rows: Vec<ScenarioRow>,
    /// Savannah's startup times, shortest first.
    pub starts: Vec<Duration>,
    /// The hand-written server's startup time.
    pub baseline_start: Duration,
    /// Savannah's memory usage.
    pub memory: Option<MemoryUsage>,
    /// The hand-written server's memory usage.
    pub baseline_memory: Option<MemoryUsage>,
}

impl Display for Report {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let Self { products, categories, descendant_count, average_hits: (rare, common), version, .. } = self;
        let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
        let (connections, rounds, seconds) = self.load;
        writeln!(f, "### {products} products in {categories} categories\n")?;
        writeln!(
            f,
            "{cores} cores ({}), PostgreSQL {version}, wrk and both servers on the same machine. {connections} \
             connections, median of {rounds} rounds of {seconds} s, Savannah and the hand-written server in turn. The \
             category has {descendant_count} below it; a search finds {rare:.0} products (rare) or {common:.0} (common) on average.\n",
            process::read_processor_name(),
        )?;
        f.write_str(
            "| scenario | Savannah req/s | hand-written req/s | ratio | p50 ms | p99 ms | p99/p50 | CPU µs/req | \
             hand-written | PostgreSQL µs/req | hand-written |\n\
             |---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n",
        )?;
        for ScenarioRow { kind, savannah, baseline } in &self.rows {
            let (savannah_result, baseline_result) = (&savannah.result, &baseline.result);
            writeln!(
                f,
                "| {} | {:.0} | {:.0} | {:.2} | {:.1} | {:.1} | {:.1} | {} | {} | {} | {} |",
                kind.title(),
                savannah_result.rate,
                baseline_result.rate,
                savannah_result.rate / baseline_result.rate,
                savannah_result.p50,
                savannah_result.p99,
                savannah_result.p99 / savannah_result.p50,
                format_micros(savannah.cpu_micros),
                format_micros(baseline.cpu_micros),
                format_micros(savannah.postgres_cpu_micros),
                format_micros(baseline.postgres_cpu_micros),
            )?;
        }
        let starts: Vec<_> = self.starts.iter().map(|start| format_millis(*start)).collect();
        let median = starts.get(starts.len() / 2).cloned().unwrap_or_default();
        let [first, last] = [starts.first(), starts.last()].map(|start| start.cloned().unwrap_or_default());
        let baseline_start = format_millis(self.baseline_start);
        writeln!(f, "\nStart to first answer: {median} ms ({first} to {last}); hand-written: {baseline_start} ms.")?;
        let (savannah_result, baseline_result) = (format_memory(self.memory), format_memory(self.baseline_memory));
        writeln!(f, "Resident memory after the load: {savannah_result}; hand-written: {baseline_result}.")?;
        self.seeding_time.map_or(Ok(()), |duration| writeln!(f, "Seeding took {:.1} s.", duration.as_secs_f64()))
    }
}

fn format_micros(number: Option<f64>) -> String {
    number.map_or_else(|| "–".to_owned(), |number| format!("{number:.0}"))
}

fn format_millis(time: Duration) -> String {
    format!("{:.0}", time.as_secs_f64() * 1e3)
}

fn format_memory(megabytes: Option<MemoryUsage>) -> String {
    megabytes.map_or_else(
        || "unknown".to_owned(),
        |MemoryUsage { resident_mb, peak_mb }| format!("{resident_mb:.1} MB, at most {peak_mb:.1} MB"),
    )
}

/// Formats the throughput of each scenario by catalog size.
pub fn format_growth(reports: &[Report]) -> String {
    let mut out = String::from("### As the shop grows\n\n| scenario, Savannah req/s |");
    // Writing to a string cannot fail.
    for report in reports {
        let _ = write!(out, " {} |", report.products);
    }
    out.push_str(" last/first | hand-written last/first |\n|---|");
    out.push_str(&"--:|".repeat(reports.len() + 2));
    let Some(first) = reports.first() else { return out };
    for (index, row) in first.rows.iter().enumerate() {
        // Every size has the same scenarios in the same order.
        let rounds = reports.iter().filter_map(|report| report.rows.get(index));
        let rates: Vec<_> = rounds.map(|row| (row.savannah.result.rate, row.baseline.result.rate)).collect();
        let _ = write!(out, "\n| {} |", row.kind.title());
        for (rate, _) in &rates {
            let _ = write!(out, " {rate:.0} |");
        }
        if let (Some(first), Some(last)) = (rates.first(), rates.last()) {
            let _ = write!(out, " {:.2} | {:.2} |", last.0 / first.0, last.1 / first.1);
        }
    }
    out
}
