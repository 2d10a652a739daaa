//! Variant mutations: create, update and delete.

use async_graphql::{Context, ID, Object, SimpleObject};

use super::{extract_variant, inputs::ProductVariantInput, save_product};
use crate::{
    base::{ExpectedVersion, GlobalId, Result, global_id::NodeType},
    catalog::write::{ProductPatch, ProductSelector, VariantPatch, VariantSelector, WrittenProduct},
    graphql::{
        catalog::{product::Product, variant::Variant},
        context::request_context,
        guard::RequirePermission,
        payload::{UserError, payload, split_user_errors},
    },
    identity::Permission,
};

payload!(
    /// Payload of the variant mutations.
    ProductVariantPayload {
        /// Variant after the change; null if nothing was written.
        variant: Variant
    }
);

/// Payload of `productVariantDelete`.
#[derive(Debug, SimpleObject)]
pub struct ProductVariantDeletePayload {
    /// ID of the deleted variant; null if nothing was deleted.
    deleted_id: Option<ID>,
    /// Product without the variant; null if nothing was deleted.
    product: Option<Product>,
    /// Errors that the caller can correct; empty on success.
    user_errors: Vec<UserError>,
}

/// Variant fields of the mutation root.
#[derive(Debug, Default)]
pub struct VariantMutation;

#[Object]
impl VariantMutation {
    /// Adds a variant to a product, after the existing ones. A deleted variant with the same SKU is restored.
    #[graphql(guard = "RequirePermission(Permission::CatalogWrite)")]
    async fn product_variant_create(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "ID of the product.")] product_id: ID,
        #[graphql(desc = "Variant with SKU, price and, if the product has options, one value for each option.")]
        input: ProductVariantInput,
    ) -> Result<Option<ProductVariantPayload>> {
        let created = async {
            let path = "productId".to_owned();
            let product_id = GlobalId::decode_as(&product_id, NodeType::Product, &path)?;
            let selector = ProductSelector::Id { product_id, path };
            extract_variant(
                save_product(
                    request_context(ctx),
                    build_variant_patch(selector, input.into_variant_patch("input", VariantSelector::New)?),
                )
                .await?,
            )
        };
        ProductVariantPayload::from_result(created.await)
    }

    /// Updates the given fields of a variant, including its stock.
    #[graphql(guard = "RequirePermission(Permission::CatalogWrite)")]
    async fn product_variant_update(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "ID of the variant.")] id: ID,
        #[graphql(desc = "Fields to update.")] input: ProductVariantInput,
        #[graphql(desc = "Expected current version (optimistic locking); a mismatch returns `VERSION_CONFLICT`.")]
        expected_version: Option<i32>,
    ) -> Result<Option<ProductVariantPayload>> {
        let updated = async {
            let variant_key = GlobalId::decode_as(&id, NodeType::Variant, "id")?;
            let to_version = |version| ExpectedVersion { version, path: "expectedVersion".into() };
            let patch = VariantPatch {
                expected_version: expected_version.map(to_version),
                ..input.into_variant_patch("input", VariantSelector::Id(variant_key))?
            };
            extract_variant(
                save_product(request_context(ctx), build_variant_patch(select_product(variant_key), patch)).await?,
            )
        };
        ProductVariantPayload::from_result(updated.await)
    }

    /// Deletes a variant; a product keeps at least one.
    #[graphql(guard = "RequirePermission(Permission::CatalogWrite)")]
    async fn product_variant_delete(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "ID of the variant.")] id: ID,
    ) -> Result<Option<ProductVariantDeletePayload>> {
        let deleted = async {
            let variant_key = GlobalId::decode_as(&id, NodeType::Variant, "id")?;
            let patch = VariantPatch { selector: VariantSelector::Delete(variant_key), ..VariantPatch::default() };
            save_product(request_context(ctx), build_variant_patch(select_product(variant_key), patch)).await
        };
        let (deleted, user_errors) = split_user_errors(deleted.await)?;
        let product: Option<Product> = deleted.map(WrittenProduct::into);
        Ok(Some(ProductVariantDeletePayload { deleted_id: product.as_ref().map(|_| id), product, user_errors }))
    }
}

/// Selects the product of a variant.
fn select_product(variant_id: i64) -> ProductSelector {
    ProductSelector::ByVariantId { variant_id, path: "id".into() }
}

/// Returns a patch of one variant of a product.
fn build_variant_patch(selector: ProductSelector, patch: VariantPatch) -> ProductPatch {
    let action = "product.update";
    ProductPatch { path: "input".into(), selector, action, variants: vec![patch], ..ProductPatch::default() }
}
