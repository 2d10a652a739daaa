//! A catalog as a plain list: what a shop must answer, worked out the slow and obvious way.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use rust_decimal::Decimal;
use savannah::{
    base::{
        text,
        token::{Token, tokens},
    },
    catalog::{ProductDraft, Status, VariantDraft, html},
};
use serde_json::{Map, Value, json};

/// A product.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own that a filter asks for")]
pub struct Thing {
    /// Its number in the order of making.
    pub place: usize,
    pub slug: String,
    pub name_key: String,
    pub active: bool,
    pub featured: bool,
    pub created: DateTime<Utc>,
    pub updated: DateTime<Utc>,
    pub price: Decimal,
    pub on_sale: bool,
    pub in_stock: bool,
    pub vendor: Option<String>,
    pub tags: Vec<String>,
    pub category: Vec<String>,
    pub skus: Vec<String>,
    /// Of each variant: the options and their values, folded.
    pub variants: Vec<Vec<(String, String)>>,
    name_words: BTreeSet<String>,
    pub words: BTreeSet<String>,
}

/// What a buyer pays for a variant, and whether that is a sale.
fn price_now(variant: &VariantDraft, now: DateTime<Utc>) -> (Decimal, bool) {
    let price = variant.price.expect("a price");
    let sale = variant.sale.flatten().filter(|sale| {
        let on = sale.starts_at.is_none_or(|at| at <= now) && sale.ends_at.is_none_or(|at| now < at);
        on && sale.price < price
    });
    sale.map_or((price, false), |sale| (sale.price, true))
}

impl Thing {
    pub fn of(
        place: usize,
        draft: &ProductDraft,
        (created, updated): (DateTime<Utc>, DateTime<Utc>),
        now: DateTime<Utc>,
    ) -> Self {
        let name = draft.name.clone().expect("a name");
        let prices = draft.variants.iter().map(|variant| price_now(variant, now));
        let (price, on_sale) = prices.reduce(|a, b| if b.0 < a.0 { b } else { a }).expect("a variant");
        let tags = draft.tags.clone().unwrap_or_default();
        let description = html::plain(&html::sanitise(draft.description_html.as_deref().unwrap_or_default()));
        let choices = |variant: &VariantDraft| {
            let pairs = draft.options.iter().zip(&variant.options);
            pairs.map(|(name, value)| (text::key(name), text::key(value))).collect::<Vec<_>>()
        };
        let variants: Vec<_> = draft.variants.iter().map(choices).collect();
        let skus: Vec<_> = draft.variants.iter().filter_map(|variant| variant.sku.clone()).collect();
        let mut words: BTreeSet<String> = search_words(&name).collect();
        let name_words = words.clone();
        words.extend(search_words(draft.vendor.as_deref().unwrap_or_default()));
        words.extend(tags.iter().chain(&skus).flat_map(|text| search_words(text)));
        words.extend(variants.iter().flatten().flat_map(|(_, value)| search_words(value)));
        words.extend(search_words(&description));
        Self {
            place,
            slug: draft.slug.clone(),
            name_key: text::search_key(&name),
            active: draft.status == Some(Status::Active),
            featured: draft.featured == Some(true),
            created,
            updated,
            price,
            on_sale,
            in_stock: draft.variants.iter().any(|variant| variant.stock.is_none_or(|stock| stock > 0)),
            vendor: draft.vendor.clone(),
            tags,
            category: draft.category.clone().expect("a category"),
            skus,
            variants,
            name_words,
            words,
        }
    }

    /// Whether all the words of a search are here.
    pub fn answers(&self, search: &str) -> bool {
        found(&self.words, search)
    }

    fn score(&self, search: &str) -> u8 {
        let key = text::search_key(search);
        if self.name_key == key || self.skus.iter().any(|sku| sku.to_lowercase() == key) {
            4
        } else if self.name_key.starts_with(&key) {
            3
        } else if found(&self.name_words, search) {
            2
        } else {
            1
        }
    }
}

/// The words under which a text is indexed.
pub fn search_words(text: &str) -> impl Iterator<Item = String> {
    tokens(text).into_iter().flat_map(Token::index_words)
}

fn found(words: &BTreeSet<String>, search: &str) -> bool {
    let one = |word: String| match word.chars().count() {
        1 => words.contains(&word),
        _ => words.iter().any(|known| known.starts_with(&word)),
    };
    let mut asked = search_words(search).peekable();
    asked.peek().is_some() && asked.all(one)
}

/// A filter.
#[derive(Debug, Clone, Default)]
pub struct Wish {
    pub search: Option<String>,
    /// The id and the path.
    pub category: Option<(String, Vec<String>)>,
    pub price: (Option<Decimal>, Option<Decimal>),
    pub in_stock: Option<bool>,
    pub on_sale: Option<bool>,
    pub featured: Option<bool>,
    pub vendors: Vec<String>,
    pub tags: Vec<String>,
    pub options: Vec<(String, Vec<String>)>,
    pub created: (Option<DateTime<Utc>>, Option<DateTime<Utc>>),
    pub updated: (Option<DateTime<Utc>>, Option<DateTime<Utc>>),
}

impl Wish {
    /// As a `ProductFilter`.
    pub fn json(&self) -> Value {
        let mut filter = Map::new();
        let mut say = |name: &str, value: Value| {
            let empty = value.is_null() || value.as_array().is_some_and(Vec::is_empty);
            let none = value.as_object().is_some_and(|map| map.values().all(Value::is_null));
            if !empty && !none {
                filter.insert(name.to_owned(), value);
            }
        };
        let decimal = |amount: Option<Decimal>| amount.map(|amount| amount.to_string());
        say("search", json!(self.search));
        say("category", json!(self.category.as_ref().map(|(id, _)| id)));
        say("price", json!({ "min": decimal(self.price.0), "max": decimal(self.price.1) }));
        say("inStock", json!(self.in_stock));
        say("onSale", json!(self.on_sale));
        say("featured", json!(self.featured));
        say("vendors", json!(self.vendors));
        say("tags", json!(self.tags));
        let option = |(name, values): &(String, Vec<String>)| json!({ "name": name, "values": values });
        say("options", json!(self.options.iter().map(option).collect::<Vec<_>>()));
        say("createdAt", json!({ "from": self.created.0, "to": self.created.1 }));
        say("updatedAt", json!({ "from": self.updated.0, "to": self.updated.1 }));
        Value::Object(filter)
    }

    /// Whether a thing is wanted.
    pub fn fits(&self, thing: &Thing) -> bool {
        let among = |list: &[String], text: &str| list.iter().any(|one| text::key(one) == text::key(text));
        let flag = |wanted: Option<bool>, is: bool| wanted.is_none_or(|wanted| wanted == is);
        let within = |(from, to): (Option<DateTime<Utc>>, Option<DateTime<Utc>>), at| {
            from.is_none_or(|from| from <= at) && to.is_none_or(|to| at < to)
        };
        let chosen = |variant: &Vec<(String, String)>| {
            let has = |(name, values): &(String, Vec<String>)| {
                variant.iter().any(|(known, value)| *known == text::key(name) && among(values, value))
            };
            self.options.iter().all(has)
        };
        self.search.as_ref().is_none_or(|search| thing.answers(search))
            && self.category.as_ref().is_none_or(|(_, path)| thing.category.starts_with(path))
            && self.price.0.is_none_or(|min| thing.price >= min)
            && self.price.1.is_none_or(|max| thing.price <= max)
            && flag(self.in_stock, thing.in_stock)
            && flag(self.on_sale, thing.on_sale)
            && flag(self.featured, thing.featured)
            && (self.vendors.is_empty() || thing.vendor.as_ref().is_some_and(|maker| among(&self.vendors, maker)))
            && (self.tags.is_empty() || thing.tags.iter().any(|tag| among(&self.tags, tag)))
            && (self.options.is_empty() || thing.variants.iter().any(chosen))
            && within(self.created, thing.created)
            && within(self.updated, thing.updated)
    }

    /// The things that are wanted.
    pub fn of<'a>(&self, things: &'a [Thing]) -> Vec<&'a Thing> {
        things.iter().filter(|thing| self.fits(thing)).collect()
    }

    /// Their slugs in an order.
    pub fn slugs(&self, things: &[Thing], field: &str, reverse: bool) -> Vec<String> {
        let mut wanted = self.of(things);
        wanted.sort_by_key(|thing| thing.place);
        let search = self.search.clone().unwrap_or_default();
        match field {
            "PRICE" => wanted.sort_by_key(|thing| thing.price),
            "NAME" => wanted.sort_by(|a, b| a.name_key.cmp(&b.name_key)),
            "NEWEST" => {
                wanted.sort_by_key(|thing| thing.created);
                wanted.reverse();
            }
            "BEST_MATCH" if self.search.is_none() => {
                wanted.sort_by_key(|thing| (thing.featured, thing.created));
                wanted.reverse();
            }
            "BEST_MATCH" | "RELEVANCE" => {
                wanted.sort_by_key(|thing| thing.score(&search));
                wanted.reverse();
            }
            other => panic!("no order {other}"),
        }
        if reverse {
            wanted.reverse();
        }
        wanted.into_iter().map(|thing| thing.slug.clone()).collect()
    }
}

/// Chance that is the same on every run.
#[derive(Debug)]
pub struct Dice(pub u64);

impl Dice {
    pub fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).expect("31 bits") % end
    }

    pub fn pick<'a, T>(&mut self, list: &'a [T]) -> &'a T {
        &list[self.below(list.len())]
    }

    pub fn maybe(&mut self, one_in: usize) -> bool {
        self.below(one_in) == 0
    }
}
