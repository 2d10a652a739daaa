//! The lists that hang on a product: texts, pictures, tags, options. Compared first, so that an import of what is there
//! already writes nothing.

use sea_orm::ConnectionTrait;
use serde_json::{Value, json};

use super::{
    draft::ProductDraft,
    html, loader,
    merge::{Merged, Parts},
    save::Batch,
};
use crate::{
    base::{Result, text},
    infra::Tx,
};

/// Marks which parts of each product differ from what is there. Three statements.
pub(super) async fn compare(tx: &Tx, all: &mut Batch<'_>) -> Result<()> {
    let there: Vec<i64> =
        all.iter().filter(|(_, merged)| !merged.is_new).map(|(_, merged)| merged.product.id).collect();
    let (descriptions, tags, images) = if there.is_empty() {
        Default::default()
    } else {
        (loader::descriptions(tx, &there).await?, loader::tags(tx, &there).await?, loader::images(tx, &there).await?)
    };
    for (draft, merged) in all {
        let key = merged.product.id;
        let known = descriptions.get(&key).and_then(|texts| texts.first()).map_or("", |texts| texts.html.as_str());
        // What is there was made harmless when it came.
        let said = draft.description_html.as_deref().map(str::trim).filter(|html| *html != known);
        let mut known_tags: Vec<String> = tags.get(&key).into_iter().flatten().map(|tag| text::key(tag)).collect();
        known_tags.sort();
        let known_images = images.get(&key).map(Vec::as_slice).unwrap_or_default();
        let said_images = || draft.images.iter().map(|image| (image.url.as_str(), image.alt.as_deref()));
        let parts = Parts {
            description: said.map(html::sanitise).filter(|html| html != known),
            tags: draft.tags.as_ref().is_some_and(|said| {
                let mut keys = tag_keys(said).map(|(key, _)| key).collect::<Vec<_>>();
                keys.sort();
                keys != known_tags
            }),
            // An empty list of an import says nothing; whoever clears the pictures marks them.
            images: (merged.parts.images || !draft.images.is_empty())
                && !said_images().eq(known_images.iter().map(|image| (image.url.as_str(), image.alt.as_deref()))),
            options: merged.parts.options,
        };
        merged.told = told(draft, &parts, (known, tags.get(&key), known_images));
        merged.differs(parts, tx.now());
    }
    Ok(())
}

/// What the parts that differ were and what they are, for the audit log.
fn told(
    draft: &ProductDraft,
    parts: &Parts,
    (html, tags, images): (&str, Option<&Vec<String>>, &[loader::Image]),
) -> Vec<(&'static str, Value, Value)> {
    let mut told = Vec::new();
    if let Some(said) = &parts.description {
        told.push(("descriptionHtml", json!(html), json!(said)));
    }
    if parts.tags {
        told.push(("tags", json!(tags.map(Vec::as_slice).unwrap_or_default()), json!(draft.tags)));
    }
    if parts.images {
        let urls = |images: Vec<&str>| json!(images);
        let before = urls(images.iter().map(|image| image.url.as_str()).collect());
        told.push(("images", before, urls(draft.images.iter().map(|image| image.url.as_str()).collect())));
    }
    told
}

/// The tags by key, each once.
fn tag_keys(tags: &[String]) -> impl Iterator<Item = (String, &str)> {
    let mut seen = std::collections::HashSet::new();
    tags.iter()
        .map(|tag| (text::key(tag), tag.trim()))
        .filter(move |(key, _)| !key.is_empty() && seen.insert(key.clone()))
}

/// Writes the parts that differ. At most ten statements, however many products.
pub(super) async fn replace(tx: &Tx, all: &Batch<'_>) -> Result<()> {
    let some = |wanted: fn(&Parts) -> bool| all.iter().filter(move |(_, merged)| wanted(&merged.parts));
    let described: Vec<Value> = all
        .iter()
        .filter_map(|(_, merged)| {
            let html = merged.parts.description.as_deref()?;
            Some(json!([merged.product.id, html, html::plain(html)]))
        })
        .collect();
    let columns = [("product_id", "bigint"), ("html", "text"), ("text", "text")];
    renew(
        tx,
        "product_description",
        "product_id",
        keys(some(|parts| parts.description.is_some())),
        &columns,
        described,
    )
    .await?;

    let tags: Vec<Value> = some(|parts| parts.tags)
        .flat_map(|(draft, merged)| {
            tag_keys(draft.tags.as_deref().unwrap_or_default()).map(|(key, tag)| json!([merged.product.id, key, tag]))
        })
        .collect();
    let columns = [("product_id", "bigint"), ("tag_key", "text"), ("tag", "text")];
    renew(tx, "product_tag", "product_id", keys(some(|parts| parts.tags)), &columns, tags).await?;

    let images: Vec<Value> = some(|parts| parts.images)
        .flat_map(|(draft, merged)| {
            let numbered = draft.images.iter().enumerate();
            numbered.map(|(number, image)| json!([merged.product.id, number, image.url, image.alt]))
        })
        .collect();
    let columns = [("product_id", "bigint"), ("position", "int"), ("url", "text"), ("alt", "text")];
    renew(tx, "product_image", "product_id", keys(some(|parts| parts.images)), &columns, images).await?;
    options(tx, all).await
}

fn keys<'a>(some: impl Iterator<Item = &'a (&'a ProductDraft, Merged)>) -> Vec<i64> {
    // Of a new product there is nothing to be replaced.
    some.filter(|(_, merged)| !merged.is_new).map(|(_, merged)| merged.product.id).collect()
}

/// The options of the products that have others now, and what each variant that is chosen anew is chosen by.
async fn options(tx: &Tx, all: &Batch<'_>) -> Result<()> {
    let (mut products, mut names, mut variants, mut choices) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for (draft, merged) in all {
        let product = merged.product.id;
        if merged.parts.options {
            products.extend((!merged.is_new).then_some(product));
            names.extend(merged.options.iter().enumerate().map(|(number, name)| json!([product, number, name])));
        }
        for said in merged.said.iter().filter(|said| merged.chosen_anew(said.place)) {
            let variant = merged.variants[said.place].id;
            variants.extend((!merged.is_new).then_some(variant));
            let values = merged.options.iter().zip(&draft.variants[said.number].options).enumerate();
            choices.extend(values.map(|(number, (name, value))| {
                json!([variant, number, product, name, text::key(name), value, text::key(value)])
            }));
        }
    }
    let columns = [("product_id", "bigint"), ("position", "int"), ("name", "text")];
    renew(tx, "product_option", "product_id", products, &columns, names).await?;
    rename(tx, all).await?;
    let columns = [
        ("variant_id", "bigint"),
        ("position", "int"),
        ("product_id", "bigint"),
        ("name", "text"),
        ("name_key", "text"),
        ("value", "text"),
        ("value_key", "text"),
    ];
    renew(tx, "variant_option", "variant_id", variants, &columns, choices).await
}

/// Calls the options of products that were there by their new names. One statement.
async fn rename(tx: &Tx, all: &Batch<'_>) -> Result<()> {
    let renamed = all.iter().map(|(_, merged)| merged).filter(|merged| merged.parts.options && !merged.is_new);
    let rows: Vec<Value> = renamed
        .flat_map(|merged| {
            let names = merged.options.iter().enumerate();
            names.map(|(number, name)| json!([merged.product.id, number, name, text::key(name)]))
        })
        .collect();
    if rows.is_empty() {
        return Ok(());
    }
    let columns = [("product_id", "bigint"), ("position", "int"), ("name", "text"), ("name_key", "text")];
    let mut sql = tx.sql();
    sql.with(&columns, rows).push(
        "UPDATE variant_option SET name = given.name, name_key = given.name_key FROM given \
         WHERE variant_option.product_id = given.product_id AND variant_option.position = given.position",
    );
    tx.execute_raw(sql.statement()).await?;
    Ok(())
}

/// Writes rows, in place of those that their owners had.
async fn renew(
    tx: &Tx,
    table: &str,
    owner: &str,
    owners: Vec<i64>,
    columns: &[(&str, &str)],
    rows: Vec<Value>,
) -> Result<()> {
    if !owners.is_empty() {
        let mut sql = tx.sql();
        sql.push("DELETE FROM ").push(table).push(" WHERE ").any(owner, owners);
        tx.execute_raw(sql.statement()).await?;
    }
    if !rows.is_empty() {
        let mut sql = tx.sql();
        sql.insert(table, columns, rows);
        tx.execute_raw(sql.statement()).await?;
    }
    Ok(())
}
