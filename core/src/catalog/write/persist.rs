//! Writes the changes of products in a constant number of statements: rows, child rows, search documents and events.

use std::collections::BTreeMap;

use sea_orm::{
    ActiveModelTrait,
    ActiveValue::{Set, Unchanged},
    EntityTrait, IdenStatic, IntoActiveModel, Iterable, PrimaryKeyToColumn, QueryFilter,
};

use super::diff::{ChangedChildRows, NormalizedTag, ProductChange};
use crate::{
    base::{Result, text},
    catalog::{
        entity::{product, product_description, product_image, product_option, product_tag, variant, variant_option},
        events::{ProductPublished, ProductsChanged},
        loader::{self, ProductDescription, ProductImage},
        projection::VariantColumns,
        queries::search_index::store_search_documents,
        search,
    },
    infra::{Tx, eq_any},
};

/// A row to write, and the row before the change; `None` for a new one.
type RowChange<'a, M> = (&'a M, Option<&'a M>);

/// Writes all changes.
pub(super) async fn write_changes(tx: &Tx, changes: &mut [ProductChange]) -> Result<()> {
    assign_ids(tx, changes).await?;
    let changed = changes.iter().filter(|change| change.is_changed());
    let mut products: Vec<_> = changed.map(|change| (&change.product, change.before.as_ref())).collect();
    // In id order, the lock order of all writers, to prevent deadlocks.
    products.sort_unstable_by_key(|(product, _)| product.id);
    let unchanged_columns = [product::Column::CreatedAt, product::Column::RankedAt, product::Column::UnitsSold];
    write_rows::<product::Entity>(tx, &products, &unchanged_columns).await?;
    let variants: Vec<_> = changes.iter().flat_map(ProductChange::changed_variants).collect();
    release_option_keys(tx, &variants).await?;
    write_rows::<variant::Entity>(tx, &variants, &[variant::Column::ProductId, variant::Column::CreatedAt]).await?;
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
    let to_row = |(row, _): &RowChange<'_, variant::Model>| variant::ActiveModel {
        id: Unchanged(row.id),
        options_normalized: Set(format!("\u{1f}\u{1f}{}", row.id)),
        ..Default::default()
    };
    tx.update_rows(&changed.iter().filter(has_new_options).map(to_row).collect::<Vec<_>>()).await
}

/// Updates existing rows, except their fixed columns, and inserts new ones. Existing ones first: a new one may take a unique
/// value from them.
///
/// Changed rows are updated, not upserted: on PostgreSQL an upsert that sets a unique column takes a row lock that
/// conflicts with foreign-key checks, even if the value is unchanged, and would block concurrent orders.
async fn write_rows<E>(tx: &Tx, rows: &[RowChange<'_, E::Model>], fixed_columns: &[E::Column]) -> Result<()>
where
    E: EntityTrait,
    E::Model: IntoActiveModel<E::ActiveModel>,
    E::ActiveModel: ActiveModelTrait<Entity = E>,
{
    let is_one_of =
        |column: E::Column, columns: &[E::Column]| columns.iter().any(|other| other.as_str() == column.as_str());
    let key_columns: Vec<E::Column> = E::PrimaryKey::iter().map(PrimaryKeyToColumn::into_column).collect();
    let to_changes = |row: &E::Model| {
        let mut changes = row.clone().into_active_model();
        for column in E::Column::iter().filter(|column| !is_one_of(*column, &key_columns)) {
            if is_one_of(column, fixed_columns) { changes.not_set(column) } else { changes.reset(column) }
        }
        changes
    };
    let (existing, new): (Vec<_>, Vec<_>) = rows.iter().partition(|(_, before)| before.is_some());
    tx.update_rows(&existing.into_iter().map(|(row, _)| to_changes(row)).collect::<Vec<_>>()).await?;
    let to_new_row = |row: &E::Model| row.clone().into_active_model().reset_all();
    tx.insert_rows(&new.into_iter().map(|(row, _)| to_new_row(row)).collect::<Vec<_>>()).await
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
            A::Entity::delete_many().filter(eq_any(tx, owner, self.owner_ids)).exec(tx).await?;
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
        if let Some(ProductDescription { html, text, seo_title, seo_description }) = description.clone() {
            let row = product_description::Model { product_id: id, html, text, seo_title, seo_description };
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
    let rows = renamed.flat_map(|change| {
        let names = (0..).zip(&change.variants.option_names);
        names.map(|(position, name)| variant_option::ActiveModel {
            product_id: Unchanged(change.product.id),
            position: Unchanged(position),
            name: Set(name.clone()),
            name_normalized: Set(text::normalize_text(name)),
            ..Default::default()
        })
    });
    tx.update_rows(&rows.collect::<Vec<_>>()).await
}

/// Rebuilds the search documents of products from stored data.
pub(super) async fn index_products(tx: &Tx, product_ids: &[i64]) -> Result<()> {
    let mut documents: BTreeMap<i64, search::SearchDocument> = BTreeMap::new();
    let rows =
        product::Entity::find().filter(eq_any(tx, product::Column::Id, product_ids.iter().copied())).all(tx).await?;
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
    store_search_documents(tx, &documents).await
}
