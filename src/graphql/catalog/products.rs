//! Products made, changed, published, withdrawn, deleted and restored.

use async_graphql::{Context, ID, Object};

use super::{
    super::{context::scope, guard::Can, payload::payload, product::Product},
    inputs::{ProductCreateInput, ProductUpdateInput},
    save,
};
use crate::{
    base::{GlobalId, Result, id::Kind},
    catalog::{
        Status,
        edit::{Edited, ProductEdit, Which},
    },
    identity::Permission,
};

payload!(
    /// What came of making or changing a product.
    ProductPayload {
        /// The product as it is now; null when it was not written.
        product: Product
    }
);

payload!(
    /// What came of deleting a product.
    ProductDeletePayload {
        /// The id of the product that is gone; null when it was not deleted.
        deleted_id: ID
    }
);

/// The products' part of the mutation root.
#[derive(Debug, Default)]
pub struct ProductMutation;

#[Object]
impl ProductMutation {
    /// Make a product: a simple one with its sku and price, or one with options and variants. It is a draft until it is
    /// published.
    #[graphql(guard = "Can(Permission::CatalogWrite)")]
    async fn product_create(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The product.")] input: ProductCreateInput,
    ) -> Result<ProductPayload> {
        let made = async { save(scope(ctx), input.edit()?).await };
        ProductPayload::settle(made.await)
    }

    /// Change what is said of a product; the rest stays as it is.
    #[graphql(guard = "Can(Permission::CatalogWrite)")]
    async fn product_update(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The product's id.")] id: ID,
        #[graphql(desc = "What is to change.")] input: ProductUpdateInput,
        #[graphql(desc = "The version that you have read; when it is another by now, nothing is written.")]
        expected_version: Option<i32>,
    ) -> Result<ProductPayload> {
        let changed = async { save(scope(ctx), input.edit(named(&id)?, expected_version)?).await };
        ProductPayload::settle(changed.await)
    }

    /// Put a product on sale: everybody sees it. Nothing happens to one that is.
    #[graphql(guard = "Can(Permission::CatalogWrite)")]
    async fn product_publish(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The product's id.")] id: ID,
    ) -> Result<ProductPayload> {
        let status = Some(Status::Active);
        let edit = ProductEdit { status, action: "product.publish", ..ProductEdit::default() };
        ProductPayload::settle(change(ctx, &id, edit).await)
    }

    /// Withdraw a product: only staff see it. Nothing happens to one that is.
    #[graphql(guard = "Can(Permission::CatalogWrite)")]
    async fn product_archive(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The product's id.")] id: ID,
    ) -> Result<ProductPayload> {
        let status = Some(Status::Archived);
        let edit = ProductEdit { status, action: "product.archive", ..ProductEdit::default() };
        ProductPayload::settle(change(ctx, &id, edit).await)
    }

    /// Delete a product: nobody sees it any more, until it is restored. Its slug and its skus stay its own.
    #[graphql(guard = "Can(Permission::CatalogWrite)")]
    async fn product_delete(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The product's id.")] id: ID,
    ) -> Result<ProductDeletePayload> {
        let edit = ProductEdit { deleted: Some(true), action: "product.delete", ..ProductEdit::default() };
        ProductDeletePayload::settle(change(ctx, &id, edit).await.map(|_| id))
    }

    /// Bring back a product that was deleted, as it was. Nothing happens to one that was not.
    #[graphql(guard = "Can(Permission::CatalogWrite)")]
    async fn product_restore(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The product's id.")] id: ID,
    ) -> Result<ProductPayload> {
        let edit = ProductEdit { deleted: Some(false), action: "product.restore", ..ProductEdit::default() };
        ProductPayload::settle(change(ctx, &id, edit).await)
    }
}

/// The product of an id.
fn named(id: &ID) -> Result<Which> {
    Ok(Which::Key(GlobalId::key(id, Kind::Product, "id")?, "id".into()))
}

async fn change(ctx: &Context<'_>, id: &ID, edit: ProductEdit) -> Result<Edited> {
    save(scope(ctx), ProductEdit { which: named(id)?, ..edit }).await
}
