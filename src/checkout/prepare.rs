//! Validation and pricing of a checkout request: buyer, addresses, contact, items, total. Collects user errors.

use std::collections::HashMap;

use sea_orm::EntityTrait;

use super::request::{CheckoutContext, CheckoutRequest, OrderSource};
use crate::{
    base::{
        Country, Error, LanguageCode, Money, Result,
        error::{PublicError, PublicErrorCode},
        text,
    },
    cart::{self, details},
    catalog::product_filter::ProductVisibility,
    customer::{self, PostalAddress, validation},
    identity::{Permission, account, entity::account as account_row},
    infra::Tx,
    order::{
        PaymentStatus,
        place::{NewOrder, NewOrderLine},
        transition,
    },
    pricing::{self, PricedLine, PricedOrder, PricingContext, SellableVariant, Unavailability},
};

/// Maximum number of lines of an order.
const MAX_ORDER_LINES: usize = 200;

/// A validated and priced order, without its payment.
#[derive(Debug)]
pub struct PreparedOrder {
    /// The order.
    pub order: NewOrder,
    /// Id of the source cart.
    pub cart_id: Option<i64>,
    /// Whether the buyer is verified: a customer with a verified e-mail address, or staff.
    pub is_verified: bool,
}

/// The buyer with contact data and addresses.
#[derive(Debug, Default)]
struct Buyer {
    account_id: Option<i64>,
    is_verified: bool,
    email: Option<String>,
    phone: Option<String>,
    language: Option<LanguageCode>,
    name: String,
    shipping_address: Option<PostalAddress>,
    billing_address: Option<PostalAddress>,
}

/// Validates and prices a checkout request.
///
/// # Errors
/// Returns the user errors of the request.
pub async fn prepare_order(
    tx: &Tx,
    context: &CheckoutContext<'_>,
    order_id: i64,
    request: &mut CheckoutRequest,
) -> Result<PreparedOrder> {
    let mut buyer = load_buyer(tx, context).await?;
    let ResolvedItems { items, variants, path, cart_id } = resolve_items(tx, context, request, &mut buyer).await?;
    resolve_addresses(tx, context, request, &mut buyer).await?;
    resolve_contact(context, request, &mut buyer)?;
    if !buyer.is_verified {
        check_guest_unit_limits(context, &items, path)?;
    }
    let is_verified = buyer.is_verified;
    let country = buyer.shipping_address.as_ref().and_then(PostalAddress::country).unwrap_or(context.shop_country);
    let priced = price_order(tx, context, (&items, variants, path), (country, request)).await?;
    if let Some(expected_total) = request.expected_total
        && expected_total != priced.totals.total
    {
        let to_decimal = |minor| Money::new(minor, context.currency).to_decimal();
        let message =
            format!("it comes to {} now, not {}", to_decimal(priced.totals.total), to_decimal(expected_total));
        return Err(Error::user(PublicErrorCode::PriceChanged, "input.expectedTotal", message));
    }
    let note = request.note.as_deref().map(|note| transition::validate_note(note, "input.note")).transpose()?;
    let order = build_new_order(context, (order_id, cart_id), (buyer, note), (priced, path));
    Ok(PreparedOrder { order, cart_id, is_verified })
}

/// Loads the buyer from the caller's account; empty for anonymous callers.
async fn load_buyer(tx: &Tx, context: &CheckoutContext<'_>) -> Result<Buyer> {
    let is_staff = context.caller.permissions().has(Permission::OrderWrite);
    let anonymous_buyer = Buyer { is_verified: is_staff, ..Buyer::default() };
    let Some(account_id) = cart::queries::caller_account_id(context.caller) else { return Ok(anonymous_buyer) };
    let row = account_row::Entity::find_by_id(account_id).one(tx).await?;
    let Some(row) = row.filter(|row| row.deleted_at.is_none()) else { return Ok(anonymous_buyer) };
    Ok(Buyer {
        account_id: Some(account_id),
        is_verified: is_staff || row.email_verified_at.is_some(),
        name: format!("{} {}", row.first_name, row.last_name),
        email: row.email,
        phone: row.phone,
        language: row.language,
        ..Buyer::default()
    })
}

/// The items of a checkout.
struct ResolvedItems {
    /// Variant ids with quantities, each variant once, ordered by id.
    items: Vec<(i64, i64)>,
    /// Sellable data by variant id.
    variants: HashMap<i64, SellableVariant>,
    /// Path of the items in the input, for user errors.
    path: &'static str,
    /// Id of the source cart.
    cart_id: Option<i64>,
}

/// Loads the items of the request.
async fn resolve_items(
    tx: &Tx,
    context: &CheckoutContext<'_>,
    request: &mut CheckoutRequest,
    buyer: &mut Buyer,
) -> Result<ResolvedItems> {
    match &request.source {
        OrderSource::Items(items) => {
            let items = merge_items(items)?;
            let variant_ids: Vec<i64> = items.iter().map(|(variant, _)| *variant).collect();
            let variants = pricing::load_sellable_variants(tx, tx.now(), &variant_ids).await?;
            Ok(ResolvedItems { items, variants, path: "input.items", cart_id: None })
        }
        OrderSource::Cart(cart_token) => {
            let checked_out_cart = cart::lock_cart_for_checkout(tx, cart_token, context.caller)
                .await
                .map_err(|error| error.at_field("input.cartId"))?;
            if checked_out_cart.lines.is_empty() {
                return Err(Error::bad_input("input.cartId", "the cart is empty; put something into it first"));
            }
            buyer.email = checked_out_cart.email.or(buyer.email.take());
            buyer.phone = checked_out_cart.phone.or(buyer.phone.take());
            buyer.shipping_address = checked_out_cart.shipping_address;
            buyer.billing_address = checked_out_cart.billing_address;
            request.shipping_method_id = request.shipping_method_id.or(checked_out_cart.shipping_method_id);
            request.note = request.note.take().or(checked_out_cart.note);
            Ok(ResolvedItems {
                items: checked_out_cart.lines,
                variants: checked_out_cart.variants,
                path: "lines",
                cart_id: Some(checked_out_cart.id),
            })
        }
    }
}

/// Merges repeated variants into one line with the summed quantity.
fn merge_items(items: &[(i64, i64)]) -> Result<Vec<(i64, i64)>> {
    if items.is_empty() || items.len() > MAX_ORDER_LINES {
        return Err(Error::bad_input("input.items", format!("an order has 1 to {MAX_ORDER_LINES} lines")));
    }
    let mut user_errors = Vec::new();
    let mut quantities = std::collections::BTreeMap::new();
    for (index, (variant, quantity)) in items.iter().enumerate() {
        let total_quantity = quantities.entry(*variant).or_insert(0_i64);
        *total_quantity = total_quantity.saturating_add(*quantity);
        if *quantity < 1 || *total_quantity > pricing::quote::MAX_LINE_QUANTITY {
            let message = format!("a quantity is from 1 to {}", pricing::quote::MAX_LINE_QUANTITY);
            let field = vec!["input".into(), "items".into(), index.to_string(), "quantity".into()];
            user_errors.push(PublicError { code: PublicErrorCode::BadUserInput, field, message });
        }
    }
    Error::fail_if_any(user_errors)?;
    Ok(quantities.into_iter().collect())
}

/// Limits the stock that an unverified buyer can reserve.
fn check_guest_unit_limits(context: &CheckoutContext<'_>, items: &[(i64, i64)], path: &str) -> Result<()> {
    let (max_line_units, max_order_units) =
        (context.config.unverified_line_units, context.config.unverified_order_units);
    let hint = "sign in with a verified e-mail address to order more";
    let mut user_errors = Vec::new();
    for index in items.iter().enumerate().filter(|(_, (_, units))| *units > max_line_units).map(|(index, _)| index) {
        let field = format!("{path}.{index}.quantity").split('.').map(str::to_owned).collect();
        let message = format!("a guest orders at most {max_line_units} of one product; {hint}");
        user_errors.push(PublicError { code: PublicErrorCode::BadUserInput, field, message });
    }
    Error::fail_if_any(user_errors)?;
    if items.iter().map(|(_, units)| units).sum::<i64>() > max_order_units {
        return Err(Error::bad_input(path, format!("a guest orders at most {max_order_units} units at once; {hint}")));
    }
    Ok(())
}

/// Resolves the addresses. Precedence: request, cart, defaults of the account.
async fn resolve_addresses(
    tx: &Tx,
    context: &CheckoutContext<'_>,
    request: &mut CheckoutRequest,
    buyer: &mut Buyer,
) -> Result<()> {
    if let Some(address_input) = request.shipping_address.take() {
        buyer.shipping_address =
            Some(details::resolve_address(tx, buyer.account_id, address_input, context.shop_country).await?);
    }
    if let Some(address_input) = request.billing_address.take() {
        buyer.billing_address =
            Some(details::resolve_address(tx, buyer.account_id, address_input, context.shop_country).await?);
    }
    if buyer.shipping_address.is_none()
        && let Some(account_id) = buyer.account_id
    {
        let saved =
            customer::loader::load_addresses_by_owner(tx, &[account_id]).await?.remove(&account_id).unwrap_or_default();
        let find_saved = |predicate: fn(&customer::address_row::Model) -> bool| {
            saved.iter().find(|address| predicate(address)).cloned()
        };
        buyer.shipping_address = find_saved(|address| address.is_default_shipping).map(PostalAddress::from);
        buyer.billing_address = buyer
            .billing_address
            .take()
            .or_else(|| find_saved(|address| address.is_default_billing).map(PostalAddress::from));
    }
    if buyer.shipping_address.is_none() {
        return Err(Error::bad_input("input.shippingAddress", "say where it goes"));
    }
    Ok(())
}

fn resolve_contact(context: &CheckoutContext<'_>, request: &CheckoutRequest, buyer: &mut Buyer) -> Result<()> {
    let mut validator = validation::Validator::new("input");
    let phone_country =
        buyer.shipping_address.as_ref().and_then(PostalAddress::country).unwrap_or(context.shop_country);
    if let Some(input) = &request.email {
        match account::validate_email(input, "input.email") {
            Ok(email) => buyer.email = Some(email),
            Err(error) => validator.add_error("email", error.to_public_error().message),
        }
    }
    validator.apply_phone(
        &mut buyer.phone,
        crate::base::Patch::from_option(request.phone.clone()),
        "phone",
        phone_country,
    );
    if buyer.phone.is_none() {
        buyer.phone = buyer.shipping_address.as_ref().and_then(|address| address.phone.clone());
    }
    if buyer.email.is_none() && buyer.phone.is_none() && request.phone.is_none() {
        validator.add_error("email", "say where you can be reached: an e-mail address or a telephone number");
    }
    buyer.language = request.language.or(buyer.language);
    validator.finish()
}

/// Prices the order with the selected shipping method, or with the only available one.
async fn price_order(
    tx: &Tx,
    context: &CheckoutContext<'_>,
    (items, mut variants, path): (&[(i64, i64)], HashMap<i64, SellableVariant>, &str),
    (country, request): (Country, &CheckoutRequest),
) -> Result<PricedOrder> {
    let mut lines: Vec<(SellableVariant, i64)> = Vec::with_capacity(items.len());
    let mut user_errors = Vec::new();
    let (visibility, is_cart) =
        (ProductVisibility::for_caller(context.caller), matches!(request.source, OrderSource::Cart(_)));
    for (index, (variant, quantity)) in items.iter().enumerate() {
        let field = || format!("{path}.{index}").split('.').map(str::to_owned).collect::<Vec<_>>();
        // A caller's own cart may contain products that are hidden since; other items must be visible to the caller.
        match variants.remove(variant).filter(|sellable| is_cart || sellable.is_visible_to(visibility)) {
            None => {
                let message = "there is no such variant".to_owned();
                user_errors.push(PublicError { code: PublicErrorCode::NotFound, field: field(), message });
            }
            Some(sellable) if sellable.unavailability(*quantity) == Some(Unavailability::NotForSale) => {
                let message = format!("{} ({}) is not on sale any more", sellable.name, sellable.sku);
                user_errors.push(PublicError { code: PublicErrorCode::ProductNotAvailable, field: field(), message });
            }
            // Availability is checked when the stock is reserved, not before.
            Some(sellable) => lines.push((sellable, *quantity)),
        }
    }
    Error::fail_if_any(user_errors)?;
    let pricing_context = PricingContext::load(tx, country).await?;
    let chosen_method_id = request.shipping_method_id;
    let field = "input.shippingMethodId";
    if let Some(method_id) = chosen_method_id {
        pricing_context.find_method(method_id).ok_or_else(|| Error::not_found(field, "shipping method"))?;
    }
    let priced = pricing::price_order(&pricing_context, context.category_tree, lines, chosen_method_id)?;
    match &priced.shipping {
        Some(shipping) if shipping.is_deliverable => Ok(priced),
        Some(shipping) => {
            let (name, grams) = (&shipping.method.name, priced.weight_grams);
            let message = format!("{name} does not carry {grams} g to {}; choose another one", country.name());
            Err(Error::bad_input(field, message))
        }
        None => select_only_shipping_method(context, &pricing_context, priced),
    }
}

fn select_only_shipping_method(
    context: &CheckoutContext<'_>,
    pricing_context: &PricingContext,
    priced: PricedOrder,
) -> Result<PricedOrder> {
    if pricing_context.methods.is_empty() {
        return Ok(priced);
    }
    let goods_total = priced.totals.subtotal - priced.totals.discount;
    let methods: Vec<(i64, String)> = pricing_context
        .available_methods(priced.weight_grams, goods_total)
        .map(|(method, _)| (method.id, method.name.clone()))
        .collect();
    let field = "input.shippingMethodId";
    match methods.as_slice() {
        [] => {
            let message = format!(
                "nothing that the shop sends with carries {} g to {}",
                priced.weight_grams,
                pricing_context.country.name()
            );
            Err(Error::bad_input(field, message))
        }
        [(method_id, _)] => {
            let lines = priced.lines.into_iter().map(|line| (line.variant, line.quantity)).collect();
            pricing::price_order(pricing_context, context.category_tree, lines, Some(*method_id))
        }
        multiple => {
            let names: Vec<_> = multiple.iter().map(|(_, name)| name.as_str()).collect();
            Err(Error::bad_input(field, format!("choose how it is sent: {}", names.join(", "))))
        }
    }
}

fn build_new_order(
    context: &CheckoutContext<'_>,
    (order_id, cart_id): (i64, Option<i64>),
    (buyer, note): (Buyer, Option<String>),
    (priced, path): (PricedOrder, &str),
) -> NewOrder {
    let PricedOrder { lines, shipping, weight_grams: _, totals } = priced;
    let name = buyer
        .shipping_address
        .as_ref()
        .map_or(buyer.name, |recipient| format!("{} {}", recipient.first_name, recipient.last_name));
    let line = |(index, line): (usize, PricedLine)| {
        let PricedLine { variant: sellable, quantity, tax_rate, list_total, discount, tax, total } = line;
        let (tax_name, rate) = tax_rate.unzip();
        NewOrderLine {
            field_path: format!("{path}.{index}.quantity"),
            variant_id: sellable.variant_id,
            product_id: sellable.product_id,
            sku: sellable.sku,
            name: sellable.name,
            variant_name: sellable.variant_name,
            image: sellable.image,
            quantity,
            unit_list: sellable.list_price,
            unit_price: sellable.unit_price,
            discount,
            tax_name,
            tax_rate: rate.map_or(0, |rate| rate.basis_points),
            tax,
            tax_added: total - (list_total - discount),
            total,
            weight_grams: sellable.weight_grams,
            tracked: sellable.track_stock,
            allow_backorder: sellable.allow_backorder,
        }
    };
    NewOrder {
        id: order_id,
        account_id: buyer.account_id,
        cart_id,
        email: buyer.email,
        phone: buyer.phone,
        name_key: text::normalize_for_search(&name),
        language: buyer.language.unwrap_or(context.default_language).code().to_owned(),
        currency: context.currency.code().to_owned(),
        subtotal: totals.subtotal,
        discount: totals.discount,
        shipping: totals.shipping,
        tax: totals.tax,
        tax_added: totals.tax - totals.tax_included,
        total: totals.total,
        shipping_method: shipping.map(|shipping| (shipping.method.id, shipping.method.name)),
        billing_address: buyer
            .billing_address
            .or_else(|| buyer.shipping_address.clone())
            .map(|address| address.to_json()),
        shipping_address: buyer.shipping_address.map(|address| address.to_json()),
        note: note.filter(|note| !note.is_empty()),
        payment_status: PaymentStatus::Pending,
        expires_at: None,
        lines: lines.into_iter().enumerate().map(line).collect(),
    }
}
