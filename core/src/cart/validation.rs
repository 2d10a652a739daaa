//! Validation of carts before checkout. Issues do not block changes of the cart, but its order. Pure.

use std::collections::HashMap;

use super::{access::CartContents, entity::cart};
use crate::pricing::{PricingContext, SellableVariant, Unavailability};

/// An issue that blocks the order, or that the shopper should confirm before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CartIssue {
    /// The line concerned; `None` for the whole cart.
    pub line: Option<LineIds>,
    /// The kind of the issue.
    pub kind: CartIssueKind,
}

/// The IDs of a line and of its variant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LineIds {
    /// The line's primary key.
    pub line_id: i64,
    /// The variant's primary key.
    pub variant_id: i64,
}

/// The kind of a cart issue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CartIssueKind {
    /// The line's variant is no longer for sale.
    NotForSale,
    /// The variant is sold out.
    SoldOut,
    /// Less stock is available than the lines of the variant have together.
    InsufficientStock {
        /// The available quantity.
        available: i64,
    },
    /// The price differs from the line's.
    PriceChanged {
        /// The price when the line was last set, in minor units.
        before: i64,
        /// The current price, in minor units.
        now: i64,
    },
    /// The shipping method no longer exists, or does not support the country or weight.
    ShippingMethodUnavailable,
}

impl CartIssueKind {
    /// Returns whether the cart cannot be ordered because of it.
    #[must_use]
    pub const fn is_blocking(self) -> bool {
        !matches!(self, Self::PriceChanged { .. })
    }
}

impl CartContents {
    /// Returns the lines with a known variant, with their quantities.
    #[must_use]
    pub fn sellable_lines(&self) -> Vec<(SellableVariant, i64)> {
        let lines = self.lines.iter();
        lines.filter_map(|line| Some((self.variants.get(&line.variant_id)?.clone(), line.quantity))).collect()
    }

    /// Returns the issues of the lines, in line order. Of several lines with the same variant, those beyond its
    /// available stock have the issue.
    #[must_use]
    pub fn issues(&self) -> Vec<CartIssue> {
        let mut issues = Vec::new();
        let mut quantities: HashMap<i64, i64> = HashMap::new();
        for line in &self.lines {
            let line_ids = LineIds { line_id: line.id, variant_id: line.variant_id };
            let mut add_issue = |kind| issues.push(CartIssue { line: Some(line_ids), kind });
            let Some(variant) = self.variants.get(&line.variant_id) else {
                add_issue(CartIssueKind::NotForSale);
                continue;
            };
            let quantity = quantities.entry(line.variant_id).or_default();
            *quantity += line.quantity;
            match variant.unavailability(*quantity) {
                Some(Unavailability::NotForSale) => {
                    add_issue(CartIssueKind::NotForSale);
                    continue;
                }
                Some(Unavailability::SoldOut) => add_issue(CartIssueKind::SoldOut),
                Some(Unavailability::InsufficientStock(available)) => {
                    add_issue(CartIssueKind::InsufficientStock { available });
                }
                None => {}
            }
            if variant.unit_price != line.unit_price {
                add_issue(CartIssueKind::PriceChanged { before: line.unit_price, now: variant.unit_price });
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
    (!is_deliverable).then_some(CartIssue { line: None, kind: CartIssueKind::ShippingMethodUnavailable })
}
