//! Bulk loaders of what belongs to products, variants or categories, by id. One statement each.

use std::{collections::HashMap, sync::Arc};

use sea_orm::{ConnectionTrait, FromQueryResult, QueryResult};

use super::{
    category_tree::CategoryTree,
    entity::{product, variant},
    product_filter::{PUBLISHED_CONDITION, ProductVisibility},
    projection::VariantColumns,
};
use crate::{base::Result, infra::SqlBuilder};

/// The description of a product.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProductDescription {
    /// Sanitized HTML.
    pub html: String,
    /// Plain text.
    pub text: String,
}

impl ProductDescription {
    /// Returns whether the description is not empty.
    #[must_use]
    pub fn has_text(&self) -> bool {
        !self.html.is_empty()
    }
}

/// An image of a product.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProductImage {
    /// URL of the image.
    pub url: String,
    /// Alternative text.
    pub alt: Option<String>,
}

/// An option value of a variant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VariantOption {
    /// Option name: `Size`.
    pub name: String,
    /// Option value: `M`.
    pub value: String,
}

/// An option of a product with the values of its variants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OptionValues {
    /// Option name: `Size`.
    pub name: String,
    /// Option values, in the order of the variants.
    pub values: Vec<String>,
}

/// A range of a category's products, for `Category.products`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct CategorySlice {
    /// The category.
    pub category_id: i64,
    /// Maximum number of products.
    pub limit: usize,
    /// Number of products to skip.
    pub offset: usize,
}

type GroupedRows<T> = HashMap<i64, Vec<T>>;

/// Runs `SELECT owner, … WHERE column IN (ids) …` and groups the rows by their first column.
async fn load_grouped<T>(
    db: &impl ConnectionTrait,
    (select, column, tail): (&str, &str, &str),
    ids: &[i64],
    parse_row: impl Fn(&QueryResult) -> Result<T>,
) -> Result<GroupedRows<T>> {
    let mut sql = SqlBuilder::new(db.get_database_backend());
    sql.push(select).push(" WHERE ").eq_any(column, ids.iter().copied()).push(tail);
    let mut groups: GroupedRows<T> = HashMap::with_capacity(ids.len());
    for row in db.query_all_raw(sql.into_statement()).await? {
        groups.entry(row.try_get_by(0)?).or_default().push(parse_row(&row)?);
    }
    Ok(groups)
}

/// Returns the active variants of products, in order, with the given columns.
pub async fn load_variants(
    db: &impl ConnectionTrait,
    product_ids: &[i64],
    columns: VariantColumns,
) -> Result<GroupedRows<Arc<variant::Model>>> {
    let select = format!("SELECT v.product_id AS owner, {} FROM variant AS v", columns.select_list("v"));
    let tail = " AND v.deleted_at IS NULL ORDER BY v.product_id, v.position, v.id";
    load_grouped(db, (&select, "v.product_id", tail), product_ids, |row| Ok(Arc::new(columns.read(row, 1)?))).await
}

/// Returns active variants by id, of products that the caller may see.
pub async fn load_visible_variants(
    db: &impl ConnectionTrait,
    variant_ids: &[i64],
    visibility: ProductVisibility,
) -> Result<GroupedRows<variant::Model>> {
    let select = "SELECT v.id AS owner, v.* FROM variant AS v JOIN product AS p ON p.id = v.product_id";
    let tail = format!(" AND v.deleted_at IS NULL AND {}", visibility.sql_condition());
    load_grouped(db, (select, "v.id", &tail), variant_ids, |row| Ok(variant::Model::from_query_result(row, "")?)).await
}

/// Returns products by id that the caller may see.
pub async fn load_visible_products(
    db: &impl ConnectionTrait,
    product_ids: &[i64],
    visibility: ProductVisibility,
) -> Result<GroupedRows<product::Model>> {
    let tail = format!(" AND {}", visibility.sql_condition());
    let select = "SELECT p.id AS owner, p.* FROM product AS p";
    load_grouped(db, (select, "p.id", &tail), product_ids, |row| Ok(product::Model::from_query_result(row, "")?)).await
}

/// Returns the descriptions of products.
pub async fn load_descriptions(
    db: &impl ConnectionTrait,
    product_ids: &[i64],
) -> Result<GroupedRows<ProductDescription>> {
    let select = "SELECT d.product_id AS owner, d.html, d.text FROM product_description AS d";
    let parse_row =
        |row: &QueryResult| Ok(ProductDescription { html: row.try_get("", "html")?, text: row.try_get("", "text")? });
    load_grouped(db, (select, "d.product_id", ""), product_ids, parse_row).await
}

/// Returns the images of products, in order.
pub async fn load_images(db: &impl ConnectionTrait, product_ids: &[i64]) -> Result<GroupedRows<ProductImage>> {
    let select = "SELECT i.product_id AS owner, i.url, i.alt FROM product_image AS i";
    let parse_row = |row: &QueryResult| Ok(ProductImage { url: row.try_get("", "url")?, alt: row.try_get("", "alt")? });
    load_grouped(db, (select, "i.product_id", " ORDER BY i.product_id, i.position"), product_ids, parse_row).await
}

/// Returns the tags of products, in alphabetical order.
pub async fn load_tags(db: &impl ConnectionTrait, product_ids: &[i64]) -> Result<GroupedRows<String>> {
    let select = "SELECT t.product_id AS owner, t.tag FROM product_tag AS t";
    let tail = " ORDER BY t.product_id, t.tag_normalized";
    load_grouped(db, (select, "t.product_id", tail), product_ids, |row| Ok(row.try_get("", "tag")?)).await
}

/// Returns the option values of variants.
pub async fn load_variant_options(
    db: &impl ConnectionTrait,
    variant_ids: &[i64],
) -> Result<GroupedRows<VariantOption>> {
    let select = "SELECT o.variant_id AS owner, o.name, o.value FROM variant_option AS o";
    let parse_row =
        |row: &QueryResult| Ok(VariantOption { name: row.try_get("", "name")?, value: row.try_get("", "value")? });
    load_grouped(db, (select, "o.variant_id", " ORDER BY o.variant_id, o.position"), variant_ids, parse_row).await
}

/// Returns the options of products with the values of their active variants.
pub async fn load_product_options(db: &impl ConnectionTrait, product_ids: &[i64]) -> Result<GroupedRows<OptionValues>> {
    let select = "SELECT o.product_id AS owner, o.name, o.value FROM variant_option AS o JOIN variant AS v ON v.id = o.variant_id";
    let tail = " AND v.deleted_at IS NULL ORDER BY o.product_id, o.position, v.position, v.id";
    let parse_row =
        |row: &QueryResult| Ok(VariantOption { name: row.try_get("", "name")?, value: row.try_get("", "value")? });
    let variant_options = load_grouped(db, (select, "o.product_id", tail), product_ids, parse_row).await?;
    let collect_values = |variant_options: Vec<VariantOption>| {
        let mut options: Vec<OptionValues> = Vec::new();
        for VariantOption { name, value } in variant_options {
            match options.iter_mut().find(|option| option.name == name) {
                Some(option) if option.values.contains(&value) => {}
                Some(option) => option.values.push(value),
                None => options.push(OptionValues { name, values: vec![value] }),
            }
        }
        options
    };
    Ok(variant_options.into_iter().map(|(owner, variant_options)| (owner, collect_values(variant_options))).collect())
}

/// Returns the option names of products, in order.
pub async fn load_option_names(db: &impl ConnectionTrait, product_ids: &[i64]) -> Result<GroupedRows<String>> {
    let select = "SELECT o.product_id AS owner, o.name FROM product_option AS o";
    let tail = " ORDER BY o.product_id, o.position";
    load_grouped(db, (select, "o.product_id", tail), product_ids, |row| Ok(row.try_get("", "name")?)).await
}

/// Returns the number of published products in the subtrees of categories. Statements: 1 for any number of categories.
pub async fn count_products_by_category(
    db: &impl ConnectionTrait,
    tree: &CategoryTree,
    category_ids: &[i64],
) -> Result<HashMap<i64, i64>> {
    let indexes: Vec<usize> = category_ids.iter().filter_map(|category_id| tree.find_index(*category_id)).collect();
    // Subtrees may overlap; beyond this point reading all counts is cheaper than reading its parts.
    let covered_nodes: usize = indexes.iter().map(|index| tree.node(*index).subtree_size).sum();
    let mut sql = SqlBuilder::new(db.get_database_backend());
    sql.push("SELECT category_id AS category, product_count AS many FROM category_product_count");
    if covered_nodes < tree.nodes().len() {
        let subtree_ids = indexes.iter().flat_map(|index| tree.subtree(*index)).map(|node| node.id);
        sql.push(" WHERE ").eq_any("category_id", subtree_ids);
    }
    let mut prefix_sums = vec![0_i64; tree.nodes().len() + 1];
    for row in db.query_all_raw(sql.into_statement()).await? {
        if let Some(index) = tree.find_index(row.try_get("", "category")?) {
            prefix_sums[index + 1] = row.try_get("", "many")?;
        }
    }
    for index in 0..tree.nodes().len() {
        prefix_sums[index + 1] += prefix_sums[index];
    }
    let count =
        |index: usize| (tree.node(index).id, prefix_sums[index + tree.node(index).subtree_size] - prefix_sums[index]);
    Ok(indexes.into_iter().map(count).collect())
}

/// Returns the first products of each category's subtree, best match first. Statements: 1 per distinct limit and
/// offset.
pub async fn load_category_slices(
    db: &impl ConnectionTrait,
    tree: &CategoryTree,
    slices: &[CategorySlice],
) -> Result<HashMap<CategorySlice, Vec<product::Model>>> {
    let mut ids_by_window: HashMap<(usize, usize), Vec<i64>> = HashMap::new();
    for CategorySlice { category_id, limit, offset } in slices {
        ids_by_window.entry((*limit, *offset)).or_default().push(*category_id);
    }
    let mut products_by_slice: HashMap<CategorySlice, Vec<product::Model>> = HashMap::new();
    for ((limit, offset), category_ids) in ids_by_window {
        let sql = build_slice_query(db, tree, (limit, offset), &category_ids);
        for row in db.query_all_raw(sql.into_statement()).await? {
            let slice_key = CategorySlice { category_id: row.try_get("", "owner")?, limit, offset };
            products_by_slice.entry(slice_key).or_default().push(product::Model::from_query_result(&row, "")?);
        }
    }
    Ok(products_by_slice)
}

fn build_slice_query(
    db: &impl ConnectionTrait,
    tree: &CategoryTree,
    (limit, offset): (usize, usize),
    category_ids: &[i64],
) -> SqlBuilder {
    let mut pairs: Vec<(i64, i64)> = Vec::new();
    for index in category_ids.iter().filter_map(|category_id| tree.find_index(*category_id)) {
        pairs.extend(tree.subtree(index).iter().map(|node| (tree.node(index).id, node.id)));
    }
    let to_i64 = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
    let mut sql = SqlBuilder::new(db.get_database_backend());
    sql.push("SELECT * FROM (SELECT p.*, m.owner, row_number() OVER (PARTITION BY m.owner ORDER BY p.featured DESC, p.created_at DESC, p.id DESC) AS place FROM ");
    if sql.is_postgres() {
        // The index of each category yields its first rows; only those are ranked.
        sql.push("unnest(")
            .bind_ints(pairs.iter().map(|pair| pair.0))
            .push(", ")
            .bind_ints(pairs.iter().map(|pair| pair.1));
        sql.push(") AS m (owner, category) CROSS JOIN LATERAL (SELECT p.* FROM product AS p WHERE p.category_id = m.category AND ");
        sql.push(PUBLISHED_CONDITION)
            .push(" ORDER BY p.featured DESC, p.created_at DESC, p.id DESC LIMIT ")
            .bind(to_i64(limit + offset));
        sql.push(") AS p");
    } else {
        let pairs: Vec<[i64; 2]> = pairs.iter().map(|(owner, category)| [*owner, *category]).collect();
        sql.push("(SELECT value ->> 0 AS owner, value ->> 1 AS category FROM json_each(")
            .bind(serde_json::json!(pairs).to_string());
        sql.push(")) AS m JOIN product AS p ON p.category_id = m.category AND ").push(PUBLISHED_CONDITION);
    }
    sql.push(") AS ranked WHERE place > ").bind(to_i64(offset)).push(" AND place <= ").bind(to_i64(offset + limit));
    sql.push(" ORDER BY owner, place");
    sql
}
