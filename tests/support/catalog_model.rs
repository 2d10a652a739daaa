//! Reference model of the catalog: expected results computed naively from a list.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use rust_decimal::Decimal;
use savannah::{
    base::{
        Patch,
        search_token::{SearchToken, tokenize},
        text,
    },
    catalog::{CategoryInput, ProductPatch, PublicationStatus, VariantPatch, sanitize},
};
use serde_json::{Map, Value, json};

/// A product of the model.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own that a filter asks for")]
pub struct ModelProduct {
    /// Creation index.
    pub index: usize,
    pub slug: String,
    pub normalized_name: String,
    pub is_active: bool,
    pub featured: bool,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
    pub price: Decimal,
    /// Discount of the current price in whole percent.
    pub discount_percent: Decimal,
    pub on_sale: bool,
    pub in_stock: bool,
    pub vendor: Option<String>,
    pub tags: Vec<String>,
    pub category: Vec<String>,
    pub skus: Vec<String>,
    /// Normalized option names and values of each variant.
    pub variants: Vec<Vec<(String, String)>>,
    name_words: BTreeSet<String>,
    pub indexed_words: BTreeSet<String>,
}

/// Returns the current price of a variant, its discount in whole percent, and whether it is a sale price.
fn current_price(variant: &VariantPatch, now: DateTime<Utc>) -> (Decimal, Decimal, bool) {
    let price = variant.price.into_value().expect("a price");
    let (starts_at, ends_at) = (variant.sale_starts_at.into_value(), variant.sale_ends_at.into_value());
    let is_active = starts_at.is_none_or(|time| time <= now) && ends_at.is_none_or(|time| now < time);
    let sale_price = variant.sale_price.into_value().filter(|sale_price| is_active && *sale_price < price);
    sale_price.map_or((price, Decimal::ZERO, false), |sale_price| {
        (sale_price, ((price - sale_price) * Decimal::ONE_HUNDRED / price).floor(), true)
    })
}

impl ModelProduct {
    pub fn from_input(
        index: usize,
        product_input: &ProductPatch,
        (created, updated): (DateTime<Utc>, DateTime<Utc>),
        now: DateTime<Utc>,
    ) -> Self {
        let name = product_input.name.value().expect("a name");
        let prices = product_input.variants.iter().map(|variant| current_price(variant, now));
        let (price, discount_percent, on_sale) =
            prices.reduce(|a, b| if b.0 < a.0 { b } else { a }).expect("a variant");
        let Patch::Set(CategoryInput::Path(category)) = product_input.category.clone() else { panic!("no category") };
        let tags = product_input.tags.value().cloned().unwrap_or_default();
        let description = sanitize::convert_html_to_text(&sanitize::sanitize_html(
            product_input.description.value().map_or("", String::as_str),
        ));
        let choices = |variant: &VariantPatch| {
            let pairs = product_input.options().iter().zip(variant.option_values());
            pairs
                .map(|(option, value)| (text::normalize_text(&option.name), text::normalize_text(value)))
                .collect::<Vec<_>>()
        };
        let variants: Vec<_> = product_input.variants.iter().map(choices).collect();
        let skus: Vec<_> = product_input.variants.iter().filter_map(|variant| variant.sku.value().cloned()).collect();
        let mut words: BTreeSet<String> = index_words(name).collect();
        let name_words = words.clone();
        words.extend(index_words(product_input.vendor.value().map_or("", String::as_str)));
        words.extend(tags.iter().chain(&skus).flat_map(|text| index_words(text)));
        words.extend(variants.iter().flatten().flat_map(|(_, value)| index_words(value)));
        words.extend(index_words(&description));
        Self {
            index,
            slug: product_input.slug().expect("a slug").to_owned(),
            normalized_name: text::normalize_for_search(name),
            is_active: product_input.status == Patch::Set(PublicationStatus::Active),
            featured: product_input.featured == Patch::Set(true),
            created_at: created,
            updated_at: updated,
            price,
            discount_percent,
            on_sale,
            in_stock: product_input
                .variants
                .iter()
                .any(|variant| variant.on_hand.into_value().is_none_or(|stock| stock > 0)),
            vendor: product_input.vendor.value().cloned(),
            tags,
            category,
            skus,
            variants,
            name_words,
            indexed_words: words,
        }
    }

    /// Returns whether the product matches all words of a search.
    /// Returns the units sold that the varied catalog has.
    pub fn units_sold(&self) -> usize {
        self.slug.chars().count() % 5
    }

    pub fn matches_search(&self, search: &str) -> bool {
        contains_all_words(&self.indexed_words, search)
    }

    fn relevance_score(&self, search: &str) -> u8 {
        let key = text::normalize_for_search(search);
        if self.normalized_name == key || self.skus.iter().any(|sku| sku.to_lowercase() == key) {
            4
        } else if self.normalized_name.starts_with(&key) {
            3
        } else if contains_all_words(&self.name_words, search) {
            2
        } else {
            1
        }
    }
}

/// Returns the index terms of a text.
pub fn index_words(text: &str) -> impl Iterator<Item = String> {
    tokenize(text).into_iter().flat_map(SearchToken::index_terms)
}

fn contains_all_words(words: &BTreeSet<String>, search: &str) -> bool {
    let is_indexed = |text: String| match text.chars().count() {
        1 => words.contains(&text),
        _ => words.iter().any(|indexed| indexed.starts_with(&text)),
    };
    let mut terms = index_words(search).peekable();
    terms.peek().is_some() && terms.all(is_indexed)
}

/// A product filter of the model.
#[derive(Debug, Clone, Default)]
pub struct ModelFilter {
    pub search: Option<String>,
    /// Category id and path.
    pub category: Option<(String, Vec<String>)>,
    pub price: (Option<Decimal>, Option<Decimal>),
    pub in_stock: Option<bool>,
    pub on_sale: Option<bool>,
    pub featured: Option<bool>,
    pub vendors: Vec<String>,
    pub tags: Vec<String>,
    pub all_tags: Vec<String>,
    pub excluded_tags: Vec<String>,
    pub options: Vec<(String, Vec<String>)>,
    pub created_at: (Option<DateTime<Utc>>, Option<DateTime<Utc>>),
    pub updated_at: (Option<DateTime<Utc>>, Option<DateTime<Utc>>),
}

impl ModelFilter {
    /// Returns the filter as GraphQL input `ProductFilter`.
    pub fn to_json(&self) -> Value {
        let mut filter = Map::new();
        let mut insert = |name: &str, value: Value| {
            let empty = value.is_null() || value.as_array().is_some_and(Vec::is_empty);
            let none = value.as_object().is_some_and(|map| map.values().all(Value::is_null));
            if !empty && !none {
                filter.insert(name.to_owned(), value);
            }
        };
        let decimal = |amount: Option<Decimal>| amount.map(|amount| amount.to_string());
        insert("search", json!(self.search));
        insert("category", json!(self.category.as_ref().map(|(id, _)| json!({ "id": id }))));
        insert("price", json!({ "min": decimal(self.price.0), "max": decimal(self.price.1) }));
        insert("inStock", json!(self.in_stock));
        insert("onSale", json!(self.on_sale));
        insert("featured", json!(self.featured));
        insert("vendors", json!(self.vendors));
        let tag_lists = [("any", &self.tags), ("all", &self.all_tags), ("none", &self.excluded_tags)];
        let tag_lists = tag_lists.into_iter().filter(|(_, tags)| !tags.is_empty());
        insert("tags", tag_lists.map(|(name, tags)| (name.to_owned(), json!(tags))).collect::<Map<_, _>>().into());
        let option = |(name, values): &(String, Vec<String>)| json!({ "name": name, "values": values });
        insert("options", json!(self.options.iter().map(option).collect::<Vec<_>>()));
        insert("createdAt", json!({ "from": self.created_at.0, "to": self.created_at.1 }));
        insert("updatedAt", json!({ "from": self.updated_at.0, "to": self.updated_at.1 }));
        Value::Object(filter)
    }

    /// Returns whether a product matches the filter.
    pub fn matches(&self, product: &ModelProduct) -> bool {
        let among = |list: &[String], text: &str| {
            list.iter().any(|entry| text::normalize_text(entry) == text::normalize_text(text))
        };
        let flag = |expected: Option<bool>, actual: bool| expected.is_none_or(|expected| expected == actual);
        let within = |(from, to): (Option<DateTime<Utc>>, Option<DateTime<Utc>>), time| {
            from.is_none_or(|from| from <= time) && to.is_none_or(|to| time < to)
        };
        let matches_options = |variant: &Vec<(String, String)>| {
            let has = |(name, values): &(String, Vec<String>)| {
                variant
                    .iter()
                    .any(|(option_name, value)| *option_name == text::normalize_text(name) && among(values, value))
            };
            self.options.iter().all(has)
        };
        self.search.as_ref().is_none_or(|search| product.matches_search(search))
            && self.category.as_ref().is_none_or(|(_, path)| product.category.starts_with(path))
            && self.price.0.is_none_or(|min| product.price >= min)
            && self.price.1.is_none_or(|max| product.price <= max)
            && flag(self.in_stock, product.in_stock)
            && flag(self.on_sale, product.on_sale)
            && flag(self.featured, product.featured)
            && (self.vendors.is_empty() || product.vendor.as_ref().is_some_and(|vendor| among(&self.vendors, vendor)))
            && (self.tags.is_empty() || product.tags.iter().any(|tag| among(&self.tags, tag)))
            && self.all_tags.iter().all(|tag| among(&product.tags, tag))
            && !self.excluded_tags.iter().any(|tag| among(&product.tags, tag))
            && (self.options.is_empty() || product.variants.iter().any(matches_options))
            && within(self.created_at, product.created_at)
            && within(self.updated_at, product.updated_at)
    }

    /// Returns the matching products.
    pub fn matching_products<'a>(&self, products: &'a [ModelProduct]) -> Vec<&'a ModelProduct> {
        products.iter().filter(|product| self.matches(product)).collect()
    }

    /// Returns the slugs of the matching products, sorted.
    pub fn sorted_slugs(&self, products: &[ModelProduct], field: &str, reverse: bool) -> Vec<String> {
        let mut matching = self.matching_products(products);
        matching.sort_by_key(|product| product.index);
        let search = self.search.clone().unwrap_or_default();
        match field {
            "PRICE" => matching.sort_by_key(|product| product.price),
            "NAME" => matching.sort_by(|a, b| a.normalized_name.cmp(&b.normalized_name)),
            "NEWEST" => {
                matching.sort_by_key(|product| product.created_at);
                matching.reverse();
            }
            "UPDATED_AT" => {
                matching.sort_by_key(|product| product.updated_at);
                matching.reverse();
            }
            "BEST_SELLING" => {
                matching.sort_by_key(|product| product.units_sold());
                matching.reverse();
            }
            "DISCOUNT" => {
                matching.sort_by_key(|product| product.discount_percent);
                matching.reverse();
            }
            "BEST_MATCH" if self.search.is_none() => {
                matching.sort_by_key(|product| (product.featured, product.created_at));
                matching.reverse();
            }
            "BEST_MATCH" | "RELEVANCE" => {
                matching.sort_by_key(|product| (product.relevance_score(&search), product.created_at));
                matching.reverse();
            }
            other => panic!("no order {other}"),
        }
        if reverse {
            matching.reverse();
        }
        matching.into_iter().map(|product| product.slug.clone()).collect()
    }
}

/// Deterministic pseudo-random number generator.
#[derive(Debug)]
pub struct SeededRng(pub u64);

impl SeededRng {
    pub fn next_below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).expect("31 bits") % end
    }

    pub fn pick<'a, T>(&mut self, list: &'a [T]) -> &'a T {
        &list[self.next_below(list.len())]
    }

    pub fn one_in(&mut self, one_in: usize) -> bool {
        self.next_below(one_in) == 0
    }
}
