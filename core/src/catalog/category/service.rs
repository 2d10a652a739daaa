//! Creation and update of a category.

use std::collections::HashSet;

use sea_orm::{ActiveModelTrait, DerivePartialModel, EntityTrait, IntoActiveModel, QueryFilter, Set};
use serde_json::{Value, json};

use super::{
    CategoriesChanged, MAX_CATEGORY_DEPTH, MAX_CATEGORY_SLUG_LENGTH,
    content::CategoryContent,
    ordering::{
        find_active_category, insert_sibling, load_parent_path, load_sibling_ids, renumber_siblings,
        sibling_name_exists, validate_position,
    },
    validate_category_name,
};
use crate::{
    base::{
        Error, ExpectedVersion, GlobalId, Patch, Result, Validator, error::PublicErrorCode, global_id::NodeType, text,
        validation::InputScope,
    },
    catalog::{category_tree, entity::category, loader::ProductImage, write},
    infra::{AuditRecord, Tx, eq_any},
};

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
    /// Description as unsanitized HTML.
    pub description: Option<String>,
    /// Title for search engines.
    pub seo_title: Option<String>,
    /// Description for search engines.
    pub seo_description: Option<String>,
    /// Image.
    pub image: Option<ProductImage>,
    /// Position among its siblings; the last if absent.
    pub position: Option<i32>,
}

/// Changes to a category.
#[derive(Debug, Clone, Default)]
pub struct CategoryPatch {
    /// Expected current version (optimistic locking).
    pub expected_version: Option<ExpectedVersion>,
    /// Display name.
    pub name: Patch,
    /// URL slug.
    pub slug: Patch,
    /// Description as unsanitized HTML.
    pub description: Patch,
    /// Title for search engines.
    pub seo_title: Patch,
    /// Description for search engines.
    pub seo_description: Patch,
    /// Image.
    pub image: Patch<ProductImage>,
}

/// Creates a category and returns its id.
///
/// # Errors
/// Returns all validation errors of the input.
pub async fn create_category(tx: &Tx, input: NewCategory) -> Result<i64> {
    let NewCategory { name, parent_id, slug, description, seo_title, seo_description, image, position } = input;
    category_tree::lock_category_tree(tx).await?;
    let mut validator = Validator::default();
    let parent = validator.collect(load_parent_path(tx, parent_id, "input.parentId").await)?;
    let mut scope = validator.at("input");
    if parent.as_ref().is_some_and(|(_, level)| *level >= MAX_CATEGORY_DEPTH) {
        scope.reject("parentId", format!("a category is at most {MAX_CATEGORY_DEPTH} levels deep"));
    }
    let siblings = parent.is_some().then_some(Siblings { parent_id, excluded_id: 0 });
    let name_normalized = validate_name(tx, &name, siblings, &mut scope).await?;
    let slug = match slug {
        Some(slug) => validate_unique_slug(tx, slug, 0, &mut scope).await?,
        None => generate_unique_slug(tx, &name, &mut scope).await?,
    };
    let mut page = category::Model::default();
    let content = CategoryContent {
        description: Patch::from_provided(description),
        seo_title: Patch::from_provided(seo_title),
        seo_description: Patch::from_provided(seo_description),
        image: Patch::from_provided(image),
    };
    let media = content.lock_media(tx).await?;
    content.apply(&mut page, &media, &mut scope);
    validate_position(position, "position", &mut scope);
    validator.finish()?;

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
        position: final_position,
        path: format!("{}{category_id}/", parent.map_or_else(|| "/".into(), |(path, _)| path)),
        version: 1,
        created_at: tx.now(),
        updated_at: tx.now(),
        deleted_at: None,
        ..page
    };
    let record =
        AuditRecord::created("category.create", (NodeType::Category, category_id), &category_to_audit_json(&row));
    category::Entity::insert(row.into_active_model().reset_all()).exec_without_returning(tx).await?;
    renumber_siblings(tx, &[&sibling_ids]).await?;
    category_tree::bump_tree_version(tx).await?;
    tx.emit_event(CategoriesChanged { made: vec![category_id], ..CategoriesChanged::default() }).await?;
    tx.record_audit(&[record]).await?;
    Ok(category_id)
}

/// Updates a category.
///
/// # Errors
/// Returns `NotFound` if it does not exist, else all validation errors, including `VersionConflict`.
pub async fn update_category(tx: &Tx, category_id: i64, patch: CategoryPatch) -> Result<()> {
    let CategoryPatch { expected_version, name, slug, description, seo_title, seo_description, image } = patch;
    category_tree::lock_category_tree(tx).await?;
    let before = find_active_category(tx, category_id, "id").await?;
    let mut row = before.clone();
    let mut validator = Validator::default();
    validator.check_version(expected_version.as_ref(), before.version);
    let mut scope = validator.at("input");
    if let Some(name) = name.into_value() {
        let siblings = Siblings { parent_id: before.parent_id, excluded_id: category_id };
        row.name_normalized = validate_name(tx, &name, Some(siblings), &mut scope).await?;
        name.trim().clone_into(&mut row.name);
    }
    if let Some(slug) = slug.into_value().filter(|slug| *slug != before.slug) {
        row.slug = validate_unique_slug(tx, slug, category_id, &mut scope).await?;
    }
    let content = CategoryContent { description, seo_title, seo_description, image };
    let media = content.lock_media(tx).await?;
    content.apply(&mut row, &media, &mut scope);
    validator.finish()?;
    if row == before {
        return Ok(());
    }
    let entity = (NodeType::Category, category_id);
    let (fields_before, fields_after) = (category_to_audit_json(&before), category_to_audit_json(&row));
    let record = AuditRecord::updated("category.update", entity, &fields_before, &fields_after);
    let mut active = before.into_active_model();
    active.name = Set(row.name);
    active.name_normalized = Set(row.name_normalized);
    active.slug = Set(row.slug);
    active.description = Set(row.description);
    active.description_html = Set(row.description_html);
    active.seo_title = Set(row.seo_title);
    active.seo_description = Set(row.seo_description);
    active.image = Set(row.image);
    active.image_alt = Set(row.image_alt);
    active.version = Set(row.version + 1);
    active.updated_at = Set(tx.now());
    active.update(tx).await?;
    category_tree::bump_tree_version(tx).await?;
    tx.emit_event(CategoriesChanged { changed: vec![category_id], ..CategoriesChanged::default() }).await?;
    tx.record_audit(record.as_slice()).await
}

/// The siblings of a category, whose names differ from its own.
#[derive(Debug, Clone, Copy)]
struct Siblings {
    parent_id: Option<i64>,
    /// The category itself.
    excluded_id: i64,
}

/// Validates the name of a category and returns it normalized. `siblings` is `None` if the parent is invalid.
async fn validate_name(tx: &Tx, name: &str, siblings: Option<Siblings>, scope: &mut InputScope<'_>) -> Result<String> {
    let name_normalized = text::normalize_text(name);
    if let Err(error) = validate_category_name(name) {
        scope.reject("name", error.to_public_error().message);
    } else if name.trim().contains(char::is_control) {
        scope.reject("name", "a name of one line: no line breaks or other control characters");
    } else if let Some(Siblings { parent_id, excluded_id }) = siblings
        && sibling_name_exists(tx, parent_id, &name_normalized, excluded_id).await?
    {
        let message = format!("there is a category `{}` there already", name.trim());
        scope.reject_as(PublicErrorCode::AlreadyExists, "name", message);
    }
    Ok(name_normalized)
}

/// Validates a slug and that no other category has it, and returns it.
async fn validate_unique_slug(tx: &Tx, slug: String, excluded_id: i64, scope: &mut InputScope<'_>) -> Result<String> {
    if let Err(reason) = write::check_slug(&slug) {
        scope.reject("slug", reason);
    } else {
        let owners = find_slug_owners(tx, std::slice::from_ref(&slug)).await?;
        if owners.iter().any(|owner| owner.id != excluded_id) {
            let message = format!("another category has, or had, the slug `{slug}`");
            scope.reject_as(PublicErrorCode::AlreadyExists, "slug", message);
        }
    }
    Ok(slug)
}

/// Generates a slug from the name, with a number appended if it is taken.
async fn generate_unique_slug(tx: &Tx, name: &str, scope: &mut InputScope<'_>) -> Result<String> {
    let base_slug = Some(text::slugify(name, MAX_CATEGORY_SLUG_LENGTH))
        .filter(|slug| !slug.is_empty())
        .unwrap_or_else(|| "category".into());
    let mut candidates = vec![base_slug.clone()];
    candidates.extend((2..=MAX_CATEGORY_SLUG_SUFFIX).map(|number| format!("{base_slug}-{number}")));
    let taken_slugs: HashSet<String> =
        find_slug_owners(tx, &candidates).await?.into_iter().map(|owner| owner.slug).collect();
    let free_slug = candidates.into_iter().find(|slug| !taken_slugs.contains(slug));
    if free_slug.is_none() {
        let message = "every slug that could be made of the name is taken: say one";
        scope.reject_as(PublicErrorCode::AlreadyExists, "slug", message);
    }
    Ok(free_slug.unwrap_or(base_slug))
}

/// The category of a slug.
#[derive(Debug, DerivePartialModel)]
#[sea_orm(entity = "category::Entity")]
struct SlugOwner {
    id: i64,
    slug: String,
}

/// Returns which of these slugs are taken. Deleted categories keep their slugs. Statements: 1.
async fn find_slug_owners(tx: &Tx, slugs: &[String]) -> Result<Vec<SlugOwner>> {
    let query = category::Entity::find().filter(eq_any(tx, category::Column::Slug, slugs.iter().cloned()));
    Ok(query.into_partial_model().all(tx).await?)
}

/// Returns the fields of a category that the audit log records.
fn category_to_audit_json(row: &category::Model) -> Value {
    json!({
        "name": row.name, "slug": row.slug, "description": row.description, "position": row.position,
        "seoTitle": row.seo_title, "seoDescription": row.seo_description, "image": row.image,
        "parent": row.parent_id.map(|parent_id| GlobalId::new(NodeType::Category, parent_id).encode()),
    })
}
