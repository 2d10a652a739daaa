//! Category mutations: create, update, move, delete and restore.

use async_graphql::{Context, ID, InputObject, MaybeUndefined, Object};

use super::{inputs::ImageInput, write_with_name_retry};
use crate::{
    base::{Error, ExpectedVersion, GlobalId, Patch, Result, global_id::NodeType},
    catalog::category::{self, CategoryPatch, NewCategory},
    graphql::{
        catalog::{category::Category, seo::SeoInput},
        context::request_context,
        guard::RequirePermission,
        input::{reject_null, to_patch},
        payload::payload,
    },
    identity::Permission,
};

payload!(
    /// Payload of the category mutations.
    CategoryPayload {
        /// Category after the change; null if nothing was written.
        category: Category
    }
);

payload!(
    /// Payload of `categoryDelete`.
    CategoryDeletePayload {
        /// ID of the deleted category; null if it was not deleted.
        deleted_id: ID
    }
);

/// Input of `categoryCreate`.
#[derive(Debug, InputObject)]
pub struct CategoryCreateInput {
    /// Category name: 1 to 200 characters, unique among siblings.
    name: String,
    /// Parent category; defaults to the root level.
    parent_id: Option<ID>,
    /// URL slug, unique across categories; defaults to one derived from the name.
    slug: Option<String>,
    /// Description as HTML, sanitized when stored.
    description: Option<String>,
    /// Title and description for search engines.
    seo: Option<SeoInput>,
    /// Image of the category.
    image: Option<ImageInput>,
    /// Position among its siblings, from 0; defaults to the last.
    position: Option<i32>,
}

/// Input of `categoryUpdate`. Omitted fields are unchanged.
#[derive(Debug, InputObject)]
pub struct CategoryUpdateInput {
    /// Category name: 1 to 200 characters, unique among siblings.
    name: MaybeUndefined<String>,
    /// URL slug, unique across categories.
    slug: MaybeUndefined<String>,
    /// Description as HTML, sanitized when stored; null clears it.
    description: MaybeUndefined<String>,
    /// Title and description for search engines; null clears both.
    seo: MaybeUndefined<SeoInput>,
    /// Image of the category; null removes it.
    image: MaybeUndefined<ImageInput>,
}

/// Category fields of the mutation root.
#[derive(Debug, Default)]
pub struct CategoryMutation;

#[Object]
impl CategoryMutation {
    /// Creates a category.
    #[graphql(guard = "RequirePermission(Permission::CatalogWrite)")]
    async fn category_create(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Category to create.")] input: CategoryCreateInput,
    ) -> Result<Option<CategoryPayload>> {
        let CategoryCreateInput { name, parent_id, slug, description, seo, image, position } = input;
        let created = async {
            let parent =
                parent_id.map(|id| GlobalId::decode_as(&id, NodeType::Category, "input.parentId")).transpose()?;
            let (seo_title, seo_description) =
                SeoInput::into_patches(seo.map_or(MaybeUndefined::Undefined, MaybeUndefined::Value));
            let new_category = NewCategory {
                name,
                parent_id: parent,
                slug,
                description,
                seo_title: seo_title.into_value(),
                seo_description: seo_description.into_value(),
                image: image.map(|image| image.into_image("input.image")).transpose()?,
                position,
            };
            let category_id = write_with_name_retry(&request_context(ctx).db, async |tx| {
                category::create_category(tx, new_category.clone()).await
            })
            .await?;
            load_category(ctx, category_id).await
        };
        CategoryPayload::from_result(created.await)
    }

    /// Updates the given fields of a category.
    #[graphql(guard = "RequirePermission(Permission::CatalogWrite)")]
    async fn category_update(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "ID of the category.")] id: ID,
        #[graphql(desc = "Fields to update.")] input: CategoryUpdateInput,
        #[graphql(desc = "Expected current version (optimistic locking); a mismatch returns `VERSION_CONFLICT`.")]
        expected_version: Option<i32>,
    ) -> Result<Option<CategoryPayload>> {
        let CategoryUpdateInput { name, slug, description, seo, image } = input;
        let updated = async {
            let category_id = parse_category_id(&id)?;
            let (seo_title, seo_description) = SeoInput::into_patches(seo);
            let to_version = |version| ExpectedVersion { version, path: "expectedVersion".into() };
            let patch = CategoryPatch {
                expected_version: expected_version.map(to_version),
                name: Patch::from_provided(reject_null(name, false, "input.name")?),
                slug: Patch::from_provided(reject_null(slug, false, "input.slug")?),
                description: to_patch(description),
                seo_title,
                seo_description,
                image: match image {
                    MaybeUndefined::Value(image) => Patch::Set(image.into_image("input.image")?),
                    MaybeUndefined::Null => Patch::Clear,
                    MaybeUndefined::Undefined => Patch::Unchanged,
                },
            };
            write_with_name_retry(&request_context(ctx).db, async |tx| {
                category::update_category(tx, category_id, patch.clone()).await
            })
            .await?;
            load_category(ctx, category_id).await
        };
        CategoryPayload::from_result(updated.await)
    }

    /// Moves a category with its subtree; cycles are rejected.
    #[graphql(guard = "RequirePermission(Permission::CatalogWrite)")]
    async fn category_move(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "ID of the category.")] id: ID,
        #[graphql(desc = "New parent category; defaults to the root level.")] parent_id: Option<ID>,
        #[graphql(desc = "Position among its new siblings, from 0; defaults to the last.")] position: Option<i32>,
    ) -> Result<Option<CategoryPayload>> {
        let moved = async {
            let category_id = parse_category_id(&id)?;
            let new_parent_id =
                parent_id.map(|id| GlobalId::decode_as(&id, NodeType::Category, "parentId")).transpose()?;
            write_with_name_retry(&request_context(ctx).db, async |tx| {
                category::move_category(tx, category_id, new_parent_id, position).await
            })
            .await?;
            load_category(ctx, category_id).await
        };
        CategoryPayload::from_result(moved.await)
    }

    /// Deletes a category without children; its products move to `moveProductsTo`.
    #[graphql(guard = "RequirePermission(Permission::CatalogWrite)")]
    async fn category_delete(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "ID of the category.")] id: ID,
        #[graphql(desc = "Category that receives the products. Required if the category has products.")]
        move_products_to: Option<ID>,
    ) -> Result<Option<CategoryDeletePayload>> {
        let deleted = async {
            let category_id = parse_category_id(&id)?;
            let target_category_id = move_products_to
                .map(|id| GlobalId::decode_as(&id, NodeType::Category, "moveProductsTo"))
                .transpose()?;
            write_with_name_retry(&request_context(ctx).db, async |tx| {
                category::delete_category(tx, category_id, target_category_id).await
            })
            .await?;
            request_context(ctx).refresh_category_tree().await?;
            Ok(id)
        };
        let deleted: Result<ID> = deleted.await;
        CategoryDeletePayload::from_result(deleted)
    }

    /// Restores a deleted category as the last child of its former parent. Idempotent.
    #[graphql(guard = "RequirePermission(Permission::CatalogWrite)")]
    async fn category_restore(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "ID of the category.")] id: ID,
    ) -> Result<Option<CategoryPayload>> {
        let restored = async {
            let category_id = parse_category_id(&id)?;
            write_with_name_retry(&request_context(ctx).db, async |tx| {
                category::restore_category(tx, category_id).await
            })
            .await?;
            load_category(ctx, category_id).await
        };
        CategoryPayload::from_result(restored.await)
    }
}

fn parse_category_id(id: &ID) -> Result<i64> {
    GlobalId::decode_as(id, NodeType::Category, "id")
}

/// Returns the category in the refreshed category tree.
async fn load_category(ctx: &Context<'_>, category_id: i64) -> Result<Category> {
    let category_tree = request_context(ctx).refresh_category_tree().await?;
    // Another transaction may have deleted it since the write.
    Category::find(&category_tree, category_id).ok_or_else(|| Error::not_found("id", "category"))
}
