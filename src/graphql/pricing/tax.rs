//! Tax rates: applied to purchases, managed by staff.

use async_graphql::{Context, ID, InputObject, MaybeUndefined, Object, SimpleObject};
use chrono::{DateTime, Utc};
use rust_decimal::Decimal;

use crate::{
    base::{GlobalId, Patch, Result, global_id::NodeType},
    graphql::scalars::CountryCode,
    graphql::{
        catalog::category::Category,
        context::request_context,
        guard::RequirePermission,
        input::{parse_optional_id, parse_target, reject_null, to_patch},
        payload::payload,
    },
    identity::Permission,
    pricing::{
        EffectiveTaxRate,
        admin::{self, TaxRatePatch},
        tax, tax_rate,
    },
};

/// Tax rate applied to a purchase.
#[derive(Debug, Clone, PartialEq, Eq, SimpleObject)]
pub struct AppliedTax {
    /// Name, such as `VAT`.
    name: String,
    /// Rate in percent of the price.
    percent: Decimal,
    /// Whether the price includes the tax; otherwise it is added.
    included: bool,
}

impl AppliedTax {
    /// Creates a tax of a rate in basis points.
    #[must_use]
    pub fn new(name: String, rate_bps: i32, included: bool) -> Self {
        Self { name, percent: Decimal::new(rate_bps.into(), 2), included }
    }
}

impl From<(String, EffectiveTaxRate)> for AppliedTax {
    fn from((name, rate): (String, EffectiveTaxRate)) -> Self {
        Self::new(name, rate.rate_bps, rate.included)
    }
}

/// Tax rate of a country, or of a category and its descendants in it. The rate of the closest category applies.
#[derive(Debug, Clone)]
pub struct TaxRate(tax_rate::Model);

impl From<tax_rate::Model> for TaxRate {
    fn from(row: tax_rate::Model) -> Self {
        Self(row)
    }
}

/// Tax rate of a country, or of a category and its descendants in it. The rate of the closest category applies.
#[Object]
impl TaxRate {
    /// Global ID.
    pub(in crate::graphql) async fn id(&self) -> ID {
        GlobalId::new(NodeType::TaxRate, self.0.id).encode().into()
    }

    /// Country code (ISO 3166-1 alpha-2), such as `KE`.
    async fn country_code(&self) -> CountryCode {
        CountryCode(self.0.country_code.clone())
    }

    /// Category the rate applies to, with its descendants; null for the country's base rate, which also applies to
    /// shipping.
    async fn category(&self, ctx: &Context<'_>) -> Option<Category> {
        self.0.category_id.and_then(|category_key| Category::find(&request_context(ctx).category_tree(), category_key))
    }

    /// Name, such as `VAT`.
    async fn name(&self) -> &str {
        &self.0.name
    }

    /// Rate in percent of the price.
    async fn percent(&self) -> Decimal {
        admin::tax_rate_percent(&self.0)
    }

    /// Whether prices include the tax; otherwise it is added to them.
    async fn included(&self) -> bool {
        self.0.included_in_price
    }

    /// Version number, incremented by every update; pass it as `expectedVersion` for optimistic locking.
    async fn version(&self) -> i32 {
        self.0.version
    }

    /// Creation time.
    async fn created_at(&self) -> DateTime<Utc> {
        self.0.created_at
    }

    /// Time of the last update.
    async fn updated_at(&self) -> DateTime<Utc> {
        self.0.updated_at
    }
}

/// Input for a new tax rate.
#[derive(Debug, InputObject)]
pub struct TaxRateCreateInput {
    /// Country code (ISO 3166-1 alpha-2), such as `KE`.
    country_code: CountryCode,
    /// ID of the category the rate applies to, with its descendants; omit it for the country's base rate.
    category_id: Option<ID>,
    /// Name, from 1 to 100 characters, such as `VAT`.
    name: String,
    /// Rate in percent, from 0 to 100 with at most two decimals.
    percent: Decimal,
    /// Whether prices include the tax; otherwise it is added to them.
    included: bool,
}

/// Fields of a tax rate to update. Omitted fields are unchanged; country and category cannot be changed.
#[derive(Debug, InputObject)]
pub struct TaxRateUpdateInput {
    /// Name, from 1 to 100 characters.
    name: MaybeUndefined<String>,
    /// Rate in percent, from 0 to 100 with at most two decimals.
    percent: MaybeUndefined<Decimal>,
    /// Whether prices include the tax; otherwise it is added to them.
    included: MaybeUndefined<bool>,
}

payload!(
    /// Payload of the tax rate mutations.
    TaxRatePayload {
        /// Tax rate after the mutation; null if nothing was changed.
        tax_rate: TaxRate
    }
);

payload!(
    /// Payload of `taxRateDelete`.
    TaxRateDeletePayload {
        /// ID of the deleted tax rate; null if nothing was deleted.
        deleted_id: ID
    }
);

/// Tax rate queries.
#[derive(Debug, Default)]
pub struct TaxQuery;

#[Object]
impl TaxQuery {
    /// All tax rates by country, base rates first, for staff; at most 1000.
    #[graphql(guard = "RequirePermission(Permission::ShopWrite)")]
    async fn tax_rates(&self, ctx: &Context<'_>) -> Result<Option<Vec<TaxRate>>> {
        let context = request_context(ctx);
        let rows = tax::list_tax_rates(&context.db).await?;
        context.charge_list_values(ctx, rows.len())?;
        Ok(Some(rows.into_iter().map(TaxRate).collect()))
    }
}

/// Tax rate mutations.
#[derive(Debug, Default)]
pub struct TaxMutation;

#[Object]
impl TaxMutation {
    /// Creates a tax rate of a country, or of a category and its descendants in it.
    #[graphql(guard = "RequirePermission(Permission::ShopWrite)")]
    async fn tax_rate_create(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Tax rate to create.")] input: TaxRateCreateInput,
    ) -> Result<Option<TaxRatePayload>> {
        let created = async {
            let TaxRateCreateInput { country_code, category_id, name, percent, included } = input;
            let category_key = parse_optional_id(category_id, NodeType::Category, "input.categoryId")?;
            let patch = TaxRatePatch { name: Patch::Set(name), percent: Some(percent), included: Some(included) };
            admin::create_tax_rate(&request_context(ctx).db, &country_code.0, category_key, patch).await
        };
        TaxRatePayload::from_result(created.await)
    }

    /// Updates a tax rate. Existing orders keep the rate they were placed with.
    #[graphql(guard = "RequirePermission(Permission::ShopWrite)")]
    async fn tax_rate_update(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "ID of the tax rate.")] id: ID,
        #[graphql(desc = "Fields to update.")] input: TaxRateUpdateInput,
        #[graphql(desc = "Expected current version (optimistic locking); a mismatch returns `VERSION_CONFLICT`.")]
        expected_version: Option<i32>,
    ) -> Result<Option<TaxRatePayload>> {
        let updated = async {
            let target = parse_target(&id, NodeType::TaxRate, (), expected_version)?;
            let TaxRateUpdateInput { name, percent, included } = input;
            let percent = reject_null(percent, false, "input.percent")?;
            let included = reject_null(included, false, "input.included")?;
            let patch = TaxRatePatch { name: to_patch(name), percent, included };
            admin::update_tax_rate(&request_context(ctx).db, target, patch).await
        };
        TaxRatePayload::from_result(updated.await)
    }

    /// Deletes a tax rate. Existing orders keep the rate they were placed with.
    #[graphql(guard = "RequirePermission(Permission::ShopWrite)")]
    async fn tax_rate_delete(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "ID of the tax rate.")] id: ID,
        #[graphql(desc = "Expected current version (optimistic locking); a mismatch returns `VERSION_CONFLICT`.")]
        expected_version: Option<i32>,
    ) -> Result<Option<TaxRateDeletePayload>> {
        let deleted = async {
            let target = parse_target(&id, NodeType::TaxRate, (), expected_version)?;
            admin::delete_tax_rate(&request_context(ctx).db, target).await
        };
        TaxRateDeletePayload::from_result(
            deleted.await.map(|rate_id| GlobalId::new(NodeType::TaxRate, rate_id).encode()),
        )
    }
}
