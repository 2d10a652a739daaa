//! Items of a checkout: the lines of a cart, or variants with quantities.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use sea_orm::ConnectionTrait;
use serde_json::Value;

use crate::{
    base::{Error, Result, Validator},
    cart::{self, CartDetails, CartLineRow, CheckedOutCart, LineRequest},
    infra::{Tx, config::CheckoutConfig},
    pricing::{self, SellableVariant},
    sales::{SalesContext, checkout::request::OrderSource},
};

/// Maximum number of lines of an order.
const MAX_ORDER_LINES: usize = 200;

/// A variant to order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct BasketItem {
    /// Variant id.
    pub variant_id: i64,
    /// Quantity.
    pub quantity: i64,
    /// Attributes of the line, a JSON object.
    pub attributes: Value,
}

/// The items of a checkout.
pub(super) struct Basket {
    /// The items, ordered by variant; several with the same variant have different attributes.
    pub items: Vec<BasketItem>,
    /// Sellable data by variant id.
    pub variants: HashMap<i64, SellableVariant>,
    /// Whether the items are the lines of a cart.
    pub is_cart: bool,
    /// Path of the items in the input, for user errors.
    pub path: &'static str,
}

/// The source of an order: its items, and the cart that they are from.
pub(super) struct LoadedSource {
    /// Items.
    pub basket: Basket,
    /// Id of the locked cart; `None` for items without a cart.
    pub cart_id: Option<i64>,
    /// Details of the cart.
    pub details: CartDetails,
}

/// Loads the items of a checkout; locks the cart that they are from.
pub(super) async fn load_source(tx: &Tx, context: &SalesContext<'_>, source: OrderSource) -> Result<LoadedSource> {
    match source {
        OrderSource::Items(items) => {
            let basket = load_items(tx, tx.now(), items, "input.lines").await?;
            Ok(LoadedSource { basket, cart_id: None, details: CartDetails::default() })
        }
        OrderSource::Cart(cart_token) => {
            let locked = cart::lock_cart_for_checkout(tx, &cart_token, context.caller).await;
            let CheckedOutCart { id, lines, variants, details, account_id: _, version: _ } =
                locked.map_err(|error| error.at_field("input.cartId"))?;
            if lines.is_empty() {
                return Err(Error::bad_input("input.cartId", "the cart is empty; put something into it first"));
            }
            let to_item = |line: CartLineRow| BasketItem {
                variant_id: line.variant_id,
                quantity: line.quantity,
                attributes: line.attributes,
            };
            let items = lines.into_iter().map(to_item).collect();
            let basket = Basket { items, variants, is_cart: true, path: "lines" };
            Ok(LoadedSource { basket, cart_id: Some(id), details })
        }
    }
}

/// Loads the variants of items without a cart. Statements: 1.
///
/// # Errors
/// Returns all errors of the quantities, at their paths below `path`.
pub(super) async fn load_items(
    db: &impl ConnectionTrait,
    now: DateTime<Utc>,
    items: Vec<LineRequest>,
    path: &'static str,
) -> Result<Basket> {
    let items = merge_items(items, path)?;
    let variant_ids: Vec<i64> = items.iter().map(|item| item.variant_id).collect();
    let variants = pricing::load_sellable_variants(db, now, &variant_ids).await?;
    Ok(Basket { items, variants, is_cart: false, path })
}

/// Merges repeated items with equal variants and attributes into one line with the summed quantity.
fn merge_items(items: Vec<LineRequest>, path: &str) -> Result<Vec<BasketItem>> {
    if items.is_empty() || items.len() > MAX_ORDER_LINES {
        return Err(Error::bad_input(path, format!("an order has 1 to {MAX_ORDER_LINES} lines")));
    }
    let mut validator = Validator::default();
    let mut merged: Vec<BasketItem> = Vec::with_capacity(items.len());
    for (index, LineRequest { variant_id, quantity, attributes }) in items.into_iter().enumerate() {
        let attributes = attributes.to_json();
        let equal = merged.iter_mut().find(|item| item.variant_id == variant_id && item.attributes == attributes);
        let total_quantity = if let Some(item) = equal {
            item.quantity = item.quantity.saturating_add(quantity);
            item.quantity
        } else {
            merged.push(BasketItem { variant_id, quantity, attributes });
            quantity
        };
        if quantity < 1 || total_quantity > pricing::quote::MAX_LINE_QUANTITY {
            let message = format!("a quantity is from 1 to {}", pricing::quote::MAX_LINE_QUANTITY);
            validator.at(path).index(index).reject("quantity", message);
        }
    }
    validator.finish()?;
    merged.sort_by_key(|item| item.variant_id);
    Ok(merged)
}

/// Limits the stock that an unverified buyer can reserve, of one variant and in total.
pub(super) fn check_guest_unit_limits(config: &CheckoutConfig, basket: &Basket) -> Result<()> {
    let (max_line_units, max_order_units) = (config.max_unverified_line_units, config.max_unverified_order_units);
    let (items, path) = (&basket.items, basket.path);
    let hint = "sign in with a verified e-mail address to order more";
    let mut validator = Validator::default();
    let mut units_by_variant: HashMap<i64, i64> = HashMap::new();
    for (index, item) in items.iter().enumerate() {
        let units = units_by_variant.entry(item.variant_id).or_default();
        *units += item.quantity;
        if *units > max_line_units {
            let message = format!("a guest orders at most {max_line_units} of one product; {hint}");
            validator.at(path).index(index).reject("quantity", message);
        }
    }
    validator.finish()?;
    if items.iter().map(|item| item.quantity).sum::<i64>() > max_order_units {
        return Err(Error::bad_input(path, format!("a guest orders at most {max_order_units} units at once; {hint}")));
    }
    Ok(())
}
