//! Product variants.

use std::sync::Arc;

use async_graphql::{Context, ID, Object, SimpleObject};
use chrono::{DateTime, Utc};
use macros::{BatchedObject, batched_object};
use rust_decimal::Decimal;

use super::{
    availability::{Availability, displayed_quantity},
    image::ImageObject,
    measure::{MeasureObject, UnitPriceObject},
    product::Product,
};
use crate::{
    base::{Error, GlobalId, Result, global_id::NodeType},
    catalog::{
        cache_tags::product_tag,
        loader::VariantOption,
        price,
        projection::ColumnSet,
        variant::{self, Column},
    },
    graphql::{
        batched::{Batched, BatchedList},
        context::{RequestContext, request_context},
        guard::RequirePermission,
        inventory::stock::StockLevel,
        loader::{ChoicesOf, ImagesOf, LevelsOf, ProductKey, VariantStock},
        scalars::CurrencyCode,
        scalars::clamp_to_i32,
    },
    identity::Permission,
    infra::cache::CacheRecorder,
    inventory::{StockAvailability, VariantChoice},
};

/// Product variant: a purchasable combination of option values.
#[derive(Debug, Clone)]
pub struct Variant {
    row: Arc<variant::Model>,
    parent_product: Option<Product>,
    /// Option values, if they are loaded.
    options: Option<Arc<[SelectedOption]>>,
}

impl From<variant::Model> for Variant {
    fn from(row: variant::Model) -> Self {
        Self { row: Arc::new(row), parent_product: None, options: None }
    }
}

impl Variant {
    /// Creates a variant with its loaded product.
    #[must_use]
    pub fn with_product(row: Arc<variant::Model>, product: Product) -> Self {
        Self { row, parent_product: Some(product), options: None }
    }

    /// Adds the loaded option values.
    #[must_use]
    pub fn with_options(self, choice: &VariantChoice) -> Self {
        let to_option =
            |VariantOption { name, value }: &VariantOption| SelectedOption { name: name.clone(), value: value.clone() };
        Self { options: Some(choice.options.iter().map(to_option).collect()), ..self }
    }

    /// Records what a cached response with the variant depends on. A row without its product's ID is part of a response
    /// with the product.
    fn record_row(&self, recorder: &CacheRecorder, context: &RequestContext) {
        recorder.record_tags((self.row.product_id != 0).then(|| product_tag(self.row.product_id)));
        for time in [self.row.sale_starts_at, self.row.sale_ends_at].into_iter().flatten() {
            recorder.record_change_at(time, context.db.now());
        }
    }

    /// Returns the row.
    pub(super) fn row(&self) -> &variant::Model {
        &self.row
    }
}

/// Columns of the current price.
const SALE_COLUMNS: [Column; 4] = [Column::Price, Column::SalePrice, Column::SaleStartsAt, Column::SaleEndsAt];
/// Columns of the content.
const CONTENT_COLUMNS: [Column; 2] = [Column::ContentQuantity, Column::ContentUnit];

/// Value of one option of a variant.
#[derive(Debug, Clone, SimpleObject, BatchedObject)]
pub struct SelectedOption {
    /// Option name, such as `Size`.
    pub name: String,
    /// Option value, such as `M`.
    pub value: String,
}

/// Product variant: a purchasable combination of option values.
#[batched_object(columns = variant::Column, row = self.row, cached_as = Self::record_row)]
#[Object(name = "ProductVariant")]
impl Variant {
    /// Global ID.
    pub fn id(&self) -> ID {
        ID(GlobalId::new(NodeType::Variant, self.row.id).encode())
    }

    /// SKU, unique across variants.
    fn sku(&self) -> &str {
        &self.row.sku
    }

    /// Title composed of the option values, such as `M / Red`; `Default` for the only variant of a simple product.
    fn name(&self) -> &str {
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
    fn price(&self, context: &RequestContext) -> Decimal {
        context.decimal_amount(self.row.price)
    }

    /// Current sale price; null if it is not on sale.
    #[columns(ColumnSet::from(SALE_COLUMNS))]
    fn sale_price(&self, context: &RequestContext) -> Option<Decimal> {
        self.row.current_sale_price(context.db.now()).map(|minor_units| context.decimal_amount(minor_units))
    }

    /// Discount of the sale price in whole percent, rounded down; null if it is not on sale.
    #[columns(ColumnSet::from(SALE_COLUMNS))]
    fn discount_percent(&self, context: &RequestContext) -> Option<i32> {
        let sale_price = self.row.current_sale_price(context.db.now());
        sale_price.map(|sale_price| clamp_to_i32(price::discount_percent(self.row.price, sale_price)))
    }

    /// Content of the package; null if it is not known.
    #[columns(ColumnSet::from(CONTENT_COLUMNS))]
    fn content(&self) -> Option<Batched<MeasureObject>> {
        self.row.content().map(|content| Batched(content.into()))
    }

    /// Current price per kilogram, liter, meter, square meter or piece; null without `content`.
    #[columns(ColumnSet::from(SALE_COLUMNS).union(ColumnSet::from(CONTENT_COLUMNS)))]
    fn unit_price(&self, context: &RequestContext) -> Option<Batched<UnitPriceObject>> {
        let unit_price = self.row.unit_price(context.db.now())?;
        Some(Batched(UnitPriceObject::new(unit_price, context)))
    }

    /// Currency of the prices.
    fn currency(&self, context: &RequestContext) -> CurrencyCode {
        CurrencyCode(context.app_state.config.shop.currency)
    }

    /// Start time of the current or next sale; null if it has no start or there is none.
    fn sale_starts_at(&self, context: &RequestContext) -> Option<DateTime<Utc>> {
        self.row.sale_starts_at.filter(|_| is_open(self.row.sale_ends_at, context))
    }

    /// End time of the current or next sale; null if it has no end or there is none.
    fn sale_ends_at(&self, context: &RequestContext) -> Option<DateTime<Utc>> {
        self.row.sale_ends_at.filter(|_| is_open(self.row.sale_ends_at, context))
    }

    /// Option values, in the product's order.
    #[columns(ColumnSet::from([Column::Id]))]
    fn options(
        &self,
        #[load_optional(self.options.is_none().then(|| ChoicesOf(self.row.id)))] options: Option<Arc<[SelectedOption]>>,
    ) -> BatchedList<SelectedOption> {
        options.or_else(|| self.options.clone()).into()
    }

    /// Whether the variant is available for purchase.
    fn in_stock(&self, #[load(VariantStock(self.row.id))] stock: Option<StockAvailability>) -> bool {
        stock.is_some_and(|stock| stock.buyable)
    }

    /// Available quantity: on hand minus reserved; 0 if stock is not tracked. The setting `shop.stock_display` may cap
    /// it, or hide it as 0.
    fn stock_quantity(
        &self,
        context: &RequestContext,
        #[load(VariantStock(self.row.id))] stock: Option<StockAvailability>,
    ) -> i32 {
        stock.and_then(|stock| displayed_quantity(stock, context)).map_or(0, clamp_to_i32)
    }

    /// Availability for purchase, as the shop displays it.
    fn availability(
        &self,
        context: &RequestContext,
        #[load(VariantStock(self.row.id))] stock: Option<StockAvailability>,
    ) -> Batched<Availability> {
        Batched(Availability::new(stock, context))
    }

    /// Stock levels at each location. Staff only.
    #[graphql(guard = "RequirePermission(Permission::StockWrite)")]
    async fn stock_levels(&self, ctx: &Context<'_>) -> Result<Option<Vec<StockLevel>>> {
        let levels = request_context(ctx).load(LevelsOf(self.row.id)).await?;
        Ok(Some(levels.iter().flat_map(|levels| levels.iter().copied()).map(StockLevel).collect()))
    }

    /// Weight in grams.
    fn weight_grams(&self) -> Option<i32> {
        self.row.weight_grams.map(clamp_to_i32)
    }

    /// Barcode: EAN, UPC or ISBN.
    fn barcode(&self) -> Option<&str> {
        self.row.barcode.as_deref()
    }

    /// The variant's own image; null if there is none.
    fn image(
        &self,
        #[load_optional(self.row.image.as_ref().map(|_| ImagesOf(self.row.product_id)))] product_images: Option<
            Arc<[ImageObject]>,
        >,
    ) -> Option<Batched<ImageObject>> {
        let url = self.row.image.as_deref()?;
        Some(Batched(ImageObject::of_variant(url, product_images.as_deref().unwrap_or_default())))
    }

    /// Version number, incremented by every edit; pass it as `expectedVersion` for optimistic locking.
    fn version(&self) -> i32 {
        self.row.version
    }

    /// Creation time.
    fn created_at(&self) -> DateTime<Utc> {
        self.row.created_at
    }

    /// Time of the last update.
    fn updated_at(&self) -> DateTime<Utc> {
        self.row.updated_at
    }
}

/// Returns whether a sale that ends at the time, or never, is not over.
fn is_open(sale_ends_at: Option<DateTime<Utc>>, context: &RequestContext) -> bool {
    sale_ends_at.is_none_or(|ends_at| ends_at > context.db.now())
}
