//! What stands between a cart and its order, as state: no edit fails for it, the order will. Pure.

use super::{entity::cart, hold::Contents};
use crate::pricing::{Obstacle, Offer, Terms};

/// Something that stands in the way, or that a shopper should know before they order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Problem {
    /// The shop does not sell a line's variant any more.
    Gone(i64),
    /// There are none left.
    SoldOut(i64),
    /// There are fewer left than wanted: the variant, and how many.
    Fewer(i64, i64),
    /// The price is another than when it was put into the cart: the variant, what it was, what it is.
    PriceChanged(i64, i64, i64),
    /// The way of shipping is not there any more, or does not carry this there.
    ShippingMethod,
}

impl Contents {
    /// The lines that the shop knows, with their quantities.
    #[must_use]
    pub fn offered(&self) -> Vec<(Offer, i64)> {
        let lines = self.lines.iter();
        lines.filter_map(|line| Some((self.offers.get(&line.variant_id)?.clone(), line.quantity))).collect()
    }

    /// Everything that is to be said of its lines, in their order.
    #[must_use]
    pub fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        for line in &self.lines {
            let key = line.variant_id;
            let Some(offer) = self.offers.get(&key) else {
                problems.push(Problem::Gone(key));
                continue;
            };
            match offer.obstacle(line.quantity) {
                Some(Obstacle::Gone) => {
                    problems.push(Problem::Gone(key));
                    continue;
                }
                Some(Obstacle::SoldOut) => problems.push(Problem::SoldOut(key)),
                Some(Obstacle::Fewer(left)) => problems.push(Problem::Fewer(key, left)),
                None => {}
            }
            if offer.unit != line.unit_price {
                problems.push(Problem::PriceChanged(key, line.unit_price, offer.unit));
            }
        }
        problems
    }
}

/// Whether the way of shipping that was chosen still is one.
#[must_use]
pub fn of_shipping(row: &cart::Model, terms: &Terms, grams: i64) -> Option<Problem> {
    let key = row.shipping_method_id?;
    let fits = terms.method(key).is_some_and(|method| method.fits(terms.country, grams));
    (!fits).then_some(Problem::ShippingMethod)
}
