//! Erasure of personal data. Records that are still needed (orders, audit log) are kept in anonymized form.

use sea_orm::{ActiveModelTrait, ActiveValue::Set, ConnectionTrait, IntoActiveModel};
use serde::{Deserialize, Serialize};

use super::{access_scope, profile::AccountTarget, staff_accounts};
use crate::{
    base::{Result, global_id::NodeType},
    identity::{api_key, entity::account, session},
    infra::{AuditRecord, Tx, outbox::Event},
};

/// Event: the personal data of a customer was erased.
#[derive(Debug, Deserialize, Serialize)]
pub struct CustomerDeleted {
    /// ID of the account.
    pub customer: i64,
}

impl Event for CustomerDeleted {
    const KIND: &'static str = "CustomerDeleted";

    fn aggregate(&self) -> String {
        format!("customer:{}", self.customer)
    }
}

/// Statements that erase the data of an account, each followed by the account ID. Revoked sessions are kept without
/// personal data until they are pruned, because every instance reads them to reject their access tokens.
const ERASURE_STATEMENTS: [&str; 7] = [
    "DELETE FROM address WHERE account_id = ",
    "DELETE FROM account_identity WHERE account_id = ",
    "DELETE FROM one_time_token WHERE account_id = ",
    "DELETE FROM refresh_token WHERE session_id IN (SELECT id FROM session WHERE account_id = ",
    "UPDATE session SET user_agent = '', address = '' WHERE account_id = ",
    "DELETE FROM notification_preference WHERE account_id = ",
    "UPDATE message SET recipient = NULL, words = NULL, provider_id = NULL, \
     why = CASE state WHEN 'sent' THEN NULL ELSE 'its recipient has been forgotten' END, \
     state = CASE state WHEN 'sent' THEN 'sent' ELSE 'skipped' END WHERE account_id = ",
];

/// Locks an account for erasure. Other modules erase their data between this call and [`erase_account`].
///
/// # Errors
/// Returns `NotFound`, `Forbidden` if the caller may not change staff accounts, `VersionConflict`, and
/// `IllegalTransition` for the last active admin.
pub async fn lock_erasable_account(tx: &Tx, target: &AccountTarget) -> Result<account::Model> {
    let admin_ids = staff_accounts::lock_active_admins(tx).await?;
    let row = access_scope::lock_account_for_caller(tx, target.id, target.scope).await?;
    target.check_version(row.version)?;
    staff_accounts::check_not_last_admin(&admin_ids, row.id, "id")?;
    Ok(row)
}

/// Erases the personal data of a locked account and emits [`CustomerDeleted`]. The row is kept for foreign keys.
pub async fn erase_account(tx: &Tx, row: account::Model) -> Result<i64> {
    let account_id = row.id;
    session::revoke_sessions(tx, account_id, None).await?;
    api_key::revoke_api_keys_created_by(tx, account_id).await?;
    for statement in ERASURE_STATEMENTS {
        let mut sql = tx.sql();
        sql.push(statement).bind(account_id).push(if statement.contains(" IN (") { ")" } else { "" });
        tx.execute_raw(sql.into_statement()).await?;
    }
    clear_audit_values(tx, account_id).await?;
    let version = row.version + 1;
    let mut row = row.into_active_model();
    row.email = Set(None);
    row.email_key = Set(None);
    row.email_verified_at = Set(None);
    row.password = Set(None);
    row.phone = Set(None);
    for name in [&mut row.first_name, &mut row.last_name, &mut row.name_key, &mut row.last_name_key] {
        *name = Set(String::new());
    }
    row.language = Set(None);
    row.version = Set(version);
    row.updated_at = Set(tx.now());
    row.deleted_at = Set(Some(tx.now()));
    row.update(tx).await?;
    let entity = (NodeType::Customer, account_id);
    tx.record_audit(&[AuditRecord { action: "customer.delete", entity, before: None, after: None }]).await?;
    tx.emit_event(CustomerDeleted { customer: account_id }).await?;
    Ok(account_id)
}

/// Clears the before and after values of the audit log; the actions are kept.
async fn clear_audit_values(tx: &Tx, account_id: i64) -> Result<()> {
    let mut sql = tx.sql();
    sql.push("UPDATE audit SET before = NULL, after = NULL WHERE thing_kind = 'Customer' AND thing_id = ")
        .bind(account_id);
    tx.execute_raw(sql.into_statement()).await?;
    Ok(())
}
