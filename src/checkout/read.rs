//! Understanding a purchase: who buys, where it goes, what it comes to. Everything wrong is said at once.

use std::collections::HashMap;

use sea_orm::EntityTrait;

use super::purchase::{Basket, Purchase, Till};
use crate::{
    base::{
        Country, Error, Language, Money, Result,
        error::{Code, Problem},
        text,
    },
    cart::{self, said},
    catalog::filter::Sight,
    customer::{self, Written, check},
    identity::{Permission, account, entity::account as account_row},
    infra::Tx,
    order::{
        PaymentStatus, advance,
        place::{NewLine, NewOrder},
    },
    pricing::{self, Obstacle, Offer, Priced, PricedLine, Terms},
};

/// The most lines of one order.
const LINES: usize = 200;

/// An order that can be placed, but for its payment.
#[derive(Debug)]
pub struct Ready {
    /// The order.
    pub order: NewOrder,
    /// The cart that it is made of.
    pub cart: Option<i64>,
    /// Whether the buyer is known: a customer with a verified e-mail address, or staff.
    pub is_verified: bool,
}

/// Who buys, and where they are reached.
#[derive(Debug, Default)]
struct Buyer {
    account: Option<i64>,
    is_verified: bool,
    email: Option<String>,
    phone: Option<String>,
    language: Option<Language>,
    name: String,
    shipping: Option<Written>,
    billing: Option<Written>,
}

/// Understands a purchase.
///
/// # Errors
/// With everything that stands in its way.
pub async fn read(tx: &Tx, till: &Till<'_>, key: i64, purchase: &mut Purchase) -> Result<Ready> {
    let mut buyer = buyer(tx, till).await?;
    let Chosen { items, offers, path, cart } = basket(tx, till, purchase, &mut buyer).await?;
    addresses(tx, till, purchase, &mut buyer).await?;
    contact(till, purchase, &mut buyer)?;
    if !buyer.is_verified {
        check_units(till, &items, path)?;
    }
    let is_verified = buyer.is_verified;
    let country = buyer.shipping.as_ref().and_then(Written::country).unwrap_or(till.country);
    let priced = price(tx, till, (&items, offers, path), (country, purchase)).await?;
    if let Some(expected) = purchase.expected
        && expected != priced.totals.total
    {
        let amount = |minor| Money::new(minor, till.currency).decimal();
        let message = format!("it comes to {} now, not {}", amount(priced.totals.total), amount(expected));
        return Err(Error::user(Code::PriceChanged, "input.expectedTotal", message));
    }
    let note = purchase.note.as_deref().map(|note| advance::check_note(note, "input.note")).transpose()?;
    let order = order(till, (key, cart), (buyer, note), (priced, path));
    Ok(Ready { order, cart, is_verified })
}

/// What is known of somebody who has signed in.
async fn buyer(tx: &Tx, till: &Till<'_>) -> Result<Buyer> {
    let is_staff = till.caller.permissions().has(Permission::OrderWrite);
    let guest = Buyer { is_verified: is_staff, ..Buyer::default() };
    let Some(key) = cart::hold::owner(till.caller) else { return Ok(guest) };
    let row = account_row::Entity::find_by_id(key).one(tx).await?;
    let Some(row) = row.filter(|row| row.deleted_at.is_none()) else { return Ok(guest) };
    Ok(Buyer {
        account: Some(key),
        is_verified: is_staff || row.email_verified_at.is_some(),
        name: format!("{} {}", row.first_name, row.last_name),
        email: row.email,
        phone: row.phone,
        language: row.language,
        ..Buyer::default()
    })
}

/// What is bought.
struct Chosen {
    /// Variants with how many of each, each once, in the order of their keys.
    items: Vec<(i64, i64)>,
    /// What the shop offers of them.
    offers: HashMap<i64, Offer>,
    /// Where they stand, as an answer says it.
    path: &'static str,
    /// The cart that they were in.
    cart: Option<i64>,
}

/// Reads what is bought.
async fn basket(tx: &Tx, till: &Till<'_>, purchase: &mut Purchase, buyer: &mut Buyer) -> Result<Chosen> {
    match &purchase.basket {
        Basket::Items(items) => {
            let items = together(items)?;
            let keys: Vec<i64> = items.iter().map(|(variant, _)| *variant).collect();
            let offers = pricing::offers(tx, tx.now(), &keys).await?;
            Ok(Chosen { items, offers, path: "input.items", cart: None })
        }
        Basket::Cart(word) => {
            let taken = cart::take(tx, word, till.caller).await.map_err(|why| at(why, "input.cartId"))?;
            if taken.lines.is_empty() {
                return Err(Error::bad_input("input.cartId", "the cart is empty; put something into it first"));
            }
            buyer.email = taken.email.or(buyer.email.take());
            buyer.phone = taken.phone.or(buyer.phone.take());
            buyer.shipping = taken.shipping_address;
            buyer.billing = taken.billing_address;
            purchase.method = purchase.method.or(taken.shipping_method);
            purchase.note = purchase.note.take().or(taken.note);
            Ok(Chosen { items: taken.lines, offers: taken.offers, path: "lines", cart: Some(taken.key) })
        }
    }
}

/// The same variant twice is one line of both quantities.
fn together(items: &[(i64, i64)]) -> Result<Vec<(i64, i64)>> {
    if items.is_empty() || items.len() > LINES {
        return Err(Error::bad_input("input.items", format!("an order has 1 to {LINES} lines")));
    }
    let mut problems = Vec::new();
    let mut all = std::collections::BTreeMap::new();
    for (at, (variant, quantity)) in items.iter().enumerate() {
        let sum = all.entry(*variant).or_insert(0_i64);
        *sum = sum.saturating_add(*quantity);
        if *quantity < 1 || *sum > pricing::quote::MOST {
            let message = format!("a quantity is from 1 to {}", pricing::quote::MOST);
            let field = vec!["input".into(), "items".into(), at.to_string(), "quantity".into()];
            problems.push(Problem { code: Code::BadUserInput, field, message });
        }
    }
    Error::all(problems)?;
    Ok(all.into_iter().collect())
}

/// Bounds what a buyer whom nobody knows can keep from others.
fn check_units(till: &Till<'_>, items: &[(i64, i64)], path: &str) -> Result<()> {
    let (line, order) = (till.config.unverified_line_units, till.config.unverified_order_units);
    let hint = "sign in with a verified e-mail address to order more";
    let mut problems = Vec::new();
    for at in items.iter().enumerate().filter(|(_, (_, units))| *units > line).map(|(at, _)| at) {
        let field = format!("{path}.{at}.quantity").split('.').map(str::to_owned).collect();
        let message = format!("a guest orders at most {line} of one product; {hint}");
        problems.push(Problem { code: Code::BadUserInput, field, message });
    }
    Error::all(problems)?;
    if items.iter().map(|(_, units)| units).sum::<i64>() > order {
        return Err(Error::bad_input(path, format!("a guest orders at most {order} units at once; {hint}")));
    }
    Ok(())
}

/// What is said of addresses comes before what the cart says, and that before what the account says.
async fn addresses(tx: &Tx, till: &Till<'_>, purchase: &mut Purchase, buyer: &mut Buyer) -> Result<()> {
    if let Some(place) = purchase.shipping.take() {
        let at = ("input.shippingAddress", till.country);
        buyer.shipping = Some(said::written(tx, buyer.account, place, at).await?);
    }
    if let Some(place) = purchase.billing.take() {
        let at = ("input.billingAddress", till.country);
        buyer.billing = Some(said::written(tx, buyer.account, place, at).await?);
    }
    if buyer.shipping.is_none()
        && let Some(account) = buyer.account
    {
        let saved = customer::loader::addresses_of(tx, &[account]).await?.remove(&account).unwrap_or_default();
        let own = |wanted: fn(&customer::address_row::Model) -> bool| saved.iter().find(|one| wanted(one)).cloned();
        buyer.shipping = own(|one| one.is_default_shipping).map(Written::from);
        buyer.billing = buyer.billing.take().or_else(|| own(|one| one.is_default_billing).map(Written::from));
    }
    if buyer.shipping.is_none() {
        return Err(Error::bad_input("input.shippingAddress", "say where it goes"));
    }
    Ok(())
}

fn contact(till: &Till<'_>, purchase: &Purchase, buyer: &mut Buyer) -> Result<()> {
    let mut check = check::Check::new("input");
    let there = buyer.shipping.as_ref().and_then(Written::country).unwrap_or(till.country);
    if let Some(typed) = &purchase.email {
        match account::email(typed, "input.email") {
            Ok(email) => buyer.email = Some(email),
            Err(why) => check.wrong("email", why.public().message),
        }
    }
    check.phone(&mut buyer.phone, crate::base::Patch::to(purchase.phone.clone()), "phone", there);
    if buyer.phone.is_none() {
        buyer.phone = buyer.shipping.as_ref().and_then(|address| address.phone.clone());
    }
    if buyer.email.is_none() && buyer.phone.is_none() && purchase.phone.is_none() {
        check.wrong("email", "say where you can be reached: an e-mail address or a telephone number");
    }
    buyer.language = purchase.language.or(buyer.language);
    check.done()
}

/// What it comes to, sent in the way that was chosen or in the only one there is.
async fn price(
    tx: &Tx,
    till: &Till<'_>,
    (items, mut offers, path): (&[(i64, i64)], HashMap<i64, Offer>, &str),
    (country, purchase): (Country, &Purchase),
) -> Result<Priced> {
    let mut lines: Vec<(Offer, i64)> = Vec::with_capacity(items.len());
    let mut problems = Vec::new();
    let (sight, is_cart) = (Sight::of(till.caller), matches!(purchase.basket, Basket::Cart(_)));
    for (at, (variant, quantity)) in items.iter().enumerate() {
        let field = || format!("{path}.{at}").split('.').map(str::to_owned).collect::<Vec<_>>();
        // A cart of the caller's holds what was once on sale; of anything else they learn what they may see.
        match offers.remove(variant).filter(|offer| is_cart || offer.is_visible_to(sight)) {
            None => {
                let message = "there is no such variant".to_owned();
                problems.push(Problem { code: Code::NotFound, field: field(), message });
            }
            Some(offer) if offer.obstacle(*quantity) == Some(Obstacle::Gone) => {
                let message = format!("{} ({}) is not on sale any more", offer.name, offer.sku);
                problems.push(Problem { code: Code::ProductNotAvailable, field: field(), message });
            }
            // How many are left is asked where they are held, and not before.
            Some(offer) => lines.push((offer, *quantity)),
        }
    }
    Error::all(problems)?;
    let terms = Terms::load(tx, country).await?;
    let chosen = purchase.method;
    let field = "input.shippingMethodId";
    if let Some(key) = chosen {
        terms.method(key).ok_or_else(|| Error::not_found(field, "shipping method"))?;
    }
    let priced = pricing::reckon(&terms, till.tree, lines, chosen)?;
    match &priced.shipping {
        Some(shipping) if shipping.fits => Ok(priced),
        Some(shipping) => {
            let (name, grams) = (&shipping.method.name, priced.grams);
            let message = format!("{name} does not carry {grams} g to {}; choose another one", country.name());
            Err(Error::bad_input(field, message))
        }
        None => only_way(till, &terms, priced),
    }
}

fn only_way(till: &Till<'_>, terms: &Terms, priced: Priced) -> Result<Priced> {
    if terms.methods.is_empty() {
        return Ok(priced);
    }
    let goods = priced.totals.subtotal - priced.totals.discount;
    let ways: Vec<(i64, String)> =
        terms.available(priced.grams, goods).map(|(method, _)| (method.id, method.name.clone())).collect();
    let field = "input.shippingMethodId";
    match ways.as_slice() {
        [] => {
            let message =
                format!("nothing that the shop sends with carries {} g to {}", priced.grams, terms.country.name());
            Err(Error::bad_input(field, message))
        }
        [(only, _)] => {
            let lines = priced.lines.into_iter().map(|line| (line.offer, line.quantity)).collect();
            pricing::reckon(terms, till.tree, lines, Some(*only))
        }
        several => {
            let names: Vec<_> = several.iter().map(|(_, name)| name.as_str()).collect();
            Err(Error::bad_input(field, format!("choose how it is sent: {}", names.join(", "))))
        }
    }
}

fn order(
    till: &Till<'_>,
    (key, cart): (i64, Option<i64>),
    (buyer, note): (Buyer, Option<String>),
    (priced, path): (Priced, &str),
) -> NewOrder {
    let Priced { lines, shipping, grams: _, totals } = priced;
    let name = buyer.shipping.as_ref().map_or(buyer.name, |to| format!("{} {}", to.first_name, to.last_name));
    let line = |(at, line): (usize, PricedLine)| {
        let PricedLine { offer, quantity, tax_rate, list_total, discount, tax, total } = line;
        let (tax_name, rate) = tax_rate.unzip();
        NewLine {
            path: format!("{path}.{at}.quantity"),
            variant: offer.variant,
            product: offer.product,
            sku: offer.sku,
            name: offer.name,
            variant_name: offer.variant_name,
            image: offer.image,
            quantity,
            unit_list: offer.list,
            unit_price: offer.unit,
            discount,
            tax_name,
            tax_rate: rate.map_or(0, |rate| rate.basis_points),
            tax,
            tax_added: total - (list_total - discount),
            total,
            grams: offer.grams,
            tracked: offer.track_stock,
            backorder: offer.backorder,
        }
    };
    NewOrder {
        key,
        account: buyer.account,
        cart,
        email: buyer.email,
        phone: buyer.phone,
        name_key: text::search_key(&name),
        language: buyer.language.unwrap_or(till.language).code().to_owned(),
        currency: till.currency.code().to_owned(),
        subtotal: totals.subtotal,
        discount: totals.discount,
        shipping: totals.shipping,
        tax: totals.tax,
        tax_added: totals.tax - totals.tax_included,
        total: totals.total,
        shipping_method: shipping.map(|shipping| (shipping.method.id, shipping.method.name)),
        billing_address: buyer.billing.or_else(|| buyer.shipping.clone()).map(|address| address.keep()),
        shipping_address: buyer.shipping.map(|address| address.keep()),
        note: note.filter(|note| !note.is_empty()),
        payment: PaymentStatus::Pending,
        expires_at: None,
        lines: lines.into_iter().enumerate().map(line).collect(),
    }
}

/// A user's problem, said of another place of the input.
fn at(why: Error, field: &str) -> Error {
    match why {
        Error::User(problem) => Error::user(problem.code, field, problem.message),
        other => other,
    }
}
