//! Validation and pricing of a checkout request: items, buyer, totals. Collects user errors.

use serde_json::Value;

use super::{
    basket::{LoadedSource, check_guest_unit_limits, load_source},
    buyer::{Buyer, Contact, OrderAddresses, resolve_buyer},
    request::CheckoutRequest,
    totals::{ShippingChoice, check_expected_total, price_basket},
};
use crate::{
    base::{Country, Result, text, validation::validate_note},
    infra::Tx,
    order::{
        PaymentStatus,
        place::{NewOrder, NewOrderLine},
    },
    pricing::{PricedLine, PricedOrder},
    sales::SalesContext,
};

/// A validated and priced order, without its payment.
#[derive(Debug)]
pub(super) struct PreparedOrder {
    /// The order.
    pub order: NewOrder,
    /// Id of the source cart.
    pub cart_id: Option<i64>,
    /// Whether the buyer is verified: a customer with a verified e-mail address, or staff.
    pub is_verified: bool,
    /// Shipping country.
    pub country: Country,
}

/// Validates and prices a checkout request.
///
/// # Errors
/// Returns the user errors of the request.
pub(super) async fn prepare_order(
    tx: &Tx,
    context: &SalesContext<'_>,
    order_id: i64,
    request: CheckoutRequest,
) -> Result<PreparedOrder> {
    let CheckoutRequest { source, expected_total, buyer, shipping_method_id, note, .. } = request;
    let LoadedSource { basket, cart_id, details } = load_source(tx, context, source).await?;
    let method_id = shipping_method_id.or(details.shipping_method_id);
    let note = note.or_else(|| details.note.clone());
    let buyer = resolve_buyer(tx, context, buyer, details).await?;
    let Buyer { account_id, is_verified, contact, addresses } = buyer;
    if !is_verified {
        check_guest_unit_limits(&context.config.checkout, &basket)?;
    }
    let path = basket.path;
    let country = addresses.shipping.country().unwrap_or(context.config.shop.country);
    let attributes: Vec<Value> = basket.items.iter().map(|item| item.attributes.clone()).collect();
    let priced = price_basket(tx, context, basket, ShippingChoice { country, method_id }).await?;
    let PricedOrder { lines, shipping, weight_grams: _, totals } = priced;
    check_expected_total(context, totals.total, expected_total)?;
    let note = note.as_deref().map(|note| validate_note(note, "input.note")).transpose()?;

    let Contact { email, phone, language } = contact;
    let OrderAddresses { shipping: shipping_address, billing: billing_address } = addresses;
    let recipient = format!("{} {}", shipping_address.first_name, shipping_address.last_name);
    let (shipping_tax_name, shipping_rate) = shipping.as_ref().and_then(|shipping| shipping.tax_rate.clone()).unzip();
    let (shipping_method_id, shipping_method_name) =
        shipping.map(|shipping| (shipping.method.id, shipping.method.name)).unzip();
    let to_order_line = |(index, (line, attributes)): (usize, (PricedLine, Value))| {
        build_order_line(line, attributes, format!("{path}.{index}.quantity"))
    };
    let order = NewOrder {
        id: order_id,
        account_id,
        cart_id,
        email,
        phone,
        customer_name_normalized: text::normalize_for_search(&recipient),
        language: language.unwrap_or(context.config.shop.language),
        currency: context.config.shop.currency.code().to_owned(),
        list_subtotal: totals.list_subtotal,
        discount: totals.discount,
        shipping: totals.shipping,
        tax: totals.tax,
        tax_excluded_total: totals.tax_excluded_total(),
        total: totals.total,
        shipping_method_id,
        shipping_method_name,
        shipping_tax_name,
        shipping_tax_rate_bps: shipping_rate.map_or(0, |rate| rate.rate_bps),
        shipping_tax_included: shipping_rate.is_some_and(|rate| rate.included),
        shipping_address: Some(shipping_address.to_json()),
        billing_address: Some(billing_address.to_json()),
        note: note.filter(|note| !note.is_empty()),
        payment_status: PaymentStatus::Pending,
        expires_at: None,
        lines: lines.into_iter().zip(attributes).enumerate().map(to_order_line).collect(),
    };
    Ok(PreparedOrder { order, cart_id, is_verified, country })
}

/// Copies the product data, prices and attributes of a line into the order; `field_path` locates it in the input.
fn build_order_line(line: PricedLine, attributes: Value, field_path: String) -> NewOrderLine {
    let PricedLine { variant: sellable, quantity, tax_rate, list_total, discount, tax, total } = line;
    let (tax_name, rate) = tax_rate.unzip();
    NewOrderLine {
        field_path,
        variant_id: sellable.variant_id,
        product_id: sellable.product_id,
        sku: sellable.sku,
        name: sellable.name,
        variant_name: sellable.variant_name,
        image: sellable.image,
        quantity,
        unit_list_price: sellable.list_price,
        unit_price: sellable.unit_price,
        discount,
        tax_name,
        tax_rate_bps: rate.map_or(0, |rate| rate.rate_bps),
        tax_included: rate.is_some_and(|rate| rate.included),
        tax,
        tax_excluded_total: total - (list_total - discount),
        total,
        weight_grams: sellable.weight_grams,
        track_stock: sellable.track_stock,
        attributes,
        allow_backorder: sellable.allow_backorder,
    }
}
