//! Validation of carts before checkout. Issues do not block changes of the cart, but its order. Pure.

use super::{access::CartContents, entity::cart};
use crate::pricing::{PricingContext, SellableVariant, Unavailability};

/// An issue that blocks the order, or that the shopper should confirm before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CartIssue {
    /// The line's variant is no longer for sale.
    NotForSale(i64),
    /// The variant is sold out.
    SoldOut(i64),
    /// Less stock is available than requested: the variant and the available quantity.
    InsufficientStock(i64, i64),
    /// The price differs from the line's: the variant, the previous and the current price.
    PriceChanged(i64, i64, i64),
    /// The shipping method no longer exists, or does not support the country or weight.
    ShippingMethodUnavailable,
}

impl CartContents {
    /// Returns the lines with a known variant, with their quantities.
    #[must_use]
    pub fn sellable_lines(&self) -> Vec<(SellableVariant, i64)> {
        let lines = self.lines.iter();
        lines.filter_map(|line| Some((self.variants.get(&line.variant_id)?.clone(), line.quantity))).collect()
    }

    /// Returns the issues of the lines, in line order.
    #[must_use]
    pub fn issues(&self) -> Vec<CartIssue> {
        let mut issues = Vec::new();
        for line in &self.lines {
            let variant_id = line.variant_id;
            let Some(variant) = self.variants.get(&variant_id) else {
                issues.push(CartIssue::NotForSale(variant_id));
                continue;
            };
            match variant.unavailability(line.quantity) {
                Some(Unavailability::NotForSale) => {
                    issues.push(CartIssue::NotForSale(variant_id));
                    continue;
                }
                Some(Unavailability::SoldOut) => issues.push(CartIssue::SoldOut(variant_id)),
                Some(Unavailability::InsufficientStock(available)) => {
                    issues.push(CartIssue::InsufficientStock(variant_id, available));
                }
                None => {}
            }
            if variant.unit_price != line.unit_price {
                issues.push(CartIssue::PriceChanged(variant_id, line.unit_price, variant.unit_price));
            }
        }
        issues
    }
}

/// Returns an issue if the selected shipping method is unavailable for the country or the weight in grams.
#[must_use]
pub fn validate_shipping_method(row: &cart::Model, pricing: &PricingContext, grams: i64) -> Option<CartIssue> {
    let method_id = row.shipping_method_id?;
    let is_deliverable =
        pricing.find_method(method_id).is_some_and(|method| method.supports_shipment(pricing.country, grams));
    (!is_deliverable).then_some(CartIssue::ShippingMethodUnavailable)
}
