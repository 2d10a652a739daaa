//! Ways of shipping: chosen by shoppers, set by staff.

use async_graphql::{Context, Enum, ID, InputObject, MaybeUndefined, Object, SimpleObject};
use chrono::{DateTime, Utc};
use rust_decimal::Decimal;

use super::{
    context::scope,
    guard::Can,
    int,
    payload::payload,
    profile::{patch, required},
    tax::AppliedTax,
};
use crate::{
    base::{Error, GlobalId, Patch, Result, id::Kind},
    identity::Permission,
    pricing::{
        ShippingKind,
        change::{self, MethodChange, Target},
        shipping, shipping_method,
    },
};

/// What a price of shipping goes by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(name = "ShippingMethodKind", remote = "ShippingKind")]
pub enum ShippingMethodKind {
    /// The same for every parcel.
    Flat,
    /// More for every kilogram that is begun.
    Weight,
}

/// A way of sending goods.
#[derive(Debug, Clone)]
pub struct ShippingMethod(shipping_method::Model);

impl From<shipping_method::Model> for ShippingMethod {
    fn from(row: shipping_method::Model) -> Self {
        Self(row)
    }
}

/// A way of sending goods.
#[Object]
impl ShippingMethod {
    /// The lasting id.
    async fn id(&self) -> ID {
        GlobalId::new(Kind::ShippingMethod, self.0.id).encode().into()
    }

    /// What shoppers read.
    async fn name(&self) -> &str {
        &self.0.name
    }

    /// More about it; null when there is nothing to say.
    async fn description(&self) -> Option<&str> {
        self.0.description.as_deref()
    }

    /// The countries it goes to by ISO 3166-1; empty: to every country.
    async fn countries(&self) -> Vec<&str> {
        self.0.destinations().collect()
    }

    /// What its price goes by.
    async fn kind(&self) -> ShippingMethodKind {
        self.0.kind.into()
    }

    /// The price of every parcel.
    async fn price(&self, ctx: &Context<'_>) -> Decimal {
        scope(ctx).amount(self.0.price)
    }

    /// The price of every kilogram that is begun, on top; null when it is the same for every weight.
    async fn price_per_kg(&self, ctx: &Context<'_>) -> Option<Decimal> {
        self.0.price_per_kg.map(|minor| scope(ctx).amount(minor))
    }

    /// The lightest parcel it carries, in grams; null when there is no limit.
    async fn min_grams(&self) -> Option<i32> {
        self.0.min_grams.map(int)
    }

    /// The heaviest parcel it carries, in grams; null when there is no limit.
    async fn max_grams(&self) -> Option<i32> {
        self.0.max_grams.map(int)
    }

    /// Goods of this worth travel free, sales taken off; null when none do.
    async fn free_from(&self, ctx: &Context<'_>) -> Option<Decimal> {
        self.0.free_from.map(|minor| scope(ctx).amount(minor))
    }

    /// Whether it is taxed, at the rate of the country it goes to.
    async fn taxable(&self) -> bool {
        self.0.taxable
    }

    /// Its place among the others, the lowest first.
    async fn position(&self) -> i32 {
        self.0.position
    }

    /// Whether shoppers can choose it.
    async fn active(&self) -> bool {
        self.0.active
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

/// A way of sending what is in a cart, and what it costs.
#[derive(Debug, SimpleObject)]
pub struct ShippingOption {
    /// The way.
    pub(super) method: ShippingMethod,
    /// What it costs for this cart.
    pub(super) price: Decimal,
    /// The tax on it; null where there is none.
    pub(super) tax_rate: Option<AppliedTax>,
}

/// A way of sending goods that is to be made.
#[derive(Debug, InputObject)]
pub struct ShippingMethodCreateInput {
    /// What shoppers read, from 1 to 100 characters.
    name: String,
    /// More about it, at most 1000 characters.
    description: Option<String>,
    /// The countries it goes to by ISO 3166-1; empty: to every country.
    #[graphql(default)]
    countries: Vec<String>,
    /// The price of every parcel.
    price: Decimal,
    /// The price of every kilogram that is begun, on top; null when it is the same for every weight.
    price_per_kg: Option<Decimal>,
    /// The lightest parcel it carries, in grams.
    min_grams: Option<i32>,
    /// The heaviest parcel it carries, in grams.
    max_grams: Option<i32>,
    /// Goods of this worth travel free.
    free_from: Option<Decimal>,
    /// Whether it is taxed, at the rate of the country it goes to.
    #[graphql(default = true)]
    taxable: bool,
    /// Its place among the others, the lowest first.
    #[graphql(default)]
    position: i32,
    /// Whether shoppers can choose it.
    #[graphql(default = true)]
    active: bool,
}

impl From<ShippingMethodCreateInput> for MethodChange {
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
            description: Patch::to(description),
            countries: Some(countries),
            price: Some(price),
            price_per_kg: Patch::to(price_per_kg),
            min_grams: Patch::to(min_grams),
            max_grams: Patch::to(max_grams),
            free_from: Patch::to(free_from),
            taxable: Some(taxable),
            position: Some(position),
            active: Some(active),
        }
    }
}

/// What is to be said of a way of sending goods. What is left out stays as it is; null clears it.
#[derive(Debug, InputObject)]
pub struct ShippingMethodUpdateInput {
    /// What shoppers read, from 1 to 100 characters.
    name: MaybeUndefined<String>,
    /// More about it, at most 1000 characters.
    description: MaybeUndefined<String>,
    /// The countries it goes to by ISO 3166-1; empty: to every country.
    countries: MaybeUndefined<Vec<String>>,
    /// The price of every parcel.
    price: MaybeUndefined<Decimal>,
    /// The price of every kilogram that is begun, on top; null when it is the same for every weight.
    price_per_kg: MaybeUndefined<Decimal>,
    /// The lightest parcel it carries, in grams.
    min_grams: MaybeUndefined<i32>,
    /// The heaviest parcel it carries, in grams.
    max_grams: MaybeUndefined<i32>,
    /// Goods of this worth travel free.
    free_from: MaybeUndefined<Decimal>,
    /// Whether it is taxed, at the rate of the country it goes to.
    taxable: MaybeUndefined<bool>,
    /// Its place among the others, the lowest first.
    position: MaybeUndefined<i32>,
    /// Whether shoppers can choose it.
    active: MaybeUndefined<bool>,
}

impl TryFrom<ShippingMethodUpdateInput> for MethodChange {
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
            name: patch(name),
            description: patch(description),
            countries: required(countries, false, "input.countries")?,
            price: required(price, false, "input.price")?,
            price_per_kg: patch(price_per_kg),
            min_grams: patch(min_grams),
            max_grams: patch(max_grams),
            free_from: patch(free_from),
            taxable: required(taxable, false, "input.taxable")?,
            position: required(position, false, "input.position")?,
            active: required(active, false, "input.active")?,
        })
    }
}

payload!(
    /// What came of making or changing a way of sending goods.
    ShippingMethodPayload {
        /// The way as it is now; null when nothing was written.
        shipping_method: ShippingMethod
    }
);

payload!(
    /// What came of deleting a way of sending goods.
    ShippingMethodDeletePayload {
        /// The id of the way that is gone; null when it is not.
        deleted_shipping_method_id: ID
    }
);

/// The part of ways of shipping in the query root.
#[derive(Debug, Default)]
pub struct ShippingQuery;

#[Object]
impl ShippingQuery {
    /// All ways of sending goods in order, active or not, for staff; at most 1000. One statement.
    #[graphql(guard = "Can(Permission::ShopWrite)")]
    async fn shipping_methods(&self, ctx: &Context<'_>) -> Result<Vec<ShippingMethod>> {
        let scope = scope(ctx);
        let rows = shipping::all(&scope.db, false).await?;
        scope.spend(ctx, rows.len())?;
        Ok(rows.into_iter().map(ShippingMethod).collect())
    }
}

/// The part of ways of shipping in the mutation root.
#[derive(Debug, Default)]
pub struct ShippingMutation;

#[Object]
impl ShippingMutation {
    /// Add a way of sending goods.
    #[graphql(guard = "Can(Permission::ShopWrite)")]
    async fn shipping_method_create(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The way.")] input: ShippingMethodCreateInput,
    ) -> Result<ShippingMethodPayload> {
        let scope = scope(ctx);
        let currency = scope.shared.config.shop.currency;
        let made = scope.db.write(async |tx| change::create_method(tx, currency, input.into()).await);
        ShippingMethodPayload::settle(made.await)
    }

    /// Change a way of sending goods. What was ordered keeps the price it was ordered at.
    #[graphql(guard = "Can(Permission::ShopWrite)")]
    async fn shipping_method_update(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Its id.")] id: ID,
        #[graphql(desc = "What is to be said of it.")] input: ShippingMethodUpdateInput,
        #[graphql(desc = "The version you know; the change is refused when others were faster.")]
        expected_version: Option<i32>,
    ) -> Result<ShippingMethodPayload> {
        let scope = scope(ctx);
        let currency = scope.shared.config.shop.currency;
        let changed = async {
            let target = Target { key: GlobalId::key(&id, Kind::ShippingMethod, "id")?, expected: expected_version };
            let change = MethodChange::try_from(input)?;
            scope.db.write(async |tx| change::update_method(tx, currency, target, change).await).await
        };
        ShippingMethodPayload::settle(changed.await)
    }

    /// Delete a way of sending goods: carts that have chosen it must choose another.
    #[graphql(guard = "Can(Permission::ShopWrite)")]
    async fn shipping_method_delete(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Its id.")] id: ID,
        #[graphql(desc = "The version you know; nothing is deleted when others were faster.")] expected_version: Option<
            i32,
        >,
    ) -> Result<ShippingMethodDeletePayload> {
        let scope = scope(ctx);
        let currency = scope.shared.config.shop.currency;
        let gone = async {
            let target = Target { key: GlobalId::key(&id, Kind::ShippingMethod, "id")?, expected: expected_version };
            scope.db.write(async |tx| change::delete_method(tx, currency, target).await).await
        };
        ShippingMethodDeletePayload::settle(gone.await.map(|key| GlobalId::new(Kind::ShippingMethod, key).encode()))
    }
}
