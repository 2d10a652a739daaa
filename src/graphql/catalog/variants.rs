//! Variant mutations: create, update and delete.

use async_graphql::{Context, ID, Object};

use super::{
    super::{context::request_context, guard::RequirePermission, payload::payload, product::Product, variant::Variant},
    extract_variant,
    inputs::ProductVariantInput,
    save_product,
};
use crate::{
    base::{GlobalId, Result, global_id::NodeType},
    catalog::{
        ExpectedVersion,
        write::{EditedProduct, ProductPatch, ProductSelector, VariantPatch, VariantSelector},
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

payload!(
    /// Payload of `variantDelete`.
    ProductVariantDeletePayload {
        /// Product without the variant; null if the variant was not deleted.
        product: Product
    }
);

/// Variant fields of the mutation root.
#[derive(Debug, Default)]
pub struct VariantMutation;

#[Object]
impl VariantMutation {
    /// Adds a variant to a product, after the existing ones. A deleted variant with the same SKU is restored.
    #[graphql(guard = "RequirePermission(Permission::CatalogWrite)")]
    async fn variant_create(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "ID of the product.")] product_id: ID,
        #[graphql(desc = "Variant with SKU, price and, if the product has options, one value for each option.")]
        input: ProductVariantInput,
    ) -> Result<ProductVariantPayload> {
        let created = async {
            let product_key = GlobalId::decode_as(&product_id, NodeType::Product, "productId")?;
            let selector = ProductSelector::Id(product_key, "productId".into());
            extract_variant(
                save_product(
                    request_context(ctx),
                    build_variant_patch(selector, input.into_variant_patch("input".into(), VariantSelector::New)?),
                )
                .await?,
            )
        };
        ProductVariantPayload::from_result(created.await)
    }

    /// Updates the given fields of a variant, including its stock.
    #[graphql(guard = "RequirePermission(Permission::CatalogWrite)")]
    async fn variant_update(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "ID of the variant.")] id: ID,
        #[graphql(desc = "Fields to update.")] input: ProductVariantInput,
        #[graphql(desc = "Expected current version (optimistic locking); a mismatch returns `VERSION_CONFLICT`.")]
        expected_version: Option<i32>,
    ) -> Result<ProductVariantPayload> {
        let updated = async {
            let variant_key = GlobalId::decode_as(&id, NodeType::Variant, "id")?;
            let version_check = expected_version.map(|version| ExpectedVersion(version, "expectedVersion".into()));
            let patch = VariantPatch {
                expected_version: version_check,
                ..input.into_variant_patch("input".into(), VariantSelector::Id(variant_key))?
            };
            extract_variant(
                save_product(
                    request_context(ctx),
                    build_variant_patch(ProductSelector::ByVariantId(variant_key, "id".into()), patch),
                )
                .await?,
            )
        };
        ProductVariantPayload::from_result(updated.await)
    }

    /// Deletes a variant; a product keeps at least one.
    #[graphql(guard = "RequirePermission(Permission::CatalogWrite)")]
    async fn variant_delete(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "ID of the variant.")] id: ID,
    ) -> Result<ProductVariantDeletePayload> {
        let deleted = async {
            let variant_key = GlobalId::decode_as(&id, NodeType::Variant, "id")?;
            let patch = VariantPatch { selector: VariantSelector::Delete(variant_key), ..VariantPatch::default() };
            save_product(
                request_context(ctx),
                build_variant_patch(ProductSelector::ByVariantId(variant_key, "id".into()), patch),
            )
            .await
        };
        let deleted: Result<EditedProduct> = deleted.await;
        ProductVariantDeletePayload::from_result(deleted)
    }
}

/// Returns a patch of one variant of a product.
fn build_variant_patch(selector: ProductSelector, patch: VariantPatch) -> ProductPatch {
    let action = "product.update";
    ProductPatch { path: "input".into(), selector, action, variants: vec![patch], ..ProductPatch::default() }
}
