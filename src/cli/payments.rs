//! `savannah payments`: reconciliation with the payment providers.

use std::process::ExitCode;

use clap::Subcommand;

use super::database::connect_initialized_database;
use crate::{
    infra::{Config, HttpClient},
    payment::PaymentProviders,
    sales::reconcile::{PaymentDifference, ReconciliationReport, reconcile_payments},
};

/// Subcommands of `payments`.
#[derive(Debug, Subcommand)]
pub(super) enum PaymentsCommand {
    /// Ask the providers about payments and refunds whose result is missing, apply their answers and print what changed.
    /// Fails if a provider did not answer.
    #[command(after_help = "Example:\n  savannah payments reconcile")]
    Reconcile,
}

pub(super) async fn run_payments_command(config: &Config, command: PaymentsCommand) -> Result<ExitCode, String> {
    let PaymentsCommand::Reconcile = command;
    let db = connect_initialized_database(config, false).await?;
    let providers = PaymentProviders::from_config(config, &HttpClient::new()?, db.clock())?;
    let report = reconcile_payments(&db, &providers).await.map_err(|error| error.log_message());
    db.close().await;
    let ReconciliationReport { checked, unanswered, differences } = report?;
    for PaymentDifference { order_number, provider, subject, before, after } in &differences {
        println!("{order_number}  {provider}  {subject}: {before} -> {after}");
    }
    println!("{checked} checked, {} changed, {unanswered} without an answer", differences.len());
    Ok(if unanswered == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
