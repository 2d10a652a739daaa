//! Bulk loaders of what belongs to products, variants or categories, by id. One statement each.

use std::collections::HashMap;

use sea_orm::{ConnectionTrait, EntityTrait, QueryFilter, QueryOrder};

pub use super::queries::batch_loads::{
    load_category_slices, load_product_options, load_variants, load_visible_products, load_visible_variants,
};
use super::{
    category_tree::CategoryTree,
    entity::{category_product_count, product_description, product_image, product_option, product_tag, variant_option},
};
use crate::{
    base::Result,
    infra::{eq_any, sql_builder::group_by_owner},
};

/// The description of a product.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProductDescription {
    /// Sanitized HTML.
    pub html: String,
    /// Plain text.
    pub text: String,
    /// Title for search engines.
    pub seo_title: Option<String>,
    /// Description for search engines.
    pub seo_description: Option<String>,
}

impl ProductDescription {
    /// Returns whether the description is not empty.
    #[must_use]
    pub fn has_text(&self) -> bool {
        !self.html.is_empty()
    }
}

/// An image of a product.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProductImage {
    /// URL of the image.
    pub url: String,
    /// Alternative text.
    pub alt: Option<String>,
    /// In an input, the id of a picture of the shop, whose URL is stored instead of `url`; else `None`.
    pub media_id: Option<i64>,
}

/// An option value of a variant.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
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

/// Rows by the id of their owner.
pub(super) type GroupedRows<T> = HashMap<i64, Vec<T>>;

/// Groups the rows of a table by their owner and converts each.
fn group_rows<R, T>(rows: Vec<R>, owner_of: impl Fn(&R) -> i64, convert: impl Fn(R) -> T) -> GroupedRows<T> {
    let groups = group_by_owner(rows, owner_of).into_iter();
    groups.map(|(owner, rows)| (owner, rows.into_iter().map(&convert).collect())).collect()
}

/// Returns the descriptions of products.
pub async fn load_descriptions(
    db: &impl ConnectionTrait,
    product_ids: &[i64],
) -> Result<GroupedRows<ProductDescription>> {
    let of_products = eq_any(db, product_description::Column::ProductId, product_ids.iter().copied());
    let rows = product_description::Entity::find().filter(of_products).all(db).await?;
    Ok(group_rows(
        rows,
        |row| row.product_id,
        |row| ProductDescription {
            html: row.html,
            text: row.text,
            seo_title: row.seo_title,
            seo_description: row.seo_description,
        },
    ))
}

/// Returns the images of products, in order.
pub async fn load_images(db: &impl ConnectionTrait, product_ids: &[i64]) -> Result<GroupedRows<ProductImage>> {
    let query = product_image::Entity::find()
        .filter(eq_any(db, product_image::Column::ProductId, product_ids.iter().copied()))
        .order_by_asc(product_image::Column::ProductId)
        .order_by_asc(product_image::Column::Position);
    let rows = query.all(db).await?;
    Ok(group_rows(rows, |row| row.product_id, |row| ProductImage { url: row.url, alt: row.alt, media_id: None }))
}

/// Returns the tags of products, in alphabetical order.
pub async fn load_tags(db: &impl ConnectionTrait, product_ids: &[i64]) -> Result<GroupedRows<String>> {
    let query = product_tag::Entity::find()
        .filter(eq_any(db, product_tag::Column::ProductId, product_ids.iter().copied()))
        .order_by_asc(product_tag::Column::ProductId)
        .order_by_asc(product_tag::Column::TagNormalized);
    Ok(group_rows(query.all(db).await?, |row| row.product_id, |row| row.tag))
}

/// Returns the option values of variants.
pub async fn load_variant_options(
    db: &impl ConnectionTrait,
    variant_ids: &[i64],
) -> Result<GroupedRows<VariantOption>> {
    let query = variant_option::Entity::find()
        .filter(eq_any(db, variant_option::Column::VariantId, variant_ids.iter().copied()))
        .order_by_asc(variant_option::Column::VariantId)
        .order_by_asc(variant_option::Column::Position);
    let rows = query.all(db).await?;
    Ok(group_rows(rows, |row| row.variant_id, |row| VariantOption { name: row.name, value: row.value }))
}

/// Returns the option names of products, in order.
pub async fn load_option_names(db: &impl ConnectionTrait, product_ids: &[i64]) -> Result<GroupedRows<String>> {
    let query = product_option::Entity::find()
        .filter(eq_any(db, product_option::Column::ProductId, product_ids.iter().copied()))
        .order_by_asc(product_option::Column::ProductId)
        .order_by_asc(product_option::Column::Position);
    Ok(group_rows(query.all(db).await?, |row| row.product_id, |row| row.name))
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
    let mut query = category_product_count::Entity::find();
    if covered_nodes < tree.nodes().len() {
        let subtree_ids = indexes.iter().flat_map(|index| tree.subtree(*index)).map(|node| node.id);
        query = query.filter(eq_any(db, category_product_count::Column::CategoryId, subtree_ids));
    }
    let mut prefix_sums = vec![0_i64; tree.nodes().len() + 1];
    for row in query.all(db).await? {
        if let Some(index) = tree.find_index(row.category_id) {
            prefix_sums[index + 1] = row.product_count;
        }
    }
    for index in 0..tree.nodes().len() {
        prefix_sums[index + 1] += prefix_sums[index];
    }
    let count =
        |index: usize| (tree.node(index).id, prefix_sums[index + tree.node(index).subtree_size] - prefix_sums[index]);
    Ok(indexes.into_iter().map(count).collect())
}
