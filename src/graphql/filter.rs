//! What callers say to narrow and order a list of products.

use async_graphql::{Enum, ID, InputObject};
use chrono::{DateTime, Utc};
use iso_currency::Currency;
use rust_decimal::{Decimal, RoundingStrategy};

use super::product::ProductStatus;
use crate::{
    base::{Error, GlobalId, Money, Result, id::Kind},
    catalog::{
        Filter, Status,
        list::{By, Order},
    },
    identity::{Caller, Permission},
};

/// Which products are wanted. Everything said must hold; what is not said does not narrow.
#[derive(Debug, Default, InputObject)]
pub struct ProductFilter {
    /// Words to find in the name, sku, maker, tags, options and description. Each may be the beginning of a word; a
    /// mistyped one is taken for the nearest that the shop knows. At most 200 characters.
    search: Option<String>,
    /// The id of a category; everything below it counts.
    category: Option<ID>,
    /// What a buyer pays now for the cheapest variant.
    price: Option<PriceFilter>,
    /// Whether any variant can be bought now.
    in_stock: Option<bool>,
    /// Whether the cheapest variant is on sale now.
    on_sale: Option<bool>,
    /// Whether the shop shows it first.
    featured: Option<bool>,
    /// Made by one of these. Case does not matter. At most 100.
    vendors: Option<Vec<String>>,
    /// Has at least one of these tags. Case does not matter. At most 100.
    tags: Option<Vec<String>>,
    /// One and the same variant has, of each option named here, one of its values. At most 10.
    options: Option<Vec<OptionFilter>>,
    /// Made in this time.
    created_at: Option<TimeFilter>,
    /// Last changed in this time.
    updated_at: Option<TimeFilter>,
    /// Where it stands in its life: staff may ask for what is not on sale, everybody else for `ACTIVE` only. What is on
    /// sale when nothing is said.
    status: Option<Vec<ProductStatus>>,
}

/// A range of prices, both ends included.
#[derive(Debug, InputObject)]
pub struct PriceFilter {
    /// At least so much.
    min: Option<Decimal>,
    /// At most so much.
    max: Option<Decimal>,
}

/// Values of one option.
#[derive(Debug, InputObject)]
pub struct OptionFilter {
    /// The option: `Size`. Case does not matter.
    name: String,
    /// One of these values: `["M", "L"]`. Case does not matter. At most 100.
    values: Vec<String>,
}

/// A span of time.
#[derive(Debug, InputObject)]
pub struct TimeFilter {
    /// From this moment on.
    from: Option<DateTime<Utc>>,
    /// Up to, but not including, this moment.
    to: Option<DateTime<Utc>>,
}

/// In which order products are wanted.
#[derive(Debug, Default, InputObject)]
pub struct ProductOrder {
    /// By what.
    #[graphql(default)]
    field: ProductOrderField,
    /// The other way round: dearest first, Z before A, oldest first.
    #[graphql(default)]
    reverse: bool,
}

/// What products can be ordered by.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Enum)]
pub enum ProductOrderField {
    /// What fits the filter best: by relevance when there is a search, else featured ones first, then the newest.
    #[default]
    BestMatch,
    /// How well the name fits the search, then the newest. Needs `filter.search`.
    Relevance,
    /// What a buyer pays now for the cheapest variant, cheapest first.
    Price,
    /// By name, A first. Case and accents do not matter.
    Name,
    /// The newest first.
    Newest,
}

impl From<ProductOrder> for Order {
    fn from(ProductOrder { field, reverse }: ProductOrder) -> Self {
        let by = match field {
            ProductOrderField::BestMatch => By::Best,
            ProductOrderField::Relevance => By::Relevance,
            ProductOrderField::Price => By::Price,
            ProductOrderField::Name => By::Name,
            ProductOrderField::Newest => By::Newest,
        };
        Self { by, reverse }
    }
}

impl ProductFilter {
    /// The filter as the catalog knows it.
    ///
    /// # Errors
    /// When an id or an amount cannot be, or the caller may not ask for that.
    pub fn read(self, currency: Currency, caller: Caller) -> Result<Filter> {
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
        let category = category.map(|id| GlobalId::key(&id, Kind::Category, "filter.category")).transpose()?;
        let price = price.map(|price| price.read(currency)).transpose()?.unwrap_or_default();
        let span = |time: Option<TimeFilter>| time.map(TimeFilter::span).unwrap_or_default();
        let options = options.unwrap_or_default().into_iter().map(|OptionFilter { name, values }| (name, values));
        Ok(Filter {
            category,
            search,
            price,
            in_stock,
            on_sale,
            featured,
            vendors: vendors.unwrap_or_default(),
            tags: tags.unwrap_or_default(),
            options: options.collect(),
            created: span(created_at),
            updated: span(updated_at),
            status: read_status(status.unwrap_or_default(), caller)?,
        })
    }
}

/// Only what is on sale is everybody's to see; that alone is what a filter without a status means.
fn read_status(status: Vec<ProductStatus>, caller: Caller) -> Result<Vec<Status>> {
    if status.iter().all(|one| *one == ProductStatus::Active) {
        return Ok(Vec::new());
    }
    caller.may(Permission::CatalogWrite)?;
    Ok(status.into_iter().map(Status::from).collect())
}

impl TimeFilter {
    /// From the first moment on, up to the second.
    #[must_use]
    pub fn span(self) -> (Option<DateTime<Utc>>, Option<DateTime<Utc>>) {
        (self.from, self.to)
    }
}

impl PriceFilter {
    /// In minor units. What lies between two of them is rounded inwards, so that no price outside is let in.
    fn read(self, currency: Currency) -> Result<(Option<i64>, Option<i64>)> {
        let decimals = Money::decimals(currency);
        let read = |field: &str, amount: Option<Decimal>, way| {
            let Some(amount) = amount else { return Ok(None) };
            let amount = amount.round_dp_with_strategy(decimals, way);
            let money = Money::from_decimal(amount, currency).map(|(money, _)| Some(money.minor));
            money.ok_or_else(|| Error::bad_input(field, "a price is from 0 to 10000000000000"))
        };
        if matches!((self.min, self.max), (Some(min), Some(max)) if min > max) {
            return Err(Error::bad_input("filter.price", "`min` is above `max`"));
        }
        let min = read("filter.price.min", self.min, RoundingStrategy::ToPositiveInfinity)?;
        Ok((min, read("filter.price.max", self.max, RoundingStrategy::ToNegativeInfinity)?))
    }
}
