//! Prices and totals of a checkout, with the selected shipping method or the only available one.

use crate::{
    base::{
        Country, Error, Money, Result, Validator,
        error::{ErrorFacts, PublicErrorCode},
    },
    cart::LineRequest,
    catalog::product_filter::ProductVisibility,
    infra::Tx,
    pricing::{self, PricedOrder, PricingContext, SellableVariant, Unavailability},
    sales::{
        SalesContext,
        checkout::basket::{Basket, BasketItem, load_items},
    },
};

/// Path of the shipping method in the input.
const SHIPPING_METHOD_FIELD: &str = "input.shippingMethodId";

/// Destination of an order, and the selected shipping method, if any.
#[derive(Debug, Clone, Copy)]
pub(super) struct ShippingChoice {
    pub country: Country,
    pub method_id: Option<i64>,
}

/// Prices a basket.
pub(super) async fn price_basket(
    tx: &Tx,
    context: &SalesContext<'_>,
    basket: Basket,
    choice: ShippingChoice,
) -> Result<PricedOrder> {
    let lines = select_sellable_lines(basket, ProductVisibility::for_caller(context.caller))?;
    let ShippingChoice { country, method_id } = choice;
    let pricing_context = PricingContext::load(tx, country).await?;
    if let Some(method_id) = method_id
        && pricing_context.find_method(method_id).is_none()
    {
        return Err(Error::not_found(SHIPPING_METHOD_FIELD, "shipping method"));
    }
    let priced = pricing::price_order(&pricing_context, &context.category_tree, lines, method_id)?;
    match &priced.shipping {
        Some(shipping) if shipping.is_deliverable => Ok(priced),
        Some(shipping) => {
            let (name, grams) = (&shipping.method.name, priced.weight_grams);
            let message = format!("{name} does not carry {grams} g to {}; choose another one", country.name());
            Err(Error::bad_input(SHIPPING_METHOD_FIELD, message))
        }
        None => select_only_shipping_method(context, &pricing_context, priced),
    }
}

/// Prices lines without a cart, for a destination. Statements: 3.
///
/// # Errors
/// Returns a user error for each line that cannot be ordered.
pub async fn price_lines(
    context: &SalesContext<'_>,
    lines: Vec<LineRequest>,
    country: Country,
) -> Result<(PricingContext, PricedOrder)> {
    let pricing_context = PricingContext::load(context.db, country).await?;
    let lines = if lines.is_empty() {
        Vec::new()
    } else {
        let basket = load_items(context.db, context.db.now(), lines, "lines").await?;
        select_sellable_lines(basket, ProductVisibility::for_caller(context.caller))?
    };
    let priced = pricing::price_order(&pricing_context, &context.category_tree, lines, None)?;
    Ok((pricing_context, priced))
}

/// Returns the variants of a basket with their quantities. Availability is checked when the stock is reserved.
fn select_sellable_lines(basket: Basket, visibility: ProductVisibility) -> Result<Vec<(SellableVariant, i64)>> {
    let Basket { items, variants, is_cart, path } = basket;
    let mut lines: Vec<(SellableVariant, i64)> = Vec::with_capacity(items.len());
    let mut validator = Validator::default();
    for (index, BasketItem { variant_id, quantity, .. }) in items.into_iter().enumerate() {
        let mut input = validator.at(path).index(index);
        let facts = ErrorFacts { variant_id: Some(variant_id), ..ErrorFacts::default() };
        // A caller's own cart may contain products that are hidden since; other items must be visible to the caller.
        match variants.get(&variant_id).filter(|sellable| is_cart || sellable.is_visible_to(visibility)) {
            None => {
                input.reject_with_facts(PublicErrorCode::NotFound, "", "there is no such variant", facts);
            }
            Some(sellable) if sellable.unavailability(quantity) == Some(Unavailability::NotForSale) => {
                let message = format!("{} ({}) is not on sale any more", sellable.name, sellable.sku);
                input.reject_with_facts(PublicErrorCode::ProductNotAvailable, "", message, facts);
            }
            Some(sellable) => lines.push((sellable.clone(), quantity)),
        }
    }
    validator.finish()?;
    Ok(lines)
}

/// Selects the only shipping method that is available for an order without a selected one.
fn select_only_shipping_method(
    context: &SalesContext<'_>,
    pricing_context: &PricingContext,
    priced: PricedOrder,
) -> Result<PricedOrder> {
    if pricing_context.methods.is_empty() {
        return Ok(priced);
    }
    let methods: Vec<(i64, String)> = pricing_context
        .available_methods(priced.weight_grams, priced.totals.subtotal())
        .map(|(method, _)| (method.id, method.name.clone()))
        .collect();
    match methods.as_slice() {
        [] => {
            let (grams, country) = (priced.weight_grams, pricing_context.country.name());
            let message = format!("nothing that the shop sends with carries {grams} g to {country}");
            Err(Error::bad_input(SHIPPING_METHOD_FIELD, message))
        }
        [(method_id, _)] => {
            let lines = priced.lines.into_iter().map(|line| (line.variant, line.quantity)).collect();
            pricing::price_order(pricing_context, &context.category_tree, lines, Some(*method_id))
        }
        multiple => {
            let names: Vec<_> = multiple.iter().map(|(_, name)| name.as_str()).collect();
            Err(Error::bad_input(SHIPPING_METHOD_FIELD, format!("choose how it is sent: {}", names.join(", "))))
        }
    }
}

/// Checks the total that the buyer expects.
///
/// # Errors
/// Returns `PriceChanged` if the total differs.
pub(super) fn check_expected_total(context: &SalesContext<'_>, total: i64, expected_total: Option<i64>) -> Result<()> {
    match expected_total {
        Some(expected_total) if expected_total != total => {
            let [total, expected_total] =
                [total, expected_total].map(|minor| Money::new(minor, context.config.shop.currency).to_decimal());
            let message = format!("it comes to {total} now, not {expected_total}");
            Err(Error::user(PublicErrorCode::PriceChanged, "input.expectedTotal", message))
        }
        _ => Ok(()),
    }
}
