//! Administration of synonym groups: validation, writes and audit records.

use sea_orm::{
    ActiveModelTrait, ActiveValue::NotSet, EntityTrait, IntoActiveModel, ModelTrait, PaginatorTrait, QuerySelect,
    sea_query::LockType,
};
use serde_json::{Value, json};

use super::{
    entity::search_synonym_group,
    rules,
    synonyms::{MAX_WORDS_PER_TERM, SynonymTerm},
};
use crate::{
    base::{
        Error, LanguageCode, Patch, Result, Validator, VersionedTarget, error::PublicErrorCode, global_id::NodeType,
        validation::InputScope,
    },
    infra::{AuditRecord, Db, Tx},
};

/// Maximum number of synonym groups.
pub const MAX_SYNONYM_GROUPS: u64 = 2_000;
/// Maximum number of synonyms of a group.
const MAX_SYNONYMS_PER_GROUP: usize = 20;
/// Maximum length of a term in characters.
const MAX_TERM_LENGTH: usize = 100;

/// The fields to set on a synonym group.
#[derive(Debug, Default)]
pub struct SynonymGroupPatch {
    /// The term that also finds the synonyms; none for a two-way group.
    pub term: Patch,
    /// The synonyms.
    pub synonyms: Option<Vec<String>>,
    /// The language; none for all languages.
    pub language: Patch<LanguageCode>,
}

/// Creates a synonym group.
///
/// # Errors
/// Returns `BadUserInput` if a field is invalid, `AlreadyExists` if the term has a group in the language already,
/// `IllegalTransition` if there are [`MAX_SYNONYM_GROUPS`] already.
pub async fn create_synonym_group(db: &Db, patch: SynonymGroupPatch) -> Result<search_synonym_group::Model> {
    db.write(async |tx| {
        let mut row = search_synonym_group::Model {
            id: 0,
            term: None,
            term_normalized: None,
            synonyms: json!([]),
            language: None,
            version: 1,
            created_at: tx.now(),
            updated_at: tx.now(),
        };
        apply_patch(&mut row, patch)?;
        // First, so that concurrent writers are counted too.
        rules::announce_change(tx).await?;
        if search_synonym_group::Entity::find().count(tx).await? >= MAX_SYNONYM_GROUPS {
            let message = format!("there are {MAX_SYNONYM_GROUPS} groups; delete one first");
            return Err(Error::user(PublicErrorCode::IllegalTransition, "", message));
        }
        let mut new_row = row.into_active_model().reset_all();
        new_row.id = NotSet;
        let row = new_row.insert(tx).await.map_err(map_duplicate_term)?;
        let (entity, after) = ((NodeType::SearchSynonymGroup, row.id), Some(to_audit_json(&row)));
        tx.record_audit(&[AuditRecord { action: "search_synonym_group.create", entity, before: None, after }]).await?;
        Ok(row)
    })
    .await
}

/// Updates a synonym group. The version is unchanged if no value changes.
///
/// # Errors
/// Returns `NotFound`, `VersionConflict`, `AlreadyExists` if the term has another group in the language, or
/// `BadUserInput` if a field is invalid.
pub async fn update_synonym_group(
    db: &Db,
    target: VersionedTarget,
    patch: SynonymGroupPatch,
) -> Result<search_synonym_group::Model> {
    db.write(async |tx| {
        let before = lock_synonym_group(tx, target).await?;
        let mut after = before.clone();
        apply_patch(&mut after, patch)?;
        let (old_values, new_values) = (to_audit_json(&before), to_audit_json(&after));
        let entity = (NodeType::SearchSynonymGroup, before.id);
        let Some(record) = AuditRecord::updated("search_synonym_group.update", entity, &old_values, &new_values) else {
            return Ok(before);
        };
        rules::announce_change(tx).await?;
        after.version += 1;
        after.updated_at = tx.now();
        let row = after.into_active_model().reset_all().update(tx).await.map_err(map_duplicate_term)?;
        tx.record_audit(&[record]).await?;
        Ok(row)
    })
    .await
}

/// Deletes a synonym group.
///
/// # Errors
/// Returns `NotFound` or `VersionConflict`.
pub async fn delete_synonym_group(db: &Db, target: VersionedTarget) -> Result<i64> {
    db.write(async |tx| {
        let row = lock_synonym_group(tx, target).await?;
        let (group_id, before) = (row.id, Some(to_audit_json(&row)));
        rules::announce_change(tx).await?;
        row.delete(tx).await?;
        let entity = (NodeType::SearchSynonymGroup, group_id);
        tx.record_audit(&[AuditRecord { action: "search_synonym_group.delete", entity, before, after: None }]).await?;
        Ok(group_id)
    })
    .await
}

async fn lock_synonym_group(tx: &Tx, target: VersionedTarget) -> Result<search_synonym_group::Model> {
    let query = search_synonym_group::Entity::find_by_id(target.id).lock(LockType::NoKeyUpdate);
    let row = query.one(tx).await?.ok_or_else(|| Error::not_found("id", "synonym group"))?;
    target.check_version(row.version)?;
    Ok(row)
}

fn apply_patch(row: &mut search_synonym_group::Model, patch: SynonymGroupPatch) -> Result<()> {
    let SynonymGroupPatch { term, synonyms, language } = patch;
    let mut validator = Validator::default();
    let mut input = validator.at("input");
    match term {
        Patch::Unchanged => {}
        Patch::Clear => (row.term, row.term_normalized) = (None, None),
        Patch::Set(text) => {
            let (text, words) = validate_term(&mut input, "term", &text);
            (row.term, row.term_normalized) = (Some(text), words);
        }
    }
    let synonyms = synonyms.unwrap_or_else(|| row.synonym_texts());
    input.check_count("synonyms", synonyms.len(), MAX_SYNONYMS_PER_GROUP);
    let min_count = if row.term.is_some() { 1 } else { 2 };
    if synonyms.len() < min_count {
        input.reject("synonyms", format!("at least {min_count}; a group without a term has two"));
    }
    let mut known: Vec<String> = row.term_normalized.clone().into_iter().collect();
    let mut texts = Vec::new();
    for (index, synonym) in synonyms.iter().enumerate().take(MAX_SYNONYMS_PER_GROUP) {
        let field = format!("synonyms.{index}");
        let (text, words) = validate_term(&mut input, &field, synonym);
        match words {
            Some(words) if known.contains(&words) => input.reject(&field, format!("the group has `{words}` already")),
            words => known.extend(words),
        }
        texts.push(text);
    }
    row.synonyms = json!(texts);
    match language {
        Patch::Unchanged => {}
        Patch::Clear => row.language = None,
        Patch::Set(language) => row.language = Some(language),
    }
    validator.finish()
}

/// Returns the trimmed text of a term, and its words if it has any.
fn validate_term(input: &mut InputScope<'_>, field: &str, text: &str) -> (String, Option<String>) {
    let text = input.text(field, text, MAX_TERM_LENGTH);
    let term = SynonymTerm::parse(&text);
    match &term {
        None => input.reject(field, "this must contain a letter or a digit"),
        Some(term) if term.word_count() > MAX_WORDS_PER_TERM => {
            input.reject(field, format!("at most {MAX_WORDS_PER_TERM} words; this has {}", term.word_count()));
        }
        Some(_) => {}
    }
    (text, term.map(|term| term.text))
}

fn map_duplicate_term(error: sea_orm::DbErr) -> Error {
    let error = Error::from(error);
    if !error.is_unique_violation() {
        return error;
    }
    let message = "there is a group of this term in this language already; change that one";
    Error::user(PublicErrorCode::AlreadyExists, "input.term", message)
}

fn to_audit_json(row: &search_synonym_group::Model) -> Value {
    json!({ "term": row.term, "synonyms": row.synonyms, "language": row.language })
}
