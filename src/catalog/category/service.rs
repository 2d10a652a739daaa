//! Creation and update of a category.

use std::collections::HashSet;

use sea_orm::{ActiveModelTrait, ConnectionTrait, EntityTrait, IntoActiveModel, Set};
use serde_json::{Map, Value, json};

use super::{
    CategoriesChanged, MAX_CATEGORY_DEPTH, MAX_CATEGORY_SLUG_LENGTH,
    ordering::{
        find_active_category, insert_sibling, load_parent_path, load_sibling_ids, renumber_siblings,
        sibling_name_exists, validate_position,
    },
    validate_category_name,
};
use crate::{
    base::{Error, GlobalId, Result, error::PublicErrorCode, global_id::NodeType, text},
    catalog::{
        ExpectedVersion, category_tree,
        entity::category,
        validation_errors::{ValidationErrors, join_field_path},
        write,
    },
    infra::{AuditRecord, Tx},
};

/// Maximum length of a description in characters.
const MAX_CATEGORY_DESCRIPTION_LENGTH: usize = 20_000;
/// Highest number appended to a slug that is taken.
const MAX_CATEGORY_SLUG_SUFFIX: u32 = 50;

/// Input for a new category.
#[derive(Debug, Clone, Default)]
pub struct NewCategory {
    /// Display name.
    pub name: String,
    /// Id of the parent; `None` for a root.
    pub parent_id: Option<i64>,
    /// URL slug; generated from the name if absent.
    pub slug: Option<String>,
    /// Description.
    pub description: Option<String>,
    /// Position among its siblings; the last if absent.
    pub position: Option<i32>,
}

/// Changes to a category; `None` leaves a field unchanged.
#[derive(Debug, Clone, Default)]
pub struct CategoryPatch {
    /// Expected current version (optimistic locking).
    pub expected_version: Option<ExpectedVersion>,
    /// Display name.
    pub name: Option<String>,
    /// URL slug.
    pub slug: Option<String>,
    /// Description; `Some(None)` clears it.
    pub description: Option<Option<String>>,
}

/// Creates a category and returns its id.
///
/// # Errors
/// Returns all validation errors of the input.
pub async fn create_category(tx: &Tx, input: NewCategory) -> Result<i64> {
    let NewCategory { name, parent_id, slug, description, position } = input;
    category_tree::lock_category_tree(tx).await?;
    let mut errors = ValidationErrors::default();
    let path = match load_parent_path(tx, parent_id, "input.parentId").await {
        Ok((path, level)) => {
            if level >= MAX_CATEGORY_DEPTH {
                errors
                    .add_bad_input("input.parentId", format!("a category is at most {MAX_CATEGORY_DEPTH} levels deep"));
            }
            Some(path)
        }
        Err(error) => {
            for entry in error.into_public_errors()? {
                errors.add(entry.code, "input.parentId", entry.message);
            }
            None
        }
    };
    let name_validator = CategoryNameValidator { parent_id: path.is_some().then_some(parent_id), excluded_id: 0 };
    let name_normalized = name_validator.validate_name(tx, &name, &mut errors).await?;
    let slug = match slug {
        Some(slug) => validate_unique_slug(tx, slug, 0, &mut errors).await?,
        None => generate_unique_slug(tx, &name, &mut errors).await?,
    };
    let description = validate_description(description, &mut errors);
    validate_position(position, "input.position", &mut errors);
    errors.into_user_errors()?;

    let category_id = tx.allocate_ids("category", 1).await?.next();
    let category_id = category_id.ok_or_else(|| Error::internal("allocating a category id", "no id returned"))?;
    let mut sibling_ids = load_sibling_ids(tx, parent_id).await?;
    let last_position = i32::try_from(sibling_ids.len()).unwrap_or(i32::MAX);
    insert_sibling(&mut sibling_ids, category_id, position);
    let final_position = sibling_ids
        .iter()
        .position(|entry| *entry == category_id)
        .and_then(|final_position| i32::try_from(final_position).ok())
        .unwrap_or(last_position);
    let row = category::Model {
        id: category_id,
        parent_id,
        name: name.trim().to_owned(),
        name_normalized,
        slug,
        description,
        position: final_position,
        path: format!("{}{category_id}/", path.unwrap_or_else(|| "/".into())),
        version: 1,
        created_at: tx.now(),
        updated_at: tx.now(),
        deleted_at: None,
    };
    let audit_fields = collect_audit_fields(&row);
    category::Entity::insert(row.into_active_model().reset_all()).exec_without_returning(tx).await?;
    renumber_siblings(tx, &[&sibling_ids]).await?;
    category_tree::bump_tree_version(tx).await?;
    tx.emit_event(CategoriesChanged { made: vec![category_id], ..CategoriesChanged::default() }).await?;
    let after = audit_fields.into_iter().filter(|(_, value)| !value.is_null()).collect();
    let after = Some(Value::Object(after));
    tx.record_audit(&[AuditRecord {
        action: "category.create",
        entity: (NodeType::Category, category_id),
        before: None,
        after,
    }])
    .await?;
    Ok(category_id)
}

/// Updates a category.
///
/// # Errors
/// Returns `NotFound` if it does not exist, else all validation errors, including `VersionConflict`.
pub async fn update_category(tx: &Tx, category_id: i64, patch: CategoryPatch) -> Result<()> {
    let CategoryPatch { expected_version, name, slug, description } = patch;
    category_tree::lock_category_tree(tx).await?;
    let before = find_active_category(tx, category_id, "id").await?;
    let mut row = before.clone();
    let mut errors = ValidationErrors::default();
    errors.check_version(expected_version.as_ref(), before.version);
    if let Some(name) = name {
        row.name_normalized = CategoryNameValidator { parent_id: Some(before.parent_id), excluded_id: category_id }
            .validate_name(tx, &name, &mut errors)
            .await?;
        name.trim().clone_into(&mut row.name);
    }
    if let Some(slug) = slug.filter(|slug| *slug != before.slug) {
        row.slug = validate_unique_slug(tx, slug, category_id, &mut errors).await?;
    }
    if let Some(description) = description {
        row.description = validate_description(description, &mut errors);
    }
    errors.into_user_errors()?;
    if row == before {
        return Ok(());
    }
    let (fields_before, fields_after) = (collect_audit_fields(&before), collect_audit_fields(&row));
    let changed_fields = |fields: &Map<String, Value>| {
        let differs = fields.iter().filter(|(name, _)| fields_before.get(*name) != fields_after.get(*name));
        Value::Object(differs.map(|(name, value)| (name.clone(), value.clone())).collect())
    };
    let change = AuditRecord {
        action: "category.update",
        entity: (NodeType::Category, category_id),
        before: Some(changed_fields(&fields_before)),
        after: Some(changed_fields(&fields_after)),
    };
    let mut active = before.into_active_model();
    active.name = Set(row.name);
    active.name_normalized = Set(row.name_normalized);
    active.slug = Set(row.slug);
    active.description = Set(row.description);
    active.version = Set(row.version + 1);
    active.updated_at = Set(tx.now());
    active.update(tx).await?;
    category_tree::bump_tree_version(tx).await?;
    tx.emit_event(CategoriesChanged { changed: vec![category_id], ..CategoriesChanged::default() }).await?;
    tx.record_audit(&[change]).await
}

/// Validator of a category's name, which is unique among siblings. `parent_id` is `None` if the parent is invalid.
struct CategoryNameValidator {
    parent_id: write::NullablePatch<i64>,
    excluded_id: i64,
}

impl CategoryNameValidator {
    /// Validates the name and returns it normalized.
    async fn validate_name(&self, tx: &Tx, name: &str, errors: &mut ValidationErrors) -> Result<String> {
        let name_normalized = text::normalize_text(name);
        let path = "input.name";
        if let Err(error) = validate_category_name(name) {
            errors.add_bad_input(path, error.to_public_error().message);
        } else if name.trim().contains(char::is_control) {
            errors.add_bad_input(path, "a name of one line: no line breaks or other control characters");
        } else if let Some(parent) = self.parent_id
            && sibling_name_exists(tx, parent, &name_normalized, self.excluded_id).await?
        {
            let message = format!("there is a category `{}` there already", name.trim());
            errors.add(PublicErrorCode::AlreadyExists, path, message);
        }
        Ok(name_normalized)
    }
}

/// Validates a slug and that no other category has it, and returns it.
async fn validate_unique_slug(
    tx: &Tx,
    slug: String,
    excluded_id: i64,
    errors: &mut ValidationErrors,
) -> Result<String> {
    let path = join_field_path("input", "slug");
    if let Err(reason) = write::check_slug(&slug) {
        errors.add_bad_input(&path, reason);
    } else if find_slug_owners(tx, std::slice::from_ref(&slug))
        .await?
        .into_iter()
        .any(|(_, owner_id)| owner_id != excluded_id)
    {
        errors.add(PublicErrorCode::AlreadyExists, &path, format!("another category has, or had, the slug `{slug}`"));
    }
    Ok(slug)
}

/// Generates a slug from the name, with a number appended if it is taken.
async fn generate_unique_slug(tx: &Tx, name: &str, errors: &mut ValidationErrors) -> Result<String> {
    let base_slug = Some(text::slugify(name, MAX_CATEGORY_SLUG_LENGTH))
        .filter(|slug| !slug.is_empty())
        .unwrap_or_else(|| "category".into());
    let mut candidates = vec![base_slug.clone()];
    candidates.extend((2..=MAX_CATEGORY_SLUG_SUFFIX).map(|number| format!("{base_slug}-{number}")));
    let taken_slugs: HashSet<String> =
        find_slug_owners(tx, &candidates).await?.into_iter().map(|(slug, _)| slug).collect();
    let free_slug = candidates.into_iter().find(|slug| !taken_slugs.contains(slug));
    if free_slug.is_none() {
        let message = "every slug that could be made of the name is taken: say one";
        errors.add(PublicErrorCode::AlreadyExists, "input.slug", message);
    }
    Ok(free_slug.unwrap_or(base_slug))
}

/// Returns which of these slugs are taken, with the category's id. Deleted categories keep their slugs.
async fn find_slug_owners(tx: &Tx, slugs: &[String]) -> Result<Vec<(String, i64)>> {
    let mut sql = tx.sql();
    sql.push("SELECT slug, id FROM category WHERE ").eq_any_text("slug", slugs.iter().map(String::as_str));
    let rows = tx.query_all_raw(sql.into_statement()).await?;
    rows.iter().map(|row| Ok((row.try_get("", "slug")?, row.try_get("", "id")?))).collect()
}

fn validate_description(description: Option<String>, errors: &mut ValidationErrors) -> Option<String> {
    let text = description?.trim().to_owned();
    if text.chars().count() > MAX_CATEGORY_DESCRIPTION_LENGTH {
        errors.add_bad_input("input.description", format!("at most {MAX_CATEGORY_DESCRIPTION_LENGTH} characters"));
    }
    Some(text).filter(|text| !text.is_empty())
}

/// Returns the fields of a category that the audit log records.
fn collect_audit_fields(row: &category::Model) -> Map<String, Value> {
    let parent = row.parent_id.map(|parent_id| GlobalId::new(NodeType::Category, parent_id).encode());
    let fields = [
        ("name", json!(row.name)),
        ("slug", json!(row.slug)),
        ("description", json!(row.description)),
        ("parent", json!(parent)),
        ("position", json!(row.position)),
    ];
    fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}
