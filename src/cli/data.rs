//! `savannah import`, `export` and `seed`.

use std::{fs::File, io::Write, path::PathBuf, process::ExitCode};

use clap::{Args, Subcommand};

use super::{
    open_ready,
    progress::{Scale, show},
};
use crate::{
    exchange::{
        Progress, export,
        import::{self, Outcome, Remark},
        seed,
    },
    infra::Config,
};

/// What can be brought in.
#[derive(Debug, Subcommand)]
pub(super) enum Import {
    /// Products from Shopify's or WooCommerce's CSV, told apart by their header. Safe to run twice: products are matched
    /// by handle, variants by sku.
    #[command(after_help = "Example:\n  savannah import products --dry-run shopify.csv")]
    Products(ImportArgs),
    /// Categories from a taxonomy text: `123 - Animals > Pets > Cats` a line, parents first, the number optional.
    #[command(after_help = "Example:\n  savannah import categories taxonomy-with-ids.en-US.txt")]
    Categories(ImportArgs),
}

/// What an import takes.
#[derive(Debug, Args)]
pub(super) struct ImportArgs {
    /// The files, one after the other.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Do everything, report it, and undo it.
    #[arg(long)]
    dry_run: bool,
}

/// What can be written out.
#[derive(Debug, Subcommand)]
pub(super) enum Export {
    /// Every product as Shopify's CSV with a few columns more. Importing it gives the same catalog.
    #[command(after_help = "Example:\n  savannah export products --output products.csv")]
    Products(ExportArgs),
}

/// What an export takes.
#[derive(Debug, Args)]
pub(super) struct ExportArgs {
    /// Where to; standard output when not said.
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// What `seed` takes.
#[derive(Debug, Args)]
pub(super) struct SeedArgs {
    /// How many products.
    #[arg(long, default_value_t = 1_000)]
    products: u64,
    /// How many categories.
    #[arg(long, default_value_t = 100)]
    categories: u64,
}

pub(super) async fn import(config: &Config, what: Import) -> Result<ExitCode, String> {
    let (products, ImportArgs { files, dry_run }) = match what {
        Import::Products(args) => (true, args),
        Import::Categories(args) => (false, args),
    };
    let mut bytes = 0;
    for file in &files {
        let about = std::fs::metadata(file).map_err(|why| format!("cannot open {}: {why}", file.display()))?;
        if about.is_dir() {
            return Err(format!("{} is a directory; name the file", file.display()));
        }
        bytes += about.len();
    }
    let db = open_ready(config, false).await?;
    let progress = Progress::default();
    let noun = if products { "products" } else { "categories" };
    let mut tell = |remark: Remark| {
        let kind = if remark.refused { "refused" } else { "warning" };
        eprintln!("{}:{}: {kind}: {}", remark.file.display(), remark.line, remark.reason);
    };
    let mut import = import::Import {
        db: &db,
        currency: config.shop.currency,
        time_zone: config.shop.time_zone,
        dry_run,
        progress: progress.clone(),
        tell: &mut tell,
    };
    let work = async { if products { import.products(&files).await } else { import.categories(&files).await } };
    let outcome = show(noun, Scale::Bytes(bytes), &progress, work).await;
    let Outcome { made, kept, variants, refused, warned } = outcome.map_err(|why| why.log())?;
    let of = if products { format!(", {variants} variants") } else { String::new() };
    let undone = if dry_run { "; nothing was kept (--dry-run)" } else { "" };
    println!("{noun}: {made} new, {kept} there before{of}; {refused} lines refused, {warned} warnings{undone}");
    db.close().await;
    Ok(if refused == 0 { ExitCode::SUCCESS } else { ExitCode::from(2) })
}

pub(super) async fn export(config: &Config, what: Export) -> Result<(), String> {
    let Export::Products(ExportArgs { output }) = what;
    let db = open_ready(config, false).await?;
    let to: Box<dyn Write> = match &output {
        Some(file) => Box::new(File::create(file).map_err(|why| format!("cannot write {}: {why}", file.display()))?),
        None => Box::new(std::io::stdout().lock()),
    };
    let progress = Progress::default();
    let work = export::products(&db, config.shop.currency, to, &progress);
    let all = show("products", Scale::Open, &progress, work).await.map_err(|why| why.log())?;
    eprintln!("{all} products");
    db.close().await;
    Ok(())
}

pub(super) async fn seed(config: &Config, args: &SeedArgs) -> Result<(), String> {
    let db = open_ready(config, false).await?;
    let progress = Progress::default();
    let began = std::time::Instant::now();
    let work = seed::seed(&db, config.shop.currency, (args.products, args.categories), &progress);
    show("products", Scale::Things(args.products), &progress, work).await.map_err(|why| why.log())?;
    println!("{} products in {} categories, in {:.1} s", args.products, args.categories, began.elapsed().as_secs_f64());
    db.close().await;
    Ok(())
}
