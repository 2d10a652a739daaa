//! Items of a checkout: the lines of a cart, or variants with quantities.

use std::collections::{BTreeMap, HashMap};

use crate::{
    base::{
        Error, Result,
        error::{PublicError, PublicErrorCode},
    },
    cart::{self, CartDetails, CheckedOutCart},
    infra::{Tx, config::CheckoutConfig},
    pricing::{self, SellableVariant},
    sales::{SalesContext, checkout::request::OrderSource},
};

/// Maximum number of lines of an order.
const MAX_ORDER_LINES: usize = 200;

/// The items of a checkout.
pub(super) struct Basket {
    /// Variant ids with quantities, each variant once, ordered by id.
    pub items: Vec<(i64, i64)>,
    /// Sellable data by variant id.
    pub variants: HashMap<i64, SellableVariant>,
    /// Whether the items are the lines of a cart.
    pub is_cart: bool,
}

impl Basket {
    /// Returns the path of the items in the input, for user errors.
    pub(super) const fn path(&self) -> &'static str {
        if self.is_cart { "lines" } else { "input.lines" }
    }
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
            let items = merge_items(&items)?;
            let variant_ids: Vec<i64> = items.iter().map(|(variant, _)| *variant).collect();
            let variants = pricing::load_sellable_variants(tx, tx.now(), &variant_ids).await?;
            let basket = Basket { items, variants, is_cart: false };
            Ok(LoadedSource { basket, cart_id: None, details: CartDetails::default() })
        }
        OrderSource::Cart(cart_token) => {
            let locked = cart::lock_cart_for_checkout(tx, &cart_token, context.caller).await;
            let CheckedOutCart { id, lines, variants, details, account_id: _, version: _ } =
                locked.map_err(|error| error.at_field("input.cartId"))?;
            if lines.is_empty() {
                return Err(Error::bad_input("input.cartId", "the cart is empty; put something into it first"));
            }
            let basket = Basket { items: lines, variants, is_cart: true };
            Ok(LoadedSource { basket, cart_id: Some(id), details })
        }
    }
}

/// Merges repeated variants into one line with the summed quantity.
fn merge_items(items: &[(i64, i64)]) -> Result<Vec<(i64, i64)>> {
    if items.is_empty() || items.len() > MAX_ORDER_LINES {
        return Err(Error::bad_input("input.lines", format!("an order has 1 to {MAX_ORDER_LINES} lines")));
    }
    let mut user_errors = Vec::new();
    let mut quantities = BTreeMap::new();
    for (index, (variant, quantity)) in items.iter().enumerate() {
        let total_quantity = quantities.entry(*variant).or_insert(0_i64);
        *total_quantity = total_quantity.saturating_add(*quantity);
        if *quantity < 1 || *total_quantity > pricing::quote::MAX_LINE_QUANTITY {
            let message = format!("a quantity is from 1 to {}", pricing::quote::MAX_LINE_QUANTITY);
            let field = vec!["input".into(), "lines".into(), index.to_string(), "quantity".into()];
            user_errors.push(PublicError { code: PublicErrorCode::BadUserInput, field, message });
        }
    }
    Error::fail_if_any(user_errors)?;
    Ok(quantities.into_iter().collect())
}

/// Limits the stock that an unverified buyer can reserve.
pub(super) fn check_guest_unit_limits(config: &CheckoutConfig, basket: &Basket) -> Result<()> {
    let (max_line_units, max_order_units) = (config.max_unverified_line_units, config.max_unverified_order_units);
    let (items, path) = (&basket.items, basket.path());
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
