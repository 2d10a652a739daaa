//! Product variants.

use std::sync::Arc;

use async_graphql::{Context, ID, Object, SimpleObject};
use chrono::{DateTime, Utc};
use rust_decimal::Decimal;

use super::{
    context::request_context,
    guard::RequirePermission,
    loader::{ChoicesOf, LevelsOf, ProductKey, VariantStock},
    product::Product,
    scalars::clamp_to_i32,
    shop::CurrencyCode,
    stock::StockLevel,
};
use crate::{
    base::{Error, GlobalId, Result, global_id::NodeType},
    catalog::{loader, variant},
    identity::Permission,
};

/// Product variant: a purchasable combination of option values.
#[derive(Debug, Clone)]
pub struct Variant {
    pub(super) row: Arc<variant::Model>,
    parent_product: Option<Product>,
}

impl From<variant::Model> for Variant {
    fn from(row: variant::Model) -> Self {
        Self { row: Arc::new(row), parent_product: None }
    }
}

impl Variant {
    /// Creates a variant with its loaded product.
    #[must_use]
    pub fn with_product(row: Arc<variant::Model>, product: Product) -> Self {
        Self { row, parent_product: Some(product) }
    }

    /// Returns a date of the sale, unless the sale is over.
    pub(super) fn sale_end_date(&self, date: Option<DateTime<Utc>>, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        date.filter(|_| self.row.sale_ends_at.is_none_or(|ends_at| ends_at > now))
    }
}

/// Value of one option of a variant.
#[derive(Debug, SimpleObject)]
pub struct SelectedOption {
    /// Option name, such as `Size`.
    name: String,
    /// Option value, such as `M`.
    value: String,
}

/// Product variant: a purchasable combination of option values.
#[Object(name = "ProductVariant")]
impl Variant {
    /// Global ID.
    pub async fn id(&self) -> ID {
        GlobalId::new(NodeType::Variant, self.row.id).encode().into()
    }

    /// SKU, unique across variants.
    async fn sku(&self) -> &str {
        &self.row.sku
    }

    /// Title composed of the option values, such as `M / Red`; `Default` for the only variant of a simple product.
    async fn name(&self) -> &str {
        &self.row.name
    }

    /// Product of the variant.
    async fn product(&self, ctx: &Context<'_>) -> Result<Product> {
        if let Some(product) = &self.parent_product {
            return Ok(product.clone());
        }
        let rows = request_context(ctx).load(ProductKey(self.row.product_id)).await?;
        let missing_product = || Error::internal("finding a variant's product", "row not found");
        rows.and_then(|rows| rows.first().cloned()).map(Product::from).ok_or_else(missing_product)
    }

    /// Regular price.
    async fn price(&self, ctx: &Context<'_>) -> Decimal {
        request_context(ctx).decimal_amount(self.row.price)
    }

    /// Current sale price; null if it is not on sale.
    async fn sale_price(&self, ctx: &Context<'_>) -> Option<Decimal> {
        self.row
            .current_sale_price(request_context(ctx).db.now())
            .map(|minor_units| request_context(ctx).decimal_amount(minor_units))
    }

    /// Currency of the prices.
    async fn currency(&self, ctx: &Context<'_>) -> CurrencyCode {
        CurrencyCode(request_context(ctx).app_state.config.shop.currency)
    }

    /// Start time of the current or next sale; null if it has no start or there is none.
    async fn sale_starts_at(&self, ctx: &Context<'_>) -> Option<DateTime<Utc>> {
        self.sale_end_date(self.row.sale_starts_at, request_context(ctx).db.now())
    }

    /// End time of the current or next sale; null if it has no end or there is none.
    async fn sale_ends_at(&self, ctx: &Context<'_>) -> Option<DateTime<Utc>> {
        self.sale_end_date(self.row.sale_ends_at, request_context(ctx).db.now())
    }

    /// Option values, in the product's order.
    async fn options(&self, ctx: &Context<'_>) -> Result<Vec<SelectedOption>> {
        let options = request_context(ctx).load(ChoicesOf(self.row.id)).await?;
        let to_selected_option =
            |option: &loader::VariantOption| SelectedOption { name: option.name.clone(), value: option.value.clone() };
        Ok(options.iter().flat_map(|options| options.iter()).map(to_selected_option).collect())
    }

    /// Whether the variant is available for purchase.
    async fn in_stock(&self, ctx: &Context<'_>) -> Result<bool> {
        Ok(request_context(ctx).load(VariantStock(self.row.id)).await?.is_some_and(|stock| stock.buyable))
    }

    /// Available quantity: on hand minus reserved; 0 if stock is not tracked.
    async fn stock_quantity(&self, ctx: &Context<'_>) -> Result<i32> {
        Ok(request_context(ctx).load(VariantStock(self.row.id)).await?.map_or(0, |stock| clamp_to_i32(stock.available)))
    }

    /// Stock levels at each location. Staff only.
    #[graphql(guard = "RequirePermission(Permission::StockWrite)")]
    async fn stock_levels(&self, ctx: &Context<'_>) -> Result<Vec<StockLevel>> {
        let levels = request_context(ctx).load(LevelsOf(self.row.id)).await?;
        Ok(levels.iter().flat_map(|levels| levels.iter().copied()).map(StockLevel).collect())
    }

    /// Weight in grams.
    async fn weight_grams(&self) -> Option<i32> {
        self.row.weight_grams.map(clamp_to_i32)
    }

    /// Barcode: EAN, UPC or ISBN.
    async fn barcode(&self) -> Option<&str> {
        self.row.barcode.as_deref()
    }

    /// URL of the variant's own image; null if there is none.
    async fn image(&self) -> Option<&str> {
        self.row.image.as_deref()
    }

    /// Version number, incremented by every edit; pass it as `expectedVersion` for optimistic locking.
    async fn version(&self) -> i32 {
        self.row.version
    }

    /// Creation time.
    async fn created_at(&self) -> DateTime<Utc> {
        self.row.created_at
    }

    /// Time of the last update.
    async fn updated_at(&self) -> DateTime<Utc> {
        self.row.updated_at
    }
}
