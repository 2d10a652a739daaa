//! What a product shows of its variants' prices at a moment, and when that next changes. Pure.

use std::borrow::Borrow;

use chrono::{DateTime, Utc};

use super::entity::variant;

/// What a product derives from its variants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Derived {
    /// Of the first variant.
    pub sku: String,
    /// The regular price of the variant that costs least now.
    pub price: i64,
    /// What that variant costs while it is on sale.
    pub sale_price: Option<i64>,
    /// What a buyer pays now for the cheapest variant.
    pub price_now: i64,
    /// What a buyer pays now for the dearest one.
    pub price_max: i64,
    /// When a sale next begins or ends.
    pub reprice_at: Option<DateTime<Utc>>,
}

impl variant::Model {
    /// The sale price if the sale is on.
    #[must_use]
    pub fn sale_now(&self, now: DateTime<Utc>) -> Option<i64> {
        let begun = self.sale_starts_at.is_none_or(|starts| starts <= now);
        let lasts = self.sale_ends_at.is_none_or(|ends| now < ends);
        self.sale_price.filter(|_| begun && lasts)
    }

    /// What a buyer pays.
    #[must_use]
    pub fn price_now(&self, now: DateTime<Utc>) -> i64 {
        self.sale_now(now).unwrap_or(self.price)
    }

    /// When its price next changes by itself.
    fn turns_at(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        [self.sale_starts_at, self.sale_ends_at].into_iter().flatten().filter(|at| *at > now).min()
    }
}

/// What a product shows of these variants; nothing if none of them is left.
#[must_use]
pub fn derive(variants: &[impl Borrow<variant::Model>], now: DateTime<Utc>) -> Option<Derived> {
    let alive = || variants.iter().map(Borrow::borrow).filter(|variant| variant.deleted_at.is_none());
    let first = alive().min_by_key(|variant| (variant.position, variant.id))?;
    let cheapest = alive().min_by_key(|variant| (variant.price_now(now), variant.position, variant.id))?;
    Some(Derived {
        sku: first.sku.clone(),
        price: cheapest.price,
        sale_price: cheapest.sale_now(now),
        price_now: cheapest.price_now(now),
        price_max: alive().map(|variant| variant.price_now(now)).max()?,
        reprice_at: alive().filter_map(|variant| variant.turns_at(now)).min(),
    })
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    fn variant(id: i64, price: i64, sale: Option<i64>) -> variant::Model {
        let at = DateTime::UNIX_EPOCH;
        variant::Model {
            id,
            product_id: 1,
            sku: format!("S{id}"),
            name: String::new(),
            option_key: String::new(),
            price,
            sale_price: sale,
            sale_starts_at: None,
            sale_ends_at: None,
            weight_grams: None,
            image: None,
            barcode: None,
            track_stock: true,
            position: 0,
            version: 1,
            created_at: at,
            updated_at: at,
            deleted_at: None,
        }
    }

    #[test]
    fn a_product_costs_what_its_cheapest_variant_costs_now() {
        let now = DateTime::UNIX_EPOCH;
        let mut sale = variant(2, 900, Some(300));
        sale.sale_ends_at = Some(now + TimeDelta::hours(1));
        let variants = [variant(1, 500, None), sale];
        let derived = derive(&variants, now).expect("derived");
        assert_eq!((derived.price, derived.sale_price, derived.price_max), (900, Some(300), 500));
        assert_eq!((derived.sku.as_str(), derived.reprice_at), ("S1", variants[1].sale_ends_at));

        let after = derive(&variants, now + TimeDelta::hours(1)).expect("derived");
        assert_eq!((after.price, after.sale_price, after.price_max, after.reprice_at), (500, None, 900, None));
    }

    #[test]
    fn a_sale_to_come_is_no_sale_yet() {
        let now = DateTime::UNIX_EPOCH;
        let mut coming = variant(1, 900, Some(300));
        coming.sale_starts_at = Some(now + TimeDelta::hours(1));
        let derived = derive(std::slice::from_ref(&coming), now).expect("derived");
        assert_eq!((derived.price_now, derived.reprice_at), (900, coming.sale_starts_at));
    }

    #[test]
    fn no_variants_no_price() {
        let mut gone = variant(1, 900, None);
        gone.deleted_at = Some(DateTime::UNIX_EPOCH);
        assert_eq!(derive(&[gone], DateTime::UNIX_EPOCH), None);
    }
}
