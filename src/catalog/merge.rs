//! A draft laid over what is there: which variant is meant, what changes, which numbers are taken. No I/O but to load.

use std::collections::{BTreeSet, HashMap};

use chrono::{DateTime, Utc};
use iso_currency::Currency;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder};

use super::{
    draft::{ProductDraft, Status, VariantDraft},
    entity::{product, variant},
    loader, price,
    save::{FOLLOWERS, Saved, Skus},
};
use crate::{
    base::{Money, Result, text},
    infra::Tx,
};

/// What stands between the parts of an option key: no option value has it.
const SEPARATOR: &str = "\u{1f}";
/// The longest name of a product.
const NAME_LIMIT: usize = 500;
/// The longest sku that is taken as it is; one that is used twice grows by its number.
const SKU_LIMIT: usize = 180;
/// What the one variant of a simple product is called.
const ONLY: &str = "Default";

/// What the database has of the products and skus that drafts name.
#[derive(Debug)]
pub(super) struct Known {
    products: HashMap<String, product::Model>,
    variants: HashMap<i64, Vec<variant::Model>>,
    options: HashMap<i64, Vec<String>>,
    skus: Skus,
}

impl Known {
    /// Four statements, however many drafts.
    pub(super) async fn load(tx: &Tx, drafts: &[ProductDraft]) -> Result<Self> {
        let slugs = drafts.iter().map(|draft| draft.slug.as_str());
        let found = product::Entity::find().filter(product::Column::Slug.is_in(slugs)).all(tx).await?;
        let keys: Vec<i64> = found.iter().map(|product| product.id).collect();
        let mut variants: HashMap<i64, Vec<variant::Model>> = HashMap::new();
        if !keys.is_empty() {
            let rows = variant::Entity::find()
                .filter(variant::Column::ProductId.is_in(keys.iter().copied()))
                .order_by_asc(variant::Column::Position)
                .order_by_asc(variant::Column::Id);
            for row in rows.all(tx).await? {
                variants.entry(row.product_id).or_default().push(row);
            }
        }
        let mut wanted = BTreeSet::new();
        for draft in drafts {
            for one in &draft.variants {
                let sku = wanted_sku(draft, one);
                wanted.extend((2..=FOLLOWERS).map(|n| format!("{sku}-{n}")));
                wanted.insert(sku);
            }
        }
        let options = loader::option_names(tx, &keys).await?;
        let skus = Skus::load(tx, wanted.iter().map(String::as_str).collect()).await?;
        let products = found.into_iter().map(|product| (product.slug.clone(), product)).collect();
        Ok(Self { products, variants, options, skus })
    }

    /// The product of this slug, if it is there.
    pub(super) fn product(&self, slug: &str) -> Option<&product::Model> {
        self.products.get(slug)
    }
}

/// A product as it will be.
#[derive(Debug)]
pub(super) struct Merged {
    /// It was not there.
    pub(super) is_new: bool,
    /// Its row; the key is 0 until it is numbered.
    pub(super) product: product::Model,
    /// All its variants; new ones have the key 0 until they are numbered.
    pub(super) variants: Vec<variant::Model>,
    /// Which variants the draft said, by place, with their stock.
    pub(super) said: Vec<(usize, Option<i64>)>,
    /// The draft's variant that each said one came from.
    pub(super) sources: Vec<usize>,
    /// The names of its options, as the draft says them or as they were.
    pub(super) options: Vec<String>,
    /// What of its parts is to be written.
    pub(super) parts: Parts,
    before: Option<product::Model>,
    touched: Vec<bool>,
}

/// Which of the lists that hang on a product differ from what is there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Parts {
    /// The texts.
    pub(super) description: bool,
    /// The tags.
    pub(super) tags: bool,
    /// The pictures.
    pub(super) images: bool,
}

impl Merged {
    /// Whether the product's row differs from the one that is there.
    pub(super) fn changed(&self) -> bool {
        self.before.as_ref() != Some(&self.product)
    }

    /// The variants whose rows differ.
    pub(super) fn changed_variants(&self) -> impl Iterator<Item = &variant::Model> {
        self.variants.iter().zip(&self.touched).filter(|(_, touched)| **touched).map(|(variant, _)| variant)
    }
}

/// Lays one draft over what is there. Refusals and warnings go into `saved`; `None` when nothing of it can be.
pub(super) fn merge(
    known: &mut Known,
    draft: &ProductDraft,
    category: Option<i64>,
    (currency, now): (Currency, DateTime<Utc>),
    saved: &mut Saved,
) -> Option<Merged> {
    let before = known.products.get(&draft.slug).cloned();
    let existing = before.as_ref().and_then(|product| known.variants.get(&product.id)).cloned().unwrap_or_default();
    let line = draft.variants.first().map_or(0, |variant| variant.line);
    if before.is_none() && draft.name.as_deref().is_none_or(|name| name.trim().is_empty()) {
        saved.refused.push((line, format!("the new product `{}` has no name", draft.slug)));
        return None;
    }
    if draft.name.as_deref().is_some_and(|name| name.chars().count() > NAME_LIMIT) {
        saved.refused.push((line, format!("the name of `{}` is longer than {NAME_LIMIT} characters", draft.slug)));
        return None;
    }
    let mut variants = existing.clone();
    let (mut said, mut sources) = (Vec::new(), Vec::new());
    let mut taken = vec![false; existing.len()];
    for (number, one) in draft.variants.iter().enumerate() {
        let place = find(one, &variants, &taken);
        let key = option_key(one);
        if (0..variants.len()).any(|other| Some(other) != place && variants[other].option_key == key) {
            let options = variant_name(one);
            saved.refused.push((one.line, format!("`{}` has a variant `{options}` already", draft.slug)));
            continue;
        }
        if wanted_sku(draft, one).chars().count() > SKU_LIMIT {
            saved.refused.push((one.line, format!("a sku of `{}` is longer than {SKU_LIMIT} characters", draft.slug)));
            continue;
        }
        let row = place.map(|place| variants[place].clone());
        let position = i32::try_from(place.unwrap_or(variants.len())).unwrap_or(i32::MAX);
        let made = lay(draft, one, row, currency, (position, now), saved);
        let Some(mut row) = made else { continue };
        let wanted = Some(wanted_sku(draft, one))
            .filter(|_| one.sku.is_some() || row.sku.is_empty())
            .unwrap_or_else(|| row.sku.clone());
        // A variant that kept its numbered sku from an earlier time keeps it now.
        let keeps = !row.sku.is_empty() && is_follower(&row.sku, &wanted);
        row.sku = known.skus.claim(if keeps { &row.sku } else { &wanted }, row.id);
        if one.sku.is_none() && place.is_none() {
            saved.warnings.push((one.line, format!("no sku: `{}` was made from the name", row.sku)));
        } else if row.sku != wanted {
            saved.warnings.push((one.line, format!("the sku `{wanted}` is used twice: this one became `{}`", row.sku)));
        }
        let place = place.unwrap_or_else(|| {
            variants.push(row.clone());
            taken.push(true);
            variants.len() - 1
        });
        taken[place] = true;
        variants[place] = row;
        said.push((place, one.stock));
        sources.push(number);
    }
    let Some(derived) = price::derive(&variants, now) else {
        saved.refused.push((line, format!("the new product `{}` has nothing that can be bought", draft.slug)));
        return None;
    };
    let product = lay_product(draft, before.clone(), category, derived, (&variants, now), &said);
    let touched = variants.iter().enumerate().map(|(place, row)| existing.get(place) != Some(row)).collect::<Vec<_>>();
    let known_options = before.as_ref().and_then(|before| known.options.get(&before.id));
    let options =
        Some(&draft.options).filter(|options| !options.is_empty()).or(known_options).cloned().unwrap_or_default();
    let is_new = before.is_none();
    let mut merged =
        Merged { is_new, product, variants, said, sources, options, parts: Parts::default(), before, touched };
    merged.stamp(now);
    Some(merged)
}

impl Merged {
    /// Says which parts differ; the product was then changed now.
    pub(super) fn differs(&mut self, parts: Parts, now: DateTime<Utc>) {
        self.parts = parts;
        if parts != Parts::default() {
            self.product.updated_at = now;
        }
    }

    /// Whether a variant's row differs from the one that is there.
    pub(super) fn is_touched(&self, place: usize) -> bool {
        self.touched[place]
    }

    /// What has changed was changed now; what has not keeps its time.
    fn stamp(&mut self, now: DateTime<Utc>) {
        for (variant, touched) in self.variants.iter_mut().zip(&self.touched) {
            if *touched {
                variant.updated_at = now;
            }
        }
        if self.changed() || self.touched.contains(&true) {
            self.product.updated_at = now;
        }
    }
}

/// The variant a draft means: the one with its sku, else the one with its options.
fn find(one: &VariantDraft, variants: &[variant::Model], taken: &[bool]) -> Option<usize> {
    let key = option_key(one);
    let free = || (0..variants.len()).filter(|place| !taken[*place]);
    let by_sku = |place: &usize| one.sku.as_deref().is_some_and(|sku| variants[*place].sku == sku.trim());
    free().find(by_sku).or_else(|| free().find(|place| variants[*place].option_key == key))
}

fn option_key(one: &VariantDraft) -> String {
    one.options.iter().map(|value| text::key(value)).collect::<Vec<_>>().join(SEPARATOR)
}

/// Whether `sku` is `wanted` or one of its numbered followers.
fn is_follower(sku: &str, wanted: &str) -> bool {
    let rest = sku.strip_prefix(wanted);
    rest.is_some_and(|rest| {
        rest.is_empty() || rest.strip_prefix('-').is_some_and(|number| number.parse::<u32>().is_ok())
    })
}

/// The sku that was said, or one made of the product's slug and the options.
fn wanted_sku(draft: &ProductDraft, one: &VariantDraft) -> String {
    if let Some(sku) = one.sku.as_deref().map(str::trim).filter(|sku| !sku.is_empty()) {
        return sku.to_owned();
    }
    let options = text::slug(&one.options.join(" "), 80);
    if options.is_empty() { draft.slug.clone() } else { format!("{}-{options}", draft.slug) }
}

/// One variant as it will be; `None`, with the reason told, when it cannot be.
fn lay(
    draft: &ProductDraft,
    one: &VariantDraft,
    before: Option<variant::Model>,
    currency: Currency,
    (position, now): (i32, DateTime<Utc>),
    saved: &mut Saved,
) -> Option<variant::Model> {
    let mut minor = |what: &str, amount| match Money::from_decimal(amount, currency) {
        Some((money, rounded)) => {
            if rounded {
                saved.warnings.push((one.line, format!("{what} {amount} was rounded to {}", money.decimal())));
            }
            Some(money.minor)
        }
        None => {
            saved
                .refused
                .push((one.line, format!("{what} {amount} cannot be: a price is from 0 to 10 000 000 000 000")));
            None
        }
    };
    let price = match (one.price, &before) {
        (Some(price), _) => minor("price", price)?,
        (None, Some(before)) => before.price,
        (None, None) => {
            saved.refused.push((one.line, format!("the new variant of `{}` has no price", draft.slug)));
            return None;
        }
    };
    let said_sale = match one.sale {
        Some(Some(sale)) => Some(Some((minor("sale price", sale.price)?, sale.starts_at, sale.ends_at))),
        Some(None) => Some(None),
        None => None,
    };
    let kept =
        || before.as_ref().and_then(|before| Some((before.sale_price?, before.sale_starts_at, before.sale_ends_at)));
    let mut sale = said_sale.unwrap_or_else(kept);
    if let Some((amount, starts, ends)) = sale {
        let backwards = matches!((starts, ends), (Some(starts), Some(ends)) if starts >= ends);
        if amount >= price || backwards {
            let why = if backwards { "ends before it begins" } else { "is no lower than the price" };
            saved.warnings.push((one.line, format!("the sale of `{}` {why} and was left out", draft.slug)));
            sale = None;
        }
    }
    let (sale_price, sale_starts_at, sale_ends_at) =
        sale.map_or((None, None, None), |(amount, starts, ends)| (Some(amount), starts, ends));
    let weight_grams = one.weight_grams.filter(|grams| *grams >= 0);
    Some(match before {
        Some(before) => variant::Model {
            name: variant_name(one),
            option_key: option_key(one),
            price,
            sale_price,
            sale_starts_at,
            sale_ends_at,
            weight_grams: weight_grams.or(before.weight_grams),
            image: one.image.clone().or(before.image),
            barcode: one.barcode.clone().or(before.barcode),
            track_stock: before.track_stock || one.stock.is_some(),
            deleted_at: None,
            ..before
        },
        None => variant::Model {
            id: 0,
            product_id: 0,
            sku: String::new(),
            name: variant_name(one),
            option_key: option_key(one),
            price,
            sale_price,
            sale_starts_at,
            sale_ends_at,
            weight_grams,
            image: one.image.clone(),
            barcode: one.barcode.clone(),
            track_stock: one.stock.is_some(),
            position,
            created_at: now,
            updated_at: now,
            deleted_at: None,
        },
    })
}

fn variant_name(one: &VariantDraft) -> String {
    if one.options.is_empty() { ONLY.to_owned() } else { one.options.join(" / ") }
}

fn lay_product(
    draft: &ProductDraft,
    before: Option<product::Model>,
    category: Option<i64>,
    derived: price::Derived,
    (variants, now): (&[variant::Model], DateTime<Utc>),
    said: &[(usize, Option<i64>)],
) -> product::Model {
    let price::Derived { sku, price, sale_price, price_now, price_max, reprice_at } = derived;
    let stocked =
        |(place, stock): &(usize, Option<i64>)| !variants[*place].track_stock || stock.is_some_and(|stock| stock > 0);
    let image = draft.images.first().map(|image| image.url.clone());
    let vendor = draft.vendor.as_deref().map(str::trim).filter(|vendor| !vendor.is_empty()).map(str::to_owned);
    let name = draft
        .name
        .as_deref()
        .map(|name| name.split_whitespace().collect::<Vec<_>>().join(" "))
        .filter(|name| !name.is_empty());
    let base = before.unwrap_or_else(|| product::Model {
        id: 0,
        slug: draft.slug.clone(),
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
        // A first guess, right for a new product; the inventory has the last word.
        in_stock: said.iter().any(stocked),
        reprice_at: None,
        created_at: now,
        updated_at: now,
        deleted_at: None,
    });
    let name = name.unwrap_or(base.name);
    let vendor = vendor.or(base.vendor);
    product::Model {
        name_key: text::key(&name),
        name,
        vendor_key: vendor.as_deref().map(text::key),
        vendor,
        category_id: category.unwrap_or(base.category_id),
        status: draft.status.unwrap_or(base.status),
        featured: draft.featured.unwrap_or(base.featured),
        image: image.or(base.image),
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
