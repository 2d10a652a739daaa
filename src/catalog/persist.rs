//! Bulk creation and update of products: input is matched with existing rows, and written in a constant number of
//! statements.

use std::collections::BTreeMap;

use iso_currency::Currency;
use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, EntityTrait, IdenStatic, IntoActiveModel, Iterable, ModelTrait,
    QueryFilter, Value, sea_query::OnConflict,
};
use serde::{Deserialize, Serialize};

use super::{
    category::{CategoryIndex, UNCATEGORIZED_NAME},
    child_rows,
    entity::{PublicationStatus, product, variant},
    match_existing::{ExistingProducts, ProductChange, merge_product_input},
    product_input::ProductInput,
    projection::VariantColumns,
    row_values::WriteContext,
    search,
};
use crate::{
    base::{Error, Result},
    infra::{Tx, outbox::Event},
};

/// Event emitted when products are created or changed.
#[derive(Debug, Deserialize, Serialize)]
pub struct ProductsChanged {
    /// Product ids.
    pub products: Vec<i64>,
}

impl Event for ProductsChanged {
    const KIND: &'static str = "ProductsChanged";

    fn aggregate(&self) -> String {
        // One aggregate for all products, because the order of batches matters.
        "catalog:1".into()
    }
}

/// Event emitted when a product goes on sale.
#[derive(Debug, Deserialize, Serialize)]
pub struct ProductPublished {
    /// Product id.
    pub product: i64,
}

impl Event for ProductPublished {
    const KIND: &'static str = "ProductPublished";

    fn aggregate(&self) -> String {
        format!("product:{}", self.product)
    }
}

/// Result of saving products.
#[derive(Debug, Default)]
pub struct WriteSummary {
    /// Number of products created.
    pub created: usize,
    /// Number of existing products in the input.
    pub updated: usize,
    /// Ids of the saved variants, with the on-hand quantity provided.
    pub variants: Vec<(i64, Option<i64>)>,
    /// Warnings about adjusted input, with the line number.
    pub warnings: Vec<(u64, String)>,
    /// Rejected input with its line number and reason.
    pub rejected: Vec<(u64, String)>,
}

impl WriteSummary {
    pub(super) fn add_warning(&mut self, line: u64, reason: String) {
        self.warnings.push((line, reason));
    }

    pub(super) fn add_rejection(&mut self, line: u64, reason: String) {
        self.rejected.push((line, reason));
    }
}

/// Creates or updates products with distinct slugs, atomically in the transaction.
///
/// Existing rows are matched by slug and SKU; missing rows are created, and none are deleted.
pub async fn save_products(tx: &Tx, currency: Currency, inputs: &[ProductInput]) -> Result<WriteSummary> {
    let mut summary = WriteSummary::default();
    // Loading the index locks the category tree, so what is read stays valid until the transaction ends.
    let category_index = CategoryIndex::load(tx).await?;
    let mut existing = ExistingProducts::load(tx, inputs).await?;
    let category_ids = resolve_categories(category_index, &existing, inputs, &mut summary).await?;
    let mut batch = Vec::with_capacity(inputs.len());
    for (input, category_id) in inputs.iter().zip(category_ids) {
        let context = WriteContext { category_id, currency, now: tx.now() };
        let change = merge_product_input(&mut existing, input, &context, &mut summary);
        batch.extend(change.map(|change| (input, change)));
    }
    child_rows::compare_child_rows(tx, &mut batch).await?;
    write_changes(tx, &mut batch).await?;
    for (_, change) in &batch {
        *(if change.is_new { &mut summary.created } else { &mut summary.updated }) += 1;
        summary
            .variants
            .extend(change.provided.iter().map(|provided| (change.variants[provided.row_index].id, provided.on_hand)));
    }
    Ok(summary)
}

/// Returns the category of each input, created if missing; `None` leaves the product's category unchanged.
async fn resolve_categories(
    mut category_index: CategoryIndex<'_>,
    existing: &ExistingProducts,
    inputs: &[ProductInput],
    summary: &mut WriteSummary,
) -> Result<Vec<Option<i64>>> {
    let mut category_ids = Vec::with_capacity(inputs.len());
    for input in inputs {
        let provided = match input.category_path.as_deref().filter(|path| !path.is_empty()) {
            None => None,
            Some(path) => match category_index.ensure_path(path).await {
                Ok(category_id) => Some(category_id),
                Err(Error::User(problem)) => {
                    summary.add_warning(
                        input.line,
                        format!("{}; the category of `{}` is left out", problem.message, input.slug),
                    );
                    None
                }
                Err(error) => return Err(error),
            },
        };
        let is_new = existing.find_product(&input.slug).is_none();
        category_ids.push(if provided.is_none() && is_new {
            Some(category_index.ensure_path(&[UNCATEGORIZED_NAME.to_owned()]).await?)
        } else {
            provided
        });
    }
    category_index.finish().await?;
    Ok(category_ids)
}

/// Inputs with their pending changes.
pub(super) type WriteBatch<'a> = [(&'a ProductInput, ProductChange)];

/// Assigns ids to new rows.
async fn assign_ids(tx: &Tx, batch: &mut WriteBatch<'_>) -> Result<()> {
    let new_products = batch.iter().filter(|(_, change)| change.is_new).count();
    let mut product_ids = tx.allocate_ids("product", new_products).await?;
    let new_variants = batch.iter().flat_map(|(_, change)| &change.variants).filter(|variant| variant.id == 0).count();
    let mut variant_ids = tx.allocate_ids("variant", new_variants).await?;
    for (_, change) in batch {
        if change.is_new {
            change.product.id = product_ids.next().unwrap_or_default();
        }
        for variant in &mut change.variants {
            variant.product_id = change.product.id;
            if variant.id == 0 {
                variant.id = variant_ids.next().unwrap_or_default();
            }
        }
    }
    Ok(())
}

/// Writes all changes. Statements: a constant number.
pub(super) async fn write_changes(tx: &Tx, batch: &mut WriteBatch<'_>) -> Result<()> {
    assign_ids(tx, batch).await?;
    for (_, change) in batch.iter_mut() {
        change.bump_versions();
    }
    let mut products: Vec<_> = batch
        .iter()
        .filter(|(_, change)| change.is_changed())
        .map(|(_, change)| (&change.product, change.before.as_ref()))
        .collect();
    // In id order, the lock order of all writers, to prevent deadlocks.
    products.sort_unstable_by_key(|(product, _)| product.id);
    write_rows::<product::Entity>(tx, &products, product::Column::Id, &PRODUCT_COLUMNS).await?;
    let variants: Vec<_> = batch.iter().flat_map(|(_, change)| change.changed_variants()).collect();
    release_option_keys(tx, &variants).await?;
    write_rows::<variant::Entity>(tx, &variants, variant::Column::Id, &VARIANT_COLUMNS).await?;
    child_rows::replace_child_rows(tx, batch).await?;
    let changed_ids: Vec<i64> = products.iter().map(|(product, _)| product.id).collect();
    if !changed_ids.is_empty() {
        reindex_products(tx, &changed_ids).await?;
        let is_on_sale = |row: &product::Model| row.status == PublicationStatus::Active && row.deleted_at.is_none();
        let published = batch
            .iter()
            .filter(|(_, change)| is_on_sale(&change.product) && !change.before.as_ref().is_some_and(is_on_sale));
        let mut published: Vec<i64> = published.map(|(_, change)| change.product.id).collect();
        published.sort_unstable();
        tx.emit_event(ProductsChanged { products: changed_ids }).await?;
        let events: Vec<_> = published.into_iter().map(|product| ProductPublished { product }).collect();
        tx.emit_events(&events).await?;
    }
    Ok(())
}

/// Number of rows per statement, well below the parameter limits of both databases.
pub(super) const ROWS_PER_STATEMENT: usize = 500;

/// Columns of a product that updates write.
const PRODUCT_COLUMNS: [product::Column; 19] = {
    use product::Column as C;
    [
        C::Slug,
        C::Name,
        C::NameNormalized,
        C::Vendor,
        C::VendorNormalized,
        C::CategoryId,
        C::Status,
        C::Featured,
        C::Image,
        C::Sku,
        C::Price,
        C::SalePrice,
        C::CurrentPrice,
        C::MaxCurrentPrice,
        C::InStock,
        C::NextPriceChangeAt,
        C::Version,
        C::UpdatedAt,
        C::DeletedAt,
    ]
};

/// Columns of a variant that updates write.
const VARIANT_COLUMNS: [variant::Column; 15] = {
    use variant::Column as C;
    [
        C::Sku,
        C::Name,
        C::OptionsNormalized,
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

/// Frees the option keys that change: variants may swap them, but unique constraints are checked row by row.
async fn release_option_keys(tx: &Tx, changed: &[(&variant::Model, Option<&variant::Model>)]) -> Result<()> {
    let has_new_options = |(row, before): &&(&variant::Model, Option<&variant::Model>)| {
        before.is_some_and(|before| before.options_normalized != row.options_normalized)
    };
    let variant_ids: Vec<i64> = changed.iter().filter(has_new_options).map(|(row, _)| row.id).collect();
    if !variant_ids.is_empty() {
        let mut sql = tx.sql();
        sql.push("UPDATE variant SET options_normalized = ")
            .bind("\u{1f}\u{1f}")
            .push(" || id WHERE ")
            .eq_any("id", variant_ids);
        tx.execute_raw(sql.into_statement()).await?;
    }
    Ok(())
}

/// Writes rows, each given with its previous version: inserts new ones, updates the changeable columns of others.
///
/// PostgreSQL receives each column as one array, so that the statement's text is the same for any number of rows.
/// Changed rows are updated, not upserted: an upsert that sets a unique column takes a row lock that conflicts with
/// foreign-key checks, even if the value is unchanged, and would block concurrent orders. SQLite has no arrays, and no
/// round trips to save.
async fn write_rows<E>(
    tx: &Tx,
    rows: &[(&E::Model, Option<&E::Model>)],
    key_column: E::Column,
    columns: &[E::Column],
) -> Result<()>
where
    E: EntityTrait,
    E::Model: IntoActiveModel<E::ActiveModel>,
    E::ActiveModel: ActiveModelTrait<Entity = E>,
{
    if !tx.sql().is_postgres() {
        for rows in rows.chunks(ROWS_PER_STATEMENT) {
            let rows = rows.iter().map(|(row, _)| (*row).clone().into_active_model().reset_all());
            let update = OnConflict::column(key_column).update_columns(columns.iter().copied()).to_owned();
            E::insert_many(rows).on_conflict(update).exec_without_returning(tx).await?;
        }
        return Ok(());
    }
    let (existing, inserted): (Vec<_>, Vec<_>) = rows.iter().partition(|(_, before)| before.is_some());
    let table = E::default();
    if !inserted.is_empty() {
        let all_columns: Vec<E::Column> = E::Column::iter().collect();
        let mut sql = tx.sql();
        sql.push("INSERT INTO ")
            .push(table.table_name())
            .push(" (")
            .push(&join_column_names(&all_columns))
            .push(") SELECT ");
        sql.select_columns(&collect_column_values::<E>(&inserted, &all_columns));
        tx.execute_raw(sql.into_statement()).await?;
    }
    if !existing.is_empty() {
        let all_columns: Vec<E::Column> = std::iter::once(key_column).chain(columns.iter().copied()).collect();
        let assignments: Vec<String> =
            columns.iter().map(|column| format!("{0} = given.{0}", column.as_str())).collect();
        let mut sql = tx.sql();
        sql.push("WITH given (")
            .push(&join_column_names(&all_columns))
            .push(") AS (SELECT ")
            .select_columns(&collect_column_values::<E>(&existing, &all_columns));
        sql.push(") UPDATE ").push(table.table_name()).push(" AS row SET ").push(&assignments.join(", "));
        sql.push(&format!(" FROM given WHERE row.{0} = given.{0}", key_column.as_str()));
        tx.execute_raw(sql.into_statement()).await?;
    }
    Ok(())
}

fn join_column_names<C: IdenStatic>(columns: &[C]) -> String {
    columns.iter().map(IdenStatic::as_str).collect::<Vec<_>>().join(", ")
}

fn collect_column_values<E: EntityTrait>(
    rows: &[&(&E::Model, Option<&E::Model>)],
    columns: &[E::Column],
) -> Vec<Vec<Value>> {
    columns.iter().map(|column| rows.iter().map(|(row, _)| row.get(*column)).collect()).collect()
}

/// Rebuilds the search documents of products from stored data. Callers that change any part of a product call this.
pub async fn reindex_products(tx: &Tx, product_ids: &[i64]) -> Result<()> {
    let mut documents: BTreeMap<i64, search::SearchDocument> = BTreeMap::new();
    let rows = product::Entity::find().filter(product::Column::Id.is_in(product_ids.iter().copied())).all(tx).await?;
    for row in rows {
        let document = documents.entry(row.id).or_default();
        document.add_name(&row.name);
        document.add_text(row.vendor.as_deref().unwrap_or_default());
    }
    let variants =
        super::loader::load_variants(tx, product_ids, VariantColumns::from([super::variant::Column::Sku])).await?;
    let tags = super::loader::load_tags(tx, product_ids).await?;
    let options = super::loader::load_product_options(tx, product_ids).await?;
    let descriptions = super::loader::load_descriptions(tx, product_ids).await?;
    for (product_id, document) in &mut documents {
        variants.get(product_id).into_iter().flatten().for_each(|variant| document.add_text(&variant.sku));
        tags.get(product_id).into_iter().flatten().for_each(|tag| document.add_text(tag));
        for option in options.get(product_id).into_iter().flatten() {
            option.values.iter().for_each(|value| document.add_text(value));
        }
        descriptions.get(product_id).into_iter().flatten().for_each(|description| document.add_text(&description.text));
    }
    search::store_search_documents(tx, &documents).await
}
