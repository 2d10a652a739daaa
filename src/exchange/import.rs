//! Imports: files are read on a thread of their own, a little ahead of the batches that are written.

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
    source::{self, Counted, Entry},
    taxonomy,
};
use crate::{
    base::{Error, Result, text},
    catalog::{self, ProductDraft, category::Book, save::Saved},
    infra::{Db, Tx},
    inventory,
};

/// How many products one transaction takes.
const BATCH: usize = 250;
/// How many categories one transaction takes.
const CATEGORIES: usize = 1_000;
/// How many entries may be read ahead.
const AHEAD: usize = 500;

/// The demo catalog of an empty shop.
pub const DEMO: &[u8] = include_bytes!("demo.csv");

/// Something to be said about a line of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remark {
    /// The file.
    pub file: PathBuf,
    /// The line, from 1.
    pub line: u64,
    /// The line did not go in.
    pub refused: bool,
    /// Why, or what was done differently.
    pub reason: String,
}

/// What came of an import.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Products or categories that are new.
    pub made: usize,
    /// Those that were there.
    pub kept: usize,
    /// Variants that were said.
    pub variants: usize,
    /// Lines that did not go in.
    pub refused: usize,
    /// Lines that went in differently.
    pub warned: usize,
}

/// An import: where to, and who hears of it.
pub struct Import<'a> {
    /// The shop's database.
    pub db: &'a Db,
    /// What its prices are in.
    pub currency: Currency,
    /// Where days that a file names begin.
    pub time_zone: Tz,
    /// Do everything, then undo it.
    pub dry_run: bool,
    /// How far it has come.
    pub progress: Progress,
    /// Hears of every line that is refused or changed.
    pub tell: &'a mut (dyn FnMut(Remark) + Send),
}

impl std::fmt::Debug for Import<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Import").field("dry_run", &self.dry_run).finish_non_exhaustive()
    }
}

impl Import<'_> {
    /// Reads products from CSV files of Shopify's or WooCommerce's, one after the other.
    ///
    /// # Errors
    /// When a file cannot be opened or recognised, or the database refuses; what was written before stays.
    pub async fn products(&mut self, files: &[PathBuf]) -> Result<Outcome> {
        let mut sources = Vec::with_capacity(files.len());
        for file in files {
            sources.push((open(file)?, file.as_path()));
        }
        self.products_of(sources).await
    }

    /// The same from anything that can be read; `name` stands for the file in remarks.
    ///
    /// # Errors
    /// When it is not recognised, or the database refuses.
    pub async fn products_from(&mut self, from: impl Read + Send + 'static, name: &Path) -> Result<Outcome> {
        self.products_of(vec![(from, name)]).await
    }

    async fn products_of(&mut self, sources: Vec<(impl Read + Send + 'static, &Path)>) -> Result<Outcome> {
        let (db, currency) = (self.db, self.currency);
        let mut outcome = Outcome::default();
        if self.dry_run {
            // In one transaction, so that a file finds what the one before it has brought.
            let all = db.rehearse(async |tx| {
                for (from, name) in sources {
                    self.products_within(tx, from, name, &mut outcome).await?;
                }
                Ok(())
            });
            all.await?;
            return Ok(outcome);
        }
        let batch = async |batch: &[ProductDraft]| {
            let write = async || db.write_with_retry(|| async |tx| store(tx, currency, batch).await).await;
            match write().await {
                // Somebody else made one of these at the same moment; now it is there to be matched.
                Err(why) if why.is_taken() => write().await,
                other => other,
            }
        };
        for (from, name) in sources {
            let mut entries = self.entries(from);
            self.consume(&mut entries, name, &mut outcome, batch).await.map_err(|why| in_file(name, why))?;
        }
        Ok(outcome)
    }

    /// Reads products in a transaction: all of them, or none.
    ///
    /// # Errors
    /// When the file is not recognised, or the database refuses.
    pub async fn products_within(
        &mut self,
        tx: &Tx,
        from: impl Read + Send + 'static,
        name: &Path,
        outcome: &mut Outcome,
    ) -> Result<()> {
        let currency = self.currency;
        let mut entries = self.entries(from);
        let write = async |batch: &[ProductDraft]| store(tx, currency, batch).await;
        self.consume(&mut entries, name, outcome, write).await.map_err(|why| in_file(name, why))
    }

    /// What is in a file of products, read ahead.
    fn entries(&self, from: impl Read + Send + 'static) -> Ahead<Entry> {
        let counted = Counted::new(from, std::sync::Arc::clone(&self.progress.bytes));
        let zone = self.time_zone;
        ahead(move |give| {
            let catalog = source::read(counted, zone).map_err(|why| Error::bad_input("", why))?;
            for entry in catalog.entries {
                give(entry)?;
            }
            Ok(())
        })
    }

    /// Gathers drafts into batches of different slugs.
    async fn consume(
        &mut self,
        entries: &mut Ahead<Entry>,
        file: &Path,
        outcome: &mut Outcome,
        write: impl AsyncFn(&[ProductDraft]) -> Result<Saved>,
    ) -> Result<()> {
        let mut batch: Vec<ProductDraft> = Vec::with_capacity(BATCH);
        let mut slugs: HashSet<String> = HashSet::new();
        while let Some(entry) = entries.recv().await {
            match entry? {
                Entry::Product { line, mut draft } => {
                    draft.line = line;
                    // A slug that comes again is matched with what its first part has become.
                    if batch.len() >= BATCH || slugs.contains(&draft.slug) {
                        self.flush(&mut batch, file, outcome, &write).await?;
                        slugs.clear();
                    }
                    slugs.insert(draft.slug.clone());
                    batch.push(*draft);
                }
                Entry::Refused { line, reason } => self.remark(outcome, file, line, true, reason),
                Entry::Warning { line, reason } => self.remark(outcome, file, line, false, reason),
            }
        }
        self.flush(&mut batch, file, outcome, &write).await
    }

    async fn flush(
        &mut self,
        batch: &mut Vec<ProductDraft>,
        file: &Path,
        outcome: &mut Outcome,
        write: &impl AsyncFn(&[ProductDraft]) -> Result<Saved>,
    ) -> Result<()> {
        if batch.is_empty() {
            return Ok(());
        }
        let saved = write(batch).await?;
        self.progress.add(batch.len());
        batch.clear();
        outcome.made += saved.made;
        outcome.kept += saved.kept;
        outcome.variants += saved.variants.len();
        for (line, reason) in saved.refused {
            self.remark(outcome, file, line, true, reason);
        }
        for (line, reason) in saved.warnings {
            self.remark(outcome, file, line, false, reason);
        }
        Ok(())
    }

    fn remark(&mut self, outcome: &mut Outcome, file: &Path, line: u64, refused: bool, reason: String) {
        *(if refused { &mut outcome.refused } else { &mut outcome.warned }) += 1;
        (self.tell)(Remark { file: file.to_owned(), line, refused, reason });
    }

    /// Reads categories from taxonomies, one after the other: a path on each line, parents before children.
    ///
    /// # Errors
    /// When a file cannot be opened, or the database refuses; what was written before stays.
    pub async fn categories(&mut self, files: &[PathBuf]) -> Result<Outcome> {
        let mut outcome = Outcome::default();
        let db = self.db;
        if self.dry_run {
            let all = db.rehearse(async |tx| {
                for file in files {
                    let mut taxonomy = Taxonomy::open(file, &self.progress)?;
                    self.plant(tx, &mut taxonomy, usize::MAX, &mut outcome).await?;
                }
                Ok(())
            });
            all.await?;
            return Ok(outcome);
        }
        for file in files {
            let mut taxonomy = Taxonomy::open(file, &self.progress)?;
            while db.write(async |tx| self.plant(tx, &mut taxonomy, CATEGORIES, &mut outcome).await).await? {}
        }
        Ok(outcome)
    }

    /// Plants at most so many lines; says whether there may be more.
    async fn plant(
        &mut self,
        tx: &Tx,
        Taxonomy { file, lines, seen }: &mut Taxonomy<'_>,
        most: usize,
        outcome: &mut Outcome,
    ) -> Result<bool> {
        let mut book = Book::open(tx).await?;
        for _ in 0..most {
            let Some(line) = lines.recv().await else {
                book.close().await?;
                return Ok(false);
            };
            self.progress.add(1);
            let taxonomy::Line { line, path, number: _, repair } = match line? {
                Ok(line) => line,
                Err(source::Flaw { line, reason }) => {
                    self.remark(outcome, file, line, true, reason);
                    continue;
                }
            };
            if let Some(repair) = repair {
                self.remark(outcome, file, line, false, repair);
            }
            match plant_one(&mut book, &path, line, seen).await {
                Ok(true) => outcome.made += 1,
                Ok(false) => outcome.kept += 1,
                Err(Error::User(problem)) => self.remark(outcome, file, line, true, problem.message),
                Err(fault) => return Err(fault),
            }
        }
        book.close().await?;
        Ok(true)
    }
}

/// A taxonomy being read.
struct Taxonomy<'a> {
    file: &'a Path,
    lines: Ahead<Result<taxonomy::Line, source::Flaw>>,
    /// The line of each path that was there before.
    seen: HashMap<String, u64>,
}

impl<'a> Taxonomy<'a> {
    fn open(file: &'a Path, progress: &Progress) -> Result<Self> {
        let counted = Counted::new(open(file)?, std::sync::Arc::clone(&progress.bytes));
        let lines = ahead(move |give| taxonomy::read(counted).try_for_each(give));
        Ok(Self { file, lines, seen: HashMap::new() })
    }
}

/// Plants one path; says whether it is new.
async fn plant_one(book: &mut Book<'_>, path: &[String], line: u64, seen: &mut HashMap<String, u64>) -> Result<bool> {
    let shown = || path.join(" > ");
    let key = path.iter().map(|name| text::key(name)).collect::<Vec<_>>().join("\u{1f}");
    if let Some(before) = seen.insert(key, line) {
        return Err(Error::bad_input("", format!("`{}` was named in line {before} already", shown())));
    }
    let parents = &path[..path.len().saturating_sub(1)];
    if !parents.is_empty() && book.find(parents).is_none() {
        let message =
            format!("`{}` has no parent: `{}` is neither above it nor in the shop", shown(), parents.join(" > "));
        return Err(Error::bad_input("", message));
    }
    if book.find(path).is_some() {
        return Ok(false);
    }
    book.ensure(path).await?;
    Ok(true)
}

/// Writes one batch with its stock.
pub(super) async fn store(tx: &Tx, currency: Currency, batch: &[ProductDraft]) -> Result<Saved> {
    let saved = catalog::save(tx, currency, batch).await?;
    let counts: Vec<(i64, i64)> =
        saved.variants.iter().filter_map(|(variant, stock)| Some((*variant, (*stock)?))).collect();
    inventory::set_on_hand(tx, &counts).await?;
    Ok(saved)
}

fn open(file: &Path) -> Result<File> {
    File::open(file).map_err(|why| Error::bad_input("", format!("cannot open {}: {why}", file.display())))
}

/// What is wrong with a file as a whole, with its name.
fn in_file(file: &Path, why: Error) -> Error {
    match why {
        fault @ Error::Fault(_) => fault,
        known => Error::bad_input("", format!("{}: {}", file.display(), known.public().message)),
    }
}

type Ahead<T> = mpsc::Receiver<Result<T>>;

/// Reads on a thread of its own, a little ahead of whoever takes.
fn ahead<T: Send + 'static>(
    read: impl FnOnce(&mut dyn FnMut(T) -> Result<()>) -> Result<()> + Send + 'static,
) -> Ahead<T> {
    let (sender, receiver) = mpsc::channel(AHEAD);
    tokio::task::spawn_blocking(move || {
        let gone = |_| Error::fault("reading ahead", "nobody takes any more");
        let outcome = read(&mut |item| sender.blocking_send(Ok(item)).map_err(gone));
        if let Err(why) = outcome {
            // If nobody takes any more, nobody wants to know why.
            let _ = sender.blocking_send(Err(why));
        }
    });
    receiver
}
