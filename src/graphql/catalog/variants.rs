//! Variants made, changed and deleted.

use async_graphql::{Context, ID, Object};

use super::{
    super::{context::scope, guard::Can, payload::payload, product::Product, variant::Variant},
    inputs::ProductVariantInput,
    said, save,
};
use crate::{
    base::{GlobalId, Result, id::Kind},
    catalog::{
        Expected,
        edit::{Edited, Part, ProductEdit, VariantEdit, Which},
    },
    identity::Permission,
};

payload!(
    /// What came of making or changing a variant.
    ProductVariantPayload {
        /// The variant as it is now; null when it was not written.
        variant: Variant
    }
);

payload!(
    /// What came of deleting a variant.
    ProductVariantDeletePayload {
        /// The product as it is without it; null when it was not deleted.
        product: Product
    }
);

/// The variants' part of the mutation root.
#[derive(Debug, Default)]
pub struct VariantMutation;

#[Object]
impl VariantMutation {
    /// Add a variant to a product, after those that are there. One that was deleted comes back by its sku.
    #[graphql(guard = "Can(Permission::CatalogWrite)")]
    async fn variant_create(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The product's id.")] product_id: ID,
        #[graphql(desc = "The variant: its sku, its price and, where the product has options, a value for each.")]
        input: ProductVariantInput,
    ) -> Result<ProductVariantPayload> {
        let made = async {
            let key = GlobalId::key(&product_id, Kind::Product, "productId")?;
            let which = Which::Key(key, "productId".into());
            said(save(scope(ctx), edit(which, input.edit("input".into(), Part::New)?)).await?)
        };
        ProductVariantPayload::settle(made.await)
    }

    /// Change what is said of a variant, its stock too; the rest stays as it is.
    #[graphql(guard = "Can(Permission::CatalogWrite)")]
    async fn variant_update(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The variant's id.")] id: ID,
        #[graphql(desc = "What is to change.")] input: ProductVariantInput,
        #[graphql(desc = "The version that you have read; when it is another by now, nothing is written.")]
        expected_version: Option<i32>,
    ) -> Result<ProductVariantPayload> {
        let changed = async {
            let key = GlobalId::key(&id, Kind::Variant, "id")?;
            let expected = expected_version.map(|version| Expected(version, "expectedVersion".into()));
            let one = VariantEdit { expected, ..input.edit("input".into(), Part::Key(key))? };
            said(save(scope(ctx), edit(Which::OfVariant(key, "id".into()), one)).await?)
        };
        ProductVariantPayload::settle(changed.await)
    }

    /// Delete a variant. A product keeps one at least.
    #[graphql(guard = "Can(Permission::CatalogWrite)")]
    async fn variant_delete(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The variant's id.")] id: ID,
    ) -> Result<ProductVariantDeletePayload> {
        let deleted = async {
            let key = GlobalId::key(&id, Kind::Variant, "id")?;
            let one = VariantEdit { which: Part::Gone(key), ..VariantEdit::default() };
            save(scope(ctx), edit(Which::OfVariant(key, "id".into()), one)).await
        };
        let deleted: Result<Edited> = deleted.await;
        ProductVariantDeletePayload::settle(deleted)
    }
}

/// An edit of one variant of a product.
fn edit(which: Which, one: VariantEdit) -> ProductEdit {
    let action = "product.update";
    ProductEdit { path: "input".into(), which, action, variants: vec![one], ..ProductEdit::default() }
}
