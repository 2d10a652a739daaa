//! Issues that prevent a cart from being ordered.

use async_graphql::{Context, Enum, ID, Object};

use crate::{
    base::{GlobalId, global_id::NodeType},
    cart::{CartContents, CartIssue, CartIssueKind},
    graphql::{
        batched::Batched,
        context::request_context,
        scalars::{MoneyObject, clamp_to_i32},
    },
};

/// Type of a cart issue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
pub enum CartProblemCode {
    /// The variant is no longer sold: remove the line.
    ProductNotAvailable,
    /// The variant is out of stock.
    SoldOut,
    /// The available stock is less than the quantity of the line; `available` is the available quantity of the
    /// variant, which may have several lines.
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
        let sellable_variant = issue.line.and_then(|line| contents.variants.get(&line.variant_id));
        Self { issue, product_name: sellable_variant.map(|sellable_variant| sellable_variant.name.clone()) }
    }
}

/// Issue that prevents a cart from being ordered, or that the buyer should confirm.
#[Object]
impl CartProblem {
    /// Type of the issue.
    async fn code(&self) -> CartProblemCode {
        match self.issue.kind {
            CartIssueKind::NotForSale => CartProblemCode::ProductNotAvailable,
            CartIssueKind::SoldOut => CartProblemCode::SoldOut,
            CartIssueKind::InsufficientStock { .. } => CartProblemCode::InsufficientStock,
            CartIssueKind::PriceChanged { .. } => CartProblemCode::PriceChanged,
            CartIssueKind::ShippingMethodUnavailable => CartProblemCode::ShippingMethodNotAvailable,
        }
    }

    /// Whether the cart cannot be ordered until the issue is resolved.
    async fn blocking(&self) -> bool {
        self.issue.kind.is_blocking()
    }

    /// Human-readable message.
    async fn message(&self, ctx: &Context<'_>) -> String {
        let product_name = self.product_name.as_deref().unwrap_or("this");
        match self.issue.kind {
            CartIssueKind::NotForSale => format!("{product_name} is no longer available; remove it"),
            CartIssueKind::SoldOut => format!("{product_name} is sold out"),
            CartIssueKind::InsufficientStock { available } => format!("only {available} are left of {product_name}"),
            CartIssueKind::PriceChanged { before, now } => {
                let context = request_context(ctx);
                let (before, now) = (context.decimal_amount(before), context.decimal_amount(now));
                format!("{product_name} cost {before} when it was put into the cart; it costs {now} now")
            }
            CartIssueKind::ShippingMethodUnavailable => {
                "this shipping method is no longer available; choose another".to_owned()
            }
        }
    }

    /// ID of the line concerned; null for an issue of the whole cart.
    async fn line_id(&self) -> Option<ID> {
        self.issue.line.map(|line| GlobalId::new(NodeType::CartLine, line.line_id).encode().into())
    }

    /// ID of the variant concerned; null for an issue of the whole cart.
    async fn variant_id(&self) -> Option<ID> {
        self.issue.line.map(|line| GlobalId::new(NodeType::Variant, line.variant_id).encode().into())
    }

    /// Available quantity of the variant; null for other types of issues.
    async fn available(&self) -> Option<i32> {
        match self.issue.kind {
            CartIssueKind::SoldOut => Some(0),
            CartIssueKind::InsufficientStock { available } => Some(clamp_to_i32(available)),
            _ => None,
        }
    }

    /// Price per unit when the line was added; null for other types of issues.
    async fn price_before(&self, ctx: &Context<'_>) -> Option<Batched<MoneyObject>> {
        match self.issue.kind {
            CartIssueKind::PriceChanged { before, .. } => Some(request_context(ctx).money(before)),
            _ => None,
        }
    }

    /// Current price per unit; null for other types of issues.
    async fn price_now(&self, ctx: &Context<'_>) -> Option<Batched<MoneyObject>> {
        match self.issue.kind {
            CartIssueKind::PriceChanged { now, .. } => Some(request_context(ctx).money(now)),
            _ => None,
        }
    }
}
