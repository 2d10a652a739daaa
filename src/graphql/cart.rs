//! Carts with server-side pricing.
#![expect(clippy::unused_async, reason = "resolvers are async even if they do not await")]

pub mod attributes;
pub mod data;
pub mod line;
pub mod problem;
pub mod warning;
pub mod mutations;
pub mod details;

use std::sync::Arc;

use async_graphql::{Context, Enum, ID, MergedObject, Object};
use chrono::{DateTime, Utc};

use self::{data::CartData, line::CartLine, problem::CartProblem};
use super::{
    batched::Batched, context::request_context, cost::Cost, customer::postal_address::PostalAddressObject,
    order::payment_method::PaymentMethodObject, pricing::shipping_option::ShippingOption, scalars::clamp_to_i32,
};
use crate::{
    base::{Money, Result},
    cart::{
        self, CartLineRow, CartStatus, LockedCart, cart_row, details::shipping_country, validation as cart_validation,
    },
    payment::PayableOrder,
    pricing::SellableVariant,
};

/// Base complexity of a cart field: each cart is read separately, in a few statements.
pub const CART_COST: usize = 25;

/// Cart mutations.
#[derive(Debug, Default, MergedObject)]
pub struct CartMutation(mutations::CartLineMutation, details::CartDetailsMutation);

/// Shopping cart. The ID of a guest cart grants access to it and must be kept secret; a customer's cart is accessible
/// to that customer only.
#[derive(Debug, Clone)]
pub struct Cart(Arc<CartData>);

impl From<cart_row::Model> for Cart {
    fn from(row: cart_row::Model) -> Self {
        Self(Arc::new(CartData::new(row, None)))
    }
}

impl From<LockedCart> for Cart {
    fn from(LockedCart { row, contents, adjustments: _ }: LockedCart) -> Self {
        Self(Arc::new(CartData::new(row, Some(contents))))
    }
}

/// Status of a cart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "CartStatus", name = "CartStatus")]
pub enum CartStatusEnum {
    /// The cart can be changed and ordered.
    Open,
    /// The cart was converted to an order.
    Ordered,
    /// The cart was merged into another cart of its owner.
    Merged,
}

/// Shopping cart. The ID of a guest cart grants access to it and must be kept secret; a customer's cart is accessible
/// to that customer only.
#[Object]
impl Cart {
    /// Secret ID of the cart.
    async fn id(&self) -> ID {
        self.0.row.token.clone().into()
    }

    /// Cart status.
    async fn status(&self) -> CartStatusEnum {
        self.0.row.status.into()
    }

    /// Version number, incremented by every update; pass it as `expectedVersion` for optimistic locking.
    async fn version(&self) -> i32 {
        self.0.row.version
    }

    /// Lines in the order they were added; at most 200.
    async fn lines(&self, ctx: &Context<'_>) -> Result<Vec<CartLine>> {
        let context = request_context(ctx);
        let contents = self.0.load_contents(context).await?;
        context.charge_list_values(ctx, contents.lines.len())?;
        let lines = contents.lines.iter().filter_map(|line| Some((line, contents.variants.get(&line.variant_id)?)));
        let to_line = |(index, (line, sellable_variant)): (usize, (&CartLineRow, &SellableVariant))| CartLine {
            cart: Arc::clone(&self.0),
            index,
            line: line.clone(),
            sellable_variant: sellable_variant.clone(),
        };
        Ok(lines.enumerate().map(to_line).collect())
    }

    /// Total quantity of all lines.
    async fn item_count(&self, ctx: &Context<'_>) -> Result<i32> {
        let contents = self.0.load_contents(request_context(ctx)).await?;
        Ok(clamp_to_i32(contents.lines.iter().map(|line| line.quantity).sum()))
    }

    /// Total weight in grams.
    async fn weight_grams(&self, ctx: &Context<'_>) -> Result<i32> {
        Ok(clamp_to_i32(self.0.load_pricing(request_context(ctx)).await?.1.weight_grams))
    }

    /// Amounts of the cart.
    async fn cost(&self, ctx: &Context<'_>) -> Result<Batched<Cost>> {
        let context = request_context(ctx);
        Ok(Cost::of_totals(context, &self.0.load_pricing(context).await?.1.totals))
    }

    /// Shipping address; null until set.
    async fn shipping_address(&self) -> Result<Option<PostalAddressObject>> {
        PostalAddressObject::from_json(self.0.row.shipping_address.clone())
    }

    /// Billing address; null if it is the shipping address.
    async fn billing_address(&self) -> Result<Option<PostalAddressObject>> {
        PostalAddressObject::from_json(self.0.row.billing_address.clone())
    }

    /// Selected shipping method with its price; null if none is selected or it is no longer available.
    async fn shipping_option(&self, ctx: &Context<'_>) -> Result<Option<ShippingOption>> {
        let (_, totals) = self.0.load_pricing(request_context(ctx)).await?;
        Ok(totals.shipping.as_ref().map(ShippingOption::from))
    }

    /// Shipping methods available for the destination, with their prices, in the shop's order.
    async fn available_shipping_options(&self, ctx: &Context<'_>) -> Result<Vec<ShippingOption>> {
        let context = request_context(ctx);
        let (pricing_context, totals) = self.0.load_pricing(context).await?;
        let options = ShippingOption::list_available(pricing_context, totals);
        context.charge_list_values(ctx, options.len())?;
        Ok(options)
    }

    /// Payment methods available for the destination and the total, in the shop's order.
    async fn payment_methods(&self, ctx: &Context<'_>) -> Result<Vec<PaymentMethodObject>> {
        let context = request_context(ctx);
        let (_, totals) = self.0.load_pricing(context).await?;
        let shop = &context.app_state.config.shop;
        let country = Some(shipping_country(&self.0.row, shop.country));
        let total = Money::new(totals.totals.total, shop.currency);
        let methods = PaymentMethodObject::list(context, Some(PayableOrder { total, country }));
        context.charge_list_values(ctx, methods.len())?;
        Ok(methods)
    }

    /// Issues that block checkout or that the customer should know before; empty if there are none.
    async fn problems(&self, ctx: &Context<'_>) -> Result<Vec<CartProblem>> {
        let context = request_context(ctx);
        let contents = self.0.load_contents(context).await?;
        let mut issues = contents.issues();
        if self.0.row.shipping_method_id.is_some() {
            let (pricing_context, totals) = self.0.load_pricing(context).await?;
            issues.extend(cart_validation::validate_shipping_method(&self.0.row, pricing_context, totals.weight_grams));
        }
        context.charge_list_values(ctx, issues.len())?;
        Ok(issues.into_iter().map(|issue| CartProblem::from_issue(issue, contents)).collect())
    }

    /// Email address for order notifications; null until set.
    async fn email(&self) -> Option<&str> {
        self.0.row.email.as_deref()
    }

    /// Phone number (E.164) of the buyer; null until set.
    async fn phone(&self) -> Option<&str> {
        self.0.row.phone.as_deref()
    }

    /// Note for the packer; null if there is none.
    async fn note(&self) -> Option<&str> {
        self.0.row.note.as_deref()
    }

    /// Creation time.
    async fn created_at(&self) -> DateTime<Utc> {
        self.0.row.created_at
    }

    /// Time of the last update. Inactive carts are deleted after the configured retention period.
    async fn updated_at(&self) -> DateTime<Utc> {
        self.0.row.updated_at
    }
}

/// Cart queries.
#[derive(Debug, Default)]
pub struct CartQuery;

#[Object]
impl CartQuery {
    /// Cart by ID; null if it does not exist, has expired or belongs to another customer.
    #[graphql(complexity = "CART_COST + child_complexity")]
    async fn cart(&self, ctx: &Context<'_>, #[graphql(desc = "ID of the cart.")] id: ID) -> Result<Option<Cart>> {
        let context = request_context(ctx);
        // The writes of guests are not known by their requests.
        context.db.use_primary();
        Ok(cart::find_cart_by_token(&context.db, &id, context.caller).await?.map(Cart::from))
    }
}
