//! Customer profile: name, phone and language.

use sea_orm::{ActiveModelTrait, ActiveValue::Set, IntoActiveModel};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{access_scope, validation::Validator};
use crate::{
    base::{Country, LanguageCode, Patch, Result, VersionedTarget, global_id::NodeType},
    identity::{
        Caller,
        account::{MAX_NAME_CHARS, normalize_names},
        entity::account,
    },
    infra::{AuditRecord, Tx, outbox::Event},
};

/// Partial update of a profile.
#[derive(Debug, Default)]
pub struct ProfilePatch {
    /// First name; may be empty.
    pub first_name: Patch,
    /// Last name; may be empty.
    pub last_name: Patch,
    /// Phone number.
    pub phone: Patch,
    /// Language of notifications.
    pub language: Patch<LanguageCode>,
}

/// Event: a customer, or one of their addresses, was changed.
#[derive(Debug, Deserialize, Serialize)]
pub struct CustomerUpdated {
    /// ID of the account.
    pub customer: i64,
}

impl Event for CustomerUpdated {
    const KIND: &'static str = "CustomerChanged";

    fn aggregate(&self) -> String {
        format!("customer:{}", self.customer)
    }
}

/// Account to change, with the caller; `None` for the CLI.
pub type AccountTarget = VersionedTarget<i64, Option<Caller>>;

/// Updates the profile of an account. A patch without changes writes nothing.
///
/// # Errors
/// Returns `NotFound`, `Forbidden`, `VersionConflict`, or all invalid fields together.
pub async fn update_profile(
    tx: &Tx,
    target: AccountTarget,
    patch: ProfilePatch,
    shop_country: Country,
) -> Result<account::Model> {
    let before = access_scope::lock_account_for_caller(tx, target.id, target.scope).await?;
    target.check_version(before.version)?;
    let mut after = before.clone();
    apply_profile_patch(&mut after, patch, shop_country)?;
    let (old_values, new_values) = (profile_to_audit_json(&before), profile_to_audit_json(&after));
    let entity = (NodeType::Customer, after.id);
    let Some(record) = AuditRecord::of_update("customer.update", entity, &old_values, &new_values) else {
        return Ok(before);
    };
    let mut row = before.into_active_model();
    let (name_key, last_name_key) = normalize_names(&after.first_name, &after.last_name);
    row.first_name = Set(after.first_name);
    row.last_name = Set(after.last_name);
    row.phone = Set(after.phone);
    row.language = Set(after.language);
    row.name_key = Set(name_key);
    row.last_name_key = Set(last_name_key);
    row.version = Set(after.version + 1);
    row.updated_at = Set(tx.now());
    let row = row.update(tx).await?;
    tx.record_audit(&[record]).await?;
    tx.emit_event(CustomerUpdated { customer: row.id }).await?;
    Ok(row)
}

fn apply_profile_patch(row: &mut account::Model, patch: ProfilePatch, shop_country: Country) -> Result<()> {
    let ProfilePatch { first_name, last_name, phone, language } = patch;
    match language {
        Patch::Unchanged => {}
        Patch::Clear => row.language = None,
        Patch::Set(language) => row.language = Some(language),
    }
    let mut validator = Validator::new("input");
    validator.apply_text(&mut row.first_name, first_name, "firstName", MAX_NAME_CHARS);
    validator.apply_text(&mut row.last_name, last_name, "lastName", MAX_NAME_CHARS);
    validator.apply_phone(&mut row.phone, phone, "phone", shop_country);
    validator.finish()
}

fn profile_to_audit_json(row: &account::Model) -> Value {
    json!({ "firstName": row.first_name, "lastName": row.last_name, "phone": row.phone, "language": row.language })
}
