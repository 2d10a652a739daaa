//! Making and changing products, many at a time: drafts are matched with what is there, and the result is written in a
//! number of statements that does not depend on how many they are.

use std::collections::BTreeMap;

use iso_currency::Currency;
use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, EntityTrait, IdenStatic, IntoActiveModel, Iterable, ModelTrait,
    QueryFilter, Value, sea_query::OnConflict,
};
use serde::{Deserialize, Serialize};

use super::{
    category::{Book, UNSORTED},
    columns::VariantColumns,
    draft::ProductDraft,
    entity::{Status, product, variant},
    lay::Setting,
    merge::{Known, Merged, merge},
    parts, search,
};
use crate::{
    base::{Error, Result},
    infra::{Tx, outbox::Event},
};

/// Products have been made or changed.
#[derive(Debug, Deserialize, Serialize)]
pub struct ProductsChanged {
    /// Their keys.
    pub products: Vec<i64>,
}

impl Event for ProductsChanged {
    const KIND: &'static str = "ProductsChanged";

    fn aggregate(&self) -> String {
        // Many at once: the order among batches is what counts.
        "catalog:1".into()
    }
}

/// A product is on sale that was not.
#[derive(Debug, Deserialize, Serialize)]
pub struct ProductPublished {
    /// Its key.
    pub product: i64,
}

impl Event for ProductPublished {
    const KIND: &'static str = "ProductPublished";

    fn aggregate(&self) -> String {
        format!("product:{}", self.product)
    }
}

/// What has become of the drafts.
#[derive(Debug, Default)]
pub struct Saved {
    /// New products.
    pub made: usize,
    /// Products that were there.
    pub kept: usize,
    /// Variants that were said, with the stock that was said of them.
    pub variants: Vec<(i64, Option<i64>)>,
    /// What was done differently from what was said, with the variant's line.
    pub warnings: Vec<(u64, String)>,
    /// What could not be done, with the variant's line.
    pub refused: Vec<(u64, String)>,
}

impl Saved {
    pub(super) fn warn(&mut self, line: u64, reason: String) {
        self.warnings.push((line, reason));
    }

    pub(super) fn refuse(&mut self, line: u64, reason: String) {
        self.refused.push((line, reason));
    }
}

/// Writes drafts of different slugs, in the transaction and all or nothing.
///
/// Matched by slug and sku: what is there is changed, what is not is made, nothing is removed.
///
/// # Errors
/// When the database refuses.
pub async fn save(tx: &Tx, currency: Currency, drafts: &[ProductDraft]) -> Result<Saved> {
    let mut saved = Saved::default();
    // Opening the book takes the tree's lock, so what is known stays true until the transaction ends.
    let book = Book::open(tx).await?;
    let mut known = Known::load(tx, drafts).await?;
    let categories = categories(book, &known, drafts, &mut saved).await?;
    let mut all = Vec::with_capacity(drafts.len());
    for (draft, category) in drafts.iter().zip(categories) {
        let setting = Setting { category, currency, now: tx.now() };
        let merged = merge(&mut known, draft, &setting, &mut saved);
        all.extend(merged.map(|merged| (draft, merged)));
    }
    parts::compare(tx, &mut all).await?;
    write(tx, &mut all).await?;
    for (_, merged) in &all {
        *(if merged.is_new { &mut saved.made } else { &mut saved.kept }) += 1;
        saved.variants.extend(merged.said.iter().map(|said| (merged.variants[said.place].id, said.stock)));
    }
    Ok(saved)
}

/// The category of each draft, made where it is missing; `None` where the product stays where it is.
async fn categories(
    mut book: Book<'_>,
    known: &Known,
    drafts: &[ProductDraft],
    saved: &mut Saved,
) -> Result<Vec<Option<i64>>> {
    let mut categories = Vec::with_capacity(drafts.len());
    for draft in drafts {
        let said = match draft.category.as_deref().filter(|path| !path.is_empty()) {
            None => None,
            Some(path) => match book.ensure(path).await {
                Ok(category) => Some(category),
                Err(Error::User(problem)) => {
                    saved
                        .warn(draft.line, format!("{}; the category of `{}` is left out", problem.message, draft.slug));
                    None
                }
                Err(fault) => return Err(fault),
            },
        };
        let is_new = known.product(&draft.slug).is_none();
        categories.push(if said.is_none() && is_new { Some(book.ensure(&[UNSORTED.to_owned()]).await?) } else { said });
    }
    book.close().await?;
    Ok(categories)
}

/// Drafts beside what becomes of them.
pub(super) type Batch<'a> = [(&'a ProductDraft, Merged)];

/// Gives keys to what is new.
async fn number(tx: &Tx, all: &mut Batch<'_>) -> Result<()> {
    let new_products = all.iter().filter(|(_, merged)| merged.is_new).count();
    let mut keys = tx.keys("product", new_products).await?;
    let new_variants = all.iter().flat_map(|(_, merged)| &merged.variants).filter(|variant| variant.id == 0).count();
    let mut variant_keys = tx.keys("variant", new_variants).await?;
    for (_, merged) in all {
        if merged.is_new {
            merged.product.id = keys.next().unwrap_or_default();
        }
        for variant in &mut merged.variants {
            variant.product_id = merged.product.id;
            if variant.id == 0 {
                variant.id = variant_keys.next().unwrap_or_default();
            }
        }
    }
    Ok(())
}

/// Writes all that differs from what is there. A number of statements that does not depend on how much that is.
pub(super) async fn write(tx: &Tx, all: &mut Batch<'_>) -> Result<()> {
    number(tx, all).await?;
    for (_, merged) in all.iter_mut() {
        merged.raise();
    }
    let mut products: Vec<_> = all
        .iter()
        .filter(|(_, merged)| merged.changed())
        .map(|(_, merged)| (&merged.product, merged.before.as_ref()))
        .collect();
    // In the order in which everybody takes rows, so that writers never wait for each other in a circle.
    products.sort_unstable_by_key(|(product, _)| product.id);
    write_rows::<product::Entity>(tx, &products, product::Column::Id, &PRODUCT_COLUMNS).await?;
    let variants: Vec<_> = all.iter().flat_map(|(_, merged)| merged.changed_variants()).collect();
    free_options(tx, &variants).await?;
    write_rows::<variant::Entity>(tx, &variants, variant::Column::Id, &VARIANT_COLUMNS).await?;
    parts::replace(tx, all).await?;
    let changed: Vec<i64> = products.iter().map(|(product, _)| product.id).collect();
    if !changed.is_empty() {
        reindex(tx, &changed).await?;
        let on_sale = |row: &product::Model| row.status == Status::Active && row.deleted_at.is_none();
        let published =
            all.iter().filter(|(_, merged)| on_sale(&merged.product) && !merged.before.as_ref().is_some_and(on_sale));
        let mut published: Vec<i64> = published.map(|(_, merged)| merged.product.id).collect();
        published.sort_unstable();
        tx.emit(ProductsChanged { products: changed }).await?;
        let events: Vec<_> = published.into_iter().map(|product| ProductPublished { product }).collect();
        tx.emit_all(&events).await?;
    }
    Ok(())
}

/// How many rows one statement carries: far from the limit on values of either database.
pub(super) const ROWS: usize = 500;

/// What may change of a product.
const PRODUCT_COLUMNS: [product::Column; 19] = {
    use product::Column as C;
    [
        C::Slug,
        C::Name,
        C::NameKey,
        C::Vendor,
        C::VendorKey,
        C::CategoryId,
        C::Status,
        C::Featured,
        C::Image,
        C::Sku,
        C::Price,
        C::SalePrice,
        C::PriceNow,
        C::PriceMax,
        C::InStock,
        C::RepriceAt,
        C::Version,
        C::UpdatedAt,
        C::DeletedAt,
    ]
};

/// What may change of a variant.
const VARIANT_COLUMNS: [variant::Column; 15] = {
    use variant::Column as C;
    [
        C::Sku,
        C::Name,
        C::OptionKey,
        C::Price,
        C::SalePrice,
        C::SaleStartsAt,
        C::SaleEndsAt,
        C::WeightGrams,
        C::Image,
        C::Barcode,
        C::TrackStock,
        C::Position,
        C::Version,
        C::UpdatedAt,
        C::DeletedAt,
    ]
};

/// Variants may take each other's options; a database looks at one row after the other, so they let go of theirs first.
async fn free_options(tx: &Tx, changed: &[(&variant::Model, Option<&variant::Model>)]) -> Result<()> {
    let moved = |(row, before): &&(&variant::Model, Option<&variant::Model>)| {
        before.is_some_and(|before| before.option_key != row.option_key)
    };
    let keys: Vec<i64> = changed.iter().filter(moved).map(|(row, _)| row.id).collect();
    if !keys.is_empty() {
        let mut sql = tx.sql();
        sql.push("UPDATE variant SET option_key = ").bind("\u{1f}\u{1f}").push(" || id WHERE ").any("id", keys);
        tx.execute_raw(sql.statement()).await?;
    }
    Ok(())
}

/// Writes rows, each beside what it was: new ones whole, of others the columns that may change.
///
/// PostgreSQL takes each column as one array, in statements whose text is the same for any number of rows. There a changed
/// row is updated and not upserted: an upsert that sets a unique column locks the row against foreign keys that refer to
/// it, whether the value changes or not, and everybody who orders it waits. SQLite has no arrays, and no trip to save.
async fn write_rows<E>(
    tx: &Tx,
    rows: &[(&E::Model, Option<&E::Model>)],
    key: E::Column,
    columns: &[E::Column],
) -> Result<()>
where
    E: EntityTrait,
    E::Model: IntoActiveModel<E::ActiveModel>,
    E::ActiveModel: ActiveModelTrait<Entity = E>,
{
    if !tx.sql().postgres() {
        for rows in rows.chunks(ROWS) {
            let rows = rows.iter().map(|(row, _)| (*row).clone().into_active_model().reset_all());
            let update = OnConflict::column(key).update_columns(columns.iter().copied()).to_owned();
            E::insert_many(rows).on_conflict(update).exec_without_returning(tx).await?;
        }
        return Ok(());
    }
    let (known, new): (Vec<_>, Vec<_>) = rows.iter().partition(|(_, before)| before.is_some());
    let table = E::default();
    if !new.is_empty() {
        let all: Vec<E::Column> = E::Column::iter().collect();
        let mut sql = tx.sql();
        sql.push("INSERT INTO ").push(table.table_name()).push(" (").push(&names(&all)).push(") SELECT ");
        sql.columns(&cells::<E>(&new, &all));
        tx.execute_raw(sql.statement()).await?;
    }
    if !known.is_empty() {
        let all: Vec<E::Column> = std::iter::once(key).chain(columns.iter().copied()).collect();
        let set: Vec<String> = columns.iter().map(|column| format!("{0} = given.{0}", column.as_str())).collect();
        let mut sql = tx.sql();
        sql.push("WITH given (").push(&names(&all)).push(") AS (SELECT ").columns(&cells::<E>(&known, &all));
        sql.push(") UPDATE ").push(table.table_name()).push(" AS row SET ").push(&set.join(", "));
        sql.push(&format!(" FROM given WHERE row.{0} = given.{0}", key.as_str()));
        tx.execute_raw(sql.statement()).await?;
    }
    Ok(())
}

fn names<C: IdenStatic>(columns: &[C]) -> String {
    columns.iter().map(IdenStatic::as_str).collect::<Vec<_>>().join(", ")
}

fn cells<E: EntityTrait>(rows: &[&(&E::Model, Option<&E::Model>)], columns: &[E::Column]) -> Vec<Vec<Value>> {
    columns.iter().map(|column| rows.iter().map(|(row, _)| row.get(*column)).collect()).collect()
}

/// Makes products findable as they are now. Reads what it needs, so that whoever changes a part calls only this.
///
/// # Errors
/// When the database refuses.
pub async fn reindex(tx: &Tx, products: &[i64]) -> Result<()> {
    let mut documents: BTreeMap<i64, search::Document> = BTreeMap::new();
    let rows = product::Entity::find().filter(product::Column::Id.is_in(products.iter().copied())).all(tx).await?;
    for row in rows {
        let document = documents.entry(row.id).or_default();
        document.name(&row.name);
        document.rest(row.vendor.as_deref().unwrap_or_default());
    }
    let variants =
        super::loader::variants(tx, products, VariantColumns { sku: true, ..VariantColumns::default() }).await?;
    let tags = super::loader::tags(tx, products).await?;
    let options = super::loader::options(tx, products).await?;
    let descriptions = super::loader::descriptions(tx, products).await?;
    for (key, document) in &mut documents {
        variants.get(key).into_iter().flatten().for_each(|variant| document.rest(&variant.sku));
        tags.get(key).into_iter().flatten().for_each(|tag| document.rest(tag));
        for option in options.get(key).into_iter().flatten() {
            option.values.iter().for_each(|value| document.rest(value));
        }
        descriptions.get(key).into_iter().flatten().for_each(|description| document.rest(&description.text));
    }
    search::store(tx, &documents).await
}
