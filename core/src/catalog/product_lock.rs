//! Locks of products, in the order of all writers: by id.

use sea_orm::{
    EntityTrait, QueryFilter, QueryOrder, QuerySelect,
    sea_query::{IntoCondition, LockType},
};

use super::entity::product;
use crate::{base::Result, infra::Tx};

/// Locks the products that satisfy a condition until the transaction ends, the first ones if there is a limit, and returns
/// their ids, ascending. On SQLite, which has a single writer, nothing is locked. Statements: 1.
pub(super) async fn lock_products(tx: &Tx, condition: impl IntoCondition, limit: Option<u64>) -> Result<Vec<i64>> {
    let locked = product::Entity::find()
        .select_only()
        .column(product::Column::Id)
        .filter(condition)
        .order_by_asc(product::Column::Id)
        .limit(limit)
        .lock(LockType::NoKeyUpdate);
    Ok(locked.into_tuple().all(tx).await?)
}
