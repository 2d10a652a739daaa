//! `savannah import`, `export` and `seed`.

use std::{fs::File, io::Write, path::PathBuf, process::ExitCode};

use clap::{Args, Subcommand};

use super::{
    analytics::describe_argument_error,
    database::connect_initialized_database,
    progress::{ProgressScale, show_progress},
};
use crate::{
    analytics::{csv_report::CsvReport, period::DayPeriod, state::AnalyticsState},
    import_export::{
        Progress, export,
        import::{self, ImportMessage, ImportSummary},
    },
    infra::Config,
};

/// Subcommands of `import`.
#[derive(Debug, Subcommand)]
pub(super) enum ImportCommand {
    /// Import products from Shopify or WooCommerce CSV, detected by the header. Idempotent: products are matched by
    /// handle, variants by SKU.
    #[command(after_help = "Example:\n  savannah import products --dry-run shopify.csv")]
    Products(ImportArgs),
    /// Import categories from a taxonomy text, parents first: one `123 - Animals > Pets > Cats` per line, ID optional.
    #[command(after_help = "Example:\n  savannah import categories taxonomy-with-ids.en-US.txt")]
    Categories(ImportArgs),
}

/// Arguments of `import`.
#[derive(Debug, Args)]
pub(super) struct ImportArgs {
    /// Files to import, in order.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Run the import, report the result, and roll back.
    #[arg(long)]
    dry_run: bool,
}

/// Subcommands of `export`.
#[derive(Debug, Subcommand)]
pub(super) enum ExportCommand {
    /// Export all products as Shopify CSV with additional columns. Importing the file yields the same catalog.
    #[command(after_help = "Example:\n  savannah export products --output products.csv")]
    Products(ExportArgs),
    /// Export the daily figures by channel and country as CSV, of at most 1,100 days.
    #[command(
        after_help = "Example:\n  savannah export analytics --from 2026-01-01 --to 2026-12-31 --output figures.csv"
    )]
    Analytics(FigureExportArgs),
}

/// Arguments of `export analytics`.
#[derive(Debug, Args)]
pub(super) struct FigureExportArgs {
    /// First day, in the time zone of the figures.
    #[arg(long, value_name = "YYYY-MM-DD")]
    from: String,
    /// Last day, inclusive.
    #[arg(long, value_name = "YYYY-MM-DD")]
    to: String,
    #[command(flatten)]
    output: ExportArgs,
}

/// Arguments of `export`.
#[derive(Debug, Args)]
pub(super) struct ExportArgs {
    /// Output file (default: standard output).
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// Arguments of `seed`.
#[derive(Debug, Args)]
pub(super) struct SeedArgs {
    /// Number of products.
    #[arg(long, default_value_t = 1_000)]
    products: u64,
    /// Number of categories.
    #[arg(long, default_value_t = 100)]
    categories: u64,
}

pub(super) async fn run_import(config: &Config, command: ImportCommand) -> Result<ExitCode, String> {
    let (is_products, ImportArgs { files, dry_run }) = match command {
        ImportCommand::Products(import_args) => (true, import_args),
        ImportCommand::Categories(import_args) => (false, import_args),
    };
    let mut total_bytes = 0;
    for file in &files {
        let metadata = std::fs::metadata(file).map_err(|error| format!("cannot open {}: {error}", file.display()))?;
        if metadata.is_dir() {
            return Err(format!("{} is a directory; name the file", file.display()));
        }
        total_bytes += metadata.len();
    }
    let db = connect_initialized_database(config, false).await?;
    let progress = Progress::default();
    let row_noun = if is_products { "products" } else { "categories" };
    let mut report_message = |message: ImportMessage| {
        let severity = if message.rejected { "rejected" } else { "warning" };
        eprintln!("{}:{}: {severity}: {}", message.file.display(), message.line, message.reason);
    };
    let mut import = import::CatalogImporter {
        db: &db,
        currency: config.shop.currency,
        time_zone: config.shop.time_zone,
        dry_run,
        progress: progress.clone(),
        on_message: &mut report_message,
    };
    let import_task = async {
        if is_products { import.import_products(&files).await } else { import.import_categories(&files).await }
    };
    let outcome = show_progress(row_noun, ProgressScale::Bytes(total_bytes), &progress, import_task).await;
    let ImportSummary {
        created: created_count,
        updated: existing_count,
        variants: variant_count,
        rejected: rejected_count,
        warned: warning_count,
    } = outcome.map_err(|error| error.log_message())?;
    let variants_suffix = if is_products { format!(", {variant_count} variants") } else { String::new() };
    let dry_run_suffix = if dry_run { "; nothing was saved (--dry-run)" } else { "" };
    println!(
        "{row_noun}: {created_count} new, {existing_count} existing{variants_suffix}; {rejected_count} lines rejected, {warning_count} warnings{dry_run_suffix}"
    );
    db.close().await;
    Ok(if rejected_count == 0 { ExitCode::SUCCESS } else { ExitCode::from(2) })
}

pub(super) async fn run_export(config: &Config, command: ExportCommand) -> Result<(), String> {
    let ExportArgs { output } = match command {
        ExportCommand::Products(args) => args,
        ExportCommand::Analytics(FigureExportArgs { from, to, output }) => {
            let period = DayPeriod::parse(&from, &to).map_err(|error| describe_argument_error(&error))?;
            return export_figures(config, period, &output).await;
        }
    };
    let db = connect_initialized_database(config, false).await?;
    let writer = open_output(&ExportArgs { output })?;
    let progress = Progress::default();
    let export_task = export::export_products(&db, config.shop.currency, writer, &progress);
    let product_count = show_progress("products", ProgressScale::Items(None), &progress, export_task)
        .await
        .map_err(|error| error.log_message())?;
    eprintln!("{product_count} products");
    db.close().await;
    Ok(())
}

/// Opens the output of an export.
fn open_output(args: &ExportArgs) -> Result<Box<dyn Write>, String> {
    Ok(match &args.output {
        Some(file) => {
            Box::new(File::create(file).map_err(|error| format!("cannot write {}: {error}", file.display()))?)
        }
        None => Box::new(std::io::stdout().lock()),
    })
}

async fn export_figures(config: &Config, period: DayPeriod, args: &ExportArgs) -> Result<(), String> {
    let db = connect_initialized_database(config, false).await?;
    let mut writer = open_output(args)?;
    let time_zone = AnalyticsState::load(&db).await.map_err(|error| error.log_message())?.time_zone;
    let mut report = CsvReport::new(period, config.shop.currency, time_zone.name().to_owned());
    while let Some(part) = report.next_part(&db).await.map_err(|error| error.log_message())? {
        writer.write_all(&part).map_err(|error| format!("the figures cannot be written: {error}"))?;
    }
    writer.flush().map_err(|error| format!("the figures cannot be written: {error}"))?;
    db.close().await;
    Ok(())
}

/// Reports that this build cannot generate a catalog.
#[cfg(not(feature = "demo"))]
pub(super) fn run_seed(_: &Config, args: &SeedArgs) -> std::future::Ready<Result<(), String>> {
    let SeedArgs { products, categories } = args;
    std::future::ready(Err(format!(
        "{products} products in {categories} categories cannot be generated: this build has no demo data; build it \
         with the feature `demo`"
    )))
}

#[cfg(feature = "demo")]
pub(super) async fn run_seed(config: &Config, args: &SeedArgs) -> Result<(), String> {
    use crate::import_export::seed;
    let db = connect_initialized_database(config, false).await?;
    let progress = Progress::default();
    let started_at = std::time::Instant::now();
    let size = seed::DemoCatalogSize { products: args.products, categories: args.categories };
    let seed_task = seed::seed_demo_catalog(&db, config.shop.currency, size, &progress);
    show_progress("products", ProgressScale::Items(Some(args.products)), &progress, seed_task)
        .await
        .map_err(|error| error.log_message())?;
    println!(
        "{} products in {} categories, in {:.1} s",
        args.products,
        args.categories,
        started_at.elapsed().as_secs_f64()
    );
    db.close().await;
    Ok(())
}
