//! Bulk creation and update of products.
#![expect(clippy::unused_async, reason = "resolvers must be async, even without `.await`")]

use async_graphql::{Context, Object};

use super::{inputs::ProductUpsertInput, write_with_name_retry};
use crate::{
    base::{Error, Result, error::PublicError},
    catalog::write::WrittenProduct,
    graphql::{
        catalog::product::Product,
        context::request_context,
        guard::RequirePermission,
        payload::{UserError, split_user_errors},
    },
    identity::Permission,
    inventory::{self, InvalidProductPolicy},
};

/// Maximum number of rows per request.
const MAX_UPSERT_ROWS: usize = 1_000;

/// Payload of `productsUpsert`.
#[derive(Debug, Default)]
pub struct ProductsUpsertPayload {
    products: Vec<Option<WrittenProduct>>,
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

    /// User errors, each with the path of its row: `["products", "17", "price"]`.
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
        #[graphql(desc = "1 to 1,000 rows, each for a different product.")] products: Vec<ProductUpsertInput>,
        #[graphql(desc = "Applies all rows or none.", default)] atomic: bool,
    ) -> Result<Option<ProductsUpsertPayload>> {
        let (products, user_errors) = split_user_errors(upsert_products(ctx, products, atomic).await)?;
        let (products, row_errors) = products.unwrap_or_default();
        let user_errors = user_errors.into_iter().chain(row_errors.into_iter().map(UserError::from)).collect();
        Ok(Some(ProductsUpsertPayload { products, user_errors }))
    }
}

type UpsertOutcome = (Vec<Option<WrittenProduct>>, Vec<PublicError>);

async fn upsert_products(ctx: &Context<'_>, input: Vec<ProductUpsertInput>, atomic: bool) -> Result<UpsertOutcome> {
    if input.is_empty() || input.len() > MAX_UPSERT_ROWS {
        return Err(Error::bad_input(
            "products",
            format!("from 1 to {MAX_UPSERT_ROWS} rows; there are {}", input.len()),
        ));
    }
    let mut products: Vec<Option<WrittenProduct>> = vec![None; input.len()];
    let (mut row_indexes, mut patches, mut user_errors) = (Vec::new(), Vec::new(), Vec::new());
    for (row_index, row) in input.into_iter().enumerate() {
        match row.into_product_patch(row_index) {
            Ok(patch) => {
                row_indexes.push(row_index);
                patches.push(patch);
            }
            Err(error) => user_errors.extend(error.into_public_errors()?),
        }
    }
    let context = request_context(ctx);
    let currency = context.app_state.config.shop.currency;
    let policy = if atomic { InvalidProductPolicy::FailAll(&user_errors) } else { InvalidProductPolicy::Skip };
    let outcomes =
        write_with_name_retry(&context.db, async |tx| inventory::write_products(tx, currency, &patches, policy).await)
            .await?;
    for (row_index, outcome) in row_indexes.into_iter().zip(outcomes) {
        match outcome {
            Ok(saved) => products[row_index] = Some(saved),
            Err(row_errors) => user_errors.extend(row_errors),
        }
    }
    Ok((products, user_errors))
}
