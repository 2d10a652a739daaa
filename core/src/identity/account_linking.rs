//! Linking of external (OpenID Connect) identities to accounts.

use sea_orm::{ActiveModelTrait, ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, Set};
use serde_json::{Map, Value, json};

use super::{
    account::{self, NewAccount},
    entity::{account as row, account_identity},
};
use crate::{
    base::{Error, Result, error::PublicErrorCode, global_id::NodeType},
    infra::{AuditRecord, Db, Tx},
};

/// Maximum length of a subject (`sub`) in bytes.
const MAX_SUBJECT_BYTES: usize = 255;

/// Identity of a user at an OpenID provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExternalIdentity {
    /// Issuer of the provider.
    pub issuer: String,
    /// Stable subject (`sub`) at the provider.
    pub subject: String,
    /// Email address, if the provider supplies a valid one.
    pub email: Option<String>,
    /// Whether the provider has verified the email address.
    pub email_verified: bool,
    /// First name; may be empty.
    pub first_name: String,
    /// Last name; may be empty.
    pub last_name: String,
}

impl ExternalIdentity {
    /// Creates an identity from token claims. Invalid email addresses and names are omitted.
    #[must_use]
    pub fn from_claims(issuer: &str, claims: &Map<String, Value>) -> Self {
        let claim_text = |name: &str| claims.get(name).and_then(Value::as_str).unwrap_or_default();
        let name = |input: &str| account::validate_name(input, "").unwrap_or_default();
        Self {
            issuer: issuer.to_owned(),
            subject: claim_text("sub").to_owned(),
            email: account::validate_email(claim_text("email"), "").ok(),
            // Some providers send it as a string.
            email_verified: claims.get("email_verified").is_some_and(|value| *value == true || *value == "true"),
            first_name: name(claim_text("given_name")),
            last_name: name(claim_text("family_name")),
        }
    }
}

/// Returns the account of an identity: the linked one, else the one with the same email address, else a new one.
///
/// # Errors
/// Returns `Forbidden` if the account is disabled or deleted, `AlreadyExists` if it may not be linked, and
/// `BadUserInput` if the subject is invalid.
pub async fn find_or_create_account(db: &Db, identity: &ExternalIdentity) -> Result<row::Model> {
    let subject = &identity.subject;
    if !(1..=MAX_SUBJECT_BYTES).contains(&subject.len()) || subject.chars().any(char::is_control) {
        return Err(Error::bad_input("", "The provider did not identify the user."));
    }
    let owned_identity = identity.clone();
    if let Some(existing) = find_linked_account(db, identity).await? {
        let existing = require_active_account(existing)?;
        return if should_update_email(&existing, identity) {
            db.write(async move |tx| update_email_from_provider(tx, existing, &owned_identity).await).await
        } else {
            Ok(existing)
        };
    }
    match db.write(async move |tx| link_account(tx, &owned_identity).await).await {
        // A concurrent request with the same identity has linked the account.
        Err(error) if error.is_unique_violation() || error.to_public_error().code == PublicErrorCode::AlreadyExists => {
            match find_linked_account(db, identity).await? {
                Some(existing) => require_active_account(existing),
                // A concurrent request with another identity of the provider has linked it.
                None => Err(if error.is_unique_violation() { account_already_linked_error() } else { error }),
            }
        }
        outcome => outcome,
    }
}

/// Returns the account that the identity is linked to.
async fn find_linked_account(db: &impl ConnectionTrait, identity: &ExternalIdentity) -> Result<Option<row::Model>> {
    let identity_id = (identity.issuer.clone(), identity.subject.clone());
    let linked = account_identity::Entity::find_by_id(identity_id).find_also_related(row::Entity).one(db).await?;
    Ok(linked.and_then(|(_, account)| account))
}

/// Returns whether the email address of the account follows the one at the provider. This applies only to accounts
/// without a password: with a password, the email address is a login name that only its owner changes.
fn should_update_email(account: &row::Model, identity: &ExternalIdentity) -> bool {
    let is_unchanged = identity.email.as_deref().map(account::normalize_email) == account.email_normalized;
    identity.email_verified && identity.email.is_some() && !is_unchanged && account.password_hash.is_none()
}

/// Updates the email address from the provider, unless another account has it.
async fn update_email_from_provider(tx: &Tx, account: row::Model, identity: &ExternalIdentity) -> Result<row::Model> {
    let Some(email) = &identity.email else { return Ok(account) };
    if account::find_account_by_email(tx, email).await?.is_some() {
        tracing::info!(account = account.id, "email address from provider is taken by another account");
        return Ok(account);
    }
    account::change_email(tx, account, email).await
}

/// Rejects an account that is disabled or deleted.
fn require_active_account(account: row::Model) -> Result<row::Model> {
    if account.deleted_at.is_some() || account.disabled_at.is_some() {
        return Err(account_closed_error());
    }
    Ok(account)
}

/// Returns the error for a disabled or deleted account.
#[must_use]
pub fn account_closed_error() -> Error {
    Error::user(PublicErrorCode::Forbidden, "", "This account is closed; contact the shop.")
}

/// Links the identity to the account with the same email address, or to a new account.
async fn link_account(tx: &Tx, identity: &ExternalIdentity) -> Result<row::Model> {
    if let Some(account) = find_linked_account(tx, identity).await? {
        return require_active_account(account);
    }
    let existing = match &identity.email {
        Some(email) => account::find_account_by_email(tx, email).await?,
        None => None,
    };
    let account = match existing {
        Some(account) => {
            let account = check_link_allowed(require_active_account(account)?, identity)?;
            check_not_linked(tx, &account, identity).await?;
            account
        }
        // An unverified address is not stored: it would block its real owner.
        None => create_account_for_identity(tx, identity).await?,
    };
    let link = account_identity::ActiveModel {
        issuer: Set(identity.issuer.clone()),
        subject: Set(identity.subject.clone()),
        account_id: Set(account.id),
        created_at: Set(tx.now()),
        updated_at: Set(tx.now()),
    };
    link.insert(tx).await?;
    let after = json!({ "issuer": identity.issuer, "subject": identity.subject });
    let entity = (NodeType::Account, account.id);
    tx.record_audit(&[AuditRecord { action: "account.link", entity, before: None, after: Some(after) }]).await?;
    Ok(account)
}

/// Allows linking only if the email address is verified both at the provider and on the account. Otherwise a person
/// who registers with a foreign address, on either side, would share an account with its owner.
fn check_link_allowed(account: row::Model, identity: &ExternalIdentity) -> Result<row::Model> {
    let instruction = match (identity.email_verified, account.email_verified_at.is_some()) {
        (true, true) => return Ok(account),
        (false, _) => "Verify your e-mail address with the provider you sign in with, then sign in again.",
        (true, false) => {
            "Sign in with your password and verify the address with the e-mail that was sent to you, or reset the \
             password; then sign in with the provider again."
        }
    };
    let message = format!("There is already an account with this e-mail address. {instruction}");
    Err(Error::user(PublicErrorCode::AlreadyExists, "", message))
}

/// Rejects an account that is linked to another identity of the same provider: the provider may have reassigned the
/// email address to another person.
async fn check_not_linked(tx: &Tx, account: &row::Model, identity: &ExternalIdentity) -> Result<()> {
    let other_identity = account_identity::Entity::find()
        .filter(account_identity::Column::AccountId.eq(account.id))
        .filter(account_identity::Column::Issuer.eq(identity.issuer.as_str()))
        .one(tx)
        .await?;
    if other_identity.is_none() {
        return Ok(());
    }
    Err(account_already_linked_error())
}

fn account_already_linked_error() -> Error {
    let message = "The account with this e-mail address is linked to another user of this provider. Contact the shop: \
                   its staff can help.";
    Error::user(PublicErrorCode::AlreadyExists, "", message)
}

async fn create_account_for_identity(tx: &Tx, identity: &ExternalIdentity) -> Result<row::Model> {
    let new_account = NewAccount {
        email: identity.email.clone().filter(|_| identity.email_verified),
        email_verified: identity.email_verified,
        first_name: identity.first_name.clone(),
        last_name: identity.last_name.clone(),
        ..NewAccount::default()
    };
    account::create_account(tx, new_account).await
}
