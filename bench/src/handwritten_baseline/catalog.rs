//! Catalog queries: one statement each, whose rows are converted to the response.

use std::collections::HashMap;

use sqlx::{PgPool, Row, postgres::PgRow};

use super::response::{
    self, CategoriesData, Category, CategoryBranch, Product, ProductData, ProductNodes, ProductsData, Variant,
};

const LISTING_SQL: &str = "\
    SELECT p.id, p.name, p.sku, p.price, c.id, c.name, c.slug \
    FROM product AS p JOIN category AS c ON c.id = p.category_id \
    WHERE p.status = 'active' AND p.deleted_at IS NULL \
    ORDER BY p.featured DESC, p.created_at DESC, p.id DESC LIMIT 24";

const LISTING_VARIANTS_SQL: &str = "\
    SELECT p.id, p.name, p.sku, p.price, c.id, c.name, c.slug, v.id, v.sku, v.price \
    FROM (SELECT * FROM product AS p WHERE p.status = 'active' AND p.deleted_at IS NULL \
          ORDER BY p.featured DESC, p.created_at DESC, p.id DESC LIMIT 24) AS p \
    JOIN category AS c ON c.id = p.category_id \
    LEFT JOIN LATERAL (SELECT v.id, v.sku, v.price, v.position FROM variant AS v \
          WHERE v.product_id = p.id AND v.deleted_at IS NULL ORDER BY v.position, v.id LIMIT 3) AS v ON true \
    ORDER BY p.featured DESC, p.created_at DESC, p.id DESC, v.position, v.id";

/// `IS TRUE` prevents the planner from converting the condition to a join. PostgreSQL then scans the index of the sort
/// order until the page is full, with the categories in a hash table; with a join it reads and sorts all products of
/// the category, which took ten times as long.
const CATEGORY_SQL: &str = "\
    SELECT p.id, p.name, p.sku, p.price, c.id, c.name, c.slug \
    FROM product AS p JOIN category AS c ON c.id = p.category_id \
    WHERE p.status = 'active' AND p.deleted_at IS NULL \
    AND (p.category_id IN (SELECT below.id FROM category AS root \
          JOIN category AS below ON starts_with(below.path, root.path) \
          WHERE root.id = $1 AND root.deleted_at IS NULL AND below.deleted_at IS NULL)) IS TRUE \
    ORDER BY p.featured DESC, p.created_at DESC, p.id DESC LIMIT 24";

const PRODUCT_SQL: &str = "\
    SELECT p.id, p.name, p.sku, p.price, c.id, c.name, c.slug, a.id, a.name, a.slug \
    FROM product AS p JOIN category AS c ON c.id = p.category_id \
    LEFT JOIN category AS a ON a.id = ANY (string_to_array(trim(both '/' FROM c.path), '/')::bigint[]) AND a.id <> c.id \
    WHERE p.slug = $1 AND p.status = 'active' AND p.deleted_at IS NULL ORDER BY length(a.path)";

const TREE_SQL: &str = "\
    SELECT c.id, c.parent_id, c.name, c.slug, coalesce(t.product_count, 0) \
    FROM category AS c LEFT JOIN category_product_count AS t ON t.category_id = c.id \
    WHERE c.deleted_at IS NULL ORDER BY c.position, c.id";

const SEARCH_SQL: &str = "\
    SELECT p.id, p.name, p.sku, p.price, c.id, c.name, c.slug \
    FROM (SELECT p.*, CASE \
              WHEN p.name_normalized = $1 OR p.id IN (SELECT v.product_id FROM variant AS v WHERE lower(v.sku) = $1) \
              THEN 4 \
              WHEN starts_with(p.name_normalized, $1) THEN 3 WHEN s.name @@ $2::text::tsquery THEN 2 ELSE 1 END AS \
              score \
          FROM product_search AS s JOIN product AS p ON p.id = s.product_id \
          WHERE s.document @@ $2::text::tsquery AND p.status = 'active' AND p.deleted_at IS NULL \
          ORDER BY score DESC, p.id DESC LIMIT 24) AS p \
    JOIN category AS c ON c.id = p.category_id ORDER BY p.score DESC, p.id DESC";

/// Loads the first page of all products.
pub async fn load_listing(pool: &PgPool) -> sqlx::Result<Vec<u8>> {
    serialize_product_page(&sqlx::query(LISTING_SQL).fetch_all(pool).await?)
}

/// Loads the first page with the first variants of each product.
pub async fn load_listing_with_variants(pool: &PgPool) -> sqlx::Result<Vec<u8>> {
    let rows = sqlx::query(LISTING_VARIANTS_SQL).fetch_all(pool).await?;
    let mut nodes = Vec::with_capacity(24);
    for product_rows in rows.chunk_by(|a, b| a.try_get::<i64, _>(0).ok() == b.try_get(0).ok()) {
        let mut variants = Vec::with_capacity(product_rows.len());
        for row in product_rows {
            if let Some(key) = row.try_get(7)? {
                let price = response::format_price(row.try_get(9)?);
                variants.push(Variant {
                    id: response::encode_global_id("ProductVariant", key),
                    sku: row.try_get(8)?,
                    price,
                });
            }
        }
        nodes.push(Product { variants: Some(variants), ..product_from_row(&product_rows[0])? });
    }
    response::serialize_response(ProductsData { products: ProductNodes { nodes } })
}

/// Loads the first page of a category with its descendants.
pub async fn load_category_page(pool: &PgPool, key: i64) -> sqlx::Result<Vec<u8>> {
    serialize_product_page(&sqlx::query(CATEGORY_SQL).bind(key).fetch_all(pool).await?)
}

/// Loads one product with its category ancestors.
pub async fn load_product(pool: &PgPool, slug: &str) -> sqlx::Result<Vec<u8>> {
    let rows = sqlx::query(PRODUCT_SQL).bind(slug).fetch_all(pool).await?;
    let mut product = rows.first().map(product_from_row).transpose()?;
    if let Some(product) = &mut product {
        let mut ancestors = Vec::with_capacity(rows.len());
        for row in &rows {
            if let Some(key) = row.try_get(7)? {
                ancestors.push(category_from_columns(key, row, 8)?);
            }
        }
        product.category.ancestors = Some(ancestors);
    }
    response::serialize_response(ProductData { product })
}

/// Searches products and returns the first page.
pub async fn search_products(pool: &PgPool, input: &str) -> sqlx::Result<Vec<u8>> {
    let key = input.to_lowercase();
    let words: Vec<String> = key
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(|word| format!("'{word}':*"))
        .collect();
    serialize_product_page(&sqlx::query(SEARCH_SQL).bind(&*key).bind(words.join(" & ")).fetch_all(pool).await?)
}

fn serialize_product_page(rows: &[PgRow]) -> sqlx::Result<Vec<u8>> {
    let nodes = rows.iter().map(product_from_row).collect::<sqlx::Result<_>>()?;
    response::serialize_response(ProductsData { products: ProductNodes { nodes } })
}

/// Reads a product and its category, the first columns of all statements except the tree's.
fn product_from_row(row: &PgRow) -> sqlx::Result<Product<'_>> {
    Ok(Product {
        id: response::encode_global_id("Product", row.try_get(0)?),
        name: row.try_get(1)?,
        sku: row.try_get(2)?,
        price: response::format_price(row.try_get(3)?),
        category: category_from_columns(row.try_get(4)?, row, 5)?,
        variants: None,
    })
}

/// Reads a category whose name and slug are in `column` and the next one.
fn category_from_columns(key: i64, row: &PgRow, column: usize) -> sqlx::Result<Category<'_>> {
    let (name, slug) = (row.try_get(column)?, row.try_get(column + 1)?);
    Ok(Category { id: response::encode_global_id("Category", key), name, slug, ancestors: None })
}

/// A category row of the tree query.
struct CategoryRow<'a> {
    key: i64,
    parent: Option<i64>,
    name: &'a str,
    slug: &'a str,
}

/// Loads three levels of the category tree, each category with the product count of its subtree.
pub async fn load_category_tree(pool: &PgPool) -> sqlx::Result<Vec<u8>> {
    let rows = sqlx::query(TREE_SQL).fetch_all(pool).await?;
    let mut children: HashMap<Option<i64>, Vec<CategoryRow<'_>>> = HashMap::with_capacity(rows.len());
    let mut counts: HashMap<i64, (Option<i64>, i64)> = HashMap::with_capacity(rows.len());
    let mut own_counts = Vec::with_capacity(rows.len());
    for row in &rows {
        let (key, parent, products): (i64, Option<i64>, i64) = (row.try_get(0)?, row.try_get(1)?, row.try_get(4)?);
        counts.insert(key, (parent, 0));
        own_counts.push((key, products));
        let category = CategoryRow { key, parent, name: row.try_get(2)?, slug: row.try_get(3)? };
        children.entry(category.parent).or_default().push(category);
    }
    // The products of a category count for its ancestors too.
    for (key, products) in own_counts {
        let mut ancestor = Some(key);
        while let Some((parent, count)) = ancestor.and_then(|key| counts.get_mut(&key)) {
            *count += products;
            ancestor = *parent;
        }
    }
    response::serialize_response(CategoriesData { categories: build_branches(&children, &counts, None, 3) })
}

fn build_branches<'a>(
    children: &HashMap<Option<i64>, Vec<CategoryRow<'a>>>,
    counts: &HashMap<i64, (Option<i64>, i64)>,
    parent: Option<i64>,
    levels: usize,
) -> Vec<CategoryBranch<'a>> {
    let branch = |category: &CategoryRow<'a>| CategoryBranch {
        id: response::encode_global_id("Category", category.key),
        name: category.name,
        slug: category.slug,
        product_count: counts.get(&category.key).map_or(0, |(_, count)| *count),
        children: (levels > 1).then(|| build_branches(children, counts, Some(category.key), levels - 1)),
    };
    children.get(&parent).map(|categories| categories.iter().map(branch).collect()).unwrap_or_default()
}
