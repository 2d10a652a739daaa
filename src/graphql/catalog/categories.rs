//! Categories made, changed, moved, deleted and restored.

use async_graphql::{Context, ID, InputObject, MaybeUndefined, Object};

use super::super::{category::Category, context::scope, guard::Can, payload::payload, profile::required};
use crate::{
    base::{Error, GlobalId, Result, id::Kind},
    catalog::{
        Expected,
        category::{self, CategoryEdit, NewCategory},
    },
    identity::Permission,
};

payload!(
    /// What came of making, changing or moving a category.
    CategoryPayload {
        /// The category as it is now, in the tree as it is now; null when it was not written.
        category: Category
    }
);

payload!(
    /// What came of deleting a category.
    CategoryDeletePayload {
        /// The id of the category that is gone; null when it was not deleted.
        deleted_id: ID
    }
);

/// A category to be made.
#[derive(Debug, InputObject)]
pub struct CategoryCreateInput {
    /// What shoppers read: 1 to 200 characters; unique among its siblings.
    name: String,
    /// The category it lies in; a root when nothing is said.
    parent_id: Option<ID>,
    /// The lasting name in addresses; made of the name when nothing is said.
    slug: Option<String>,
    /// A text about the category.
    description: Option<String>,
    /// Its place among its siblings, from 0; the last when nothing is said.
    position: Option<i32>,
}

/// What is to change of a category. What is left out keeps its value.
#[derive(Debug, InputObject)]
pub struct CategoryUpdateInput {
    /// What shoppers read: 1 to 200 characters; unique among its siblings.
    name: MaybeUndefined<String>,
    /// The lasting name in addresses; unique in the shop.
    slug: MaybeUndefined<String>,
    /// A text about the category; null for none.
    description: MaybeUndefined<String>,
}

/// The categories' part of the mutation root.
#[derive(Debug, Default)]
pub struct CategoryMutation;

#[Object]
impl CategoryMutation {
    /// Make a category.
    #[graphql(guard = "Can(Permission::CatalogWrite)")]
    async fn category_create(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The category.")] input: CategoryCreateInput,
    ) -> Result<CategoryPayload> {
        let CategoryCreateInput { name, parent_id, slug, description, position } = input;
        let made = async {
            let parent = parent_id.map(|id| GlobalId::key(&id, Kind::Category, "input.parentId")).transpose()?;
            let new = NewCategory { name, parent, slug, description, position };
            let key = write!(scope(ctx), async |tx| category::create(tx, new.clone()).await)?;
            shown(ctx, key).await
        };
        CategoryPayload::settle(made.await)
    }

    /// Change what is said of a category; the rest stays as it is.
    #[graphql(guard = "Can(Permission::CatalogWrite)")]
    async fn category_update(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The category's id.")] id: ID,
        #[graphql(desc = "What is to change.")] input: CategoryUpdateInput,
        #[graphql(desc = "The version that you have read; when it is another by now, nothing is written.")]
        expected_version: Option<i32>,
    ) -> Result<CategoryPayload> {
        let CategoryUpdateInput { name, slug, description } = input;
        let changed = async {
            let key = key(&id)?;
            let expected = expected_version.map(|version| Expected(version, "expectedVersion".into()));
            let name = required(name, false, "input.name")?;
            let slug = required(slug, false, "input.slug")?;
            let edit = CategoryEdit { expected, name, slug, description: description.into() };
            write!(scope(ctx), async |tx| category::update(tx, key, edit.clone()).await)?;
            shown(ctx, key).await
        };
        CategoryPayload::settle(changed.await)
    }

    /// Move a category, with everything that lies in it, to a place among the children of another or among the roots.
    /// It can never come to lie in itself.
    #[graphql(guard = "Can(Permission::CatalogWrite)")]
    async fn category_move(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The category's id.")] id: ID,
        #[graphql(desc = "The category it is to lie in; a root when nothing is said.")] parent_id: Option<ID>,
        #[graphql(desc = "Its place among its new siblings, from 0; the last when nothing is said.")] position: Option<
            i32,
        >,
    ) -> Result<CategoryPayload> {
        let moved = async {
            let key = key(&id)?;
            let parent = parent_id.map(|id| GlobalId::key(&id, Kind::Category, "parentId")).transpose()?;
            write!(scope(ctx), async |tx| category::shift(tx, key, parent, position).await)?;
            shown(ctx, key).await
        };
        CategoryPayload::settle(moved.await)
    }

    /// Delete a category in which no other lies. Its products must go somewhere else.
    #[graphql(guard = "Can(Permission::CatalogWrite)")]
    async fn category_delete(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The category's id.")] id: ID,
        #[graphql(desc = "The category that its products go to. Without it a category with products is not deleted.")]
        move_products_to: Option<ID>,
    ) -> Result<CategoryDeletePayload> {
        let deleted = async {
            let key = key(&id)?;
            let to = move_products_to.map(|id| GlobalId::key(&id, Kind::Category, "moveProductsTo")).transpose()?;
            write!(scope(ctx), async |tx| category::delete(tx, key, to).await)?;
            scope(ctx).replant().await?;
            Ok(id)
        };
        let deleted: Result<ID> = deleted.await;
        CategoryDeletePayload::settle(deleted)
    }

    /// Bring back a category that was deleted, as the last in the category it lay in. Nothing happens to one that was
    /// not.
    #[graphql(guard = "Can(Permission::CatalogWrite)")]
    async fn category_restore(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The category's id.")] id: ID,
    ) -> Result<CategoryPayload> {
        let restored = async {
            let key = key(&id)?;
            write!(scope(ctx), async |tx| category::restore(tx, key).await)?;
            shown(ctx, key).await
        };
        CategoryPayload::settle(restored.await)
    }
}

fn key(id: &ID) -> Result<i64> {
    GlobalId::key(id, Kind::Category, "id")
}

/// The category in the tree as it is after the change.
async fn shown(ctx: &Context<'_>, key: i64) -> Result<Category> {
    let tree = scope(ctx).replant().await?;
    // Somebody else may have deleted it in between.
    Category::find(&tree, key).ok_or_else(|| Error::not_found("id", "category"))
}
