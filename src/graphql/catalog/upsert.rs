//! Many products at once, made or changed.
#![expect(clippy::unused_async, reason = "a resolver is asynchronous, whether it waits for anything or not")]

use async_graphql::{Context, Object};

use super::{
    super::{context::scope, guard::Can, payload::UserError, payload::settle, product::Product, profile::required},
    inputs::{ProductUpsertInput, with_variants},
    stock,
};
use crate::{
    base::{Error, GlobalId, Result, error::Problem, id::Kind},
    catalog::{
        Expected,
        edit::{self, Edited, Part, ProductEdit, Which},
    },
    identity::Permission,
};

/// The most rows of one request.
const ROWS: usize = 1_000;

/// What came of many products.
#[derive(Debug, Default)]
pub struct ProductsUpsertPayload {
    products: Vec<Option<Edited>>,
    user_errors: Vec<UserError>,
}

/// What came of many products.
#[Object]
impl ProductsUpsertPayload {
    /// The products in the order of the rows; null for a row that was not written.
    async fn products(&self, ctx: &Context<'_>) -> Result<Vec<Option<Product>>> {
        scope(ctx).spend(ctx, self.products.len())?;
        Ok(self.products.iter().map(|one| one.as_ref().map(|one| one.product.clone().into())).collect())
    }

    /// How many of them are new.
    async fn created(&self) -> usize {
        self.products.iter().flatten().filter(|one| one.made).count()
    }

    /// How many were there, whether anything of them has changed or not.
    async fn updated(&self) -> usize {
        self.products.iter().flatten().filter(|one| !one.made).count()
    }

    /// What can be put right, each with the path of its row: `["input", "17", "price"]`.
    async fn user_errors(&self) -> &[UserError] {
        &self.user_errors
    }
}

/// The bulk part of the mutation root.
#[derive(Debug, Default)]
pub struct UpsertMutation;

#[Object]
impl UpsertMutation {
    /// Make or change many products at once: each row by its id, else by its slug, else by its sku. The number of
    /// statements does not depend on how many they are.
    #[graphql(guard = "Can(Permission::CatalogWrite)")]
    async fn products_upsert(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "From 1 to 1,000 rows, each of another product.")] input: Vec<ProductUpsertInput>,
        #[graphql(desc = "All rows or none: when one cannot be written, nothing is.", default)] atomic: bool,
    ) -> Result<ProductsUpsertPayload> {
        let (products, user_errors) = settle(upsert(ctx, input, atomic).await)?;
        let (products, problems) = products.unwrap_or_default();
        let user_errors = user_errors.into_iter().chain(problems.into_iter().map(UserError::from)).collect();
        Ok(ProductsUpsertPayload { products, user_errors })
    }
}

type Upserted = (Vec<Option<Edited>>, Vec<Problem>);

async fn upsert(ctx: &Context<'_>, input: Vec<ProductUpsertInput>, atomic: bool) -> Result<Upserted> {
    if input.is_empty() || input.len() > ROWS {
        return Err(Error::bad_input("input", format!("from 1 to {ROWS} rows; there are {}", input.len())));
    }
    let mut products: Vec<Option<Edited>> = vec![None; input.len()];
    let (mut places, mut edits, mut problems) = (Vec::new(), Vec::new(), Vec::new());
    for (number, row) in input.into_iter().enumerate() {
        match read(number, row) {
            Ok(edit) => {
                places.push(number);
                edits.push(edit);
            }
            Err(why) => problems.extend(why.problems()?),
        }
    }
    let scope = scope(ctx);
    let currency = scope.shared.config.shop.currency;
    let unread = &problems;
    let outcomes = write!(scope, async |tx| {
        let outcomes = edit::edit(tx, currency, &edits).await?;
        if atomic {
            let failed = outcomes.iter().filter_map(|one| one.as_ref().err()).flatten();
            Error::all(unread.iter().chain(failed).cloned().collect())?;
        }
        let edited = edits.iter().zip(&outcomes).filter_map(|(edit, one)| Some((edit, one.as_ref().ok()?)));
        stock(tx, &edited.collect::<Vec<_>>()).await?;
        Ok(outcomes)
    })?;
    for (place, outcome) in places.into_iter().zip(outcomes) {
        match outcome {
            Ok(edited) => products[place] = Some(edited),
            Err(some) => problems.extend(some),
        }
    }
    Ok((products, problems))
}

/// A row as the catalog knows it.
fn read(number: usize, row: ProductUpsertInput) -> Result<ProductEdit> {
    let path = format!("input.{number}");
    let ProductUpsertInput { id, expected_version, name, fields, only, variants } = row;
    let which = match (&id, fields.slug(), only.sku()) {
        (Some(id), _, _) => {
            let id_path = format!("{path}.id");
            Which::Key(GlobalId::key(id, Kind::Product, &id_path)?, id_path)
        }
        (None, None, None) => return Err(Error::bad_input(&path, "say the product's id, its slug or its sku")),
        (None, slug, sku) => Which::Named(slug.cloned(), sku.cloned()),
    };
    let expected = expected_version.map(|version| Expected(version, format!("{path}.expectedVersion")));
    let name = required(name, false, &format!("{path}.name"))?;
    let edit = ProductEdit { which, expected, name, action: "product.update", ..fields.edit(&path, false)? };
    with_variants(edit, only, variants, Part::Matched)
}
