//! Rates of tax: told with what is bought, and set by staff.

use async_graphql::{Context, ID, InputObject, MaybeUndefined, Object, SimpleObject};
use chrono::{DateTime, Utc};
use rust_decimal::Decimal;

use super::{
    category::Category,
    context::scope,
    guard::Can,
    payload::payload,
    profile::{patch, required},
};
use crate::{
    base::{GlobalId, Patch, Result, id::Kind},
    identity::Permission,
    pricing::{
        Rate,
        change::{self, RateChange, Target},
        tax, tax_rate,
    },
};

/// The tax on something that is bought.
#[derive(Debug, Clone, PartialEq, Eq, SimpleObject)]
pub struct AppliedTax {
    /// What it is called: `VAT`.
    name: String,
    /// How much of the price, in percent.
    percent: Decimal,
    /// Whether the price contains it; else it is added.
    included: bool,
}

impl From<(String, Rate)> for AppliedTax {
    fn from((name, rate): (String, Rate)) -> Self {
        Self { name, percent: Decimal::new(rate.basis_points.into(), 2), included: rate.included }
    }
}

/// What is taxed in a country: everything, or a category with all below it. The nearest category's rate counts.
#[derive(Debug, Clone)]
pub struct TaxRate(tax_rate::Model);

impl From<tax_rate::Model> for TaxRate {
    fn from(row: tax_rate::Model) -> Self {
        Self(row)
    }
}

/// What is taxed in a country: everything, or a category with all below it. The nearest category's rate counts.
#[Object]
impl TaxRate {
    /// The lasting id.
    async fn id(&self) -> ID {
        GlobalId::new(Kind::TaxRate, self.0.id).encode().into()
    }

    /// The country by ISO 3166-1: `KE`.
    async fn country_code(&self) -> &str {
        &self.0.country_code
    }

    /// The category it is for, with all below; null for everything else in the country, and for shipping.
    async fn category(&self, ctx: &Context<'_>) -> Option<Category> {
        self.0.category_id.and_then(|key| Category::find(&scope(ctx).tree(), key))
    }

    /// What it is called: `VAT`.
    async fn name(&self) -> &str {
        &self.0.name
    }

    /// How much of the price, in percent.
    async fn percent(&self) -> Decimal {
        change::percent(&self.0)
    }

    /// Whether prices contain it; else it is added to them.
    async fn included(&self) -> bool {
        self.0.included
    }

    /// Counts changes: hand it to the next change as `expectedVersion` to be told when others were faster.
    async fn version(&self) -> i32 {
        self.0.version
    }

    /// When it was made.
    async fn created_at(&self) -> DateTime<Utc> {
        self.0.created_at
    }

    /// When it was last changed.
    async fn updated_at(&self) -> DateTime<Utc> {
        self.0.updated_at
    }
}

/// A rate of tax that is to be made.
#[derive(Debug, InputObject)]
pub struct TaxRateCreateInput {
    /// The two letters of ISO 3166-1: `KE`.
    country_code: String,
    /// The category it is for, with all below; everything else in the country when it is not said.
    category_id: Option<ID>,
    /// What it is called, from 1 to 100 characters: `VAT`.
    name: String,
    /// From 0 to 100, with at most two decimals.
    percent: Decimal,
    /// Whether prices contain it; else it is added to them.
    included: bool,
}

/// What is to be said of a rate of tax. What is left out stays as it is; where it holds cannot be changed.
#[derive(Debug, InputObject)]
pub struct TaxRateUpdateInput {
    /// What it is called, from 1 to 100 characters.
    name: MaybeUndefined<String>,
    /// From 0 to 100, with at most two decimals.
    percent: MaybeUndefined<Decimal>,
    /// Whether prices contain it; else it is added to them.
    included: MaybeUndefined<bool>,
}

payload!(
    /// What came of making or changing a rate of tax.
    TaxRatePayload {
        /// The rate as it is now; null when nothing was written.
        tax_rate: TaxRate
    }
);

payload!(
    /// What came of deleting a rate of tax.
    TaxRateDeletePayload {
        /// The id of the rate that is gone; null when it is not.
        deleted_tax_rate_id: ID
    }
);

/// The taxes' part of the query root.
#[derive(Debug, Default)]
pub struct TaxQuery;

#[Object]
impl TaxQuery {
    /// All rates of tax by country, each country's own first, for staff; at most 1000. One statement.
    #[graphql(guard = "Can(Permission::ShopWrite)")]
    async fn tax_rates(&self, ctx: &Context<'_>) -> Result<Vec<TaxRate>> {
        let scope = scope(ctx);
        let rows = tax::all(&scope.db).await?;
        scope.spend(ctx, rows.len())?;
        Ok(rows.into_iter().map(TaxRate).collect())
    }
}

/// The taxes' part of the mutation root.
#[derive(Debug, Default)]
pub struct TaxMutation;

#[Object]
impl TaxMutation {
    /// Tax a country, or a category in it with all below.
    #[graphql(guard = "Can(Permission::ShopWrite)")]
    async fn tax_rate_create(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The rate.")] input: TaxRateCreateInput,
    ) -> Result<TaxRatePayload> {
        let made = async {
            let TaxRateCreateInput { country_code, category_id, name, percent, included } = input;
            let key = |id: ID| GlobalId::key(&id, Kind::Category, "input.categoryId");
            let category = category_id.map(key).transpose()?;
            let change = RateChange { name: Patch::Set(name), percent: Some(percent), included: Some(included) };
            scope(ctx).db.write(async |tx| change::create_rate(tx, &country_code, category, change).await).await
        };
        TaxRatePayload::settle(made.await)
    }

    /// Change a rate of tax. What was ordered keeps the rate it was ordered at.
    #[graphql(guard = "Can(Permission::ShopWrite)")]
    async fn tax_rate_update(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The rate's id.")] id: ID,
        #[graphql(desc = "What is to be said of it.")] input: TaxRateUpdateInput,
        #[graphql(desc = "The version you know; the change is refused when others were faster.")]
        expected_version: Option<i32>,
    ) -> Result<TaxRatePayload> {
        let changed = async {
            let target = Target { key: GlobalId::key(&id, Kind::TaxRate, "id")?, expected: expected_version };
            let TaxRateUpdateInput { name, percent, included } = input;
            let percent = required(percent, false, "input.percent")?;
            let included = required(included, false, "input.included")?;
            let change = RateChange { name: patch(name), percent, included };
            scope(ctx).db.write(async |tx| change::update_rate(tx, target, change).await).await
        };
        TaxRatePayload::settle(changed.await)
    }

    /// Delete a rate of tax. What was ordered keeps the rate it was ordered at.
    #[graphql(guard = "Can(Permission::ShopWrite)")]
    async fn tax_rate_delete(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The rate's id.")] id: ID,
        #[graphql(desc = "The version you know; nothing is deleted when others were faster.")] expected_version: Option<
            i32,
        >,
    ) -> Result<TaxRateDeletePayload> {
        let gone = async {
            let target = Target { key: GlobalId::key(&id, Kind::TaxRate, "id")?, expected: expected_version };
            scope(ctx).db.write(async |tx| change::delete_rate(tx, target).await).await
        };
        TaxRateDeletePayload::settle(gone.await.map(|key| GlobalId::new(Kind::TaxRate, key).encode()))
    }
}
