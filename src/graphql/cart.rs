//! Carts: what somebody is about to buy, priced by the shop.
#![expect(clippy::unused_async, reason = "a resolver is asynchronous, whether it waits for anything or not")]

pub mod line;
pub mod problem;
pub mod change;
pub mod said;

use std::sync::Arc;

use async_graphql::{Context, Enum, ID, Object};
use chrono::{DateTime, Utc};
use rust_decimal::Decimal;
use tokio::sync::OnceCell;

use self::{line::CartLine, problem::CartProblem};
use super::{
    context::{Scope, scope},
    int,
    postal::PostalAddress,
    shipping::ShippingOption,
    shop::CurrencyCode,
};
use crate::{
    base::Result,
    cart::{self, Contents, Held, State, cart_row, problem as stands, said as says},
    customer::Written,
    pricing::{Priced, Terms, reckon},
};

/// What a cart costs besides what is asked of it: it is read by itself, in a few statements.
pub const COST: usize = 25;

/// What somebody is about to buy. A guest's opens to whoever has its id, so keep that like a key; a customer's to the
/// customer alone.
#[derive(Debug, Clone)]
pub struct Cart(Arc<Core>);

/// What is known of a cart by now.
#[derive(Debug)]
pub struct Core {
    /// The cart.
    row: cart_row::Model,
    /// What is in it; read when a field asks for it, unless it is at hand.
    contents: OnceCell<Contents>,
    /// What it comes to; worked out when a field asks for it.
    priced: OnceCell<(Terms, Priced)>,
}

impl From<cart_row::Model> for Cart {
    fn from(row: cart_row::Model) -> Self {
        Self(Arc::new(Core { row, contents: OnceCell::new(), priced: OnceCell::new() }))
    }
}

impl From<Held> for Cart {
    fn from(Held { row, contents }: Held) -> Self {
        let contents = OnceCell::new_with(Some(contents));
        Self(Arc::new(Core { row, contents, priced: OnceCell::new() }))
    }
}

impl Core {
    async fn contents(&self, scope: &Scope) -> Result<&Contents> {
        self.contents.get_or_try_init(|| cart::hold::contents(&scope.db, (self.row.id, &[]), scope.db.now())).await
    }

    async fn priced(&self, scope: &Scope) -> Result<&(Terms, Priced)> {
        let work_out = || async {
            let contents = self.contents(scope).await?;
            let country = says::country(&self.row, scope.shared.config.shop.country);
            let terms = Terms::load(&scope.db, country).await?;
            let priced = reckon(&terms, &scope.tree(), contents.offered(), self.row.shipping_method_id)?;
            Ok((terms, priced))
        };
        self.priced.get_or_try_init(work_out).await
    }
}

/// Where a cart stands in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "State")]
pub enum CartState {
    /// It can be changed and ordered.
    Open,
    /// It has been ordered.
    Ordered,
    /// What was in it is in its owner's other cart.
    Merged,
}

/// What somebody is about to buy. A guest's opens to whoever has its id, so keep that like a key; a customer's to the
/// customer alone.
#[Object]
impl Cart {
    /// The id: a word that nobody guesses.
    async fn id(&self) -> ID {
        self.0.row.word.clone().into()
    }

    /// Where it stands.
    async fn state(&self) -> CartState {
        self.0.row.state.into()
    }

    /// Counts changes: hand it to the next change as `expectedVersion` to be told when others were faster.
    async fn version(&self) -> i32 {
        self.0.row.version
    }

    /// What is in it, in the order it was put there; at most 200 lines. One statement, none after a change of lines;
    /// what a line comes to costs two small ones more for the whole cart.
    async fn lines(&self, ctx: &Context<'_>) -> Result<Vec<CartLine>> {
        let scope = scope(ctx);
        let contents = self.0.contents(scope).await?;
        scope.spend(ctx, contents.lines.len())?;
        let lines = contents.lines.iter().filter_map(|line| Some((*line, contents.offers.get(&line.variant_id)?)));
        let line =
            |(place, (line, offer))| CartLine { cart: Arc::clone(&self.0), place, line, offer: Clone::clone(offer) };
        Ok(lines.enumerate().map(line).collect())
    }

    /// How many things are in it, all lines together.
    async fn item_count(&self, ctx: &Context<'_>) -> Result<i32> {
        let contents = self.0.contents(scope(ctx)).await?;
        Ok(int(contents.lines.iter().map(|line| line.quantity).sum()))
    }

    /// What all weighs together, in grams.
    async fn weight_grams(&self, ctx: &Context<'_>) -> Result<i32> {
        Ok(int(self.0.priced(scope(ctx)).await?.1.grams))
    }

    /// All lines at regular prices.
    async fn subtotal(&self, ctx: &Context<'_>) -> Result<Decimal> {
        let scope = scope(ctx);
        Ok(scope.amount(self.0.priced(scope).await?.1.totals.subtotal))
    }

    /// What sales take off that.
    async fn discount(&self, ctx: &Context<'_>) -> Result<Decimal> {
        let scope = scope(ctx);
        Ok(scope.amount(self.0.priced(scope).await?.1.totals.discount))
    }

    /// What sending costs; 0 while no way is chosen.
    async fn shipping(&self, ctx: &Context<'_>) -> Result<Decimal> {
        let scope = scope(ctx);
        Ok(scope.amount(self.0.priced(scope).await?.1.totals.shipping))
    }

    /// All tax, on goods and shipping, at the rates of the country it goes to, or of the shop's own while nobody has
    /// said where.
    async fn tax(&self, ctx: &Context<'_>) -> Result<Decimal> {
        let scope = scope(ctx);
        Ok(scope.amount(self.0.priced(scope).await?.1.totals.tax))
    }

    /// As much of the tax as the prices contain, so that it is not added to them.
    async fn tax_included(&self, ctx: &Context<'_>) -> Result<Decimal> {
        let scope = scope(ctx);
        Ok(scope.amount(self.0.priced(scope).await?.1.totals.tax_included))
    }

    /// What is to be paid: `subtotal - discount + shipping + tax - taxIncluded`.
    async fn total(&self, ctx: &Context<'_>) -> Result<Decimal> {
        let scope = scope(ctx);
        Ok(scope.amount(self.0.priced(scope).await?.1.totals.total))
    }

    /// The currency of all amounts.
    async fn currency(&self, ctx: &Context<'_>) -> CurrencyCode {
        CurrencyCode(scope(ctx).shared.config.shop.currency)
    }

    /// Where it goes; null while nobody has said.
    async fn shipping_address(&self) -> Result<Option<PostalAddress>> {
        Ok(self.0.row.shipping_address.clone().map(Written::kept).transpose()?.map(PostalAddress))
    }

    /// Where the bill goes; null when it goes where the goods go.
    async fn billing_address(&self) -> Result<Option<PostalAddress>> {
        Ok(self.0.row.billing_address.clone().map(Written::kept).transpose()?.map(PostalAddress))
    }

    /// How it is sent; null while nothing is chosen, and when what was chosen is not there any more.
    async fn shipping_method(&self, ctx: &Context<'_>) -> Result<Option<ShippingOption>> {
        let scope = scope(ctx);
        let (_, priced) = self.0.priced(scope).await?;
        Ok(priced.shipping.as_ref().map(|chosen| ShippingOption {
            method: chosen.method.clone().into(),
            price: scope.amount(chosen.amount),
            tax_rate: chosen.tax_rate.clone().map(Into::into),
        }))
    }

    /// How it can be sent where it goes, each way with its price, in the shop's order.
    async fn available_shipping_methods(&self, ctx: &Context<'_>) -> Result<Vec<ShippingOption>> {
        let scope = scope(ctx);
        let (terms, priced) = self.0.priced(scope).await?;
        let goods = priced.totals.subtotal - priced.totals.discount;
        let own = terms.rates.own();
        let option = |(method, price): (&crate::pricing::shipping_method::Model, i64)| ShippingOption {
            tax_rate: own.filter(|_| method.taxable).map(|own| (own.name.clone(), own.rate()).into()),
            method: method.clone().into(),
            price: scope.amount(price),
        };
        let all: Vec<_> = terms.available(priced.grams, goods).map(option).collect();
        scope.spend(ctx, all.len())?;
        Ok(all)
    }

    /// What stands between this cart and its order, or should be known before; empty when nothing does.
    async fn problems(&self, ctx: &Context<'_>) -> Result<Vec<CartProblem>> {
        let scope = scope(ctx);
        let contents = self.0.contents(scope).await?;
        let mut problems = contents.problems();
        if self.0.row.shipping_method_id.is_some() {
            let (terms, priced) = self.0.priced(scope).await?;
            problems.extend(stands::of_shipping(&self.0.row, terms, priced.grams));
        }
        scope.spend(ctx, problems.len())?;
        Ok(problems.into_iter().map(|problem| CartProblem::of(problem, contents)).collect())
    }

    /// Where mail about the order goes; null while nobody has said.
    async fn email(&self) -> Option<&str> {
        self.0.row.email.as_deref()
    }

    /// The telephone number of whoever buys, in E.164; null while nobody has said.
    async fn phone(&self) -> Option<&str> {
        self.0.row.phone.as_deref()
    }

    /// What whoever packs it should know; null when there is nothing.
    async fn note(&self) -> Option<&str> {
        self.0.row.note.as_deref()
    }

    /// When it was begun.
    async fn created_at(&self) -> DateTime<Utc> {
        self.0.row.created_at
    }

    /// When it was last changed. One that nobody touches for long enough is removed.
    async fn updated_at(&self) -> DateTime<Utc> {
        self.0.row.updated_at
    }
}

/// The carts' part of the query root.
#[derive(Debug, Default)]
pub struct CartQuery;

#[Object]
impl CartQuery {
    /// A cart by its id; null when it is not there, has expired, or is another customer's. One statement.
    #[graphql(complexity = "COST + child_complexity")]
    async fn cart(&self, ctx: &Context<'_>, #[graphql(desc = "The cart's id.")] id: ID) -> Result<Option<Cart>> {
        let scope = scope(ctx);
        Ok(cart::hold::find(&scope.db, &id, scope.caller).await?.map(Cart::from))
    }
}
