//! Bulk creation and update of products.
#![expect(clippy::unused_async, reason = "resolvers must be async, even without `.await`")]

use async_graphql::{Context, Object};

use super::{
    super::{
        context::request_context, guard::RequirePermission, payload::UserError, payload::split_user_errors,
        product::Product, profile::reject_null,
    },
    apply_stock_changes,
    inputs::{ProductUpsertInput, add_variants},
    write_with_name_retry,
};
use crate::{
    base::{Error, GlobalId, Result, error::PublicError, global_id::NodeType},
    catalog::{
        ExpectedVersion,
        write::{self, EditedProduct, ProductPatch, ProductSelector, VariantSelector},
    },
    identity::Permission,
};

/// Maximum number of rows per request.
const MAX_UPSERT_ROWS: usize = 1_000;

/// Payload of `productsUpsert`.
#[derive(Debug, Default)]
pub struct ProductsUpsertPayload {
    products: Vec<Option<EditedProduct>>,
    user_errors: Vec<UserError>,
}

/// Payload of `productsUpsert`.
#[Object]
impl ProductsUpsertPayload {
    /// Products in the order of the rows; null for a row that was not written.
    async fn products(&self, ctx: &Context<'_>) -> Result<Vec<Option<Product>>> {
        request_context(ctx).charge_list_values(ctx, self.products.len())?;
        Ok(self.products.iter().map(|product| product.as_ref().map(|product| product.product.clone().into())).collect())
    }

    /// Number of created products.
    async fn created(&self) -> usize {
        self.products.iter().flatten().filter(|product| product.is_new).count()
    }

    /// Number of existing products matched by a row, including unchanged ones.
    async fn updated(&self) -> usize {
        self.products.iter().flatten().filter(|product| !product.is_new).count()
    }

    /// User errors, each with the path of its row: `["input", "17", "price"]`.
    async fn user_errors(&self) -> &[UserError] {
        &self.user_errors
    }
}

/// Bulk fields of the mutation root.
#[derive(Debug, Default)]
pub struct UpsertMutation;

#[Object]
impl UpsertMutation {
    /// Creates or updates up to 1,000 products, matched by ID, slug or SKU. `atomic: true` applies all rows or none.
    #[graphql(guard = "RequirePermission(Permission::CatalogWrite)")]
    async fn products_upsert(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "1 to 1,000 rows, each for a different product.")] input: Vec<ProductUpsertInput>,
        #[graphql(desc = "Applies all rows or none.", default)] atomic: bool,
    ) -> Result<ProductsUpsertPayload> {
        let (products, user_errors) = split_user_errors(upsert_products(ctx, input, atomic).await)?;
        let (products, row_errors) = products.unwrap_or_default();
        let user_errors = user_errors.into_iter().chain(row_errors.into_iter().map(UserError::from)).collect();
        Ok(ProductsUpsertPayload { products, user_errors })
    }
}

type UpsertOutcome = (Vec<Option<EditedProduct>>, Vec<PublicError>);

async fn upsert_products(ctx: &Context<'_>, input: Vec<ProductUpsertInput>, atomic: bool) -> Result<UpsertOutcome> {
    if input.is_empty() || input.len() > MAX_UPSERT_ROWS {
        return Err(Error::bad_input("input", format!("from 1 to {MAX_UPSERT_ROWS} rows; there are {}", input.len())));
    }
    let mut products: Vec<Option<EditedProduct>> = vec![None; input.len()];
    let (mut row_indexes, mut patches, mut user_errors) = (Vec::new(), Vec::new(), Vec::new());
    for (row_index, row) in input.into_iter().enumerate() {
        match parse_row(row_index, row) {
            Ok(patch) => {
                row_indexes.push(row_index);
                patches.push(patch);
            }
            Err(error) => user_errors.extend(error.into_public_errors()?),
        }
    }
    let context = request_context(ctx);
    let currency = context.app_state.config.shop.currency;
    let parse_errors = &user_errors;
    let outcomes = write_with_name_retry(&context.db, async |tx| {
        let outcomes = write::apply_product_patches(tx, currency, &patches).await?;
        if atomic {
            let row_errors = outcomes.iter().filter_map(|outcome| outcome.as_ref().err()).flatten();
            Error::fail_if_any(parse_errors.iter().chain(row_errors).cloned().collect())?;
        }
        let saved = patches.iter().zip(&outcomes).filter_map(|(patch, outcome)| Some((patch, outcome.as_ref().ok()?)));
        apply_stock_changes(tx, &saved.collect::<Vec<_>>()).await?;
        Ok(outcomes)
    })
    .await?;
    for (row_index, outcome) in row_indexes.into_iter().zip(outcomes) {
        match outcome {
            Ok(saved) => products[row_index] = Some(saved),
            Err(row_errors) => user_errors.extend(row_errors),
        }
    }
    Ok((products, user_errors))
}

/// Converts a row into a patch.
fn parse_row(row_index: usize, row: ProductUpsertInput) -> Result<ProductPatch> {
    let path = format!("input.{row_index}");
    let ProductUpsertInput { id, expected_version, name, fields, default_variant, variants } = row;
    let selector = match (&id, fields.slug(), default_variant.sku()) {
        (Some(id), _, _) => {
            let id_path = format!("{path}.id");
            ProductSelector::Id(GlobalId::decode_as(id, NodeType::Product, &id_path)?, id_path)
        }
        (None, None, None) => return Err(Error::bad_input(&path, "say the product's id, its slug or its sku")),
        (None, slug, sku) => ProductSelector::BySlugOrSku(slug.cloned(), sku.cloned()),
    };
    let version_check = expected_version.map(|version| ExpectedVersion(version, format!("{path}.expectedVersion")));
    let name = reject_null(name, false, &format!("{path}.name"))?;
    let patch = ProductPatch {
        selector,
        expected_version: version_check,
        name,
        action: "product.update",
        ..fields.into_product_patch(&path, false)?
    };
    add_variants(patch, default_variant, variants, VariantSelector::BySkuOrOptions)
}
