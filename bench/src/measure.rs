//! One whole run.

use std::{
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use sqlx::{PgConnection, Row};
use tokio::runtime::Runtime;

use crate::{
    Result,
    args::Options,
    attack, check,
    database::{self, Database},
    editing, explain, http, load,
    load::{Script, Seen},
    process::Server,
    report::{self, Line, Report},
    scenario::{Kind, Questions, Scenario},
    selling,
};

/// So many starts; the middle one counts.
const STARTS: usize = 5;

/// Measures every size that is asked for, and prints what it saw.
pub fn run(options: &Options) -> Result<()> {
    if cfg!(debug_assertions) {
        return Err("this build is not optimised, so it would compare nothing; run it with --release".to_owned());
    }
    if !options.explain && !options.editing && !options.attack {
        load::is_there()?;
    }
    let server = match &options.server {
        Some(path) => path.clone(),
        None => build()?,
    };
    let server = server.canonicalize().map_err(|why| format!("{} cannot be run: {why}", server.display()))?;
    if options.selling {
        return selling::run(options, &server);
    }
    if options.editing {
        return editing::run(options, &server);
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|why| format!("tokio cannot start: {why}"))?;
    let mut reports = Vec::new();
    for products in options.sizes() {
        let database = runtime.block_on(database::prepare(options, &server, products))?;
        if options.attack {
            attack::run(options, &server, &database.url)?;
            continue;
        }
        let mut db = runtime.block_on(database::connect(&database.url))?;
        let questions = runtime.block_on(Questions::draw(&mut db))?;
        if options.explain {
            explain::run(options, &server, &database.url, &questions)?;
            continue;
        }
        let report = Bench { options, server: &server, runtime: &runtime, db, database, questions }.run(products)?;
        println!("{report}");
        reports.push(report);
    }
    if reports.len() > 1 {
        println!("{}", report::growth(&reports));
    }
    Ok(())
}

/// Builds the shop; it lies beside this program then.
fn build() -> Result<PathBuf> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(["build", "--release", "-p", "savannah"]).current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    let status = command.status().map_err(|why| format!("cargo cannot be run: {why}"))?;
    if !status.success() {
        return Err(format!("Savannah cannot be built: {status}"));
    }
    let me = std::env::current_exe().map_err(|why| format!("this program cannot find itself: {why}"))?;
    Ok(me.with_file_name("savannah"))
}

struct Bench<'a> {
    options: &'a Options,
    server: &'a Path,
    runtime: &'a Runtime,
    db: PgConnection,
    database: Database,
    questions: Questions,
}

impl Bench<'_> {
    fn run(mut self, products: u64) -> Result<Report> {
        let (savannah, starts) = self.start()?;
        let comparator = Server::comparator(&self.database.url)?;
        let scenarios = std::mem::take(&mut self.questions.scenarios);
        let wanted: Vec<_> = scenarios.iter().filter(|scenario| self.options.wants(scenario.kind)).collect();
        // All of them first: nobody should wait for minutes to be told that the last one differs.
        for scenario in &wanted {
            check::same(scenario, &savannah, &comparator)?;
        }
        let mut lines = Vec::new();
        for scenario in wanted {
            lines.push(self.scenario(scenario, &savannah, &comparator)?);
        }
        Ok(Report {
            products,
            categories: self.options.categories,
            below: self.questions.below,
            found: self.questions.found,
            version: self.database.version,
            seeding: self.database.seeding,
            load: (self.options.connections, self.options.rounds, self.options.seconds),
            lines,
            starts,
            comparator_start: comparator.started,
            memory: savannah.memory(),
            comparator_memory: comparator.memory(),
        })
    }

    /// Starts the shop a few times and keeps the last one; how long each took, shortest first.
    fn start(&self) -> Result<(Server, Vec<Duration>)> {
        let mut server = Server::savannah(self.server, &self.database.url)?;
        let mut starts = vec![server.started];
        while starts.len() < STARTS {
            drop(server);
            server = Server::savannah(self.server, &self.database.url)?;
            starts.push(server.started);
        }
        starts.sort();
        Ok((server, starts))
    }

    /// Loads both in turn.
    fn scenario(&mut self, scenario: &Scenario, savannah: &Server, comparator: &Server) -> Result<Line> {
        let token = if scenario.kind == Kind::SignedIn { Some(sign_in(savannah)?) } else { None };
        let name = scenario.kind.title();
        let script = Script::new(name, &scenario.bodies, token.as_deref())?;
        let [mut ours, mut theirs] = [Vec::new(), Vec::new()];
        for server in [savannah, comparator] {
            script.run(self.options, server.address, true).map_err(|why| format!("{name}: {why}"))?;
        }
        for round in 1..=self.options.rounds {
            for (who, server, rounds) in [("Savannah", savannah, &mut ours), ("comparator", comparator, &mut theirs)] {
                let one = self.round(&script, server).map_err(|why| format!("{name}: {why}"))?;
                eprintln!("{name}, round {round}, {who}: {:.0} a second", one.seen.rate);
                rounds.push(one);
            }
        }
        Ok(Line { kind: scenario.kind, savannah: Round::median(&ours), comparator: Round::median(&theirs) })
    }

    fn round(&mut self, script: &Script, server: &Server) -> Result<Round> {
        let (cpu, backends) = (server.cpu(), self.backends()?);
        let seen = script.run(self.options, server.address, false)?;
        let (cpu_after, backends_after) = (server.cpu(), self.backends()?);
        Ok(Round::of(seen, (cpu, cpu_after), (backends, backends_after)))
    }

    /// The processor time of the database's processes that serve this database, in microseconds.
    fn backends(&mut self) -> Result<f64> {
        let ask = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()";
        let rows = self.runtime.block_on(sqlx::query(ask).fetch_all(&mut self.db));
        let rows = rows.map_err(|why| format!("the database's processes cannot be listed: {why}"))?;
        let ids = rows.iter().flat_map(|row| row.try_get::<i32, _>(0)).flat_map(u32::try_from);
        Ok(ids.filter_map(|id| crate::process::cpu(id, "postgres")).sum())
    }
}

/// Makes a customer, and gives its token. The hand-written server gets it too, and does not look at it.
fn sign_in(savannah: &Server) -> Result<String> {
    let since = std::time::SystemTime::UNIX_EPOCH.elapsed().map_err(|why| format!("the clock is wrong: {why}"))?;
    let (_, answer) = http::post(savannah.address, &Questions::register(since.as_nanos()))?;
    let read: serde_json::Value = serde_json::from_str(&answer).map_err(|why| format!("{why} in {answer}"))?;
    let token = read.pointer("/data/customerRegister/tokens/accessToken").and_then(serde_json::Value::as_str);
    token.map(str::to_owned).ok_or_else(|| format!("nobody can sign in: {answer}"))
}

/// One turn of one server, or the middle of several.
#[derive(Debug, Clone, Copy)]
pub struct Round {
    /// What `wrk` saw.
    pub seen: Seen,
    /// Microseconds of the server's processor time for each answer.
    pub cpu: Option<f64>,
    /// The same of PostgreSQL, if it runs here.
    pub postgres: Option<f64>,
}

impl Round {
    /// What was seen, with the processor time of the server and of the database's processes before and after.
    pub fn of(seen: Seen, cpu: (Option<f64>, Option<f64>), backends: (f64, f64)) -> Self {
        let each = |(before, after): (Option<f64>, Option<f64>)| Some((after? - before?) / seen.requests);
        // A database on another machine has no processes here.
        let postgres = each((Some(backends.0), Some(backends.1))).filter(|micros| *micros > 0.0);
        Self { seen, cpu: each(cpu), postgres }
    }

    /// The middle of each number.
    pub fn median(rounds: &[Self]) -> Self {
        let of = |number: &dyn Fn(&Self) -> f64| median(rounds.iter().map(number).collect());
        let maybe =
            |number: &dyn Fn(&Self) -> Option<f64>| rounds.iter().map(number).collect::<Option<Vec<_>>>().map(median);
        Self {
            seen: Seen {
                requests: of(&|round| round.seen.requests),
                rate: of(&|round| round.seen.rate),
                p50: of(&|round| round.seen.p50),
                p99: of(&|round| round.seen.p99),
            },
            cpu: maybe(&|round| round.cpu),
            postgres: maybe(&|round| round.postgres),
        }
    }
}

/// The middle of some numbers.
fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    let middle = numbers.len() / 2;
    match numbers.as_slice() {
        [] => f64::NAN,
        some if some.len().is_multiple_of(2) => f64::midpoint(some[middle - 1], some[middle]),
        some => some[middle],
    }
}
