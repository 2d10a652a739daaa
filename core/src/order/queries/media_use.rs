//! Which pictures of the shop are on the lines of orders.
//!
//! As text, because the condition of the partial index must be a part of the statement.

use sea_orm::{ConnectionTrait, FromQueryResult};

use crate::{
    base::Result,
    infra::{SqlBuilder, sql_builder::query_rows},
};

/// A picture on a line.
#[derive(Debug, FromQueryResult)]
struct LineImage {
    image: String,
}

/// Returns those of the URLs of pictures that order lines have. Statements: 1.
pub async fn find_line_images(db: &impl ConnectionTrait, urls: &[String]) -> Result<Vec<String>> {
    let mut sql = SqlBuilder::new(db.get_database_backend());
    sql.push("SELECT DISTINCT image FROM order_line WHERE image LIKE '/media/%' AND ");
    sql.eq_any_text("image", urls.iter().map(String::as_str));
    let rows: Vec<LineImage> = query_rows(db, sql).await?;
    Ok(rows.into_iter().map(|row| row.image).collect())
}
