//! Product mutations: create, update, publish, archive, delete and restore.

use async_graphql::{Context, ID, Object};

use super::{
    inputs::{ProductCreateInput, ProductUpdateInput},
    save_product,
};
use crate::{
    base::{GlobalId, Patch, Result, global_id::NodeType},
    catalog::{
        PublicationStatus,
        write::{ProductPatch, ProductSelector, WrittenProduct},
    },
    graphql::{catalog::product::Product, context::request_context, guard::RequirePermission, payload::payload},
    identity::Permission,
};

payload!(
    /// Payload of the product mutations.
    ProductPayload {
        /// Product after the change; null if nothing was written.
        product: Product
    }
);

payload!(
    /// Payload of `productDelete`.
    ProductDeletePayload {
        /// ID of the deleted product; null if it was not deleted.
        deleted_id: ID
    }
);

/// Product fields of the mutation root.
#[derive(Debug, Default)]
pub struct ProductMutation;

#[Object]
impl ProductMutation {
    /// Creates a draft product: either a single variant with SKU and price, or options and variants.
    #[graphql(guard = "RequirePermission(Permission::CatalogWrite)")]
    async fn product_create(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Product to create.")] input: ProductCreateInput,
    ) -> Result<Option<ProductPayload>> {
        let created = async { save_product(request_context(ctx), input.into_product_patch()?).await };
        ProductPayload::from_result(created.await)
    }

    /// Updates the given fields of a product.
    #[graphql(guard = "RequirePermission(Permission::CatalogWrite)")]
    async fn product_update(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "ID of the product.")] id: ID,
        #[graphql(desc = "Fields to update.")] input: ProductUpdateInput,
        #[graphql(desc = "Expected current version (optimistic locking); a mismatch returns `VERSION_CONFLICT`.")]
        expected_version: Option<i32>,
    ) -> Result<Option<ProductPayload>> {
        let updated = async {
            save_product(
                request_context(ctx),
                input.into_product_patch(parse_product_selector(&id)?, expected_version)?,
            )
            .await
        };
        ProductPayload::from_result(updated.await)
    }

    /// Publishes a product: makes it visible to all callers. Idempotent.
    #[graphql(guard = "RequirePermission(Permission::CatalogWrite)")]
    async fn product_publish(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "ID of the product.")] id: ID,
    ) -> Result<Option<ProductPayload>> {
        let status = Patch::Set(PublicationStatus::Active);
        let patch = ProductPatch { status, action: "product.publish", ..ProductPatch::default() };
        ProductPayload::from_result(save_product_patch(ctx, &id, patch).await)
    }

    /// Archives a product: only staff can see it. Idempotent.
    #[graphql(guard = "RequirePermission(Permission::CatalogWrite)")]
    async fn product_archive(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "ID of the product.")] id: ID,
    ) -> Result<Option<ProductPayload>> {
        let status = Patch::Set(PublicationStatus::Archived);
        let patch = ProductPatch { status, action: "product.archive", ..ProductPatch::default() };
        ProductPayload::from_result(save_product_patch(ctx, &id, patch).await)
    }

    /// Soft-deletes a product; its slug and SKUs stay reserved. Idempotent.
    #[graphql(guard = "RequirePermission(Permission::CatalogWrite)")]
    async fn product_delete(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "ID of the product.")] id: ID,
    ) -> Result<Option<ProductDeletePayload>> {
        let patch = ProductPatch { deleted: Patch::Set(true), action: "product.delete", ..ProductPatch::default() };
        ProductDeletePayload::from_result(save_product_patch(ctx, &id, patch).await.map(|_| id))
    }

    /// Restores a deleted product. Idempotent.
    #[graphql(guard = "RequirePermission(Permission::CatalogWrite)")]
    async fn product_restore(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "ID of the product.")] id: ID,
    ) -> Result<Option<ProductPayload>> {
        let patch = ProductPatch { deleted: Patch::Set(false), action: "product.restore", ..ProductPatch::default() };
        ProductPayload::from_result(save_product_patch(ctx, &id, patch).await)
    }
}

/// Returns the selector of the product with this ID.
fn parse_product_selector(id: &ID) -> Result<ProductSelector> {
    let product_id = GlobalId::decode_as(id, NodeType::Product, "id")?;
    Ok(ProductSelector::Id { product_id, path: "id".into() })
}

async fn save_product_patch(ctx: &Context<'_>, id: &ID, patch: ProductPatch) -> Result<WrittenProduct> {
    save_product(request_context(ctx), ProductPatch { selector: parse_product_selector(id)?, ..patch }).await
}
