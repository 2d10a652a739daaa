//! Order of categories among their siblings, and moving a category with its subtree.

use sea_orm::{
    ActiveValue::{Set, Unchanged},
    ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Select,
    sea_query::Expr,
};
use serde_json::json;

use super::{CategoriesChanged, MAX_CATEGORY_DEPTH};
use crate::{
    base::{Error, GlobalId, Result, Validator, error::PublicErrorCode, global_id::NodeType, validation::InputScope},
    catalog::{category_tree, entity::category, queries},
    infra::{AuditRecord, Tx},
};

/// Returns a category that is not deleted, or `NotFound`.
pub(super) async fn find_active_category(tx: &Tx, category_id: i64, path: &str) -> Result<category::Model> {
    let row = category::Entity::find_by_id(category_id).filter(category::Column::DeletedAt.is_null()).one(tx).await?;
    row.ok_or_else(|| Error::not_found(path, "category"))
}

/// Returns the path and depth of a parent; those of the root level if there is none.
pub(super) async fn load_parent_path(tx: &Tx, parent_id: Option<i64>, path: &str) -> Result<(String, usize)> {
    let Some(id) = parent_id else { return Ok(("/".into(), 0)) };
    let row = find_active_category(tx, id, path).await?;
    let level = count_path_depth(&row.path);
    Ok((row.path, level))
}

/// Returns the number of categories in a path.
pub(super) fn count_path_depth(path: &str) -> usize {
    path.matches('/').count().saturating_sub(1)
}

/// Selects the active children of a category, or the roots.
pub(super) fn select_children(parent_id: Option<i64>) -> Select<category::Entity> {
    let parent_condition = match parent_id {
        Some(id) => category::Column::ParentId.eq(id),
        None => category::Column::ParentId.is_null(),
    };
    category::Entity::find().filter(parent_condition).filter(category::Column::DeletedAt.is_null())
}

/// Returns the ids of siblings in order.
pub(super) async fn load_sibling_ids(tx: &Tx, parent_id: Option<i64>) -> Result<Vec<i64>> {
    let rows = select_children(parent_id)
        .order_by_asc(category::Column::Position)
        .order_by_asc(category::Column::Id)
        .select_only()
        .column(category::Column::Id);
    Ok(rows.into_tuple().all(tx).await?)
}

/// Inserts a category at a position among its siblings, or at the end.
pub(super) fn insert_sibling(siblings: &mut Vec<i64>, category_id: i64, position: Option<i32>) {
    let index = position.and_then(|position| usize::try_from(position).ok());
    siblings.insert(index.unwrap_or(siblings.len()).min(siblings.len()), category_id);
}

/// Rejects negative positions.
pub(super) fn validate_position(position: Option<i32>, field: &str, scope: &mut InputScope<'_>) {
    if position.is_some_and(|position| position < 0) {
        scope.reject(field, "a position is 0 or more");
    }
}

/// Returns whether another active child of a parent has a name.
pub(super) async fn sibling_name_exists(
    tx: &Tx,
    parent_id: Option<i64>,
    name_normalized: &str,
    excluded_id: i64,
) -> Result<bool> {
    let duplicate = select_children(parent_id)
        .filter(category::Column::NameNormalized.eq(name_normalized))
        .filter(category::Column::Id.ne(excluded_id))
        .select_only()
        .column(category::Column::Id);
    Ok(duplicate.into_tuple::<i64>().one(tx).await?.is_some())
}

/// Renumbers siblings by their order, writing only changed positions. Statements: 1.
pub(super) async fn renumber_siblings(tx: &Tx, sibling_lists: &[&[i64]]) -> Result<()> {
    let rows = sibling_lists.iter().flat_map(|sibling_ids| {
        (0..).zip(*sibling_ids).map(|(position, category_id)| category::ActiveModel {
            id: Unchanged(*category_id),
            position: Set(position),
            ..Default::default()
        })
    });
    queries::categories::update_positions(tx, &rows.collect::<Vec<_>>()).await
}

/// Moves a category with its subtree to a position among the children of another category or among the roots.
///
/// # Errors
/// Returns `NotFound` if a category does not exist, `BadUserInput` if the position is negative, the move would create a
/// cycle or the tree would become too deep, and `AlreadyExists` if a sibling has its name.
pub async fn move_category(tx: &Tx, category_id: i64, parent_id: Option<i64>, position: Option<i32>) -> Result<()> {
    category_tree::lock_category_tree(tx).await?;
    let row = find_active_category(tx, category_id, "id").await?;
    let (parent_path, parent_depth) = load_parent_path(tx, parent_id, "parentId").await?;
    let mut validator = Validator::default();
    let mut scope = validator.at("");
    validate_position(position, "position", &mut scope);
    if parent_path.starts_with(&row.path) {
        scope.reject("parentId", format!("`{}` cannot lie in itself or in what lies in it", row.name));
    } else if row.parent_id != parent_id {
        let subtree_depth = load_max_subtree_depth(tx, &row.path).await? - count_path_depth(&row.path);
        if parent_depth + 1 + subtree_depth > MAX_CATEGORY_DEPTH {
            scope.reject("parentId", format!("a category is at most {MAX_CATEGORY_DEPTH} levels deep"));
        }
        if sibling_name_exists(tx, parent_id, &row.name_normalized, category_id).await? {
            let message = format!("there is a category `{}` there already", row.name);
            scope.reject_as(PublicErrorCode::AlreadyExists, "parentId", message);
        }
    }
    validator.finish()?;

    let mut sibling_ids = load_sibling_ids(tx, parent_id).await?;
    sibling_ids.retain(|sibling_id| *sibling_id != category_id);
    insert_sibling(&mut sibling_ids, category_id, position);
    let mut former_sibling_ids = Vec::new();
    if row.parent_id != parent_id {
        former_sibling_ids = load_sibling_ids(tx, row.parent_id).await?;
        former_sibling_ids.retain(|sibling_id| *sibling_id != category_id);
        reparent_subtree(tx, &row, parent_id, &parent_path).await?;
    }
    let new_position = sibling_ids.iter().position(|sibling_id| *sibling_id == category_id);
    if row.parent_id == parent_id && new_position == usize::try_from(row.position).ok() {
        return Ok(());
    }
    renumber_siblings(tx, &[&sibling_ids, &former_sibling_ids]).await?;
    category_tree::bump_tree_version(tx).await?;
    tx.emit_event(CategoriesChanged { changed: vec![category_id], ..CategoriesChanged::default() }).await?;
    let encode_id =
        |parent_id: Option<i64>| parent_id.map(|category_id| GlobalId::new(NodeType::Category, category_id).encode());
    let change = AuditRecord {
        action: "category.move",
        entity: (NodeType::Category, category_id),
        before: Some(json!({ "parent": encode_id(row.parent_id), "position": row.position })),
        after: Some(json!({ "parent": encode_id(parent_id), "position": new_position })),
    };
    tx.record_audit(&[change]).await
}

/// Sets the parent of a category and updates the paths of its subtree.
async fn reparent_subtree(tx: &Tx, row: &category::Model, parent_id: Option<i64>, parent_path: &str) -> Result<()> {
    category::Entity::update_many()
        .col_expr(category::Column::ParentId, Expr::value(parent_id))
        .col_expr(category::Column::Version, Expr::value(row.version + 1))
        .col_expr(category::Column::UpdatedAt, Expr::value(tx.now()))
        .filter(category::Column::Id.eq(row.id))
        .exec(tx)
        .await?;
    queries::categories::move_subtree_path(tx, &row.path, &format!("{parent_path}{}/", row.id)).await
}

/// Returns the depth of the deepest category of a subtree.
async fn load_max_subtree_depth(tx: &Tx, path: &str) -> Result<usize> {
    let deepest_path = queries::categories::load_deepest_path(tx, path).await?;
    Ok(count_path_depth(&deepest_path.unwrap_or_default()))
}
