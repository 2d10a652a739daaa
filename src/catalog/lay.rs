//! A draft laid over the row that is there: what was said changes, what was not said stays. Pure.

use chrono::{DateTime, DurationRound, TimeDelta, Utc};
use iso_currency::Currency;
use rust_decimal::Decimal;

use super::{
    draft::{ProductDraft, Status, VariantDraft},
    entity::{product, variant},
    price::Derived,
    save::Saved,
    sku::option_key,
};
use crate::base::{Money, text};

/// The longest name of a product.
pub(super) const NAME_LIMIT: usize = 500;
/// The longest name of a vendor, of an option, and value of an option.
pub(super) const WORD_LIMIT: usize = 200;
/// The most bytes of a key in an index: a row of PostgreSQL's has 2,704.
pub(super) const KEY_LIMIT: usize = 1_200;
/// What the one variant of a simple product is called.
pub const ONLY: &str = "Default";

/// Where and when drafts are laid.
#[derive(Debug, Clone, Copy)]
pub(super) struct Setting {
    /// The category of the product, unless it stays where it is.
    pub(super) category: Option<i64>,
    /// What prices are in.
    pub(super) currency: Currency,
    /// The moment of the change.
    pub(super) now: DateTime<Utc>,
}

/// Whether a draft can be a product at all.
pub(super) fn check(draft: &ProductDraft, is_new: bool) -> Result<(), String> {
    let slug = &draft.slug;
    let name = draft.name.as_deref().unwrap_or_default();
    if is_new && text::key(name).is_empty() {
        return Err(format!("the new product `{slug}` has no name"));
    }
    let too_long = |what: &str, text: &str, limit: usize| {
        let long = text.chars().count() > limit;
        if long { Err(format!("{what} of `{slug}` is longer than {limit} characters")) } else { Ok(()) }
    };
    too_long("the name", name, NAME_LIMIT)?;
    too_long("the vendor", draft.vendor.as_deref().unwrap_or_default(), WORD_LIMIT)?;
    draft.tags.iter().flatten().try_for_each(|tag| too_long("a tag", tag, WORD_LIMIT))?;
    draft.options.iter().try_for_each(|option| too_long("the name of an option", option, WORD_LIMIT))
}

/// One variant as it will be; the key, the place and the sku of a new one are still to come.
pub(super) fn variant(
    one: &VariantDraft,
    before: Option<variant::Model>,
    setting: &Setting,
    saved: &mut Saved,
) -> Result<variant::Model, String> {
    check_options(one)?;
    let mut till = Till { line: one.line, currency: setting.currency, saved };
    let price = match (one.price, &before) {
        (Some(price), _) => till.minor("price", price)?,
        (None, Some(before)) => before.price,
        (None, None) => return Err("the new variant has no price".into()),
    };
    let offer = till.offer(one, before.as_ref())?.filter(|offer| till.accepts(offer, price));
    let base = before.unwrap_or_else(|| blank_variant(setting.now));
    let says_options = !one.options.is_empty() || base.name.is_empty();
    Ok(variant::Model {
        name: if says_options { variant_name(one) } else { base.name },
        option_key: if says_options { option_key(one) } else { base.option_key },
        price,
        sale_price: offer.map(|offer| offer.price),
        sale_starts_at: offer.and_then(|offer| offer.starts_at),
        sale_ends_at: offer.and_then(|offer| offer.ends_at),
        weight_grams: one.weight_grams.filter(|grams| *grams >= 0).or(base.weight_grams),
        image: one.image.clone().or(base.image),
        barcode: one.barcode.clone().or(base.barcode),
        track_stock: base.track_stock || one.stock.is_some(),
        deleted_at: None,
        ..base
    })
}

fn check_options(one: &VariantDraft) -> Result<(), String> {
    let long = one.options.iter().any(|value| value.chars().count() > WORD_LIMIT);
    if long || option_key(one).len() > KEY_LIMIT {
        let shown: String = one.options.join(" / ").chars().take(40).collect();
        return Err(format!("the options `{shown}...` are longer than {WORD_LIMIT} characters each"));
    }
    Ok(())
}

/// The values of its options in words.
pub(super) fn variant_name(one: &VariantDraft) -> String {
    if one.options.is_empty() { ONLY.to_owned() } else { one.options.join(" / ") }
}

/// A new variant before anything is said of it.
pub(super) fn blank_variant(now: DateTime<Utc>) -> variant::Model {
    variant::Model {
        id: 0,
        product_id: 0,
        sku: String::new(),
        name: String::new(),
        option_key: String::new(),
        price: 0,
        sale_price: None,
        sale_starts_at: None,
        sale_ends_at: None,
        weight_grams: None,
        image: None,
        barcode: None,
        track_stock: false,
        position: 0,
        version: 1,
        created_at: now,
        updated_at: now,
        deleted_at: None,
    }
}

/// Reads the amounts of one line.
struct Till<'a> {
    line: u64,
    currency: Currency,
    saved: &'a mut Saved,
}

/// A sale in minor units.
#[derive(Debug, Clone, Copy)]
struct Offer {
    price: i64,
    starts_at: Option<DateTime<Utc>>,
    ends_at: Option<DateTime<Utc>>,
}

impl Till<'_> {
    fn minor(&mut self, what: &str, amount: Decimal) -> Result<i64, String> {
        let Some((money, rounded)) = Money::from_decimal(amount, self.currency) else {
            return Err(format!("{what} {amount} cannot be: a price is from 0 to 10 000 000 000 000"));
        };
        if rounded {
            self.saved.warn(self.line, format!("{what} {amount} was rounded to {}", money.decimal()));
        }
        Ok(money.minor)
    }

    /// The sale that was said, else the one that is there.
    fn offer(&mut self, one: &VariantDraft, before: Option<&variant::Model>) -> Result<Option<Offer>, String> {
        match one.sale {
            Some(Some(sale)) => {
                let price = self.minor("sale price", sale.price)?;
                Ok(Some(Offer { price, starts_at: sale.starts_at.map(stored), ends_at: sale.ends_at.map(stored) }))
            }
            Some(None) => Ok(None),
            None => Ok(before.and_then(|before| {
                let (starts_at, ends_at) = (before.sale_starts_at, before.sale_ends_at);
                Some(Offer { price: before.sale_price?, starts_at, ends_at })
            })),
        }
    }

    /// Whether a sale can be; one that cannot is left out.
    fn accepts(&mut self, offer: &Offer, price: i64) -> bool {
        let backwards = offer.starts_at.zip(offer.ends_at).is_some_and(|(starts, ends)| starts >= ends);
        if backwards {
            self.saved.warn(self.line, "the sale ends before it begins and was left out".into());
        } else if offer.price >= price {
            self.saved.warn(self.line, "the sale is no lower than the price and was left out".into());
        }
        !backwards && offer.price < price
    }
}

/// A moment as the databases keep it: PostgreSQL has microseconds.
pub(super) fn stored(at: DateTime<Utc>) -> DateTime<Utc> {
    at.duration_trunc(TimeDelta::microseconds(1)).unwrap_or(at)
}

/// The product's row as it will be. `untracked` when something of it can be bought without being counted.
pub(super) fn product(
    draft: &ProductDraft,
    base: product::Model,
    setting: &Setting,
    (derived, untracked): (Derived, bool),
) -> product::Model {
    let Derived { sku, price, sale_price, price_now, price_max, reprice_at } = derived;
    let said = draft.name.as_deref().map(|name| name.split_whitespace().collect::<Vec<_>>().join(" "));
    let name = said.filter(|name| !text::key(name).is_empty()).unwrap_or(base.name);
    let said = draft.vendor.as_deref().map(|vendor| Some(vendor.trim().to_owned()).filter(|vendor| !vendor.is_empty()));
    let vendor = said.unwrap_or(base.vendor);
    let image = draft.images.first().map(|image| image.url.clone());
    product::Model {
        name_key: short(text::search_key(&name)),
        name,
        vendor_key: vendor.as_deref().map(|vendor| short(text::key(vendor))),
        vendor,
        category_id: setting.category.unwrap_or(base.category_id),
        status: draft.status.unwrap_or(base.status),
        featured: draft.featured.unwrap_or(base.featured),
        image: image.or(base.image),
        in_stock: base.in_stock || untracked,
        sku,
        price,
        sale_price,
        price_now,
        price_max,
        reprice_at,
        deleted_at: None,
        ..base
    }
}

/// A new product before anything is said of it.
pub(super) fn blank_product(slug: &str, now: DateTime<Utc>) -> product::Model {
    product::Model {
        id: 0,
        slug: slug.to_owned(),
        name: String::new(),
        name_key: String::new(),
        vendor: None,
        vendor_key: None,
        category_id: 0,
        status: Status::Active,
        featured: false,
        image: None,
        sku: String::new(),
        price: 0,
        sale_price: None,
        price_now: 0,
        price_max: 0,
        in_stock: false,
        reprice_at: None,
        version: 1,
        created_at: now,
        updated_at: now,
        deleted_at: None,
    }
}

fn short(mut key: String) -> String {
    key.truncate(key.floor_char_boundary(KEY_LIMIT));
    key
}
