//! The variants of one edit: which is meant, what changes, which skus and options they take.

use std::collections::{HashMap, HashSet};

use rust_decimal::Decimal;

use super::{Desk, Part, ProductEdit, VariantEdit, Which, options::Arrangement};
use crate::{
    base::{Money, error::Code, page, text},
    catalog::{
        draft::VariantDraft,
        entity::{product, variant},
        lay::{self, KEY_LIMIT, WORD_LIMIT},
        merge::Said,
        sku,
        wrong::{Wrong, at},
    },
};

/// The largest stock and the largest weight: what `Int` holds.
const COUNT_LIMIT: i64 = i32::MAX as i64;
/// The longest address of a picture, and the longest barcode.
const TEXT_LIMITS: (usize, usize) = (2_000, 100);

/// A product's variants as they will be.
#[derive(Debug)]
pub(super) struct Variants {
    /// As they were.
    pub(super) there: Vec<variant::Model>,
    /// All of them, those that are there first.
    pub(super) rows: Vec<variant::Model>,
    /// The names of the options.
    pub(super) options: Vec<String>,
    /// The options differ from what is there.
    pub(super) renamed: bool,
    /// Those that were said, in their order, then those whose options have changed with the product's.
    pub(super) said: Vec<Said>,
    /// The values of each.
    pub(super) drafts: Vec<VariantDraft>,
    /// The skus they take.
    pub(super) skus: Vec<String>,
}

impl Variants {
    pub(super) fn fit(desk: &Desk, edit: &ProductEdit, before: Option<&product::Model>, wrong: &mut Wrong) -> Self {
        let id = before.map_or(0, |before| before.id);
        let there = desk.found.variants(id).to_vec();
        let known = desk.found.options(id);
        let Arrangement { names: options, renamed, values } =
            Arrangement::of(edit, known, (&there, &desk.found), wrong);
        let mut values: HashMap<usize, Vec<String>> = place_values(&there, values);
        let mut all = Self { rows: there.clone(), there, options, renamed, said: vec![], drafts: vec![], skus: vec![] };
        for (place, values) in &values {
            name(&mut all.rows[*place], values);
        }
        let mut order: Vec<(usize, &VariantEdit)> = Vec::with_capacity(edit.variants.len());
        for one in &edit.variants {
            let Ok(place) = all.place(edit, one, wrong) else { continue };
            let place = all.row(place, desk, one, wrong);
            if let Some(said) = all.values(one, place, wrong) {
                name(&mut all.rows[place], &said);
                values.insert(place, said);
            }
            if order.iter().any(|(known, _)| *known == place) {
                wrong.input(&one.path, "this variant is said twice");
            }
            order.push((place, one));
        }
        all.keep_apart(edit, &order, wrong);
        all.keep_one(edit, wrong);
        all.settle(&order, values);
        all
    }

    /// Which of the variants that are there is meant; `None` for a new one.
    fn place(&self, edit: &ProductEdit, one: &VariantEdit, wrong: &mut Wrong) -> Result<Option<usize>, ()> {
        let there = || self.there.iter().enumerate();
        let living = || there().filter(|(_, row)| row.deleted_at.is_none());
        let place = |(place, _): (usize, &variant::Model)| place;
        let said = one.sku.as_deref().map(str::trim);
        let of_sku = |(_, row): &(usize, &variant::Model)| Some(row.sku.as_str()) == said;
        match one.which {
            Part::Key(key) | Part::Gone(key) => {
                let found = living().find(|(_, row)| row.id == key).map(place);
                if found.is_none() {
                    let path = if let Which::OfVariant(_, path) = &edit.which { path } else { &one.path };
                    wrong.say(Code::NotFound, path, "there is no such variant");
                }
                found.map(Some).ok_or(())
            }
            // One that was deleted comes back by its sku, with all that names it.
            Part::New => Ok(there().filter(|(_, row)| row.deleted_at.is_some()).find(of_sku).map(place)),
            Part::Matched => {
                let key = one.options.as_ref().map(|values| key(values));
                let of_options =
                    || living().find(|(_, row)| Some(&row.option_key) == key.as_ref() && said.is_none()).map(place);
                Ok(there().find(of_sku).map(place).or_else(of_options))
            }
            Part::Only => {
                let of_sku = living().find(of_sku).map(place);
                let mut some = living();
                let only = some.next().map(place).filter(|_| some.next().is_none());
                if of_sku.or(only).is_none() && living().next().is_some() {
                    let message = "the product has several variants: say the sku of the one that is meant";
                    wrong.input(&at(&one.path, "sku"), message);
                    return Err(());
                }
                Ok(of_sku.or(only))
            }
        }
    }

    /// Lays what is said over the row at a place, or makes one; says where it is.
    fn row(&mut self, place: Option<usize>, desk: &Desk, one: &VariantEdit, wrong: &mut Wrong) -> usize {
        let place = place.unwrap_or_else(|| {
            let position = self.rows.iter().map(|row| row.position + 1).max().unwrap_or(0);
            self.rows.push(variant::Model { position, ..lay::blank_variant(desk.now) });
            self.rows.len() - 1
        });
        let before = self.rows[place].clone();
        if before.id != 0 {
            wrong.version(one.expected.as_ref(), before.version);
        }
        if matches!(one.which, Part::Gone(_)) {
            self.rows[place].deleted_at = Some(desk.now);
            return place;
        }
        let row = Lay { desk, one, wrong }.over(before);
        if self.there.get(place).is_none_or(|before| before.sku != row.sku) {
            let owner = desk.found.of_sku(&row.sku);
            let taken = owner.is_some_and(|owner| owner != row.id) || desk.skus.contains(&row.sku);
            if !row.sku.is_empty() && (taken || self.skus.contains(&row.sku)) {
                let of = if owner.is_some_and(|owner| desk.found.is_deleted(owner)) { "a deleted" } else { "another" };
                let message = format!("{of} variant has the sku `{}`", row.sku);
                wrong.say(Code::AlreadyExists, &at(&one.path, "sku"), message);
            }
            self.skus.push(row.sku.clone());
        }
        self.rows[place] = row;
        place
    }

    /// The values of its options that are said, or of a new variant that has none.
    fn values(&self, one: &VariantEdit, place: usize, wrong: &mut Wrong) -> Option<Vec<String>> {
        let is_new = self.there.get(place).is_none_or(|before| before.deleted_at.is_some());
        if (one.options.is_none() && !is_new) || matches!(one.which, Part::Gone(_)) {
            return None;
        }
        let path = at(&one.path, "options");
        let said = one.options.as_deref().unwrap_or_default();
        let value = |(number, value): (usize, &String)| wrong.text(&at(&path, &number.to_string()), value, WORD_LIMIT);
        let values: Vec<String> = said.iter().enumerate().map(value).collect();
        if values.len() != self.options.len() {
            let message = match self.options.as_slice() {
                [] => "the product has no options: it is not chosen by any".to_owned(),
                some => format!("say one value for each of the product's options: {}", some.join(", ")),
            };
            wrong.input(&path, message);
        } else if values.iter().any(|value| text::key(value).is_empty()) || key(&values).len() > KEY_LIMIT {
            wrong.input(&path, "each value needs a letter or a sign that can be seen, and all together are too long");
        }
        Some(values)
    }

    /// No two living variants are chosen by the same values.
    fn keep_apart(&self, edit: &ProductEdit, order: &[(usize, &VariantEdit)], wrong: &mut Wrong) {
        let mut seen = HashSet::new();
        let said: HashMap<usize, &VariantEdit> = order.iter().copied().collect();
        let unsaid = (0..self.rows.len()).filter(|place| !said.contains_key(place));
        for place in unsaid.chain(order.iter().map(|(place, _)| *place)) {
            let row = &self.rows[place];
            if row.deleted_at.is_some() || seen.insert(&row.option_key) {
                continue;
            }
            let (path, message) = match (said.get(&place), self.options.is_empty()) {
                (Some(one), false) => (at(&one.path, "options"), format!("there is a variant `{}` already", row.name)),
                (Some(one), true) => {
                    let message = "the product has no options to tell its variants apart: give it some first";
                    (at(&one.path, "options"), message.to_owned())
                }
                (None, _) => {
                    let message = format!("without that option there would be two variants `{}`", row.name);
                    (at(&edit.path, "options"), message)
                }
            };
            wrong.say(Code::AlreadyExists, &path, message);
        }
    }

    /// A product has a variant at least.
    fn keep_one(&self, edit: &ProductEdit, wrong: &mut Wrong) {
        if self.rows.iter().any(|row| row.deleted_at.is_none()) {
            return;
        }
        if let Which::OfVariant(_, path) = &edit.which {
            let message = "this is the product's only variant: delete or archive the product instead";
            wrong.say(Code::IllegalTransition, path, message);
        } else if edit.variants.is_empty() || wrong.nothing() {
            let message = "a new product needs something that can be bought: say its sku and price, or its variants";
            wrong.input(&at(&edit.path, "variants"), message);
        }
    }

    fn settle(&mut self, order: &[(usize, &VariantEdit)], mut values: HashMap<usize, Vec<String>>) {
        for (place, one) in order {
            let options = values.remove(place).unwrap_or_default();
            self.said.push(Said { number: self.drafts.len(), place: *place, stock: one.stock.flatten() });
            self.drafts.push(VariantDraft { options, ..VariantDraft::default() });
        }
        for (place, options) in values {
            self.said.push(Said { number: self.drafts.len(), place, stock: None });
            self.drafts.push(VariantDraft { options, ..VariantDraft::default() });
        }
    }
}

fn place_values(there: &[variant::Model], mut values: HashMap<i64, Vec<String>>) -> HashMap<usize, Vec<String>> {
    let found = |(place, row): (usize, &variant::Model)| Some((place, values.remove(&row.id)?));
    there.iter().enumerate().filter_map(found).collect()
}

/// Calls a variant by its values.
fn name(row: &mut variant::Model, values: &[String]) {
    let draft = VariantDraft { options: values.to_vec(), ..VariantDraft::default() };
    row.name = lay::variant_name(&draft);
    row.option_key = sku::option_key(&draft);
}

fn key(values: &[String]) -> String {
    sku::option_key(&VariantDraft { options: values.to_vec(), ..VariantDraft::default() })
}

/// What is said of a variant, being laid over its row.
struct Lay<'a> {
    desk: &'a Desk,
    one: &'a VariantEdit,
    wrong: &'a mut Wrong,
}

impl Lay<'_> {
    fn over(mut self, before: variant::Model) -> variant::Model {
        let one = self.one;
        let price = one.price.map(|price| self.minor("price", price));
        if price.is_none() && before.id == 0 {
            self.wrong.input(&at(&one.path, "price"), "a new variant needs a price");
        }
        let stock = self.count("stockQuantity", one.stock);
        let weight_grams = self.count("weightGrams", one.weight_grams).unwrap_or(before.weight_grams);
        let image = self.text("image", one.image.as_ref(), TEXT_LIMITS.0).unwrap_or_else(|| before.image.clone());
        let barcode =
            self.text("barcode", one.barcode.as_ref(), TEXT_LIMITS.1).unwrap_or_else(|| before.barcode.clone());
        let mut row = variant::Model {
            sku: self.sku(&before.sku),
            price: price.unwrap_or(before.price),
            weight_grams,
            image,
            barcode,
            track_stock: stock.map_or(before.track_stock, |stock| stock.is_some()),
            deleted_at: None,
            ..before
        };
        self.sale(&mut row);
        row
    }

    fn sku(&mut self, before: &str) -> String {
        let path = at(&self.one.path, "sku");
        let Some(said) = &self.one.sku else {
            if before.is_empty() {
                self.wrong.input(&path, "a new variant needs a sku");
            }
            return before.to_owned();
        };
        let sku = self.wrong.text(&path, said, sku::LIMIT);
        if sku.is_empty() {
            self.wrong.input(&path, "a sku is never empty");
        }
        sku
    }

    fn sale(&mut self, row: &mut variant::Model) {
        let one = self.one;
        match one.sale_price {
            Some(Some(price)) => row.sale_price = Some(self.minor("salePrice", price)),
            Some(None) => (row.sale_price, row.sale_starts_at, row.sale_ends_at) = (None, None, None),
            None => {}
        }
        for (field, said, end) in [
            ("saleStartsAt", one.sale_starts_at, &mut row.sale_starts_at),
            ("saleEndsAt", one.sale_ends_at, &mut row.sale_ends_at),
        ] {
            if let Some(said) = said {
                *end = said.map(lay::stored);
            }
            let path = at(&one.path, field);
            if end.is_some_and(|at| !page::in_range(&at)) {
                self.wrong.input(&path, "the year must be from 1 to 9999");
            } else if end.is_some() && row.sale_price.is_none() {
                self.wrong.input(&path, "there is no sale: say the sale price too");
            }
        }
        if row.sale_starts_at.zip(row.sale_ends_at).is_some_and(|(starts, ends)| starts >= ends) {
            let field = if one.sale_ends_at.is_some() { "saleEndsAt" } else { "saleStartsAt" };
            self.wrong.input(&at(&one.path, field), "the sale must end after it begins");
        }
        if row.sale_price.is_some_and(|sale| sale >= row.price) && (one.price.is_some() || one.sale_price.is_some()) {
            let field = if one.sale_price.is_some() { "salePrice" } else { "price" };
            self.wrong.input(&at(&one.path, field), "the sale price must be lower than the price");
        }
    }

    fn minor(&mut self, field: &str, amount: Decimal) -> i64 {
        let path = at(&self.one.path, field);
        let currency = self.desk.currency;
        match Money::from_decimal(amount, currency) {
            Some((money, false)) => money.minor,
            Some(_) => {
                let decimals = Money::decimals(currency);
                self.wrong.input(&path, format!("an amount of {} has at most {decimals} decimals", currency.code()));
                0
            }
            None => {
                self.wrong.input(&path, "a price is from 0 to 10000000000000");
                0
            }
        }
    }

    fn count(&mut self, field: &str, said: super::Said<i64>) -> super::Said<i64> {
        if said.flatten().is_some_and(|count| !(0..=COUNT_LIMIT).contains(&count)) {
            self.wrong.input(&at(&self.one.path, field), format!("a number from 0 to {COUNT_LIMIT}"));
        }
        said
    }

    fn text(&mut self, field: &str, said: Option<&Option<String>>, limit: usize) -> super::Said<String> {
        let said = said?.as_ref().map(|text| self.wrong.text(&at(&self.one.path, field), text, limit));
        Some(said.filter(|text| !text.is_empty()))
    }
}
