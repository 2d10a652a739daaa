//! Where categories lie: their places among their siblings, and moving one with all that lies in it.

use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Select, sea_query::Expr,
};
use serde_json::json;

use super::{CategoriesChanged, DEPTH_LIMIT};
use crate::{
    base::{Error, GlobalId, Result, error::Code, id::Kind},
    catalog::{entity::category, tree, wrong::Wrong},
    infra::{Change, Tx},
};

/// A category that is there.
pub(super) async fn living(tx: &Tx, key: i64, path: &str) -> Result<category::Model> {
    let found = category::Entity::find_by_id(key).filter(category::Column::DeletedAt.is_null()).one(tx).await?;
    found.ok_or_else(|| Error::not_found(path, "category"))
}

/// Where the children of a category begin, and how deep it lies; of the roots, where no parent is said.
pub(super) async fn above(tx: &Tx, parent: Option<i64>, path: &str) -> Result<(String, usize)> {
    let Some(key) = parent else { return Ok(("/".into(), 0)) };
    let row = living(tx, key, path).await?;
    let level = depth(&row.path);
    Ok((row.path, level))
}

/// How many categories a path names.
pub(super) fn depth(path: &str) -> usize {
    path.matches('/').count().saturating_sub(1)
}

/// The living children of a category, or the roots.
pub(super) fn children(parent: Option<i64>) -> Select<category::Entity> {
    let of = match parent {
        Some(key) => category::Column::ParentId.eq(key),
        None => category::Column::ParentId.is_null(),
    };
    category::Entity::find().filter(of).filter(category::Column::DeletedAt.is_null())
}

/// Siblings in their order.
pub(super) async fn siblings(tx: &Tx, parent: Option<i64>) -> Result<Vec<i64>> {
    let rows = children(parent)
        .order_by_asc(category::Column::Position)
        .order_by_asc(category::Column::Id)
        .select_only()
        .column(category::Column::Id);
    Ok(rows.into_tuple().all(tx).await?)
}

/// Puts a category at its place among its siblings; at the end where nothing is said.
pub(super) fn insert(siblings: &mut Vec<i64>, key: i64, position: Option<i32>) {
    let wanted = position.and_then(|position| usize::try_from(position).ok());
    siblings.insert(wanted.unwrap_or(siblings.len()).min(siblings.len()), key);
}

/// No place is before the first.
pub(super) fn check_position(position: Option<i32>, path: &str, wrong: &mut Wrong) {
    if position.is_some_and(|position| position < 0) {
        wrong.input(path, "a position is 0 or more");
    }
}

/// Whether another living child of a parent has a name.
pub(super) async fn has_name(tx: &Tx, parent: Option<i64>, name_key: &str, but: i64) -> Result<bool> {
    let twin = children(parent)
        .filter(category::Column::NameKey.eq(name_key))
        .filter(category::Column::Id.ne(but))
        .select_only()
        .column(category::Column::Id);
    Ok(twin.into_tuple::<i64>().one(tx).await?.is_some())
}

/// Numbers siblings by their order. One statement, which touches only those whose place is another.
pub(super) async fn renumber(tx: &Tx, orders: &[&[i64]]) -> Result<()> {
    let places = orders.iter().flat_map(|order| order.iter().enumerate().map(|(place, key)| json!([key, place])));
    let rows: Vec<_> = places.collect();
    if rows.is_empty() {
        return Ok(());
    }
    let mut sql = tx.sql();
    sql.with(&[("id", "bigint"), ("place", "int")], rows)
        .push("UPDATE category SET position = given.place, version = version + 1, updated_at = ");
    sql.bind(tx.now()).push(" FROM given WHERE category.id = given.id AND category.position <> given.place");
    tx.execute_raw(sql.statement()).await?;
    Ok(())
}

/// Moves a category, with all that lies in it, to a place among the children of another or among the roots.
///
/// # Errors
/// When it cannot lie there, or the database refuses.
pub async fn shift(tx: &Tx, key: i64, parent: Option<i64>, position: Option<i32>) -> Result<()> {
    tree::lock(tx).await?;
    let row = living(tx, key, "id").await?;
    let (path, level) = above(tx, parent, "parentId").await?;
    let mut wrong = Wrong::default();
    check_position(position, "position", &mut wrong);
    if path.starts_with(&row.path) {
        wrong.input("parentId", format!("`{}` cannot lie in itself or in what lies in it", row.name));
    } else if row.parent_id != parent {
        let below = deepest(tx, &row.path).await? - depth(&row.path);
        if level + 1 + below > DEPTH_LIMIT {
            wrong.input("parentId", format!("a category is at most {DEPTH_LIMIT} levels deep"));
        }
        if has_name(tx, parent, &row.name_key, key).await? {
            wrong.say(Code::AlreadyExists, "parentId", format!("there is a category `{}` there already", row.name));
        }
    }
    wrong.check()?;

    let mut order = siblings(tx, parent).await?;
    order.retain(|one| *one != key);
    insert(&mut order, key, position);
    let mut left = Vec::new();
    if row.parent_id != parent {
        left = siblings(tx, row.parent_id).await?;
        left.retain(|one| *one != key);
        graft(tx, &row, parent, &path).await?;
    }
    let place = order.iter().position(|one| *one == key);
    if row.parent_id == parent && place == usize::try_from(row.position).ok() {
        return Ok(());
    }
    renumber(tx, &[&order, &left]).await?;
    tree::raise(tx).await?;
    tx.emit(CategoriesChanged { changed: vec![key], ..CategoriesChanged::default() }).await?;
    let id = |parent: Option<i64>| parent.map(|key| GlobalId::new(Kind::Category, key).encode());
    let change = Change {
        action: "category.move",
        thing: (Kind::Category, key),
        before: Some(json!({ "parent": id(row.parent_id), "position": row.position })),
        after: Some(json!({ "parent": id(parent), "position": place })),
    };
    tx.record(&[change]).await
}

/// Hangs a category under another, and tells all that lies in it where it now is.
async fn graft(tx: &Tx, row: &category::Model, parent: Option<i64>, above: &str) -> Result<()> {
    category::Entity::update_many()
        .col_expr(category::Column::ParentId, Expr::value(parent))
        .col_expr(category::Column::Version, Expr::value(row.version + 1))
        .col_expr(category::Column::UpdatedAt, Expr::value(tx.now()))
        .filter(category::Column::Id.eq(row.id))
        .exec(tx)
        .await?;
    let mut sql = tx.sql();
    // A path is made of digits and slashes, so nothing in it means anything to LIKE.
    sql.push("UPDATE category SET path = ").bind(format!("{above}{}/", row.id)).push(" || substr(path, ");
    sql.bind(i32::try_from(row.path.len() + 1).unwrap_or(i32::MAX)).push(") WHERE path LIKE ");
    sql.bind(format!("{}%", row.path));
    tx.execute_raw(sql.statement()).await?;
    Ok(())
}

/// How deep the deepest category of a subtree lies.
async fn deepest(tx: &Tx, path: &str) -> Result<usize> {
    let mut sql = tx.sql();
    sql.push("SELECT path FROM category WHERE path LIKE ").bind(format!("{path}%"));
    sql.push(" ORDER BY length(path) - length(replace(path, '/', '')) DESC LIMIT 1");
    let row = tx.query_one_raw(sql.statement()).await?;
    let deepest: String = row.map_or(Ok(String::new()), |row| row.try_get("", "path"))?;
    Ok(depth(&deepest))
}
