//! Drafts matched with what is there: which variant is meant, which may not be, which sku each has. No I/O but to load.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, sea_query::LockType};
use serde_json::Value;

use super::{
    draft::{ProductDraft, VariantDraft},
    entity::{product, variant},
    lay::{self, Setting},
    loader, price,
    save::Saved,
    sku::{Skus, Wanted, option_key},
};
use crate::{base::Result, infra::Tx};

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
        // Held, because whoever counts stock or follows the clock changes them too.
        let found = product::Entity::find()
            .filter(product::Column::Slug.is_in(slugs))
            .order_by_asc(product::Column::Id)
            .lock(LockType::NoKeyUpdate)
            .all(tx)
            .await?;
        let keys: Vec<i64> = found.iter().map(|product| product.id).collect();
        let mut variants: HashMap<i64, Vec<variant::Model>> = HashMap::new();
        let mut options = HashMap::new();
        if !keys.is_empty() {
            let rows = variant::Entity::find()
                .filter(variant::Column::ProductId.is_in(keys.iter().copied()))
                .order_by_asc(variant::Column::Position)
                .order_by_asc(variant::Column::Id);
            for row in rows.all(tx).await? {
                variants.entry(row.product_id).or_default().push(row);
            }
            options = loader::option_names(tx, &keys).await?;
        }
        let skus = Skus::load(tx, drafts).await?;
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
    /// All its variants, those that are there first; new ones have the key 0 until they are numbered.
    pub(super) variants: Vec<variant::Model>,
    /// The variants that the draft said.
    pub(super) said: Vec<Said>,
    /// The names of its options, as the draft says them or as they were.
    pub(super) options: Vec<String>,
    /// What of its parts is to be written.
    pub(super) parts: Parts,
    /// What the parts that differ were, and what they are.
    pub(super) told: Vec<(&'static str, Value, Value)>,
    /// Its row as it was.
    pub(super) before: Option<product::Model>,
    /// The variants that were there, as they were.
    pub(super) variants_before: Vec<variant::Model>,
}

/// A variant of a draft, and which one it has become.
#[derive(Debug, Clone, Copy)]
pub(super) struct Said {
    /// Its place in the draft.
    pub(super) number: usize,
    /// Its place among the product's variants.
    pub(super) place: usize,
    /// The stock that was said of it.
    pub(super) stock: Option<i64>,
}

/// Which of the lists that hang on a product differ from what is there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Parts {
    /// The new HTML.
    pub(super) description: Option<String>,
    /// The tags.
    pub(super) tags: bool,
    /// The pictures.
    pub(super) images: bool,
    /// The names of the options.
    pub(super) options: bool,
}

impl Merged {
    /// Whether anything of the product differs from what is there.
    pub(super) fn changed(&self) -> bool {
        self.before.as_ref() != Some(&self.product)
            || self.parts != Parts::default()
            || self.changed_variants().next().is_some()
    }

    /// The variants whose rows differ from what is there, each with that.
    pub(super) fn changed_variants(&self) -> impl Iterator<Item = (&variant::Model, Option<&variant::Model>)> {
        let pairs = self.variants.iter().enumerate().map(|(place, row)| (row, self.variants_before.get(place)));
        pairs.filter(|(row, before)| *before != Some(*row))
    }

    /// Whether a variant is new or is chosen by other values than before.
    pub(super) fn chosen_anew(&self, place: usize) -> bool {
        let row = &self.variants[place];
        let same = |before: &variant::Model| before.name == row.name && before.option_key == row.option_key;
        !self.variants_before.get(place).is_some_and(same)
    }

    /// Says which parts differ; the product was then changed now.
    pub(super) fn differs(&mut self, parts: Parts, now: DateTime<Utc>) {
        if parts != Parts::default() {
            self.product.updated_at = now;
        }
        self.parts = parts;
    }

    /// What has changed has a new version.
    pub(super) fn raise(&mut self) {
        if !self.changed() {
            return;
        }
        self.product.version = self.before.as_ref().map_or(1, |before| before.version + 1);
        for (place, row) in self.variants.iter_mut().enumerate() {
            match self.variants_before.get(place) {
                Some(before) if before != row => row.version = before.version + 1,
                _ => {}
            }
        }
    }

    /// What has changed was changed now; what has not keeps its time. Options are shown with every variant.
    pub(super) fn stamp(&mut self, now: DateTime<Utc>) {
        let mut any = self.changed();
        for (place, row) in self.variants.iter_mut().enumerate() {
            let shows = self.parts.options && row.deleted_at.is_none();
            if shows || self.variants_before.get(place) != Some(row) {
                row.updated_at = now;
                any = true;
            }
        }
        if any {
            self.product.updated_at = now;
        }
    }
}

/// Lays one draft over what is there. Refusals and warnings go into `saved`; `None` when nothing of it can be.
pub(super) fn merge(known: &mut Known, draft: &ProductDraft, setting: &Setting, saved: &mut Saved) -> Option<Merged> {
    let before = known.products.get(&draft.slug).cloned();
    if let Err(reason) = lay::check(draft, before.is_none()) {
        if !draft.after_refused || draft.name.is_some() || before.is_some() {
            saved.refuse(draft.line, reason);
        }
        return None;
    }
    let id = before.as_ref().map_or(0, |before| before.id);
    let there = known.variants.get(&id).cloned().unwrap_or_default();
    let known_options = known.options.get(&id).map(Vec::as_slice).unwrap_or_default();
    let mut matched = Matched { draft, there: &there, rows: Vec::new() };
    let options = matched.options(known_options).to_vec();
    matched.lay(&options, setting, saved);
    matched.keep_apart(saved);
    matched.claim(&mut known.skus, saved);

    let (variants, said) = matched.settled();
    let Some(derived) = price::derive(&variants, setting.now) else {
        saved.refuse(draft.line, format!("the product `{}` has nothing that can be bought", draft.slug));
        return None;
    };
    let untracked = said.iter().any(|said| !variants[said.place].track_stock);
    let is_new = before.is_none();
    let mut base = before.clone().unwrap_or_else(|| lay::blank_product(&draft.slug, setting.now));
    // A first guess for a new product, so that it need not be written twice; the inventory has the last word.
    base.in_stock |= is_new && said.iter().any(|said| said.stock.is_some_and(|stock| stock > 0));
    let product = lay::product(draft, base, setting, (derived, untracked));
    let parts = Parts { options: options != known_options, ..Parts::default() };
    let (told, variants_before) = (Vec::new(), there);
    let mut merged = Merged { is_new, product, variants, said, options, parts, told, before, variants_before };
    merged.stamp(setting.now);
    Some(merged)
}

/// A draft's variants beside those that are there.
struct Matched<'a> {
    draft: &'a ProductDraft,
    there: &'a [variant::Model],
    rows: Vec<Laid>,
}

/// A variant that is taken: its place in the draft, which one it is, and how it will be.
struct Laid {
    number: usize,
    place: Option<usize>,
    row: variant::Model,
}

impl<'a> Matched<'a> {
    /// The names of the options: the draft's, unless variants that it does not say are chosen by more or fewer.
    fn options<'b>(&self, known: &'b [String]) -> &'b [String]
    where
        'a: 'b,
    {
        let said = &self.draft.options;
        let places: HashSet<usize> = places(&self.draft.variants, self.there).into_iter().flatten().collect();
        let mut unsaid = (0..self.there.len()).filter(|place| !places.contains(place));
        let others = unsaid.any(|place| self.there[place].deleted_at.is_none());
        if said.is_empty() || (others && said.len() != known.len()) { known } else { said }
    }

    /// Lays each variant over the one that it means.
    fn lay(&mut self, options: &[String], setting: &Setting, saved: &mut Saved) {
        let places = places(&self.draft.variants, self.there);
        for (number, (one, place)) in self.draft.variants.iter().zip(places).enumerate() {
            let fits = one.options.len() == options.len() || (one.options.is_empty() && place.is_some());
            let before = place.map(|place| self.there[place].clone());
            let laid = if fits { lay::variant(one, before, setting, saved) } else { Err(self.misfit(options)) };
            match laid {
                Ok(row) => self.rows.push(Laid { number, place, row }),
                Err(reason) => saved.refuse(one.line, reason),
            }
        }
    }

    fn misfit(&self, options: &[String]) -> String {
        let slug = &self.draft.slug;
        match options {
            [] => format!("`{slug}` has a variant without options; one with options cannot stand beside it"),
            some => format!("the variants of `{slug}` are chosen by {}; this one is not", some.join(", ")),
        }
    }

    /// Refuses variants until no two that stay are chosen by the same values.
    fn keep_apart(&mut self, saved: &mut Saved) {
        while let Some(place) = self.twin() {
            let Laid { number, row, .. } = self.rows.remove(place);
            let reason = format!("`{}` has a variant `{}` already", self.draft.slug, row.name);
            saved.refuse(self.draft.variants[number].line, reason);
        }
    }

    /// The first variant that would be chosen by the values of one before it, or of one that stays as it is.
    fn twin(&self) -> Option<usize> {
        let changed: HashSet<usize> = self.rows.iter().filter_map(|laid| laid.place).collect();
        let stays = |(place, row): &(usize, &variant::Model)| !changed.contains(place) && row.deleted_at.is_none();
        let mut seen: HashSet<&str> =
            self.there.iter().enumerate().filter(stays).map(|(_, row)| row.option_key.as_str()).collect();
        self.rows.iter().position(|laid| !seen.insert(&laid.row.option_key))
    }

    /// Gives each variant its sku, and says where it is not the one that was said.
    fn claim(&mut self, skus: &mut Skus, saved: &mut Saved) {
        let draft = self.draft;
        self.rows.retain_mut(|Laid { number, row, .. }| {
            let one = &draft.variants[*number];
            let said = one.sku.as_deref().is_some_and(|sku| !sku.trim().is_empty());
            if !said && !row.sku.is_empty() {
                return true;
            }
            let taken = || Err("every sku that could stand in for its own is taken".to_owned());
            let claimed = Wanted::of(draft, one)
                .and_then(|wanted| skus.claim(&wanted, row).map_or_else(taken, |sku| Ok((sku, wanted.sku))));
            let (sku, wanted) = match claimed {
                Ok(found) => found,
                Err(reason) => {
                    saved.refuse(one.line, reason);
                    return false;
                }
            };
            if !said {
                saved.warn(one.line, format!("no sku: `{sku}` was made from the name"));
            } else if sku != wanted {
                saved.warn(one.line, format!("the sku `{wanted}` is used twice: this one became `{sku}`"));
            }
            row.sku = sku;
            true
        });
    }

    /// All variants as they will be, and which of them the draft said.
    fn settled(self) -> (Vec<variant::Model>, Vec<Said>) {
        let mut variants = self.there.to_vec();
        let mut next = variants.iter().map(|row| row.position + 1).max().unwrap_or(0);
        let mut said = Vec::with_capacity(self.rows.len());
        for Laid { number, place, mut row } in self.rows {
            let place = place.unwrap_or_else(|| {
                row.position = next;
                next += 1;
                variants.push(row.clone());
                variants.len() - 1
            });
            variants[place] = row;
            said.push(Said { number, place, stock: self.draft.variants[number].stock });
        }
        (variants, said)
    }
}

/// Which of the variants that are there each draft means: the one with its sku and its options, else the one with its
/// sku, else the one with its options.
fn places(drafts: &[VariantDraft], there: &[variant::Model]) -> Vec<Option<usize>> {
    let by_sku: HashMap<&str, usize> = there.iter().enumerate().map(|(place, row)| (row.sku.as_str(), place)).collect();
    let living = |wanted: bool| {
        let rows = there.iter().enumerate().filter(move |(_, row)| row.deleted_at.is_none() == wanted);
        rows.map(|(place, row)| (row.option_key.as_str(), place))
    };
    // A living one hides a deleted one of the same values.
    let by_options: HashMap<&str, usize> = living(false).chain(living(true)).collect();
    let keys: Vec<String> = drafts.iter().map(option_key).collect();
    let of_sku = |number: usize| by_sku.get(drafts[number].sku.as_deref()?.trim()).copied();
    let of_options = |number: usize| by_options.get(keys[number].as_str()).copied();
    let of_both = |number: usize| of_sku(number).filter(|place| there[*place].option_key == keys[number]);

    let rules: [&dyn Fn(usize) -> Option<usize>; 3] = [&of_both, &of_sku, &of_options];
    let mut found = vec![None; drafts.len()];
    let mut taken = vec![false; there.len()];
    for rule in rules {
        for (number, found) in found.iter_mut().enumerate().filter(|(_, found)| found.is_none()) {
            *found = rule(number).filter(|place| !std::mem::replace(&mut taken[*place], true));
        }
    }
    found
}
