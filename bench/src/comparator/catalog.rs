//! The questions: a statement each, and its rows turned into the answer.

use std::collections::HashMap;

use sqlx::{PgPool, Row, postgres::PgRow};

use super::answer::{self, Branch, Categories, Category, Nodes, One, Product, Products, Variant};

const LISTING: &str = "\
    SELECT p.id, p.name, p.sku, p.price, c.id, c.name, c.slug \
    FROM product AS p JOIN category AS c ON c.id = p.category_id \
    WHERE p.status = 'active' AND p.deleted_at IS NULL \
    ORDER BY p.featured DESC, p.created_at DESC, p.id DESC LIMIT 24";

const LISTING_VARIANTS: &str = "\
    SELECT p.id, p.name, p.sku, p.price, c.id, c.name, c.slug, v.id, v.sku, v.price \
    FROM (SELECT * FROM product AS p WHERE p.status = 'active' AND p.deleted_at IS NULL \
          ORDER BY p.featured DESC, p.created_at DESC, p.id DESC LIMIT 24) AS p \
    JOIN category AS c ON c.id = p.category_id \
    LEFT JOIN LATERAL (SELECT v.id, v.sku, v.price, v.position FROM variant AS v \
          WHERE v.product_id = p.id AND v.deleted_at IS NULL ORDER BY v.position, v.id LIMIT 3) AS v ON true \
    ORDER BY p.featured DESC, p.created_at DESC, p.id DESC, v.position, v.id";

/// `IS TRUE` keeps PostgreSQL from making a join of the condition. It then walks along the order's index until it has a
/// page, with the categories in a hash table; with a join it reads and sorts all that is in the category, which took
/// ten times as long.
const CATEGORY: &str = "\
    SELECT p.id, p.name, p.sku, p.price, c.id, c.name, c.slug \
    FROM product AS p JOIN category AS c ON c.id = p.category_id \
    WHERE p.status = 'active' AND p.deleted_at IS NULL \
    AND (p.category_id IN (SELECT below.id FROM category AS root \
          JOIN category AS below ON starts_with(below.path, root.path) \
          WHERE root.id = $1 AND root.deleted_at IS NULL AND below.deleted_at IS NULL)) IS TRUE \
    ORDER BY p.featured DESC, p.created_at DESC, p.id DESC LIMIT 24";

const PRODUCT: &str = "\
    SELECT p.id, p.name, p.sku, p.price, c.id, c.name, c.slug, a.id, a.name, a.slug \
    FROM product AS p JOIN category AS c ON c.id = p.category_id \
    LEFT JOIN category AS a ON a.id = ANY (string_to_array(trim(both '/' FROM c.path), '/')::bigint[]) AND a.id <> c.id \
    WHERE p.slug = $1 AND p.status = 'active' AND p.deleted_at IS NULL ORDER BY length(a.path)";

const TREE: &str = "\
    SELECT c.id, c.parent_id, c.name, c.slug, coalesce(t.products, 0) \
    FROM category AS c LEFT JOIN category_tally AS t ON t.category_id = c.id \
    WHERE c.deleted_at IS NULL ORDER BY c.position, c.id";

const SEARCH: &str = "\
    SELECT p.id, p.name, p.sku, p.price, c.id, c.name, c.slug \
    FROM (SELECT p.*, CASE \
              WHEN p.name_key = $1 OR p.id IN (SELECT v.product_id FROM variant AS v WHERE lower(v.sku) = $1) THEN 4 \
              WHEN starts_with(p.name_key, $1) THEN 3 WHEN s.name @@ $2::text::tsquery THEN 2 ELSE 1 END AS score \
          FROM product_search AS s JOIN product AS p ON p.id = s.product_id \
          WHERE s.document @@ $2::text::tsquery AND p.status = 'active' AND p.deleted_at IS NULL \
          ORDER BY score DESC, p.id DESC LIMIT 24) AS p \
    JOIN category AS c ON c.id = p.category_id ORDER BY p.score DESC, p.id DESC";

/// The first page of the shop.
pub async fn listing(pool: &PgPool) -> sqlx::Result<Vec<u8>> {
    page(&sqlx::query(LISTING).fetch_all(pool).await?)
}

/// The same with the first variants of each product.
pub async fn listing_variants(pool: &PgPool) -> sqlx::Result<Vec<u8>> {
    let rows = sqlx::query(LISTING_VARIANTS).fetch_all(pool).await?;
    let mut nodes = Vec::with_capacity(24);
    for same in rows.chunk_by(|a, b| a.try_get::<i64, _>(0).ok() == b.try_get(0).ok()) {
        let mut variants = Vec::with_capacity(same.len());
        for row in same {
            if let Some(key) = row.try_get(7)? {
                let price = answer::price(row.try_get(9)?);
                variants.push(Variant { id: answer::id("ProductVariant", key), sku: row.try_get(8)?, price });
            }
        }
        nodes.push(Product { variants: Some(variants), ..read(&same[0])? });
    }
    answer::write(Products { products: Nodes { nodes } })
}

/// The first page of a category and everything below it.
pub async fn category(pool: &PgPool, key: i64) -> sqlx::Result<Vec<u8>> {
    page(&sqlx::query(CATEGORY).bind(key).fetch_all(pool).await?)
}

/// One product with the way to it.
pub async fn product(pool: &PgPool, slug: &str) -> sqlx::Result<Vec<u8>> {
    let rows = sqlx::query(PRODUCT).bind(slug).fetch_all(pool).await?;
    let mut product = rows.first().map(read).transpose()?;
    if let Some(product) = &mut product {
        let mut ancestors = Vec::with_capacity(rows.len());
        for row in &rows {
            if let Some(key) = row.try_get(7)? {
                ancestors.push(place(key, row, 8)?);
            }
        }
        product.category.ancestors = Some(ancestors);
    }
    answer::write(One { product })
}

/// The first products that fit what was typed.
pub async fn search(pool: &PgPool, typed: &str) -> sqlx::Result<Vec<u8>> {
    let key = typed.to_lowercase();
    let words: Vec<String> = key
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(|word| format!("'{word}':*"))
        .collect();
    page(&sqlx::query(SEARCH).bind(&*key).bind(words.join(" & ")).fetch_all(pool).await?)
}

fn page(rows: &[PgRow]) -> sqlx::Result<Vec<u8>> {
    let nodes = rows.iter().map(read).collect::<sqlx::Result<_>>()?;
    answer::write(Products { products: Nodes { nodes } })
}

/// A product and its category, which all statements but the tree's begin with.
fn read(row: &PgRow) -> sqlx::Result<Product<'_>> {
    Ok(Product {
        id: answer::id("Product", row.try_get(0)?),
        name: row.try_get(1)?,
        sku: row.try_get(2)?,
        price: answer::price(row.try_get(3)?),
        category: place(row.try_get(4)?, row, 5)?,
        variants: None,
    })
}

/// A category whose name and slug are in the column `at` and the one after.
fn place(key: i64, row: &PgRow, at: usize) -> sqlx::Result<Category<'_>> {
    let (name, slug) = (row.try_get(at)?, row.try_get(at + 1)?);
    Ok(Category { id: answer::id("Category", key), name, slug, ancestors: None })
}

/// A category on its way into the tree.
struct Leaf<'a> {
    key: i64,
    parent: Option<i64>,
    name: &'a str,
    slug: &'a str,
}

/// Three levels of the tree, each category with the products in and below it.
pub async fn tree(pool: &PgPool) -> sqlx::Result<Vec<u8>> {
    let rows = sqlx::query(TREE).fetch_all(pool).await?;
    let mut children: HashMap<Option<i64>, Vec<Leaf<'_>>> = HashMap::with_capacity(rows.len());
    let mut counts: HashMap<i64, (Option<i64>, i64)> = HashMap::with_capacity(rows.len());
    let mut own = Vec::with_capacity(rows.len());
    for row in &rows {
        let (key, parent, products): (i64, Option<i64>, i64) = (row.try_get(0)?, row.try_get(1)?, row.try_get(4)?);
        counts.insert(key, (parent, 0));
        own.push((key, products));
        let leaf = Leaf { key, parent, name: row.try_get(2)?, slug: row.try_get(3)? };
        children.entry(leaf.parent).or_default().push(leaf);
    }
    // What a category has itself counts for everything above it too.
    for (key, products) in own {
        let mut above = Some(key);
        while let Some((parent, count)) = above.and_then(|key| counts.get_mut(&key)) {
            *count += products;
            above = *parent;
        }
    }
    answer::write(Categories { categories: grow(&children, &counts, None, 3) })
}

fn grow<'a>(
    children: &HashMap<Option<i64>, Vec<Leaf<'a>>>,
    counts: &HashMap<i64, (Option<i64>, i64)>,
    parent: Option<i64>,
    levels: usize,
) -> Vec<Branch<'a>> {
    let branch = |leaf: &Leaf<'a>| Branch {
        id: answer::id("Category", leaf.key),
        name: leaf.name,
        slug: leaf.slug,
        product_count: counts.get(&leaf.key).map_or(0, |(_, count)| *count),
        children: (levels > 1).then(|| grow(children, counts, Some(leaf.key), levels - 1)),
    };
    children.get(&parent).map(|leaves| leaves.iter().map(branch).collect()).unwrap_or_default()
}
