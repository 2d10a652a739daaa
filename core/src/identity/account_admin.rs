//! Account administration: staff accounts, roles, disabling and enabling.

use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ColumnTrait, EntityTrait, IntoActiveModel, PaginatorTrait, QueryFilter,
    QueryOrder, QuerySelect, sea_query::LockType,
};
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;

use super::{
    AccessTokenService, Caller, PasswordHashPool, Role,
    account::{self, AccountInput, NewAccount},
    account_access::{AccountTarget, lock_target_account},
    api_key,
    entity::account as account_row,
    events::CustomerUpdated,
    random_token, session,
};
use crate::{
    base::{Error, Result, error::PublicErrorCode, global_id::NodeType},
    infra::{AuditRecord, Db, Tx},
};

/// Length of a generated password in characters: more than 140 bits.
const GENERATED_PASSWORD_CHARS: usize = 24;

/// Input for a new account created by staff.
#[derive(Debug)]
pub struct NewStaffAccount {
    /// Email address; stored as verified.
    pub email: String,
    /// Role of the account.
    pub role: Role,
    /// First name; may be empty.
    pub first_name: String,
    /// Last name; may be empty.
    pub last_name: String,
    /// Initial password; `None` if the user sets one by password reset.
    pub password: Option<SecretString>,
}

impl NewStaffAccount {
    /// Validates the input and hashes the password.
    ///
    /// # Errors
    /// Returns all invalid fields together.
    pub async fn validate(self, hash_pool: &PasswordHashPool) -> Result<NewAccount> {
        let Self { email, role, first_name, last_name, password } = self;
        let input =
            AccountInput { email: &email, first_name: &first_name, last_name: &last_name, password: password.as_ref() };
        let validated = input.validate()?;
        let password = match password {
            Some(password) => Some(hash_pool.hash(password.expose_secret().to_owned()).await?),
            None => None,
        };
        Ok(NewAccount { email_verified: true, password_hash: password, role, ..validated })
    }
}

/// Creates a staff account, or a customer account with a verified email address. `caller` is `None` for the CLI.
///
/// # Errors
/// Returns `Forbidden` if the caller may not grant the role, all invalid fields together, or `AlreadyExists` if the
/// email address is taken.
pub async fn create_staff_account(
    db: &Db,
    hash_pool: &PasswordHashPool,
    caller: Option<Caller>,
    new: NewStaffAccount,
) -> Result<account_row::Model> {
    check_role_grant(caller, new.role)?;
    let new_account = new.validate(hash_pool).await?;
    db.write(async |tx| account::create_account(tx, new_account).await).await
}

/// Disables an account and revokes its sessions and API keys, or enables it again. With `access_tokens` the revocation
/// takes effect on this instance immediately; others apply it within a second.
///
/// # Errors
/// Returns `NotFound`, `Forbidden` if the caller may not change staff accounts, `VersionConflict`, and
/// `IllegalTransition` for the last active admin.
pub async fn set_account_disabled(
    db: &Db,
    access_tokens: Option<&AccessTokenService>,
    target: AccountTarget,
    disabled: bool,
) -> Result<account_row::Model> {
    let row = db.write(async |tx| write_account_disabled(tx, &target, disabled).await).await?;
    refresh_revoked_sessions(db, access_tokens).await?;
    Ok(row)
}

async fn write_account_disabled(tx: &Tx, target: &AccountTarget, disabled: bool) -> Result<account_row::Model> {
    let admin_ids = lock_active_admins(tx).await?;
    let row = lock_target_account(tx, target).await?;
    if row.disabled_at.is_some() == disabled {
        return Ok(row);
    }
    if disabled {
        check_not_last_admin(&admin_ids, row.id, "id")?;
        session::revoke_sessions(tx, row.id, None).await?;
        api_key::revoke_api_keys_created_by(tx, row.id).await?;
    }
    let (account_id, version) = (row.id, row.version + 1);
    let mut row = row.into_active_model();
    row.disabled_at = Set(disabled.then(|| tx.now()));
    row.version = Set(version);
    row.updated_at = Set(tx.now());
    let row = row.update(tx).await?;
    let action = if disabled { "account.disable" } else { "account.enable" };
    let (before, after) = (json!({ "disabled": !disabled }), json!({ "disabled": disabled }));
    tx.record_audit(&[AuditRecord {
        action,
        entity: (NodeType::Account, account_id),
        before: Some(before),
        after: Some(after),
    }])
    .await?;
    tx.emit_event(CustomerUpdated { customer: account_id }).await?;
    Ok(row)
}

/// Checks that the caller may grant a role.
///
/// # Errors
/// Returns `Forbidden` if the role has permissions that the caller does not have.
fn check_role_grant(caller: Option<Caller>, role: Role) -> Result<()> {
    if caller.is_none_or(|caller| caller.permissions().covers(role.permissions())) {
        return Ok(());
    }
    Err(Error::user(
        PublicErrorCode::Forbidden,
        "role",
        format!("You cannot grant the role {}: it has permissions that you do not have.", role.name()),
    ))
}

/// Changes the role of an account and revokes its sessions, so that the change takes effect: with `access_tokens`
/// immediately on this instance, on others within a second.
///
/// # Errors
/// Returns `NotFound`, `Forbidden` if the caller may not grant the role, `VersionConflict`, and `IllegalTransition`
/// for the last active admin.
pub async fn set_account_role(
    db: &Db,
    access_tokens: Option<&AccessTokenService>,
    target: AccountTarget,
    role: Role,
) -> Result<account_row::Model> {
    check_role_grant(target.scope, role)?;
    let row = db.write(async |tx| write_account_role(tx, &target, role).await).await?;
    refresh_revoked_sessions(db, access_tokens).await?;
    Ok(row)
}

async fn write_account_role(tx: &Tx, target: &AccountTarget, role: Role) -> Result<account_row::Model> {
    let admin_ids = lock_active_admins(tx).await?;
    let row = lock_target_account(tx, target).await?;
    if row.role == role {
        return Ok(row);
    }
    check_not_last_admin(&admin_ids, row.id, "id")?;
    session::revoke_sessions(tx, row.id, None).await?;
    if !role.permissions().covers(row.role.permissions()) {
        api_key::revoke_api_keys_created_by(tx, row.id).await?;
    }
    let (account_id, version, old_role) = (row.id, row.version + 1, row.role);
    let mut row = row.into_active_model();
    row.role = Set(role);
    row.version = Set(version);
    row.updated_at = Set(tx.now());
    let row = row.update(tx).await?;
    let (before, after) = (json!({ "role": old_role.name() }), json!({ "role": role.name() }));
    let entity = (NodeType::Account, account_id);
    tx.record_audit(&[AuditRecord { action: "staff.role", entity, before: Some(before), after: Some(after) }]).await?;
    tx.emit_event(CustomerUpdated { customer: account_id }).await?;
    Ok(row)
}

/// Applies revoked sessions to the access tokens of this instance.
async fn refresh_revoked_sessions(db: &Db, access_tokens: Option<&AccessTokenService>) -> Result<()> {
    match access_tokens {
        Some(access_tokens) => access_tokens.refresh(db).await,
        None => Ok(()),
    }
}

/// Locks an account for its erasure.
///
/// # Errors
/// Returns `NotFound`, `Forbidden` if the caller may not change staff accounts, `VersionConflict`, and
/// `IllegalTransition` for the last active admin.
pub async fn lock_erasable_account(tx: &Tx, target: &AccountTarget) -> Result<account_row::Model> {
    let admin_ids = lock_active_admins(tx).await?;
    let row = lock_target_account(tx, target).await?;
    check_not_last_admin(&admin_ids, row.id, "id")?;
    Ok(row)
}

/// Locks all admins until the end of the transaction and returns the IDs of the active ones. This serializes
/// concurrent demotions that would leave no admin. Always locked before a single account, and in a fixed order.
async fn lock_active_admins(tx: &Tx) -> Result<Vec<i64>> {
    let rows = account_row::Entity::find()
        .filter(account_row::Column::Role.eq(Role::Admin))
        .filter(account_row::Column::DeletedAt.is_null())
        .order_by_asc(account_row::Column::CreatedAt)
        .order_by_asc(account_row::Column::Id)
        .lock(LockType::NoKeyUpdate)
        .all(tx)
        .await?;
    Ok(rows.into_iter().filter(|row| row.disabled_at.is_none()).map(|row| row.id).collect())
}

/// Rejects a change that would leave no active admin.
fn check_not_last_admin(admin_ids: &[i64], account_id: i64, field: &str) -> Result<()> {
    if admin_ids == [account_id] {
        let message = "this is the last active admin; create another one first";
        return Err(Error::user(PublicErrorCode::IllegalTransition, field, message));
    }
    Ok(())
}

/// Creates the first admin if no account exists; returns the generated password, or `None` if an account exists.
pub async fn create_first_admin(db: &Db, email: &str) -> Result<Option<String>> {
    if account_row::Entity::find().count(db).await? > 0 {
        return Ok(None);
    }
    let password = generate_password()?;
    let (first_name, last_name) = (String::new(), String::new());
    let new_staff = NewStaffAccount {
        email: email.to_owned(),
        role: Role::Admin,
        first_name,
        last_name,
        password: Some(password.as_str().into()),
    };
    let new_account = new_staff.validate(&PasswordHashPool::new(0)).await?;
    let created = db.write(async |tx| {
        if account_row::Entity::find().count(tx).await? > 0 {
            return Ok(None);
        }
        account::create_account(tx, new_account).await.map(|_| Some(password))
    });
    match created.await {
        // Another instance has created it concurrently.
        Err(error) if error.to_public_error().code == PublicErrorCode::AlreadyExists => Ok(None),
        outcome => outcome,
    }
}

/// Generates a random password.
pub fn generate_password() -> Result<String> {
    Ok(random_token::generate_token()?
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .take(GENERATED_PASSWORD_CHARS)
        .collect())
}
