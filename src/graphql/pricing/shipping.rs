//! Shipping methods: selected by customers, managed by staff.

use async_graphql::{Context, Enum, ID, InputObject, MaybeUndefined, Object};
use chrono::{DateTime, Utc};
use rust_decimal::Decimal;

use crate::{
    base::{Error, GlobalId, Patch, Result, global_id::NodeType},
    graphql::{
        batched::Batched,
        context::request_context,
        guard::RequirePermission,
        input::{parse_target, reject_null, to_patch},
        payload::payload,
        scalars::{CountryCode, MoneyObject, clamp_to_i32},
    },
    identity::Permission,
    pricing::{
        ShippingKind,
        admin::{self, ShippingMethodPatch},
        shipping, shipping_method,
    },
};

/// Rate type of a shipping method.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(name = "ShippingMethodKind", remote = "ShippingKind")]
pub enum ShippingMethodKind {
    /// Flat rate per order.
    Flat,
    /// Rate by weight, per started kilogram.
    Weight,
}

/// Shipping method.
#[derive(Debug, Clone)]
pub struct ShippingMethod(shipping_method::Model);

impl From<shipping_method::Model> for ShippingMethod {
    fn from(row: shipping_method::Model) -> Self {
        Self(row)
    }
}

/// Shipping method.
#[Object]
impl ShippingMethod {
    /// Global ID.
    pub(in crate::graphql) async fn id(&self) -> ID {
        GlobalId::new(NodeType::ShippingMethod, self.0.id).encode().into()
    }

    /// Display name.
    async fn name(&self) -> &str {
        &self.0.name
    }

    /// Description; null if there is none.
    async fn description(&self) -> Option<&str> {
        self.0.description.as_deref()
    }

    /// Destination country codes (ISO 3166-1 alpha-2); empty means every country.
    async fn countries(&self) -> Vec<CountryCode> {
        self.0.destinations().map(|code| CountryCode(code.to_owned())).collect()
    }

    /// Rate type.
    async fn kind(&self) -> ShippingMethodKind {
        self.0.kind.into()
    }

    /// Base price per order.
    async fn price(&self, ctx: &Context<'_>) -> Batched<MoneyObject> {
        request_context(ctx).money(self.0.price)
    }

    /// Price per started kilogram, added to the base price; null for a flat rate.
    async fn price_per_kg(&self, ctx: &Context<'_>) -> Option<Batched<MoneyObject>> {
        self.0.price_per_kg.map(|minor_units| request_context(ctx).money(minor_units))
    }

    /// Minimum weight in grams; null for no minimum.
    async fn min_grams(&self) -> Option<i32> {
        self.0.min_weight_grams.map(clamp_to_i32)
    }

    /// Maximum weight in grams; null for no maximum.
    async fn max_grams(&self) -> Option<i32> {
        self.0.max_weight_grams.map(clamp_to_i32)
    }

    /// Discounted subtotal from which shipping is free; null if it never is.
    async fn free_from(&self, ctx: &Context<'_>) -> Option<Batched<MoneyObject>> {
        self.0.free_shipping_threshold.map(|minor_units| request_context(ctx).money(minor_units))
    }

    /// Whether shipping is taxed, at the rate of the destination country.
    async fn taxable(&self) -> bool {
        self.0.taxable
    }

    /// Position in the list, ascending.
    async fn position(&self) -> i32 {
        self.0.position
    }

    /// Whether customers can select it.
    async fn active(&self) -> bool {
        self.0.active
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

/// Input for a new shipping method.
#[derive(Debug, InputObject)]
pub struct ShippingMethodCreateInput {
    /// Display name, from 1 to 100 characters.
    name: String,
    /// Description, at most 1000 characters.
    description: Option<String>,
    /// Destination country codes (ISO 3166-1 alpha-2); empty means every country.
    #[graphql(default)]
    countries: Vec<CountryCode>,
    /// Base price per order.
    price: Decimal,
    /// Price per started kilogram, added to the base price; null for a flat rate.
    price_per_kg: Option<Decimal>,
    /// Minimum weight in grams.
    min_grams: Option<i32>,
    /// Maximum weight in grams.
    max_grams: Option<i32>,
    /// Discounted subtotal from which shipping is free.
    free_from: Option<Decimal>,
    /// Whether shipping is taxed, at the rate of the destination country.
    #[graphql(default = true)]
    taxable: bool,
    /// Position in the list, ascending.
    #[graphql(default)]
    position: i32,
    /// Whether customers can select it.
    #[graphql(default = true)]
    active: bool,
}

impl From<ShippingMethodCreateInput> for ShippingMethodPatch {
    fn from(input: ShippingMethodCreateInput) -> Self {
        let ShippingMethodCreateInput {
            name,
            description,
            countries,
            price,
            price_per_kg,
            min_grams,
            max_grams,
            free_from,
            taxable,
            position,
            active,
        } = input;
        Self {
            name: Patch::Set(name),
            description: Patch::from_option(description),
            countries: Some(countries.into_iter().map(Into::into).collect()),
            price: Some(price),
            price_per_kg: Patch::from_option(price_per_kg),
            min_weight_grams: Patch::from_option(min_grams),
            max_weight_grams: Patch::from_option(max_grams),
            free_shipping_threshold: Patch::from_option(free_from),
            taxable: Some(taxable),
            position: Some(position),
            active: Some(active),
        }
    }
}

/// Fields of a shipping method to update. Omitted fields are unchanged; null clears a field.
#[derive(Debug, InputObject)]
pub struct ShippingMethodUpdateInput {
    /// Display name, from 1 to 100 characters.
    name: MaybeUndefined<String>,
    /// Description, at most 1000 characters.
    description: MaybeUndefined<String>,
    /// Destination country codes (ISO 3166-1 alpha-2); empty means every country.
    countries: MaybeUndefined<Vec<CountryCode>>,
    /// Base price per order.
    price: MaybeUndefined<Decimal>,
    /// Price per started kilogram, added to the base price; null for a flat rate.
    price_per_kg: MaybeUndefined<Decimal>,
    /// Minimum weight in grams.
    min_grams: MaybeUndefined<i32>,
    /// Maximum weight in grams.
    max_grams: MaybeUndefined<i32>,
    /// Discounted subtotal from which shipping is free.
    free_from: MaybeUndefined<Decimal>,
    /// Whether shipping is taxed, at the rate of the destination country.
    taxable: MaybeUndefined<bool>,
    /// Position in the list, ascending.
    position: MaybeUndefined<i32>,
    /// Whether customers can select it.
    active: MaybeUndefined<bool>,
}

impl TryFrom<ShippingMethodUpdateInput> for ShippingMethodPatch {
    type Error = Error;

    fn try_from(input: ShippingMethodUpdateInput) -> Result<Self> {
        let ShippingMethodUpdateInput {
            name,
            description,
            countries,
            price,
            price_per_kg,
            min_grams,
            max_grams,
            free_from,
            taxable,
            position,
            active,
        } = input;
        Ok(Self {
            name: to_patch(name),
            description: to_patch(description),
            countries: reject_null(countries, false, "input.countries")?
                .map(|countries| countries.into_iter().map(Into::into).collect()),
            price: reject_null(price, false, "input.price")?,
            price_per_kg: to_patch(price_per_kg),
            min_weight_grams: to_patch(min_grams),
            max_weight_grams: to_patch(max_grams),
            free_shipping_threshold: to_patch(free_from),
            taxable: reject_null(taxable, false, "input.taxable")?,
            position: reject_null(position, false, "input.position")?,
            active: reject_null(active, false, "input.active")?,
        })
    }
}

payload!(
    /// Payload of the shipping method mutations.
    ShippingMethodPayload {
        /// Shipping method after the mutation; null if nothing was changed.
        shipping_method: ShippingMethod
    }
);

payload!(
    /// Payload of `shippingMethodDelete`.
    ShippingMethodDeletePayload {
        /// ID of the deleted shipping method; null if nothing was deleted.
        deleted_id: ID
    }
);

/// Shipping method queries.
#[derive(Debug, Default)]
pub struct ShippingQuery;

#[Object]
impl ShippingQuery {
    /// All shipping methods in order, including inactive ones, for staff; at most 1000.
    #[graphql(guard = "RequirePermission(Permission::ShopWrite)")]
    async fn shipping_methods(&self, ctx: &Context<'_>) -> Result<Option<Vec<ShippingMethod>>> {
        let context = request_context(ctx);
        let rows = shipping::list_shipping_methods(&context.db, false).await?;
        context.charge_list_values(ctx, rows.len())?;
        Ok(Some(rows.into_iter().map(ShippingMethod).collect()))
    }
}

/// Shipping method mutations.
#[derive(Debug, Default)]
pub struct ShippingMutation;

#[Object]
impl ShippingMutation {
    /// Creates a shipping method.
    #[graphql(guard = "RequirePermission(Permission::ShopWrite)")]
    async fn shipping_method_create(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Shipping method to create.")] input: ShippingMethodCreateInput,
    ) -> Result<Option<ShippingMethodPayload>> {
        let context = request_context(ctx);
        let currency = context.app_state.config.shop.currency;
        let created = admin::create_shipping_method(&context.db, currency, input.into());
        ShippingMethodPayload::from_result(created.await)
    }

    /// Updates a shipping method. Existing orders keep the price they were placed with.
    #[graphql(guard = "RequirePermission(Permission::ShopWrite)")]
    async fn shipping_method_update(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "ID of the shipping method.")] id: ID,
        #[graphql(desc = "Fields to update.")] input: ShippingMethodUpdateInput,
        #[graphql(desc = "Expected current version (optimistic locking); a mismatch returns `VERSION_CONFLICT`.")]
        expected_version: Option<i32>,
    ) -> Result<Option<ShippingMethodPayload>> {
        let context = request_context(ctx);
        let currency = context.app_state.config.shop.currency;
        let updated = async {
            let target = parse_target(&id, NodeType::ShippingMethod, (), expected_version)?;
            let patch = ShippingMethodPatch::try_from(input)?;
            admin::update_shipping_method(&context.db, currency, target, patch).await
        };
        ShippingMethodPayload::from_result(updated.await)
    }

    /// Deletes a shipping method. Carts that selected it need another; existing orders keep the price they were placed
    /// with.
    #[graphql(guard = "RequirePermission(Permission::ShopWrite)")]
    async fn shipping_method_delete(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "ID of the shipping method.")] id: ID,
        #[graphql(desc = "Expected current version (optimistic locking); a mismatch returns `VERSION_CONFLICT`.")]
        expected_version: Option<i32>,
    ) -> Result<Option<ShippingMethodDeletePayload>> {
        let context = request_context(ctx);
        let currency = context.app_state.config.shop.currency;
        let deleted = async {
            let target = parse_target(&id, NodeType::ShippingMethod, (), expected_version)?;
            admin::delete_shipping_method(&context.db, currency, target).await
        };
        ShippingMethodDeletePayload::from_result(
            deleted.await.map(|method_id| GlobalId::new(NodeType::ShippingMethod, method_id).encode()),
        )
    }
}
