//! Product filter and sort order.

use async_graphql::{Enum, ID, InputObject, OneofObject};
use iso_currency::Currency;
use rust_decimal::{Decimal, RoundingStrategy};

use super::product::ProductStatus;
use crate::{
    base::{Error, GlobalId, LanguageCode, Money, Result, global_id::NodeType},
    catalog::{
        CatalogFilter, CategoryKey, PublicationStatus,
        catalog_filter::TagCondition,
        product_queries::{ProductSort, ProductSortKey},
    },
    graphql::scalars::{DateTimeRangeInput, LanguageScalar, MoneyRangeInput},
    identity::{Caller, Permission},
};

/// Filter for products. Conditions are combined with AND; omitted fields do not filter.
#[derive(Debug, Default, InputObject)]
pub struct ProductFilter {
    /// Full-text search in name, SKU, vendor, tags, options and description. Matches word prefixes; misspelled words
    /// are corrected to the closest indexed term, and synonyms that staff have set match as well. At most 200 characters.
    search: Option<String>,
    /// Language of the search text, whose synonyms apply; the language of the shop by default.
    search_language: Option<LanguageScalar>,
    /// Category, including all its descendants.
    category: Option<CategoryBy>,
    /// Current price of the cheapest variant.
    price: Option<MoneyRangeInput>,
    /// Whether at least one variant is available for purchase.
    in_stock: Option<bool>,
    /// Whether the cheapest variant is on sale now.
    on_sale: Option<bool>,
    /// Whether the product is featured.
    featured: Option<bool>,
    /// Vendors, any of them; case-insensitive. At most 100.
    vendors: Option<Vec<String>>,
    /// Tags that the product must or must not have.
    tags: Option<TagFilter>,
    /// IDs of products, any of them; an empty list matches nothing. At most 100.
    ids: Option<Vec<ID>>,
    /// Slugs of products, any of them; an empty list matches nothing. At most 100.
    slugs: Option<Vec<String>>,
    /// Exact SKUs of variants, any of them; an empty list matches nothing. At most 100.
    skus: Option<Vec<String>>,
    /// Options that one variant must have: for each option, any of its values. At most 10.
    options: Option<Vec<OptionFilter>>,
    /// Creation time range.
    created_at: Option<DateTimeRangeInput>,
    /// Time range of the last update.
    updated_at: Option<DateTimeRangeInput>,
    /// Publication status; values other than `ACTIVE` require the permission `catalog:write`. Default: `ACTIVE`.
    status: Option<Vec<ProductStatus>>,
}

/// Tags that a product must or must not have; case-insensitive. Conditions are combined with AND; omitted fields and
/// empty lists do not filter.
#[derive(Debug, Default, InputObject)]
pub struct TagFilter {
    /// Any of these tags. At most 100.
    any: Option<Vec<String>>,
    /// All of these tags. At most 100.
    all: Option<Vec<String>>,
    /// None of these tags. At most 100.
    none: Option<Vec<String>>,
}

impl From<TagFilter> for TagCondition {
    fn from(TagFilter { any, all, none }: TagFilter) -> Self {
        Self { any: any.unwrap_or_default(), all: all.unwrap_or_default(), none: none.unwrap_or_default() }
    }
}

/// Identifies a category by exactly one key.
#[derive(Debug, OneofObject)]
pub enum CategoryBy {
    /// ID of the category.
    Id(ID),
    /// Slug of the category.
    Slug(String),
}

impl CategoryBy {
    /// Converts the input to the key of a category.
    fn into_category_key(self) -> Result<CategoryKey> {
        Ok(match self {
            Self::Id(id) => CategoryKey::Id(GlobalId::decode_as(&id, NodeType::Category, "filter.category.id")?),
            Self::Slug(slug) => CategoryKey::Slug(slug),
        })
    }
}

/// Values of one option.
#[derive(Debug, InputObject)]
pub struct OptionFilter {
    /// Option name, such as `Size`; case-insensitive.
    name: String,
    /// Values, any of them: `["M", "L"]`; case-insensitive. At most 100.
    values: Vec<String>,
}

/// Sort order of products.
#[derive(Debug, Default, InputObject)]
#[graphql(name = "ProductSort")]
pub struct ProductSortInput {
    /// Sort field.
    #[graphql(default)]
    field: ProductSortField,
    /// Reverses the order: most expensive first, Z before A, oldest first.
    #[graphql(default)]
    reverse: bool,
}

/// Sort field of products.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Enum)]
pub enum ProductSortField {
    /// Best match: by relevance with a search, otherwise featured products first, then newest first.
    #[default]
    BestMatch,
    /// Relevance of the name to the search term, then newest first. Requires `filter.search`.
    Relevance,
    /// Current price of the cheapest variant, ascending.
    Price,
    /// Name, ascending; case and accents are ignored.
    Name,
    /// Creation time, newest first.
    Newest,
    /// Time of the last update, latest first.
    UpdatedAt,
    /// Units ordered in the last 90 days and not canceled, descending. Counted a moment after each order.
    BestSelling,
    /// Discount of the current price of the cheapest variant in whole percent, descending.
    Discount,
}

impl From<ProductSortInput> for ProductSort {
    fn from(ProductSortInput { field, reverse }: ProductSortInput) -> Self {
        let sort_key = match field {
            ProductSortField::BestMatch => ProductSortKey::BestMatch,
            ProductSortField::Relevance => ProductSortKey::Relevance,
            ProductSortField::Price => ProductSortKey::Price,
            ProductSortField::Name => ProductSortKey::Name,
            ProductSortField::Newest => ProductSortKey::Newest,
            ProductSortField::UpdatedAt => ProductSortKey::UpdatedAt,
            ProductSortField::BestSelling => ProductSortKey::BestSelling,
            ProductSortField::Discount => ProductSortKey::Discount,
        };
        Self { sort_key, reverse }
    }
}

impl ProductFilter {
    /// Converts the input to the catalog's filter.
    ///
    /// # Errors
    /// Returns a user error if an ID or amount is invalid, or `Forbidden` if the caller may not filter by the status.
    pub fn into_catalog_filter(self, currency: Currency, caller: Caller) -> Result<CatalogFilter> {
        let Self {
            search,
            search_language,
            category,
            price,
            in_stock,
            on_sale,
            featured,
            vendors,
            tags,
            ids,
            slugs,
            skus,
            options,
            created_at,
            updated_at,
            status,
        } = self;
        let category = category.map(CategoryBy::into_category_key).transpose()?;
        let parse_id = |id: &ID| GlobalId::decode_as(id, NodeType::Product, "filter.ids");
        let ids = ids.map(|ids| ids.iter().map(parse_id).collect::<Result<Vec<_>>>()).transpose()?;
        let price = price.map(|price| into_minor_range(price, currency)).transpose()?.unwrap_or_default();
        let to_range = |time: Option<DateTimeRangeInput>| time.map(DateTimeRangeInput::into_range).unwrap_or_default();
        let options = options.unwrap_or_default().into_iter().map(|OptionFilter { name, values }| (name, values));
        Ok(CatalogFilter {
            categories: category.into_iter().collect(),
            search,
            search_language: search_language.map(LanguageCode::from),
            price_range: price,
            in_stock,
            on_sale,
            featured,
            vendors: vendors.unwrap_or_default(),
            tags: tags.unwrap_or_default().into(),
            ids,
            slugs,
            skus,
            options: options.collect(),
            created_range: to_range(created_at),
            updated_range: to_range(updated_at),
            status: parse_statuses(status.unwrap_or_default(), caller)?,
        })
    }
}

/// Converts the statuses. Only active products are public, so an empty filter means active.
fn parse_statuses(statuses: Vec<ProductStatus>, caller: Caller) -> Result<Vec<PublicationStatus>> {
    if statuses.iter().all(|status| *status == ProductStatus::Active) {
        return Ok(Vec::new());
    }
    caller.require_permission(Permission::CatalogWrite)?;
    Ok(statuses.into_iter().map(PublicationStatus::from).collect())
}

/// Converts a price range to minor units, rounding inward so that no price outside the range matches.
fn into_minor_range(range: MoneyRangeInput, currency: Currency) -> Result<(Option<i64>, Option<i64>)> {
    let decimals = Money::decimal_places(currency);
    let to_minor_units = |field: &str, amount: Option<Decimal>, rounding| {
        let Some(amount) = amount else { return Ok(None) };
        let amount = amount.round_dp_with_strategy(decimals, rounding);
        let money = Money::from_decimal(amount, currency).map(|(money, _)| Some(money.minor_units));
        money.ok_or_else(|| Error::bad_input(field, "a price must be from 0 to 10000000000000"))
    };
    if matches!((range.min, range.max), (Some(min), Some(max)) if min > max) {
        return Err(Error::bad_input("filter.price", "`min` is above `max`"));
    }
    let min = to_minor_units("filter.price.min", range.min, RoundingStrategy::ToPositiveInfinity)?;
    Ok((min, to_minor_units("filter.price.max", range.max, RoundingStrategy::ToNegativeInfinity)?))
}
