//! Variants: what can be bought.

use std::sync::Arc;

use async_graphql::{Context, ID, Object, SimpleObject};
use chrono::{DateTime, Utc};
use rust_decimal::Decimal;

use super::{
    context::scope,
    guard::Can,
    int,
    loader::{ChoicesOf, LevelsOf, ProductKey, VariantStock},
    product::Product,
    shop::CurrencyCode,
    stock::StockLevel,
};
use crate::{
    base::{Error, GlobalId, Result, id::Kind},
    catalog::{loader, variant},
    identity::Permission,
};

/// One thing that can be bought: a product in one size, one colour.
#[derive(Debug, Clone)]
pub struct Variant {
    pub(super) row: Arc<variant::Model>,
    product: Option<Product>,
}

impl From<variant::Model> for Variant {
    fn from(row: variant::Model) -> Self {
        Self { row: Arc::new(row), product: None }
    }
}

impl Variant {
    /// A variant of a product that is at hand.
    #[must_use]
    pub fn of(row: Arc<variant::Model>, product: Product) -> Self {
        Self { row, product: Some(product) }
    }

    /// An end of its sale, unless that is over.
    pub(super) fn sale_at(&self, end: Option<DateTime<Utc>>, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        end.filter(|_| self.row.sale_ends_at.is_none_or(|ends| ends > now))
    }
}

/// What an option is for a variant.
#[derive(Debug, SimpleObject)]
pub struct SelectedOption {
    /// The option: `Size`.
    name: String,
    /// What it is here: `M`.
    value: String,
}

/// One thing that can be bought: a product in one size, one colour.
#[Object(name = "ProductVariant")]
impl Variant {
    /// The lasting id.
    pub async fn id(&self) -> ID {
        GlobalId::new(Kind::Variant, self.row.id).encode().into()
    }

    /// The shop's own number for it; unique in the shop.
    async fn sku(&self) -> &str {
        &self.row.sku
    }

    /// Its options in words: `M / Red`; `Default` for the only variant of a simple product.
    async fn name(&self) -> &str {
        &self.row.name
    }

    /// The product it is a variant of. Costs nothing below `Product.variants`; else one statement for any number.
    async fn product(&self, ctx: &Context<'_>) -> Result<Product> {
        if let Some(product) = &self.product {
            return Ok(product.clone());
        }
        let found = scope(ctx).load(ProductKey(self.row.product_id)).await?;
        let missing = || Error::fault("finding a variant's product", "it is not there");
        found.and_then(|found| found.first().cloned()).map(Product::from).ok_or_else(missing)
    }

    /// The regular price, before any sale.
    async fn price(&self, ctx: &Context<'_>) -> Decimal {
        scope(ctx).amount(self.row.price)
    }

    /// What it costs now because of a sale; null when it is not on sale.
    async fn sale_price(&self, ctx: &Context<'_>) -> Option<Decimal> {
        self.row.sale_now(scope(ctx).db.now()).map(|minor| scope(ctx).amount(minor))
    }

    /// The currency of the prices.
    async fn currency(&self, ctx: &Context<'_>) -> CurrencyCode {
        CurrencyCode(scope(ctx).shared.config.shop.currency)
    }

    /// When the present or next sale begins; null when it has always been on or there is none.
    async fn sale_starts_at(&self, ctx: &Context<'_>) -> Option<DateTime<Utc>> {
        self.sale_at(self.row.sale_starts_at, scope(ctx).db.now())
    }

    /// When the present or next sale ends; null when it has no end or there is none.
    async fn sale_ends_at(&self, ctx: &Context<'_>) -> Option<DateTime<Utc>> {
        self.sale_at(self.row.sale_ends_at, scope(ctx).db.now())
    }

    /// What each option is, in the product's order. One statement for any number of variants.
    async fn options(&self, ctx: &Context<'_>) -> Result<Vec<SelectedOption>> {
        let choices = scope(ctx).load(ChoicesOf(self.row.id)).await?;
        let node = |one: &loader::Choice| SelectedOption { name: one.name.clone(), value: one.value.clone() };
        Ok(choices.iter().flat_map(|choices| choices.iter()).map(node).collect())
    }

    /// Whether it can be bought now. One statement for any number of variants.
    async fn in_stock(&self, ctx: &Context<'_>) -> Result<bool> {
        Ok(scope(ctx).load(VariantStock(self.row.id)).await?.is_some_and(|stock| stock.buyable))
    }

    /// How many can be bought: what is on hand and not reserved; 0 when its stock is not counted. Costs nothing beside
    /// `inStock`.
    async fn stock_quantity(&self, ctx: &Context<'_>) -> Result<i32> {
        Ok(scope(ctx).load(VariantStock(self.row.id)).await?.map_or(0, |stock| int(stock.available)))
    }

    /// Its stock at each location. Staff only. One statement for any number of variants.
    #[graphql(guard = "Can(Permission::StockWrite)")]
    async fn stock_levels(&self, ctx: &Context<'_>) -> Result<Vec<StockLevel>> {
        let levels = scope(ctx).load(LevelsOf(self.row.id)).await?;
        Ok(levels.iter().flat_map(|levels| levels.iter().copied()).map(StockLevel).collect())
    }

    /// What it weighs, in grams.
    async fn weight_grams(&self) -> Option<i32> {
        self.row.weight_grams.map(int)
    }

    /// Its EAN, UPC or ISBN.
    async fn barcode(&self) -> Option<&str> {
        self.row.barcode.as_deref()
    }

    /// Where its own picture is, if it has one.
    async fn image(&self) -> Option<&str> {
        self.row.image.as_deref()
    }

    /// Rises with every change that somebody makes. Hand it in as `expectedVersion`.
    async fn version(&self) -> i32 {
        self.row.version
    }

    /// When it was made.
    async fn created_at(&self) -> DateTime<Utc> {
        self.row.created_at
    }

    /// When it was last changed.
    async fn updated_at(&self) -> DateTime<Utc> {
        self.row.updated_at
    }
}
