//! What stands between a cart and its order.

use async_graphql::{Context, Enum, ID, Object};
use rust_decimal::Decimal;

use super::super::{context::scope, int};
use crate::{
    base::{GlobalId, id::Kind},
    cart::{Contents, Problem},
};

/// What kind of problem a cart has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
pub enum CartProblemCode {
    /// The shop does not sell a line's variant any more: remove the line.
    ProductNotAvailable,
    /// None are left of a line's variant.
    SoldOut,
    /// Fewer are left than the line has: `left` says how many.
    InsufficientStock,
    /// One costs something else than when it was put into the cart: from `priceBefore` to `priceNow`. Setting the line
    /// again says that this is known; nothing else stands in the way.
    PriceChanged,
    /// The way of shipping that was chosen is not there any more, or does not carry this cart there: choose another.
    ShippingMethodNotAvailable,
}

/// Something that stands between a cart and its order, or should be known before.
#[derive(Debug)]
pub struct CartProblem {
    problem: Problem,
    /// What the product is called that it is about.
    name: Option<String>,
}

impl CartProblem {
    /// A problem of a cart that has this in it.
    #[must_use]
    pub fn of(problem: Problem, contents: &Contents) -> Self {
        let name = variant(problem).and_then(|key| contents.offers.get(&key)).map(|offer| offer.name.clone());
        Self { problem, name }
    }
}

fn variant(problem: Problem) -> Option<i64> {
    match problem {
        Problem::Gone(key) | Problem::SoldOut(key) | Problem::Fewer(key, _) | Problem::PriceChanged(key, ..) => {
            Some(key)
        }
        Problem::ShippingMethod => None,
    }
}

/// Something that stands between a cart and its order, or should be known before.
#[Object]
impl CartProblem {
    /// The kind, for programs.
    async fn code(&self) -> CartProblemCode {
        match self.problem {
            Problem::Gone(_) => CartProblemCode::ProductNotAvailable,
            Problem::SoldOut(_) => CartProblemCode::SoldOut,
            Problem::Fewer(..) => CartProblemCode::InsufficientStock,
            Problem::PriceChanged(..) => CartProblemCode::PriceChanged,
            Problem::ShippingMethod => CartProblemCode::ShippingMethodNotAvailable,
        }
    }

    /// What is the matter, for people.
    async fn message(&self, ctx: &Context<'_>) -> String {
        let name = self.name.as_deref().unwrap_or("this");
        match self.problem {
            Problem::Gone(_) => format!("{name} is not sold any more; remove it"),
            Problem::SoldOut(_) => format!("{name} is sold out"),
            Problem::Fewer(_, left) => format!("only {left} are left of {name}"),
            Problem::PriceChanged(_, from, to) => {
                let scope = scope(ctx);
                let (from, to) = (scope.amount(from), scope.amount(to));
                format!("{name} cost {from} when it was put into the cart; it costs {to} now")
            }
            Problem::ShippingMethod => "this way of shipping cannot be chosen any more; choose another".to_owned(),
        }
    }

    /// The variant of the line it is about; null when it is about the whole cart.
    async fn variant_id(&self) -> Option<ID> {
        variant(self.problem).map(|key| GlobalId::new(Kind::Variant, key).encode().into())
    }

    /// How many are left; null when that is not the problem.
    async fn left(&self) -> Option<i32> {
        match self.problem {
            Problem::SoldOut(_) => Some(0),
            Problem::Fewer(_, left) => Some(int(left)),
            _ => None,
        }
    }

    /// What one cost when it was put into the cart; null when the price is not the problem.
    async fn price_before(&self, ctx: &Context<'_>) -> Option<Decimal> {
        match self.problem {
            Problem::PriceChanged(_, from, _) => Some(scope(ctx).amount(from)),
            _ => None,
        }
    }

    /// What one costs now; null when the price is not the problem.
    async fn price_now(&self, ctx: &Context<'_>) -> Option<Decimal> {
        match self.problem {
            Problem::PriceChanged(_, _, to) => Some(scope(ctx).amount(to)),
            _ => None,
        }
    }
}
