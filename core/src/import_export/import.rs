//! Import of products and categories. A separate thread reads the file ahead of the batches that are written.

use std::{
    collections::{HashMap, HashSet},
    fs::File,
    io::Read,
    path::{Path, PathBuf},
};

use chrono_tz::Tz;
use iso_currency::Currency;
use tokio::sync::mpsc;

use super::{
    Progress,
    catalog_entry::{CatalogEntry, RowError},
    catalog_reader,
    csv_rows::CountingReader,
    taxonomy,
};
use crate::{
    base::{Error, Result, text},
    catalog::{
        ProductPatch,
        category::CategoryIndex,
        write::{LineMessage, WriteReport},
    },
    infra::{Db, Tx},
    inventory,
};

/// The number of products per transaction.
const PRODUCT_BATCH_SIZE: usize = 250;
/// The number of categories per transaction.
const CATEGORY_BATCH_SIZE: usize = 1_000;
/// The maximum number of prefetched entries.
const PREFETCH_LIMIT: usize = 500;

/// The demo catalog for an empty database.
pub const DEMO_CATALOG_CSV: &[u8] = include_bytes!("demo.csv");

/// A rejection or a warning about a line of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportMessage {
    /// The file.
    pub file: PathBuf,
    /// The line, from 1.
    pub line: u64,
    /// Whether the line was rejected.
    pub rejected: bool,
    /// The reason for the rejection, or the correction.
    pub reason: String,
}

/// The result of an import.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ImportSummary {
    /// The number of created products or categories.
    pub created: usize,
    /// The number of existing products or categories.
    pub updated: usize,
    /// The number of imported variants.
    pub variants: usize,
    /// The number of rejected lines.
    pub rejected: usize,
    /// The number of warnings.
    pub warned: usize,
}

/// The importer of product and category files.
pub struct CatalogImporter<'a> {
    /// The target database.
    pub db: &'a Db,
    /// The currency of the prices.
    pub currency: Currency,
    /// The time zone of dates without an offset.
    pub time_zone: Tz,
    /// Whether to roll back all changes at the end.
    pub dry_run: bool,
    /// The progress counters.
    pub progress: Progress,
    /// The callback for rejections and warnings.
    pub on_message: &'a mut (dyn FnMut(ImportMessage) + Send),
}

impl std::fmt::Debug for CatalogImporter<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Import").field("dry_run", &self.dry_run).finish_non_exhaustive()
    }
}

impl CatalogImporter<'_> {
    /// Imports products from Shopify or WooCommerce CSV files, one after the other.
    ///
    /// # Errors
    /// Returns `BadUserInput` if a file cannot be opened or its format is unknown. Committed batches are kept.
    pub async fn import_products(&mut self, files: &[PathBuf]) -> Result<ImportSummary> {
        let mut sources = Vec::with_capacity(files.len());
        for file in files {
            sources.push((open_file(file)?, file.as_path()));
        }
        self.import_sources(sources).await
    }

    /// Imports products from a reader; `file_name` names it in messages.
    ///
    /// # Errors
    /// Returns `BadUserInput` if the format is unknown. Committed batches are kept.
    pub async fn import_products_from(
        &mut self,
        source: impl Read + Send + 'static,
        file_name: &Path,
    ) -> Result<ImportSummary> {
        self.import_sources(vec![(source, file_name)]).await
    }

    async fn import_sources(&mut self, sources: Vec<(impl Read + Send + 'static, &Path)>) -> Result<ImportSummary> {
        let (db, currency) = (self.db, self.currency);
        let mut summary = ImportSummary::default();
        if self.dry_run {
            // All files share one transaction, so that a file can match rows of the previous one.
            let transaction = db.dry_run(async |tx| {
                for (source, file_name) in sources {
                    self.import_products_in_transaction(tx, source, file_name, &mut summary).await?;
                }
                Ok(())
            });
            transaction.await?;
            return Ok(summary);
        }
        let batch = async |batch: &[ProductPatch]| {
            let write =
                async || db.write_with_retry(async |tx| inventory::import_products(tx, currency, batch).await).await;
            match write().await {
                // A concurrent transaction inserted one of these rows; the retry matches it as existing.
                Err(error) if error.is_unique_violation() => write().await,
                result => result,
            }
        };
        for (source, file_name) in sources {
            let mut entries = self.prefetch_entries(source);
            self.import_entries(&mut entries, file_name, &mut summary, batch)
                .await
                .map_err(|error| add_file_context(file_name, error))?;
        }
        Ok(summary)
    }

    /// Imports products within a transaction: all or none.
    ///
    /// # Errors
    /// Returns `BadUserInput` if the format is unknown.
    pub async fn import_products_in_transaction(
        &mut self,
        tx: &Tx,
        source: impl Read + Send + 'static,
        file_name: &Path,
        summary: &mut ImportSummary,
    ) -> Result<()> {
        let currency = self.currency;
        let mut entries = self.prefetch_entries(source);
        let write = async |batch: &[ProductPatch]| inventory::import_products(tx, currency, batch).await;
        self.import_entries(&mut entries, file_name, summary, write)
            .await
            .map_err(|error| add_file_context(file_name, error))
    }

    /// Starts to prefetch the entries of a product file.
    fn prefetch_entries(&self, source: impl Read + Send + 'static) -> PrefetchReceiver<CatalogEntry> {
        let reader = CountingReader::new(source, std::sync::Arc::clone(&self.progress.bytes_read));
        let time_zone = self.time_zone;
        prefetch_items(move |send| {
            let catalog =
                catalog_reader::open_catalog(reader, time_zone).map_err(|error| Error::bad_input("", error))?;
            for entry in catalog.entries {
                send(entry)?;
            }
            Ok(())
        })
    }

    /// Groups products into batches with distinct slugs and writes them.
    async fn import_entries(
        &mut self,
        entries: &mut PrefetchReceiver<CatalogEntry>,
        file: &Path,
        summary: &mut ImportSummary,
        write: impl AsyncFn(&[ProductPatch]) -> Result<WriteReport>,
    ) -> Result<()> {
        let mut batch: Vec<ProductPatch> = Vec::with_capacity(PRODUCT_BATCH_SIZE);
        let mut slugs: HashSet<String> = HashSet::new();
        while let Some(entry) = entries.recv().await {
            match entry? {
                CatalogEntry::Product(patch) => {
                    let slug = patch.slug().unwrap_or_default().to_owned();
                    // A repeated slug goes into the next batch, where it matches the row written for its first part.
                    if batch.len() >= PRODUCT_BATCH_SIZE || slugs.contains(&slug) {
                        self.flush_batch(&mut batch, file, summary, &write).await?;
                        slugs.clear();
                    }
                    slugs.insert(slug);
                    batch.push(*patch);
                }
                CatalogEntry::Rejected { line, reason } => self.report_message(summary, file, line, true, reason),
                CatalogEntry::Warning { line, reason } => self.report_message(summary, file, line, false, reason),
            }
        }
        self.flush_batch(&mut batch, file, summary, &write).await
    }

    async fn flush_batch(
        &mut self,
        batch: &mut Vec<ProductPatch>,
        file: &Path,
        summary: &mut ImportSummary,
        write: &impl AsyncFn(&[ProductPatch]) -> Result<WriteReport>,
    ) -> Result<()> {
        if batch.is_empty() {
            return Ok(());
        }
        let report = write(batch).await?;
        self.progress.add_items(batch.len());
        batch.clear();
        summary.created += report.created();
        summary.updated += report.updated();
        summary.variants += report.written().map(|product| product.variants.len()).sum::<usize>();
        for LineMessage { line, reason } in report.rejected {
            self.report_message(summary, file, line, true, reason);
        }
        for LineMessage { line, reason } in report.warnings {
            self.report_message(summary, file, line, false, reason);
        }
        Ok(())
    }

    fn report_message(&mut self, summary: &mut ImportSummary, file: &Path, line: u64, rejected: bool, reason: String) {
        *(if rejected { &mut summary.rejected } else { &mut summary.warned }) += 1;
        (self.on_message)(ImportMessage { file: file.to_owned(), line, rejected, reason });
    }

    /// Imports categories from taxonomy files, one after the other: a path per line, parents before children.
    ///
    /// # Errors
    /// Returns `BadUserInput` if a file cannot be opened. Committed batches are kept.
    pub async fn import_categories(&mut self, files: &[PathBuf]) -> Result<ImportSummary> {
        let mut summary = ImportSummary::default();
        let db = self.db;
        if self.dry_run {
            let transaction = db.dry_run(async |tx| {
                for file in files {
                    let mut taxonomy = TaxonomyReader::open(file, &self.progress)?;
                    self.import_taxonomy_batch(tx, &mut taxonomy, usize::MAX, &mut summary).await?;
                }
                Ok(())
            });
            transaction.await?;
            return Ok(summary);
        }
        for file in files {
            let mut taxonomy = TaxonomyReader::open(file, &self.progress)?;
            while db
                .write(async |tx| {
                    self.import_taxonomy_batch(tx, &mut taxonomy, CATEGORY_BATCH_SIZE, &mut summary).await
                })
                .await?
            {}
        }
        Ok(summary)
    }

    /// Imports at most `limit` lines. Returns whether there may be more.
    async fn import_taxonomy_batch(
        &mut self,
        tx: &Tx,
        TaxonomyReader { file, lines, line_by_path }: &mut TaxonomyReader<'_>,
        limit: usize,
        summary: &mut ImportSummary,
    ) -> Result<bool> {
        let mut category_index = CategoryIndex::load(tx).await?;
        for _ in 0..limit {
            let Some(line) = lines.recv().await else {
                category_index.finish().await?;
                return Ok(false);
            };
            self.progress.add_items(1);
            let taxonomy::TaxonomyLine { line, path, external_id: _, repair_note } = match line? {
                Ok(line) => line,
                Err(RowError { line, reason }) => {
                    self.report_message(summary, file, line, true, reason);
                    continue;
                }
            };
            if let Some(repair_note) = repair_note {
                self.report_message(summary, file, line, false, repair_note);
            }
            match ensure_category_path(&mut category_index, &path, line, line_by_path).await {
                Ok(true) => summary.created += 1,
                Ok(false) => summary.updated += 1,
                Err(Error::User(user_error)) => self.report_message(summary, file, line, true, user_error.message),
                Err(error) => return Err(error),
            }
        }
        category_index.finish().await?;
        Ok(true)
    }
}

/// An open taxonomy file.
struct TaxonomyReader<'a> {
    file: &'a Path,
    lines: PrefetchReceiver<Result<taxonomy::TaxonomyLine, RowError>>,
    /// The line of each path read so far.
    line_by_path: HashMap<String, u64>,
}

impl<'a> TaxonomyReader<'a> {
    fn open(file: &'a Path, progress: &Progress) -> Result<Self> {
        let reader = CountingReader::new(open_file(file)?, std::sync::Arc::clone(&progress.bytes_read));
        let lines = prefetch_items(move |send| taxonomy::read_taxonomy(reader).try_for_each(send));
        Ok(Self { file, lines, line_by_path: HashMap::new() })
    }
}

/// Creates the category of a path if it does not exist. Returns whether it was created.
async fn ensure_category_path(
    category_index: &mut CategoryIndex<'_>,
    path: &[String],
    line: u64,
    line_by_path: &mut HashMap<String, u64>,
) -> Result<bool> {
    let format_path = || path.join(" > ");
    let path_key = path.iter().map(|name| text::normalize_text(name)).collect::<Vec<_>>().join("\u{1f}");
    if let Some(previous_line) = line_by_path.insert(path_key, line) {
        return Err(Error::bad_input("", format!("`{}` is already in line {previous_line}", format_path())));
    }
    let parents = &path[..path.len().saturating_sub(1)];
    if !parents.is_empty() && category_index.find_by_path(parents).is_none() {
        let message =
            format!("`{}` has no parent: `{}` is neither above it nor in the shop", format_path(), parents.join(" > "));
        return Err(Error::bad_input("", message));
    }
    if category_index.find_by_path(path).is_some() {
        return Ok(false);
    }
    category_index.ensure_path(path).await?;
    Ok(true)
}

fn open_file(file: &Path) -> Result<File> {
    File::open(file).map_err(|error| Error::bad_input("", format!("cannot open {}: {error}", file.display())))
}

/// Prefixes a user error with the name of the file.
fn add_file_context(file: &Path, error: Error) -> Error {
    match error {
        internal @ Error::Internal(_) => internal,
        user_error => Error::bad_input("", format!("{}: {}", file.display(), user_error.to_public_error().message)),
    }
}

type PrefetchReceiver<T> = mpsc::Receiver<Result<T>>;

/// Runs a producer on a blocking thread, at most `PREFETCH_LIMIT` items ahead of the consumer.
fn prefetch_items<T: Send + 'static>(
    produce: impl FnOnce(&mut dyn FnMut(T) -> Result<()>) -> Result<()> + Send + 'static,
) -> PrefetchReceiver<T> {
    let (sender, receiver) = mpsc::channel(PREFETCH_LIMIT);
    tokio::task::spawn_blocking(move || {
        let receiver_closed = |_| Error::internal("prefetching", "the receiver was dropped");
        let result = produce(&mut |item| sender.blocking_send(Ok(item)).map_err(receiver_closed));
        if let Err(error) = result {
            // The send fails only if the receiver was dropped; then the error is not needed.
            let _ = sender.blocking_send(Err(error));
        }
    });
    receiver
}
