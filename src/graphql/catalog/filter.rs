//! Product filter and sort order.

use async_graphql::{Enum, ID, InputObject};
use chrono::{DateTime, Utc};
use iso_currency::Currency;
use rust_decimal::{Decimal, RoundingStrategy};

use super::product::ProductStatus;
use crate::{
    base::{Error, GlobalId, Money, Result, global_id::NodeType},
    catalog::{
        CatalogFilter, PublicationStatus,
        product_queries::{ProductSort, ProductSortKey},
    },
    identity::{Caller, Permission},
};

/// Filter for products. Conditions are combined with AND; omitted fields do not filter.
#[derive(Debug, Default, InputObject)]
pub struct ProductFilter {
    /// Full-text search in name, SKU, vendor, tags, options and description. Matches word prefixes; misspelled words
    /// are corrected to the closest indexed term. At most 200 characters.
    search: Option<String>,
    /// Category ID; includes all descendants.
    category: Option<ID>,
    /// Current price of the cheapest variant.
    price: Option<PriceFilter>,
    /// Whether at least one variant is available for purchase.
    in_stock: Option<bool>,
    /// Whether the cheapest variant is on sale now.
    on_sale: Option<bool>,
    /// Whether the product is featured.
    featured: Option<bool>,
    /// Vendors, any of them; case-insensitive. At most 100.
    vendors: Option<Vec<String>>,
    /// Tags, any of them; case-insensitive. At most 100.
    tags: Option<Vec<String>>,
    /// Options that one variant must have: for each option, any of its values. At most 10.
    options: Option<Vec<OptionFilter>>,
    /// Creation time range.
    created_at: Option<TimeFilter>,
    /// Time range of the last update.
    updated_at: Option<TimeFilter>,
    /// Publication status; values other than `ACTIVE` require the permission `catalog:write`. Default: `ACTIVE`.
    status: Option<Vec<ProductStatus>>,
}

/// Price range, bounds inclusive.
#[derive(Debug, InputObject)]
pub struct PriceFilter {
    /// Minimum price.
    min: Option<Decimal>,
    /// Maximum price.
    max: Option<Decimal>,
}

/// Values of one option.
#[derive(Debug, InputObject)]
pub struct OptionFilter {
    /// Option name, such as `Size`; case-insensitive.
    name: String,
    /// Values, any of them: `["M", "L"]`; case-insensitive. At most 100.
    values: Vec<String>,
}

/// Time range.
#[derive(Debug, InputObject)]
pub struct TimeFilter {
    /// Start, inclusive.
    from: Option<DateTime<Utc>>,
    /// End, exclusive.
    to: Option<DateTime<Utc>>,
}

/// Sort order of products.
#[derive(Debug, Default, InputObject)]
pub struct ProductOrder {
    /// Sort field.
    #[graphql(default)]
    field: ProductOrderField,
    /// Reverses the order: most expensive first, Z before A, oldest first.
    #[graphql(default)]
    reverse: bool,
}

/// Sort field of products.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Enum)]
pub enum ProductOrderField {
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
}

impl From<ProductOrder> for ProductSort {
    fn from(ProductOrder { field, reverse }: ProductOrder) -> Self {
        let sort_key = match field {
            ProductOrderField::BestMatch => ProductSortKey::BestMatch,
            ProductOrderField::Relevance => ProductSortKey::Relevance,
            ProductOrderField::Price => ProductSortKey::Price,
            ProductOrderField::Name => ProductSortKey::Name,
            ProductOrderField::Newest => ProductSortKey::Newest,
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
            category,
            price,
            in_stock,
            on_sale,
            featured,
            vendors,
            tags,
            options,
            created_at,
            updated_at,
            status,
        } = self;
        let category =
            category.map(|id| GlobalId::decode_as(&id, NodeType::Category, "filter.category")).transpose()?;
        let price = price.map(|price| price.into_minor_range(currency)).transpose()?.unwrap_or_default();
        let to_range = |time: Option<TimeFilter>| time.map(TimeFilter::into_range).unwrap_or_default();
        let options = options.unwrap_or_default().into_iter().map(|OptionFilter { name, values }| (name, values));
        Ok(CatalogFilter {
            category_id: category,
            search,
            price_range: price,
            in_stock,
            on_sale,
            featured,
            vendors: vendors.unwrap_or_default(),
            tags: tags.unwrap_or_default(),
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

impl TimeFilter {
    /// Returns the range from the start, inclusive, to the end, exclusive.
    #[must_use]
    pub fn into_range(self) -> (Option<DateTime<Utc>>, Option<DateTime<Utc>>) {
        (self.from, self.to)
    }
}

impl PriceFilter {
    /// Converts the range to minor units, rounding inward so that no price outside the range matches.
    fn into_minor_range(self, currency: Currency) -> Result<(Option<i64>, Option<i64>)> {
        let decimals = Money::decimal_places(currency);
        let to_minor_units = |field: &str, amount: Option<Decimal>, rounding| {
            let Some(amount) = amount else { return Ok(None) };
            let amount = amount.round_dp_with_strategy(decimals, rounding);
            let money = Money::from_decimal(amount, currency).map(|(money, _)| Some(money.minor_units));
            money.ok_or_else(|| Error::bad_input(field, "a price must be from 0 to 10000000000000"))
        };
        if matches!((self.min, self.max), (Some(min), Some(max)) if min > max) {
            return Err(Error::bad_input("filter.price", "`min` is above `max`"));
        }
        let min = to_minor_units("filter.price.min", self.min, RoundingStrategy::ToPositiveInfinity)?;
        Ok((min, to_minor_units("filter.price.max", self.max, RoundingStrategy::ToNegativeInfinity)?))
    }
}
