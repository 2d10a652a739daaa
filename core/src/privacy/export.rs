//! Export of all personal data of an account as one JSON document (right of access).

use sea_orm::ConnectionTrait;
use serde::Serialize;
use serde_json::Value;

use crate::{
    base::{Error, Result, global_id::NodeType},
    cart, customer,
    identity::{self, privacy::ExportedAccount},
    infra::audit_log::{self, ExportedAction, ExportedChange},
    notification::{self, privacy::ExportedNotifications},
    order,
};

/// Document of an export.
#[derive(Serialize)]
struct AccountExport {
    #[serde(flatten)]
    account: ExportedAccount,
    addresses: Vec<Value>,
    changes: Vec<ExportedChange>,
    #[serde(flatten)]
    notifications: ExportedNotifications,
    deeds: Vec<ExportedAction>,
    carts: Vec<Value>,
    orders: Vec<Value>,
}

/// Exports the data of an account. Statements: constant. Excludes secrets (digests of passwords and tokens) and, for
/// actions on other accounts, the data of those accounts.
///
/// # Errors
/// Returns `NotFound` if the account does not exist.
pub async fn export_account(db: &impl ConnectionTrait, account_id: i64) -> Result<Value> {
    let export = AccountExport {
        account: identity::privacy::export_account(db, account_id).await?,
        addresses: customer::privacy::export_account(db, account_id).await?,
        changes: audit_log::export_changes(db, (NodeType::Account, account_id)).await?,
        notifications: notification::privacy::export_account(db, account_id).await?,
        deeds: audit_log::export_actions(db, account_id).await?,
        carts: cart::privacy::export_account(db, account_id).await?,
        orders: order::privacy::export_account(db, account_id).await?,
    };
    serde_json::to_value(export).map_err(|error| Error::internal("exporting an account", error))
}
