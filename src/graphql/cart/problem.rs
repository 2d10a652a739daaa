//! Issues that prevent a cart from being ordered.

use async_graphql::{Context, Enum, ID, Object};
use rust_decimal::Decimal;

use crate::{
    base::{GlobalId, global_id::NodeType},
    cart::{CartContents, CartIssue},
    graphql::{context::request_context, scalars::clamp_to_i32},
};

/// Type of a cart issue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
pub enum CartProblemCode {
    /// The variant is no longer sold: remove the line.
    ProductNotAvailable,
    /// The variant is out of stock.
    SoldOut,
    /// The available stock is less than the quantity of the line; `available` is the available quantity.
    InsufficientStock,
    /// The price changed since the line was added or last updated, from `priceBefore` to `priceNow`. Updating the line
    /// accepts the new price; the order is not blocked.
    PriceChanged,
    /// The selected shipping method no longer exists or does not apply to this cart: select another.
    ShippingMethodNotAvailable,
}

/// Issue that prevents a cart from being ordered, or that the buyer should confirm.
#[derive(Debug)]
pub struct CartProblem {
    issue: CartIssue,
    /// Name of the product concerned.
    product_name: Option<String>,
}

impl CartProblem {
    /// Creates the problem for an issue of a cart with these contents.
    #[must_use]
    pub fn from_issue(issue: CartIssue, contents: &CartContents) -> Self {
        let product_name = find_variant_id(issue)
            .and_then(|variant_id| contents.variants.get(&variant_id))
            .map(|sellable_variant| sellable_variant.name.clone());
        Self { issue, product_name }
    }
}

fn find_variant_id(issue: CartIssue) -> Option<i64> {
    match issue {
        CartIssue::NotForSale(variant_id)
        | CartIssue::SoldOut(variant_id)
        | CartIssue::InsufficientStock(variant_id, _)
        | CartIssue::PriceChanged(variant_id, ..) => Some(variant_id),
        CartIssue::ShippingMethodUnavailable => None,
    }
}

/// Issue that prevents a cart from being ordered, or that the buyer should confirm.
#[Object]
impl CartProblem {
    /// Type of the issue.
    async fn code(&self) -> CartProblemCode {
        match self.issue {
            CartIssue::NotForSale(_) => CartProblemCode::ProductNotAvailable,
            CartIssue::SoldOut(_) => CartProblemCode::SoldOut,
            CartIssue::InsufficientStock(..) => CartProblemCode::InsufficientStock,
            CartIssue::PriceChanged(..) => CartProblemCode::PriceChanged,
            CartIssue::ShippingMethodUnavailable => CartProblemCode::ShippingMethodNotAvailable,
        }
    }

    /// Human-readable message.
    async fn message(&self, ctx: &Context<'_>) -> String {
        let product_name = self.product_name.as_deref().unwrap_or("this");
        match self.issue {
            CartIssue::NotForSale(_) => format!("{product_name} is no longer available; remove it"),
            CartIssue::SoldOut(_) => format!("{product_name} is sold out"),
            CartIssue::InsufficientStock(_, remaining) => format!("only {remaining} are left of {product_name}"),
            CartIssue::PriceChanged(_, price_before, price_now) => {
                let context = request_context(ctx);
                let (price_before, price_now) =
                    (context.decimal_amount(price_before), context.decimal_amount(price_now));
                format!("{product_name} cost {price_before} when it was put into the cart; it costs {price_now} now")
            }
            CartIssue::ShippingMethodUnavailable => {
                "this shipping method is no longer available; choose another".to_owned()
            }
        }
    }

    /// ID of the variant concerned; null for an issue of the whole cart.
    async fn variant_id(&self) -> Option<ID> {
        find_variant_id(self.issue).map(|variant_key| GlobalId::new(NodeType::Variant, variant_key).encode().into())
    }

    /// Available quantity; null for other types of issues.
    async fn available(&self) -> Option<i32> {
        match self.issue {
            CartIssue::SoldOut(_) => Some(0),
            CartIssue::InsufficientStock(_, remaining) => Some(clamp_to_i32(remaining)),
            _ => None,
        }
    }

    /// Price per unit when the line was added; null for other types of issues.
    async fn price_before(&self, ctx: &Context<'_>) -> Option<Decimal> {
        match self.issue {
            CartIssue::PriceChanged(_, minor_units, _) => Some(request_context(ctx).decimal_amount(minor_units)),
            _ => None,
        }
    }

    /// Current price per unit; null for other types of issues.
    async fn price_now(&self, ctx: &Context<'_>) -> Option<Decimal> {
        match self.issue {
            CartIssue::PriceChanged(_, _, minor_units) => Some(request_context(ctx).decimal_amount(minor_units)),
            _ => None,
        }
    }
}
