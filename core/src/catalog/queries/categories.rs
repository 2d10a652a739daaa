//! Statements on the category tree as text: many rows, each with a value of its own or computed from its path.

use sea_orm::ConnectionTrait;

use crate::{base::Result, catalog::entity::category, infra::Tx};

/// Sets the positions of categories that differ and increments their versions. Statements: 1, none without rows.
///
/// As text, because the version is computed from the stored one.
pub(in crate::catalog) async fn update_positions(tx: &Tx, rows: &[category::ActiveModel]) -> Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    let mut sql = tx.sql();
    sql.with_models(rows).push("UPDATE category SET position = given.position, version = version + 1, updated_at = ");
    sql.bind(tx.now()).push(" FROM given WHERE category.id = given.id AND category.position <> given.position");
    tx.execute_raw(sql.into_statement()).await?;
    Ok(())
}

/// Replaces the beginning of the paths of a subtree. Statements: 1.
///
/// As text, because the path is computed from the stored one.
pub(in crate::catalog) async fn move_subtree_path(tx: &Tx, old_path: &str, new_path: &str) -> Result<()> {
    let mut sql = tx.sql();
    // Paths consist of digits and slashes, which need no escaping in LIKE.
    sql.push("UPDATE category SET path = ").bind(new_path).push(" || substr(path, ");
    sql.bind(i32::try_from(old_path.len() + 1).unwrap_or(i32::MAX)).push(") WHERE path LIKE ");
    sql.bind(format!("{old_path}%"));
    tx.execute_raw(sql.into_statement()).await?;
    Ok(())
}

/// Returns the path of the deepest category of a subtree. Statements: 1.
///
/// As text, because it is ordered by an expression.
pub(in crate::catalog) async fn load_deepest_path(tx: &Tx, path: &str) -> Result<Option<String>> {
    let mut sql = tx.sql();
    sql.push("SELECT path FROM category WHERE path LIKE ").bind(format!("{path}%"));
    sql.push(" ORDER BY length(path) - length(replace(path, '/', '')) DESC LIMIT 1");
    let row = tx.query_one_raw(sql.into_statement()).await?;
    Ok(row.map(|row| row.try_get("", "path")).transpose()?)
}
