//! Administration of pinned products: validation, writes and audit records.

use std::collections::HashSet;

use sea_orm::{
    ActiveModelTrait, ActiveValue::NotSet, ColumnTrait, EntityTrait, IntoActiveModel, ModelTrait, PaginatorTrait,
    QueryFilter, QuerySelect, sea_query::LockType,
};
use serde_json::{Value, json};

use super::{
    MAX_SEARCH_TEXT_LENGTH, MAX_WORDS_PER_SEARCH, entity::search_pin, rules, synonyms::SynonymTerm,
    tier::MAX_PINNED_PRODUCTS,
};
use crate::{
    base::{
        Error, GlobalId, Result, Validator, VersionedTarget, error::PublicErrorCode, global_id::NodeType,
        validation::InputScope,
    },
    catalog::entity::product,
    infra::{AuditRecord, Db, Tx, eq_any},
};

/// Maximum number of search texts with pinned products.
pub const MAX_SEARCH_PINS: u64 = 2_000;

/// The fields to set on the pinned products of a search text. `None`: unchanged.
#[derive(Debug, Default)]
pub struct SearchPinPatch {
    /// The search text.
    pub query: Option<String>,
    /// Ids of the products, the first one on top.
    pub product_ids: Option<Vec<i64>>,
}

/// Pins products for a search text.
///
/// # Errors
/// Returns `BadUserInput` if a field is invalid, `NotFound` if a product does not exist, `AlreadyExists` if the text has
/// pinned products already, `IllegalTransition` if there are [`MAX_SEARCH_PINS`] already.
pub async fn create_search_pin(db: &Db, patch: SearchPinPatch) -> Result<search_pin::Model> {
    db.write(async |tx| {
        let mut row = search_pin::Model {
            id: 0,
            query: String::new(),
            query_normalized: String::new(),
            product_ids: json!([]),
            version: 1,
            created_at: tx.now(),
            updated_at: tx.now(),
        };
        apply_patch(tx, &mut row, patch).await?;
        // First, so that concurrent writers are counted too.
        rules::announce_change(tx).await?;
        if search_pin::Entity::find().count(tx).await? >= MAX_SEARCH_PINS {
            let message = format!("{MAX_SEARCH_PINS} search texts have pinned products; delete those of one first");
            return Err(Error::user(PublicErrorCode::IllegalTransition, "", message));
        }
        let mut new_row = row.into_active_model().reset_all();
        new_row.id = NotSet;
        let row = new_row.insert(tx).await.map_err(map_duplicate_query)?;
        let (entity, after) = ((NodeType::SearchPin, row.id), Some(to_audit_json(&row)));
        tx.record_audit(&[AuditRecord { action: "search_pin.create", entity, before: None, after }]).await?;
        Ok(row)
    })
    .await
}

/// Updates the pinned products of a search text. The version is unchanged if no value changes.
///
/// # Errors
/// Returns `NotFound`, `VersionConflict`, `AlreadyExists` if the text has other pinned products, or `BadUserInput` if a
/// field is invalid.
pub async fn update_search_pin(db: &Db, target: VersionedTarget, patch: SearchPinPatch) -> Result<search_pin::Model> {
    db.write(async |tx| {
        let before = lock_search_pin(tx, target).await?;
        let mut after = before.clone();
        apply_patch(tx, &mut after, patch).await?;
        let (old_values, new_values) = (to_audit_json(&before), to_audit_json(&after));
        let entity = (NodeType::SearchPin, before.id);
        let Some(record) = AuditRecord::updated("search_pin.update", entity, &old_values, &new_values) else {
            return Ok(before);
        };
        rules::announce_change(tx).await?;
        after.version += 1;
        after.updated_at = tx.now();
        let row = after.into_active_model().reset_all().update(tx).await.map_err(map_duplicate_query)?;
        tx.record_audit(&[record]).await?;
        Ok(row)
    })
    .await
}

/// Unpins the products of a search text.
///
/// # Errors
/// Returns `NotFound` or `VersionConflict`.
pub async fn delete_search_pin(db: &Db, target: VersionedTarget) -> Result<i64> {
    db.write(async |tx| {
        let row = lock_search_pin(tx, target).await?;
        let (pin_id, before) = (row.id, Some(to_audit_json(&row)));
        rules::announce_change(tx).await?;
        row.delete(tx).await?;
        let entity = (NodeType::SearchPin, pin_id);
        tx.record_audit(&[AuditRecord { action: "search_pin.delete", entity, before, after: None }]).await?;
        Ok(pin_id)
    })
    .await
}

async fn lock_search_pin(tx: &Tx, target: VersionedTarget) -> Result<search_pin::Model> {
    let row = search_pin::Entity::find_by_id(target.id).lock(LockType::NoKeyUpdate).one(tx).await?;
    let row = row.ok_or_else(|| Error::not_found("id", "search pin"))?;
    target.check_version(row.version)?;
    Ok(row)
}

async fn apply_patch(tx: &Tx, row: &mut search_pin::Model, patch: SearchPinPatch) -> Result<()> {
    let SearchPinPatch { query, product_ids } = patch;
    let mut validator = Validator::default();
    let mut input = validator.at("input");
    if let Some(query) = query {
        row.query = input.text("query", &query, MAX_SEARCH_TEXT_LENGTH);
        row.query_normalized = normalize_query(&mut input, &row.query);
    }
    if let Some(product_ids) = product_ids {
        input.check_count("productIds", product_ids.len(), MAX_PINNED_PRODUCTS);
        if product_ids.is_empty() {
            input.reject("productIds", "at least one product");
        }
        let pinned_ids = product_ids.get(..MAX_PINNED_PRODUCTS).unwrap_or(&product_ids);
        let existing = find_existing(tx, pinned_ids).await?;
        let mut known = HashSet::new();
        for (index, product_id) in pinned_ids.iter().enumerate() {
            let field = format!("productIds.{index}");
            if !existing.contains(product_id) {
                input.reject_as(PublicErrorCode::NotFound, &field, "there is no such product");
            } else if !known.insert(*product_id) {
                input.reject(&field, "this product is in the list already");
            }
        }
        row.product_ids = json!(product_ids);
    }
    validator.finish()
}

/// Returns the words of a search text, by which searches find its pinned products.
fn normalize_query(input: &mut InputScope<'_>, query: &str) -> String {
    match SynonymTerm::parse(query) {
        None => {
            input.reject("query", "this must contain a letter or a digit");
            String::new()
        }
        Some(words) => {
            if words.word_count() > MAX_WORDS_PER_SEARCH {
                input.reject("query", format!("at most {MAX_WORDS_PER_SEARCH} words; this has {}", words.word_count()));
            }
            words.text
        }
    }
}

/// Returns which of the products exist and are not deleted.
async fn find_existing(tx: &Tx, product_ids: &[i64]) -> Result<HashSet<i64>> {
    let query = product::Entity::find().filter(eq_any(tx, product::Column::Id, product_ids.iter().copied()));
    let query = query.filter(product::Column::DeletedAt.is_null()).select_only().column(product::Column::Id);
    Ok(query.into_tuple().all(tx).await?.into_iter().collect())
}

fn map_duplicate_query(error: sea_orm::DbErr) -> Error {
    let error = Error::from(error);
    if !error.is_unique_violation() {
        return error;
    }
    let message = "products are pinned for this search text already; change those";
    Error::user(PublicErrorCode::AlreadyExists, "input.query", message)
}

fn to_audit_json(row: &search_pin::Model) -> Value {
    let to_id = |product_id: i64| GlobalId::new(NodeType::Product, product_id).encode();
    let products: Vec<String> = row.pinned_ids().into_iter().map(to_id).collect();
    json!({ "query": row.query, "products": products })
}
