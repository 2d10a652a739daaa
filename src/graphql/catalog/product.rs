//! Products.

use std::sync::Arc;

use async_graphql::{Context, Enum, ID, Object, SimpleObject};
use chrono::{DateTime, Utc};
use macros::{BatchedObject, batched_object};
use rust_decimal::Decimal;

use super::{
    availability::{Availability, displayed_quantity},
    category::Category,
    image::ImageObject,
    product_option::ProductOption,
    seo::Seo,
    variant::Variant,
    variant_list::{
        ProductVariantConnection, SelectedOptionInput, VariantList, check_selected_options, select_variant_choice,
    },
};
use crate::{
    base::{
        Error, GlobalId, Result,
        global_id::NodeType,
        pagination::{self, PageRequest},
    },
    catalog::{CategoryTree, PublicationStatus, cache_tags::product_tag, loader, product, variant},
    graphql::{
        batched::{Batched, BatchedList},
        context::RequestContext,
        loader::{
            DescriptionOf, ImagesOf, LatestTreeKey, ProductChoicesOf, ProductStock, ProductVariantsKey, TagsOf,
            VariantKey,
        },
        pagination::compute_connection_cost,
        scalars::{CurrencyCode, MoneyObject, clamp_to_i32},
    },
    infra::cache::CacheRecorder,
    inventory::{ProductChoices, StockAvailability},
};

/// Product, sold in one or more variants.
#[derive(Debug, Clone)]
pub struct Product(Arc<product::Model>);

impl From<Arc<product::Model>> for Product {
    fn from(row: Arc<product::Model>) -> Self {
        Self(row)
    }
}

impl Product {
    /// Returns the ID of the row.
    pub(super) fn row_id(&self) -> i64 {
        self.0.id
    }
}

impl Product {
    /// Records what a cached response with the product depends on.
    fn record_row(&self, recorder: &CacheRecorder, context: &RequestContext) {
        recorder.record_tags([product_tag(self.0.id)]);
        if let Some(sale_ends_at) = self.0.sale_ends_at {
            recorder.record_change_at(sale_ends_at, context.db.now());
        }
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

/// Range of current prices of a product's variants.
#[derive(Debug, SimpleObject, BatchedObject)]
pub struct PriceRange {
    /// Current price of the cheapest variant.
    min: Batched<MoneyObject>,
    /// Current price of the most expensive variant.
    max: Batched<MoneyObject>,
}

/// Product, sold in one or more variants.
#[batched_object(columns = product::Column, row = self.0, cached_as = Self::record_row)]
#[Object]
impl Product {
    /// Global ID.
    pub fn id(&self) -> ID {
        ID(GlobalId::new(NodeType::Product, self.0.id).encode())
    }

    /// SKU of the first variant.
    fn sku(&self) -> &str {
        &self.0.sku
    }

    /// Display name.
    fn name(&self) -> &str {
        &self.0.name
    }

    /// URL slug, unique across products.
    fn slug(&self) -> &str {
        &self.0.slug
    }

    /// Description as plain text.
    fn description(&self, #[load(DescriptionOf(self.0.id))] descriptions: LoadedDescriptions) -> Option<String> {
        find_description(descriptions.as_deref()).map(|description| description.text.clone())
    }

    /// Description as sanitized HTML.
    fn description_html(&self, #[load(DescriptionOf(self.0.id))] descriptions: LoadedDescriptions) -> Option<String> {
        find_description(descriptions.as_deref()).map(|description| description.html.clone())
    }

    /// Title and description for search engines.
    fn seo(&self, #[load(DescriptionOf(self.0.id))] descriptions: LoadedDescriptions) -> Batched<Seo> {
        let description = descriptions.as_deref().and_then(<[_]>::first);
        Batched(Seo::new(
            description.and_then(|description| description.seo_title.as_deref()),
            description.and_then(|description| description.seo_description.as_deref()),
            &self.0.name,
            description.map(|description| description.text.as_str()),
        ))
    }

    /// Vendor (manufacturer or brand).
    fn vendor(&self) -> Option<&str> {
        self.0.vendor.as_deref()
    }

    /// Tags, in alphabetical order.
    fn tags(&self, #[load(TagsOf(self.0.id))] tags: Option<Arc<[String]>>) -> Arc<[String]> {
        tags.unwrap_or_default()
    }

    /// Publication status. Customers see active products only.
    fn status(&self) -> ProductStatus {
        self.0.status.into()
    }

    /// Whether the product is featured.
    fn featured(&self) -> bool {
        self.0.featured
    }

    /// Category of the product.
    fn category(
        &self,
        context: &RequestContext,
        #[load_optional(LatestTreeKey::unless_known(context, self.0.category_id))] latest: Option<Arc<CategoryTree>>,
    ) -> Result<Batched<Category>> {
        let missing_category = || Error::internal("finding a product's category", "it is not in the tree");
        let tree = latest.unwrap_or_else(|| context.category_tree());
        Category::find(&tree, self.0.category_id).map(Batched).ok_or_else(missing_category)
    }

    /// Regular price of the variant with the lowest current price.
    fn price(&self, context: &RequestContext) -> Decimal {
        context.decimal_amount(self.0.price)
    }

    /// Sale price of that variant; null if it is not on sale.
    fn sale_price(&self, context: &RequestContext) -> Option<Decimal> {
        self.0.sale_price.map(|minor_units| context.decimal_amount(minor_units))
    }

    /// Discount of the sale price in whole percent, rounded down; null if it is not on sale.
    fn discount_percent(&self) -> Option<i32> {
        self.0.sale_price.map(|_| clamp_to_i32(self.0.discount_percent))
    }

    /// End of the sale of that variant; null if it has no end or is not on sale.
    fn sale_ends_at(&self) -> Option<DateTime<Utc>> {
        self.0.sale_ends_at
    }

    /// Range of current prices of all variants.
    fn price_range(&self, context: &RequestContext) -> Batched<PriceRange> {
        Batched(PriceRange { min: context.money(self.0.current_price), max: context.money(self.0.max_current_price) })
    }

    /// Currency of the prices.
    fn currency(&self, context: &RequestContext) -> CurrencyCode {
        CurrencyCode(context.app_state.config.shop.currency)
    }

    /// URL of the first image.
    fn image(&self) -> Option<&str> {
        self.0.image.as_deref()
    }

    /// First image; null if there is none.
    fn featured_image(
        &self,
        #[load(ImagesOf(self.0.id))] images: Option<Arc<[ImageObject]>>,
    ) -> Option<Batched<ImageObject>> {
        images?.first().cloned().map(Batched)
    }

    /// All images, in order.
    fn images(&self, #[load(ImagesOf(self.0.id))] images: Option<Arc<[ImageObject]>>) -> BatchedList<ImageObject> {
        images.into()
    }

    /// Whether at least one variant is available for purchase.
    fn in_stock(&self, #[load(ProductStock(self.0.id))] stock: Option<StockAvailability>) -> bool {
        stock.is_some_and(|stock| stock.buyable)
    }

    /// Available quantity of all variants: on hand minus reserved. Variants with untracked stock add 0. The setting
    /// `shop.stock_display` may cap it, or hide it as 0.
    fn stock_quantity(
        &self,
        context: &RequestContext,
        #[load(ProductStock(self.0.id))] stock: Option<StockAvailability>,
    ) -> i32 {
        stock.and_then(|stock| displayed_quantity(stock, context)).map_or(0, clamp_to_i32)
    }

    /// Availability for purchase, as the shop displays it.
    fn availability(
        &self,
        context: &RequestContext,
        #[load(ProductStock(self.0.id))] stock: Option<StockAvailability>,
    ) -> Batched<Availability> {
        Batched(Availability::new(stock, context))
    }

    /// Options with their values, in order; empty for a simple product.
    fn options(
        &self,
        #[load(ProductChoicesOf(self.0.id))] choices: Option<Arc<ProductChoices>>,
    ) -> BatchedList<ProductOption> {
        BatchedList::limited(choices.iter().flat_map(ProductOption::list))
    }

    /// Variants, in order; at least one.
    // The variants contain this row, so it needs what they select of it.
    #[columns(selection.nested_columns::<Self>("product"))]
    #[graphql(complexity = "usize::try_from(first.unwrap_or(10)).unwrap_or(0) * child_complexity")]
    fn variants(
        &self,
        #[graphql(desc = "Returns the first n variants (0-100, default 100).")] first: Option<i32>,
        #[load(ProductVariantsKey { product_id: self.0.id, columns: selection.columns::<Variant>() })] rows: Option<
            Arc<[Arc<variant::Model>]>,
        >,
    ) -> Result<BatchedList<Variant>> {
        let first = pagination::validate_page_size("first", first.or(Some(100)))?;
        let rows = rows.iter().flat_map(|rows| rows.iter()).take(first);
        Ok(BatchedList::unlimited(rows.map(|row| Variant::with_product(Arc::clone(row), self.clone()))))
    }

    /// Variants, in order, as pages.
    #[graphql(complexity = "compute_connection_cost(first, last, child_complexity)")]
    #[expect(clippy::unused_async, reason = "resolvers are async even if they do not await")]
    async fn variant_connection(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Returns the first n items (0-100, default 20).")] first: Option<i32>,
        #[graphql(desc = "Returns items after this cursor; use with `first`.")] after: Option<String>,
        #[graphql(desc = "Returns the last n items (0-100).")] last: Option<i32>,
        #[graphql(desc = "Returns items before this cursor; use with `last`.")] before: Option<String>,
    ) -> Result<ProductVariantConnection> {
        let page_request = PageRequest::new(first, after, last, before)?;
        Ok(ProductVariantConnection::new(VariantList::new(ctx, self.clone()), page_request))
    }

    /// Variant with the selected options; the first available one if several have them, if none has them, or without
    /// options. If none is available: the first.
    // The variant contains this row, so it needs what it selects of it.
    #[columns(selection.nested_columns::<Self>("product"))]
    fn variant(
        &self,
        #[graphql(desc = "Selected options, at most 10. A variant may have further options.")] selected_options: Option<
            Vec<SelectedOptionInput>,
        >,
        #[load(ProductChoicesOf(self.0.id))] choices: Option<Arc<ProductChoices>>,
        #[load_next(
            select_variant_choice(choices.as_deref(), selected_options.as_deref())
                .map(|choice| VariantKey(choice.variant_id))
        )]
        rows: Option<Arc<[variant::Model]>>,
    ) -> Result<Option<Batched<Variant>>> {
        check_selected_options(selected_options.as_deref())?;
        let choice = select_variant_choice(choices.as_deref(), selected_options.as_deref());
        let row = rows.and_then(|rows| rows.first().cloned());
        Ok(row
            .zip(choice)
            .map(|(row, choice)| Batched(Variant::with_product(Arc::new(row), self.clone()).with_options(choice))))
    }

    /// Version number, incremented by every edit; pass it as `expectedVersion` for optimistic locking. Stock changes by
    /// sales and scheduled price changes do not increment it.
    fn version(&self) -> i32 {
        self.0.version
    }

    /// Creation time.
    fn created_at(&self) -> DateTime<Utc> {
        self.0.created_at
    }

    /// Time of the last update of the product or one of its variants.
    fn updated_at(&self) -> DateTime<Utc> {
        self.0.updated_at
    }
}

/// Descriptions of a product, as a list of at most one.
type LoadedDescriptions = Option<Arc<[loader::ProductDescription]>>;

/// Returns the description of a product, unless it is empty.
fn find_description(descriptions: Option<&[loader::ProductDescription]>) -> Option<&loader::ProductDescription> {
    descriptions?.first().filter(|description| description.has_text())
}
