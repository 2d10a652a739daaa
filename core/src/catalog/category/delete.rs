//! Deletion and restoration of categories.

use sea_orm::{
    ColumnTrait, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect,
    sea_query::{Expr, ExprTrait, LockType},
};
use serde_json::json;

use super::{
    CategoriesChanged,
    ordering::{
        find_active_category, load_parent_path, load_sibling_ids, renumber_siblings, select_children,
        sibling_name_exists,
    },
};
use crate::{
    base::{Error, GlobalId, Result, error::PublicErrorCode, global_id::NodeType},
    catalog::{
        category_tree,
        entity::{category, product},
        events::ProductsChanged,
    },
    infra::{AuditRecord, Tx, eq_any},
};

/// Deletes a category without children; its products move to `target_category_id`, if given.
///
/// # Errors
/// Returns `NotFound` if a category does not exist, `BadUserInput` if the target is the category itself, and
/// `IllegalTransition` if it has children, or products and no target is given.
pub async fn delete_category(tx: &Tx, category_id: i64, target_category_id: Option<i64>) -> Result<()> {
    category_tree::lock_category_tree(tx).await?;
    let row = find_active_category(tx, category_id, "id").await?;
    let child_count = select_children(Some(category_id)).count(tx).await?;
    if child_count > 0 {
        let message = format!("{child_count} categories lie in `{}`: move or delete them first", row.name);
        return Err(Error::user(PublicErrorCode::IllegalTransition, "id", message));
    }
    if let Some(target_id) = target_category_id {
        if target_id == category_id {
            return Err(Error::bad_input("moveProductsTo", "the products cannot stay in what is deleted"));
        }
        find_active_category(tx, target_id, "moveProductsTo").await?;
        move_products(tx, category_id, target_id).await?;
    } else {
        let product_count = product::Entity::find()
            .filter(product::Column::CategoryId.eq(category_id))
            .filter(product::Column::DeletedAt.is_null());
        let product_count = product_count.count(tx).await?;
        if product_count > 0 {
            let message =
                format!("{product_count} products are in `{}`: say in `moveProductsTo` where they go", row.name);
            return Err(Error::user(PublicErrorCode::IllegalTransition, "id", message));
        }
    }
    set_deleted(tx, &row, true).await?;
    let sibling_ids = load_sibling_ids(tx, row.parent_id).await?;
    renumber_siblings(tx, &[&sibling_ids]).await?;
    tx.emit_event(CategoriesChanged { gone: vec![category_id], ..CategoriesChanged::default() }).await
}

/// Restores a deleted category as the last of its siblings.
///
/// # Errors
/// Returns `NotFound` if it does not exist, `IllegalTransition` if its parent is deleted, and `AlreadyExists` if a
/// sibling has its name.
pub async fn restore_category(tx: &Tx, category_id: i64) -> Result<()> {
    category_tree::lock_category_tree(tx).await?;
    let Some(row) = category::Entity::find_by_id(category_id).one(tx).await? else {
        return Err(Error::not_found("id", "category"));
    };
    if row.deleted_at.is_none() {
        return Ok(());
    }
    match load_parent_path(tx, row.parent_id, "id").await {
        Err(Error::User(_)) => {
            let message = "the category it lay in was deleted: restore that first";
            return Err(Error::user(PublicErrorCode::IllegalTransition, "id", message));
        }
        Err(error) => return Err(error),
        Ok(_) => {}
    }
    if sibling_name_exists(tx, row.parent_id, &row.name_normalized, category_id).await? {
        let message = format!("there is another category `{}` in its place: rename or move that first", row.name);
        return Err(Error::user(PublicErrorCode::AlreadyExists, "id", message));
    }
    let mut sibling_ids = load_sibling_ids(tx, row.parent_id).await?;
    sibling_ids.push(category_id);
    set_deleted(tx, &row, false).await?;
    renumber_siblings(tx, &[&sibling_ids]).await?;
    tx.emit_event(CategoriesChanged { made: vec![category_id], ..CategoriesChanged::default() }).await
}

async fn set_deleted(tx: &Tx, row: &category::Model, is_deleted: bool) -> Result<()> {
    let deleted_at = is_deleted.then(|| tx.now());
    category::Entity::update_many()
        .col_expr(category::Column::DeletedAt, Expr::value(deleted_at))
        .col_expr(category::Column::Version, Expr::value(row.version + 1))
        .col_expr(category::Column::UpdatedAt, Expr::value(tx.now()))
        .filter(category::Column::Id.eq(row.id))
        .exec(tx)
        .await?;
    category_tree::bump_tree_version(tx).await?;
    let change = AuditRecord {
        action: if is_deleted { "category.delete" } else { "category.restore" },
        entity: (NodeType::Category, row.id),
        before: Some(json!({ "deletedAt": row.deleted_at })),
        after: Some(json!({ "deletedAt": deleted_at })),
    };
    tx.record_audit(&[change]).await
}

/// Moves all products of a category to another, including deleted ones. Locks the rows in id order to prevent
/// deadlocks.
async fn move_products(tx: &Tx, source_category_id: i64, target_category_id: i64) -> Result<()> {
    let query = product::Entity::find()
        .select_only()
        .column(product::Column::Id)
        .filter(product::Column::CategoryId.eq(source_category_id))
        .order_by_asc(product::Column::Id)
        .lock(LockType::NoKeyUpdate);
    let product_ids: Vec<i64> = query.into_tuple().all(tx).await?;
    if product_ids.is_empty() {
        return Ok(());
    }
    product::Entity::update_many()
        .col_expr(product::Column::CategoryId, Expr::value(target_category_id))
        .col_expr(product::Column::Version, Expr::col(product::Column::Version).add(1))
        .col_expr(product::Column::UpdatedAt, Expr::value(tx.now()))
        .filter(eq_any(tx, product::Column::Id, product_ids.iter().copied()))
        .exec(tx)
        .await?;
    let encode_id = |entity_id| GlobalId::new(NodeType::Category, entity_id).encode();
    let change = |entity_id: &i64| AuditRecord {
        action: "product.update",
        entity: (NodeType::Product, *entity_id),
        before: Some(json!({ "category": encode_id(source_category_id) })),
        after: Some(json!({ "category": encode_id(target_category_id) })),
    };
    tx.record_audit(&product_ids.iter().map(change).collect::<Vec<_>>()).await?;
    tx.emit_event(ProductsChanged { products: product_ids }).await
}
