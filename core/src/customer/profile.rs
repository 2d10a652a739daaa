//! Customer profile: name, phone and language.

use sea_orm::{ActiveModelTrait, ActiveValue::Set, IntoActiveModel};
use serde_json::{Value, json};

use crate::{
    base::{Country, Error, LanguageCode, Patch, Result, Validator, global_id::NodeType},
    identity::{
        AccountTarget, Permission,
        account::{self, MAX_NAME_CHARS, NormalizedNames},
        account_access::lock_target_account,
        entity::account as account_row,
        events::CustomerUpdated,
    },
    infra::{AuditRecord, Db},
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
    /// Id of the customer in another system; set by staff only.
    pub external_id: Patch,
}

/// Updates the profile of an account. A patch without changes writes nothing.
///
/// # Errors
/// Returns `NotFound`, `Forbidden`, `VersionConflict`, or all invalid fields together.
pub async fn update_profile(
    db: &Db,
    target: AccountTarget,
    patch: ProfilePatch,
    shop_country: Country,
) -> Result<account_row::Model> {
    db.write(async |tx| {
        let before = lock_target_account(tx, &target).await?;
        let may_set_external_id = target.scope.is_none_or(|caller| caller.permissions().has(Permission::CustomerWrite));
        if !patch.external_id.is_unchanged() && !may_set_external_id {
            return Err(Error::bad_input("input.externalId", "only staff can set the external id"));
        }
        let mut after = before.clone();
        apply_profile_patch(&mut after, patch, shop_country)?;
        let (old_values, new_values) = (profile_to_audit_json(&before), profile_to_audit_json(&after));
        let entity = (NodeType::Account, after.id);
        let Some(record) = AuditRecord::updated("customer.update", entity, &old_values, &new_values) else {
            return Ok(before);
        };
        let mut row = before.into_active_model();
        let normalized_names = NormalizedNames::new(&after.first_name, &after.last_name);
        row.first_name = Set(after.first_name);
        row.last_name = Set(after.last_name);
        if row.phone.as_ref() != &after.phone {
            row.phone_verified_at = Set(None);
        }
        row.phone = Set(after.phone);
        row.language = Set(after.language);
        row.external_id = Set(after.external_id);
        row.name_normalized = Set(normalized_names.full_name);
        row.last_name_normalized = Set(normalized_names.last_name);
        row.version = Set(after.version + 1);
        row.updated_at = Set(tx.now());
        let row = row.update(tx).await.map_err(Error::from).map_err(|error| {
            if error.is_unique_violation_of("external_id") { account::external_id_taken_error() } else { error }
        })?;
        tx.record_audit(&[record]).await?;
        tx.emit_event(CustomerUpdated { customer: row.id }).await?;
        Ok(row)
    })
    .await
}

fn apply_profile_patch(row: &mut account_row::Model, patch: ProfilePatch, shop_country: Country) -> Result<()> {
    let ProfilePatch { first_name, last_name, phone, language, external_id } = patch;
    language.apply_to(&mut row.language);
    let mut validator = Validator::default();
    let mut input = validator.at("input");
    input.apply_text(&mut row.first_name, first_name, "firstName", MAX_NAME_CHARS);
    input.apply_text(&mut row.last_name, last_name, "lastName", MAX_NAME_CHARS);
    input.apply_phone(&mut row.phone, phone, "phone", shop_country);
    input.apply_optional_text(&mut row.external_id, external_id, "externalId", account::MAX_EXTERNAL_ID_CHARS);
    validator.finish()
}

fn profile_to_audit_json(row: &account_row::Model) -> Value {
    json!({ "firstName": row.first_name, "lastName": row.last_name, "phone": row.phone, "language": row.language,
        "externalId": row.external_id })
}
