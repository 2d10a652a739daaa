//! Which pictures of the shop are used in the catalog.
//!
//! As text, because the conditions of the partial indexes must be parts of the statement.

use std::collections::HashSet;

use sea_orm::{ConnectionTrait, FromQueryResult};

use crate::{
    base::Result,
    infra::{SqlBuilder, sql_builder::query_rows},
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
