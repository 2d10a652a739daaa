//! What was seen, in Markdown.

use std::{
    fmt::{Display, Formatter, Result, Write},
    time::Duration,
};

use crate::{
    measure::Round,
    process::{self, Memory},
    scenario::Kind,
};

/// One scenario.
#[derive(Debug)]
pub struct Line {
    /// Which.
    pub kind: Kind,
    /// The shop.
    pub savannah: Round,
    /// The hand-written server.
    pub comparator: Round,
}

/// One size.
#[derive(Debug)]
pub struct Report {
    /// How many there are.
    pub products: u64,
    /// How many there are.
    pub categories: u64,
    /// How many are below the category that is listed.
    pub below: i64,
    /// How many products a search finds on average: rare words, common words.
    pub found: (f64, f64),
    /// Of PostgreSQL.
    pub version: String,
    /// How long filling the database took, if it was filled now.
    pub seeding: Option<Duration>,
    /// Connections, rounds, seconds.
    pub load: (u32, u32, u32),
    /// The scenarios.
    pub lines: Vec<Line>,
    /// The shop's starts, shortest first.
    pub starts: Vec<Duration>,
    /// The hand-written server's.
    pub comparator_start: Duration,
    /// Of the shop.
    pub memory: Option<Memory>,
    /// Of the hand-written server.
    pub comparator_memory: Option<Memory>,
}

impl Display for Report {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let Self { products, categories, below, found: (rare, common), version, .. } = self;
        let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
        let (connections, rounds, seconds) = self.load;
        writeln!(f, "### {products} products in {categories} categories\n")?;
        writeln!(
            f,
            "{cores} cores ({}), PostgreSQL {version}, wrk and both servers on the same machine. {connections} \
             connections, median of {rounds} rounds of {seconds} s, Savannah and the hand-written server in turn. The \
             category has {below} below it; a search finds {rare:.0} products (rare) or {common:.0} (common) on average.\n",
            process::processor(),
        )?;
        f.write_str(
            "| scenario | Savannah req/s | hand-written req/s | ratio | p50 ms | p99 ms | p99/p50 | CPU µs/req | \
             hand-written | PostgreSQL µs/req | hand-written |\n\
             |---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n",
        )?;
        for Line { kind, savannah, comparator } in &self.lines {
            let (ours, theirs) = (&savannah.seen, &comparator.seen);
            writeln!(
                f,
                "| {} | {:.0} | {:.0} | {:.2} | {:.1} | {:.1} | {:.1} | {} | {} | {} | {} |",
                kind.title(),
                ours.rate,
                theirs.rate,
                ours.rate / theirs.rate,
                ours.p50,
                ours.p99,
                ours.p99 / ours.p50,
                micros(savannah.cpu),
                micros(comparator.cpu),
                micros(savannah.postgres),
                micros(comparator.postgres),
            )?;
        }
        let starts: Vec<_> = self.starts.iter().map(|start| millis(*start)).collect();
        let middle = starts.get(starts.len() / 2).cloned().unwrap_or_default();
        let [first, last] = [starts.first(), starts.last()].map(|start| start.cloned().unwrap_or_default());
        let hand = millis(self.comparator_start);
        writeln!(f, "\nStart to first answer: {middle} ms ({first} to {last}); hand-written: {hand} ms.")?;
        let (ours, theirs) = (memory(self.memory), memory(self.comparator_memory));
        writeln!(f, "Resident memory after the load: {ours}; hand-written: {theirs}.")?;
        self.seeding.map_or(Ok(()), |took| writeln!(f, "Seeding took {:.1} s.", took.as_secs_f64()))
    }
}

fn micros(number: Option<f64>) -> String {
    number.map_or_else(|| "–".to_owned(), |number| format!("{number:.0}"))
}

fn millis(time: Duration) -> String {
    format!("{:.0}", time.as_secs_f64() * 1e3)
}

fn memory(megabytes: Option<Memory>) -> String {
    megabytes.map_or_else(|| "unknown".to_owned(), |Memory { now, most }| format!("{now:.1} MB, at most {most:.1} MB"))
}

/// How each scenario slows down from the first size to the last.
pub fn growth(reports: &[Report]) -> String {
    let mut out = String::from("### As the shop grows\n\n| scenario, Savannah req/s |");
    // Writing to a string cannot fail.
    for report in reports {
        let _ = write!(out, " {} |", report.products);
    }
    out.push_str(" last/first | hand-written last/first |\n|---|");
    out.push_str(&"--:|".repeat(reports.len() + 2));
    let Some(first) = reports.first() else { return out };
    for (at, line) in first.lines.iter().enumerate() {
        // Every size has the same scenarios in the same order.
        let rounds = reports.iter().filter_map(|report| report.lines.get(at));
        let rates: Vec<_> = rounds.map(|line| (line.savannah.seen.rate, line.comparator.seen.rate)).collect();
        let _ = write!(out, "\n| {} |", line.kind.title());
        for (rate, _) in &rates {
            let _ = write!(out, " {rate:.0} |");
        }
        if let (Some(first), Some(last)) = (rates.first(), rates.last()) {
            let _ = write!(out, " {:.2} | {:.2} |", last.0 / first.0, last.1 / first.1);
        }
    }
    out
}
