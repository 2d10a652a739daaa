//! Accounts of customers and staff.

use email_address::{EmailAddress, Options};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, EntityTrait, IntoActiveModel, QueryFilter, Set, sea_query::Expr,
};
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;

use super::{Role, entity::account, events::CustomerRegistered, password};
use crate::{
    base::{
        Error, LanguageCode, Result, error::PublicErrorCode, global_id::NodeType, link_detection::contains_link, text,
        validation::Validator,
    },
    infra::{AuditRecord, Tx},
};

/// Maximum length of a first or last name in characters.
pub const MAX_NAME_CHARS: usize = 100;
/// Maximum length of an external id in characters.
pub const MAX_EXTERNAL_ID_CHARS: usize = 255;
/// Maximum length of an email address in bytes.
const MAX_EMAIL_BYTES: usize = 254;

/// Data of a new account. The email address is [validated](validate_email), the password hashed.
#[derive(Debug, Clone, Default)]
pub struct NewAccount {
    /// Email address; `None` if the OpenID provider supplies none.
    pub email: Option<String>,
    /// Whether the email address is verified.
    pub email_verified: bool,
    /// Password hash, if the account has a password.
    pub password_hash: Option<String>,
    /// Role of the account.
    pub role: Role,
    /// First name; may be empty.
    pub first_name: String,
    /// Last name; may be empty.
    pub last_name: String,
    /// Language of notifications; `None` for the default language.
    pub language: Option<LanguageCode>,
    /// Id of the customer in another system.
    pub external_id: Option<String>,
}

/// Raw input for a new account.
#[derive(Debug, Clone, Copy)]
pub struct AccountInput<'a> {
    /// Email address.
    pub email: &'a str,
    /// First name; may be empty.
    pub first_name: &'a str,
    /// Last name; may be empty.
    pub last_name: &'a str,
    /// Password in plain text, if any.
    pub password: Option<&'a SecretString>,
}

impl AccountInput<'_> {
    /// Validates the input and returns the new account without its password, which the caller hashes.
    ///
    /// # Errors
    /// Returns all invalid fields together.
    pub fn validate(self) -> Result<NewAccount> {
        let Self { email: raw_email, first_name, last_name, password } = self;
        let mut validator = Validator::default();
        let email = validator.collect(validate_email(raw_email, "input.email"))?;
        let first_name = validator.collect(validate_name(first_name, "input.firstName"))?.unwrap_or_default();
        let last_name = validator.collect(validate_name(last_name, "input.lastName"))?.unwrap_or_default();
        if let Some(password) = password {
            let password = password.expose_secret();
            validator.collect(password::validate_password(password, raw_email, "input.password"))?;
        }
        validator.finish()?;
        Ok(NewAccount { email, first_name, last_name, ..NewAccount::default() })
    }
}

/// Validates and trims an email address; `field` is the input path for the error.
///
/// # Errors
/// Returns `BadUserInput` if it is not an email address.
pub fn validate_email(input: &str, field: &str) -> Result<String> {
    let email = input.trim();
    let options = Options::default().with_required_tld().without_display_text().without_domain_literal();
    let is_plain = !email.chars().any(|c| c.is_control() || c.is_whitespace() || c == '"');
    if email.len() <= MAX_EMAIL_BYTES && is_plain && EmailAddress::parse_with_options(email, options).is_ok() {
        return Ok(email.to_owned());
    }
    Err(Error::bad_input(field, "this is not an e-mail address; write it like name@example.com"))
}

/// Returns the lookup key of an email address (case-insensitive).
#[must_use]
pub fn normalize_email(email: &str) -> String {
    email.to_lowercase()
}

/// Validates and trims a name; `field` is the input path for the error.
///
/// # Errors
/// Returns `BadUserInput` if it is too long or contains control characters or a link.
pub fn validate_name(input: &str, field: &str) -> Result<String> {
    let name = input.trim();
    let length = name.chars().count();
    if length > MAX_NAME_CHARS {
        return Err(Error::bad_input(
            field,
            format!("a name has at most {MAX_NAME_CHARS} characters; this one has {length}"),
        ));
    }
    if name.chars().any(char::is_control) {
        return Err(Error::bad_input(field, "a name has no control characters"));
    }
    if contains_link(name) {
        return Err(Error::bad_input(field, "this must not contain a link"));
    }
    Ok(name.to_owned())
}

/// Normalized search keys of an account's names.
#[derive(Debug)]
pub struct NormalizedNames {
    /// Key of first and last name.
    pub full_name: String,
    /// Key of the last name.
    pub last_name: String,
}

impl NormalizedNames {
    /// Normalizes the names of an account.
    #[must_use]
    pub fn new(first_name: &str, last_name: &str) -> Self {
        Self {
            full_name: text::normalize_for_search(&format!("{first_name} {last_name}")),
            last_name: text::normalize_for_search(last_name),
        }
    }
}

/// Creates an account.
///
/// # Errors
/// Returns `AlreadyExists` if the email address is taken.
pub async fn create_account(tx: &Tx, new: NewAccount) -> Result<account::Model> {
    let NewAccount { email, email_verified, password_hash, role, first_name, last_name, language, external_id } = new;
    let normalized_names = NormalizedNames::new(&first_name, &last_name);
    let row = account::ActiveModel {
        name_normalized: Set(normalized_names.full_name),
        last_name_normalized: Set(normalized_names.last_name),
        email_normalized: Set(email.as_deref().map(normalize_email)),
        email_verified_at: Set((email_verified && email.is_some()).then_some(tx.now())),
        email: Set(email),
        password_hash: Set(password_hash),
        role: Set(role),
        language: Set(language),
        external_id: Set(external_id),
        first_name: Set(first_name),
        last_name: Set(last_name),
        version: Set(1),
        created_at: Set(tx.now()),
        updated_at: Set(tx.now()),
        ..Default::default()
    };
    let created = row.insert(tx).await.map_err(Error::from).map_err(|error| match error {
        error if error.is_unique_violation_of("external_id") => external_id_taken_error(),
        error if error.is_unique_violation() => email_taken_error(),
        error => error,
    })?;
    let after = json!({ "role": role.name(), "email": created.email });
    tx.record_audit(&[AuditRecord {
        action: "account.create",
        entity: (NodeType::Account, created.id),
        before: None,
        after: Some(after),
    }])
    .await?;
    if role == Role::Customer {
        tx.emit_event(CustomerRegistered { customer: created.id }).await?;
    }
    Ok(created)
}

/// Returns the error for an external id that another account has.
#[must_use]
pub fn external_id_taken_error() -> Error {
    Error::user(PublicErrorCode::AlreadyExists, "input.externalId", "another customer has this external id")
}

/// Returns the error for an email address that is taken.
#[must_use]
pub fn email_taken_error() -> Error {
    Error::user(
        PublicErrorCode::AlreadyExists,
        "input.email",
        "there is already an account with this e-mail address: sign in, or reset its password",
    )
}

/// Returns the error for an account that was changed concurrently.
#[must_use]
pub fn account_changed_error() -> Error {
    Error::user(PublicErrorCode::Unauthenticated, "", "This account was changed a moment ago; sign in again.")
}

/// Returns the account of an email address, if any.
pub async fn find_account_by_email(db: &impl ConnectionTrait, email: &str) -> Result<Option<account::Model>> {
    Ok(account::Entity::find()
        .filter(account::Column::EmailNormalized.eq(normalize_email(email.trim())))
        .one(db)
        .await?)
}

/// Returns an account that is neither disabled nor deleted.
pub async fn find_active_account(db: &impl ConnectionTrait, account_id: i64) -> Result<Option<account::Model>> {
    let account = account::Entity::find_by_id(account_id).one(db).await?;
    Ok(account.filter(|account| account.deleted_at.is_none() && account.disabled_at.is_none()))
}

/// Replaces the password, unless the password was changed or the account was disabled or deleted concurrently: a
/// change based on an outdated password must not overwrite a newer one.
///
/// # Errors
/// Returns `Unauthenticated` if the account was changed concurrently.
pub async fn replace_password(tx: &Tx, account: account::Model, password_hash: String) -> Result<account::Model> {
    let has_same_password = match &account.password_hash {
        Some(password) => account::Column::PasswordHash.eq(password.as_str()),
        None => account::Column::PasswordHash.is_null(),
    };
    let result = account::Entity::update_many()
        .col_expr(account::Column::PasswordHash, Expr::value(password_hash.as_str()))
        .col_expr(account::Column::UpdatedAt, Expr::value(tx.now()))
        .filter(account::Column::Id.eq(account.id))
        .filter(has_same_password)
        .filter(account::Column::DisabledAt.is_null())
        .filter(account::Column::DeletedAt.is_null())
        .exec(tx)
        .await?;
    if result.rows_affected == 0 {
        return Err(account_changed_error());
    }
    Ok(account::Model { password_hash: Some(password_hash), ..account })
}

/// Marks the email address of an account as verified.
pub async fn mark_email_verified(tx: &Tx, account_id: i64) -> Result<()> {
    account::Entity::update_many()
        .col_expr(account::Column::EmailVerifiedAt, Expr::value(tx.now()))
        .col_expr(account::Column::UpdatedAt, Expr::value(tx.now()))
        .filter(account::Column::Id.eq(account_id))
        .exec(tx)
        .await?;
    Ok(())
}

/// Changes the email address of an account to a verified one.
///
/// # Errors
/// Fails with a unique violation if another account has the address.
pub async fn change_email(tx: &Tx, account: account::Model, email: &str) -> Result<account::Model> {
    let (account_id, before, version) = (account.id, account.email.clone(), account.version + 1);
    let mut row = account.into_active_model();
    row.email = Set(Some(email.to_owned()));
    row.email_normalized = Set(Some(normalize_email(email)));
    row.email_verified_at = Set(Some(tx.now()));
    row.version = Set(version);
    row.updated_at = Set(tx.now());
    let row = row.update(tx).await?;
    let (before, after) = (json!({ "email": before }), json!({ "email": row.email }));
    let entity = (NodeType::Account, account_id);
    tx.record_audit(&[AuditRecord {
        action: "account.change_email",
        entity,
        before: Some(before),
        after: Some(after),
    }])
    .await?;
    Ok(row)
}

/// Records an action of an account in the audit log, without values.
pub async fn record_account_action(tx: &Tx, account_id: i64, action: &'static str) -> Result<()> {
    let entity = (NodeType::Account, account_id);
    tx.record_audit(&[AuditRecord { action, entity, before: None, after: None }]).await
}
