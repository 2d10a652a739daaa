//! Erasure of a customer's personal data. Records that are still needed (orders, audit log) are kept in anonymized
//! form.

use crate::{
    base::{Result, global_id::NodeType},
    cart, customer,
    identity::{self, AccountTarget, Caller, IdentityContext, account_admin, events::CustomerDeleted, password_change},
    infra::{Actor, AuditRecord, Db, Tx, audit_log, idempotent_request},
    notification, order,
};

/// Erases the personal data of an account; returns its id. The caller confirms the erasure of the own account with its
/// password.
///
/// # Errors
/// Returns `InvalidCredentials` if the password is wrong, `RateLimited`, `NotFound`, `Forbidden` if the caller may not
/// change staff accounts, `VersionConflict`, and `IllegalTransition` for the last active admin.
pub async fn delete_account(
    context: &IdentityContext<'_>,
    target: AccountTarget,
    password: Option<String>,
) -> Result<i64> {
    let is_own = matches!(context.caller, Caller::User { account_id, .. } if account_id == target.id);
    if is_own {
        password_change::confirm_password(context, target.id, password).await?;
    }
    let account_id = context.db.write(async |tx| erase_account(tx, &target).await).await?;
    context.access_tokens.refresh(context.db).await?;
    Ok(account_id)
}

/// Erases the personal data of an account. Lock order: the admins, the account, its carts, its orders.
async fn erase_account(tx: &Tx, target: &AccountTarget) -> Result<i64> {
    let account = account_admin::lock_erasable_account(tx, target).await?;
    let account_id = account.id;
    cart::privacy::erase_account(tx, account_id).await?;
    order::privacy::erase_account(tx, account_id).await?;
    customer::privacy::erase_account(tx, account_id).await?;
    notification::privacy::erase_account(tx, account_id).await?;
    identity::privacy::erase_account(tx, account).await?;
    idempotent_request::erase_caller(tx, Actor::Account(account_id)).await?;
    let entity = (NodeType::Account, account_id);
    audit_log::erase_audit_values(tx, entity).await?;
    tx.record_audit(&[AuditRecord { action: "customer.delete", entity, before: None, after: None }]).await?;
    tx.emit_event(CustomerDeleted { customer: account_id }).await?;
    Ok(account_id)
}

/// Anonymizes orders of erased accounts that were open at the erasure and have been finished since.
pub async fn anonymize_orders(db: &Db) -> Result<()> {
    db.write(async |tx| order::privacy::anonymize_orders_of_erased_accounts(tx).await).await
}
