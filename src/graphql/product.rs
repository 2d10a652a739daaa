//! Products.

use std::sync::Arc;

use async_graphql::{Context, Enum, ID, Object, SimpleObject};
use chrono::{DateTime, Utc};
use rust_decimal::Decimal;

use super::{
    batched::{Batched, BatchedList},
    category::Category,
    context::{RequestContext, request_context},
    loader::{DescriptionOf, ImagesOf, OptionsOf, ProductStock, ProductVariantsKey, TagsOf},
    scalars::clamp_to_i32,
    shop::CurrencyCode,
    variant::Variant,
};
use crate::{
    base::{Error, GlobalId, Result, global_id::NodeType, pagination},
    catalog::{PublicationStatus, loader, product, projection::VariantColumns},
    inventory::StockAvailability,
};

/// Product, sold in one or more variants.
#[derive(Debug, Clone)]
pub struct Product(pub(super) Arc<product::Model>);

impl From<Arc<product::Model>> for Product {
    fn from(row: Arc<product::Model>) -> Self {
        Self(row)
    }
}

impl From<product::Model> for Product {
    fn from(row: product::Model) -> Self {
        Self(Arc::new(row))
    }
}

/// Publication status of a product.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "PublicationStatus")]
pub enum ProductStatus {
    /// Draft; visible to staff only.
    Draft,
    /// Published and available to everyone.
    Active,
    /// Archived: withdrawn from sale, kept for existing orders.
    Archived,
}

/// Product image.
#[derive(Debug, SimpleObject)]
#[graphql(name = "Image")]
pub struct ImageObject {
    /// URL of the image.
    url: String,
    /// Alternative text; null if there is none.
    alt: Option<String>,
}

/// Product option with all its values.
#[derive(Debug, SimpleObject)]
pub struct ProductOption {
    /// Option name, such as `Size` or `Color`.
    name: String,
    /// Option values, in the order of the variants.
    values: Vec<String>,
}

/// Range of current prices of a product's variants.
#[derive(Debug, SimpleObject)]
pub struct PriceRange {
    /// Current price of the cheapest variant.
    min: Decimal,
    /// Current price of the most expensive variant.
    max: Decimal,
    /// Currency of both prices.
    currency: CurrencyCode,
}

/// Product, sold in one or more variants.
#[Object]
impl Product {
    /// Global ID.
    pub async fn id(&self) -> ID {
        GlobalId::new(NodeType::Product, self.0.id).encode().into()
    }

    /// SKU of the first variant.
    async fn sku(&self) -> &str {
        &self.0.sku
    }

    /// Display name.
    async fn name(&self) -> &str {
        &self.0.name
    }

    /// URL slug, unique across products.
    async fn slug(&self) -> &str {
        &self.0.slug
    }

    /// Description as plain text.
    async fn description(&self, ctx: &Context<'_>) -> Result<Option<String>> {
        Ok(self.load_description(request_context(ctx)).await?.map(|description| description.text))
    }

    /// Description as sanitized HTML.
    async fn description_html(&self, ctx: &Context<'_>) -> Result<Option<String>> {
        Ok(self.load_description(request_context(ctx)).await?.map(|description| description.html))
    }

    /// Vendor (manufacturer or brand).
    async fn vendor(&self) -> Option<&str> {
        self.0.vendor.as_deref()
    }

    /// Tags, in alphabetical order.
    async fn tags(&self, ctx: &Context<'_>) -> Result<Vec<String>> {
        let tags = request_context(ctx).load(TagsOf(self.0.id)).await?;
        Ok(tags.map(|tags| tags.to_vec()).unwrap_or_default())
    }

    /// Publication status. Customers see active products only.
    async fn status(&self) -> ProductStatus {
        self.0.status.into()
    }

    /// Whether the product is featured.
    async fn featured(&self) -> bool {
        self.0.featured
    }

    /// Category of the product.
    async fn category(&self, ctx: &Context<'_>) -> Result<Batched<Category>> {
        let context = request_context(ctx);
        if let Some(category) = Category::find(&context.category_tree(), self.0.category_id) {
            return Ok(Batched(category));
        }
        // The category was created after the request's snapshot of the tree.
        let missing_category = || Error::internal("finding a product's category", "it is not in the tree");
        Category::find(Box::pin(context.latest_category_tree()).await?, self.0.category_id)
            .map(Batched)
            .ok_or_else(missing_category)
    }

    /// Regular price of the variant with the lowest current price.
    async fn price(&self, ctx: &Context<'_>) -> Decimal {
        request_context(ctx).decimal_amount(self.0.price)
    }

    /// Sale price of that variant; null if it is not on sale.
    async fn sale_price(&self, ctx: &Context<'_>) -> Option<Decimal> {
        self.0.sale_price.map(|minor_units| request_context(ctx).decimal_amount(minor_units))
    }

    /// Range of current prices of all variants.
    async fn price_range(&self, ctx: &Context<'_>) -> PriceRange {
        let currency = CurrencyCode(request_context(ctx).app_state.config.shop.currency);
        PriceRange {
            min: request_context(ctx).decimal_amount(self.0.price_now),
            max: request_context(ctx).decimal_amount(self.0.price_max),
            currency,
        }
    }

    /// Currency of the prices.
    async fn currency(&self, ctx: &Context<'_>) -> CurrencyCode {
        CurrencyCode(request_context(ctx).app_state.config.shop.currency)
    }

    /// URL of the first image.
    async fn image(&self) -> Option<&str> {
        self.0.image.as_deref()
    }

    /// All images, in order.
    async fn images(&self, ctx: &Context<'_>) -> Result<Vec<ImageObject>> {
        let images = request_context(ctx).load(ImagesOf(self.0.id)).await?;
        let to_image = |image: &loader::ProductImage| ImageObject { url: image.url.clone(), alt: image.alt.clone() };
        Ok(images.iter().flat_map(|images| images.iter()).map(to_image).collect())
    }

    /// Whether at least one variant is available for purchase.
    async fn in_stock(&self, ctx: &Context<'_>) -> Result<bool> {
        Ok(self.load_stock(request_context(ctx)).await?.is_some_and(|stock| stock.buyable))
    }

    /// Available quantity of all variants: on hand minus reserved. Variants with untracked stock add 0.
    async fn stock_quantity(&self, ctx: &Context<'_>) -> Result<i32> {
        Ok(self.load_stock(request_context(ctx)).await?.map_or(0, |stock| clamp_to_i32(stock.available)))
    }

    /// Options with their values, in order; empty for a simple product.
    async fn options(&self, ctx: &Context<'_>) -> Result<Vec<ProductOption>> {
        let options = request_context(ctx).load(OptionsOf(self.0.id)).await?;
        let to_option =
            |option: &loader::OptionValues| ProductOption { name: option.name.clone(), values: option.values.clone() };
        Ok(options.iter().flat_map(|options| options.iter()).map(to_option).collect())
    }

    /// Variants, in order; at least one.
    #[graphql(complexity = "usize::try_from(first.unwrap_or(10)).unwrap_or(0) * child_complexity")]
    async fn variants(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Returns the first n variants (0-100, default 100).")] first: Option<i32>,
    ) -> Result<BatchedList<Variant>> {
        let context = request_context(ctx);
        let first = parse_variant_limit(first)?;
        let rows = context.load(ProductVariantsKey { product_id: self.0.id, columns: VariantColumns::ALL }).await?;
        let rows = rows.iter().flat_map(|rows| rows.iter()).take(first);
        let variants: Vec<_> = rows.map(|row| Variant::with_product(Arc::clone(row), self.clone())).collect();
        context.charge_list_values(ctx, variants.len())?;
        Ok(BatchedList(variants))
    }

    /// Version number, incremented by every edit; pass it as `expectedVersion` for optimistic locking. Stock changes by
    /// sales and scheduled price changes do not increment it.
    async fn version(&self) -> i32 {
        self.0.version
    }

    /// Creation time.
    async fn created_at(&self) -> DateTime<Utc> {
        self.0.created_at
    }

    /// Time of the last update of the product or one of its variants.
    async fn updated_at(&self) -> DateTime<Utc> {
        self.0.updated_at
    }
}

/// Validates the number of variants to return.
pub(super) fn parse_variant_limit(first: Option<i32>) -> Result<usize> {
    pagination::validate_page_size("first", first.or(Some(100)))
}

impl Product {
    async fn load_description(&self, context: &RequestContext) -> Result<Option<loader::ProductDescription>> {
        let descriptions = context.load(DescriptionOf(self.0.id)).await?;
        Ok(descriptions
            .and_then(|descriptions| descriptions.first().cloned())
            .filter(loader::ProductDescription::has_text))
    }

    async fn load_stock(&self, context: &RequestContext) -> Result<Option<StockAvailability>> {
        context.load(ProductStock(self.0.id)).await
    }
}
