//! Products.

use std::sync::Arc;

use async_graphql::{Context, Enum, ID, Object, SimpleObject};
use chrono::{DateTime, Utc};
use rust_decimal::Decimal;

use super::{
    category::Category,
    connection::{self, ProductConnection},
    context::{Scope, scope},
    filter::{ProductFilter, ProductOrder},
    int,
    loader::{DescriptionOf, ImagesOf, OptionsOf, ProductStock, TagsOf, VariantsOf},
    quick::{Asked, Quick, QuickList, product_columns},
    shop::CurrencyCode,
    surplus,
    variant::Variant,
};
use crate::{
    base::{Error, GlobalId, Result, id::Kind, page},
    catalog::{Status, columns::VariantColumns, list, loader, product},
    inventory::Stock,
};

/// Something the shop sells, in one or more variants.
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

/// Where a product stands in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "Status")]
pub enum ProductStatus {
    /// Being prepared; only staff see it.
    Draft,
    /// On sale and visible to everybody.
    Active,
    /// Withdrawn, kept for the orders that name it.
    Archived,
}

/// A picture.
#[derive(Debug, SimpleObject)]
#[graphql(name = "Image")]
pub struct ImageNode {
    /// Where the picture is.
    url: String,
    /// What it shows, in words, for those who do not see it.
    alt: Option<String>,
}

/// An option that a shopper chooses by, with all values there are.
#[derive(Debug, SimpleObject)]
pub struct ProductOption {
    /// What is chosen: `Size`, `Colour`.
    name: String,
    /// What there is to choose from, in the order of the variants.
    values: Vec<String>,
}

/// The price of the cheapest and of the dearest variant, as a buyer pays now.
#[derive(Debug, SimpleObject)]
pub struct PriceRange {
    /// What the cheapest variant costs now.
    min: Decimal,
    /// What the dearest variant costs now.
    max: Decimal,
    /// The currency of both.
    currency: CurrencyCode,
}

/// Something the shop sells, in one or more variants.
#[Object]
impl Product {
    /// The lasting id.
    pub async fn id(&self) -> ID {
        GlobalId::new(Kind::Product, self.0.id).encode().into()
    }

    /// The number of its first variant; of a simple product, its own.
    async fn sku(&self) -> &str {
        &self.0.sku
    }

    /// What shoppers read.
    async fn name(&self) -> &str {
        &self.0.name
    }

    /// The product's lasting name in addresses; unique in the shop.
    async fn slug(&self) -> &str {
        &self.0.slug
    }

    /// What there is to say about it, as plain text. One statement for any number of products.
    async fn description(&self, ctx: &Context<'_>) -> Result<Option<String>> {
        Ok(self.texts(scope(ctx)).await?.map(|texts| texts.text))
    }

    /// The same as HTML that is safe to show as it is. Costs nothing beside `description`.
    async fn description_html(&self, ctx: &Context<'_>) -> Result<Option<String>> {
        Ok(self.texts(scope(ctx)).await?.map(|texts| texts.html))
    }

    /// Who makes it.
    async fn vendor(&self) -> Option<&str> {
        self.0.vendor.as_deref()
    }

    /// Free words that it is found by, by the alphabet. One statement for any number of products.
    async fn tags(&self, ctx: &Context<'_>) -> Result<Vec<String>> {
        let tags = scope(ctx).load(TagsOf(self.0.id)).await?;
        Ok(tags.map(|tags| tags.to_vec()).unwrap_or_default())
    }

    /// Where it stands in its life. Shoppers see active products only.
    async fn status(&self) -> ProductStatus {
        self.0.status.into()
    }

    /// Whether the shop shows it first.
    async fn featured(&self) -> bool {
        self.0.featured
    }

    /// Where it belongs. Costs nothing: the tree is in memory.
    async fn category(&self, ctx: &Context<'_>) -> Result<Quick<Category>> {
        let scope = scope(ctx);
        if let Some(category) = Category::find(&scope.tree(), self.0.category_id) {
            return Ok(Quick(category));
        }
        // Its category was made after this request's tree was read.
        let missing = || Error::fault("finding a product's category", "it is not in the tree");
        Category::find(Box::pin(scope.fresh_tree()).await?, self.0.category_id).map(Quick).ok_or_else(missing)
    }

    /// The regular price of the variant that costs least now, before any sale.
    async fn price(&self, ctx: &Context<'_>) -> Decimal {
        scope(ctx).amount(self.0.price)
    }

    /// What that variant costs now because of a sale; null when it is not on sale.
    async fn sale_price(&self, ctx: &Context<'_>) -> Option<Decimal> {
        self.0.sale_price.map(|minor| scope(ctx).amount(minor))
    }

    /// What a buyer pays now for the cheapest and for the dearest variant.
    async fn price_range(&self, ctx: &Context<'_>) -> PriceRange {
        let currency = CurrencyCode(scope(ctx).shared.config.shop.currency);
        PriceRange { min: scope(ctx).amount(self.0.price_now), max: scope(ctx).amount(self.0.price_max), currency }
    }

    /// The currency of the prices.
    async fn currency(&self, ctx: &Context<'_>) -> CurrencyCode {
        CurrencyCode(scope(ctx).shared.config.shop.currency)
    }

    /// Where its first picture is.
    async fn image(&self) -> Option<&str> {
        self.0.image.as_deref()
    }

    /// All its pictures, in order. One statement for any number of products.
    async fn images(&self, ctx: &Context<'_>) -> Result<Vec<ImageNode>> {
        let images = scope(ctx).load(ImagesOf(self.0.id)).await?;
        let node = |image: &loader::Image| ImageNode { url: image.url.clone(), alt: image.alt.clone() };
        Ok(images.iter().flat_map(|images| images.iter()).map(node).collect())
    }

    /// Whether any of its variants can be bought now. One statement for any number of products.
    async fn in_stock(&self, ctx: &Context<'_>) -> Result<bool> {
        Ok(self.stock(scope(ctx)).await?.is_some_and(|stock| stock.buyable))
    }

    /// How many can be bought, all variants together: what is on hand and not reserved. Variants whose stock is not
    /// counted add nothing. Costs nothing beside `inStock`.
    async fn stock_quantity(&self, ctx: &Context<'_>) -> Result<i32> {
        Ok(self.stock(scope(ctx)).await?.map_or(0, |stock| int(stock.available)))
    }

    /// What a shopper chooses by, in order; empty for a simple product. One statement for any number of products.
    async fn options(&self, ctx: &Context<'_>) -> Result<Vec<ProductOption>> {
        let options = scope(ctx).load(OptionsOf(self.0.id)).await?;
        let node = |one: &loader::Choices| ProductOption { name: one.name.clone(), values: one.values.clone() };
        Ok(options.iter().flat_map(|options| options.iter()).map(node).collect())
    }

    /// What can be bought: one variant or more, in order. One statement for any number of products.
    #[graphql(complexity = "usize::try_from(first.unwrap_or(10)).unwrap_or(0) * child_complexity")]
    async fn variants(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Only the first so many, from 0 to 100; up to 100 when not said.")] first: Option<i32>,
    ) -> Result<QuickList<Variant>> {
        let scope = scope(ctx);
        let first = shown(first)?;
        let rows = scope.load(VariantsOf { product: self.0.id, columns: VariantColumns::ALL }).await?;
        let rows = rows.iter().flat_map(|rows| rows.iter()).take(first);
        let variants: Vec<_> = rows.map(|row| Variant::of(Arc::clone(row), self.clone())).collect();
        scope.spend(ctx, variants.len())?;
        Ok(QuickList(variants))
    }

    /// Rises with every change that somebody makes: hand it in as `expectedVersion`, and no change of another's is
    /// overwritten. Stock that is sold, and sales that turn by the clock, do not raise it.
    async fn version(&self) -> i32 {
        self.0.version
    }

    /// When it was made.
    async fn created_at(&self) -> DateTime<Utc> {
        self.0.created_at
    }

    /// When it, or one of its variants, was last changed.
    async fn updated_at(&self) -> DateTime<Utc> {
        self.0.updated_at
    }
}

/// How many of its variants are shown.
pub(super) fn shown(first: Option<i32>) -> Result<usize> {
    page::size("first", first.or(Some(100)))
}

impl Product {
    async fn texts(&self, scope: &Scope) -> Result<Option<loader::Description>> {
        let texts = scope.load(DescriptionOf(self.0.id)).await?;
        Ok(texts.and_then(|texts| texts.first().cloned()).filter(loader::Description::says))
    }

    async fn stock(&self, scope: &Scope) -> Result<Option<Stock>> {
        scope.load(ProductStock(self.0.id)).await
    }
}

/// The products' part of the query root.
#[derive(Debug, Default)]
pub struct ProductQuery;

#[Object]
impl ProductQuery {
    /// One product, by its id, by its slug, or by the sku of any of its variants; null when it is not there or not
    /// yours to see: what is not on sale is seen by staff only. One statement.
    async fn product(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The product's id.")] id: Option<ID>,
        #[graphql(desc = "The product's slug.")] slug: Option<String>,
        #[graphql(desc = "The exact sku of one of its variants.")] sku: Option<String>,
    ) -> Result<Option<Quick<Product>>> {
        let named = match (&id, &slug, &sku) {
            (Some(id), None, None) => list::Named::Key(GlobalId::key(id, Kind::Product, "id")?),
            (None, Some(slug), None) => list::Named::Slug(slug),
            (None, None, Some(sku)) => list::Named::Sku(sku),
            _ => {
                let message = "give the `id`, the `slug` or a `sku` of a product, one of the three";
                let given = [("id", id.is_some()), ("slug", slug.is_some()), ("sku", sku.is_some())];
                return Err(Error::bad_input(surplus(given), message));
            }
        };
        let asked = Asked::of(&ctx.item.node.selection_set.node, &ctx.query_env.fragments);
        let found = list::find(&scope(ctx).db, (named, scope(ctx).sight), product_columns(&asked)).await?;
        Ok(found.map(|row| Quick(Product::from(row))))
    }

    /// The products that a filter wants, in an order, page by page. One statement for the page, one more for a search,
    /// one for `totalCount` and one for each facet that is asked for.
    #[graphql(complexity = "connection::cost(first, last, child_complexity)")]
    #[expect(clippy::too_many_arguments, reason = "these are the arguments of a connection")]
    async fn products(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The first so many, from 0 to 100; 20 when nothing is said.")] first: Option<i32>,
        #[graphql(desc = "Only what comes after this cursor. Goes with `first`.")] after: Option<String>,
        #[graphql(desc = "The last so many, from 0 to 100.")] last: Option<i32>,
        #[graphql(desc = "Only what comes before this cursor. Goes with `last`.")] before: Option<String>,
        #[graphql(desc = "Which products. Everything said must hold.")] filter: Option<ProductFilter>,
        #[graphql(desc = "In which order; the best match first when nothing is said.")] order_by: Option<ProductOrder>,
    ) -> Result<ProductConnection> {
        let window = page::Window::new(first, after, last, before)?;
        ProductConnection::open(ctx, window, filter.unwrap_or_default(), order_by.unwrap_or_default()).await
    }
}
