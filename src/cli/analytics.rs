//! `savannah analytics`: rebuild of the daily figures.

use clap::Subcommand;

use super::{
    database::connect_initialized_database,
    progress::{ProgressScale, show_progress},
};
use crate::{
    analytics::{
        period::DayPeriod,
        rebuild::{RebuildRequest, count_orders_to_rebuild, rebuild_figures},
    },
    base::Error,
    import_export::Progress,
    infra::Config,
};

/// Subcommands of `analytics`.
#[derive(Debug, Subcommand)]
pub(super) enum AnalyticsCommand {
    /// Compute the figures of orders and products again, and those of the carts that still exist, in the time zone of the
    /// settings. The shop can sell meanwhile. A rebuild that was stopped is started again.
    #[command(
        after_help = "Example:\n  savannah analytics rebuild\n  savannah analytics rebuild --from 2026-11-01 --to 2026-11-30"
    )]
    Rebuild {
        /// First day of the orders; without days, all orders and carts.
        #[arg(long, value_name = "YYYY-MM-DD", requires = "to")]
        from: Option<String>,
        /// Last day, inclusive.
        #[arg(long, value_name = "YYYY-MM-DD", requires = "from")]
        to: Option<String>,
    },
}

pub(super) async fn run_analytics_command(config: &Config, command: AnalyticsCommand) -> Result<(), String> {
    let AnalyticsCommand::Rebuild { from, to } = command;
    let period = from.zip(to).map(|(from, to)| DayPeriod::parse(&from, &to)).transpose();
    let period = period.map_err(|error| describe_argument_error(&error))?;
    let db = connect_initialized_database(config, false).await?;
    let request = RebuildRequest { period, time_zone: config.shop.time_zone };
    let order_count = count_orders_to_rebuild(&db, &request).await.map_err(|error| error.log_message())?;
    let progress = Progress::default();
    let rebuild = rebuild_figures(&db, &request, &progress);
    let outcome = show_progress("orders and carts", ProgressScale::Items(Some(order_count)), &progress, rebuild).await;
    db.close().await;
    println!("{}", outcome.map_err(|error| describe_argument_error(&error))?);
    Ok(())
}

/// Describes an error of an argument by its name, and another one as it is logged.
pub(super) fn describe_argument_error(error: &Error) -> String {
    let public_error = error.to_public_error();
    match (error, public_error.field.first()) {
        (Error::User(_), Some(field)) => format!("--{field}: {}", public_error.message),
        _ => error.log_message(),
    }
}
