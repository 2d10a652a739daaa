//! Prices that a product derives from its variants at a given time, and when they next change. Pure functions.

use std::borrow::Borrow;

use chrono::{DateTime, Utc};

use super::{
    entity::variant,
    measure::{self, Measure, UnitPrice},
};

/// What a product derives from its variants. Prices are in minor units.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DerivedPrices {
    /// SKU of the first variant.
    pub sku: String,
    /// Regular price of the variant that is currently the cheapest.
    pub price: i64,
    /// Sale price of that variant, while it is on sale.
    pub sale_price: Option<i64>,
    /// Current price of the cheapest variant.
    pub current_price: i64,
    /// Current price of the most expensive variant.
    pub max_current_price: i64,
    /// Discount of the cheapest variant in whole percent.
    pub discount_percent: i64,
    /// Time when a sale next starts or ends.
    pub next_price_change_at: Option<DateTime<Utc>>,
    /// End of the sale of the cheapest variant.
    pub sale_ends_at: Option<DateTime<Utc>>,
}

impl variant::Model {
    /// Returns the sale price if the sale is active.
    #[must_use]
    pub fn current_sale_price(&self, now: DateTime<Utc>) -> Option<i64> {
        let has_started = self.sale_starts_at.is_none_or(|starts| starts <= now);
        let has_not_ended = self.sale_ends_at.is_none_or(|ends| now < ends);
        self.sale_price.filter(|_| has_started && has_not_ended)
    }

    /// Returns the current price.
    #[must_use]
    pub fn current_price(&self, now: DateTime<Utc>) -> i64 {
        self.current_sale_price(now).unwrap_or(self.price)
    }

    /// Returns the content of the package.
    #[must_use]
    pub fn content(&self) -> Option<Measure> {
        Some(Measure { quantity: self.content_quantity?, unit: self.content_unit? })
    }

    /// Returns the current price per unit of measure.
    #[must_use]
    pub fn unit_price(&self, now: DateTime<Utc>) -> Option<UnitPrice> {
        measure::unit_price(self.current_price(now), self.content()?)
    }

    /// Returns when the price next changes because a sale starts or ends.
    fn next_price_change_at(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        [self.sale_starts_at, self.sale_ends_at].into_iter().flatten().filter(|moment| *moment > now).min()
    }
}

/// Returns by how much a current price is below the regular one: whole percent, rounded down; 0 if it is free anyway.
#[must_use]
pub const fn discount_percent(price: i64, current_price: i64) -> i64 {
    if price > 0 { (price - current_price) * 100 / price } else { 0 }
}

/// Derives prices from these variants; `None` if none is active.
#[must_use]
pub fn derive_prices(variants: &[impl Borrow<variant::Model>], now: DateTime<Utc>) -> Option<DerivedPrices> {
    let active_variants = || variants.iter().map(Borrow::borrow).filter(|variant| variant.deleted_at.is_none());
    let first = active_variants().min_by_key(|variant| (variant.position, variant.id))?;
    let cheapest =
        active_variants().min_by_key(|variant| (variant.current_price(now), variant.position, variant.id))?;
    Some(DerivedPrices {
        sku: first.sku.clone(),
        price: cheapest.price,
        sale_price: cheapest.current_sale_price(now),
        current_price: cheapest.current_price(now),
        discount_percent: discount_percent(cheapest.price, cheapest.current_price(now)),
        max_current_price: active_variants().map(|variant| variant.current_price(now)).max()?,
        next_price_change_at: active_variants().filter_map(|variant| variant.next_price_change_at(now)).min(),
        sale_ends_at: cheapest.sale_ends_at.filter(|_| cheapest.current_sale_price(now).is_some()),
    })
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    fn build_variant(id: i64, price: i64, sale: Option<i64>) -> variant::Model {
        variant::Model { id, sku: format!("S{id}"), price, sale_price: sale, ..variant::Model::default() }
    }

    #[test]
    fn product_price_follows_cheapest_variant() {
        let now = DateTime::UNIX_EPOCH;
        let mut sale = build_variant(2, 900, Some(300));
        sale.sale_ends_at = Some(now + TimeDelta::hours(1));
        let variants = [build_variant(1, 500, None), sale];
        let derived = derive_prices(&variants, now).expect("derived");
        assert_eq!((derived.price, derived.sale_price, derived.max_current_price), (900, Some(300), 500));
        assert_eq!((derived.sku.as_str(), derived.next_price_change_at), ("S1", variants[1].sale_ends_at));
        assert_eq!(derived.sale_ends_at, variants[1].sale_ends_at);

        let after = derive_prices(&variants, now + TimeDelta::hours(1)).expect("derived");
        assert_eq!(
            (after.price, after.sale_price, after.max_current_price, after.next_price_change_at),
            (500, None, 900, None)
        );
        assert_eq!(after.sale_ends_at, None);
    }

    #[test]
    fn future_sale_is_not_applied() {
        let now = DateTime::UNIX_EPOCH;
        let mut upcoming = build_variant(1, 900, Some(300));
        upcoming.sale_starts_at = Some(now + TimeDelta::hours(1));
        let derived = derive_prices(std::slice::from_ref(&upcoming), now).expect("derived");
        assert_eq!((derived.current_price, derived.next_price_change_at), (900, upcoming.sale_starts_at));
    }

    #[test]
    fn deleted_variants_have_no_price() {
        let mut deleted = build_variant(1, 900, None);
        deleted.deleted_at = Some(DateTime::UNIX_EPOCH);
        assert_eq!(derive_prices(&[deleted], DateTime::UNIX_EPOCH), None);
    }
}
