//! Sessions: sign-ins that last, until they end or are revoked.

use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, sea_query::Expr};

use super::entity::session;
use crate::{base::Result, infra::Tx};

/// Ends sessions of an account: one, or all of them. Says how many were alive.
///
/// # Errors
/// When the database refuses.
pub async fn revoke(tx: &Tx, account: i64, one: Option<i64>) -> Result<u64> {
    let mut update = session::Entity::update_many()
        .col_expr(session::Column::RevokedAt, Expr::value(tx.now()))
        .col_expr(session::Column::UpdatedAt, Expr::value(tx.now()))
        .filter(session::Column::AccountId.eq(account))
        .filter(session::Column::RevokedAt.is_null());
    if let Some(one) = one {
        update = update.filter(session::Column::Id.eq(one));
    }
    Ok(update.exec(tx).await?.rows_affected)
}
