//! The benchmark run.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use sqlx::{PgConnection, Row};
use tokio::runtime::Runtime;

use crate::{
    Result,
    args::Options,
    attack_scenario, cached_scenario, checkout_scenario,
    database::{self, BenchDatabase},
    edit_scenario, explain, http, instances_scenario, media_scenario,
    process::Server,
    report::{self, Report, ScenarioRow},
    response_check, rest_scenario,
    scenario::{Scenario, ScenarioKind, ScenarioSet, load_column},
    search_scenario, storefront_scenario, subscriber_scenario, wrk,
    wrk::{WrkResult, WrkScript},
};

/// The number of server starts; the median is reported.
const START_COUNT: usize = 5;

/// Measures every requested size and prints the reports.
pub fn run_benchmark(options: &Options) -> Result<()> {
    if cfg!(debug_assertions) && options.instances.is_some() {
        eprintln!("this build is not optimized: the numbers are no measurement; run it with --release");
    } else if cfg!(debug_assertions) && options.subscribers.is_none() {
        return Err("this build is not optimised, so it would compare nothing; run it with --release".to_owned());
    }
    let uses_wrk = !options.explain && !options.editing && !options.attack && !options.media;
    if uses_wrk && options.subscribers.is_none() {
        wrk::check_wrk_installed()?;
    }
    let server = match &options.server {
        Some(path) => path.clone(),
        None => build_savannah()?,
    };
    let server = server.canonicalize().map_err(|error| format!("{} cannot be run: {error}", server.display()))?;
    if let Some(subscriber_count) = options.subscribers {
        return subscriber_scenario::run_subscriber_scenario(options, &server, subscriber_count);
    }
    if options.selling {
        return checkout_scenario::run_checkout_scenario(options, &server);
    }
    if options.editing {
        return edit_scenario::run_edit_scenario(options, &server);
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| format!("tokio cannot start: {error}"))?;
    let mut reports = Vec::new();
    for products in options.sizes() {
        let database = runtime.block_on(database::prepare_database(options, &server, products))?;
        if options.media {
            media_scenario::run_media_scenario(options, &server, &database.url)?;
            continue;
        }
        if options.attack {
            attack_scenario::run_attack_scenario(options, &server, &database.url)?;
            continue;
        }
        let mut db = runtime.block_on(database::open_connection(&database.url))?;
        if options.storefront {
            let mut postgres = PostgresCpu { runtime: &runtime, db, url: &database.url };
            storefront_scenario::run_storefront_scenario(options, &server, &mut postgres)?;
            continue;
        }
        if options.rest {
            let mut postgres = PostgresCpu { runtime: &runtime, db, url: &database.url };
            rest_scenario::run_rest_scenario(options, &server, &mut postgres)?;
            continue;
        }
        if options.search {
            let mut postgres = PostgresCpu { runtime: &runtime, db, url: &database.url };
            search_scenario::run_search_scenario(options, &server, &mut postgres)?;
            continue;
        }
        if options.cached {
            let mut postgres = PostgresCpu { runtime: &runtime, db, url: &database.url };
            cached_scenario::run_cached_scenario(options, &server, &mut postgres)?;
            continue;
        }
        let scenario_set = runtime.block_on(ScenarioSet::load(&mut db))?;
        if let Some(count) = options.instances {
            let mut postgres = PostgresCpu { runtime: &runtime, db, url: &database.url };
            let instances = (&*server, usize::from(count));
            instances_scenario::run_instances_scenario(options, instances, &scenario_set.scenarios, &mut postgres)?;
            continue;
        }
        if options.explain {
            explain::print_plans(options, &server, &database.url, &scenario_set)?;
            continue;
        }
        let report = Benchmark {
            options,
            server: &server,
            postgres: PostgresCpu { runtime: &runtime, db, url: &database.url },
            database: &database,
            scenario_set,
        }
        .run(products)?;
        println!("{report}");
        reports.push(report);
    }
    if reports.len() > 1 {
        println!("{}", report::format_growth(&reports));
    }
    Ok(())
}

/// Builds Savannah, and returns the path of its executable beside this one.
fn build_savannah() -> Result<PathBuf> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(["build", "--release", "-p", "savannah"]).current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    let status = command.status().map_err(|error| format!("cargo cannot be run: {error}"))?;
    if !status.success() {
        return Err(format!("Savannah cannot be built: {status}"));
    }
    let executable = std::env::current_exe().map_err(|error| format!("this program cannot find itself: {error}"))?;
    Ok(executable.with_file_name("savannah"))
}

struct Benchmark<'a> {
    options: &'a Options,
    server: &'a Path,
    postgres: PostgresCpu<'a>,
    database: &'a BenchDatabase,
    scenario_set: ScenarioSet,
}

impl Benchmark<'_> {
    fn run(mut self, products: u64) -> Result<Report> {
        let (savannah, starts) = self.measure_starts()?;
        let baseline = Server::start_baseline(&self.database.url)?;
        let scenarios = std::mem::take(&mut self.scenario_set.scenarios);
        let selected: Vec<_> = scenarios.iter().filter(|scenario| self.options.includes(scenario.kind)).collect();
        // All responses are compared before any measurement, so that a difference is reported early.
        for scenario in &selected {
            response_check::compare_responses(scenario, &savannah, &baseline)?;
        }
        let mut rows = Vec::new();
        for scenario in selected {
            rows.push(self.measure_scenario(scenario, &savannah, &baseline)?);
        }
        Ok(Report {
            products,
            categories: self.options.categories,
            descendant_count: self.scenario_set.descendant_count,
            average_hits: self.scenario_set.average_hits,
            version: self.database.version.clone(),
            seeding_time: self.database.seeding_time,
            load: (self.options.connections, self.options.rounds, self.options.seconds),
            rows,
            starts,
            baseline_start: baseline.startup_time,
            memory: savannah.memory_usage(),
            baseline_memory: baseline.memory_usage(),
        })
    }

    /// Starts Savannah several times. Returns the last server and the startup times, shortest first.
    fn measure_starts(&self) -> Result<(Server, Vec<Duration>)> {
        let mut server = Server::start_savannah(self.server, &self.database.url)?;
        let mut starts = vec![server.startup_time];
        while starts.len() < START_COUNT {
            drop(server);
            server = Server::start_savannah(self.server, &self.database.url)?;
            starts.push(server.startup_time);
        }
        starts.sort();
        Ok((server, starts))
    }

    /// Loads both servers alternately.
    fn measure_scenario(&mut self, scenario: &Scenario, savannah: &Server, baseline: &Server) -> Result<ScenarioRow> {
        let token = if scenario.kind == ScenarioKind::SignedIn { Some(register_customer(savannah)?) } else { None };
        let name = scenario.kind.title();
        let script = WrkScript::new(name, &scenario.bodies, token.as_deref())?;
        let [mut savannah_rounds, mut baseline_rounds] = [Vec::new(), Vec::new()];
        for server in [savannah, baseline] {
            script.run(self.options, server.address, true).map_err(|error| format!("{name}: {error}"))?;
        }
        for round in 1..=self.options.rounds {
            for (server_name, server, rounds) in
                [("Savannah", savannah, &mut savannah_rounds), ("comparator", baseline, &mut baseline_rounds)]
            {
                let result = self
                    .postgres
                    .run_round(self.options, &script, server)
                    .map_err(|error| format!("{name}: {error}"))?;
                eprintln!("{name}, round {round}, {server_name}: {:.0} a second", result.result.rate);
                rounds.push(result);
            }
        }
        Ok(ScenarioRow {
            kind: scenario.kind,
            savannah: LoadRound::median(&savannah_rounds),
            baseline: LoadRound::median(&baseline_rounds),
        })
    }
}

/// A connection that measures the CPU time of the backend processes of its database.
#[derive(Debug)]
pub struct PostgresCpu<'a> {
    runtime: &'a Runtime,
    db: PgConnection,
    url: &'a str,
}

impl PostgresCpu<'_> {
    /// Returns the URL of the database.
    pub const fn url(&self) -> &str {
        self.url
    }

    /// Returns a column of the database.
    pub fn load_column(&mut self, sql: &'static str, parameter: i64) -> Result<Vec<String>> {
        self.runtime.block_on(load_column(&mut self.db, sql, parameter))
    }

    /// Loads a server and measures the CPU times.
    pub fn run_round(&mut self, options: &Options, script: &WrkScript, server: &Server) -> Result<LoadRound> {
        self.run_round_on(options, (script, server.address), std::slice::from_ref(server))
    }

    /// Loads the servers behind an address and measures the CPU times.
    pub fn run_round_on(
        &mut self,
        options: &Options,
        (script, address): (&WrkScript, SocketAddr),
        servers: &[Server],
    ) -> Result<LoadRound> {
        let sum_cpu = || servers.iter().map(Server::cpu_micros).sum::<Option<f64>>();
        let (cpu, backends) = (sum_cpu(), self.postgres_cpu_micros()?);
        let result = script.run(options, address, false)?;
        let (cpu_after, backends_after) = (sum_cpu(), self.postgres_cpu_micros()?);
        Ok(LoadRound::from_measurements(result, (cpu, cpu_after), (backends, backends_after)))
    }

    /// Returns the CPU time of the backend processes of this database, in microseconds.
    fn postgres_cpu_micros(&mut self) -> Result<f64> {
        let query = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()";
        let rows = self.runtime.block_on(sqlx::query(query).fetch_all(&mut self.db));
        let rows = rows.map_err(|error| format!("the database's processes cannot be listed: {error}"))?;
        let ids = rows.iter().flat_map(|row| row.try_get::<i32, _>(0)).flat_map(u32::try_from);
        Ok(ids.filter_map(|id| crate::process::process_cpu_micros(id, "postgres")).sum())
    }
}

/// Registers a customer and returns its access token. The hand-written server receives the token too, and ignores it.
pub fn register_customer(savannah: &Server) -> Result<String> {
    let since_epoch =
        std::time::SystemTime::UNIX_EPOCH.elapsed().map_err(|error| format!("the clock is wrong: {error}"))?;
    let (_, response_body) =
        http::post_graphql(savannah.address, &ScenarioSet::registration_body(since_epoch.as_nanos()))?;
    let response: serde_json::Value =
        serde_json::from_str(&response_body).map_err(|error| format!("{error} in {response_body}"))?;
    let token = response.pointer("/data/customerRegister/tokens/accessToken").and_then(serde_json::Value::as_str);
    token.map(str::to_owned).ok_or_else(|| format!("nobody can sign in: {response_body}"))
}

/// The measurements of a round, or their medians over several rounds.
#[derive(Debug, Clone, Copy)]
pub struct LoadRound {
    /// The results of `wrk`.
    pub result: WrkResult,
    /// The server's CPU time per request, in microseconds.
    pub cpu_micros: Option<f64>,
    /// PostgreSQL's CPU time per request, in microseconds, if it runs on this machine.
    pub postgres_cpu_micros: Option<f64>,
}

impl LoadRound {
    /// Creates a round from the results and the CPU times of server and database before and after it.
    pub fn from_measurements(result: WrkResult, cpu: (Option<f64>, Option<f64>), backends: (f64, f64)) -> Self {
        let per_request = |(before, after): (Option<f64>, Option<f64>)| Some((after? - before?) / result.requests);
        // A database on another machine has no local processes.
        let postgres = per_request((Some(backends.0), Some(backends.1))).filter(|micros| *micros > 0.0);
        Self { result, cpu_micros: per_request(cpu), postgres_cpu_micros: postgres }
    }

    /// Returns the median of each measurement.
    pub fn median(rounds: &[Self]) -> Self {
        let median_by = |metric: &dyn Fn(&Self) -> f64| calculate_median(rounds.iter().map(metric).collect());
        let optional_median_by = |metric: &dyn Fn(&Self) -> Option<f64>| {
            rounds.iter().map(metric).collect::<Option<Vec<_>>>().map(calculate_median)
        };
        Self {
            result: WrkResult {
                requests: median_by(&|round| round.result.requests),
                rate: median_by(&|round| round.result.rate),
                p50: median_by(&|round| round.result.p50),
                p99: median_by(&|round| round.result.p99),
            },
            cpu_micros: optional_median_by(&|round| round.cpu_micros),
            postgres_cpu_micros: optional_median_by(&|round| round.postgres_cpu_micros),
        }
    }
}

/// Calculates the median.
fn calculate_median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    let middle = numbers.len() / 2;
    match numbers.as_slice() {
        [] => f64::NAN,
        sorted if sorted.len().is_multiple_of(2) => f64::midpoint(sorted[middle - 1], sorted[middle]),
        sorted => sorted[middle],
    }
}
