//! Proofs for the operator's own machine and database system, in a scratch database: orders survive races, duplicate
//! requests and killed servers. The servers are processes of this program; the tests use the same load clients.

mod load_clients;
mod machine;
mod proofs;
mod report;
mod scratch;
mod shop_process;

use std::{
    path::Path,
    time::{Duration, Instant},
};

use serde_json::json;

use self::{
    proofs::{KillScenario, to_millis},
    scratch::ScratchDatabase,
    shop_process::{ShopLauncher, ShopProcess},
};
use crate::{
    base::{Clock, Result},
    consistency::check_database,
    infra::Config,
};
pub use load_clients::{AcknowledgedOrder, LoadCatalog, LoadClients};
pub use machine::{DatabaseDescription, MachineDescription};
pub use report::{ProofFigure, ProofReport, ProofResult};

const STAFF_EMAIL: &str = "staff@savannah.example";
const CATALOG_FILE: &str = "catalog.csv";

/// What to prove.
#[derive(Debug, Clone, Copy)]
pub struct ProofOptions<'a> {
    /// This program.
    pub program: &'a Path,
    /// How long to kill servers, from the beginning of all proofs.
    pub duration: Duration,
}

/// Runs all proofs in a scratch database beside the configured one, and drops it.
///
/// # Errors
/// Returns a message for the operator if the proofs cannot be carried out. Violations are part of the report.
pub async fn run_proofs(
    config: &Config,
    options: ProofOptions<'_>,
    interrupted: impl Future<Output = ()>,
) -> Result<ProofReport, String> {
    let scratch = ScratchDatabase::create(config).await?;
    let outcome = tokio::select! {
        outcome = prove_on_database(&scratch, options) => outcome,
        () = interrupted => Err("interrupted".to_owned()),
    };
    // All processes have ended: they are killed when they are dropped.
    let dropped = scratch.drop_database().await;
    let report = outcome?;
    dropped?;
    Ok(report)
}

async fn prove_on_database(scratch: &ScratchDatabase, options: ProofOptions<'_>) -> Result<ProofReport, String> {
    let (started, started_at) = (Instant::now(), Clock::default().now());
    let mut launcher = ShopLauncher::new(options.program, scratch.config())?;
    launcher.write_file(CATALOG_FILE, &proofs::create_catalog_csv())?;
    launcher.run_command(&["migrate"]).await?;
    launcher.run_command(&["import", "products", CATALOG_FILE]).await?;
    let output = launcher.run_command(&["user", "create", "--email", STAFF_EMAIL, "--role", "staff"]).await?;
    let password = output.split_whitespace().last().unwrap_or_default().to_owned();
    let server = launcher.start_server().await?;
    let staff_token = log_in(&server, &password).await?;

    let db = scratch.connect().await?;
    tracing::info!("proving races and duplicates");
    let races = proofs::prove_races(&db, &server).await?;
    let duplicates = proofs::prove_duplicates(&db, &server).await?;
    tracing::info!("proving kills");
    let scenario = KillScenario {
        db: &db,
        launcher: &mut launcher,
        staff_token: &staff_token,
        deadline: started + options.duration,
    };
    let (kills, server) = proofs::prove_kills(scenario, server).await?;
    let check = check_database(&db).await.map_err(|error| error.log_message())?;
    let database = machine::describe_database(&db).await.map_err(|error| error.log_message())?;
    server.kill().await?;
    db.close().await;
    let proofs = vec![races, duplicates, kills];
    Ok(ProofReport {
        program_version: env!("CARGO_PKG_VERSION"),
        started_at,
        duration_millis: to_millis(started.elapsed()),
        machine: machine::describe_machine(),
        database,
        violations: ProofReport::count_violations(&proofs, &check),
        proofs,
        check,
    })
}

/// Returns an access token of staff.
async fn log_in(server: &ShopProcess, password: &str) -> Result<String, String> {
    let query = "mutation($input: LoginInput!) { login(input: $input) { tokens { accessToken } } }";
    let body = json!({ "query": query, "variables": { "input": { "email": STAFF_EMAIL, "password": password } } });
    let request = load_clients::create_http_client()?.post(format!("http://{}/graphql", server.address)).json(&body);
    let response = async { request.send().await?.json::<serde_json::Value>().await };
    let answer = response.await.map_err(|error| format!("the login failed: {error}"))?;
    let token = answer["data"]["login"]["tokens"]["accessToken"].as_str();
    token.map(str::to_owned).ok_or_else(|| "the login failed: it was answered without a token".to_owned())
}
