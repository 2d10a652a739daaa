//! Writes the changes of products in a constant number of statements: rows, child rows, search documents and events.

use std::collections::BTreeMap;

use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ColumnTrait, ConnectionTrait, EntityName, EntityTrait, IdenStatic,
    IntoActiveModel, Iterable, ModelTrait, QueryFilter, Value, sea_query::OnConflict,
};
use serde_json::{Value as JsonValue, json};

use super::diff::{ChangedChildRows, NormalizedTag, ProductChange};
use crate::{
    base::{Result, text},
    catalog::{
        entity::{product, product_description, product_image, product_option, product_tag, variant, variant_option},
        events::{ProductPublished, ProductsChanged},
        loader::{self, ProductImage},
        projection::VariantColumns,
        sanitize, search,
    },
    infra::Tx,
};

/// Number of rows per statement, well below the parameter limits of both databases.
const ROWS_PER_STATEMENT: usize = 500;
/// The primary key, and the columns that never change.
const KEY_COLUMN: &str = "id";
const FIXED_COLUMNS: [&str; 3] = [KEY_COLUMN, "product_id", "created_at"];

/// A row to write, and the row before the change; `None` for a new one.
type RowChange<'a, M> = (&'a M, Option<&'a M>);

/// Writes all changes.
pub(super) async fn write_changes(tx: &Tx, changes: &mut [ProductChange]) -> Result<()> {
    assign_ids(tx, changes).await?;
    let changed = changes.iter().filter(|change| change.is_changed());
    let mut products: Vec<_> = changed.map(|change| (&change.product, change.before.as_ref())).collect();
    // In id order, the lock order of all writers, to prevent deadlocks.
    products.sort_unstable_by_key(|(product, _)| product.id);
    write_rows::<product::Entity>(tx, &products).await?;
    let variants: Vec<_> = changes.iter().flat_map(ProductChange::changed_variants).collect();
    release_option_keys(tx, &variants).await?;
    write_rows::<variant::Entity>(tx, &variants).await?;
    replace_child_rows(tx, changes).await?;
    if products.is_empty() {
        return Ok(());
    }
    let changed_ids: Vec<i64> = products.iter().map(|(product, _)| product.id).collect();
    index_products(tx, &changed_ids).await?;
    tx.emit_event(ProductsChanged { products: changed_ids }).await?;
    let published = changes.iter().filter(|change| change.is_published());
    let mut published: Vec<i64> = published.map(|change| change.product.id).collect();
    published.sort_unstable();
    let events: Vec<_> = published.into_iter().map(|product| ProductPublished { product }).collect();
    tx.emit_events(&events).await
}

/// Assigns ids to new rows.
async fn assign_ids(tx: &Tx, changes: &mut [ProductChange]) -> Result<()> {
    let new_products = changes.iter().filter(|change| change.is_new()).count();
    let mut product_ids = tx.allocate_ids("product", new_products).await?;
    let new_variants = changes.iter().flat_map(|change| &change.variants.rows).filter(|row| row.id == 0).count();
    let mut variant_ids = tx.allocate_ids("variant", new_variants).await?;
    for change in changes {
        if change.is_new() {
            change.product.id = product_ids.next().unwrap_or_default();
        }
        for variant in &mut change.variants.rows {
            variant.product_id = change.product.id;
            if variant.id == 0 {
                variant.id = variant_ids.next().unwrap_or_default();
            }
        }
    }
    Ok(())
}

/// Frees the option keys that change: variants may swap them, but unique constraints are checked row by row.
async fn release_option_keys(tx: &Tx, changed: &[RowChange<'_, variant::Model>]) -> Result<()> {
    let has_new_options = |(row, before): &&RowChange<'_, variant::Model>| {
        before.is_some_and(|before| before.options_normalized != row.options_normalized)
    };
    let variant_ids: Vec<i64> = changed.iter().filter(has_new_options).map(|(row, _)| row.id).collect();
    if !variant_ids.is_empty() {
        let mut sql = tx.sql();
        sql.push("UPDATE variant SET options_normalized = ").bind("\u{1f}\u{1f}").push(" || id WHERE ");
        sql.eq_any("id", variant_ids);
        tx.execute_raw(sql.into_statement()).await?;
    }
    Ok(())
}

/// Inserts new rows and updates the changeable columns of others.
///
/// PostgreSQL receives each column as one array, so that the statement's text is the same for any number of rows.
/// Changed rows are updated, not upserted: an upsert that sets a unique column takes a row lock that conflicts with
/// foreign-key checks, even if the value is unchanged, and would block concurrent orders. SQLite has no arrays, and no
/// round trips to save.
async fn write_rows<E>(tx: &Tx, rows: &[RowChange<'_, E::Model>]) -> Result<()>
where
    E: EntityTrait,
    E::Model: IntoActiveModel<E::ActiveModel>,
    E::ActiveModel: ActiveModelTrait<Entity = E>,
{
    let changeable = || E::Column::iter().filter(|column| !FIXED_COLUMNS.contains(&column.as_str()));
    if !tx.sql().is_postgres() {
        for rows in rows.chunks(ROWS_PER_STATEMENT) {
            let rows = rows.iter().map(|(row, _)| (*row).clone().into_active_model().reset_all());
            let update = OnConflict::column(KEY_COLUMN).update_columns(changeable()).to_owned();
            E::insert_many(rows).on_conflict(update).exec_without_returning(tx).await?;
        }
        return Ok(());
    }
    let (existing, inserted): (Vec<_>, Vec<_>) = rows.iter().partition(|(_, before)| before.is_some());
    let to_active = |(row, _): &RowChange<'_, E::Model>| (*row).clone().into_active_model().reset_all();
    tx.insert_rows(&inserted.into_iter().map(to_active).collect::<Vec<_>>()).await?;
    if !existing.is_empty() {
        let key = E::Column::iter().filter(|column| column.as_str() == KEY_COLUMN);
        let columns: Vec<E::Column> = key.chain(changeable()).collect();
        let assignments: Vec<String> = changeable().map(|column| format!("{0} = given.{0}", column.as_str())).collect();
        let mut sql = tx.sql();
        sql.push("WITH given (").push(&join_names(&columns)).push(") AS (SELECT ");
        sql.select_columns(&collect_column_values::<E>(&existing, &columns));
        sql.push(") UPDATE ").push(E::default().table_name()).push(" AS row SET ").push(&assignments.join(", "));
        sql.push(" FROM given WHERE row.id = given.id");
        tx.execute_raw(sql.into_statement()).await?;
    }
    Ok(())
}

fn join_names<C: IdenStatic>(columns: &[C]) -> String {
    columns.iter().map(IdenStatic::as_str).collect::<Vec<_>>().join(", ")
}

fn collect_column_values<E: EntityTrait>(rows: &[&RowChange<'_, E::Model>], columns: &[E::Column]) -> Vec<Vec<Value>> {
    columns.iter().map(|column| rows.iter().map(|(row, _)| row.get(*column)).collect()).collect()
}

/// The rows of a child table to write: they belong to products or variants and are replaced together.
struct ChildRows<A> {
    /// Ids of existing owners, whose rows are deleted.
    owner_ids: Vec<i64>,
    rows: Vec<A>,
}

impl<A> Default for ChildRows<A> {
    fn default() -> Self {
        Self { owner_ids: Vec::new(), rows: Vec::new() }
    }
}

impl<A: ActiveModelTrait> ChildRows<A> {
    /// Adds the rows of one owner.
    fn replace(&mut self, owner_id: i64, is_new: bool, rows: impl IntoIterator<Item = A>) {
        // A new owner has no rows to replace.
        self.owner_ids.extend((!is_new).then_some(owner_id));
        self.rows.extend(rows);
    }

    /// Writes the rows; `owner` is the column of the owner's id.
    async fn write(self, tx: &Tx, owner: <A::Entity as EntityTrait>::Column) -> Result<()> {
        if !self.owner_ids.is_empty() {
            let mut sql = tx.sql();
            sql.push("DELETE FROM ").push(A::Entity::default().table_name()).push(" WHERE ");
            sql.eq_any(owner.as_str(), self.owner_ids);
            tx.execute_raw(sql.into_statement()).await?;
        }
        tx.insert_rows(&self.rows).await
    }
}

/// Writes the child rows that differ. Statements: 11 at most, for any number of products.
async fn replace_child_rows(tx: &Tx, changes: &[ProductChange]) -> Result<()> {
    let (mut descriptions, mut tags, mut images) = (ChildRows::default(), ChildRows::default(), ChildRows::default());
    let (mut options, mut variant_options) = (ChildRows::default(), ChildRows::default());
    for change in changes {
        let (id, is_new) = (change.product.id, change.is_new());
        let ChangedChildRows { description, tags: new_tags, images: new_images, options: has_new_options } =
            &change.child_rows;
        if let Some(html) = description {
            let row = product_description::Model {
                product_id: id,
                html: html.clone(),
                text: sanitize::convert_html_to_text(html),
            };
            descriptions.replace(id, is_new, [row.into_active_model().reset_all()]);
        }
        if let Some(new_tags) = new_tags {
            let to_row = |tag: &NormalizedTag| product_tag::ActiveModel {
                tag_normalized: Set(tag.normalized.clone()),
                product_id: Set(id),
                tag: Set(tag.tag.clone()),
            };
            tags.replace(id, is_new, new_tags.iter().map(to_row));
        }
        if let Some(new_images) = new_images {
            let to_row = |(position, image): (i32, &ProductImage)| product_image::ActiveModel {
                product_id: Set(id),
                position: Set(position),
                url: Set(image.url.clone()),
                alt: Set(image.alt.clone()),
            };
            images.replace(id, is_new, (0..).zip(new_images).map(to_row));
        }
        let names = &change.variants.option_names;
        if *has_new_options {
            let to_row = |(position, name): (i32, &String)| product_option::ActiveModel {
                product_id: Set(id),
                position: Set(position),
                name: Set(name.clone()),
            };
            options.replace(id, is_new, (0..).zip(names).map(to_row));
        }
        for (variant, values) in change.changed_options() {
            let to_row = |(position, (name, value)): (i32, (&String, &String))| variant_option::ActiveModel {
                variant_id: Set(variant.id),
                position: Set(position),
                product_id: Set(id),
                name: Set(name.clone()),
                name_normalized: Set(text::normalize_text(name)),
                value: Set(value.clone()),
                value_normalized: Set(text::normalize_text(value)),
            };
            variant_options.replace(variant.id, is_new, (0..).zip(names.iter().zip(values)).map(to_row));
        }
    }
    descriptions.write(tx, product_description::Column::ProductId).await?;
    tags.write(tx, product_tag::Column::ProductId).await?;
    images.write(tx, product_image::Column::ProductId).await?;
    options.write(tx, product_option::Column::ProductId).await?;
    rename_variant_options(tx, changes).await?;
    variant_options.write(tx, variant_option::Column::VariantId).await
}

/// Renames the options in the option values of existing products. Statements: 1.
async fn rename_variant_options(tx: &Tx, changes: &[ProductChange]) -> Result<()> {
    let renamed = changes.iter().filter(|change| change.child_rows.options && !change.is_new());
    let rows: Vec<JsonValue> = renamed
        .flat_map(|change| {
            let names = change.variants.option_names.iter().enumerate();
            names.map(|(position, name)| json!([change.product.id, position, name, text::normalize_text(name)]))
        })
        .collect();
    if rows.is_empty() {
        return Ok(());
    }
    let columns = [("product_id", "bigint"), ("position", "int"), ("name", "text"), ("name_normalized", "text")];
    let mut sql = tx.sql();
    sql.with_rows(&columns, rows).push(
        "UPDATE variant_option SET name = given.name, name_normalized = given.name_normalized FROM given \
         WHERE variant_option.product_id = given.product_id AND variant_option.position = given.position",
    );
    tx.execute_raw(sql.into_statement()).await?;
    Ok(())
}

/// Rebuilds the search documents of products from stored data.
async fn index_products(tx: &Tx, product_ids: &[i64]) -> Result<()> {
    let mut documents: BTreeMap<i64, search::SearchDocument> = BTreeMap::new();
    let rows = product::Entity::find().filter(product::Column::Id.is_in(product_ids.iter().copied())).all(tx).await?;
    for row in rows {
        let document = documents.entry(row.id).or_default();
        document.add_name(&row.name);
        document.add_text(row.vendor.as_deref().unwrap_or_default());
    }
    let columns = VariantColumns::from([variant::Column::Sku]);
    let variants = loader::load_variants(tx, product_ids, columns).await?;
    let tags = loader::load_tags(tx, product_ids).await?;
    let options = loader::load_product_options(tx, product_ids).await?;
    let descriptions = loader::load_descriptions(tx, product_ids).await?;
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
