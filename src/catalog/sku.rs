//! The skus of variants: said, made of the product's name, or numbered where one is used twice.

use std::collections::{BTreeSet, HashMap, HashSet};

use sea_orm::ConnectionTrait;

use super::{
    draft::{ProductDraft, VariantDraft},
    entity::variant,
};
use crate::{
    base::{Result, text},
    infra::Tx,
};

/// The longest sku that is taken as it is; one that stands in for it is longer.
pub(super) const LIMIT: usize = 180;
/// How much of a slug goes into a sku that is made of it, and how much of the options.
const PARTS: (usize, usize) = (90, 80);
/// The last number that is given to a sku used twice.
const LAST_NUMBER: u32 = 9;
/// What stands between the parts of an option key: no option value has it.
const SEPARATOR: &str = "\u{1f}";

/// The values of a variant's options as one text, the same for all who write them differently.
pub(super) fn option_key(one: &VariantDraft) -> String {
    one.options.iter().map(|value| text::key(value)).collect::<Vec<_>>().join(SEPARATOR)
}

/// The sku that a variant should have, and what may stand in where another variant has it.
#[derive(Debug)]
pub(super) struct Wanted {
    pub(super) sku: String,
    /// For one that is used so often that the numbers are used up: the same for the same variant, and nobody else's.
    last: String,
}

impl Wanted {
    /// The sku that was said, or one made of the product's slug and the options.
    pub(super) fn of(draft: &ProductDraft, one: &VariantDraft) -> Result<Self, String> {
        let said = one.sku.as_deref().map(str::trim).filter(|sku| !sku.is_empty());
        let sku = said.map_or_else(|| made(draft, one), str::to_owned);
        if sku.chars().count() > LIMIT {
            return Err(format!("a sku of `{}` is longer than {LIMIT} characters", draft.slug));
        }
        let last = format!("{sku}-{:016x}", fingerprint(&[&draft.slug, &option_key(one)]));
        Ok(Self { sku, last })
    }

    fn stand_ins(&self) -> impl Iterator<Item = String> {
        (2..=LAST_NUMBER).map(|number| format!("{}-{number}", self.sku)).chain([self.last.clone()])
    }
}

fn made(draft: &ProductDraft, one: &VariantDraft) -> String {
    let (slug, options) = PARTS;
    let slug: String = draft.slug.chars().take(slug).collect();
    let options = text::slug(&one.options.join(" "), options);
    if options.is_empty() { slug } else { format!("{slug}-{options}") }
}

/// FNV-1a: a number that stays the same in every version of the shop.
fn fingerprint(texts: &[&str]) -> u64 {
    let bytes = texts.iter().flat_map(|text| text.bytes().chain([0x1f]));
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// The skus that are taken, of those that drafts want; grows as drafts take more.
#[derive(Debug, Default)]
pub(super) struct Skus {
    owners: HashMap<String, i64>,
    claimed: HashSet<String>,
}

impl Skus {
    /// Reads who has the skus that drafts want and, where one may be contested, what may stand in for it. Two statements
    /// at most.
    pub(super) async fn load(tx: &Tx, drafts: &[ProductDraft]) -> Result<Self> {
        let each = || drafts.iter().flat_map(|draft| draft.variants.iter().map(move |one| Wanted::of(draft, one)));
        let all: Vec<Wanted> = each().filter_map(std::result::Result::ok).collect();
        let mut skus = Self::default();
        let mut twice = HashSet::new();
        let mut once = BTreeSet::new();
        for wanted in &all {
            if !once.insert(wanted.sku.as_str()) {
                twice.insert(wanted.sku.as_str());
            }
        }
        skus.read(tx, &once).await?;
        let contested = |wanted: &&Wanted| twice.contains(wanted.sku.as_str()) || skus.owners.contains_key(&wanted.sku);
        let mut stand_ins: BTreeSet<String> = all.iter().filter(contested).flat_map(Wanted::stand_ins).collect();
        // One may want what stands in for another.
        let next: Vec<_> = all.iter().filter(|wanted| stand_ins.contains(&wanted.sku)).collect();
        stand_ins.extend(next.into_iter().flat_map(Wanted::stand_ins));
        if !stand_ins.is_empty() {
            skus.read(tx, &stand_ins.iter().map(String::as_str).collect()).await?;
        }
        Ok(skus)
    }

    async fn read(&mut self, tx: &Tx, wanted: &BTreeSet<&str>) -> Result<()> {
        let mut sql = tx.sql();
        sql.push("SELECT sku, id FROM variant WHERE ").any_text("sku", wanted.iter().copied());
        for row in tx.query_all_raw(sql.statement()).await? {
            self.owners.insert(row.try_get("", "sku")?, row.try_get("", "id")?);
        }
        Ok(())
    }

    /// Takes a sku for a variant. One that stood in before still does while it must. `None` when all are taken.
    pub(super) fn claim(&mut self, wanted: &Wanted, row: &variant::Model) -> Option<String> {
        let before = wanted.stand_ins().find(|sku| *sku == row.sku);
        let mut tries = std::iter::once(wanted.sku.clone()).chain(before).chain(wanted.stand_ins());
        let free =
            |sku: &String| self.owners.get(sku).is_none_or(|owner| *owner == row.id) && !self.claimed.contains(sku);
        let found = tries.find(free)?;
        self.claimed.insert(found.clone());
        Some(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sku_that_is_made_is_the_same_every_time_and_never_too_long() {
        let draft = ProductDraft { slug: "x".repeat(255), ..ProductDraft::default() };
        let one = VariantDraft { options: vec!["Größe M".into(), "Rot".into()], ..VariantDraft::default() };
        let (first, again) = (Wanted::of(&draft, &one).expect("one"), Wanted::of(&draft, &one).expect("one"));
        assert_eq!(first.sku, format!("{}-große-m-rot", "x".repeat(90)));
        assert_eq!((&first.sku, &first.last), (&again.sku, &again.last));
        assert!(first.stand_ins().all(|sku| sku.chars().count() <= 200));
        assert_eq!(fingerprint(&["a"]), fingerprint(&["a"]));
        assert_ne!(fingerprint(&["a", "b"]), fingerprint(&["ab"]));
    }
}
