//! What can be said on the command line.

use std::path::PathBuf;

use clap::{Args as Group, Parser, Subcommand, value_parser};

use crate::scenario::Kind;

/// Measures Savannah beside a hand-written axum + sqlx server on PostgreSQL.
#[derive(Debug, Parser)]
#[command(version, args_conflicts_with_subcommands = true)]
pub struct Args {
    #[command(flatten)]
    pub options: Options,
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// How to measure.
#[derive(Debug, Group)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub struct Options {
    /// Any database of the server that holds the benchmark's own; this role must be allowed to create databases.
    #[arg(long, value_name = "URL", env = "BENCH_DATABASE_URL", hide_env_values = true)]
    #[arg(default_value = "postgres://postgres@127.0.0.1/postgres?sslmode=disable")]
    pub database: String,
    /// Use this `savannah` and do not build one.
    #[arg(long, value_name = "PATH")]
    pub server: Option<PathBuf>,
    /// How many products.
    #[arg(long, value_name = "N", default_value_t = 100_000, value_parser = value_parser!(u64).range(100..))]
    pub products: u64,
    /// How many categories.
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = value_parser!(u64).range(1..))]
    pub categories: u64,
    /// Several numbers of products, one after the other, and how the shop grows slower between them.
    #[arg(long, value_name = "N,N,…", value_delimiter = ',', conflicts_with = "products")]
    #[arg(value_parser = value_parser!(u64).range(100..))]
    pub sizes: Vec<u64>,
    /// Make the database again even if it is there.
    #[arg(long)]
    pub fresh: bool,
    /// Only these scenarios.
    #[arg(long = "scenario", value_name = "NAME,…", value_delimiter = ',', value_enum)]
    pub scenarios: Vec<Kind>,
    /// How often each server is loaded with each scenario; the median counts.
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = value_parser!(u32).range(1..))]
    pub rounds: u32,
    /// How long each time; with --editing and --attack the whole time, 60 if nothing is said.
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = value_parser!(u32).range(1..))]
    #[arg(default_value_ifs = [("editing", "true", "60"), ("attack", "true", "60")])]
    pub seconds: u32,
    /// How many connections ask at once.
    #[arg(long, value_name = "N", default_value_t = 32, value_parser = value_parser!(u32).range(1..))]
    pub connections: u32,
    /// How many threads `wrk` may use.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = value_parser!(u32).range(1..))]
    pub threads: u32,
    /// Buy instead of reading: carts filled and ordered, and how soon others hear of an order.
    #[arg(long)]
    pub selling: bool,
    /// With --selling: measure a database made just now, and then the same with so many orders in it; 0: only the new one.
    #[arg(long, value_name = "N", default_value_t = 100_000)]
    pub filled_orders: u32,
    /// Edit a product while eight buyers order it in a loop: what fails, and how long an edit takes.
    #[arg(long, conflicts_with_all = ["selling", "explain"])]
    pub editing: bool,
    /// Attack the shop with 200 requests a second (deep, wide and huge documents, passwords, orders) beside a client that
    /// lists products: how long that one waits, without and with the attack, and how much memory it takes.
    #[arg(long, conflicts_with_all = ["selling", "editing", "explain"])]
    pub attack: bool,
    /// Measure nothing: print the plans of the statements that the shop sends (the role must be a superuser).
    #[arg(long)]
    pub explain: bool,
}

impl Options {
    /// The numbers of products to measure with.
    pub fn sizes(&self) -> Vec<u64> {
        if self.sizes.is_empty() { vec![self.products] } else { self.sizes.clone() }
    }

    /// Whether a scenario is wanted.
    pub fn wants(&self, kind: Kind) -> bool {
        self.scenarios.is_empty() || self.scenarios.contains(&kind)
    }
}

/// What else it can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Be the hand-written server.
    Comparator {
        /// Where to listen on 127.0.0.1.
        #[arg(long)]
        port: u16,
        /// The database with the shop's tables.
        #[arg(long, value_name = "URL", env = "DATABASE_URL", hide_env_values = true)]
        database: String,
    },
    /// Measure how long the shop takes to check a token: one that it sees for the first time, and one seen before.
    Tokens,
}
