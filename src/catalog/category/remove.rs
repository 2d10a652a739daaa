//! Taking a category out of the tree, and putting it back.

use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, PaginatorTrait, QueryFilter, sea_query::Expr};
use serde_json::json;

use super::{
    CategoriesChanged,
    place::{above, children, has_name, living, renumber, siblings},
};
use crate::{
    base::{Error, GlobalId, Result, error::Code, id::Kind},
    catalog::{
        entity::{category, product},
        save::ProductsChanged,
        tree,
    },
    infra::{Change, Tx},
};

/// Takes out a category that nothing lies in. Its products go to another, if one is said.
///
/// # Errors
/// When something lies in it, or the database refuses.
pub async fn delete(tx: &Tx, key: i64, products_to: Option<i64>) -> Result<()> {
    tree::lock(tx).await?;
    let row = living(tx, key, "id").await?;
    let below = children(Some(key)).count(tx).await?;
    if below > 0 {
        let message = format!("{below} categories lie in `{}`: move or delete them first", row.name);
        return Err(Error::user(Code::IllegalTransition, "id", message));
    }
    if let Some(to) = products_to {
        if to == key {
            return Err(Error::bad_input("moveProductsTo", "the products cannot stay in what is deleted"));
        }
        living(tx, to, "moveProductsTo").await?;
        move_products(tx, key, to).await?;
    } else {
        let there = product::Entity::find()
            .filter(product::Column::CategoryId.eq(key))
            .filter(product::Column::DeletedAt.is_null());
        let there = there.count(tx).await?;
        if there > 0 {
            let message = format!("{there} products are in `{}`: say in `moveProductsTo` where they go", row.name);
            return Err(Error::user(Code::IllegalTransition, "id", message));
        }
    }
    set_deleted(tx, &row, true).await?;
    let order = siblings(tx, row.parent_id).await?;
    renumber(tx, &[&order]).await?;
    tx.emit(CategoriesChanged { gone: vec![key], ..CategoriesChanged::default() }).await
}

/// Puts a category back where it was, as the last of its siblings.
///
/// # Errors
/// When there is no place for it any more, or the database refuses.
pub async fn restore(tx: &Tx, key: i64) -> Result<()> {
    tree::lock(tx).await?;
    let Some(row) = category::Entity::find_by_id(key).one(tx).await? else {
        return Err(Error::not_found("id", "category"));
    };
    if row.deleted_at.is_none() {
        return Ok(());
    }
    match above(tx, row.parent_id, "id").await {
        Err(Error::User(_)) => {
            let message = "the category it lay in was deleted: restore that first";
            return Err(Error::user(Code::IllegalTransition, "id", message));
        }
        Err(fault) => return Err(fault),
        Ok(_) => {}
    }
    if has_name(tx, row.parent_id, &row.name_key, key).await? {
        let message = format!("there is another category `{}` in its place: rename or move that first", row.name);
        return Err(Error::user(Code::AlreadyExists, "id", message));
    }
    let mut order = siblings(tx, row.parent_id).await?;
    order.push(key);
    set_deleted(tx, &row, false).await?;
    renumber(tx, &[&order]).await?;
    tx.emit(CategoriesChanged { made: vec![key], ..CategoriesChanged::default() }).await
}

async fn set_deleted(tx: &Tx, row: &category::Model, gone: bool) -> Result<()> {
    let deleted_at = gone.then(|| tx.now());
    category::Entity::update_many()
        .col_expr(category::Column::DeletedAt, Expr::value(deleted_at))
        .col_expr(category::Column::Version, Expr::value(row.version + 1))
        .col_expr(category::Column::UpdatedAt, Expr::value(tx.now()))
        .filter(category::Column::Id.eq(row.id))
        .exec(tx)
        .await?;
    tree::raise(tx).await?;
    let change = Change {
        action: if gone { "category.delete" } else { "category.restore" },
        thing: (Kind::Category, row.id),
        before: Some(json!({ "deletedAt": row.deleted_at })),
        after: Some(json!({ "deletedAt": deleted_at })),
    };
    tx.record(&[change]).await
}

/// Puts all products of a category into another, those that were deleted too. Rows are taken in the order in which
/// everybody takes them.
async fn move_products(tx: &Tx, from: i64, to: i64) -> Result<()> {
    let mut sql = tx.sql();
    sql.push("SELECT id FROM product WHERE category_id = ").bind(from).push(" ORDER BY id");
    if sql.postgres() {
        sql.push(" FOR NO KEY UPDATE");
    }
    let rows = tx.query_all_raw(sql.statement()).await?;
    let keys: Vec<i64> = rows.iter().map(|row| row.try_get("", "id")).collect::<Result<_, _>>()?;
    if keys.is_empty() {
        return Ok(());
    }
    let mut sql = tx.sql();
    sql.push("UPDATE product SET version = version + 1, category_id = ").bind(to).push(", updated_at = ");
    sql.bind(tx.now()).push(" WHERE ").any("id", keys.iter().copied());
    tx.execute_raw(sql.statement()).await?;
    let id = |key| GlobalId::new(Kind::Category, key).encode();
    let change = |key: &i64| Change {
        action: "product.update",
        thing: (Kind::Product, *key),
        before: Some(json!({ "category": id(from) })),
        after: Some(json!({ "category": id(to) })),
    };
    tx.record(&keys.iter().map(change).collect::<Vec<_>>()).await?;
    tx.emit(ProductsChanged { products: keys }).await
}
