//! Which pictures are used in the catalog: those of the shop, and those at other addresses.
//!
//! As text, because the conditions of the partial indexes must be parts of the statement.

use std::collections::HashSet;

use sea_orm::{ConnectionTrait, FromQueryResult};

use crate::{
    base::Result,
    infra::{SqlBuilder, Tx, sql_builder::query_rows},
};

/// A URL that is used.
#[derive(Debug, FromQueryResult)]
struct UsedUrl {
    url: String,
}

/// Columns with URLs of images: table and column.
const IMAGE_COLUMNS: [(&str, &str); 3] = [("product_image", "url"), ("variant", "image"), ("category", "image")];

/// Returns those of the URLs of pictures that products, variants or categories use, deleted ones too, because they can be
/// restored. Statements: 1.
pub async fn find_used_urls(db: &impl ConnectionTrait, urls: &[String]) -> Result<HashSet<String>> {
    let mut sql = SqlBuilder::new(db.get_database_backend());
    for (index, (table, column)) in IMAGE_COLUMNS.into_iter().enumerate() {
        let union = if index == 0 { "" } else { " UNION " };
        sql.push(&format!("{union}SELECT {column} AS url FROM {table} WHERE {column} LIKE '/media/%' AND "));
        sql.eq_any_text(column, urls.iter().map(String::as_str));
    }
    let rows: Vec<UsedUrl> = query_rows(db, sql).await?;
    Ok(rows.into_iter().map(|row| row.url).collect())
}

/// Returns the URLs of images at other addresses, in their order, after one. Statements: 1.
pub async fn find_remote_urls(db: &impl ConnectionTrait, after: &str, limit: u64) -> Result<Vec<String>> {
    let mut sql = SqlBuilder::new(db.get_database_backend());
    for (index, (table, column)) in IMAGE_COLUMNS.into_iter().enumerate() {
        let union = if index == 0 { "" } else { " UNION " };
        sql.push(&format!("{union}SELECT {column} AS url FROM {table} WHERE {column} LIKE 'http%' AND {column} > "));
        sql.bind(after);
    }
    sql.push(" ORDER BY url LIMIT ").bind(i64::try_from(limit).unwrap_or(i64::MAX));
    let rows: Vec<UsedUrl> = query_rows(db, sql).await?;
    Ok(rows.into_iter().map(|row| row.url).collect())
}

/// What shows an image at another address.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RemoteImageUse {
    /// Ids of products that show it, or whose variants do, ascending.
    pub products: Vec<i64>,
    /// Ids of categories, ascending.
    pub categories: Vec<i64>,
}

/// An id, and whether it is one of a category.
#[derive(Debug, FromQueryResult)]
struct UserOfImage {
    id: i64,
    is_category: bool,
}

/// Returns what shows the image at a URL. Statements: 1.
pub async fn find_remote_image_use(db: &impl ConnectionTrait, url: &str) -> Result<RemoteImageUse> {
    let mut sql = SqlBuilder::new(db.get_database_backend());
    sql.push("SELECT product_id AS id, false AS is_category FROM product_image WHERE url LIKE 'http%' AND url = ");
    sql.bind(url);
    sql.push(" UNION SELECT product_id, false FROM variant WHERE image LIKE 'http%' AND image = ").bind(url);
    sql.push(" UNION SELECT id, true FROM category WHERE image LIKE 'http%' AND image = ").bind(url);
    sql.push(" ORDER BY 1");
    let (mut found, rows) = (RemoteImageUse::default(), query_rows::<UserOfImage>(db, sql).await?);
    for UserOfImage { id, is_category } in rows {
        let ids = if is_category { &mut found.categories } else { &mut found.products };
        ids.push(id);
    }
    Ok(found)
}

/// Replaces the URL of an image at another address. The transaction has locked what shows it. Statements: 3.
pub async fn replace_remote_url(tx: &Tx, from: &str, to: &str) -> Result<()> {
    for (table, column) in IMAGE_COLUMNS {
        let mut sql = tx.sql();
        sql.push(&format!("UPDATE {table} SET {column} = ")).bind(to);
        if table != "product_image" {
            sql.push(", version = version + 1, updated_at = ").bind(tx.now());
        }
        sql.push(&format!(" WHERE {column} LIKE 'http%' AND {column} = ")).bind(from);
        tx.execute_raw(sql.into_statement()).await?;
    }
    Ok(())
}
