//! Customer profile: name, phone and language.

use sea_orm::{ActiveModelTrait, ActiveValue::Set, IntoActiveModel};
use serde_json::{Map, Value, json};

use super::validation::Validator;
use crate::{
    base::{Country, LanguageCode, Patch, Result, global_id::NodeType},
    identity::{
        AccountTarget,
        account::{MAX_NAME_CHARS, normalize_names},
        account_access::lock_target_account,
        entity::account,
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
}

/// Updates the profile of an account. A patch without changes writes nothing.
///
/// # Errors
/// Returns `NotFound`, `Forbidden`, `VersionConflict`, or all invalid fields together.
pub async fn update_profile(db: &Db, target: AccountTarget, change: ProfilePatch) -> Result<account::Model> {
    db.write(async |tx| {
        let before = lock_target_account(tx, &target).await?;
        let mut after = before.clone();
        apply_profile_patch(&mut after, change, target.shop_country)?;
        let (old_values, new_values) = diff_values(&profile_to_audit_json(&before), &profile_to_audit_json(&after));
        if new_values.is_empty() {
            return Ok(before);
        }
        let account_id = after.id;
        let mut row = before.into_active_model();
        let (name_normalized, last_name_normalized) = normalize_names(&after.first_name, &after.last_name);
        row.first_name = Set(after.first_name);
        row.last_name = Set(after.last_name);
        row.phone = Set(after.phone);
        row.language = Set(after.language);
        row.name_normalized = Set(name_normalized);
        row.last_name_normalized = Set(last_name_normalized);
        row.version = Set(after.version + 1);
        row.updated_at = Set(tx.now());
        let row = row.update(tx).await?;
        let entity = (NodeType::Customer, account_id);
        let change = AuditRecord {
            action: "customer.update",
            entity,
            before: Some(old_values.into()),
            after: Some(new_values.into()),
        };
        tx.record_audit(&[change]).await?;
        tx.emit_event(CustomerUpdated { customer: account_id }).await?;
        Ok(row)
    })
    .await
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

/// Returns the changed fields of two JSON objects: old values and new values.
#[must_use]
pub fn diff_values(before: &Value, after: &Value) -> (Map<String, Value>, Map<String, Value>) {
    let (mut old_values, mut new_values) = (Map::new(), Map::new());
    for (name, value) in after.as_object().into_iter().flatten().filter(|(name, value)| before[*name] != **value) {
        old_values.insert(name.clone(), before[name].clone());
        new_values.insert(name.clone(), value.clone());
    }
    (old_values, new_values)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn diff_contains_only_changed_fields() {
        let (old_values, new_values) = diff_values(&json!({ "a": 1, "b": null }), &json!({ "a": 1, "b": "x" }));
        assert_eq!((Value::from(old_values), Value::from(new_values)), (json!({ "b": null }), json!({ "b": "x" })));
    }
}
