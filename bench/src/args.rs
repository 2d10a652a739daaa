//! Command-line arguments.

use std::path::PathBuf;

use clap::{Args as Group, Parser, Subcommand, value_parser};

use crate::scenario::ScenarioKind;

/// Benchmarks Savannah against a hand-written axum + sqlx server on PostgreSQL.
#[derive(Debug, Parser)]
#[command(version, args_conflicts_with_subcommands = true)]
pub struct Args {
    #[command(flatten)]
    pub options: Options,
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// Benchmark options.
#[derive(Debug, Group)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub struct Options {
    /// URL of any database of the PostgreSQL server to use; the role must be allowed to create databases.
    #[arg(long, value_name = "URL", env = "BENCH_DATABASE_URL", hide_env_values = true)]
    #[arg(default_value = "postgres://postgres@127.0.0.1/postgres?sslmode=disable")]
    pub database: String,
    /// Path of a `savannah` executable to use instead of building one.
    #[arg(long, value_name = "PATH")]
    pub server: Option<PathBuf>,
    /// Number of products.
    #[arg(long, value_name = "N", default_value_t = 100_000, value_parser = value_parser!(u64).range(100..))]
    pub products: u64,
    /// Number of categories.
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = value_parser!(u64).range(1..))]
    pub categories: u64,
    /// Several numbers of products to measure in sequence, with a comparison of the throughput.
    #[arg(long, value_name = "N,N,…", value_delimiter = ',', conflicts_with = "products")]
    #[arg(value_parser = value_parser!(u64).range(100..))]
    pub sizes: Vec<u64>,
    /// Recreate the database even if it exists.
    #[arg(long)]
    pub fresh: bool,
    /// Run only these scenarios.
    #[arg(long = "scenario", value_name = "NAME,…", value_delimiter = ',', value_enum)]
    pub scenarios: Vec<ScenarioKind>,
    /// Number of rounds per server and scenario; the median is reported.
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = value_parser!(u32).range(1..))]
    pub rounds: u32,
    /// Duration of a round in seconds; with --editing and --attack the total duration, default 60.
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = value_parser!(u32).range(1..))]
    #[arg(default_value_ifs = [("editing", "true", "60"), ("attack", "true", "60")])]
    pub seconds: u32,
    /// Number of concurrent connections.
    #[arg(long, value_name = "N", default_value_t = 32, value_parser = value_parser!(u32).range(1..))]
    pub connections: u32,
    /// Number of `wrk` threads.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = value_parser!(u32).range(1..))]
    pub threads: u32,
    /// Run the checkout scenario instead of queries: cart changes, checkouts, and the delay of notifications.
    #[arg(long)]
    pub selling: bool,
    /// With --selling: measure a new database, then the same one with this number of orders; 0: only the new one.
    #[arg(long, value_name = "N", default_value_t = 100_000)]
    pub filled_orders: u32,
    /// Edit a product while eight buyers order it in a loop; reports errors and latencies.
    #[arg(long, conflicts_with_all = ["selling", "explain"])]
    pub editing: bool,
    /// Send 200 abusive requests per second (deep, wide and huge documents, passwords, orders) beside a client that
    /// lists products; reports that client's latency without and with the attack, and the memory usage.
    #[arg(long, conflicts_with_all = ["selling", "editing", "explain"])]
    pub attack: bool,
    /// Measure the documents of `docs/storefront`, without the hand-written server.
    #[arg(long, conflicts_with_all = ["selling", "editing", "attack", "explain"])]
    pub storefront: bool,
    /// Measure resources of `/api/v1` against the same operations at `/graphql`, without the hand-written server.
    #[arg(long, conflicts_with_all = ["selling", "editing", "attack", "storefront", "explain"])]
    pub rest: bool,
    /// Measure searches: for frequent and rare words, beginnings of words and typing errors, with filters and facets,
    /// without the hand-written server.
    #[arg(long, conflicts_with_all = ["selling", "editing", "attack", "storefront", "rest", "explain"])]
    pub search: bool,
    /// Send requests at a constant rate without and with pictures of 12 megapixels being made into their renditions;
    /// reports the latencies, the time of a picture and the memory.
    #[arg(long, conflicts_with_all = ["selling", "editing", "attack", "storefront", "rest", "explain"])]
    pub media: bool,
    /// Open this number of idle WebSocket subscribers; reports the memory of the server, and the time until a change has
    /// reached all of them. Needs two open files for each (`ulimit -n`).
    #[arg(long, value_name = "N", conflicts_with_all = ["selling", "editing", "attack", "storefront", "explain"])]
    pub subscribers: Option<usize>,
    /// Measure the listing from the response cache, against the hand-written server and a server that answers the same
    /// bytes from memory.
    #[arg(long, conflicts_with_all = ["selling", "editing", "attack", "storefront", "explain"])]
    pub cached: bool,
    /// Measure this number of instances behind nginx against one instance behind nginx, by CPU time per request; with
    /// --scenario other scenarios than the listing. Needs `nginx`.
    #[arg(long, value_name = "N", value_parser = value_parser!(u8).range(2..=16))]
    #[arg(conflicts_with_all = ["selling", "editing", "attack", "storefront", "explain", "cached"])]
    pub instances: Option<u8>,
    /// Print the query plans of Savannah's statements instead of measuring (the role must be a superuser).
    #[arg(long)]
    pub explain: bool,
}

impl Options {
    /// Returns the numbers of products to measure with.
    pub fn sizes(&self) -> Vec<u64> {
        if self.sizes.is_empty() { vec![self.products] } else { self.sizes.clone() }
    }

    /// Returns whether a scenario is selected.
    pub fn includes(&self, kind: ScenarioKind) -> bool {
        self.scenarios.is_empty() || self.scenarios.contains(&kind)
    }
}

/// Other commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the hand-written server.
    Comparator {
        /// Port to listen on at 127.0.0.1.
        #[arg(long)]
        port: u16,
        /// URL of the database with Savannah's tables.
        #[arg(long, value_name = "URL", env = "DATABASE_URL", hide_env_values = true)]
        database: String,
    },
    /// Run the server that answers with the listing from memory.
    FromMemory {
        /// Port to listen on at 127.0.0.1.
        #[arg(long)]
        port: u16,
        /// URL of the database with Savannah's tables.
        #[arg(long, value_name = "URL", env = "DATABASE_URL", hide_env_values = true)]
        database: String,
    },
    /// Measure the authentication of access tokens, uncached and cached.
    Tokens,
}
