//! Child rows of products: descriptions, images, tags and options. They are compared first, so that importing unchanged
//! data writes nothing.

use sea_orm::ConnectionTrait;
use serde_json::{Value, json};

use super::{
    loader,
    match_existing::{ChangedChildRows, ProductChange},
    persist::WriteBatch,
    product_input::ProductInput,
    sanitize,
};
use crate::{
    base::{Result, text},
    infra::Tx,
};

/// Marks which child rows of each product differ from the existing ones. Statements: 3.
pub(super) async fn compare_child_rows(tx: &Tx, batch: &mut WriteBatch<'_>) -> Result<()> {
    let existing_ids: Vec<i64> =
        batch.iter().filter(|(_, change)| !change.is_new).map(|(_, change)| change.product.id).collect();
    let (descriptions, tags, images) = if existing_ids.is_empty() {
        Default::default()
    } else {
        (
            loader::load_descriptions(tx, &existing_ids).await?,
            loader::load_tags(tx, &existing_ids).await?,
            loader::load_images(tx, &existing_ids).await?,
        )
    };
    for (input, change) in batch {
        let key = change.product.id;
        let existing_html =
            descriptions.get(&key).and_then(|texts| texts.first()).map_or("", |texts| texts.html.as_str());
        // Stored HTML was sanitized when it was written.
        let provided = input.description_html.as_deref().map(str::trim).filter(|html| *html != existing_html);
        let mut existing_tags: Vec<String> =
            tags.get(&key).into_iter().flatten().map(|tag| text::normalize_text(tag)).collect();
        existing_tags.sort();
        let existing_images = images.get(&key).map(Vec::as_slice).unwrap_or_default();
        let provided_images = || input.images.iter().map(|image| (image.url.as_str(), image.alt.as_deref()));
        let child_rows = ChangedChildRows {
            description: provided.map(sanitize::sanitize_html).filter(|html| html != existing_html),
            tags: input.tags.as_ref().is_some_and(|provided| {
                let mut provided_keys = normalize_tags(provided).map(|(key, _)| key).collect::<Vec<_>>();
                provided_keys.sort();
                provided_keys != existing_tags
            }),
            // An empty list leaves the images unchanged in an import; an edit that clears them sets the flag.
            images: (change.child_rows.images || !input.images.is_empty())
                && !provided_images()
                    .eq(existing_images.iter().map(|image| (image.url.as_str(), image.alt.as_deref()))),
            options: change.child_rows.options,
        };
        change.child_diffs = diff_child_rows(input, &child_rows, (existing_html, tags.get(&key), existing_images));
        change.set_child_rows(child_rows, tx.now());
    }
    Ok(())
}

/// Returns the previous and new values of child rows that differ, for the audit log.
fn diff_child_rows(
    input: &ProductInput,
    child_rows: &ChangedChildRows,
    (html, tags, images): (&str, Option<&Vec<String>>, &[loader::ProductImage]),
) -> Vec<(&'static str, Value, Value)> {
    let mut diffs = Vec::new();
    if let Some(provided_html) = &child_rows.description {
        diffs.push(("descriptionHtml", json!(html), json!(provided_html)));
    }
    if child_rows.tags {
        diffs.push(("tags", json!(tags.map(Vec::as_slice).unwrap_or_default()), json!(input.tags)));
    }
    if child_rows.images {
        let urls = |images: Vec<&str>| json!(images);
        let before = urls(images.iter().map(|image| image.url.as_str()).collect());
        diffs.push(("images", before, urls(input.images.iter().map(|image| image.url.as_str()).collect())));
    }
    diffs
}

/// Returns the tags with their normalized keys, without duplicates.
fn normalize_tags(tags: &[String]) -> impl Iterator<Item = (String, &str)> {
    let mut seen = std::collections::HashSet::new();
    tags.iter()
        .map(|tag| (text::normalize_text(tag), tag.trim()))
        .filter(move |(key, _)| !key.is_empty() && seen.insert(key.clone()))
}

/// Writes the child rows that differ. Statements: 10 at most, for any number of products.
pub(super) async fn replace_child_rows(tx: &Tx, batch: &WriteBatch<'_>) -> Result<()> {
    let changed = |is_changed: fn(&ChangedChildRows) -> bool| {
        batch.iter().filter(move |(_, change)| is_changed(&change.child_rows))
    };
    let described: Vec<Value> = batch
        .iter()
        .filter_map(|(_, change)| {
            let html = change.child_rows.description.as_deref()?;
            Some(json!([change.product.id, html, sanitize::convert_html_to_text(html)]))
        })
        .collect();
    let columns = [("product_id", "bigint"), ("html", "text"), ("text", "text")];
    replace_rows(
        tx,
        "product_description",
        "product_id",
        collect_existing_product_ids(changed(|child_rows| child_rows.description.is_some())),
        &columns,
        described,
    )
    .await?;

    let tags: Vec<Value> = changed(|child_rows| child_rows.tags)
        .flat_map(|(input, change)| {
            normalize_tags(input.tags.as_deref().unwrap_or_default())
                .map(|(tag_normalized, tag)| json!([change.product.id, tag_normalized, tag]))
        })
        .collect();
    let columns = [("product_id", "bigint"), ("tag_normalized", "text"), ("tag", "text")];
    replace_rows(
        tx,
        "product_tag",
        "product_id",
        collect_existing_product_ids(changed(|child_rows| child_rows.tags)),
        &columns,
        tags,
    )
    .await?;

    let images: Vec<Value> = changed(|child_rows| child_rows.images)
        .flat_map(|(input, change)| {
            let numbered = input.images.iter().enumerate();
            numbered.map(|(position, image)| json!([change.product.id, position, image.url, image.alt]))
        })
        .collect();
    let columns = [("product_id", "bigint"), ("position", "int"), ("url", "text"), ("alt", "text")];
    replace_rows(
        tx,
        "product_image",
        "product_id",
        collect_existing_product_ids(changed(|child_rows| child_rows.images)),
        &columns,
        images,
    )
    .await?;
    replace_options(tx, batch).await
}

fn collect_existing_product_ids<'a>(changes: impl Iterator<Item = &'a (&'a ProductInput, ProductChange)>) -> Vec<i64> {
    // A new product has no rows to replace.
    changes.filter(|(_, change)| !change.is_new).map(|(_, change)| change.product.id).collect()
}

/// Replaces the options of products whose options differ, and the option values of variants where they differ.
async fn replace_options(tx: &Tx, batch: &WriteBatch<'_>) -> Result<()> {
    let (mut product_ids, mut names, mut variant_ids, mut variant_options) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for (input, change) in batch {
        let product_id = change.product.id;
        if change.child_rows.options {
            product_ids.extend((!change.is_new).then_some(product_id));
            names.extend(change.options.iter().enumerate().map(|(position, name)| json!([product_id, position, name])));
        }
        for provided in change.provided.iter().filter(|provided| change.has_new_options(provided.row_index)) {
            let variant_id = change.variants[provided.row_index].id;
            variant_ids.extend((!change.is_new).then_some(variant_id));
            let values = change.options.iter().zip(&input.variants[provided.input_index].options).enumerate();
            variant_options.extend(values.map(|(position, (name, value))| {
                json!([
                    variant_id,
                    position,
                    product_id,
                    name,
                    text::normalize_text(name),
                    value,
                    text::normalize_text(value)
                ])
            }));
        }
    }
    let columns = [("product_id", "bigint"), ("position", "int"), ("name", "text")];
    replace_rows(tx, "product_option", "product_id", product_ids, &columns, names).await?;
    rename_variant_options(tx, batch).await?;
    let columns = [
        ("variant_id", "bigint"),
        ("position", "int"),
        ("product_id", "bigint"),
        ("name", "text"),
        ("name_normalized", "text"),
        ("value", "text"),
        ("value_normalized", "text"),
    ];
    replace_rows(tx, "variant_option", "variant_id", variant_ids, &columns, variant_options).await
}

/// Renames the options in the option values of existing products. Statements: 1.
async fn rename_variant_options(tx: &Tx, batch: &WriteBatch<'_>) -> Result<()> {
    let changed = batch.iter().map(|(_, change)| change).filter(|change| change.child_rows.options && !change.is_new);
    let rows: Vec<Value> = changed
        .flat_map(|change| {
            let names = change.options.iter().enumerate();
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

/// Replaces the rows of the given owners.
async fn replace_rows(
    tx: &Tx,
    table: &str,
    owner_column: &str,
    owner_ids: Vec<i64>,
    columns: &[(&str, &str)],
    rows: Vec<Value>,
) -> Result<()> {
    if !owner_ids.is_empty() {
        let mut sql = tx.sql();
        sql.push("DELETE FROM ").push(table).push(" WHERE ").eq_any(owner_column, owner_ids);
        tx.execute_raw(sql.into_statement()).await?;
    }
    if !rows.is_empty() {
        let mut sql = tx.sql();
        sql.insert_rows(table, columns, rows);
        tx.execute_raw(sql.into_statement()).await?;
    }
    Ok(())
}
